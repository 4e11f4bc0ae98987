"""Disparities: one number over the groups of an attribute, with a simultaneous interval."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

import numpy as np

from fairaudit import intervals, simultaneous
from fairaudit.emit import Place, each, group_places, over, stratum_status, too_few
from fairaudit.estimate import Estimate, undefined
from fairaudit.intervals import clipped
from fairaudit.rates import RATES, Family, family, named, recalls
from fairaudit.view import Array, Counts, View

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
    yield from each(view, metric, named(view, metric), group_places(view), LACKS[metric])


def recall_by_cell(view: View, metric: str) -> Iterator[Estimate]:
    """`tpr` of each class in each group: P(Ŷ = c | Y = c, S = s)."""
    where: list[Place] = [{"group": g, "class_": c} for g in view.groups for c in view.classes]
    yield from each(view, metric, recalls(view), where, "no rows of this class in this group")


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
    parts = [simultaneous.gap(f.shares.take(f.evaluable), view.settings.level, len(rates)) for f in families]
    bounds = (max(p[0] for p in parts), max(p[1] for p in parts))
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
    parts = [
        simultaneous.lowest_ratio(f.shares.take(f.evaluable), view.settings.level, len(rates))
        for f in families
    ]
    bounds = (min(p[0] for p in parts), min(p[1] for p in parts))
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
    found = recalls(view)
    if not len(found.evaluable):
        yield too_few(view, metric, 0, "cells", needed=1)
        return
    shares = found.shares.take(found.evaluable)
    k = int(found.evaluable[int(shares.value.argmin())])
    group, class_ = divmod(k, len(view.classes))
    bounds = simultaneous.smallest(shares, view.settings.level)
    at = {"group": view.groups[group], "class": view.classes[class_]}
    yield over(
        view,
        metric,
        float(shares.value.min()),
        bounds,
        "simultaneous-jeffreys",
        found.rows[found.evaluable].sum(),
        at=at,
    )


def to_overall(view: View, metric: str, rate: str) -> Iterator[Estimate]:
    """A group's rate minus that of all rows, which contain it: p_g − p = (1 − π_g)(p_g − p_rest).

    π_g: the group's share of the denominators. Interval: Newcombe's of group − rest, scaled alike.
    """
    positive = view.positive or 0

    def pair(c: Counts) -> tuple[Array, Array]:
        mine, rest = RATES[rate](c, positive), RATES[rate](c.rest(), positive)
        return np.concatenate([mine[0], rest[0]], axis=-1), np.concatenate([mine[1], rest[1]], axis=-1)

    found, size = family(view, pair), len(view.groups)
    z = intervals.criticals((1 - view.settings.level) / 2, found.shares.df)
    bounds = found.shares.bounded(z)
    for g, group in enumerate(view.groups):
        mine, rest = (int(found.rows[k]) for k in (g, g + size))
        if min(mine, rest) == 0:
            why = LACKS[rate] if mine == 0 else "no such rows in other groups"
            yield undefined(metric, view.by, why, mine, group=group)
            continue
        corr = 0.0 if found.shares.corr is None else float(found.shares.corr[g, g + size])
        low, high = intervals.difference(bounds.take(np.array(g)), bounds.take(np.array(g + size)), corr)
        share = found.denominator[g] / (found.denominator[g] + found.denominator[g + size])
        value = float(1 - share) * float(found.shares.value[g] - found.shares.value[g + size])
        ends = (float(1 - share) * float(low), float(1 - share) * float(high))
        status, reason = stratum_status(view, min(mine, rest))
        interval = clipped(value, *ends, view.settings.level, "newcombe-scaled")
        yield Estimate(metric, view.by, value, mine, group, interval=interval, status=status, reason=reason)


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
        self.evaluable = np.flatnonzero(
            (self.rows >= view.settings.min_events).all(axis=0) & np.isfinite(self.value)
        )

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
    contrast = _Contrast(view, list(range(len(view.classes))))
    filled = np.flatnonzero(np.isfinite(contrast.value))
    low, high = contrast.bounds(filled, view.settings.level, 1) if len(filled) else (filled, filled)
    position = {int(k): i for i, k in enumerate(filled)}
    for k in range(contrast.size):
        group, class_ = divmod(k, len(view.classes))
        place: Place = {"group": view.groups[group], "class_": view.classes[class_]}
        mine, rest = (int(r) for r in contrast.rows[:, k])
        if k not in position:
            side = "in this group" if mine == 0 else "outside this group"
            yield undefined(metric, view.by, f"no rows of this class {side}", mine, **place)
            continue
        i = position[k]
        value = abs(float(contrast.value[k]))
        bounds = simultaneous.outer(low[i : i + 1], high[i : i + 1])
        status, reason = stratum_status(view, min(mine, rest))
        interval = clipped(value, *bounds, view.settings.level, "newcombe")
        yield Estimate(metric, view.by, value, mine, interval=interval, status=status, reason=reason, **place)


def eod_max(view: View, metric: str) -> Iterator[Estimate]:
    """The largest `eod`: over groups for the positive class (binary; FairLoRA eq. 2), else over classes and groups."""
    contrast, classes = _contrast(view)
    if not len(contrast.evaluable):
        yield _no_contrast(view, metric)
        return
    level, tests = view.settings.level, len(contrast.evaluable)
    low, _ = simultaneous.outer(*contrast.bounds(contrast.evaluable, level, tests))
    _, high = simultaneous.outer(
        *contrast.bounds(contrast.evaluable, level, 1)
    )  # only the largest one's must hold
    sizes = np.abs(contrast.value[contrast.evaluable])
    group, class_ = divmod(int(contrast.evaluable[int(sizes.argmax())]), len(classes))
    at = {"group": view.groups[group], "class": view.classes[classes[class_]]}
    n = int(view.rows.support[:, classes].sum())
    yield over(view, metric, float(sizes.max()), (low, high), _method(contrast), n, at=at)


def eod_macro(view: View, metric: str) -> Iterator[Estimate]:
    """The mean over classes of the largest `eod` over groups (classes with an evaluable group; others listed)."""
    contrast, classes = _contrast(view)
    if not len(contrast.evaluable):
        yield _no_contrast(view, metric)
        return
    low, high = contrast.bounds(contrast.evaluable, view.settings.level, len(contrast.evaluable))
    of_class = contrast.evaluable % len(classes)
    used = sorted(set(of_class.tolist()))
    sizes = np.abs(contrast.value[contrast.evaluable])
    value = float(np.mean([sizes[of_class == c].max() for c in used]))
    parts = [simultaneous.outer(low[of_class == c], high[of_class == c]) for c in used]
    bounds = (float(np.mean([p[0] for p in parts])), float(np.mean([p[1] for p in parts])))
    absent = [view.classes[classes[c]] for c in range(len(classes)) if c not in used]
    reason = f"without classes {', '.join(absent)}: too few rows" if absent else None
    n = int(view.rows.support[:, classes].sum())
    yield over(view, metric, value, bounds, _method(contrast), n, reason=reason)


def _contrast(view: View) -> tuple[_Contrast, list[int]]:
    classes = [view.positive] if view.binary and view.positive is not None else list(range(len(view.classes)))
    return _Contrast(view, classes), classes


def _method(contrast: _Contrast) -> str:
    return "simultaneous-newcombe" if len(contrast.evaluable) == 1 else "simultaneous-mover-jeffreys"


def _no_contrast(view: View, metric: str) -> Estimate:
    least = view.settings.min_events
    reason = f"no group has at least {least} rows of a class on both sides (in it and outside it)"
    return undefined(metric, view.by, reason, int(view.rows.total().sum()))
