"""The numbers of a sweep's figures; `drawing` is the ink.

Everything is of test rows, mean and standard deviation over seeds; where a run has several combinations of settings,
validation has chosen among them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from fairaudit_mitigate.sweeping.results import Entry, Results
from fairaudit_mitigate.sweeping.summary import COSTS, Line, Measure, Summary, best_combination, line_of_cells

RANK, PENALTY = "rank", "penalty"
#: What may stand on the fairness axis of a Pareto front, the first that is there.
FAIRNESS = ("worst_group_accuracy", "eod_max", "recall_min", "f1_min")


@dataclass(frozen=True, slots=True)
class Point:
    """A mean over seeds with its standard deviation (NaN of one seed)."""

    x: float
    mean: float
    sd: float


@dataclass(frozen=True, slots=True)
class Spot:
    """One combination of settings in the plane of accuracy and fairness. `front`: nothing is better in both."""

    run: str
    label: str
    x: float
    y: float
    front: bool


#: Measure -> run -> its points.
Curves = Mapping[Measure, Mapping[str, Sequence[Point]]]


def places(summary: Summary) -> list[tuple[str, str]]:
    """Every data set with every model, in the order of the table."""
    return list(dict.fromkeys((line.data, line.model) for line in summary.lines))


def curves(
    results: Results, measures: Sequence[Measure], setting: str, data: str, model: str
) -> dict[Measure, dict[str, list[Point]]]:
    """Each measure against a setting (`rank`, `penalty`): run -> its points by the setting, for runs with two or more.

    At each value the other settings are those with the best mean validation score. Runs that do not have the setting
    (rank of full fine-tuning, λ of a method without penalty) are left out.
    """
    found: dict[Measure, dict[str, list[Point]]] = {m: {} for m in measures}
    for run, by_value in _by_setting(results, setting, data, model).items():
        if len(by_value) < 2:
            continue
        for value in sorted(by_value):
            line = line_of_cells(results, best_combination(by_value[value]), measures)
            for k, m in enumerate(measures):
                found[m].setdefault(run, []).append(Point(value, line.mean(k), line.sd(k)))
    return {m: runs for m, runs in found.items() if runs}


def _by_setting(
    results: Results, setting: str, data: str, model: str
) -> dict[str, dict[float, list[list[Entry]]]]:
    """run -> value of the setting -> the final cells of each combination with that value."""
    found: dict[str, dict[float, dict[int, list[Entry]]]] = {}
    for e in results.entries:
        settings = e.cell.settings
        has = settings.spec.adapts if setting == RANK else settings.spec.penalises
        if e.final and has and (e.contest.data, e.contest.model) == (data, model):
            value = float(settings.rank if setting == RANK else settings.terms.penalty)
            found.setdefault(e.contest.run, {}).setdefault(value, {}).setdefault(id(e.contest), []).append(e)
    return {run: {v: list(c.values()) for v, c in values.items()} for run, values in found.items()}


def radar(summary: Summary, data: str, model: str) -> tuple[list[Measure], dict[str, list[float]]]:
    """Each measure scaled over the runs: 1 for the best mean, 0 for the worst, 1 where all are the same.

    Costs and measures without a better side are left out; an undefined mean is 0.
    """
    lines = [line for line in _of(summary, data, model) if line.seeds]
    axes = [k for k, m in enumerate(summary.measures) if m.better and m.metric not in COSTS]
    scaled = [_scaled([summary.measures[k].better * line.mean(k) for line in lines]) for k in axes]
    runs = {line.run: [column[i] for column in scaled] for i, line in enumerate(lines)}
    return [summary.measures[k] for k in axes], runs


def _scaled(values: Sequence[float]) -> list[float]:
    known = [v for v in values if not math.isnan(v)]
    low, high = min(known, default=0.0), max(known, default=0.0)
    span = high - low
    return [0.0 if math.isnan(v) else (v - low) / span if span else 1.0 for v in values]


def variances(summary: Summary, data: str, model: str) -> dict[Measure, dict[str, tuple[float, ...]]]:
    """The variance of the group losses by run, every seed, for each grouping (class, attribute) of the table."""
    found: dict[Measure, dict[str, tuple[float, ...]]] = {}
    for k, m in enumerate(summary.measures):
        if m.metric == "loss_variance":
            found[m] = {line.run: line.values[k] for line in _of(summary, data, model) if line.values[k]}
    return {m: runs for m, runs in found.items() if runs}


def pareto(
    results: Results, summary: Summary, data: str, model: str
) -> tuple[Measure, Measure, list[Spot]] | None:
    """Accuracy and fairness of every combination that was judged, and which of them nothing beats in both.

    None where there is no accuracy or no measure of fairness in the table.
    """
    accuracy = next((m for m in summary.measures if m.metric == "accuracy"), None)
    fair = next((m for name in FAIRNESS for m in summary.measures if m.metric == name), None)
    if accuracy is None or fair is None:
        return None
    spots: list[tuple[str, str, float, float]] = []
    for cells in combinations_of(results.entries, data, model):
        line = line_of_cells(results, cells, (accuracy, fair))
        if not math.isnan(line.mean(0) + line.mean(1)):
            spots.append((line.run, _label(line), line.mean(0), line.mean(1)))
    turned = [(x, fair.better * y) for _, _, x, y in spots]
    return accuracy, fair, [Spot(*spot, front=undominated(turned, i)) for i, spot in enumerate(spots)]


def undominated(points: Sequence[tuple[float, float]], i: int) -> bool:
    """Whether no other point is at least as high in both and higher in one."""
    x, y = points[i]
    return not any(a >= x and b >= y and (a > x or b > y) for a, b in points)


def combinations_of(entries: Iterable[Entry], data: str, model: str) -> list[list[Entry]]:
    """The final cells of each combination of settings, one list each."""
    found: dict[int, list[Entry]] = {}
    for e in entries:
        if e.final and (e.contest.data, e.contest.model) == (data, model):
            found.setdefault(id(e.contest), []).append(e)
    return list(found.values())


def _label(line: Line) -> str:
    s = line.settings
    penalty = f" λ={s.terms.penalty:g}" if s.spec.penalises else ""
    return f"{f'r={s.rank}' if s.spec.adapts else ''}{penalty}".strip()


def _of(summary: Summary, data: str, model: str) -> list[Line]:
    return [line for line in summary.lines if (line.data, line.model) == (data, model)]
