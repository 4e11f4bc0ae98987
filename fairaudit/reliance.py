"""Whether the model reads the attribute: sensitive accuracy for a declared map, leakage without one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from fairaudit import intervals
from fairaudit.emit import over, stratum_status
from fairaudit.errors import FairauditError, did_you_mean
from fairaudit.estimate import Estimate
from fairaudit.rates import family
from fairaudit.view import Counts, View

Array = np.ndarray[Any, Any]
RANDOM_TABLES = 200
REPLICATES = 1000


def agreement_positions(agreement: Mapping[str, str], view: View) -> Array:
    """For each class, the position of the group it is mapped to, or −1; shape (classes,)."""
    group = {g: i for i, g in enumerate(view.groups)}
    return np.array([group.get(agreement.get(c, ""), -1) for c in view.classes])


def applies(view: View) -> bool:
    """Whether the declared map names this attribute's groups."""
    return bool(view.agreement) and any(g in view.groups for g in view.agreement.values())


def check_agreement(agreement: Mapping[str, str], classes: Sequence[str], groups: Sequence[str]) -> None:
    """Raise FairauditError where a map names a class or a group that is not in the data."""
    for class_, group in agreement.items():
        for name, known, kind in ((class_, classes, "class"), (group, groups, "group")):
            if name not in known:
                raise FairauditError(
                    f"--agreement {class_}={group}: no {kind} '{name}' ({kind}s: {', '.join(list(known)[:12])})."
                    f"{did_you_mean(name, known)}"
                )


def sensitive_accuracy(view: View, metric: str) -> Iterator[Estimate]:
    """P(m(Ŷ) = S) for the declared map m from classes to groups, beside P(m(Y) = S) of a perfect classifier.

    It measures reliance on the attribute, not quality (FairLoRA §5). Needs `agreement`; nothing is inferred.
    """
    to = agreement_positions(view.agreement, view)
    mapped = np.flatnonzero(to >= 0)

    def pair(c: Counts) -> tuple[Array, Array]:
        hits = c.predicted[..., to[mapped], mapped].sum(axis=-1)
        return hits[..., None], c.total().sum(axis=-1)[..., None]

    found = family(view, pair)
    value = float(found.shares.value[0])
    bounds = intervals.single(found.shares, view.settings.level)
    perfect = view.counts.support[to[mapped], mapped].sum() / view.counts.total().sum()
    status, reason = stratum_status(view, found.rows[0])
    method = "wilson" if found.shares.corr is None else "wilson-jackknife"
    interval = (float(bounds.low[0]), float(bounds.high[0]))
    yield over(
        view, metric, value, interval, method, found.rows[0], numerator=float(found.numerator[0]),
        denominator=float(found.denominator[0]), status=status, reason=reason, reference={"perfect": float(perfect)},
    )  # fmt: skip


def _leakage(table: Array) -> Array:
    """Σ_ŷ max_s n(ŷ, s) / n over the last two axes (groups, classes)."""
    out: Array = table.max(axis=-2).sum(axis=-1) / table.sum(axis=(-2, -1))
    return out


def sensitive_leakage(view: View, metric: str) -> Iterator[Estimate]:
    """Σ_ŷ max_s n(ŷ, s) / n: how well the best map from predictions to groups would do.

    Beside the same from Y, the largest group's share, and the expectation under independence with the same
    margins (it is biased up). Interval: spread of multinomial (or bucket) resamples around the estimate.
    """
    counts = view.counts
    value = float(_leakage(counts.predicted))
    n = int(view.rows.total().sum())
    spread = _leakage_spread(view)
    half = intervals.critical((1 - view.settings.level) / 2) * spread
    reference = {
        "perfect": float(_leakage(counts.support)),
        "largest_group": float(counts.total().max() / counts.total().sum()),
        "independence": _independent(view),
    }
    bounds = (max(0.0, value - half), min(1.0, value + half))
    method = "normal-bootstrap" if view.without_bucket is None else "t-jackknife"
    yield over(view, metric, value, bounds, method, n, reference=reference)


def _leakage_spread(view: View) -> float:
    if view.without_bucket is not None:
        replicates = _leakage(view.without_bucket.predicted)
        return float(np.sqrt((len(replicates) - 1) * replicates.var()))
    table = view.rows.predicted
    n = int(table.sum())
    # weights shrink the sample to Kish's size, so resample that many rows
    size = max(1, round(float(view.counts.predicted.sum() ** 2 / max(view.squares.predicted.sum(), 1e-300))))
    rng = np.random.default_rng([view.settings.seed, 4])
    mass = view.counts.predicted.ravel()
    keep = np.flatnonzero(mass > 0)
    out = np.zeros(REPLICATES)
    for start in range(0, REPLICATES, 50):
        drawn = np.zeros((50, mass.size))
        drawn[:, keep] = rng.multinomial(min(size, n), mass[keep] / mass[keep].sum(), size=50)
        out[start : start + 50] = _leakage(drawn.reshape(50, *table.shape))
    return float(out.std())


def _independent(view: View) -> float:
    """Expected leakage of predictions that do not depend on the group, with the margins of this table."""
    table = view.rows.predicted.astype(np.int64)
    rng = np.random.default_rng([view.settings.seed, 5])
    total, groups = 0.0, table.sum(axis=1)
    for _ in range(RANDOM_TABLES):
        left, best = groups.copy(), 0
        for column in table.sum(axis=0):
            drawn = rng.multivariate_hypergeometric(left, int(column), method="marginals")
            left, best = left - drawn, best + int(drawn.max())
        total += best / int(groups.sum())
    return total / RANDOM_TABLES
