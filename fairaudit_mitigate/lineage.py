"""On which weights an adapter was trained: a fingerprint of the base beside it, compared when it is loaded.

Shapes do not tell: two checkpoints of one architecture fit the same adapter, and the wrong one predicts
nonsense without a word.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from fairaudit.errors import FairauditError
from fairaudit_mitigate.voice import Say, silent

FILE = "base_fingerprint.json"
#: Of each tensor so many values, evenly spaced: enough to tell any two trainings apart, at no cost to speak of.
VALUES = 4096


def fingerprint(model: Any, without: Sequence[str] = ()) -> str:
    """SHA-256 over name, shape and up to VALUES values of each floating-point parameter and buffer of `model`.

    `without`: modules and tensors that are left out (heads, what the checkpoint lacks), by the start of their
    names. Quantised tensors are left out too; norms and embeddings are not quantised.
    """
    found = hashlib.sha256()
    tensors: dict[str, torch.Tensor] = dict(model.named_parameters()) | dict(model.named_buffers())
    for name, tensor in sorted(tensors.items()):
        if any(name == w or name.startswith(f"{w}.") for w in without) or not tensor.is_floating_point():
            continue
        flat = tensor.detach().flatten()
        some = flat[:: max(1, len(flat) // VALUES)].float().cpu().contiguous()
        found.update(f"{name}{tuple(tensor.shape)}".encode())
        found.update(some.numpy().tobytes())
    return found.hexdigest()


def write(folder: Path, base: str) -> None:
    """Leave the fingerprint of the base beside the adapter."""
    text = json.dumps({"of": "base weights without head", "sha256_of_samples": base}, indent=1)
    (folder / FILE).write_text(text + "\n", encoding="utf-8")


def check(folder: Path, found: str, base: str, say: Say = silent) -> None:
    """Raise FairauditError where the adapter was trained on other weights; say so where it does not tell."""
    try:
        stored = json.loads((folder / FILE).read_text(encoding="utf-8"))["sha256_of_samples"]
    except FileNotFoundError:
        say(f"the adapter '{folder}' does not say on which weights it was trained; '{base}' has its shapes.")
        return
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FairauditError(f"'{folder / FILE}' cannot be read; save the adapter again.") from error
    if stored != found:
        raise FairauditError(
            f"the adapter '{folder}' was trained on other weights than those of '{base}', which have the same "
            "shapes; name the right base with --base."
        )
