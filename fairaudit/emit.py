"""From arithmetic to estimates: the few shapes every metric's output takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from fairaudit import simultaneous
from fairaudit.estimate import Estimate, undefined
from fairaudit.intervals import clipped, exact, wilson
from fairaudit.rates import Family
from fairaudit.view import View

Array = np.ndarray[Any, Any]
#: Where a stratum's number stands: `group` and `class_`, as keywords of `Estimate`.
Place = dict[str, Any]
#: The interval of single shares that can be asked for instead of Wilson's.
EXACT = "clopper-pearson"


def each(
    view: View, metric: str, family: Family, where: Sequence[Place], why: str, share: bool = True
) -> Iterator[Estimate]:
    """One estimate a stratum, each with its own interval.

    `where[k]`: `group` and `class_` of stratum k. `why`: what a stratum without a denominator lacks. `share`: whether
    it is a share of rows, so that Clopper and Pearson's interval can be asked for.
    """
    level = view.settings.level
    filled = np.flatnonzero(np.isfinite(family.shares.value))
    kind = view.settings.interval if share else "wilson"
    method = kind if family.shares.corr is None else f"{kind}-jackknife"
    bounds = simultaneous.single(family.shares.take(filled), level, exact if kind == EXACT else wilson)
    position = {int(k): i for i, k in enumerate(filled)}
    for k, place in enumerate(where):
        rows = int(family.rows[k])
        if k not in position:
            yield undefined(metric, view.by, why, rows, **place)
            continue
        i = position[k]
        value = float(bounds.value[i])
        interval = clipped(value, bounds.low[i], bounds.high[i], level, method)
        status, reason = stratum_status(view, rows)
        yield Estimate(
            metric, view.by, value, rows, interval=interval, numerator=float(family.numerator[k]),
            denominator=float(family.denominator[k]), status=status, reason=reason, **place,
        )  # fmt: skip


def stratum_status(view: View, rows: float) -> tuple[str, str | None]:
    """`small`, with the reason, for a stratum below `min_events`; else `ok`."""
    least = view.settings.min_events
    if rows >= least:
        return "ok", None
    return "small", f"{int(rows)} rows, fewer than {least}: left out of minima, maxima and gaps"


def group_places(view: View) -> list[Place]:
    """Where each group's number stands: no group name in the overall view."""
    return [{}] if view.kind != "attribute" else [{"group": g} for g in view.groups]


def over(
    view: View, metric: str, value: float, bounds: tuple[float, float], method: str, n: float, **more: Any
) -> Estimate:
    """A number over strata, with its simultaneous interval."""
    interval = clipped(value, *bounds, view.settings.level, method)
    return Estimate(metric, view.by, float(value), int(n), interval=interval, **more)


def too_few(view: View, metric: str, found: int, strata: str, needed: int = 2) -> Estimate:
    """The undefined estimate of a min, max or gap without enough evaluable strata."""
    least = view.settings.min_events
    number = {0: "no", 1: "only one"}.get(found, str(found))
    plural = strata if found != 1 else strata.removesuffix("s") if not strata.endswith("classes") else "class"
    reason = f"{number} {plural} with at least {least} rows in the denominator; {needed} needed"
    return undefined(metric, view.by, reason, int(view.rows.total().sum()))
