"""What every objective is, a second time: loops over groups and autograd, nothing of `fairaudit_mitigate.objective*`.

`value` returns the number whose gradient a step takes, written down as in the papers; for the remembered losses,
where the gradient is no gradient of a number, a weighted sum with weights from a loop.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

Tensor = Any


@dataclass
class Case:
    """One objective. `counts`: rows of each group in the training set."""

    kind: str  # fair, memory, dro
    penalty: float = 2.0
    reduction: str = "sum"
    sided: str = "both"
    corrected: bool = False
    counts: tuple[int, ...] = ()
    adjustment: float = 0.0
    decay: float = 0.9


@dataclass
class Remembered:
    """What goes from step to step: the losses seen of each group, the weights of group DRO."""

    seen: dict[int, list[float]] = field(default_factory=dict)
    q: list[float] = field(default_factory=list)


def means_of(losses: Tensor, groups: list[int]) -> dict[int, Tensor]:
    return {
        g: torch.stack([losses[i] for i, h in enumerate(groups) if h == g]).mean()
        for g in sorted(set(groups))
        if g >= 0
    }


def value(case: Case, losses: Tensor, groups: list[int], state: Remembered) -> Tensor:
    """A scalar with the gradient of the step; `state` moves on."""
    rule: dict[str, Callable[..., Tensor]] = {"fair": _fair, "memory": _memory, "dro": _dro}
    return rule[case.kind](case, losses, groups, state)


def _fair(case: Case, losses: Tensor, groups: list[int], state: Remembered) -> Tensor:
    means = means_of(losses, groups)
    if not means:
        return losses.mean()
    centre = sum(means.values()) / len(means)
    spread = losses.new_zeros(())
    for mean in means.values():
        gap = mean - centre if case.sided == "both" else torch.relu(mean - centre.detach())
        spread = spread + gap**2
    if case.corrected:
        for g in means:
            own = torch.stack([losses[i] for i, h in enumerate(groups) if h == g])
            if len(own) > 1:
                spread = spread - (1 - 1 / len(means)) * own.var(unbiased=True) / len(own)
    return losses.mean() + case.penalty * spread / (len(means) if case.reduction == "mean" else 1)


def _memory(case: Case, losses: Tensor, groups: list[int], state: Remembered) -> Tensor:
    """Weights 1 + 2λ d_g / p_g of the rows, divided by their mean over the training set."""
    memory = {}
    for g, past in state.seen.items():
        ages = [case.decay ** (len(past) - 1 - t) for t in range(len(past))]
        memory[g] = sum(a * x for a, x in zip(ages, past, strict=True)) / sum(ages)
        memory[g] += case.adjustment / case.counts[g] ** 0.5
    centre = sum(memory.values()) / max(1, len(memory))
    strength = case.penalty / (max(1, len(memory)) if case.reduction == "mean" else 1)
    grouped = [g for g in groups if g >= 0]
    over_batch, over_training = [], 1.0
    for g in groups:
        weight = 1 / len(groups)
        if g in memory:
            gap = memory[g] - centre
            gap = max(0.0, gap) if case.sided == "up" else gap
            share = case.counts[g] / sum(case.counts)
            weight += 2 * strength * gap / share / len(grouped)
        over_batch.append(weight)
    for m in memory.values():
        gap = max(0.0, m - centre) if case.sided == "up" else m - centre
        over_training += 2 * strength * gap
    for g, mean in means_of(losses.detach(), groups).items():
        state.seen.setdefault(g, []).append(float(mean))
    return sum(w * x for w, x in zip(over_batch, losses, strict=True)) / over_training


def _dro(case: Case, losses: Tensor, groups: list[int], state: Remembered) -> Tensor:
    """Σ_g q_g L_g over the rows with a group, beside the mean loss of those without, each at their share."""
    state.q = state.q or [1 / len(case.counts)] * len(case.counts)
    means = means_of(losses, groups)
    for g, mean in means.items():
        state.q[g] *= float(torch.exp(0.01 * (mean.detach() + 1.0 / case.counts[g] ** 0.5)))
    total = sum(state.q)
    state.q = [q / total for q in state.q]
    robust = sum((state.q[g] * mean for g, mean in means.items()), losses.new_zeros(()))
    without = [losses[i] for i, h in enumerate(groups) if h < 0]
    n = len(groups)
    return (n - len(without)) / n * robust + sum(without, losses.new_zeros(())) / n
