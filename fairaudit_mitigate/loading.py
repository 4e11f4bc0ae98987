"""The words for how a model is loaded, and which of them go together; checked before anything is read."""

from __future__ import annotations

from collections.abc import Sequence

from fairaudit.errors import FairauditError, did_you_mean

#: The head of a CLIP checkpoint: a fresh linear layer, or the embeddings of one prompt a class.
LINEAR, ZERO_SHOT = "linear", "zero-shot"
HEADS = (LINEAR, ZERO_SHOT)
PROMPT = "a photo of a {}"
#: Bits of the frozen weights, with bitsandbytes.
BITS = ("4bit", "8bit")


def check_head(head: str, prompt: str) -> None:
    """Raise FairauditError for a head that is not known, or a prompt without a place for the class."""
    if head not in HEADS:
        raise FairauditError(f"--head is {' or '.join(HEADS)}, not '{head}'.{did_you_mean(head, HEADS)}")
    if "{}" not in prompt:
        raise FairauditError(f"the prompt has {{}} where the name of the class goes, as in '{PROMPT}'.")


def check_names(names: Sequence[str]) -> None:
    """Raise FairauditError where names of classes repeat."""
    if len(set(names)) < len(names):
        raise FairauditError(f"--class-names names each class once, not {', '.join(names)}.")


def check_bits(quantize: str | None, trains_weights: bool) -> None:
    """Raise FairauditError for unknown bits, and for quantised weights that are to be trained themselves."""
    if quantize is None:
        return
    if quantize not in BITS:
        raise FairauditError(f"--quantize is {' or '.join(BITS)}, not '{quantize}'.")
    if trains_weights:
        raise FairauditError(
            "quantised weights cannot be trained themselves: use a LoRA method, or leave out --quantize."
        )
