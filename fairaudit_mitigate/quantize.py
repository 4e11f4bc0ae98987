"""Frozen weights in 4 or 8 bits (QLoRA, Dettmers et al. 2023), with bitsandbytes; the head stays as it is."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from fairaudit.errors import FairauditError
from fairaudit_mitigate.adapter import head_names
from fairaudit_mitigate.device import AUTO, pick_device, pick_dtype
from fairaudit_mitigate.loading import BITS


def quantization(bits: str, loader: Any, config: Any) -> Any:
    """What transformers is told: NF4 with double quantisation, or LLM.int8; not the head nor a pooler.

    Raises FairauditError where bitsandbytes is missing.
    """
    import torch
    from transformers import BitsAndBytesConfig

    check_installed(f"--quantize {bits}")
    build = loader.from_config if hasattr(loader, "from_config") else loader._from_config
    with torch.device("meta"):
        model = build(config)
    kept = [*head_names(model), *(n for n, _ in model.named_modules() if n.split(".")[-1] == "pooler")]
    if bits != BITS[0]:
        return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=kept)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=pick_dtype(AUTO, pick_device()),
        llm_int8_skip_modules=kept,
    )


def check_installed(what: str) -> None:
    """Raise FairauditError where bitsandbytes is missing. `what` needs it."""
    if find_spec("bitsandbytes") is None:
        raise FairauditError(f"{what} needs the package bitsandbytes, which is not installed; install it.")


def taken_from(config: Any) -> Any:
    """Take out of the config of an adapter what its base was quantised with; None where it was not.

    Left in, it would say that the weights on disk are quantised already.
    """
    from transformers import BitsAndBytesConfig

    if not is_quantized(config):
        return None
    found = config.quantization_config
    del config.quantization_config
    return BitsAndBytesConfig.from_dict(found) if isinstance(found, dict) else found


def keep_trainable(model: Any) -> None:
    """On a CPU, forgo the packed weights of bitsandbytes: once packed for a prediction they cannot be trained on."""
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False


def is_quantized(config: Any) -> bool:
    """Whether the checkpoint, or the base of the adapter, is loaded in bits of bitsandbytes."""
    found = getattr(config, "quantization_config", None)
    method = found.get("quant_method") if isinstance(found, dict) else getattr(found, "quant_method", None)
    return str(getattr(method, "value", method)) == "bitsandbytes"
