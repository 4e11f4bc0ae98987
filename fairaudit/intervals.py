"""Intervals, as pure functions of estimates, effective sizes and correlations. Nothing here knows about data.

Everything is built from three facts about a proportion-like estimate: its value p, its effective number of
rows m (p(1 − p)/m is its variance: rows for a count, Kish's size for weights, a jackknife's for clusters), and
its correlation with others. Wilson inverts the score test, so it holds at 0 and 1; differences and ratios are
recovered from the two Wilson intervals (Newcombe 1998, method 10; Zou & Donner 2008; Donner & Zou 2012).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import inf
from statistics import NormalDist
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
#: Above this many members, all pairs are not formed: gaps come from the members' own simultaneous bounds.
MAX_PAIRED = 100


@dataclass(frozen=True, slots=True)
class Interval:
    """`low` and `high` at `level`, and the method's name."""

    low: float
    high: float
    level: float
    method: str


@dataclass(frozen=True, slots=True, eq=False)
class Shares:
    """Proportion-like estimates judged together.

    `value`, `size`: (m,) estimates in [0, 1] and effective sizes. `corr`: (m, m) correlations, None when
    independent. `df`: degrees of freedom behind the sizes (inf, or buckets − 1 for clustered rows).
    `draws`: (B, m) studentised draws of the errors for max-T, None where closed forms hold.
    """

    value: Array
    size: Array
    corr: Array | None = None
    df: float = inf
    draws: Array | None = None

    def take(self, index: Array) -> Shares:
        """The estimates at these positions, still together."""
        corr = None if self.corr is None else self.corr[np.ix_(index, index)]
        draws = None if self.draws is None else self.draws[:, index]
        return Shares(self.value[index], self.size[index], corr, self.df, draws)


def critical(tail: float, df: float = inf) -> float:
    """The point with probability `tail` above it, normal or Student's t."""
    if df == inf:
        return NormalDist().inv_cdf(1 - tail)
    from scipy.special import stdtrit

    return float(stdtrit(df, 1 - tail))


def wilson(value: Array, size: Array, z: float) -> tuple[Array, Array]:
    """Wilson's score interval of proportions, always around the estimate.

    centre = (p + z²/2m)/(1 + z²/m), half width = z √(p(1 − p)/m + z²/4m²)/(1 + z²/m). Shapes broadcast.
    """
    value, size = np.asarray(value, float), np.asarray(size, float)
    scale = 1 + z * z / size
    centre = (value + z * z / (2 * size)) / scale
    half = z * np.sqrt(value * (1 - value) / size + z * z / (4 * size * size)) / scale
    low, high = np.maximum(centre - half, 0.0), np.minimum(centre + half, 1.0)
    return np.minimum(low, value), np.maximum(high, value)


def difference(first: Bounded, second: Bounded, corr: Array | float = 0.0) -> tuple[Array, Array]:
    """MOVER: the interval of first − second from the interval of each; Newcombe's where those are Wilson's.

    L = d − √(a² + b² − 2ρab), a = p₁ − l₁, b = u₂ − p₂; U likewise (Zou & Donner 2008).
    """
    d = first.value - second.value
    below = _combined(first.value - first.low, second.high - second.value, corr)
    above = _combined(first.high - first.value, second.value - second.low, corr)
    return d - below, d + above


def _combined(a: Array, b: Array, corr: Array | float) -> Array:
    out: Array = np.sqrt(np.maximum(a * a + b * b - 2 * corr * a * b, 0.0))
    return out


@dataclass(frozen=True, slots=True, eq=False)
class Bounded:
    """Estimates with their bounds, each (m,) or broadcastable."""

    value: Array
    low: Array
    high: Array

    def take(self, index: Array) -> Bounded:
        """The members at these positions."""
        return Bounded(self.value[index], self.low[index], self.high[index])


def ratio(first: Bounded, second: Bounded) -> tuple[Array, Array]:
    """MOVER-R: the interval of first / second of independent estimates (Donner & Zou 2012); high may be inf."""
    p1, l1, u1, p2, l2, u2 = first.value, first.low, first.high, second.value, second.low, second.high
    product = p1 * p2
    with np.errstate(divide="ignore", invalid="ignore"):
        inside_low = np.maximum(product**2 - l1 * u2 * (2 * p1 - l1) * (2 * p2 - u2), 0.0)
        low_down = u2 * (2 * p2 - u2)
        low = np.where(low_down > 0, (product - np.sqrt(inside_low)) / low_down, l1 / u2)
        inside_high = np.maximum(product**2 - u1 * l2 * (2 * p1 - u1) * (2 * p2 - l2), 0.0)
        high_down = l2 * (2 * p2 - l2)
        high = np.where(high_down > 0, (product + np.sqrt(inside_high)) / high_down, inf)
        # a bound beyond twice the estimate leaves MOVER-R's range: the plain quotient of bounds still holds
        low = np.where((2 * p2 - u2 <= 0) | ~np.isfinite(low), l1 / u2, low)
        high = np.where((2 * p1 - u1 <= 0) & (l2 > 0), u1 / l2, high)
    return np.maximum(low, 0.0), np.where(np.isnan(high), inf, high)


def gaussian_draws(corr: Array, seed: int, df: float = inf, draws: int = 4000) -> Array:
    """(draws, m) joint normal (or multivariate t) errors with these correlations, for max-T."""
    rng = np.random.default_rng([seed, 1])
    values, vectors = np.linalg.eigh(np.nan_to_num(corr))
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    z: Array = rng.standard_normal((draws, len(corr))) @ root.T
    return z if df == inf else z / np.sqrt(rng.chisquare(df, draws) / df)[:, None]


def single(shares: Shares, level: float) -> Bounded:
    """Each estimate's own interval."""
    return Bounded(shares.value, *wilson(shares.value, shares.size, critical((1 - level) / 2, shares.df)))


def family(shares: Shares, level: float, tests: int | None = None) -> Bounded:
    """Simultaneous intervals: all contain their truth with probability `level`.

    max-T where there are draws, Bonferroni over the members (or `tests`) otherwise. Never narrower than single.
    """
    alpha = 1 - level
    if shares.draws is not None and tests is None:
        z = max(critical(alpha / 2, shares.df), float(np.quantile(np.abs(shares.draws).max(axis=1), level)))
    else:
        z = critical(alpha / (2 * max(tests or len(shares.value), 1)), shares.df)
    return Bounded(shares.value, *wilson(shares.value, shares.size, z))


def smallest(bounded: Bounded) -> tuple[float, float]:
    """The interval of the minimum: [min l, min u], from simultaneous bounds."""
    return float(bounded.low.min()), float(bounded.high.min())


def middle(bounded: Bounded) -> tuple[float, float]:
    """The interval of the median: [median l, median u], from simultaneous bounds."""
    return float(np.median(bounded.low)), float(np.median(bounded.high))


def gap(shares: Shares, level: float, tests: int = 1) -> tuple[float, float]:
    """The interval of max − min, from simultaneous intervals of all pairwise differences.

    [max over pairs of max(0, l, −u), max over pairs of max(|l|, |u|)]: it contains 0 when nothing differs.
    `tests`: how many such gaps are judged together (each gets α / tests).
    """
    level = 1 - (1 - level) / tests
    size = len(shares.value)
    if size < 2:
        return 0.0, 0.0
    if size > MAX_PAIRED:
        bounds = family(shares, level)
        low = max(0.0, float(bounds.low.max() - bounds.high.min()))
        return low, float(bounds.high.max() - bounds.low.min())
    low_i, high_i = _pair_differences(shares, level)
    return outer(low_i, high_i)


def outer(low: Array, high: Array) -> tuple[float, float]:
    """The interval of max |d| from simultaneous intervals of each d."""
    return float(np.maximum(0.0, np.maximum(low, -high)).max()), float(
        np.maximum(np.abs(low), np.abs(high)).max()
    )


def _pair_differences(shares: Shares, level: float) -> tuple[Array, Array]:
    i, j = np.triu_indices(len(shares.value), 1)
    corr = 0.0 if shares.corr is None else shares.corr[i, j]
    z = pair_critical(shares, level)
    bounds = Bounded(shares.value, *wilson(shares.value, shares.size, z))
    return difference(bounds.take(i), bounds.take(j), corr)


def pair_critical(shares: Shares, level: float) -> float:
    """The critical value for all pairwise differences at once.

    Tukey–Kramer for independent estimates (conservative for unequal sizes: Hayter 1984); max-T over pairs from
    the draws; Bonferroni over pairs where neither holds. Never below the value for one difference.
    """
    alpha, size = 1 - level, len(shares.value)
    one = critical(alpha / 2, shares.df)
    if shares.draws is not None:
        return max(one, _pair_max_t(shares, level))
    if shares.corr is None and shares.df == inf:
        return max(one, tukey(size, round(level, 12)))
    return critical(alpha / (size * (size - 1)), shares.df)


def _pair_max_t(shares: Shares, level: float) -> float:
    assert shares.draws is not None
    scale = np.sqrt(np.maximum(shares.value * (1 - shares.value), 0.25 / (shares.size + 1)) / shares.size)
    i, j = np.triu_indices(len(scale), 1)
    corr = np.zeros(len(i)) if shares.corr is None else shares.corr[i, j]
    spread = np.sqrt(np.maximum(scale[i] ** 2 + scale[j] ** 2 - 2 * corr * scale[i] * scale[j], 1e-300))
    errors = shares.draws * scale
    worst = np.zeros(len(errors))
    for a in range(0, len(i), 256):  # in slices: all pairs of all draws would not fit in memory
        part = np.abs(errors[:, i[a : a + 256]] - errors[:, j[a : a + 256]]) / spread[a : a + 256]
        np.maximum(worst, part.max(axis=1), out=worst)
    return float(np.quantile(worst, level))


@lru_cache(maxsize=256)
def tukey(groups: int, level: float) -> float:
    """q/√2 with q the studentised range quantile of `groups` normals (infinite df).

    P(range ≤ q) = k ∫ φ(z) [Φ(z) − Φ(z − q)]^(k−1) dz, solved by bisection.
    """
    from scipy.special import ndtr

    z = np.linspace(-8.0, 8.0, 3201)
    density = np.exp(-z * z / 2) / np.sqrt(2 * np.pi)
    low, high = 0.0, 20.0
    for _ in range(60):
        q = (low + high) / 2
        inside = groups * float(np.sum(density * (ndtr(z) - ndtr(z - q)) ** (groups - 1))) * (z[1] - z[0])
        low, high = (q, high) if inside < level else (low, q)
    return high / float(np.sqrt(2))


def lowest_ratio(shares: Shares, level: float, tests: int = 1) -> tuple[float, float]:
    """The interval of min / max: over ordered pairs, [min l, min u] of p_i / p_j, capped at 1."""
    level = 1 - (1 - level) / tests
    size = len(shares.value)
    if size < 2:
        return 1.0, 1.0
    if size > MAX_PAIRED:
        bounds = family(shares, level)
        top = float(bounds.low.max())
        high = min(1.0, float(bounds.high.min()) / top) if top > 0 else 1.0
        return float(bounds.low.min() / bounds.high.max()), high
    i, j = (a.ravel() for a in np.indices((size, size)))
    i, j = i[i != j], j[i != j]
    bounds = Bounded(shares.value, *wilson(shares.value, shares.size, pair_critical(shares, level)))
    lows, highs = ratio(bounds.take(i), bounds.take(j))
    return min(1.0, float(lows.min())), min(1.0, float(highs.min()))


def clipped(value: float, low: float, high: float, level: float, method: str) -> Interval:
    """An `Interval` that contains its estimate (rounding aside, every method here does)."""
    return Interval(float(min(low, value)), float(max(high, value)), level, method)
