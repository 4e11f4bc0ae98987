"""Which device and which number format."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from fairaudit.errors import FairauditError, did_you_mean

AUTO = "auto"
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def pick_device(name: str = AUTO) -> torch.device:
    """`auto`: CUDA, else Apple's MPS, else CPU. Raises FairauditError for a device that is not there."""
    if name == AUTO:
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise FairauditError(f"no device '{name}' on this machine; try --device cpu.") from error
    return device


def pick_dtype(name: str, device: torch.device) -> torch.dtype:
    """`auto`: bfloat16 on CUDA hardware that has it, else float32. The weights themselves stay float32."""
    if name == AUTO:
        fast = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if fast else torch.float32
    if name not in _DTYPES:
        raise FairauditError(f"no dtype '{name}' (auto, {', '.join(_DTYPES)}).{did_you_mean(name, _DTYPES)}")
    return _DTYPES[name]


def mixed(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[object]:
    """The autocast context for that format; nothing for float32."""
    if dtype == torch.float32:
        return nullcontext()
    return torch.autocast(device.type, dtype=dtype)
