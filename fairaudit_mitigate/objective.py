"""What an objective of training is, and what all objectives share: totals, row weights, statistics.

Every objective here is a *dynamic reweighting of the rows*: the gradient of a step is Σ_i v_i ∇ℓ_i with
v_i = level[g(i)] + slope[g(i)] · ℓ_i, where level and slope follow from the totals of the groups over the whole
step. Those totals are sums, so they can be collected over micro-batches and ranks first, and the gradient is exact
however the rows of a step are cut (DESIGN §5). The same formula serves one pass and two.

Axes: n rows; K groups, with a column 0 before them for the rows without a group (id -1): [K + 1]. Totals are
computed in float64 where the device has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """What an objective says of one optimiser step, detached.

    Row i has weight level[g] + slope[g] · ℓ_i (`slope` None: 0), both [K + 1]. `penalty`: what the objective adds
    to the mean loss. `memory` [m, K]: what is remembered after the step. `notes`: more numbers for the log, one or
    one a group ([K], NaN: nothing to say).
    """

    level: Tensor
    penalty: Tensor
    memory: Tensor
    slope: Tensor | None = None
    notes: Mapping[str, Tensor] = field(default_factory=dict)


class Objective(Protocol):
    """What the trainer needs of an objective: a pure value. What it remembers, the trainer holds as `memory`."""

    @property
    def n_groups(self) -> int:
        """The number of groups, K."""
        ...

    @property
    def needs_totals(self) -> bool:
        """Whether the weights of a step depend on the losses of the step; if not, only on its counts."""
        ...

    def start(self) -> Tensor:
        """The memory before the first step, [m, K]; m = 0 where nothing is remembered."""
        ...

    def step(self, totals: Tensor, memory: Tensor) -> Step:
        """The step whose totals [3, K + 1] over all micro-batches and ranks are these."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Statistics:
    """What one optimiser step did to the groups, detached; axis K.

    `value` is the objective, `loss` the mean loss over the rows, `penalty` their difference. `group_losses` is NaN
    where the group is absent. `weights` is the total weight of a group's rows: w_g of ∇J = Σ_g w_g ∇L_g.
    """

    value: Tensor
    loss: Tensor
    penalty: Tensor
    group_losses: Tensor
    weights: Tensor
    present: Tensor
    notes: Mapping[str, Tensor] = field(default_factory=dict)

    def record(self, names: tuple[str, ...]) -> dict[str, object]:
        """Plain numbers for a log: losses and weights by group name, how many weights are negative."""
        parts = [
            torch.stack([self.value, self.loss, self.penalty]),
            self.present,
            self.group_losses,
            self.weights,
        ]
        parts += [note.reshape(-1) for note in self.notes.values()]
        numbers = torch.cat(
            [p.to(self.value.dtype) for p in parts]
        ).tolist()  # one copy from the device, not ten
        k = len(names)
        present, losses, weights = (numbers[3 + i * k : 3 + (i + 1) * k] for i in range(3))
        seen = [i for i in range(k) if present[i]]
        found: dict[str, object] = {
            "objective": numbers[0],
            "loss": numbers[1],
            "penalty": numbers[2],
            "groups_present": len(seen),
            "negative_weights": sum(weights[i] < 0 for i in seen),
            "group_losses": {names[i]: losses[i] for i in seen},
            "weights": {names[i]: weights[i] for i in seen},
        }
        rest = numbers[3 + 3 * k :]
        for name, note in self.notes.items():
            mine, rest = rest[: note.numel()], rest[note.numel() :]
            by_group = {n: x for n, x in zip(names, mine, strict=False) if x == x}
            found[name] = by_group if note.ndim else mine[0]
        return found


def batch_totals(losses: Tensor, groups: Tensor, n_groups: int) -> Tensor:
    """Σℓ, n and Σℓ² by group, [3, K + 1]; column 0 holds the rows of group -1.

    Totals of disjoint sets of rows add up: those of a step are the sum over its micro-batches and ranks.
    """
    losses = _wide(losses)
    columns = torch.arange(-1, n_groups, device=groups.device)
    member = groups.clamp(min=-1)[:, None] == columns  # not index_add: deterministic on every device
    own = torch.where(member, losses[:, None], 0.0)  # not a product: a NaN belongs to its own group only
    return torch.stack([own.sum(0), member.sum(0).to(own.dtype), own.square().sum(0)])


def row_weights(step: Step, losses: Tensor, groups: Tensor) -> Tensor:
    """v_i = level[g(i)] + slope[g(i)] · ℓ_i, [n], detached. A group id of K or more is an index error.

    Σ_i v_i ∇ℓ_i over the rows of all micro-batches is the gradient of the objective; under a mean over ranks
    multiply by the number of ranks.
    """
    column = groups.clamp(min=-1) + 1
    weights = step.level[column]
    if step.slope is not None:
        weights = weights + step.slope[column] * losses.detach().to(step.slope.dtype)
    return weights.to(losses.dtype)


def weighted(step: Step, losses: Tensor, groups: Tensor, rows: Tensor | int) -> Tensor:
    """The part of the objective that these rows are, out of `rows` in the step: right in value and in gradient.

    The parts of a step add up to J = L + penalty, and their gradients to Σ_i v_i ∇ℓ_i.
    """
    reweighted = (row_weights(step, losses, groups) * losses).sum()
    value = (len(losses) / rows * (losses.detach().mean() + step.penalty)).to(losses.dtype)
    return value + (reweighted - reweighted.detach())


def one_pass(
    objective: Objective, losses: Tensor, groups: Tensor, memory: Tensor
) -> tuple[Tensor, Step, Statistics]:
    """The scalar to back-propagate when the whole step is one batch on one process; `losses` [n], any float."""
    losses = losses if losses.dtype in (torch.float32, torch.float64) else losses.float()
    totals = batch_totals(losses.detach(), groups, objective.n_groups)
    step = objective.step(totals, memory)
    return weighted(step, losses, groups, len(losses)), step, statistics(totals, step)


def statistics(totals: Tensor, step: Step) -> Statistics:
    """The statistics of a step from its totals [3, K + 1]."""
    present = totals[1, 1:] > 0
    weights = step.level * totals[1]
    if step.slope is not None:
        weights = weights + step.slope * totals[0]
    loss = totals[0].sum() / totals[1].sum()
    return Statistics(
        loss + step.penalty,
        loss,
        step.penalty,
        torch.where(present, totals[0, 1:] / totals[1, 1:], torch.nan),
        torch.where(present, weights[1:], 0.0),
        present,
        step.notes,
    )


def group_means(totals: Tensor) -> tuple[Tensor, Tensor]:
    """L_g [K], 0 where the group is absent, and which groups are present [K]."""
    present = totals[1, 1:] > 0
    return torch.where(present, totals[0, 1:], 0.0) / totals[1, 1:].clamp(min=1), present


def nothing(n_groups: int) -> Tensor:
    """The memory of an objective that has none."""
    return torch.zeros(0, n_groups, dtype=torch.float64)


def _wide(losses: Tensor) -> Tensor:
    """float64: Σℓ² loses a variance in float32. Apple's devices have no float64."""
    return losses.float() if losses.device.type == "mps" else losses.double()
