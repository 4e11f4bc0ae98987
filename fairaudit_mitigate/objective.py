"""The objectives of training: pure functions of the losses of the rows and of their group ids.

FairLoRA (arXiv 2410.17358): J = L + λ R, R = Σ_g (L_g − L̄)², where L is the mean loss over the rows, L_g
the mean loss of group g, and L̄ the plain mean of L_g over the groups *present* in the step. Because
Σ_g (L_g − L̄) = 0, ∇J = Σ_g w_g ∇L_g with w_g = p_g + 2λ (L_g − L̄): a dynamic reweighting of the rows, which
can be computed exactly from the totals of many micro-batches (`row_weights`).

Axes: n rows, K groups. Everything is computed in float32 at least. Rows of group -1 count in L only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from fairaudit.errors import FairauditError
from fairaudit_mitigate.methods.method import MEAN, REDUCTIONS, SUM


@dataclass(frozen=True, slots=True, eq=False)
class Statistics:
    """What one optimiser step did to the groups, detached; axis K.

    `group_losses` is NaN where the group is absent, `weights` (w_g) is 0 there. `value` is J, `loss` is L,
    `penalty` is λR. The weights sum to 1 where no row lacks a group.
    """

    value: Tensor
    loss: Tensor
    penalty: Tensor
    group_losses: Tensor
    weights: Tensor
    present: Tensor

    def record(self, names: tuple[str, ...]) -> dict[str, object]:
        """Plain numbers for a log: losses and weights by group name, how many weights are negative."""
        seen = [k for k, here in enumerate(self.present.tolist()) if here]
        losses, weights = self.group_losses.tolist(), self.weights.tolist()
        return {
            "objective": float(self.value),
            "loss": float(self.loss),
            "penalty": float(self.penalty),
            "groups_present": len(seen),
            "negative_weights": sum(weights[k] < 0 for k in seen),
            "group_losses": {names[k]: losses[k] for k in seen},
            "weights": {names[k]: weights[k] for k in seen},
        }


class Objective(Protocol):
    """What the trainer needs of an objective; a new method brings its own."""

    @property
    def n_groups(self) -> int:
        """The number of groups, K."""
        ...

    @property
    def needs_totals(self) -> bool:
        """Whether the weight of a row depends on the losses of the other rows of the step."""
        ...

    def one_pass(self, losses: Tensor, groups: Tensor) -> tuple[Tensor, Statistics]:
        """The scalar to back-propagate when the whole step is one batch on one process."""
        ...

    def row_weights(self, totals: Tensor, groups: Tensor) -> Tensor:
        """The weight of each row given the totals of the whole step; Σ weight·loss has the gradient of J."""
        ...

    def statistics(self, totals: Tensor) -> Statistics:
        """The numbers to log for a step with these totals."""
        ...


@dataclass(frozen=True, slots=True)
class FairLoss:
    """J = L + λ Σ_g (L_g − L̄)² (`sum`, the paper's form) or the same with the mean over g (`mean`).

    λ = 0 is the plain mean, to the bit. Raises FairauditError for a λ that is negative or not finite.
    """

    n_groups: int
    penalty: float = 0.0
    reduction: str = SUM

    def __post_init__(self) -> None:
        check_penalty(self.penalty)
        if self.reduction not in REDUCTIONS:
            raise FairauditError(f"reduction is {' or '.join(REDUCTIONS)}, not '{self.reduction}'.")

    @property
    def needs_totals(self) -> bool:
        """True unless λ = 0."""
        return self.penalty != 0

    def one_pass(self, losses: Tensor, groups: Tensor) -> tuple[Tensor, Statistics]:
        """`fair_loss` with these settings."""
        return fair_loss(losses, groups, self.n_groups, self.penalty, self.reduction)

    def row_weights(self, totals: Tensor, groups: Tensor) -> Tensor:
        """`row_weights` with these settings."""
        return row_weights(totals, groups, self.penalty, self.reduction)

    def statistics(self, totals: Tensor) -> Statistics:
        """`statistics` with these settings."""
        return statistics(totals, self.penalty, self.reduction)


def check_penalty(penalty: float) -> None:
    """Raise FairauditError unless λ is finite and not negative."""
    if not math.isfinite(penalty) or penalty < 0:
        raise FairauditError(
            f"the penalty λ is a finite number from 0 up, not {penalty}; 0.1 is the default."
        )


def batch_totals(losses: Tensor, groups: Tensor, n_groups: int) -> Tensor:
    """Sum of the losses (row 0) and count (row 1) by group, [2, K + 1]; the last column is group -1.

    Totals of disjoint sets of rows add up, so those of a step are the sum over micro-batches and ranks.
    """
    losses = _precise(losses)
    member = _membership(groups, n_groups + 1, missing=n_groups).to(losses.dtype)
    return torch.stack([(losses[:, None] * member).sum(0), member.sum(0)])


def fair_loss(
    losses: Tensor, groups: Tensor, n_groups: int, penalty: float, reduction: str = SUM
) -> tuple[Tensor, Statistics]:
    """J of one batch, differentiable, and its statistics. `losses` [n] of any float type, `groups` [n] int.

    A group absent from the batch is masked: it is neither in the sum nor in L̄.
    """
    losses = _precise(losses)
    totals = batch_totals(losses, groups, n_groups)
    summary = statistics(totals.detach(), penalty, reduction)
    if penalty == 0:
        return losses.mean(), summary
    return losses.mean() + penalty * _spread(totals, reduction), summary


def statistics(totals: Tensor, penalty: float, reduction: str = SUM) -> Statistics:
    """The statistics of a step from its totals [2, K + 1]; see Statistics."""
    totals = totals.detach()
    present = totals[1, :-1] > 0
    group_losses = torch.where(present, totals[0, :-1] / totals[1, :-1], torch.nan)
    loss = totals[0].sum() / totals[1].sum()
    share = totals[1, :-1] / totals[1].sum()
    weights = share + _pull(totals, penalty, reduction)
    cost = penalty * _spread(totals, reduction)
    return Statistics(loss + cost, loss, cost, group_losses, weights, present)


def row_weights(totals: Tensor, groups: Tensor, penalty: float, reduction: str = SUM) -> Tensor:
    """1/n + 2λ (L_{g(i)} − L̄) / n_{g(i)} for each row (1/n where its group is missing), [n], detached.

    n and the L_g are those of the whole step. Σ_i weight_i ∇ℓ_i = ∇J exactly, however the rows are cut into
    micro-batches; under a mean over ranks multiply by the number of ranks.
    """
    totals = totals.detach()
    pull = _pull(totals, penalty, reduction) / totals[1, :-1].clamp(min=1)
    every = torch.cat([pull, pull.new_zeros(1)])  # group -1 is the last one: no pull
    return 1 / totals[1].sum() + every[torch.where(groups < 0, len(pull), groups)]


def _spread(totals: Tensor, reduction: str) -> Tensor:
    """R of the groups present: Σ_g (L_g − L̄)² or its mean."""
    present = totals[1, :-1] > 0
    squares = torch.where(present, _gaps(totals, present), 0.0).square().sum()
    return squares / present.sum().clamp(min=1) if reduction == MEAN else squares


def _pull(totals: Tensor, penalty: float, reduction: str) -> Tensor:
    """2λ (L_g − L̄), divided by the number of groups present for `mean`; 0 for an absent group."""
    present = totals[1, :-1] > 0
    factor = 2 * penalty / (present.sum().clamp(min=1).to(totals.dtype) if reduction == MEAN else 1)
    return torch.where(present, factor * _gaps(totals, present), 0.0)


def _gaps(totals: Tensor, present: Tensor) -> Tensor:
    """L_g − L̄, L̄ the plain mean over the groups present; what stands at absent groups is to be masked."""
    group_losses = torch.where(present, totals[0, :-1], 0.0) / totals[1, :-1].clamp(min=1)
    return group_losses - group_losses.sum() / present.sum().clamp(min=1)


def _membership(groups: Tensor, width: int, missing: int) -> Tensor:
    """[n, width] booleans. A comparison, not index_add: deterministic on every device."""
    column = torch.where(groups < 0, missing, groups)
    return column[:, None] == torch.arange(width, device=groups.device)


def _precise(losses: Tensor) -> Tensor:
    """float32 at least: the penalty is a difference of close numbers, which half precision cannot carry."""
    return losses if losses.dtype in (torch.float32, torch.float64) else losses.float()
