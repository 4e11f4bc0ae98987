"""FairLoRA's objective with group losses remembered across steps: steady where a batch holds few rows of a group.

m_g is an exponential moving average of the mean losses that group g had in the optimiser steps where it was present,
a ← β a + (1 − β) L_g, b ← β b + (1 − β), m_g = a/b (β = `decay`). Dividing by b undoes the start from zero (the bias
correction of Adam), so a group's first loss is its memory and does not weigh for long; a group not yet seen (b = 0)
is neither in m̄ nor penalised. a, b [2, K] are the memory; they are updated once a step, from the sums over all
micro-batches and ranks, so they are the same on every rank.

The weights of a step come from the memory of the steps *before* it. Two reasons. They do not depend on the noise of
the rows they weigh, so the step is an unbiased estimate (below). And they need no pass over the step's rows first:
under accumulation and on several ranks it costs what the plain mean costs. The first step is the plain mean.

**What gradient is taken.** Let a_g = m_g + C/√N_g (N_g training rows, C = `adjustment`, 0: none), the margin by which
Sagawa et al. (arXiv 1911.08731, 3.3) trust the loss of a small group less. The penalised population objective
L + λ c Σ_g d_g², d_g = a_g − ā (`both`) or its positive part (`up`), has the gradient Σ_g [P_g + 2λc d_g] ∇L_g with d
held constant, P_g the share of group g. A step's rows estimate ∇L_g without bias, also when a group is absent from
most steps, if the row weight is divided by the share p_g of the group *among the rows that are drawn* and not by its
count in the step:

    u_i = 1/n + 2λc d_g / (p_g n°)        n° rows of the step have a group; 1/n for a row without one

Its mean over the training set is Z = Σ_g P_g + 2λc Σ_g d_g = 1 + 2λc Σ_g d_g, in which the shares have cancelled.
For `both` Z = 1. For `up` the weights are v_i = u_i / Z: Σ_g w_g = 1 and w_g ≥ 0 in expectation, a convex combination
of the group losses, whatever λ; as λ → ∞ it is Σ_g d_g ∇L_g / Σ_g d_g. Z belongs to the training set: dividing by the
batch's own Σ v would take from a rare group exactly in the batches that hold it.

Under balanced sampling the rows are drawn with p_g = 1/K, and P_g is 1/K as well; N_g stays the training rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from fairaudit.errors import FairauditError
from fairaudit_mitigate.methods.method import BALANCED, UP, Terms
from fairaudit_mitigate.objective import Step, group_means
from fairaudit_mitigate.objective_fair import gaps_of, scale_of


@dataclass(frozen=True, slots=True)
class RememberedLoss:
    """J = L + λ R with remembered group losses. `counts`: the rows of each group in the training set.

    Raises FairauditError for a group without a row.
    """

    counts: tuple[int, ...]
    terms: Terms

    def __post_init__(self) -> None:
        if any(n < 1 for n in self.counts):
            raise FairauditError(f"every group has a row to remember, not {min(self.counts)}; drop it.")

    @property
    def n_groups(self) -> int:
        """The number of groups, K."""
        return len(self.counts)

    @property
    def needs_totals(self) -> bool:
        """False: the weights follow from the memory and the counts."""
        return False

    def start(self) -> Tensor:
        """Nothing seen: [2, K] zeros."""
        return torch.zeros(2, self.n_groups, dtype=torch.float64)

    def step(self, totals: Tensor, memory: Tensor) -> Step:
        """The weights from `memory`, and the memory with this step in it."""
        seen = memory[1] > 0
        remembered = torch.where(seen, memory[0] / memory[1], torch.nan)
        rows = totals.new_tensor(self.counts)
        gaps = gaps_of(remembered + self.terms.adjustment / rows.sqrt(), seen, self.terms.sided)
        scale = scale_of(seen, self.terms)
        shares = 1 / self.n_groups if self.terms.sampling == BALANCED else rows / rows.sum()
        pull = 2 * scale * gaps / (shares * totals[1, 1:].sum().clamp(min=1))
        level = 1 / totals[1].sum() + torch.cat([pull.new_zeros(1), pull])
        if self.terms.sided == UP:
            level = level / (1 + 2 * (scale * gaps).sum())
        means, present = group_means(totals)
        fresh = torch.stack([means, torch.ones_like(means)])
        decay = self.terms.decay
        after = torch.where(present, decay * memory + (1 - decay) * fresh, memory)
        return Step(level, scale * gaps.square().sum(), after, notes={"remembered": remembered})
