"""Deep feature reweighting (Kirichenko et al., arXiv 2204.02937): logistic regression on group-balanced features.

From the rows of each group as many are drawn as the smallest one has; on them a logistic regression is fitted to the
standardised features; this several times, and the weights are averaged (the average of linear layers is one). Which
penalty, and how strong, is for held-out rows to say. Strengths and steps are those of the authors' code.

Their code draws rows of validation for fitting and for choosing, then fits again on all of it. Here the second fit is
left out: what is reported of the rows that chose would otherwise be about rows that were fitted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fairaudit.errors import FairauditError
from fairaudit_mitigate.groups import Groups

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[np.float64]
    Ids = npt.NDArray[np.int64]

L1, L2 = "l1", "l2"
#: 1/λ of scikit-learn, as in the authors' code for Waterbirds.
STRENGTHS = (1.0, 0.7, 0.3, 0.1, 0.07, 0.03, 0.01)
SUBSETS = 10
#: DESIGN's floor of events: below it a group's balanced subset is chance.
MIN_ROWS = 5


@dataclass(frozen=True, slots=True)
class Regularisation:
    """`kind` l1 or l2; `strength` is scikit-learn's C, small = strong."""

    kind: str
    strength: float


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """Logits = features · weightᵀ + bias; `weight` [classes, width], `bias` [classes] or None."""

    weight: Array
    bias: Array | None

    def logits(self, features: Array) -> npt.NDArray[np.float32]:
        """[rows, classes]."""
        found = features @ self.weight.T
        return (found if self.bias is None else found + self.bias).astype(np.float32)


def candidates(n_classes: int) -> Iterator[Regularisation]:
    """What is tried: L1, the authors' choice, where there are two classes; L2 always.

    L1 with more classes has no solver that is done in reasonable time.
    """
    for kind in (L1, L2) if n_classes == 2 else (L2,):
        for strength in STRENGTHS:
            yield Regularisation(kind, strength)


def balanced_subsets(groups: Groups, seed: int, subsets: int = SUBSETS) -> list[Ids]:
    """Positions of `subsets` draws that hold as many rows of each group as the smallest one has.

    Rows without a group are in none. Raises FairauditError for fewer than two groups, or one with too few rows.
    """
    counts = groups.counts()
    if len(counts) < 2:
        held = next(iter(counts), "none")
        raise FairauditError(
            f"dfr balances groups, and the val rows it fits on have one ({held}); choose other --groups."
        )
    smallest = min(counts, key=lambda name: counts[name])
    if counts[smallest] < MIN_ROWS:
        raise FairauditError(
            f"dfr balances groups, and of '{smallest}' it has {counts[smallest]} of the {MIN_ROWS} rows it needs "
            "(half of val is for fitting); choose coarser --groups, or give more val rows."
        )
    draw = np.random.default_rng(seed)
    members = [np.flatnonzero(groups.ids == g) for g in range(len(counts))]
    size = counts[smallest]
    return [
        np.sort(np.concatenate([draw.choice(m, size, replace=False) for m in members]))
        for _ in range(subsets)
    ]


def fit_layer(
    features: Array,
    targets: Ids,
    subsets: list[Ids],
    n_classes: int,
    how: Regularisation,
    *,
    with_bias: bool,
) -> Layer:
    """The average of the layers fitted to the subsets, on features in their own units.

    Raises FairauditError where a class is in none of the groups.
    """
    absent = sorted(set(range(n_classes)) - set(targets[subsets[0]].tolist()))
    if absent:
        raise FairauditError(
            f"dfr refits every output, and the val rows it fits on have none of output {absent[0]}; "
            "give val rows of every class."
        )
    layers = [_fit_one(features[rows], targets[rows], how, with_bias) for rows in subsets]
    weight = np.mean([weight for weight, _ in layers], axis=0)
    return Layer(weight, np.mean([bias for _, bias in layers], axis=0) if with_bias else None)


def _fit_one(features: Array, targets: Ids, how: Regularisation, with_bias: bool) -> tuple[Array, Array]:
    centre = features.mean(axis=0) if with_bias else np.zeros(features.shape[1])
    spread = features.std(axis=0)
    scale = np.where(spread > 0, spread, 1.0)
    model = _regression(how, with_bias).fit((features - centre) / scale, targets)
    weight = model.coef_ / scale
    bias = model.intercept_ - weight @ centre
    if len(weight) == 1:  # two classes: one row of scikit-learn's is the difference of two logits
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    return weight, bias


def _regression(how: Regularisation, with_bias: bool) -> Any:
    """Logistic regression of scikit-learn; its way of asking for L1 changed in version 1.8."""
    from sklearn.linear_model import LogisticRegression

    shared = {"C": how.strength, "fit_intercept": with_bias, "max_iter": 1000, "random_state": 0}
    if how.kind == L2:
        return LogisticRegression(**shared)
    old = LogisticRegression().penalty != "deprecated"
    return LogisticRegression(
        solver="liblinear", **({"penalty": "l1"} if old else {"l1_ratio": 1.0}), **shared
    )
