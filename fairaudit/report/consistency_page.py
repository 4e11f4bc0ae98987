"""What the check of a published table found, as blocks and as plain values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from fairaudit.consistency import (
    CONSISTENT,
    INCONCLUSIVE,
    INCONSISTENT,
    NOT_CHECKABLE,
    Check,
    Checked,
)
from fairaudit.published import PublishedTable
from fairaudit.report.blocks import Block, Cell, Column, Facts, Heading, Items, Sentence, Table

_TONES = {CONSISTENT: "good", INCONSISTENT: "bad", INCONCLUSIVE: "strong", NOT_CHECKABLE: "dim"}
#: Rows of one data set whose F1 scores and recalls imply class shares that differ by less than this agree.
_SAME_SHARE = 0.005
_WHY = (
    (
        "Two classes: what is wrongly called one class was the other, so both have the same FP + FN = E, the error. "
        "Then F1 = 2 TP / (2 TP + E), and E is the harmonic mean of 1 − F1 of both classes, whatever their shares."
    ),
    (
        "A mean over seeds is not the number of one run: it may lie above the accuracy that mean F1 scores imply, by "
        "an amount that the printed spreads bound. What only averaging could explain is inconclusive."
    ),
    (
        "Any number of classes: the accuracy lies between the smallest and the largest F1; the smallest recall is at "
        "most the accuracy and at least F1 min / (2 − F1 min); sensitive accuracy is at most that of a perfect "
        "classifier (½ on a balanced test) + the error. These hold for means over seeds too."
    ),
)


def content(table: PublishedTable, checked: Sequence[Checked], tolerance: float) -> dict[str, Any]:
    """Everything as plain values, in the unit of the file."""
    by = 100 if table.unit == "percent" else 1
    return {
        "file": table.name,
        "unit": table.unit,
        "tolerance_points": tolerance,
        "counts": {status: sum(c.status == status for c in checked) for status in _TONES},
        "unknown_metrics": list(table.unknown),
        "rows": [_row(c, by) for c in checked],
    }


def _row(c: Checked, by: int) -> dict[str, Any]:
    from fairaudit.published import KEYS

    named = {k: v for k, v in zip(KEYS, c.row.key, strict=True) if v}
    share = None if c.implied_share is None else round(by * c.implied_share, 6)
    return {**named, "tables": [t for t in c.row.tables if t], "status": c.status, "implied_class_share": share,
            "checks": [_check(k, by) for k in c.checks]}  # fmt: skip


def _check(k: Check, by: int) -> dict[str, Any]:
    numbers = {n: getattr(k, n) for n in ("reported", "implied", "low", "high")}
    shown = {n: None if v is None else round(by * v, 6) for n, v in numbers.items()}
    return {"rule": k.rule, "metric": k.metric, "status": k.status, **shown, "reason": k.reason}


def page(table: PublishedTable, checked: Sequence[Checked], tolerance: float) -> list[Block]:
    """Verdict, the numbers that disagree, every row, what could not be checked, and why the rules hold."""
    blocks: list[Block] = [
        Heading(f"Does {table.name} agree with itself?", 1),
        Facts(tuple(_facts(table, tolerance))),
    ]
    blocks.append(
        Sentence(_verdict(checked), "bad" if any(c.status == INCONSISTENT for c in checked) else "")
    )
    wrong = [(c, k) for c in checked for k in c.checks if k.status in (INCONSISTENT, INCONCLUSIVE)]
    if wrong:
        blocks += [
            Heading("What disagrees, in percent"),
            _disagreeing(wrong),
            *_undecided(wrong),
            *_shares(checked),
        ]
    blocks += [Heading("Every row"), _every(checked)]
    if (open_ := tuple(_open(checked))) or table.unknown:
        blocks += [Heading("Not checkable"), Items((*open_, *_unknown(table)), "dim")]
    return [*blocks, Heading("Why these rules hold"), Items(_WHY)]


def _facts(table: PublishedTable, tolerance: float) -> Iterator[tuple[str, str]]:
    yield "rows", str(len(table.rows))
    yield "read as", "percent" if table.unit == "percent" else "shares from 0 to 1"
    yield "tolerance", f"{tolerance:g} points, beyond the rounding of the printed decimals"


def _verdict(checked: Sequence[Checked]) -> str:
    wrong = [c for c in checked if c.status == INCONSISTENT]
    if not wrong:
        some = any(c.status != NOT_CHECKABLE for c in checked)
        return "No row contradicts itself." if some else "No row could be checked."
    return f"{len(wrong)} of {len(checked)} rows are inconsistent: no classifier has these numbers."


def _disagreeing(wrong: Sequence[tuple[Checked, Check]]) -> Table:
    columns = (Column("row"), Column("rule"), Column("printed", right=True), Column("possible", right=True))
    rows = tuple(
        (
            Cell(c.row.name, "strong"),
            Cell(k.rule),
            Cell(_percent(k.reported)),
            Cell(_bounds(k), _TONES[k.status]),
        )
        for c, k in wrong
    )
    return Table(columns, rows)


def _bounds(k: Check) -> str:
    if k.implied is not None:
        return f"{100 * k.implied:.2f}"
    low = -1.0 if k.low is None else k.low
    if low <= 0:
        return "—" if k.high is None else f"≤ {100 * k.high:.2f}"
    return f"≥ {100 * low:.2f}" if k.high is None or k.high >= 1 else f"{100 * low:.2f}–{100 * k.high:.2f}"


def _undecided(wrong: Sequence[tuple[Checked, Check]]) -> Iterator[Sentence]:
    for c, k in wrong:
        if k.status == INCONCLUSIVE:
            yield Sentence(f"{c.row.name}: {k.rule} is inconclusive, {k.reason}.", "dim")


def _shares(checked: Sequence[Checked]) -> Iterator[Sentence]:
    """Where the F1 scores and recalls of all rows agree on the test set, it is the accuracy that is out of line."""
    told = sorted((c for c in checked if c.implied_share is not None), key=lambda c: c.row.key[0])
    for dataset, group in groupby(told, key=lambda c: c.row.key[0]):
        rows = list(group)
        shares = [c.implied_share for c in rows if c.implied_share is not None]
        wrong = sum(c.status == INCONSISTENT for c in rows)
        if wrong and len(rows) > 2 and max(shares) - min(shares) < _SAME_SHARE:
            yield Sentence(
                f"The F1 scores and recalls of all {len(rows)} rows of {dataset or 'the table'} imply one share of the "
                f"rarer class ({100 * min(shares):.1f}–{100 * max(shares):.1f} %): they agree with each other, and "
                f"what disagrees is the accuracy of {wrong}."
            )


def _every(checked: Sequence[Checked]) -> Table:
    columns = (
        Column("row"),
        *(Column(name, right=True) for name in ("accuracy", "implied", "rules")),
        Column("verdict"),
    )
    rows = []
    for c in checked:
        implied = next((k.implied for k in c.checks if k.implied is not None), None)
        accuracy = c.row.numbers.get("accuracy")
        made = sum(k.status != NOT_CHECKABLE for k in c.checks)
        rows.append((Cell(c.row.name), Cell(_percent(accuracy.value if accuracy else None)), Cell(_percent(implied)),
                     Cell(f"{made}/{len(c.checks)}"), Cell(c.status, _TONES[c.status])))  # fmt: skip
    return Table(columns, tuple(rows))


def _percent(value: float | None) -> str:
    return "—" if value is None else f"{100 * value:.2f}"


def _open(checked: Sequence[Checked]) -> Iterator[str]:
    """One sentence a rule and reason, with the rows that it is about."""
    found: dict[tuple[str, str], int] = {}
    for c in checked:
        for k in c.checks:
            if k.status == NOT_CHECKABLE:
                found[k.rule, k.reason] = found.get((k.rule, k.reason), 0) + 1
    for (rule, reason), n in found.items():
        yield f"{rule}: {n} {'row' if n == 1 else 'rows'}, {reason}."


def _unknown(table: PublishedTable) -> Iterator[str]:
    if table.unknown:
        yield f"no rule uses {', '.join(table.unknown)}: not a metric of `fairaudit explain`."
