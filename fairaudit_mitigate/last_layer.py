"""The last linear layer of a classifier: what goes into it, and how new weights are put there.

What goes in is read by putting the identity in its place: the model then answers with its features, pooled as it
pools its logits (a language model computes the layer for every token and keeps one).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from fairaudit.errors import FairauditError
from fairaudit_mitigate.adapter import head_names
from fairaudit_mitigate.inputs import Encoded
from fairaudit_mitigate.predictions import logits_of

if TYPE_CHECKING:
    from fairaudit_mitigate.classifier import Classifier
    from fairaudit_mitigate.predictions import Hardware
    from fairaudit_mitigate.voice import Voice

CHECKED_ROWS = 64


@dataclass(frozen=True, slots=True)
class LastLayer:
    """`name` of the layer inside the model, the `head` that holds it."""

    name: str
    head: str

    def of(self, model: Any) -> nn.Linear:
        """The layer itself."""
        found: nn.Linear = model.get_submodule(self.name)
        return found


def last_layer(model: Any, outputs: int) -> LastLayer:
    """The last linear layer of the head with that many outputs. Raises FairauditError where there is none."""
    heads = head_names(model)
    found = [
        LastLayer(name, head)
        for name, module in model.named_modules()
        for head in heads
        if (name == head or name.startswith(f"{head}."))
        and isinstance(module, nn.Linear)
        and module.out_features == outputs
    ]
    if not found:
        raise FairauditError(
            f"the head of {type(model).__name__} ({', '.join(heads)}) has no linear layer of {outputs} outputs; "
            "this method refits one, choose another."
        )
    return found[-1]


def features_of(
    classifier: Classifier, layer: LastLayer, data: Encoded, hardware: Hardware, voice: Voice
) -> Tensor:
    """What goes into the layer for every row, [rows, width], float32 on the CPU.

    Raises FairauditError where the outputs of the model are not the layer's own (something comes after it).
    """
    model = classifier.model
    linear = layer.of(model)
    _put(model, layer.name, nn.Identity())
    try:
        features = logits_of(model, data, classifier.preprocessor, hardware, voice, "features")
    finally:
        _put(model, layer.name, linear)
    _check(classifier, layer, data, hardware, features)
    return features


def _put(model: Any, name: str, module: nn.Module) -> None:
    parent, _, leaf = name.rpartition(".")
    setattr(model.get_submodule(parent), leaf, module)


def _check(
    classifier: Classifier, layer: LastLayer, data: Encoded, hardware: Hardware, features: Tensor
) -> None:
    some = torch.utils.data.Subset(data, range(min(CHECKED_ROWS, len(data))))
    logits = logits_of(classifier.model, some, classifier.preprocessor, hardware)  # type: ignore[arg-type]
    linear = layer.of(classifier.model)
    shape = (len(data), linear.in_features)
    with torch.inference_mode():
        ours = (
            linear(features[: len(logits)].to(linear.weight)).float().cpu()
            if features.shape == shape
            else None
        )
    if ours is None or not torch.allclose(ours, logits, rtol=1e-2, atol=1e-2 * float(logits.abs().max())):
        raise FairauditError(
            f"the outputs of {type(classifier.model).__name__} are not those of its last linear layer "
            f"({layer.name}): something comes after it; choose another method."
        )


def with_new_weights(
    model: Any, layer: LastLayer, weight: Tensor, bias: Tensor | None, fresh: Sequence[str] = ()
) -> Any:
    """The model with these weights in a copy of its head, as a PEFT adapter that holds nothing else.

    `fresh`: modules that the checkpoint lacks, kept with it. The artefact is as small as the head, and is read,
    merged and checked as LoRA's is.
    """
    from peft import LoraConfig, get_peft_model
    from peft.utils.constants import DUMMY_TARGET_MODULES

    config = LoraConfig(r=1, target_modules=DUMMY_TARGET_MODULES, modules_to_save=[layer.head, *fresh])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # as in adapter.add_adapter
        wrapped = get_peft_model(model, config)
    inner = layer.name.removeprefix(layer.head)
    linear: Any = wrapped.get_base_model().get_submodule(f"{layer.head}.modules_to_save.default{inner}")
    with torch.no_grad():
        linear.weight.copy_(weight)
        if bias is not None:
            linear.bias.copy_(bias)
    return wrapped
