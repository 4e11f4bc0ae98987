"""Group DRO (Sagawa et al. 2020, arXiv 1911.08731): the worst mixture of the groups, found online.

Algorithm 1 with the adjustment of its section 3.3: weights q over the groups, at first 1/K each. A step multiplies q_g
by exp(η (L_g + C/√N_g)) for the groups *present* (N_g rows in the training set; a small group's loss is trusted less
far, as it generalises worse), normalises, and takes the gradient of Σ_g q_g L_g with the *new* q held constant:

    v_i = (n°/n) q_g / n_g        n° rows of the step have a group; 1/n for a row without one

Rows without a group are outside the worst case and keep the weight they have in the mean. A group that is absent
keeps its q before the normalisation, where the authors' code multiplies it as if its loss were 0. The authors draw all
groups equally often (balanced sampling), and so should the caller: a q_g whose group is absent is lost to the step.
log q [1, K] is the memory; q follows from sums over all micro-batches and ranks, so it is the same on every rank.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from fairaudit.errors import FairauditError
from fairaudit_mitigate.objective import Step, group_means

#: The step size of the authors' code, and a middle of the C they try (0 to 5).
STEP_SIZE, ADJUSTMENT = 0.01, 1.0


@dataclass(frozen=True, slots=True)
class GroupDRO:
    """`counts`: N_g, the rows of each group in the training set; `step_size`: η; `adjustment`: C (0: none).

    Raises FairauditError for a group without a row, an η that is not above 0, a C below 0, or one not finite.
    """

    counts: tuple[int, ...]
    step_size: float = STEP_SIZE
    adjustment: float = ADJUSTMENT

    def __post_init__(self) -> None:
        if any(n < 1 for n in self.counts):
            raise FairauditError(f"every group of group DRO has a row, not {min(self.counts)}; drop it.")
        if not 0 < self.step_size < math.inf:
            raise FairauditError(
                f"the step size of group DRO is a finite number above 0, not {self.step_size}."
            )
        if not 0 <= self.adjustment < math.inf:
            raise FairauditError(
                f"the adjustment of group DRO is a finite number from 0 up, not {self.adjustment}; "
                f"{ADJUSTMENT:g} is the default."
            )

    @property
    def n_groups(self) -> int:
        """The number of groups, K."""
        return len(self.counts)

    @property
    def needs_totals(self) -> bool:
        """True: q moves before it is used."""
        return True

    def start(self) -> Tensor:
        """log(1/K), [1, K]."""
        k = self.n_groups
        return torch.full((1, k), -math.log(max(1, k)), dtype=torch.float64)

    def step(self, totals: Tensor, memory: Tensor) -> Step:
        """q after this step's losses, and the weights that follow."""
        means, present = group_means(totals)
        margin = self.adjustment / totals.new_tensor(self.counts).sqrt()
        rise = torch.where(present, self.step_size * (means + margin), 0.0)
        log_q = torch.log_softmax(memory[0] + rise, dim=0)
        q = log_q.exp()
        n, grouped = totals[1].sum(), totals[1, 1:].sum()
        own = torch.where(present, grouped / n * q / totals[1, 1:].clamp(min=1), 0.0)
        level = torch.cat([(1 / n).reshape(1), own])
        penalty = (level * totals[0]).sum() - totals[0].sum() / n
        return Step(level, penalty, log_q[None], notes={"q": q})
