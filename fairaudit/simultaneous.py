"""Simultaneous intervals: of several estimates at once, and of their minimum, median, gap and ratio.

Percentile intervals are invalid for these (a bootstrap of max − min never covers 0 when three groups are equal).
Each function takes `Shares` and a level and returns numbers; nothing here knows about data.
"""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache
from math import inf
from typing import Any

import numpy as np

from fairaudit.intervals import (
    Bounded,
    Share,
    Shares,
    critical,
    criticals,
    difference,
    jeffreys,
    ratio,
    wilson,
)

Array = np.ndarray[Any, Any]
#: Above this many members, all pairs are not formed: gaps come from the members' own simultaneous bounds.
MAX_PAIRED = 100


def gaussian_draws(corr: Array, seed: int, df: float = inf, draws: int = 4000) -> Array:
    """(draws, m) joint normal (or multivariate t) errors with these correlations, for max-T."""
    rng = np.random.default_rng([seed, 1])
    z: Array = rng.standard_normal((draws, len(corr))) @ _root(np.nan_to_num(corr)).T
    return z if df == inf else z / np.sqrt(rng.chisquare(df, draws) / df)[:, None]


def _root(corr: Array) -> Array:
    """A lower triangle L with L Lᵀ = corr, moved towards independence as little as it takes.

    Not eigenvectors: where eigenvalues are equal, each library of linear algebra chooses others, and the draws differ.
    """
    for moved in (1e-9, 1e-6, 1e-3, 0.1):
        with suppress(np.linalg.LinAlgError):
            return np.asarray(np.linalg.cholesky((1 - moved) * corr + moved * np.eye(len(corr))))
    return np.eye(len(corr))


def _quantile(values: Array, level: float) -> float:
    """A quantile to nine digits: in the last ones machines differ that multiply matrices in other orders."""
    return round(float(np.quantile(values, level)), 9)


def single(shares: Shares, level: float, share: Share = wilson) -> Bounded:
    """Each estimate's own interval."""
    return shares.bounded(criticals((1 - level) / 2, shares.df), share)


def family(shares: Shares, level: float, tests: int | None = None) -> Bounded:
    """Simultaneous intervals: all contain their truth with probability `level`.

    max-T where there are draws, Bonferroni over the members (or `tests`) otherwise. Never narrower than single.
    """
    alpha = 1 - level
    z: Array | float
    if shares.draws is not None and tests is None:
        one = critical(alpha / 2, shares.least_df())
        z = max(one, _quantile(np.abs(shares.draws).max(axis=1), level))
    else:
        z = criticals(alpha / (2 * max(tests or len(shares.value), 1)), shares.df)
    return shares.bounded(z, jeffreys)


def smallest(shares: Shares, level: float) -> tuple[float, float]:
    """The interval of the minimum: [min l, min u], u simultaneous, l each stratum's own.

    Below needs no correction: the minimum is one of the strata, and only that one's bound must hold.
    """
    own = shares.bounded(criticals((1 - level) / 2, shares.df), jeffreys)
    return float(own.low.min()), float(family(shares, level).high.min())


def middle(shares: Shares, level: float) -> tuple[float, float]:
    """The interval of the median: [median l, median u], from simultaneous bounds."""
    bounded = family(shares, level)
    return float(np.median(bounded.low)), float(np.median(bounded.high))


def gap(shares: Shares, level: float, tests: int = 1) -> tuple[float, float]:
    """The interval of max − min: [max over pairs of max(0, l, −u), max over pairs of max(|l|, |u|)].

    The lower end from simultaneous intervals of all pairwise differences, so it is 0 when nothing differs; the upper
    end from each pair's own: only the bound of the pair with the largest gap must hold. `tests`: how many such
    gaps the largest is taken of (the lower end of each gets α / tests).
    """
    size = len(shares.value)
    if size < 2:
        return 0.0, 0.0
    joint = 1 - (1 - level) / tests
    if size > MAX_PAIRED:
        bounds = family(shares, joint)
        low = max(0.0, float(bounds.low.max() - bounds.high.min()))
        return low, float(bounds.high.max() - bounds.low.min())
    i, j = np.triu_indices(size, 1)
    together = _pair_differences(shares, i, j, pair_critical(shares, joint, i, j))
    own = _pair_differences(shares, i, j, critical((1 - level) / 2, shares.least_df()))
    return outer(*together)[0], outer(*own)[1]


def outer(low: Array, high: Array) -> tuple[float, float]:
    """The interval of max |d| from simultaneous intervals of each d."""
    return float(np.maximum(0.0, np.maximum(low, -high)).max()), float(
        np.maximum(np.abs(low), np.abs(high)).max()
    )


def _pair_differences(shares: Shares, i: Array, j: Array, z: Array | float) -> tuple[Array, Array]:
    corr = 0.0 if shares.corr is None else shares.corr[i, j]
    return difference(shares.take_pairs(i, z), shares.take_pairs(j, z), corr)


def pair_critical(shares: Shares, level: float, i: Array, j: Array) -> Array | float:
    """The critical value(s) for the pairwise differences (i, j), all at once.

    Tukey–Kramer for independent estimates (conservative for unequal sizes: Hayter 1984); max-T over pairs from
    the draws; Bonferroni over pairs where neither holds. Never below the value for one difference.
    """
    alpha, size = 1 - level, len(shares.value)
    one = critical(alpha / 2, shares.least_df())
    if shares.draws is not None:
        return max(one, _pair_max_t(shares, level))
    if not isinstance(shares.df, np.ndarray):
        return max(one, tukey(size, round(level, 12)))
    return criticals(alpha / (size * (size - 1)), np.minimum(shares.df[i], shares.df[j]))


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
    return _quantile(worst, level)


@lru_cache(maxsize=256)
def tukey(groups: int, level: float) -> float:
    """q/√2 with q the studentised range quantile of `groups` normals (infinite df).

    P(range ≤ q) = k ∫ φ(z) [Φ(z) − Φ(z − q)]^(k−1) dz, solved by bisection.
    """
    from fairaudit.special import ndtr

    z = np.linspace(-8.0, 8.0, 3201)
    density, up_to = np.exp(-z * z / 2) / np.sqrt(2 * np.pi), ndtr(z)
    low, high = 0.0, 20.0
    for _ in range(60):
        q = (low + high) / 2
        inside = groups * float(np.sum(density * (up_to - ndtr(z - q)) ** (groups - 1))) * (z[1] - z[0])
        low, high = (q, high) if inside < level else (low, q)
    return high / float(np.sqrt(2))


def lowest_ratio(shares: Shares, level: float, tests: int = 1) -> tuple[float, float]:
    """The interval of min / max: over ordered pairs, [min l, min u] of p_i / p_j, capped at 1.

    As with gaps, the end that faces 1 is simultaneous and the other is each pair's own.
    """
    size = len(shares.value)
    if size < 2:
        return 1.0, 1.0
    joint = 1 - (1 - level) / tests
    if size > MAX_PAIRED:
        bounds = family(shares, joint)
        top = float(bounds.low.max())
        high = min(1.0, float(bounds.high.min()) / top) if top > 0 else 1.0
        return float(bounds.low.min() / bounds.high.max()), high
    i, j = (a.ravel() for a in np.indices((size, size)))
    i, j = i[i != j], j[i != j]
    z = pair_critical(shares, joint, i, j)
    _, highs = ratio(shares.take_pairs(i, z), shares.take_pairs(j, z))
    own = critical((1 - level) / 2, shares.least_df())
    lows, _ = ratio(shares.take_pairs(i, own), shares.take_pairs(j, own))
    return min(1.0, float(lows.min())), min(1.0, float(highs.min()))
