"""What a report says about an audit, in which order: the facts, the tables, the worst number, the flags."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from fairaudit.auditing import Audit
from fairaudit.catalogue import BY_ID
from fairaudit.estimate import Estimate
from fairaudit.report.blocks import (
    Block,
    Cell,
    Column,
    Command,
    Facts,
    Heading,
    Items,
    Limits,
    Sentence,
    Table,
)
from fairaudit.report.flags import Key, flags, index, told, unseen
from fairaudit.report.words import (
    bounds,
    count,
    listed,
    number,
    several,
    stands_by,
    where_attained,
    with_interval,
)

_OVERALL = ("accuracy", "f1_macro", "recall_macro", "selection_rate", "tpr", "fpr", "ppv", "roc_auc", "ece", "brier",
            "loss", "membership_advantage")  # fmt: skip
_PANEL = ("f1_min", "f1_median", "recall_min", "f1_delta", "worst_group_accuracy", "loss_variance",
          "sensitive_accuracy", "sensitive_leakage")  # fmt: skip
_BINARY = (
    "accuracy",
    "selection_rate",
    "ppv",
    "tpr",
    "fpr",
    "roc_auc",
    "ece",
    "loss",
    "membership_advantage",
)
_SEVERAL = ("accuracy", "recall_macro", "f1_macro", "ece", "loss", "membership_advantage")
#: Whose rows stand in the denominator, where it is not every row of the group.
_DENOMINATORS = {"tpr": "positives", "fpr": "negatives"}


def page(
    a: Audit, limits: Limits, source: str = "", pinned: str = "", saved: str | None = None
) -> list[Block]:
    """The blocks of a report. A terminal (`worst_last`) ends with the flags; a document begins with them."""
    title = Heading(f"fairaudit report: {source}" if source else "fairaudit report", 1)
    known = index(a)
    attributes = tuple(dict.fromkeys(g["attribute"] for g in a.groups))
    tables = [
        *_all_rows(known),
        *_by_class(a, known, limits),
        *(b for by in attributes for b in _by_attribute(a, known, by, limits)),
        *_panel(a, known, attributes, limits),
        *_gaps(a, known, attributes, limits),
    ]
    findings = [*_worst(a, known, attributes), *_flags(a, limits, saved)]
    head = [title, Facts(tuple(_head(a, attributes)))]
    detected, warnings = _detected(a, pinned), _warnings(a, limits)
    if limits.worst_last:
        return [*head, *detected, *tables, *warnings, *findings]
    return [*head, *findings, *tables, *warnings, *detected]


def _head(a: Audit, attributes: Sequence[str]) -> Iterable[tuple[str, str]]:
    data = a.data
    yield "rows", _rows(data)
    sizes = {e.class_: e.n for e in a.estimates if e.metric == "recall" and e.by == "class"}
    classes = listed([f"{c} ({count(sizes.get(c, 0))})" for c in a.classes], 8)
    yield (
        "classes",
        f"{classes}; " + ("none is positive" if a.positive is None else f"positive: {a.positive}"),
    )
    if attributes:
        yield "groups", listed([_attribute(a, by) for by in attributes], 6)
    else:
        yield "groups", "no sensitive attribute; name one with -s COLUMN"
    columns = data["columns"]
    roles = [f"{r} {c}" for r, c in columns.items() if r not in ("sensitive", "split", "weights", "cluster")]
    if data["probabilities"]:
        roles.append(f"probabilities {listed(data['probabilities'], 3)}")
    yield "columns", ", ".join(roles)
    if data["threshold"] is not None:
        yield "threshold", f"{a.positive} is predicted at a score of {data['threshold']:g} or more"
    if data["weighted"]:
        yield "weights", f"column {columns['weights']}: every number is weighted, n counts rows"
    if data["clustered"]:
        yield "clusters", f"column {columns['cluster']}: intervals allow for rows that belong together"
    s = a.settings
    yield (
        "numbers",
        (
            f"rates and gaps in percent, [{100 * s.level:g} % interval]; those of minima and gaps hold for all groups at "
            f"once; * = fewer than {s.min_events} rows, left out of minima, maxima and gaps"
        ),
    )


def _rows(data: Mapping[str, object]) -> str:
    shown = count(int(str(data["rows"])))
    split = data["split"]
    if isinstance(split, Mapping):
        rest = count(int(str(data["left_out"])))
        shown += f" where {split['column']} is {split['value']}; {rest} others left out (--split all reads every row)"
    else:
        shown += " (every row)"
    if data["dropped"]:
        shown += f"; {count(int(str(data['dropped'])))} without label or prediction dropped"
    return shown


def _attribute(a: Audit, by: str) -> str:
    sizes = [g["n"] for g in a.groups if g["attribute"] == by]
    small = sum(n < a.settings.min_n for n in sizes)
    return f"{by} ({several(len(sizes), 'group')}{f', {small} small' if small else ''})"


def _detected(a: Audit, pinned: str) -> list[Block]:
    names = [str(d) for d in a.data["detected"]]
    if not names:
        return []
    columns = a.data["columns"]
    found = {**columns, "sensitive": ", ".join(columns["sensitive"]), "probabilities": "by their prefix"}
    shown = ", ".join(f"{n} = {found[n]}" if n in found else n for n in names)
    said = Sentence(
        f"Found by name, not named by you: {shown}." + (" This command pins them:" if pinned else "")
    )
    return [Heading("Detected"), said, *([Command(pinned)] if pinned else [])]


def _all_rows(known: Mapping[Key, Estimate]) -> list[Block]:
    rows = []
    for metric in _OVERALL:
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
    return [Heading("All rows"), Table(columns, tuple(rows))]


def _by_class(a: Audit, known: Mapping[Key, Estimate], limits: Limits) -> list[Block]:
    def of(metric: str, class_: str) -> Estimate | None:
        return known.get((metric, "class", None, class_))

    chosen, left = _worst_of([(of("f1", c), c) for c in a.classes], limits.groups)
    rows = []
    for class_ in chosen:
        recall = of("recall", class_)
        cells = [Cell(class_), Cell(count(recall.n if recall else 0))]
        cells += [_rate(of(m, class_)) for m in ("recall", "precision", "f1")]
        rows.append(tuple(cells))
    columns = (
        Column("class"),
        Column("rows", True),
        *(Column(m, True) for m in ("recall", "precision", "f1")),
    )
    note = _left_out(left, "class", "classes", "higher F1", limits)
    return [Heading("By class"), Table(columns, limits.turned(rows), left_out=note)]


def _worst_of(found: Sequence[tuple[Estimate | None, str]], most: int) -> tuple[list[str], int]:
    """Names by their estimate, worst first (those that cannot be compared after all others), and how many are left."""

    def badness(item: tuple[Estimate | None, str]) -> tuple[bool, float]:
        e = item[0]
        if e is None or e.value is None:
            return True, 2.0
        return e.status != "ok", e.value

    names = [name for _, name in sorted(found, key=badness)]
    return names[:most], max(0, len(names) - most)


def _left_out(left: int, one: str, many: str, why: str, limits: Limits) -> str:
    if not left:
        return ""
    where = "above" if not limits.worst_last else "not shown"
    return f"… and {several(left, one, many)} with {why} or too few rows, {where} (--json has all)".replace(
        ", above", ", not shown"
    )


def _rate(e: Estimate | None) -> Cell:
    if e is None:
        return Cell("")
    return Cell(with_interval(e), "dim" if e.status != "ok" else "")


def _by_attribute(a: Audit, known: Mapping[Key, Estimate], by: str, limits: Limits) -> list[Block]:
    groups = [g for g in a.groups if g["attribute"] == by]
    sizes = {g["group"]: g["n"] for g in groups}
    binary = ("tpr", by, groups[0]["group"], None) in known if groups else False
    metrics = [m for m in (_BINARY if binary else _SEVERAL) if any((m, by, g, None) in known for g in sizes)]
    chosen, left = _worst_of([(known.get(("accuracy", by, g, None)), g) for g in sizes], limits.groups)
    rows = [_group_row(a, known, by, g, sizes[g], metrics) for g in chosen]
    columns = [Column(by), Column("rows", True, glued=True)]
    for metric in metrics:
        if metric in _DENOMINATORS:
            columns.append(Column(_DENOMINATORS[metric], True, glued=True))
        columns.append(Column(metric, True))
    note = _left_out(left, "group", "groups", "higher accuracy", limits)
    blocks: list[Block] = [Heading(f"By {by}"), Table(tuple(columns), limits.turned(rows), left_out=note)]
    blocks += _notes(known, by, chosen, metrics, limits)
    if not binary:
        blocks += _cells(a, known, by, limits)
    return blocks


def _group_row(
    a: Audit, known: Mapping[Key, Estimate], by: str, group: str, n: int, metrics: Sequence[str]
) -> tuple[Cell, ...]:
    cells = [Cell(group), Cell(count(n) + (" small" if n < a.settings.min_n else ""))]
    for metric in metrics:
        e = known.get((metric, by, group, None))
        if metric in _DENOMINATORS:
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
    """The worst class × group cells of a task with more than two classes."""
    found = [
        (e, str(i))
        for i, e in enumerate(a.estimates)
        if e.metric == "tpr" and e.by == by and e.class_ is not None
    ]
    if not found:
        return []
    chosen, left = _worst_of(found, limits.cells)
    rows = []
    for i in chosen:
        e = a.estimates[int(i)]
        gap = known.get(("eod", by, e.group, e.class_))
        rows.append((Cell(e.group or ""), Cell(e.class_ or ""), Cell(count(e.n)), _rate(e), _rate(gap)))
    columns = (
        Column(by),
        Column("class"),
        Column("rows", True),
        Column("recall (tpr)", True),
        Column("eod: gap to others", True),
    )
    note = _left_out(left, "cell", "cells", "higher recall", limits)
    return [Sentence(f"Cells of class and {by}, by recall:"), Table(columns, limits.turned(rows), 2, note)]


def _panel(a: Audit, known: Mapping[Key, Estimate], attributes: Sequence[str], limits: Limits) -> list[Block]:
    found = [
        e for metric in _PANEL for by in ("class", *attributes)
        if (e := known.get((metric, by, None, None))) is not None
    ]  # fmt: skip
    rows = [
        (Cell(e.metric), Cell(stands_by(e.by)), _panel_value(e), Cell(_companions(e, by=True), "dim"))
        for e in found[: 2 * limits.gaps]
    ]
    columns = (Column("metric"), Column("over"), Column("value", True), Column("at"))
    note = f"… and {len(found) - len(rows)} more (--json has all)" if len(found) > len(rows) else ""
    return [Heading("Panel over classes and groups"), Table(columns, tuple(rows), 1, note)]


def _panel_value(e: Estimate) -> Cell:
    return Cell(with_interval(e), "dim" if e.value is None else "strong")


def _companions(e: Estimate, by: bool = False) -> str:
    if e.value is None:
        return e.reason or ""
    parts = [where_attained(e, by)] if e.at else []
    for name, value in (e.reference or {}).items():
        if value is not None:
            parts.append(f"{name.replace('_', ' ')} {number(e.metric, value)}")
    return "; ".join(parts)


def _gaps(a: Audit, known: Mapping[Key, Estimate], attributes: Sequence[str], limits: Limits) -> list[Block]:
    found = [
        e for e in a.estimates
        if e.by in attributes and e.group is None and (BY_ID[e.metric].gap or e.metric.endswith("_ratio") or _own_macro(e, known))
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
    columns = (Column("  gap or ratio"), Column("by"), Column("value", True), Column("lowest < highest"))
    more = len(found) - len(rows)
    note = f"… and {more} smaller ones (--json has all)" if more else ""
    order = "worst last" if limits.worst_last else "worst first"
    title = f"Gaps between groups, {order} (▲ = the whole interval is above 0)"
    return [Heading(title), Table(columns, limits.turned(rows), 1, note)]


def _own_macro(e: Estimate, known: Mapping[Key, Estimate]) -> bool:
    """`eod_macro`, where it says more than `eod_max` (a binary task has one class to average)."""
    other = known.get(("eod_max", e.by, None, None))
    return e.metric == "eod_macro" and other is not None and other.value != e.value


def _warnings(a: Audit, limits: Limits) -> list[Block]:
    said = [w["message"] for w in a.warnings]
    if not said:
        return []
    shown = said[: limits.notes]
    if len(said) > len(shown):
        shown.append(f"… and {len(said) - len(shown)} more warnings (--json has all)")
    return [Heading("Warnings"), Items(tuple(shown), "dim")]


def _worst(a: Audit, known: Mapping[Key, Estimate], attributes: Sequence[str]) -> list[Block]:
    """The worst number of the audit: the lowest accuracy of a class × group cell, beside that of all rows."""
    cells = [
        e
        for by in attributes
        if (e := known.get(("worst_group_accuracy", by, None, None))) and e.value is not None
    ]
    whole = known.get(("accuracy", "overall", None, None))
    if not cells or whole is None or whole.value is None:
        return []
    e = min(cells, key=lambda e: e.value or 0.0)
    at = e.at or {}
    return [
        Heading("The worst"),
        Sentence(
            f"Rows of class {at.get('class')} in {e.by}={at.get('group')}: {number(e.metric, e.value or 0.0)} % right "
            f"{bounds(e.metric, e.interval)}. All rows: {number('accuracy', whole.value)} % right.", "strong",
        ),
    ]  # fmt: skip


def _flags(a: Audit, limits: Limits, saved: str | None) -> list[Block]:
    found = flags(a)
    over_groups = [f for f in found if f.by != "class"]
    title = (
        several(len(over_groups), "gap") + " between groups above 0, beyond chance"
        if over_groups
        else "none over groups"
    )
    blocks: list[Block] = [Heading(f"Flags: {title}")]
    if found:
        shown = [told(f) for f in found[: limits.flags]]
        if len(found) > len(shown):
            shown.append(f"… and {several(len(found) - len(shown), 'smaller flag')} (--json has all)")
        blocks.append(Items(tuple(reversed(shown)) if limits.worst_last else tuple(shown), "bad"))
    not_seen = unseen(a)
    if not over_groups:
        blocks.append(Sentence("No gap between groups is shown. That is not the same as no gap:" if not_seen else
                               "No attribute was named, so no gap between groups was looked for.", "strong"))  # fmt: skip
    if not_seen:
        blocks.append(Items(tuple(not_seen)))
    return blocks + (_next(saved) if over_groups else [])


def _next(saved: str | None) -> list[Block]:
    where = saved or "audit.json"
    command = Command(f"fairaudit mitigate MODEL DATA --method fairlora --audit {where} --out repaired")
    if saved is not None:
        return [Heading("Next: repair the model, then audit it again"), command]
    first = Sentence(f"Save this audit by adding -o json:{where} to the command, then:")
    return [Heading("Next: repair the model, then audit it again"), first, command]
