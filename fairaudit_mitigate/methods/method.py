"""What a method is: who is trained, with which objective, on rows drawn how; one value a method."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fairaudit.errors import FairauditError

if TYPE_CHECKING:
    from fairaudit_mitigate.fit import Fitted
    from fairaudit_mitigate.objective import Objective
    from fairaudit_mitigate.task import Task

#: What is trained.
ADAPTER, EVERYTHING, HEAD, NOTHING = "adapter", "everything", "head", "nothing"
#: How the rows of a step are drawn.
SHUFFLED, BALANCED = "shuffled", "balanced"
SAMPLINGS = (SHUFFLED, BALANCED)
SUM, MEAN = "sum", "mean"
REDUCTIONS = (SUM, MEAN)
#: Whose gap is penalised: both sides of L̄ (the paper), or only the groups above it.
BOTH, UP = "both", "up"
SIDES = (BOTH, UP)
#: Whence the group losses: this step's rows, the same with its bias taken out, or a memory across steps.
BATCH, CORRECTED, MEMORY = "batch", "corrected", "memory"
ESTIMATES = (BATCH, CORRECTED, MEMORY)
#: A convention, far above the paper's 100: from here on float32 begins to lose the mean loss beside the penalty.
MOST_PENALTY = 1e6


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of an objective: λ, how the squares of the groups are put together, on which side, from what.

    `sampling`: how the rows of a step are drawn. Where it is `balanced` a step holds every group equally often,
    so that a group's share of the rows drawn is 1/K, whatever its share of the training set.
    `adjustment`: C of the margin C/√n_g on the loss of a group of n_g training rows (group DRO, and the estimate
    `memory`). `decay`: of the memory, a step.
    Raises FairauditError for a λ outside [0, 10⁶], a C that is negative or not finite, a decay outside [0, 1), and for
    a word it does not know.
    """

    penalty: float = 0.1
    reduction: str = SUM
    sided: str = BOTH
    estimate: str = BATCH
    sampling: str = SHUFFLED
    adjustment: float = 0.0
    decay: float = 0.9

    def __post_init__(self) -> None:
        if not 0 <= self.penalty <= MOST_PENALTY:
            raise FairauditError(
                f"the penalty λ is a number from 0 to {MOST_PENALTY:,.0f}, not {self.penalty}; the paper tries 0.01 "
                "to 100."
            )
        if not math.isfinite(self.adjustment) or self.adjustment < 0:
            raise FairauditError(f"the adjustment C is a finite number from 0 up, not {self.adjustment}.")
        if not 0 <= self.decay < 1:
            raise FairauditError(f"the decay of the memory lies in [0, 1), not {self.decay}.")
        for word, value, known in (
            ("reduction", self.reduction, REDUCTIONS),
            ("sided", self.sided, SIDES),
            ("estimate", self.estimate, ESTIMATES),
            ("sampling", self.sampling, SAMPLINGS),
        ):
            if value not in known:
                raise FairauditError(f"{word} is {', '.join(known[:-1])} or {known[-1]}, not '{value}'.")
        if (self.estimate, self.sided) == (CORRECTED, UP):
            raise FairauditError(
                "the estimate 'corrected' is known for both sides only; with sided 'up' use batch or memory."
            )


#: The fields of `Terms`, and the one that is left where the objective has no terms.
TERMS = tuple(Terms.__dataclass_fields__)
SAMPLING_ONLY = ("sampling",)


def train(task: Task) -> Fitted:
    """Gradient training on Trainer: what most methods do. Imported when called: the registry needs no torch."""
    from fairaudit_mitigate.fit import fit

    return fit(task)


@dataclass(frozen=True, slots=True)
class Method:
    """`objective` takes the rows of each group in the training set, in the order of the groups, and the terms.

    `compares_groups`: the method is nothing without at least two groups. `terms`, `learning_rate`: its own,
    where the user gives none. `fit` does the work. `about` (what it does), `needs` (of the data), `choose` (when)
    and `paper` are what `fairaudit mitigate --list` tells, a line of plain words each. `fits_validation`: it is
    fitted to val rows, which have to be given then. `reads`: the fields of `Terms` that mean something to it.
    """

    name: str
    about: str
    trains: str
    compares_groups: bool
    learning_rate: float
    objective: Callable[[tuple[int, ...], Terms], Objective]
    terms: Terms = Terms()
    fit: Callable[[Task], Fitted] = train
    needs: str = "nothing but labels; a sensitive attribute only to judge by"
    choose: str = ""
    paper: str = ""
    fits_validation: bool = False
    reads: tuple[str, ...] = field(kw_only=True)

    @property
    def adapts(self) -> bool:
        """Whether LoRA is put on the model."""
        return self.trains == ADAPTER

    @property
    def merges(self) -> bool:
        """Whether its artefact is an adapter, which can be merged."""
        return self.trains in (ADAPTER, HEAD)

    @property
    def trains_by_steps(self) -> bool:
        """Whether it has a learning rate."""
        return self.trains in (ADAPTER, EVERYTHING)

    @property
    def penalises(self) -> bool:
        """Whether it has a λ."""
        return "penalty" in self.reads


def mean_loss(counts: tuple[int, ...], terms: Terms) -> Objective:  # noqa: ARG001
    """The mean loss over the rows, no penalty."""
    from fairaudit_mitigate.objective_fair import FairLoss

    return FairLoss(len(counts))


def penalised(counts: tuple[int, ...], terms: Terms) -> Objective:
    """FairLoRA's objective with these terms. λ = 0 is the mean loss, whatever the other terms are."""
    from fairaudit_mitigate.objective_fair import FairLoss
    from fairaudit_mitigate.objective_memory import RememberedLoss

    if terms.penalty == 0:
        return FairLoss(len(counts))
    if terms.estimate == MEMORY:
        return RememberedLoss(counts, terms)
    return FairLoss(len(counts), terms)
