"""Group DRO on LoRA: the worst mixture of the groups, with the adjustment for small ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fairaudit_mitigate.methods.method import ADAPTER, BALANCED, Method, Terms

if TYPE_CHECKING:
    from fairaudit_mitigate.objective import Objective


def worst_case(counts: tuple[int, ...], terms: Terms) -> Objective:
    """Group DRO's objective; of the terms only the adjustment C counts."""
    from fairaudit_mitigate.objective_dro import GroupDRO

    return GroupDRO(counts, adjustment=terms.adjustment)


METHOD = Method(
    "groupdro-lora",
    "LoRA that follows the groups with the highest losses (group DRO), on group-balanced steps",
    ADAPTER,
    True,
    1e-3,
    worst_case,
    Terms(sampling=BALANCED, adjustment=1.0),
    needs="groups of the train rows; every group has a row, and small ones are repeated",
    choose="where the worst group is what counts, and validation rows of every group choose the step",
    paper="Sagawa et al. 2020, arXiv 1911.08731 (adjustment C/√n: section 3.3)",
    reads=("sampling", "adjustment"),
)
