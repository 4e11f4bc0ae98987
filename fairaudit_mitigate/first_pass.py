"""A pass over the rows that leaves no trace: what the first of two passes needs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase


@contextmanager
def undisturbed(model: Any, device: torch.device) -> Iterator[None]:
    """No gradients; afterwards the random generators stand where they stood, and no running statistic has moved.

    So the second pass draws the same dropout masks, and batch norms count each row once.
    """
    states = _generator_states(device)
    counting = [
        m for m in model.modules() if isinstance(m, _BatchNorm) and m.training and m.track_running_stats
    ]
    for norm in counting:
        norm.track_running_stats = False  # in training the statistics of the batch are used in any case
    try:
        with torch.no_grad():
            yield
    finally:
        for norm in counting:
            norm.track_running_stats = True
        _restore_generators(states, device)


def hold_frozen_norms(model: Any) -> None:
    """Frozen norms stay in eval mode: their running statistics belong to the base, which is not trained.

    A norm without parameters (affine=False) cannot show that it is frozen: it is where the model wears an adapter.
    """
    adapted = any(hasattr(module, "peft_config") for module in model.modules())
    for module in model.modules():
        trained = any(p.requires_grad for p in module.parameters())
        if isinstance(module, _NormBase) and not trained and (module.affine or adapted):
            module.eval()


def _generator_states(device: torch.device) -> tuple[Tensor, Tensor | None]:
    here = {"cuda": lambda: torch.cuda.get_rng_state(device), "mps": torch.mps.get_rng_state}.get(device.type)
    return torch.get_rng_state(), here() if here else None


def _restore_generators(states: tuple[Tensor, Tensor | None], device: torch.device) -> None:
    torch.set_rng_state(states[0])
    if states[1] is not None:
        torch.cuda.set_rng_state(states[1], device) if device.type == "cuda" else torch.mps.set_rng_state(
            states[1]
        )
