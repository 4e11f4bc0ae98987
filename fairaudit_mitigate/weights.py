"""Weights: read from safetensors only, checked to be whole and to fit."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fairaudit.errors import FairauditError
from fairaudit_mitigate.adapter import take_the_long_way
from fairaudit_mitigate.quantize import check_installed, is_quantized, keep_trainable

ADAPTER_WEIGHTS = "adapter_model.safetensors"
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")


def from_pretrained(
    loader: Any, base: str, config: Any, quantization: Any = None, trusted: bool = False
) -> tuple[Any, dict[str, Any]]:
    """The model and what loading it found out. Raises FairauditError for weights that cannot be read safely."""
    import torch
    from safetensors import SafetensorError

    _check_files(Path(base))
    quantized = {"quantization_config": quantization} if quantization is not None else {}
    if quantized or is_quantized(config):
        check_installed(f"'{base}' in bits of bitsandbytes")
    try:
        with quiet():
            model, info = loader.from_pretrained(
                base, config=config, dtype=torch.float32, use_safetensors=True, trust_remote_code=trusted,
                output_loading_info=True, ignore_mismatched_sizes=True, **quantized,
            )  # fmt: skip
    except (OSError, ValueError, RuntimeError, KeyError, ImportError, SafetensorError) as error:
        raise FairauditError(
            f"the weights of '{base}' cannot be loaded (safetensors only): {first_line(error)}"
        ) from error
    keep_trainable(model)
    return model, info


def _check_files(folder: Path) -> None:
    """A folder holds safetensors: a pickle can run code when it is read, so none is."""
    if not folder.is_dir() or any(folder.glob("*.safetensors")):
        return
    pickled = sorted(p.name for p in folder.iterdir() if p.suffix in _PICKLES)
    if pickled:
        raise FairauditError(
            f"the model '{folder}' has pickled weights ({pickled[0]}), which can run code when they are read: "
            "safetensors only; load it with transformers where that may happen, and call save_pretrained."
        )
    raise FairauditError(
        f"the model '{folder}' has a config.json and no weights; it needs model.safetensors."
    )


def check_shapes(base: str, mismatched: Iterable[Sequence[Any]], heads: Sequence[str]) -> None:
    """Only the head may have another shape; anything else would silently get random weights."""
    for key, stored, wanted in sorted(mismatched, key=lambda found: str(found[0])):
        if key.split(".", 1)[0] not in heads:
            raise FairauditError(
                f"the weights of '{base}' do not fit its config.json: '{key}' has shape {tuple(stored)}, "
                f"the model {tuple(wanted)}; mend the folder."
            )


def draw_again(model: Any, heads: Sequence[str]) -> None:
    """Give the heads new random weights; transformers marks what it has loaded and would leave it alone."""
    for head in heads:
        for module in model.get_submodule(head).modules():
            for marked in (module, *module.parameters(recurse=False)):
                marked._is_hf_initialized = False
            if hasattr(module, "reset_parameters"):
                module.reset_parameters()
            model._init_weights(module)


def in_head(key: str, heads: Sequence[str]) -> bool:
    """Also the pooler: encoders saved without one get a fresh one, which is trained like the head."""
    return key.split(".", 1)[0] in heads or ".pooler." in key


def with_adapter(model: Any, folder: Path, lacking: Sequence[str]) -> Any:
    """The model with the adapter on it. `lacking`: tensors the base has not; the adapter must bring them."""
    from peft import PeftModel
    from safetensors import SafetensorError, safe_open

    take_the_long_way(model)
    if not (folder / ADAPTER_WEIGHTS).is_file():
        raise FairauditError(f"the adapter '{folder}' has no {ADAPTER_WEIGHTS}; save it as safetensors.")
    try:
        with safe_open(folder / ADAPTER_WEIGHTS, framework="pt") as file:
            stored = set(file.keys())
        with quiet():
            # PEFT only warns of LoRA tensors that are not in the file
            warnings.filterwarnings("error", message="Found missing adapter keys")
            wrapped = PeftModel.from_pretrained(model, str(folder))
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, SafetensorError, UserWarning) as error:
        raise FairauditError(
            f"the adapter '{folder}' does not fit its base model: {first_line(error)}"
        ) from error
    whole = [n for n, _ in wrapped.named_parameters() if ".modules_to_save." in n]
    wanted = {n.replace(".modules_to_save.default.", ".") for n in whole}
    lost = sorted((wanted | {f"base_model.model.{k}" for k in lacking}) - stored)
    if lost:
        raise FairauditError(
            f"the adapter '{folder}' lacks {len(lost)} tensors that its base does not have either "
            f"(first: {lost[0].removeprefix('base_model.model.')}); save it with its head."
        )
    return wrapped


@contextmanager
def quiet() -> Iterator[None]:
    """Without transformers' loading report and bars: what matters of them is said in one sentence of ours."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", FutureWarning
            )  # transformers' and PEFT's, about each other's names
            yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def first_line(error: BaseException) -> str:
    """What an error says first, as a sentence."""
    text = (str(error) or type(error).__name__).strip().splitlines()[0]
    return text if text.endswith(".") else text + "."
