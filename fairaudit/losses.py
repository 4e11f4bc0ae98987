"""Losses of classes and groups: their means, and the variance between them (FairLoRA §5)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from fairaudit.emit import Place, group_places, over, stratum_status, too_few
from fairaudit.estimate import Estimate, undefined
from fairaudit.intervals import Interval, criticals
from fairaudit.view import View, jackknife

Array = np.ndarray[Any, Any]
DRAWS = 4000


class _Strata:
    """Mean loss L, variance of that mean and rows of each stratum, all (m,)."""

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
        self.cov: Array | None = None
        if "bucket" in cube.axes:
            by = cube.dense("loss", ("bucket", axis)), cube.dense(view.mass_name, ("bucket", axis))
            with np.errstate(divide="ignore", invalid="ignore"):
                replicates = (total - by[0]) / (mass - by[1])
            held = np.maximum((by[1] > 0).sum(axis=0), 1)
            scale = np.sqrt((held - 1) / held)
            self.cov = jackknife(np.where(np.isfinite(replicates), replicates, self.mean)) * np.outer(
                scale, scale
            )
            self.var = np.where(held > 1, np.diag(self.cov), np.nan)
            self.df = np.maximum(held - 1.0, 1.0)


def mean_loss(view: View, metric: str) -> Iterator[Estimate]:
    """The mean cross-entropy of each class, each group, or all rows, with Student's interval."""
    strata = _Strata(view)
    t = criticals((1 - view.settings.level) / 2, strata.df)
    assert isinstance(t, np.ndarray)
    places: list[Place] = (
        [{"class_": c} for c in view.classes] if view.kind == "class" else group_places(view)
    )
    for k, place in enumerate(places):
        rows = int(strata.rows[k])
        if not np.isfinite(strata.mean[k]):
            yield undefined(metric, view.by, "no rows", rows, **place)
            continue
        value, half = float(strata.mean[k]), float(t[k] * np.sqrt(np.nan_to_num(strata.var[k])))
        method = "student-t" if strata.cov is None else "t-jackknife"
        interval = None if np.isnan(strata.var[k]) else Interval(
            max(0.0, min(value, value - half)), value + half, view.settings.level, method)  # fmt: skip
        status, reason = stratum_status(view, rows)
        yield Estimate(metric, view.by, value, rows, interval=interval, status=status, reason=reason, **place)


def loss_variance(view: View, metric: str) -> Iterator[Estimate]:
    """(1/G) Σ (L_g − L̄)² over evaluable strata, beside its bias-corrected value.

    Equal strata give (1 − 1/G) σ²/n, not 0; the corrected value subtracts (1/G)(1 − 1/G) Σ s²_g/n_g. Interval: with
    P the centring, ‖P L‖ is off by at most ‖P ε‖ (triangle inequality), so √V ± its simulated quantile holds
    whatever the truth, equality included.
    """
    strata = _Strata(view)
    keep = np.flatnonzero((strata.rows >= view.settings.min_events) & np.isfinite(strata.var))
    kind = "classes" if view.kind == "class" else "groups"
    if len(keep) < 2:
        yield too_few(view, metric, len(keep), kind)
        return
    mean, size = strata.mean[keep], len(keep)
    value = float(np.mean((mean - mean.mean()) ** 2))
    cov = np.diag(strata.var[keep]) if strata.cov is None else strata.cov[np.ix_(keep, keep)]
    corrected = value - float(np.mean(np.diag(cov)) - np.mean(cov))
    rng = np.random.default_rng([view.settings.seed, 2])
    if strata.cov is None:
        noise = rng.standard_t(strata.df[keep], (DRAWS, size)) * np.sqrt(strata.var[keep])
    else:
        noise = rng.multivariate_normal(np.zeros(size), cov, DRAWS, method="eigh")
        df = float(strata.df[keep].min())
        noise /= np.sqrt(rng.chisquare(df, DRAWS) / df)[:, None]
    off = np.sqrt(np.mean((noise - noise.mean(axis=1, keepdims=True)) ** 2, axis=1))
    reach = float(np.quantile(off, view.settings.level))
    root = float(np.sqrt(value))
    bounds = (max(0.0, root - reach) ** 2, (root + reach) ** 2)
    n = strata.rows[keep].sum()
    reference = {"bias_corrected": corrected}
    yield over(view, metric, value, bounds, "norm-ball", n, reference=reference)
