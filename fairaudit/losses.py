"""Losses of classes and groups: their means, and the variance between them (FairLoRA §5)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from fairaudit.emit import class_listing, group_listing, over, stratum_status, too_few
from fairaudit.estimate import Estimate, undefined
from fairaudit.intervals import Interval, criticals
from fairaudit.view import NO_INTERVALS, View

Array = np.ndarray[Any, Any]
#: A mean over many strata hardly varies from one draw to the next, so of many strata fewer are drawn.
DRAWS, FEWEST_DRAWS, MOST_NUMBERS = 4000, 200, 8_000_000


class _Strata:
    """Mean loss L, variance of that mean and rows of each stratum, all (m,).

    `errors`: (buckets, m) of clustered rows, None otherwise: their products add up to the jackknife's covariance, which
    is never formed, because there may be many strata.
    """

    def __init__(self, view: View) -> None:
        axis = "y_true" if view.kind == "class" else "group"
        cube = view.labels
        self.names = view.classes if view.kind == "class" else view.groups
        self.rows = cube.dense("count", (axis,))
        mass = cube.dense(view.mass_name, (axis,))
        squares = cube.dense("w2", (axis,)) if "w2" in cube.measures else self.rows
        total, total2 = cube.dense("loss", (axis,)), cube.dense("loss2", (axis,))
        with np.errstate(divide="ignore", invalid="ignore"):
            self.mean = np.where(mass > 0, total / mass, np.nan)
            size = mass**2 / squares
            spread = np.maximum(total2 / mass - self.mean**2, 0.0) * size / (size - 1)
            self.var = np.where(size > 1, spread / size, np.nan)
        self.df = np.maximum(np.nan_to_num(size) - 1, 1.0)
        self.errors: Array | None = None
        if "bucket" in cube.axes:
            by = cube.dense("loss", ("bucket", axis)), cube.dense(view.mass_name, ("bucket", axis))
            with np.errstate(divide="ignore", invalid="ignore"):
                replicates = (total - by[0]) / (mass - by[1])
            held = np.maximum((by[1] > 0).sum(axis=0), 1)
            found = np.where(np.isfinite(replicates), replicates, self.mean)
            buckets = len(found)
            self.errors = (found - found.mean(axis=0)) * np.sqrt((buckets - 1) / buckets * (held - 1) / held)
            self.var = np.where(held > 1, (self.errors**2).sum(axis=0), np.nan)
            self.df = np.maximum(held - 1.0, 1.0)


def mean_loss(view: View, metric: str) -> Iterator[Estimate]:
    """The mean cross-entropy of each class, each group, or all rows, with Student's interval."""
    strata = view.once(_Strata)
    t = criticals((1 - view.settings.level) / 2, strata.df)
    assert isinstance(t, np.ndarray)
    method = "student-t" if strata.errors is None else "t-jackknife"
    half = t * np.sqrt(strata.var) if view.settings.interval != NO_INTERVALS else np.full(len(t), np.nan)
    where = class_listing(view) if view.kind == "class" else group_listing(view)
    numbers = (a[where.at].tolist() for a in (strata.rows, strata.mean, half))
    for place, n, value, reach in zip(where.places, *numbers, strict=True):
        if not np.isfinite(value):
            yield undefined(metric, view.by, "no rows", int(n), **place)
            continue
        interval = None if reach != reach else Interval(
            max(0.0, min(value, value - reach)), value + reach, view.settings.level, method)  # fmt: skip
        status, reason = stratum_status(view, n)
        yield Estimate(
            metric, view.by, value, int(n), interval=interval, status=status, reason=reason, **place
        )


def loss_variance(view: View, metric: str) -> Iterator[Estimate]:
    """(1/G) Σ (L_g − L̄)² over evaluable strata, beside its bias-corrected value.

    Equal strata give (1 − 1/G) σ²/n, not 0; the corrected value subtracts (1/G)(1 − 1/G) Σ s²_g/n_g. Interval: with
    P the centring, ‖P L‖ is off by at most ‖P ε‖ (triangle inequality), so √V ± its simulated quantile holds
    whatever the truth, equality included.
    """
    strata = view.once(_Strata)
    rows = strata.rows if view.unfolded is None else view.judged.total()
    keep = np.flatnonzero((rows >= view.settings.min_events) & np.isfinite(strata.var))
    kind = "classes" if view.kind == "class" else "groups"
    if len(keep) < 2:
        yield too_few(view, metric, len(keep), kind)
        return
    mean = strata.mean[keep]
    value = float(np.mean((mean - mean.mean()) ** 2))
    own = float(strata.var[keep].mean())
    together = (
        own / len(keep) if strata.errors is None else float((strata.errors[:, keep].mean(axis=1) ** 2).sum())
    )

    def bounds() -> tuple[float, float]:
        reach, root = _centred_reach(view, strata, keep), float(np.sqrt(value))
        return max(0.0, root - reach) ** 2, (root + reach) ** 2

    n = strata.rows[keep].sum()
    yield over(
        view, metric, value, bounds, "norm-ball", n, reference={"bias_corrected": value - (own - together)}
    )


def _centred_reach(view: View, strata: _Strata, keep: Array) -> float:
    """The quantile of √(mean of the squared centred errors) of the means at `keep`."""
    rng = np.random.default_rng([view.settings.seed, 2])
    size = len(keep)
    draws = max(FEWEST_DRAWS, min(DRAWS, MOST_NUMBERS // size))
    if strata.errors is None:
        noise = rng.standard_t(strata.df[keep], (draws, size)) * np.sqrt(strata.var[keep])
    else:
        noise = rng.standard_normal((draws, len(strata.errors))) @ strata.errors[:, keep]
        df = float(strata.df[keep].min())
        noise /= np.sqrt(rng.chisquare(df, draws) / df)[:, None]
    off = np.sqrt(np.mean((noise - noise.mean(axis=1, keepdims=True)) ** 2, axis=1))
    return float(np.quantile(off, view.settings.level))
