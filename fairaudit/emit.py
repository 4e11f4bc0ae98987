"""From arithmetic to estimates: the few shapes every metric's output takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fairaudit import simultaneous
from fairaudit.estimate import Estimate, undefined
from fairaudit.intervals import Interval, Share, clipped, exact, wilson
from fairaudit.rates import Family
from fairaudit.view import NO_INTERVALS, View

Array = np.ndarray[Any, Any]
#: Where a stratum's number stands: `group` and `class_`, as keywords of `Estimate`.
Place = dict[str, Any]
#: The interval of single shares that can be asked for instead of Wilson's.
EXACT = "clopper-pearson"


@dataclass(frozen=True, slots=True, eq=False)
class Listing:
    """The strata that are listed one by one: where each number stands, and its position `at` among all strata."""

    places: Sequence[Place]
    at: Array


def each(
    view: View, metric: str, family: Family, where: Listing, why: str, share: bool = True, method: str = ""
) -> Iterator[Estimate]:
    """One estimate a stratum, each with its own interval.

    `why`: what a stratum without a denominator lacks. `share`: whether it is a share of rows, so that Clopper and
    Pearson's interval can be asked for. `method`: the interval's name, where it is not that of a share.
    """
    kind = view.settings.interval if share else "wilson"
    if not method:
        method = kind if family.shares.corr is None else f"{kind}-jackknife"
    intervals = own_intervals(view, family, where, method, exact if kind == EXACT else wilson)
    columns = (family.shares.value, family.rows, family.numerator, family.denominator)
    numbers = (a[where.at].tolist() for a in columns)
    for place, interval, value, n, up, down in zip(where.places, intervals, *numbers, strict=True):
        if value != value:
            yield undefined(metric, view.by, why, int(n), **place)
            continue
        status, reason = stratum_status(view, n)
        yield Estimate(
            metric, view.by, value, int(n), interval=interval, numerator=up, denominator=down, status=status,
            reason=reason, **place,
        )  # fmt: skip


def own_intervals(
    view: View, family: Family, where: Listing, method: str, share: Share = wilson
) -> list[Interval | None]:
    """Each listed estimate's own interval; None where there is no estimate, or no interval is asked for."""
    out: list[Interval | None] = [None] * len(where.at)
    filled = np.flatnonzero(np.isfinite(family.shares.value[where.at]))
    level = view.settings.level
    if view.settings.interval == NO_INTERVALS or not len(filled):
        return out
    bounds = simultaneous.single(family.shares.take(where.at[filled]), level, share)
    ends = (a.tolist() for a in (filled, bounds.value, bounds.low, bounds.high))
    for k, value, low, high in zip(*ends, strict=True):
        out[k] = clipped(value, low, high, level, method)
    return out


def stratum_status(view: View, rows: float) -> tuple[str, str | None]:
    """`small`, with the reason, for a stratum below `min_events`; else `ok`."""
    least = view.settings.min_events
    if rows >= least:
        return "ok", None
    return "small", f"{int(rows)} rows, fewer than {least}: left out of minima, maxima and gaps"


def group_places(view: View) -> list[Place]:
    """Where each group's number stands: no group name in the overall view."""
    return [{}] if view.kind != "attribute" else [{"group": g} for g in view.groups]


def class_listing(view: View) -> Listing:
    """The classes."""
    return Listing([{"class_": c} for c in view.classes], np.arange(len(view.classes)))


def group_listing(view: View) -> Listing:
    """The groups; without those that are too many, and too small, to be listed one by one."""
    return Listing(group_places(view)[: view.listed], np.arange(view.listed))


def cell_listing(view: View) -> Listing:
    """The cells of a group and a class, groups × classes flattened; without those that are not listed one by one."""
    if view.listed_cells is None:
        places = [{"group": g, "class_": c} for g in view.groups for c in view.classes]
        return Listing(places, np.arange(len(places)))
    at, classes = np.flatnonzero(view.listed_cells), view.classes
    found = (divmod(k, len(classes)) for k in at.tolist())
    return Listing([{"group": view.groups[g], "class_": classes[c]} for g, c in found], at)


def over(
    view: View, metric: str, value: float, bounds: Callable[[], tuple[float, float]], method: str, n: float,
    **more: Any,
) -> Estimate:  # fmt: skip
    """A number over strata, with its simultaneous interval: `bounds()`, where intervals are asked for."""
    interval = None
    if view.settings.interval != NO_INTERVALS:
        interval = clipped(value, *bounds(), view.settings.level, method)
    return Estimate(metric, view.by, float(value), int(n), interval=interval, **more)


def too_few(view: View, metric: str, found: int, strata: str, needed: int = 2) -> Estimate:
    """The undefined estimate of a min, max or gap without enough evaluable strata."""
    least = view.settings.min_events
    number = {0: "no", 1: "only one"}.get(found, str(found))
    plural = strata if found != 1 else strata.removesuffix("s") if not strata.endswith("classes") else "class"
    reason = f"{number} {plural} with at least {least} rows in the denominator; {needed} needed"
    return undefined(metric, view.by, reason, int(view.rows.total().sum()))
