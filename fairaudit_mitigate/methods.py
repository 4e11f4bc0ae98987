"""The registry of methods: one line each. A method says what is trained and with which objective."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fairaudit.errors import FairauditError, did_you_mean

if TYPE_CHECKING:
    from fairaudit_mitigate.objective import Objective


def _plain(n_groups: int, penalty: float, reduction: str) -> Objective:  # noqa: ARG001
    from fairaudit_mitigate.objective import FairLoss

    return FairLoss(n_groups)


def _penalised(n_groups: int, penalty: float, reduction: str) -> Objective:
    from fairaudit_mitigate.objective import FairLoss

    return FairLoss(n_groups, penalty, reduction)


@dataclass(frozen=True, slots=True)
class Method:
    """`adapts`: LoRA and the head are trained, else every weight. `objective` takes (K, λ, reduction).

    `compares_groups`: the objective is nothing without at least two groups.
    """

    name: str
    about: str
    adapts: bool
    compares_groups: bool
    learning_rate: float
    objective: Callable[[int, float, str], Objective]


METHODS = {
    m.name: m
    for m in (
        Method("lora", "LoRA adapters and the head, mean loss", True, False, 1e-3, _plain),
        Method(
            "fairlora",
            "LoRA with the penalty λ Σ(L_g − L̄)² on group losses (FairLoRA)",
            True,
            True,
            1e-3,
            _penalised,
        ),
        Method("fft", "full fine-tuning: every weight, mean loss", False, False, 3e-5, _plain),
        Method("fair-fft", "full fine-tuning with FairLoRA's penalty", False, True, 3e-5, _penalised),
    )
}


def find_method(name: str) -> Method:
    """The method of that name. Raises FairauditError with the known names for any other."""
    if name not in METHODS:
        raise FairauditError(
            f"no method '{name}' (methods: {', '.join(METHODS)}).{did_you_mean(name, METHODS)}"
        )
    return METHODS[name]


def list_methods() -> str:
    """The registry as text, one method a line."""
    return "\n".join(f"{m.name:<10}{m.about}; learning rate {m.learning_rate:g}" for m in METHODS.values())
