"""True values over the strata that a draw lets be judged, and Bonferroni–Wald intervals, for all draws at once.

Written from the definitions, apart from the library's code. `counts`: (sims, groups, classes, classes).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from statistics import NormalDist
from typing import Any

import numpy as np
from coverage_worlds import World

Array = np.ndarray[Any, Any]
MIN_EVENTS = 10
ALPHA = 0.05

#: (truth, observed, rows) of the strata of one rate: (strata,), (sims, strata), (sims, strata).
Strata = tuple[Array, Array, Array]


def _share(up: Array, down: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(up / down)


def selection(counts: Array) -> tuple[Array, Array]:
    """Rows predicted positive, rows."""
    return counts[..., 1].sum(-1), counts.sum((-1, -2))


def tpr(counts: Array) -> tuple[Array, Array]:
    """Positives found, positives."""
    return counts[..., 1, 1], counts[..., 1, :].sum(-1)


def fpr(counts: Array) -> tuple[Array, Array]:
    """Negatives called positive, negatives."""
    return counts[..., 0, 1], counts[..., 0, :].sum(-1)


def recall(counts: Array) -> tuple[Array, Array]:
    """Rows found, rows, of every cell group × class, flat."""
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    return hits.reshape(*hits.shape[:-2], -1), counts.sum(-1).reshape(*hits.shape[:-2], -1)


def strata(world: World, counts: Array, rate: Callable[[Array], tuple[Array, Array]]) -> Strata:
    """A rate in the population and in every draw."""
    up, down = rate(counts)
    return _share(*rate(world.mass)), _share(up, down), down


def _extreme(values: Array, used: Array, low: bool) -> Array:
    held = np.where(used, values, np.inf if low else -np.inf)
    return np.asarray(held.min(axis=1) if low else held.max(axis=1))


def _z(tests: Array | float) -> Array:
    tests = np.maximum(np.asarray(tests, float), 1.0)
    found = {t: -NormalDist().inv_cdf(ALPHA / (2 * t)) for t in np.unique(tests)}
    return np.vectorize(found.__getitem__, otypes=[float])(tests)


Out = tuple[Array, Array, Array]


def gap(parts: list[Strata]) -> Out:
    """Truth, low, high of the largest max − min of several rates; NaN where fewer than two strata are left."""
    truth, low, high = (np.zeros(len(parts[0][1])) for _ in range(3))
    few = np.zeros(len(truth), bool)
    for true, seen, rows in parts:
        used = rows >= MIN_EVENTS
        few |= used.sum(1) < 2
        truth = np.maximum(truth, _extreme(true[None], used, False) - _extreme(true[None], used, True))
        m = used.sum(1)
        z = _z(m * (m - 1) / 2 * len(parts))
        for i, j in combinations(range(seen.shape[1]), 2):
            both = used[:, i] & used[:, j]
            var = sum(seen[:, k] * (1 - seen[:, k]) / np.maximum(rows[:, k], 1) for k in (i, j))
            d = seen[:, i] - seen[:, j]
            a, b = _absolute(d - z * np.sqrt(var), d + z * np.sqrt(var))
            low, high = np.where(both, np.maximum(low, a), low), np.where(both, np.maximum(high, b), high)
    return np.where(few, np.nan, truth), low, np.minimum(high, 1.0)


def _absolute(low: Array, high: Array) -> tuple[Array, Array]:
    return np.maximum(0.0, np.maximum(low, -high)), np.maximum(np.abs(low), np.abs(high))


def ratio(parts: list[Strata]) -> Out:
    """Truth, low, high of the smallest min / max; Wald on the log scale (Katz), [0, 1] for pairs with a 0 in them."""
    truth, low, high = (np.ones(len(parts[0][1])) for _ in range(3))
    few = np.zeros(len(truth), bool)
    for true, seen, rows in parts:
        used = rows >= MIN_EVENTS
        top = _extreme(seen, used, False)
        few |= (used.sum(1) < 2) | (top == 0)
        truth = np.minimum(truth, _share(_extreme(true[None], used, True), _extreme(true[None], used, False)))
        m = used.sum(1)
        z = _z(m * (m - 1) / 2 * len(parts))
        for i, j in combinations(range(seen.shape[1]), 2):
            both = used[:, i] & used[:, j]
            zero = (seen[:, i] == 0) | (seen[:, j] == 0)
            with np.errstate(divide="ignore", invalid="ignore"):
                var = sum((1 / seen[:, k] - 1) / rows[:, k] for k in (i, j))
                d = np.log(seen[:, i] / seen[:, j])
                a, b = _absolute(d - z * np.sqrt(var), d + z * np.sqrt(var))
            a, b = np.where(zero, 0.0, np.exp(-b)), np.where(zero, 1.0, np.exp(-a))
            low, high = np.where(both, np.minimum(low, a), low), np.where(both, np.minimum(high, b), high)
    return np.where(few, np.nan, truth), low, high


def lowest(part: Strata) -> Out:
    """Truth, low, high of the minimum."""
    true, seen, rows = part
    used = rows >= MIN_EVENTS
    z = _z(used.sum(1))[:, None]
    half = z * np.sqrt(seen * (1 - seen) / np.maximum(rows, 1))
    truth = np.where(used.any(1), _extreme(true[None], used, True), np.nan)
    return (
        truth,
        np.maximum(_extreme(seen - half, used, True), 0),
        np.minimum(_extreme(seen + half, used, True), 1),
    )


def contrast(world: World, counts: Array) -> Out:
    """Truth, low, high of the largest |rate in a group − rate in all others|, over the classes that count."""
    kept = [world.positive] if world.positive is not None else list(range(counts.shape[-1]))
    sides = []
    for table in (world.mass[None], counts):
        hits = np.diagonal(table, axis1=-2, axis2=-1)[..., kept]
        rows = table.sum(-1)[..., kept]
        rest = [a.sum(1, keepdims=True) - a for a in (hits, rows)]
        sides.append([a.reshape(len(a), -1) for a in (hits, rows, *rest)])
    (th, tn, trh, trn), (h, n, rh, rn) = sides
    used = (n >= MIN_EVENTS) & (rn >= MIN_EVENTS)
    truth = _extreme(np.abs(th / tn - trh / trn), used, False)
    p, q = _share(h, n), _share(rh, rn)
    half = _z(used.sum(1))[:, None] * np.sqrt(
        p * (1 - p) / np.maximum(n, 1) + q * (1 - q) / np.maximum(rn, 1)
    )
    low, high = _absolute(p - q - half, p - q + half)
    truth = np.where(used.any(1), truth, np.nan)
    return truth, _extreme(low, used, False), np.minimum(_extreme(high, used, False), 1.0)


def _f1(counts: Array) -> tuple[Array, Array]:
    """2TP and 2TP + FP + FN of the classes of one group, (…, classes)."""
    c = counts[..., 0, :, :]
    return 2 * np.diagonal(c, axis1=-2, axis2=-1), c.sum(-1) + c.sum(-2)


def _f1_parts(world: World, counts: Array) -> tuple[Array, Array, Array, Array]:
    """True F1 (K,), F1 (sims, K), its delta-method covariance (sims, K, K), which classes count (sims, K)."""
    up, down = _f1(counts)
    value = _share(up, down)
    slope = np.nan_to_num(_share(value, down))
    c = counts[:, 0]
    cov = (c + np.swapaxes(c, 1, 2)) * slope[:, :, None] * slope[:, None, :]
    own = np.nan_to_num(value * (1 - value) * (2 - value) / np.maximum(down, 1))
    k = np.arange(value.shape[1])
    cov[:, k, k] = own
    used = (counts[:, 0].sum(-1) >= MIN_EVENTS) & np.isfinite(value)
    return _share(*_f1(world.mass)), value, cov, used


def f1_min(world: World, counts: Array) -> Out:
    """Truth, low, high of the smallest F1 over classes."""
    true, value, cov, used = _f1_parts(world, counts)
    half = _z(used.sum(1))[:, None] * np.sqrt(np.diagonal(cov, axis1=1, axis2=2))
    truth = np.where(used.any(1), _extreme(true[None], used, True), np.nan)
    low, high = _extreme(value - half, used, True), _extreme(value + half, used, True)
    return truth, np.maximum(low, 0.0), np.minimum(high, 1.0)


def f1_delta(world: World, counts: Array) -> Out:
    """Truth, low, high of max − min of F1 over classes, covariances counted."""
    true, value, cov, used = _f1_parts(world, counts)
    m = used.sum(1)
    z = _z(m * (m - 1) / 2)
    low, high = np.zeros(len(value)), np.zeros(len(value))
    for i, j in combinations(range(value.shape[1]), 2):
        both = used[:, i] & used[:, j]
        half = z * np.sqrt(np.maximum(cov[:, i, i] + cov[:, j, j] - 2 * cov[:, i, j], 0.0))
        d = value[:, i] - value[:, j]
        a, b = _absolute(d - half, d + half)
        low, high = np.where(both, np.maximum(low, a), low), np.where(both, np.maximum(high, b), high)
    truth = _extreme(true[None], used, False) - _extreme(true[None], used, True)
    return np.where(m >= 2, truth, np.nan), low, np.minimum(high, 1.0)


def _macro(counts: Array, recalls: bool) -> tuple[Array, Array]:
    """Macro F1 or recall of each group and its influence-function variance, (…, groups); all classes present."""
    eye = np.eye(counts.shape[-1])
    support, predicted = counts.sum(-1), counts.sum(-2)
    down = support if recalls else support + predicted
    whole = 1 if recalls else 2
    value = _share(whole * np.diagonal(counts, axis1=-2, axis2=-1), down)
    up, side = whole * (1 - value) / down, value / down
    off = side[..., :, None] + (0 if recalls else side[..., None, :])
    influence = np.where(eye, up[..., :, None], -off) / counts.shape[-1]
    return value.mean(-1), (counts * influence**2).sum((-1, -2))


def macro(world: World, counts: Array, metric: str) -> Out:
    """Truth, low, high of the panel over groups."""
    recalls = metric == "recall_min"
    true, (value, var) = _macro(world.mass, recalls)[0], _macro(counts.astype(float), recalls)
    used = counts.sum((-1, -2)) >= MIN_EVENTS
    if metric != "f1_delta":
        half = _z(used.sum(1))[:, None] * np.sqrt(var)
        low, high = _extreme(value - half, used, True), _extreme(value + half, used, True)
        return _extreme(true[None], used, True), np.maximum(low, 0.0), np.minimum(high, 1.0)
    k = value.shape[1]
    z = _z(np.full(len(value), k * (k - 1) / 2))
    bounds = [
        _absolute(value[:, i] - value[:, j] - h, value[:, i] - value[:, j] + h)
        for i, j in combinations(range(k), 2)
        for h in [z * np.sqrt(var[:, i] + var[:, j])]
    ]
    low, high = (np.max([b[side] for b in bounds], axis=0) for side in (0, 1))
    return np.full(len(value), np.ptp(true)), low, np.minimum(high, 1.0)


def truth_and_wald(world: World, counts: Array, metric: str) -> Out:
    """(true value in each draw, NaN where undefined; Wald's low; Wald's high), each (sims,)."""
    rates = {
        "demographic_parity": (selection,),
        "equal_opportunity": (tpr,),
        "equalized_odds": (tpr, fpr),
    }
    name, _, form = metric.rpartition("_")
    if name in rates:
        parts = [strata(world, counts, r) for r in rates[name]]
        return gap(parts) if form == "difference" else ratio(parts)
    if world.kind == "macro":
        return macro(world, counts, metric)
    if metric == "eod_max":
        return contrast(world, counts)
    if metric in ("worst_group_accuracy", "recall_min"):
        return lowest(strata(world, counts, recall))
    return {"f1_min": f1_min, "f1_delta": f1_delta}[metric](world, counts)
