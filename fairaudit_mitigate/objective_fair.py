"""FairLoRA's objective (arXiv 2410.17358) from the groups of the step itself: J = L + λ R.

R = c Σ_g d_g² over the groups *present*; L is the mean loss over the rows, L_g the mean loss of group g, L̄ the plain
mean of the L_g; c = 1 (`sum`, the paper) or 1/|G| (`mean`, which makes λ portable). Rows without a group count in L
only. A group that is absent is masked: counting it as loss 0 is another number.

**Both sides** (the paper): d_g = L_g − L̄. Since Σ_g d_g = 0, the part through L̄ vanishes and ∂R/∂L_g = 2c d_g:

    v_i = 1/n + 2λc (L_g − L̄) / n_g                     (1/n for a row without a group)

A group well below L̄ gets a negative weight: it is made worse. That is the paper's method, and it is logged.

**Up**: d_g = max(0, L_g − L̄), L̄ held constant. Then ∂R/∂L_g = 2c d_g and v_i = 1/n + 2λc d_g / n_g ≥ 1/n: nobody
is made worse on purpose. The weights do not add up to 1 (they do in `objective_memory`).

**Corrected**: E[Σ_g (L_g − L̄)²] exceeds the spread of the true group losses by (1 − 1/|G|) Σ_g σ_g²/n_g, so

    R = c [Σ_g (L_g − L̄)² − (1 − 1/|G|) Σ_g s_g²/n_g],   s_g² = (Σℓ² − n_g L_g²) / (n_g − 1)

and with ∂s_g²/∂ℓ_i = 2 (ℓ_i − L_g)/(n_g − 1) the row gets −2λc (1 − 1/|G|)(ℓ_i − L_g) / (n_g (n_g − 1)) more, which
is affine in its own loss. A group with one row has no s_g²: it is not corrected, and counted (`uncorrected`). R may
be negative; it is not clipped, which would bring the bias back. For one side no such correction is known, because
max(0, x)² is not a square: `Terms` refuses the pair.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from fairaudit.errors import FairauditError
from fairaudit_mitigate.methods.method import CORRECTED, MEAN, MEMORY, UP, Terms
from fairaudit_mitigate.objective import Step, group_means, nothing

PLAIN = Terms(penalty=0.0)


@dataclass(frozen=True, slots=True)
class FairLoss:
    """J = L + λ R with the group losses of the step (estimate `batch` or `corrected`).

    λ = 0, the default, is the plain mean, to the bit. Raises FairauditError for the estimate `memory`, which is
    `objective_memory.RememberedLoss`, and for an adjustment, which only a memory has.
    """

    n_groups: int
    terms: Terms = PLAIN

    def __post_init__(self) -> None:
        if self.terms.estimate == MEMORY:
            raise FairauditError("FairLoss remembers nothing; for the estimate 'memory' use RememberedLoss.")
        if self.terms.adjustment:
            raise FairauditError(
                "the adjustment C goes with the estimate 'memory' and group DRO; leave it 0."
            )

    @property
    def needs_totals(self) -> bool:
        """True unless λ = 0."""
        return self.terms.penalty != 0

    def start(self) -> Tensor:
        """Nothing is remembered."""
        return nothing(self.n_groups)

    def step(self, totals: Tensor, memory: Tensor) -> Step:
        """Level, slope and penalty of the formulas above."""
        plain = (1 / totals[1].sum()).expand(self.n_groups + 1)
        if not self.needs_totals:
            return Step(plain, totals.new_zeros(()), memory)
        means, present = group_means(totals)
        gaps = gaps_of(means, present, self.terms.sided)
        scale = scale_of(present, self.terms)
        n = totals[1, 1:].clamp(min=1)
        level, penalty = 2 * scale * gaps / n, scale * gaps.square().sum()
        if self.terms.estimate != CORRECTED:
            return Step(plain + _behind_zero(level), penalty, memory)
        shrink = scale * (1 - 1 / _number(present))
        some = totals[1, 1:] > 1
        pairs = torch.where(some, n * (n - 1), 1.0)
        squares = (totals[2, 1:] - n * means.square()).clamp(min=0)
        slope = torch.where(some, -2 * shrink / pairs, 0.0)
        return Step(
            plain + _behind_zero(level - slope * means),
            penalty - shrink * torch.where(some, squares / pairs, 0.0).sum(),
            memory,
            _behind_zero(slope),
            {"uncorrected": (totals[1, 1:] == 1).sum()},
        )


def gaps_of(means: Tensor, present: Tensor, sided: str) -> Tensor:
    """d_g [K] of the groups present: L_g − L̄, or what of it is above 0 (`up`); 0 for the others."""
    centre = torch.where(present, means, 0.0).sum() / present.sum().clamp(min=1)
    gaps = torch.where(present, means - centre, 0.0)
    return gaps.clamp(min=0) if sided == UP else gaps


def scale_of(present: Tensor, terms: Terms) -> Tensor | float:
    """λc: λ, or λ over the number of groups present for `mean`."""
    return terms.penalty / _number(present) if terms.reduction == MEAN else terms.penalty


def _number(present: Tensor) -> Tensor:
    """|G|, 1 for none. In float64: an integer tensor would make every quotient float32."""
    return present.sum().clamp(min=1).to(torch.float32 if present.device.type == "mps" else torch.float64)


def _behind_zero(by_group: Tensor) -> Tensor:
    """[K] → [K + 1]: 0 for the rows without a group."""
    return torch.cat([by_group.new_zeros(1), by_group])
