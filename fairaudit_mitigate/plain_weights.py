"""Weights of a plain torch module: one safetensors file, or a PEFT adapter beside it. Never pickle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fairaudit.errors import FairauditError

WEIGHTS = "model.safetensors"
ADAPTER_CONFIG = "adapter_config.json"


def save_weights(model: Any, folder: Path) -> None:
    """Write parameters and buffers; tensors that share memory are written once."""
    from safetensors.torch import save_model

    folder.mkdir(parents=True, exist_ok=True)
    save_model(model, str(folder / WEIGHTS))


def load_weights(model: Any, folder: Path) -> None:
    """Read them back. Raises FairauditError where the file is missing, broken, or of another network."""
    from safetensors import SafetensorError
    from safetensors.torch import load_model

    if not (folder / WEIGHTS).is_file():
        raise FairauditError(f"'{folder}' has no {WEIGHTS}; weights are read from safetensors only.")
    try:
        load_model(model, str(folder / WEIGHTS), strict=True)
    except (OSError, RuntimeError, SafetensorError) as error:
        first = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise FairauditError(
            f"the weights of '{folder}' do not fit {type(model).__name__}: {' '.join(first[:2]).rstrip('.')}."
        ) from error


def is_adapter(folder: Path) -> bool:
    """Whether a PEFT adapter stands there."""
    return (folder / ADAPTER_CONFIG).is_file()


def base_of(folder: Path) -> str:
    """The base an adapter names: beside it, where that is there, else as it stands."""
    try:
        stored = json.loads((folder / ADAPTER_CONFIG).read_text(encoding="utf-8"))["base_model_name_or_path"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FairauditError(
            f"the {ADAPTER_CONFIG} of '{folder}' does not name its base; name it with --base."
        ) from error
    beside = folder / str(stored)
    if beside.is_dir():
        return str(beside)
    if not Path(str(stored)).is_dir():
        raise FairauditError(f"the base '{stored}' of the adapter '{folder}' is gone; name it with --base.")
    return str(stored)
