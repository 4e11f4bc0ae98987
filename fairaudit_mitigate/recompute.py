"""Gradient checkpointing: activations are computed again for the gradient instead of being kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fairaudit.errors import FairauditError


@contextmanager
def recomputing(model: Any, wanted: bool) -> Iterator[None]:
    """Where wanted, the blocks of the model keep only their inputs in training, until the end of the context.

    The non-reentrant kind: it works where only adapters inside a block have gradients, and draws a block's
    dropout again as it was. Raises FairauditError for a model that has no such blocks.
    """
    if not wanted:
        yield
        return
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    switch = _named(inner, "enable")
    if switch is None or not getattr(inner, "supports_gradient_checkpointing", False):
        raise FairauditError(
            f"{type(inner).__name__} cannot compute its activations again; leave out --checkpoint-gradients."
        )
    switch({"use_reentrant": False})
    try:
        yield
    finally:
        stop = _named(inner, "disable")
        if stop is not None:
            stop()


def _named(model: Any, what: str) -> Any:
    """The model's method: transformers has given it a new name."""
    for name in (f"activation_checkpointing_{what}", f"gradient_checkpointing_{what}"):
        if hasattr(model, name):
            return getattr(model, name)
    return None
