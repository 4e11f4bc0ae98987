"""Coverage of a single rate's interval, exactly: summed over the binomial, nothing simulated.

C(p) = Σ_x P(X = x) 1[low(x) ≤ p ≤ high(x)] jumps at the intervals' ends, so its lowest values are looked for there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from scipy.special import bdtr, betaincinv

from fairaudit.intervals import critical, jeffreys, wilson

Array = np.ndarray[Any, Any]
Bounds = Callable[[Array, int], tuple[Array, Array]]

SIZES = (20, 30, 50, 100, 200, 500, 1_000, 2_000, 10_000)
EVERY_SIZE = range(20, 2_001)
LEVEL, EVENTS, GRID = 0.95, 10, 4_000
EPS = 1e-9
#: Below the events that the target speaks of: how deep it dips there.
FEWER = (5, 1, 0.1)


def clopper_pearson(hits: Array, rows: int) -> tuple[Array, Array]:
    """Quantiles of beta(x, n − x + 1) and beta(x + 1, n − x), written apart from the library's as a check."""
    tail = (1 - LEVEL) / 2
    with np.errstate(invalid="ignore"):
        low = np.where(hits > 0, betaincinv(np.maximum(hits, 1), rows - hits + 1, tail), 0.0)
        high = np.where(hits < rows, betaincinv(hits + 1, np.maximum(rows - hits, 1), 1 - tail), 1.0)
    return low, high


METHODS: dict[str, Bounds] = {
    "wilson": lambda x, n: wilson(x / n, np.full(len(x), float(n)), critical((1 - LEVEL) / 2)),
    "clopper-pearson": clopper_pearson,
    "jeffreys": lambda x, n: jeffreys(x / n, np.full(len(x), float(n)), critical((1 - LEVEL) / 2)),
    "wald": lambda x, n: _wald(x / n, n),
}


def _wald(p: Array, n: int) -> tuple[Array, Array]:
    half = critical((1 - LEVEL) / 2) * np.sqrt(p * (1 - p) / n)
    return p - half, p + half


def coverage(low: Array, high: Array, rates: Array) -> Array:
    """Exact coverage at each base rate; the bounds rise with the count, so the counts that cover are consecutive."""
    rows = len(low) - 1
    first = np.searchsorted(
        high, rates - EPS * rates
    )  # the lowest count whose interval reaches up to the rate
    last = np.searchsorted(low, rates + EPS * rates, side="right") - 1
    below = np.where(first > 0, bdtr(np.maximum(first - 1, 0.0), rows, rates), 0.0)
    return np.where(first <= last, bdtr(np.maximum(last, 0).astype(float), rows, rates) - below, 0.0)


def _judged(rows: int, events: float = EVENTS) -> tuple[float, float]:
    """Base rates with at least so many expected events and non-events."""
    return events / rows, 1 - events / rows


def lowest(low: Array, high: Array, events: float = EVENTS) -> tuple[float, float]:
    """(lowest coverage, base rate) where so many events and non-events are expected: beside every interval's end."""
    rows = len(low) - 1
    ends = np.concatenate([low, high])
    start, stop = _judged(rows, events)
    near = np.concatenate([ends * (1 - 1e-7), ends * (1 + 1e-7), np.array([start, stop])])
    near = near[(near >= start) & (near <= stop)]
    found = coverage(low, high, near)
    k = int(found.argmin())
    return float(found[k]), float(near[k])


def sized(method: str, rows: int) -> dict[str, Any]:
    """Mean coverage over base rates uniform in (0, 1), the lowest, and the mean width."""
    hits = np.arange(rows + 1.0)
    low, high = METHODS[method](hits, rows)
    rates = (np.arange(GRID) + 0.5) / GRID
    found = coverage(low, high, rates)
    worst, at = lowest(low, high)
    start, stop = _judged(rows)
    inside = found[(rates >= start) & (rates <= stop)]
    return {
        "method": method, "rows": rows, "mean": round(float(found.mean()), 5),
        "mean_judged": round(float(inside.mean()), 5) if len(inside) else None,
        "below_935": round(float((inside < 0.935).mean()), 5) if len(inside) else None,
        "lowest": round(worst, 5), "lowest_at": round(at, 6),
        **{f"lowest_{k}_events": round(lowest(low, high, k)[0], 5) for k in FEWER},
        "mean_width": round(float((high - low).mean()), 6),
    }  # fmt: skip


def curves(rows: int) -> dict[str, list[float]]:
    """Coverage by base rate, for the plot."""
    rates = np.linspace(0.001, 0.5, 1200)
    hits = np.arange(rows + 1.0)
    out = {m: coverage(*METHODS[m](hits, rows), rates) for m in ("wilson", "clopper-pearson")}
    return {"rate": rates.round(6).tolist(), **{m: c.round(5).tolist() for m, c in out.items()}}


def run() -> Iterator[dict[str, Any]]:
    """The records of every method and size, then the worst points of Wilson over all sizes."""
    for method in METHODS:
        for rows in SIZES:
            yield sized(method, rows)


def dips() -> dict[str, Any]:
    """Where Wilson is lowest over every number of rows in `EVERY_SIZE`: the points, and how often below 93 %."""
    worst, means = [], []
    for rows in EVERY_SIZE:
        low, high = METHODS["wilson"](np.arange(rows + 1.0), rows)
        worst.append((*lowest(low, high), rows))
        means.append(float(coverage(low, high, (np.arange(400) + 0.5) / 400).mean()))
    deepest = sorted(worst)[:5]
    return {
        "sizes": [EVERY_SIZE.start, EVERY_SIZE.stop - 1],
        "lowest": [{"coverage": round(c, 5), "rate": round(p, 5), "rows": n} for c, p, n in deepest],
        "lowest_mean": round(min(means), 5),
        "sizes_with_a_point_below_93": sum(c < 0.93 for c, _, _ in worst),
        "sizes_with_a_point_below_92": sum(c < 0.92 for c, _, _ in worst),
    }
