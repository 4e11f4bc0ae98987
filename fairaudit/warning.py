"""What an audit says about its rows beside the numbers: what is small, left out, not listed, not asked for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fairaudit.estimate import Estimate
from fairaudit.labels import is_number
from fairaudit.tallies.tally import Tally
from fairaudit.view import NO_INTERVALS, View

#: An attribute with more numbers than this was probably meant to be binned.
MANY_NUMBERS = 20
#: What the rows left out (other than by the split, which every output shows) have to say for themselves.
_LEFT_OUT = {
    "dropped": "without label or prediction were left out",
    "unscored": "have no score and are left out of the numbers that come from scores",
    "unmatched": "have no partner in the joined file and were left out",
    "zero_weight": "have weight 0 and were left out",
}
Warnings = list[dict[str, str]]


def warnings(tally: Tally, views: Sequence[View], found: Sequence[Estimate]) -> Warnings:
    """The warnings of an audit as records of code and message, in the order of its views."""
    out = [*tally.warnings, *(w for view in views[2:] for w in _groups(view))]
    out += _strata(found)
    for why, text in _LEFT_OUT.items():
        if n := tally.left_out.get(why, 0):
            out.append({"code": why, "message": f"{n} rows {text}"})
    whole = views[0]
    if whole.positive is None and len(whole.classes) == 2:
        both = " or ".join(whole.classes)
        message = f"no positive class is declared, so rates by group are left out; say --positive {both}"
        out.append({"code": "no_positive", "message": message})
    numbers = [c for c in whole.classes if is_number(c)]
    if numbers and len(numbers) < len(whole.classes):
        word = next(c for c in whole.classes if not is_number(c))
        message = (
            f"some classes are numbers ({numbers[0]}), some words ({word}): were parts written differently?"
        )
        out.append({"code": "mixed_labels", "message": message})
    if "member" in whole.labels.axes:
        n = int(whole.labels.where("member", "1").measures["count"].sum())
        message = (
            f"{n} rows are members (training rows); every number counts them, --split can leave them out"
        )
        out.append({"code": "members", "message": message})
    if whole.settings.interval == NO_INTERVALS:
        message = "no intervals were asked for (--interval none), so nothing is flagged"
        out.append({"code": "no_intervals", "message": message})
    return out


def _groups(view: View) -> Warnings:
    out, total = [], view.rows.total()[: view.listed]
    if len(view.groups) > MANY_NUMBERS and sum(is_number(g) for g in view.groups) > MANY_NUMBERS:
        message = (
            f"{view.by} has {len(view.groups)} numeric values; --bins {view.by}=EDGE,… makes groups of them"
        )
        out.append({"code": "many_numbers", "message": message})
    for k in np.flatnonzero(total < view.settings.min_n).tolist():
        message = f"{view.by}={view.groups[k]} has {int(total[k])} rows"
        out.append({"code": "small_group", "message": message})
    if view.unfolded is not None:
        every = len(view.unfolded.groups)
        out.append(_unlisted(view, "groups", every - view.listed, every))
    if view.listed_cells is not None:
        cells = view.listed_cells[: view.listed]
        if left := int(cells.size - cells.sum()):
            out.append(_unlisted(view, "cells of a class and a group", left, cells.size))
    return out


def _unlisted(view: View, what: str, left: int, every: int) -> dict[str, str]:
    """How many strata are too many, and too small, to be listed one by one."""
    least = view.settings.min_events
    message = (
        f"{view.by}: {left} of {every} {what} have fewer than {least} rows and are not listed one by one; "
        "their rows count in everything else"
    )
    return {"code": "unlisted", "message": message}


def _strata(found: Sequence[Estimate]) -> Warnings:
    """The groups and classes that minima, maxima and gaps leave out, each with the numbers concerned."""
    left: dict[tuple[str, str], list[str]] = {}
    for e in found:
        if e.status == "ok" or e.by == "overall" or e.metric in ("eod", "precision"):
            continue
        stratum = e.group if e.group is not None else e.class_
        if stratum is not None:
            name = e.metric if e.class_ is None or e.group is None else f"{e.metric}[{e.class_}]"
            left.setdefault((e.by, stratum), []).append(f"{name} {e.status}")
    out = []
    for (by, stratum), what in left.items():
        shown = ", ".join(what[:4]) + (f" and {len(what) - 4} more" if len(what) > 4 else "")
        message = f"{by}={stratum}: left out of minima, maxima and gaps: {shown}"
        out.append({"code": "small_stratum", "message": message})
    return out
