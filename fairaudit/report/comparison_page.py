"""What a report says about a repair: before beside after, worst group first, and who paid for it."""

from __future__ import annotations

from collections.abc import Sequence

from fairaudit.comparing import Change, Comparison
from fairaudit.report.blocks import Block, Cell, Column, Facts, Heading, Items, Limits, Sentence, Table
from fairaudit.report.verdict import Verdict, verdict
from fairaudit.report.words import bounds, count, hidden, listed, number, several, signed

_PANEL = ("accuracy", "recall_macro", "f1_min", "recall_min", "worst_group_accuracy", "eod_max", "eod_macro",
          "f1_delta", "demographic_parity_difference", "equalized_odds_difference", "equal_opportunity_difference",
          "predictive_parity_difference", "loss_variance", "sensitive_accuracy",
          "sensitive_leakage")  # fmt: skip
#: Rates that are the share of a class found: of the positive class, and of the other one.
_CELL_RATES = ("tpr", "tnr")


def page(c: Comparison, limits: Limits, before: str, after: str) -> list[Block]:
    """The blocks of a comparison. A terminal ends with the verdict; a document begins with it."""
    title = Heading(f"fairaudit compare: {before} → {after}", 1)
    facts = Facts(tuple(_head(c, before, after)))
    attributes = tuple(dict.fromkeys(g["attribute"] for g in c.before.groups))
    found = verdict(c)
    panel = _panel(c, "overall", "All rows")
    tables = [
        b
        for by in attributes
        for b in (*_panel(c, by, f"Over {by}"), *_groups(c, by, limits), *_cells(c, by, limits))
    ]
    told, warnings = _told(found, limits), _hidden(c)
    if limits.worst_last:
        return [title, facts, *panel, *tables, *warnings, *told]
    return [title, facts, *told, *panel, *tables, *warnings]


def _hidden(c: Comparison) -> list[Block]:
    """Which sides are made of counts of which small ones are hidden."""
    sides = {"before": hidden(c.before.warnings), "after": hidden(c.after.warnings)}
    said = tuple(f"{side}: {text}" for side, texts in sides.items() for text in texts)
    return [Heading("Warnings"), Items(said, "dim")] if said else []


def _head(c: Comparison, before: str, after: str) -> list[tuple[str, str]]:
    rows = c.rows
    if c.paired:
        sides = [k for k in ("before", "after") if rows[k] > rows["matched"]]
        left = "; ".join(f"{count(rows[k] - rows['matched'])} only {k}, left out" for k in sides)
        said = f"{count(rows['matched'])} in both, paired by id" + (f"; {left}" if left else "")
    else:
        said = f"{count(rows['before'])} before, {count(rows['after'])} after; not paired: wider intervals"
    s = c.before.settings
    numbers = (
        f"percent, changes in points with their [{100 * s.level:g} % interval]; worse, better: the whole "
        f"interval lies on one side of 0; * = fewer than {s.min_events} rows"
    )
    named = [] if (before, after) == ("before", "after") else [("before", before), ("after", after)]
    return [*named, ("rows", said), ("numbers", numbers)]


def _columns(key: str, rows: bool = True) -> tuple[Column, ...]:
    counted = (Column("rows", True),) if rows else ()
    return (Column(key), *counted, *(Column(n, True) for n in ("before", "after", "change")), Column(""))


def _row(change: Change, key: str, rows: bool = True) -> tuple[Cell, ...]:
    values = [
        Cell(
            "undefined"
            if e.value is None
            else number(e.metric, e.value) + ("*" if e.status == "small" else "")
        )
        for e in (change.before, change.after)
    ]
    tone = "bad" if change.worse else "good" if change.better else ""
    said = "–"
    if change.change is not None:
        interval = bounds(change.metric, change.interval, sign=True)
        said = f"{signed(change.metric, change.change)} {interval}".rstrip()
    mark = "worse" if change.worse else "better" if change.better else ""
    counted = [Cell(count(change.before.n), "dim")] if rows else []
    return (Cell(key), *counted, *values, Cell(said, tone), Cell(mark, tone))


def _panel(c: Comparison, by: str, title: str) -> list[Block]:
    """The numbers over one view: all rows and classes, or the groups of an attribute."""
    places = ("overall", "class") if by == "overall" else (by,)
    known = {(x.metric, x.by): x for x in c.changes if x.group is None and x.class_ is None}
    rows = [
        _row(x, f"{metric} over classes" if place == "class" else metric, rows=False)
        for metric in _PANEL for place in places
        if (x := known.get((metric, place))) is not None and not _repeats(x, known.get(("eod_max", place)))
    ]  # fmt: skip
    return [Heading(title), Table(_columns("metric", rows=False), tuple(rows))] if rows else []


def _repeats(change: Change, other: Change | None) -> bool:
    """`eod_macro` of a binary task is `eod_max` under another name."""
    return change.metric == "eod_macro" and other is not None and change.before.value == other.before.value


def _worst_first(changes: Sequence[Change]) -> list[Change]:
    """By the lower of before and after; what cannot be compared stands last."""

    def badness(change: Change) -> tuple[bool, float]:
        values = [e.value for e in (change.before, change.after) if e.value is not None]
        return change.status != "ok" or not values, min(values, default=1.0)

    return sorted(changes, key=badness)


def _groups(c: Comparison, by: str, limits: Limits) -> list[Block]:
    every = _worst_first(
        [x for x in c.changes if x.metric == "accuracy" and x.by == by and x.group is not None]
    )
    shown = every[: limits.groups]
    note = _more(len(every) - len(shown), "group")
    rows = tuple(_row(x, x.group or "") for x in shown)
    return [Heading(f"Accuracy by {by}, worst group first"), Table(_columns(by), rows, 1, note)]


def _cells(c: Comparison, by: str, limits: Limits) -> list[Block]:
    """The share of each class that is found in each group."""
    found = [x for x in c.changes if x.by == by and x.group is not None and _class_of(c, x) is not None]
    every = _worst_first(found)
    shown = every[: limits.cells]
    rows = tuple(_row(x, f"{x.group}, class {_class_of(c, x)}") for x in shown)
    if not rows:
        return []
    title = Heading(f"Share of a class found, by {by}, worst cell first")
    return [title, Table(_columns(f"{by}, class"), rows, 1, _more(len(every) - len(shown), "cell"))]


def _class_of(c: Comparison, change: Change) -> str | None:
    """The class whose share found a change is about; None for other metrics."""
    if change.metric not in _CELL_RATES:
        return None
    if change.class_ is not None or change.metric == "tpr":
        return change.class_ or c.before.positive
    others = [k for k in c.before.classes if k != c.before.positive]
    return others[0] if len(others) == 1 else f"not {c.before.positive}"


def _more(left: int, thing: str) -> str:
    return f"… and {several(left, f'better-served {thing}')} (--json has all)" if left > 0 else ""


def _told(found: Verdict, limits: Limits) -> list[Block]:
    blocks: list[Block] = [Heading("Made worse")]
    if found.worse:
        blocks.append(Items(found.worse, "bad"))
    else:
        blocks.append(
            Sentence(
                "No group is shown to be worse off: no fall is beyond chance among all that were compared (Holm)."
            )
        )
    if found.lower:
        said = f"Lower, but not beyond chance (each alone may be): {listed(found.lower, 4 * limits.notes)}."
        blocks.append(Sentence(said, "dim"))
    blocks.append(Heading("What came of it"))
    blocks += [Sentence(s, "strong") for s in found.sentences]
    if found.levelling_down:
        blocks.append(Sentence(found.levelling_down, "bad"))
    return blocks
