"""Flags in plain words: what differs, between whom, by how much, and by how much at least."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fairaudit.auditing import Audit
from fairaudit.catalogue import BY_ID
from fairaudit.estimate import Estimate
from fairaudit.power import Visible, visible
from fairaudit.report.words import listed, number, stands_by, unit

Key = tuple[str, str, str | None, str | None]

#: metric -> (the rate that is compared, how it is said of rows; {c} is the positive class)
_GAPS: Mapping[str, tuple[str, str]] = {
    "demographic_parity_difference": ("selection_rate", "the share predicted {c}"),
    "equal_opportunity_difference": ("tpr", "the share of class {c} that is found (tpr)"),
    "predictive_parity_difference": ("ppv", "the share of predictions of {c} that is right (ppv)"),
    "f1_delta": ("f1_macro", "F1 (mean over classes)"),
}
_ODDS = {
    "tpr": "the share of class {c} that is found (tpr)",
    "fpr": "the share of other rows predicted {c} (fpr)",
}


@dataclass(frozen=True, slots=True)
class Flag:
    """One gap, or several names of the same gap. `low`: its smallest simultaneous lower bound."""

    metrics: tuple[str, ...]
    by: str
    value: float
    low: float
    sentence: str


def index(a: Audit) -> dict[Key, Estimate]:
    """The estimates by metric, view, group and class."""
    return {(e.metric, e.by, e.group, e.class_): e for e in a.estimates}


def flags(a: Audit) -> list[Flag]:
    """The flags of an audit, worst first: over groups by their lower bound, then over classes.

    Flags of one attribute with one value are one finding under several names (equal opportunity, equalized
    odds and eod_max of two groups, say), so they are said once.
    """
    known = index(a)
    merged: dict[tuple[str, float], list[Mapping[str, Any]]] = {}
    for f in a.flags:
        merged.setdefault((f["by"], round(f["value"], 12)), []).append(f)
    found = []
    for (by, _), same in merged.items():
        told = min(
            same, key=lambda f: _CLEAREST.index(f["metric"]) if f["metric"] in _CLEAREST else len(_CLEAREST)
        )
        low = min(f["low"] for f in same)
        names = (told["metric"], *(f["metric"] for f in same if f is not told))
        found.append(Flag(names, by, told["value"], low, _sentence(a, known, told)))
    return sorted(found, key=lambda f: (f.by == "class", -f.low, -f.value))


_CLEAREST = (
    "equal_opportunity_difference",
    "demographic_parity_difference",
    "predictive_parity_difference",
    "eod_max",
)


def _sentence(a: Audit, known: Mapping[Key, Estimate], flag: Mapping[str, Any]) -> str:
    metric, by, at = flag["metric"], flag["by"], flag["at"] or {}
    if metric == "eod_max":
        return _one_against_all(known, by, at)
    rate, words = _GAPS.get(metric, (at.get("rate", ""), _ODDS.get(at.get("rate", ""), "")))
    if by == "class":
        low, high = (_valued(known, "f1", by, None, at.get(k)) for k in ("lowest", "highest"))
        return f"class {at.get('lowest')} has the lowest F1{low}, class {at.get('highest')} the highest{high}"
    if not words or "lowest" not in at:
        return BY_ID[metric].meaning if metric in BY_ID else metric
    low, high = (_valued(known, rate, by, at[k], None) for k in ("lowest", "highest"))
    said = words.format(c=a.positive)
    return f"{said} is lowest for {by}={at['lowest']}{low} and highest for {by}={at['highest']}{high}"


def _valued(
    known: Mapping[Key, Estimate], metric: str, by: str, group: str | None, class_: str | None
) -> str:
    e = known.get((metric, by, group, class_))
    return "" if e is None or e.value is None else f" ({number(metric, e.value)} %)"


def _one_against_all(known: Mapping[Key, Estimate], by: str, at: Mapping[str, str]) -> str:
    group, class_ = at.get("group"), at.get("class")
    binary = ("tpr", by, group, None) in known
    mine = known.get(("tpr", by, group, None if binary else class_))
    overall = known.get(("recall", "class", None, class_))
    side = "less or more"
    if mine is not None and overall is not None and mine.value is not None and overall.value is not None:
        side = "less" if mine.value < overall.value else "more"
    shown = _valued(known, "tpr", by, group, None if binary else class_)
    return f"class {class_} is found {side} often in {by}={group}{shown} than in all other groups together"


def told(flag: Flag) -> str:
    """A flag as one item: name, size, lower bound, and the plain words.

    Class gaps say `classes`: they are about the task as much as about people.
    """
    metric = flag.metrics[0]
    also = f" (= {', '.join(flag.metrics[1:])})" if len(flag.metrics) > 1 else ""
    least = f"at least {number(metric, flag.low)}" if flag.low >= 0.0005 else "just above 0 at least"
    size = f"{number(metric, flag.value)}{unit(metric)}, {least}"
    return f"{stands_by(flag.by)}: {metric}{also} is {size}: {flag.sentence}."


def unseen(a: Audit) -> list[str]:
    """For each attribute, what its rows could have shown: said when nothing is flagged over its groups.

    Gaps above the upper bound of the interval are ruled out at its level. What would have been flagged, with which
    chance, is a plan (`power.visible`).
    """
    rate = "tpr" if any(e.metric == "tpr" and e.class_ is None for e in a.estimates) else "accuracy"
    rated = any(e.metric == rate and e.group is not None for e in a.estimates)  # it was asked for
    plan = visible(a, rate) if rated else []
    over_groups = [e for e in a.estimates if e.group is None and BY_ID[e.metric].gap]
    out = []
    for by in dict.fromkeys(g["attribute"] for g in a.groups):
        gaps = [e for e in over_groups if e.by == by]
        seen = [e for e in gaps if e.interval is not None]
        if not seen:
            reason = next((e.reason for e in gaps if e.reason), "no gap is defined")
            out.append(f"{by}: no gap could be computed ({reason}).")
        elif all(e.interval is not None and e.interval.low <= 0 for e in seen):
            parts = [
                f"{number(e.metric, e.interval.high)} in {e.metric}" for e in seen if e.interval is not None
            ]
            said = f"{by}: these rows do not rule out gaps up to this many points: {', '.join(parts)}."
            out.append(f"{said} {_reach(plan, by, rate) if rated else ''}".rstrip())
    return out


def _reach(plan: Sequence[Visible], by: str, rate: str) -> str:
    """What the rows of each group could have shown."""
    mine = [v for v in plan if v.by == by]
    gaps = [v for v in mine if v.gap is not None]
    if not gaps:
        return f"No gap in {rate}, however large, was likely to be flagged."
    best, worst = (f(gaps, key=lambda v: v.gap or 0.0) for f in (min, max))
    ends: dict[str, list[str]] = {}  # what prints alike is one number
    for v in (best, worst) if best is not worst else (best,):
        ends.setdefault(number(rate, v.gap or 0.0), []).append(v.group)
    size = " to ".join(f"{gap} ({', '.join(groups)})" for gap, groups in ends.items())
    unlikely = [v.group for v in mine if v.gap is None]
    blind = f"; none for {listed(unlikely, 12)}" if unlikely else ""
    return f"An 80 % chance of a flag took a gap in {rate} of {size} points{blind} (see fairaudit plan)."
