"""The populations that the coverage of gaps, minima and maxima is simulated in, and their true values.

A world is P(Ŷ, Y | group) with fixed numbers of rows a group; its rates are tied over the strata, or spread evenly on
the logit scale over `SPREAD`, the smallest stratum at the low end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

STRATA = (2, 3, 8, 12)
SMALLEST = (50, 200, 1_000, 10_000)
BASE_RATES = (0.02, 0.1, 0.5)
#: Minima are not symmetric: a lowest accuracy of 0.02 is another matter than one of 0.98.
HITS = (0.02, 0.1, 0.5, 0.9, 0.98)
#: The panel's base rates are those of errors: .5, .1 and .02.
PANEL = (0.5, 0.9, 0.98)
LARGEST_GROUP, LARGEST_CLASS = 5.0, 2.0
SPREAD = 1.0
#: In the worlds with rare positives.
RARE_TPR, RARE_FPR, RARE = 0.8, 0.1, (0.02, 0.1)
MULTI_CLASSES = 3
#: The kinds of worlds, and what is measured in each (always on the same draws).
KINDS: dict[str, tuple[str, ...]] = {
    "selection": (
        "demographic_parity_difference", "equal_opportunity_difference", "equalized_odds_difference",
        "demographic_parity_ratio", "equal_opportunity_ratio", "equalized_odds_ratio", "eod_max",
    ),
    "cells": ("worst_group_accuracy",),
    "rare": (
        "equal_opportunity_difference", "equalized_odds_difference", "equal_opportunity_ratio",
        "worst_group_accuracy", "eod_max",
    ),
    "multiclass": ("eod_max",),
    "classes": ("f1_min", "f1_delta", "recall_min"),
    "macro": ("f1_min", "f1_delta", "recall_min"),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class World:
    """`chance`: (groups, classes, classes), P(Y, Ŷ | group). `sizes`: (groups,) rows of each.

    Where classes are the strata there is one group.
    """

    kind: str
    strata: int
    smallest: int
    rate: float
    tied: bool
    chance: Array
    sizes: Array

    @property
    def name(self) -> str:
        """The point in words."""
        return (
            f"{self.kind} K={self.strata} n={self.smallest} p={self.rate} {'tied' if self.tied else 'spread'}"
        )

    @property
    def seed(self) -> list[int]:
        """A seed of its own, so that no point depends on which others were run."""
        place = list(KINDS).index(self.kind)
        return [place, self.strata, self.smallest, round(1000 * self.rate), int(self.tied)]

    @property
    def positive(self) -> int | None:
        """The position of the positive class, in binary tasks over groups."""
        return 1 if self.kind in ("selection", "cells", "rare", "macro") else None

    def draws(self, sims: int, again: int = 0) -> Array:
        """(sims, groups, classes, classes) counts; `again`: other draws of the same world."""
        rng = np.random.default_rng(self.seed + [again] * (again > 0))
        flat = self.chance.reshape(len(self.chance), -1)
        drawn = [rng.multinomial(n, p, size=sims) for n, p in zip(self.sizes, flat, strict=True)]
        return np.stack(drawn, axis=1).reshape(sims, *self.chance.shape)

    @cached_property
    def mass(self) -> Array:
        """Expected counts, (groups, classes, classes)."""
        return np.asarray(self.chance * self.sizes[:, None, None])


def worlds(kind: str) -> Iterator[World]:
    """All points of a kind."""
    rates = {"selection": BASE_RATES, "multiclass": BASE_RATES, "rare": RARE, "cells": HITS}.get(kind, PANEL)
    for strata, smallest, rate, tied in product(STRATA, SMALLEST, rates, (True, False)):
        yield world(kind, strata, smallest, rate, tied)


def world(kind: str, strata: int, smallest: int, rate: float, tied: bool) -> World:
    """One point: `strata` groups (or classes), `smallest` rows in the smallest, base rate, ties or none."""
    shift = np.zeros(strata) if tied else np.linspace(0.0, SPREAD, strata)
    if kind == "classes":
        chance, sizes = _classes(strata, smallest, rate, shift)
    else:
        sizes = np.round(smallest * np.linspace(1.0, LARGEST_GROUP, strata)).astype(int)
        chance = _GROUPS[kind](rate, shift)
    return World(kind, strata, smallest, rate, tied, chance, sizes)


def shifted(rate: float, shift: Array) -> Array:
    """`rate` moved on the logit scale."""
    return np.asarray(1 / (1 + np.exp(-(np.log(rate / (1 - rate)) + shift))))


def _binary(prevalence: float, tpr: Array, fpr: Array) -> Array:
    yes, no = prevalence, 1 - prevalence
    cells = [[no * (1 - fpr), no * fpr], [yes * (1 - tpr), yes * tpr]]
    return np.moveaxis(np.array(cells), -1, 0)


def _selection(rate: float, shift: Array) -> Array:
    """Predictions positive with the base rate whatever the label: all gaps of a binary task from one draw."""
    picked = shifted(rate, shift)
    return _binary(0.5, picked, picked)


def _cells(rate: float, shift: Array) -> Array:
    """Both classes found with the base rate."""
    right = shifted(rate, shift)
    return _binary(0.5, right, 1 - right)


def _rare(rate: float, shift: Array) -> Array:
    """The base rate is that of the positives; TPR and FPR are ordinary."""
    return _binary(rate, shifted(RARE_TPR, shift), shifted(RARE_FPR, shift))


def _multiclass(rate: float, shift: Array) -> Array:
    """Three classes in equal shares, found with the base rate; errors spread evenly."""
    right = shifted(rate, shift)[:, None, None]
    eye = np.eye(MULTI_CLASSES)
    return np.asarray((eye * right + (1 - eye) * (1 - right) / (MULTI_CLASSES - 1)) / MULTI_CLASSES)


_GROUPS = {
    "selection": _selection,
    "cells": _cells,
    "rare": _rare,
    "multiclass": _multiclass,
    "macro": _cells,
}


def _classes(strata: int, smallest: int, rate: float, shift: Array) -> tuple[Array, Array]:
    """K classes in one group: where tied, precision, recall and F1 of every class are the base rate.

    Errors are symmetric then (as many from c to d as back), so with two classes both have the same size.
    """
    share = np.linspace(1.0, LARGEST_CLASS if strata > 2 else 1.0, strata)
    rows = round(smallest * share.sum())
    share = share / share.sum()
    right = shifted(rate, shift)
    joint = (1 - np.eye(strata)) * np.outer(share, share)
    for _ in range(2000):  # fitted to both margins, in turn
        joint *= (share * (1 - right) / joint.sum(axis=1))[:, None]
        joint *= (share * (1 - right) / joint.sum(axis=0))[None, :]
    joint = (joint + joint.T) / 2 + np.diag(share * right)
    return (joint / joint.sum())[None], np.array([rows])
