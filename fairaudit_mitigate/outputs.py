"""What a model gives back: logits, bare or in an object that names them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from fairaudit.errors import FairauditError


def logits_in(output: Any) -> Tensor:
    """The logits [rows, classes] of a forward pass.

    Raises FairauditError where the output is neither a tensor nor has `logits`.
    """
    found = output.get("logits") if isinstance(output, Mapping) else getattr(output, "logits", output)
    if not isinstance(found, Tensor):
        raise FairauditError(
            f"the model gives a {type(output).__name__} without logits; its forward returns a tensor "
            "[rows, classes] or an object with `.logits`."
        )
    return found
