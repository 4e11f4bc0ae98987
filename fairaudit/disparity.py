"""Disparities: one number over the groups of an attribute, with a simultaneous interval."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import inf
from typing import Any

import numpy as np

from fairaudit import intervals, simultaneous
from fairaudit.emit import Listing, cell_listing, each, group_listing, over, stratum_status, too_few
from fairaudit.estimate import Estimate, undefined
from fairaudit.intervals import clipped
from fairaudit.rates import RATES, Family, family, named, recalls
from fairaudit.view import NO_INTERVALS, Array, Counts, View

#: What a rate without a denominator lacks, in words.
LACKS = {
    "accuracy": "no rows",
    "selection_rate": "no rows",
    "tpr": "no rows of the positive class",
    "fnr": "no rows of the positive class",
    "fpr": "no rows outside the positive class",
    "tnr": "no rows outside the positive class",
    "ppv": "no rows predicted positive",
    "npv": "no rows predicted negative",
}


def rate(view: View, metric: str) -> Iterator[Estimate]:
    """A rate of each group (of all rows in the overall view), with Wilson's interval."""
    yield from each(view, metric, named(view, metric), group_listing(view), LACKS[metric])


def recall_by_cell(view: View, metric: str) -> Iterator[Estimate]:
    """`tpr` of each class in each group: P(Ŷ = c | Y = c, S = s)."""
    yield from each(
        view, metric, view.once(recalls), cell_listing(view), "no rows of this class in this group"
    )


def difference(view: View, metric: str, rates: tuple[str, ...]) -> Iterator[Estimate]:
    """max − min over evaluable groups of a rate; of several rates, the largest of their gaps.

    fairlearn's `*_difference` (method `between_groups`). Interval: simultaneous over all pairs (and rates).
    """
    families = [named(view, r) for r in rates]
    if (few := _fewest(families)) < 2:
        yield too_few(view, metric, few, "groups")
        return
    values = [f.shares.value[f.evaluable] for f in families]
    worst = int(np.argmax([np.ptp(v) for v in values]))

    def bounds() -> tuple[float, float]:
        parts = [
            simultaneous.gap(f.shares.take(f.evaluable), view.settings.level, len(rates)) for f in families
        ]
        return max(p[0] for p in parts), max(p[1] for p in parts)

    value, n = float(np.ptp(values[worst])), sum(f.rows[f.evaluable].sum() for f in families)
    at = _extremes(view, families[worst], rates[worst] if len(rates) > 1 else None)
    yield over(view, metric, value, bounds, "simultaneous-newcombe", n, at=at)


def ratio(view: View, metric: str, rates: tuple[str, ...]) -> Iterator[Estimate]:
    """min / max over evaluable groups of a rate; of several rates, the smallest of their ratios."""
    families = [named(view, r) for r in rates]
    if (few := _fewest(families)) < 2:
        yield too_few(view, metric, few, "groups")
        return
    values = [f.shares.value[f.evaluable] for f in families]
    if any(v.max() == 0 for v in values):
        yield undefined(metric, view.by, "the rate is 0 in every group: 0 / 0", int(view.rows.total().sum()))
        return
    quotients = [float(v.min() / v.max()) for v in values]
    worst = int(np.argmin(quotients))

    def bounds() -> tuple[float, float]:
        parts = [
            simultaneous.lowest_ratio(f.shares.take(f.evaluable), view.settings.level, len(rates))
            for f in families
        ]
        return min(p[0] for p in parts), min(p[1] for p in parts)

    n = sum(f.rows[f.evaluable].sum() for f in families)
    at = _extremes(view, families[worst], rates[worst] if len(rates) > 1 else None)
    yield over(view, metric, quotients[worst], bounds, "simultaneous-mover-ratio", n, at=at)


def _fewest(families: list[Family]) -> int:
    return min(len(f.evaluable) for f in families)


def _extremes(view: View, found: Family, name: str | None) -> dict[str, str]:
    values = found.shares.value[found.evaluable]
    low, high = found.evaluable[int(values.argmin())], found.evaluable[int(values.argmax())]
    at = {"lowest": view.groups[low], "highest": view.groups[high]}
    return at | ({"rate": name} if name is not None else {})


def worst_cell(view: View, metric: str) -> Iterator[Estimate]:
    """The lowest accuracy over class × group cells: the worst-group accuracy of the Waterbirds literature."""
    found = view.once(recalls)
    if not len(found.evaluable):
        yield too_few(view, metric, 0, "cells", needed=1)
        return
    shares = found.shares.take(found.evaluable)
    group, class_ = divmod(int(found.evaluable[int(shares.value.argmin())]), len(view.classes))
    at = {"group": view.groups[group], "class": view.classes[class_]}
    n = found.rows[found.evaluable].sum()

    def bounds() -> tuple[float, float]:
        return simultaneous.smallest(shares, view.settings.level)

    yield over(view, metric, float(shares.value.min()), bounds, "simultaneous-jeffreys", n, at=at)


def to_overall(view: View, metric: str, rate: str) -> Iterator[Estimate]:
    """A group's rate minus that of all rows, which contain it: p_g − p = (1 − π_g)(p_g − p_rest).

    π_g: the group's share of the denominators. Interval: Newcombe's of group − rest, scaled alike.
    """
    positive = view.positive or 0

    def pair(c: Counts) -> tuple[Array, Array]:
        mine, rest = RATES[rate](c, positive), RATES[rate](c.rest(), positive)
        return np.concatenate([mine[0], rest[0]], axis=-1), np.concatenate([mine[1], rest[1]], axis=-1)

    found, size = family(view, pair), len(view.groups)
    mine, rest = np.arange(size), np.arange(size, 2 * size)
    with np.errstate(invalid="ignore"):
        off = 1 - found.denominator[mine] / (found.denominator[mine] + found.denominator[rest])
        value = off * (found.shares.value[mine] - found.shares.value[rest])

    def bounds() -> tuple[Array, Array]:
        z = intervals.criticals((1 - view.settings.level) / 2, found.shares.df)
        each_, corr = found.shares.bounded(z), found.shares.corr
        together = 0.0 if corr is None else corr[mine, rest]
        low, high = intervals.difference(each_.take(mine), each_.take(rest), together)
        return off * low, off * high

    why = ("no such rows in other groups", LACKS[rate])
    rows = (found.rows[mine], found.rows[rest])
    yield from _compared(view, metric, value, rows, bounds, "newcombe-scaled", group_listing(view), why)


def _compared(
    view: View, metric: str, value: Array, rows: tuple[Array, Array], bounds: Callable[[], tuple[Array, Array]],
    method: str, where: Listing, why: tuple[str, str],
) -> Iterator[Estimate]:  # fmt: skip
    """One estimate for each stratum held against all the others.

    `rows`: in the denominators of the stratum, and of the others. `why`: what is said where the others have none, and
    where the stratum has none.
    """
    ends: list[Any] = [np.full(len(value), np.nan)] * 2
    if view.settings.interval != NO_INTERVALS:
        ends = list(bounds())
    numbers = (a[where.at].tolist() for a in (value, *rows, *ends))
    for place, number, mine, others, low, high in zip(where.places, *numbers, strict=True):
        if min(mine, others) == 0:
            yield undefined(metric, view.by, why[mine == 0], int(mine), **place)
            continue
        known = low == low  # not NaN: intervals are asked for
        interval = clipped(number, low, high, view.settings.level, method) if known else None
        status, reason = stratum_status(view, min(mine, others))
        yield Estimate(
            metric, view.by, number, int(mine), interval=interval, status=status, reason=reason, **place
        )


class _Contrast:
    """Each group against all the others, class by class: the pieces of equalized opportunity differences."""

    def __init__(self, view: View, classes: list[int]) -> None:
        def pair(c: Counts) -> tuple[Array, Array]:
            r = c.rest()
            both = [
                np.stack([x[..., classes], y[..., classes]])
                for x, y in ((c.correct, r.correct), (c.support, r.support))
            ]
            return (np.moveaxis(both[0], 0, -3), np.moveaxis(both[1], 0, -3))

        found = family(view, pair)
        self.size = len(view.groups) * len(classes)
        self.shares = found.shares
        self.rows = found.rows.reshape(2, self.size)
        self.value = found.shares.value[: self.size] - found.shares.value[self.size :]
        enough = (self.rows >= view.settings.min_events).all(axis=0) & np.isfinite(self.value)
        self.evaluable = np.flatnonzero(enough[: view.listed * len(classes)])

    def bounds(self, index: Array, level: float, tests: int) -> tuple[Array, Array]:
        """Intervals of group − rest at these positions, each at 1 − α / tests: Newcombe's, or MOVER on Jeffreys' bounds
        where many are judged together.
        """
        mine, rest = self.shares.take(index), self.shares.take(index + self.size)
        df = np.minimum(mine.df, rest.df)
        z = intervals.criticals((1 - level) / (2 * max(tests, 1)), df if df.ndim else inf)
        corr = 0.0 if self.shares.corr is None else self.shares.corr[index, index + self.size]
        share = intervals.jeffreys if tests > 1 else intervals.wilson
        first, second = mine.bounded(z, share), rest.bounded(z, share)
        return intervals.difference(first, second, corr)


def eod(view: View, metric: str) -> Iterator[Estimate]:
    """|P(Ŷ = c | Y = c, S = s) − P(Ŷ = c | Y = c, S ≠ s)| of every class and group, each with its own interval."""
    contrast = view.once(_of_every_class)

    def bounds() -> tuple[Array, Array]:
        filled = np.flatnonzero(np.isfinite(contrast.value))
        out = np.full((2, contrast.size), np.nan)
        if len(filled):
            low, high = contrast.bounds(filled, view.settings.level, 1)
            out[0, filled] = np.maximum(0.0, np.maximum(low, -high))
            out[1, filled] = np.maximum(np.abs(low), np.abs(high))
        return out[0], out[1]

    why = ("no rows of this class outside this group", "no rows of this class in this group")
    rows = (contrast.rows[0], contrast.rows[1])
    value = np.abs(contrast.value)
    yield from _compared(view, metric, value, rows, bounds, "newcombe", cell_listing(view), why)


def eod_max(view: View, metric: str) -> Iterator[Estimate]:
    """The largest `eod`: over groups for the positive class (binary; FairLoRA eq. 2), else over classes and groups."""
    contrast, classes = _contrast(view)
    if not len(contrast.evaluable):
        yield _no_contrast(view, metric)
        return
    level, tests = view.settings.level, len(contrast.evaluable)

    def bounds() -> tuple[float, float]:
        low, _ = simultaneous.outer(*contrast.bounds(contrast.evaluable, level, tests))
        # only the largest one's must hold
        _, high = simultaneous.outer(*contrast.bounds(contrast.evaluable, level, 1))
        return low, high

    sizes = np.abs(contrast.value[contrast.evaluable])
    group, class_ = divmod(int(contrast.evaluable[int(sizes.argmax())]), len(classes))
    at = {"group": view.groups[group], "class": view.classes[classes[class_]]}
    n = int(view.rows.support[:, classes].sum())
    yield over(view, metric, float(sizes.max()), bounds, _method(contrast), n, at=at)


def eod_macro(view: View, metric: str) -> Iterator[Estimate]:
    """The mean over classes of the largest `eod` over groups (classes with an evaluable group; others listed)."""
    contrast, classes = _contrast(view)
    if not len(contrast.evaluable):
        yield _no_contrast(view, metric)
        return
    of_class = contrast.evaluable % len(classes)
    order = np.argsort(of_class, kind="stable")
    starts = np.flatnonzero(np.diff(of_class[order], prepend=-1))
    used = of_class[order][starts]

    def largest(numbers: Array) -> float:
        return float(np.mean(np.maximum.reduceat(numbers[order], starts)))

    def bounds() -> tuple[float, float]:
        low, high = contrast.bounds(contrast.evaluable, view.settings.level, len(contrast.evaluable))
        least = np.maximum(0.0, np.maximum(low, -high))
        return largest(least), largest(np.maximum(np.abs(low), np.abs(high)))

    value = largest(np.abs(contrast.value[contrast.evaluable]))
    absent = [view.classes[classes[c]] for c in sorted(set(range(len(classes))) - set(used.tolist()))]
    reason = f"without classes {', '.join(absent)}: too few rows" if absent else None
    n = int(view.rows.support[:, classes].sum())
    yield over(view, metric, value, bounds, _method(contrast), n, reason=reason)


def _contrast(view: View) -> tuple[_Contrast, list[int]]:
    if view.binary and view.positive is not None:
        return _Contrast(view, [view.positive]), [view.positive]
    return view.once(_of_every_class), list(range(len(view.classes)))


def _of_every_class(view: View) -> _Contrast:
    return _Contrast(view, list(range(len(view.classes))))


def _method(contrast: _Contrast) -> str:
    return "simultaneous-newcombe" if len(contrast.evaluable) == 1 else "simultaneous-mover-jeffreys"


def _no_contrast(view: View, metric: str) -> Estimate:
    least = view.settings.min_events
    reason = f"no group has at least {least} rows of a class on both sides (in it and outside it)"
    return undefined(metric, view.by, reason, int(view.rows.total().sum()))
