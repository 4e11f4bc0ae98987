"""What a plan says: rows a group, or the smallest gap that given rows could show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fairaudit.power import Visible
from fairaudit.report.blocks import Block, Cell, Column, Facts, Heading, Limits, Sentence, Table
from fairaudit.report.words import count, number

_NUMBERS = {"min_ratio": "ratio", "max_difference": "gap", "min": "rate", "max": "rate"}


def scenario(plan: Mapping[str, Any]) -> list[Block]:
    """A plan without data (`power.scenario_record`): for each true value, the rows a group that decide."""
    what = _NUMBERS[plan["kind"]]
    rule = f"{plan['kind']} = {plan['limit']:g}, {plan['groups']} groups of equal size, α = {plan['alpha']:g} one-sided"
    facts = [
        ("rule", rule),
        ("rates", f"{number('tpr', plan['rate'])} % in all groups but the worst-off one"),
        ("power", f"{number('tpr', plan['power'])} %: the chance that so many rows decide"),
    ]
    columns = (Column(f"true {what}", True), Column("rows a group", True), Column("show"))
    cells = [
        (Cell(f"{p['true']:.3f}"), Cell("–" if p["rows"] is None else count(p["rows"])),
         Cell(p["verdict"] or "nothing, however many"))
        for p in plan["plan"]
    ]  # fmt: skip
    out: list[Block] = [Heading("fairaudit plan", 1), Facts(tuple(facts)), Table(columns, tuple(cells))]
    if (given := plan["given"]) is not None:
        ends = {v: given[v] for v in ("pass", "fail")}
        told = [f"never {v}" if e is None else f"{v} from a true {what} of {e:.3f}" for v, e in ends.items()]
        text = f"{count(given['rows'])} rows a group: {'; '.join(told)}; between them, inconclusive."
        out.append(Sentence(text, "strong"))
    out.append(Sentence(_ROWS, "dim"))
    return out


_ROWS = (
    "Rows are those in the denominator: for tpr the positives of a group, for selection_rate all of its rows."
)


def visible(
    found: Sequence[Visible], metric: str, gap: float | None, power: float, limits: Limits, source: str,
    warnings: Sequence[str] = (),
) -> list[Block]:  # fmt: skip
    """The smallest gap that each group's rows could show. `warnings`: sentences that stand beneath the tables."""
    out: list[Block] = [Heading(f"fairaudit plan: {source}", 1)]
    out.append(
        Sentence(
            f"The smallest gap in {metric} to the largest other group that a report on so many rows would flag with "
            f"{number('tpr', power)} % chance."
        )
    )
    for by in dict.fromkeys(v.by for v in found):
        mine = sorted((v for v in found if v.by == by), key=lambda v: (v.gap is not None, -(v.gap or 0.0)))
        columns = [Column(by), Column("rows", True), Column(metric, True), Column("smallest gap", True)]
        columns += [Column(f"rows for {number('tpr', gap)} points", True)] if gap is not None else []
        shown = mine[: limits.groups]
        left = f"… and {len(mine) - len(shown)} more groups" if mine[len(shown) :] else ""
        rows = [_row(v, metric, gap) for v in shown]
        out += [Heading(f"By {by}"), Table(tuple(columns), limits.turned(rows), left_out=left)]
    if any(v.gap is None for v in found):
        out.append(Sentence("none: even the largest gap there can be would probably not be flagged.", "dim"))
    if gap is not None and any(v.needed is None for v in found):
        out.append(Sentence("–: no number of rows would do, because the other groups have too few.", "dim"))
    out.append(Sentence(_ROWS, "dim"))
    return [*out, *(Sentence(text, "strong") for text in warnings)]


def _row(v: Visible, metric: str, gap: float | None) -> tuple[Cell, ...]:
    rate = "–" if v.rate is None else f"{number(metric, v.rate)} %"
    seen = "none" if v.gap is None else f"{number(metric, v.gap)} points"
    more = () if gap is None else (Cell("–" if v.needed is None else count(v.needed)),)
    return (
        Cell(v.group),
        Cell(count(v.rows), "dim"),
        Cell(rate),
        Cell(seen, "bad" if v.gap is None else ""),
        *more,
    )
