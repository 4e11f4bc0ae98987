"""The tables of a report: all rows, classes, groups, cells, the panel, the gaps."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from fairaudit.auditing import Audit
from fairaudit.catalogue import BY_ID
from fairaudit.estimate import Estimate
from fairaudit.report.blocks import Block, Cell, Column, Heading, Items, Limits, Table
from fairaudit.report.flags import Key
from fairaudit.report.words import (
    count,
    listed,
    number,
    several,
    stands_by,
    where_attained,
    with_interval,
)

_OVERALL = ("accuracy", "f1_macro", "recall_macro", "selection_rate", "tpr", "fpr", "ppv", "roc_auc",
            "roc_auc_macro", "ece", "brier", "loss", "membership_advantage")  # fmt: skip
_PANEL = ("f1_min", "f1_median", "recall_min", "f1_delta", "worst_group_accuracy", "loss_variance",
          "sensitive_accuracy", "sensitive_leakage")  # fmt: skip
_BINARY = ("accuracy", "selection_rate", "ppv", "tpr", "fpr", "loss", "membership_advantage")
_SEVERAL = ("accuracy", "recall_macro", "f1_macro", "loss", "membership_advantage")
#: What scores are worth, in a table of their own; of groups, at most so many.
_SCORES, _SCORED = ("roc_auc", "roc_auc_macro", "ece", "brier"), 20
#: Whose rows stand in the denominator, where it is not every row of the group.
_DENOMINATORS = {"tpr": "positives", "fnr": "positives", "fpr": "negatives", "tnr": "negatives"}


def all_rows(a: Audit, known: Mapping[Key, Estimate]) -> list[Block]:
    """The numbers over all rows: those that a reader looks for, or those that were asked for."""
    rows = []
    for metric in dict.fromkeys((*_OVERALL, *a.settings.metrics)):
        e = known.get((metric, "overall", None, None))
        if e is not None:
            cells = (
                Cell(metric),
                Cell(with_interval(e), "strong"),
                Cell(count(e.n)),
                Cell(BY_ID[metric].meaning, "dim"),
            )
            rows.append(cells)
    columns = (Column("metric"), Column("value", True), Column("n", True), Column("meaning"))
    return [Heading("All rows"), Table(columns, tuple(rows))] if rows else []


def by_class(a: Audit, known: Mapping[Key, Estimate], limits: Limits) -> list[Block]:
    """Recall, precision and F1 of each class, the worst where the page is read first."""

    def of(metric: str, class_: str) -> Estimate | None:
        return known.get((metric, "class", None, class_))

    metrics = [m for m in ("recall", "precision", "f1") if any(of(m, c) for c in a.classes)]
    if not metrics:  # others were asked for
        return []
    judged = metrics[-1]
    chosen, left = _worst_of([(of(judged, c), c) for c in a.classes], limits.groups)
    sized = [Column("rows", True)] if metrics[0] == "recall" else []
    rows = []
    for class_ in chosen:
        recall = of("recall", class_)
        cells = [Cell(class_), *(Cell(count(recall.n if recall else 0)) for _ in sized)]
        rows.append((*cells, *(_rate(of(m, class_)) for m in metrics)))
    columns = (Column("class"), *sized, *(Column(m, True) for m in metrics))
    note = _left_out(left, "class", "classes", f"higher {'F1' if judged == 'f1' else judged}")
    empty = [c for c in chosen if (e := of("precision", c)) is not None and e.value is None]
    why = [Items((f"precision undefined for {listed(empty, 8)}: no rows predicted as this class",), "dim")]
    return [Heading("By class"), Table(columns, limits.turned(rows), left_out=note), *(why if empty else [])]


def scores_by_class(a: Audit, known: Mapping[Key, Estimate], limits: Limits) -> list[Block]:
    """The scores of each class against the rest over all rows, where they were asked for."""

    def of(metric: str, class_: str) -> Estimate | None:
        return known.get((metric, "overall", None, class_))

    metrics = [m for m in ("roc_auc", "ece", "brier") if any(of(m, c) for c in a.classes)]
    if not metrics:
        return []
    found = [(e, c) for c in a.classes if (e := of(metrics[0], c)) is not None]
    chosen, left = _worst_of(found, limits.groups)
    rows = [(Cell(c), *(_rate(of(m, c)) for m in metrics)) for c in chosen]
    columns = (Column("class"), *(Column(m, True) for m in metrics))
    note = _left_out(left, "class", "classes", _better(metrics[0]))
    title = "Scores by class, each against the rest (--json has those of groups)"
    return [Heading(title), Table(columns, limits.turned(rows), left_out=note)]


def _worst_of(found: Sequence[tuple[Estimate | None, str]], most: int) -> tuple[list[str], int]:
    """Names by their estimate, worst first (what cannot be compared last), and how many are left."""

    def badness(item: tuple[Estimate | None, str]) -> tuple[bool, float]:
        e = item[0]
        if e is None or e.value is None:
            return True, float("inf")
        return e.status != "ok", -e.value if BY_ID[e.metric].better == "lower" else e.value

    names = [name for _, name in sorted(found, key=badness)]
    return names[:most], max(0, len(names) - most)


def _better(metric: str) -> str:
    return f"{'lower' if BY_ID[metric].better == 'lower' else 'higher'} {metric}"


def _left_out(left: int, one: str, many: str, why: str) -> str:
    return f"… and {several(left, one, many)} with {why} or too few rows (--json has all)" if left else ""


def _rate(e: Estimate | None) -> Cell:
    if e is None:
        return Cell("")
    return Cell(with_interval(e), "dim" if e.status != "ok" else "")


def by_attribute(a: Audit, known: Mapping[Key, Estimate], by: str, limits: Limits) -> list[Block]:
    """The rates of each group with their intervals, its scores, and the worst cells of a multi-class task.

    Metrics that were asked for stand in one table, whatever they are.
    """
    sizes = {g["group"]: g["n"] for g in a.groups if g["attribute"] == by}
    binary = any(("tpr", by, g, None) in known for g in sizes)
    wanted = tuple(dict.fromkeys(a.settings.metrics)) or (_BINARY if binary else _SEVERAL)
    scores = () if a.settings.metrics else _SCORES
    usual, scored = (
        [m for m in of if any((m, by, g, None) in known for g in sizes)] for of in (wanted, scores)
    )
    fewer = replace(limits, groups=min(limits.groups, _SCORED))
    return [
        *_of_groups(a, known, by, usual, limits, f"By {by}"),
        *_of_groups(a, known, by, scored, fewer, f"Scores by {by}"),
        *_cells(a, known, by, limits),
    ]


def _of_groups(
    a: Audit, known: Mapping[Key, Estimate], by: str, metrics: Sequence[str], limits: Limits, title: str
) -> list[Block]:
    """These metrics of each group, worst by the first of them, and why some are undefined."""
    if not metrics:
        return []
    sizes = {g["group"]: g["n"] for g in a.groups if g["attribute"] == by}
    chosen, left = _worst_of([(known.get((metrics[0], by, g, None)), g) for g in sizes], limits.groups)
    counted = {_DENOMINATORS[m]: m for m in reversed(metrics) if m in _DENOMINATORS}  # once, before the first
    columns = [Column(by), Column("rows", True, glued=True)]
    for metric in metrics:
        columns += [Column(of, True, glued=True) for of, m in counted.items() if m == metric]
        columns.append(Column(metric, True))
    rows = [_group_row(a, known, by, g, sizes[g], metrics, counted.values()) for g in chosen]
    note = _left_out(left, "group", "groups", _better(metrics[0]))
    table = Table(tuple(columns), limits.turned(rows), left_out=note)
    return [Heading(title), table, *_notes(known, by, chosen, metrics, limits)]


def _group_row(
    a: Audit, known: Mapping[Key, Estimate], by: str, group: str, n: int, metrics: Sequence[str],
    counted: Collection[str],
) -> tuple[Cell, ...]:  # fmt: skip
    cells = [Cell(group), Cell(count(n) + (" small" if n < a.settings.min_n else ""))]
    for metric in metrics:
        e = known.get((metric, by, group, None))
        if metric in counted:
            cells.append(Cell("" if e is None else count(e.n), "dim"))
        cells.append(_rate(e))
    return tuple(cells)


def _notes(
    known: Mapping[Key, Estimate], by: str, groups: Sequence[str], metrics: Sequence[str], limits: Limits
) -> list[Block]:
    """Why numbers of this table are undefined, or cover fewer classes."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for metric in metrics:
        for group in groups:
            e = known.get((metric, by, group, None))
            if e is not None and e.reason and e.status != "small":
                said = "undefined" if e.value is None else "shown"
                reasons.setdefault((f"{metric} {said}", e.reason), []).append(group)
    items = [f"{what} for {listed(gs, 8)}: {reason}" for (what, reason), gs in reasons.items()]
    shown = items[: limits.notes]
    if len(items) > len(shown):
        shown.append(f"… and {len(items) - len(shown)} more notes (--json has all)")
    return [Items(tuple(shown), "dim")] if shown else []


def _cells(a: Audit, known: Mapping[Key, Estimate], by: str, limits: Limits) -> list[Block]:
    """The worst class × group cells of a task with more than two classes, or where their gaps were asked for."""
    kinds = {"tpr": "recall (tpr)", "eod": "eod: gap to others"}
    cells = [e for e in a.estimates if e.metric in kinds and e.by == by and e.class_ is not None]
    shown = [m for m in kinds if any(e.metric == m for e in cells)]
    if not shown or (shown == ["eod"] and "eod" not in a.settings.metrics):
        return []
    found = [(e, str(i)) for i, e in enumerate(cells) if e.metric == shown[0]]
    chosen, left = _worst_of(found, limits.cells)
    rows = []
    for e in (cells[int(i)] for i in chosen):
        key = (by, e.group, e.class_)
        rates = (_rate(known.get((m, *key))) for m in shown)
        rows.append((Cell(e.group or ""), Cell(e.class_ or ""), Cell(count(e.n)), *rates))
    columns = (Column(by), Column("class"), Column("rows", True), *(Column(kinds[m], True) for m in shown))
    word = "recall" if shown[0] == "tpr" else "eod"
    note = _left_out(left, "cell", "cells", f"{'higher' if word == 'recall' else 'lower'} {word}")
    return [Heading(f"Each class in {by}, by {word}"), Table(columns, limits.turned(rows), 2, note)]


def panel(known: Mapping[Key, Estimate], attributes: Sequence[str], limits: Limits) -> list[Block]:
    """Minima, medians, spreads and reliance over classes and over groups."""
    found = [
        e for metric in _PANEL for by in ("class", *attributes)
        if (e := known.get((metric, by, None, None))) is not None
    ]  # fmt: skip
    if not found:
        return []
    rows = [
        (Cell(e.metric), Cell(stands_by(e.by)), _panel_value(e), Cell(_companions(e), "dim"))
        for e in found[: 2 * limits.gaps]
    ]
    columns = (Column("metric"), Column("over"), Column("value", True), Column("at (lowest → highest)"))
    note = f"… and {len(found) - len(rows)} more (--json has all)" if len(found) > len(rows) else ""
    return [Heading("Panel over classes and groups"), Table(columns, tuple(rows), 1, note)]


def _panel_value(e: Estimate) -> Cell:
    return Cell(with_interval(e), "dim" if e.value is None else "strong")


def _companions(e: Estimate) -> str:
    if e.value is None:
        return e.reason or ""
    parts = [where_attained(e)] if e.at else []
    for name, value in (e.reference or {}).items():
        if value is not None:
            parts.append(f"{name.replace('_', ' ')} {number(e.metric, value)}")
    return "; ".join(parts)


def gaps(a: Audit, known: Mapping[Key, Estimate], attributes: Sequence[str], limits: Limits) -> list[Block]:
    """The gaps and ratios between groups, ordered by their lower bounds."""
    found = [
        e for e in a.estimates
        if e.by in attributes and e.group is None
        and (BY_ID[e.metric].gap or e.metric.endswith("_ratio") or _own_macro(e, known))
    ]  # fmt: skip
    if not found:
        return []

    def badness(e: Estimate) -> tuple[int, float, float]:
        if e.value is None or e.interval is None:
            return 0, 0.0, 0.0
        ratio = e.metric.endswith("_ratio")
        return (1, -e.interval.high, -e.value) if ratio else (2, e.interval.low, e.value)

    worst_first = sorted(found, key=badness, reverse=True)[: limits.gaps]
    flagged = {(f["metric"], f["by"]) for f in a.flags}
    rows = [
        (
            Cell(("▲ " if (e.metric, e.by) in flagged else "  ") + e.metric), Cell(e.by),
            Cell(with_interval(e), "bad" if (e.metric, e.by) in flagged else ""), Cell(_companions(e), "dim"),
        )
        for e in worst_first
    ]  # fmt: skip
    columns = (Column("  gap or ratio"), Column("by"), Column("value", True), Column("lowest → highest"))
    more = len(found) - len(rows)
    note = f"… and {more} smaller ones (--json has all)" if more else ""
    order = "worst last" if limits.worst_last else "worst first"
    title = f"Gaps between groups, {order} (▲ = the whole interval is above 0)"
    return [Heading(title), Table(columns, limits.turned(rows), 1, note)]


def _own_macro(e: Estimate, known: Mapping[Key, Estimate]) -> bool:
    """`eod_macro`, where it says more than `eod_max` (a binary task has one class to average)."""
    other = known.get(("eod_max", e.by, None, None))
    return e.metric == "eod_macro" and other is not None and other.value != e.value
