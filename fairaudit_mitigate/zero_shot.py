"""CLIP as a zero-shot classifier: the head is the text tower's embedding of one prompt a class.

logits = exp(logit_scale) · W f / |f|, f [batch, projection] the projected image, W [classes, projection] the
prompts' embeddings of length 1: `CLIPModel.logits_per_image` with the text side computed once. W is a weight
like any other: it can be trained, is saved, and what is saved needs no text tower (Radford et al. 2021, §3.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPConfig, CLIPModel, CLIPPreTrainedModel, CLIPVisionModel
from transformers.modeling_outputs import ImageClassifierOutput

from fairaudit.errors import FairauditError
from fairaudit_mitigate.preprocess import read_tokenizer
from fairaudit_mitigate.weights import from_pretrained


class CLIPZeroShotClassifier(CLIPPreTrainedModel):
    """Vision tower, its projection, the learned temperature and a head without bias; reads a `CLIPModel`."""

    main_input_name = "pixel_values"
    head_modules = ("classifier",)

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.num_labels = config.num_labels
        self.vision_model = CLIPVisionModel._from_config(config.vision_config)
        width, shared = config.vision_config.hidden_size, config.projection_dim
        self.visual_projection = nn.Linear(width, shared, bias=False)
        self.logit_scale = nn.Parameter(torch.tensor(config.logit_scale_init_value))
        self.classifier = nn.Linear(shared, config.num_labels, bias=False)
        self.post_init()  # type: ignore[no-untyped-call]

    def forward(
        self, pixel_values: Tensor, interpolate_pos_encoding: bool = False, **kwargs: Any
    ) -> ImageClassifierOutput:
        """Logits [batch, classes] of images [batch, 3, height, width]."""
        kwargs.pop("labels", None)
        seen = self.vision_model(pixel_values, interpolate_pos_encoding=interpolate_pos_encoding, **kwargs)
        features = functional.normalize(self.visual_projection(seen.pooler_output), dim=-1)
        logits = self.logit_scale.exp() * self.classifier(features)
        return ImageClassifierOutput(logits=logits)


def is_zero_shot(config: Any) -> bool:
    """Whether the checkpoint is one that this class wrote."""
    return CLIPZeroShotClassifier.__name__ in (config.architectures or ())


def zero_shot_class(config: Any, kind: str) -> type[CLIPZeroShotClassifier]:
    """The class. Raises FairauditError where the checkpoint is no CLIP, or the data no images."""
    if kind != "image":
        raise FairauditError(f"--head zero-shot classifies images, and this data has {kind}s.")
    if not isinstance(config, CLIPConfig):
        raise FairauditError(
            f"--head zero-shot needs a CLIP checkpoint with its text tower, not a model of type "
            f"'{config.model_type}'; use --head linear."
        )
    return CLIPZeroShotClassifier


def text_embeddings(base: str, config: Any, prompts: Sequence[str]) -> Tensor:
    """The text tower's embedding of each prompt, [prompts, projection], of length 1.

    Raises FairauditError where the checkpoint has no text tower or no tokenizer.
    """
    tokenizer = read_tokenizer((base,))
    if tokenizer is None:
        raise FairauditError(
            f"'{base}' has no tokenizer, which --head zero-shot reads prompts with; use --head linear."
        )
    whole, info = from_pretrained(CLIPModel, base, config)
    lost = [k for k in info["missing_keys"] if k.startswith("text_")]
    if lost:
        raise FairauditError(
            f"'{base}' has no text tower (it lacks {lost[0]}), which --head zero-shot needs; use --head linear."
        )
    longest = config.text_config.max_position_embeddings
    tokens = tokenizer(list(prompts), padding=True, truncation=True, max_length=longest, return_tensors="pt")
    with torch.inference_mode():
        found = whole.eval().get_text_features(**tokens)
    features: Tensor = functional.normalize(getattr(found, "pooler_output", found), dim=-1)
    return features.clone()
