"""The numbers of a sweep's table: for each data set, model and run what validation chose, and its test metrics."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import mean, stdev

from fairaudit.catalogue import BY_ID
from fairaudit.published import Printed
from fairaudit_mitigate.settings import Settings
from fairaudit_mitigate.sweeping.cells import TEST
from fairaudit_mitigate.sweeping.choosing import mean_score, ranked
from fairaudit_mitigate.sweeping.results import Entry, Results, estimates

#: What a table shows where the plan names no metrics.
PANEL = (
    "accuracy", "f1_min", "recall_min", "f1_delta", "eod_max", "worst_group_accuracy", "sensitive_accuracy",
    "loss_variance",
)  # fmt: skip
#: Costs, which a table may show beside the metrics; lower is better.
COSTS = ("seconds", "peak_memory")


@dataclass(frozen=True, slots=True)
class Measure:
    """A column: a metric and what it is over (`overall`, `class`, an attribute); of a cost, nothing."""

    metric: str
    by: str = ""

    @property
    def better(self) -> int:
        """1: higher, -1: lower, 0: neither."""
        if self.metric in COSTS:
            return -1
        return {"higher": 1, "lower": -1}.get(BY_ID[self.metric].better, 0)

    @property
    def percent(self) -> bool:
        """Whether it is a share, shown in percent."""
        return self.metric not in COSTS and BY_ID[self.metric].high == 1.0


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the table. `values[k][i]`: measure k with seed i of `seeds`; NaN where undefined.

    `settings`: those chosen, with any seed. `failed`, `missing`: seeds without a result.
    """

    data: str
    model: str
    run: str
    settings: Settings
    seeds: tuple[int, ...]
    cells: tuple[str, ...]
    values: tuple[tuple[float, ...], ...]
    failed: int = 0
    missing: int = 0

    def mean(self, k: int) -> float:
        """The mean over seeds; NaN where one seed has none."""
        return mean(self.values[k]) if self.values[k] else math.nan

    def sd(self, k: int) -> float:
        """The standard deviation over seeds (n - 1); NaN of fewer than two, or where one seed has none."""
        known = len(self.values[k]) > 1 and all(map(math.isfinite, self.values[k]))
        return stdev(self.values[k]) if known else math.nan


@dataclass(frozen=True, slots=True)
class Summary:
    """The whole table. `published`: data set, model and run -> metric -> what a publication says of it."""

    measures: tuple[Measure, ...]
    lines: tuple[Line, ...]
    reference: str
    published: Mapping[tuple[str, str, str], Mapping[str, Printed]] = field(default_factory=dict)

    def best(self, line: Line, k: int) -> bool:
        """Whether no other run on the same data and model has a better mean."""
        turn, mine = self.measures[k].better, line.mean(k)
        rivals = [
            o.mean(k) for o in self.lines if (o.data, o.model) == (line.data, line.model) and o is not line
        ]
        return bool(turn and rivals and not math.isnan(mine)) and all(
            math.isnan(r) or turn * mine >= turn * r for r in rivals
        )

    def rival(self, line: Line) -> Line | None:
        """The reference's line on the same data and model; None for the reference itself."""
        if line.run == self.reference:
            return None
        same = ((o.data, o.model, o.run) == (line.data, line.model, self.reference) for o in self.lines)
        return next((o for o, found in zip(self.lines, same, strict=True) if found), None)


def summarise(results: Results) -> Summary:
    """The table of a sweep: of each run the combination with the best mean validation score over its seeds."""
    chosen = [(name, best_combination(entries)) for name, entries in _runs(results.entries).items()]
    measures = _measures(results, [e for _, entries in chosen for e in entries])
    lines = tuple(line_of_cells(results, entries, measures) for _, entries in chosen)
    return Summary(measures, lines, results.plan.reference)


def _runs(entries: Iterable[Entry]) -> dict[tuple[str, str, str], list[list[Entry]]]:
    """data, model, run -> the final cells of each of its combinations."""
    found: dict[tuple[str, str, str], dict[int, list[Entry]]] = {}
    for e in entries:
        if e.final:
            name = (e.contest.data, e.contest.model, e.contest.run)
            found.setdefault(name, {}).setdefault(id(e.contest), []).append(e)
    return {name: list(groups.values()) for name, groups in found.items()}


def best_combination(groups: Sequence[list[Entry]]) -> list[Entry]:
    """The combination with the best mean score; one with more seeds done comes before one with fewer."""

    def key(entries: list[Entry]) -> tuple[float, ...]:
        scores = [e.record.score for e in entries if e.record is not None and e.record.done]
        return (len(scores), *(ranked(mean_score(scores)) if scores else ()))

    return max(groups, key=key)


def _measures(results: Results, entries: Sequence[Entry]) -> tuple[Measure, ...]:
    """The columns: each metric where it is one number over all, by everything it is known by but only once overall."""
    there: dict[Measure, None] = {}
    for entry in entries:
        for e in estimates(results.shelf, entry.cell.key, TEST):
            if e["group"] is None and e["class"] is None:
                there.setdefault(Measure(e["metric"], e["by"]))
    found: list[Measure] = []
    for metric in results.plan.metrics or PANEL:
        known = [m for m in there if m.metric == metric]
        whole = [m for by in ("overall", "class") for m in known if m.by == by]
        found += [Measure(metric)] if metric in COSTS else (whole[:1] or known)
    return tuple(found)


def line_of_cells(results: Results, entries: Sequence[Entry], measures: Sequence[Measure]) -> Line:
    """The line of the cells of one combination: one value a measure and seed that was judged."""
    done = [e for e in entries if e.record is not None and e.record.done and results.shelf.judged(e.cell.key)]
    numbers = [_numbers(results, e) for e in done]
    first = entries[0]
    return Line(
        first.contest.data, first.contest.model, first.contest.run, first.cell.settings,
        tuple(e.cell.settings.seed for e in done), tuple(e.cell.key for e in done),
        tuple(tuple(n.get(m, math.nan) for n in numbers) for m in measures),
        sum(e.status == "failed" for e in entries), sum(e.status == "missing" for e in entries),
    )  # fmt: skip


def _numbers(results: Results, entry: Entry) -> dict[Measure, float]:
    """Every number of one cell's test audit that is over all, and its costs."""
    found = {
        Measure(e["metric"], e["by"]): math.nan if e["value"] is None else float(e["value"])
        for e in estimates(results.shelf, entry.cell.key, TEST)
        if e["group"] is None and e["class"] is None
    }
    record = entry.record
    if record is not None:
        found[Measure("seconds")] = math.nan if record.seconds is None else record.seconds - record.ready
        found[Measure("peak_memory")] = math.nan if record.peak_memory is None else float(record.peak_memory)
    return found
