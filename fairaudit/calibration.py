"""How far stated probabilities are from observed ones, by group: calibration errors and the Brier score."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from fairaudit.emit import Place
from fairaudit.estimate import Estimate, undefined
from fairaudit.intervals import Interval, clipped, critical, wilson
from fairaudit.reading.grid import CALIBRATION_BINS
from fairaudit.scores import Scored, kish, scored, sized
from fairaudit.view import View

Array = np.ndarray[Any, Any]
DRAWS = 4000


def _of_width(g: Scored) -> Array:
    return g.calibration


def _of_mass(g: Scored) -> Array:
    """(cells,): the calibration bin of each, 15 that hold the same share of the group's mass.

    A score bin is never divided: it is where its middle row is, so that equal scores stand together.
    """
    scores, at = np.unique(g.bin, return_inverse=True)
    mass = np.bincount(at, g.mass, len(scores))
    # one rounding, so that a middle row at an edge is there in every engine
    bins = ((np.cumsum(mass) - mass / 2) * CALIBRATION_BINS / mass.sum()).astype(np.int64)
    out: Array = np.minimum(bins, CALIBRATION_BINS - 1)[at]
    return out


def _error(view: View, metric: str, bins: Callable[[Scored], Array]) -> Iterator[Estimate]:
    """Expected calibration error: Σ_b (n_b/n) |mean outcome − mean score| over 15 bins.

    Binary: the positive class against its probability; multi-class: correctness against the top probability.
    A calibrated model has ECE above 0 by chance: `reference["calibrated"]` is its expectation here. Interval:
    the estimate ± the quantile of Σ_b |ε_b|, which holds by the triangle inequality.
    """
    rng = np.random.default_rng([view.settings.seed, 3])
    for place, g in scored(view):
        rows, total = int(g.rows.sum()), g.mass.sum()
        if rows == 0:
            yield undefined(metric, view.by, "no rows", 0, **place)
            continue
        kinds, at = np.unique(bins(g), return_inverse=True)
        mass, squares, hits, score = (
            np.bincount(at, x, len(kinds)) for x in (g.mass, g.squares, g.mass * g.outcome, g.score)
        )
        value = float(np.abs(hits - score).sum() / total)
        # the weight of one row; half a row of each outcome keeps a full bin from looking certain
        unit = squares / mass
        rate, stated = (hits + unit / 2) / (mass + unit), np.clip(score / mass, 0, 1)
        spread, calm = (np.sqrt(squares * p * (1 - p)) / total for p in (rate, stated))
        if g.bucket is not None:
            spread = _spread(g, at, total, spread)
        noise = np.abs(rng.standard_normal((DRAWS, len(spread))) * spread).sum(axis=1)
        reach = float(np.quantile(noise, view.settings.level))
        interval = clipped(
            value, max(0.0, value - reach), min(1.0, value + reach), view.settings.level, "norm-ball"
        )
        reference = {"calibrated": float(calm.sum() * np.sqrt(2 / np.pi))}
        yield _with_status(view, metric, value, rows, interval, place, reference)


#: Over 15 bins of equal width (1 in the last), and over 15 that hold the same share of each group's rows.
ece, ece_mass = (partial(_error, bins=bins) for bins in (_of_width, _of_mass))


def _spread(g: Scored, at: Array, total: float, spread: Array) -> Array:
    """Standard errors (bins,) of each bin's Σ(outcome − score)/n from buckets of clusters, never below zero."""
    assert g.bucket is not None
    buckets, b = np.unique(g.bucket, return_inverse=True)
    sums = np.zeros((len(buckets), len(spread)))
    np.add.at(sums, (b, at), g.mass * g.outcome - g.score)
    out: Array = np.sqrt(len(buckets) * sums.var(axis=0)) / total
    return np.where(out > 0, out, spread)


def brier(view: View, metric: str) -> Iterator[Estimate]:
    """Mean squared distance of the score from the outcome (binary; of the top label for several classes)."""
    for place, g in scored(view):
        rows, total = int(g.rows.sum()), float(g.mass.sum())
        if rows == 0:
            yield undefined(metric, view.by, "no rows", 0, **place)
            continue
        error = g.score2 - 2 * g.outcome * g.score + g.outcome * g.mass
        value = float(np.clip(error.sum() / total, 0.0, 1.0))
        size, df = sized(value, *_variance(g, error, value), kish(g.mass, g.squares))
        low, high = wilson(np.array(value), np.array(size), critical((1 - view.settings.level) / 2, df))
        method = "wilson-influence" if g.bucket is None else "wilson-jackknife"
        interval = clipped(value, float(low), float(high), view.settings.level, method)
        yield _with_status(view, metric, value, rows, interval, place, None)


def _variance(g: Scored, error: Array, value: float) -> tuple[float, float]:
    """Variance of the mean squared error and its degrees of freedom, from cells or from buckets of clusters."""
    total = float(g.mass.sum())
    if g.bucket is None:
        spread = float((g.mass * (error / g.mass - value) ** 2).sum() / total)
        return spread / max(kish(g.mass, g.squares) - 1, 1), np.inf
    buckets, b = np.unique(g.bucket, return_inverse=True)
    if len(buckets) < 2:
        return 0.0, 0.0
    left = (error.sum() - np.bincount(b, error)) / (total - np.bincount(b, g.mass))
    return (len(buckets) - 1) * float(np.var(left)), len(buckets) - 1.0


def _with_status(
    view: View,
    metric: str,
    value: float,
    rows: int,
    interval: Interval,
    place: Place,
    reference: Mapping[str, float | None] | None,
) -> Estimate:
    small = rows < view.settings.min_events
    reason = f"{rows} rows, fewer than {view.settings.min_events}" if small else None
    return Estimate(
        metric, view.by, value, rows, interval=interval, status="small" if small else "ok", reason=reason,
        reference=reference, **place,
    )  # fmt: skip
