"""The preprocessing of a model: its own image processor or tokenizer, or a stated default."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Sequence
from typing import Any

from fairaudit.errors import FairauditError
from fairaudit_mitigate.inputs import Preprocessor
from fairaudit_mitigate.voice import Say
from fairaudit_mitigate.weights import quiet

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
LONGEST_TEXT = 512


def image_preprocessor(source: str, base: str, model: Any, image_size: int | None, say: Say) -> Preprocessor:
    """The image processor on Pillow (torchvision is not needed), at another size where `image_size` is given.

    A given size means: shorter side to that size, centre square, no margin cut off.
    """
    if image_size is not None and image_size < 1:
        raise FairauditError(f"the image size is 1 pixel or more, not {image_size}.")
    processor = _image_processor(source, base)
    native = _native_size(model.config)
    if processor is None:
        side = image_size or native or 224
        say(
            f"'{source}' has no preprocessor_config.json: images go to {side} × {side}, "
            "normalised with ImageNet's mean and deviation."
        )
        processor = _default_processor(side)
    elif image_size is not None:
        _resize(processor, image_size)
    _check_patches(model.config, image_size)
    size = _output_size(processor)
    interpolates = native is not None and size not in (None, native) and _can_interpolate(model)
    return Preprocessor(
        "image", processor, extra=(("interpolate_pos_encoding", True),) if interpolates else ()
    )


def text_preprocessor(source: str, base: str, model: Any, image_size: int | None, say: Say) -> Preprocessor:  # noqa: ARG001
    """The tokenizer, padding behind the text, with a padding token on it and on the model.

    Where the checkpoint has no padding token it is one that ends or starts texts: a decoder's class is read off
    the last token that is not padding, so padding must not be a word.
    """
    if image_size is not None:
        raise FairauditError("--image-size is for images; this data has texts.")
    tokenizer = read_tokenizer((source, base))
    if tokenizer is None:
        raise FairauditError(f"the model '{source}' has no tokenizer; texts need its tokenizer.json.")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.bos_token or tokenizer.unk_token
    if tokenizer.pad_token_id is None:
        raise FairauditError(
            f"the tokenizer of '{source}' has no padding, end, start or unknown token; set its pad_token."
        )
    # absolute positions are those of the text alone only where padding stands behind it
    tokenizer.padding_side = "left" if _class_token_is_last(tokenizer) else "right"
    # decoders find the last real token of a row by it, so it must be the token that pads the rows
    model.config.get_text_config().pad_token_id = model.config.pad_token_id = tokenizer.pad_token_id
    return Preprocessor(
        "text", tokenizer, max_length=min(_positions(model), tokenizer.model_max_length, LONGEST_TEXT)
    )


def _class_token_is_last(tokenizer: Any) -> bool:
    """XLNet's way: the class is read off the very last token, so padding stands before the text."""
    ids = tokenizer("a")["input_ids"]
    return len(ids) > 1 and ids[-1] == tokenizer.cls_token_id != ids[0]


def _positions(model: Any) -> int:
    """How many tokens the model has positions for; RoBERTa counts them from behind the padding's."""
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and getattr(module, "padding_idx", None) is not None:
            return int(module.num_embeddings - module.padding_idx - 1)
    return int(getattr(model.config, "max_position_embeddings", None) or LONGEST_TEXT)


def read_tokenizer(places: Sequence[str]) -> Any:
    """The tokenizer of the first place that has one, else None.

    transformers makes one without words where the files are missing, which reads every text as unknown.
    """
    from transformers import AutoTokenizer

    for place in dict.fromkeys(places):
        try:
            with quiet():
                found = AutoTokenizer.from_pretrained(place, trust_remote_code=False)
        except (OSError, ValueError, KeyError):
            continue
        if len(found) > len(set(found.all_special_ids)):
            return found
    return None


def _image_processor(source: str, base: str) -> Any:
    from transformers import AutoImageProcessor

    for place in dict.fromkeys((source, base)):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ResourceWarning)
                return AutoImageProcessor.from_pretrained(place, backend="pil", trust_remote_code=False)
        except (OSError, ValueError, KeyError):
            continue
    return None


def _default_processor(size: int) -> Any:
    from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

    square = {"height": size, "width": size}
    return ViTImageProcessorPil(size=square, image_mean=IMAGENET_MEAN, image_std=IMAGENET_STD)


def _resize(processor: Any, size: int) -> None:
    square = {"height": size, "width": size}
    crops = bool(getattr(processor, "do_center_crop", False))
    processor.size = type(processor)(size={"shortest_edge": size} if crops else square).size
    processor.do_resize = True
    if crops:
        processor.crop_size = type(processor)(crop_size=square).crop_size


def _output_size(processor: Any) -> int | None:
    size = processor.crop_size if getattr(processor, "do_center_crop", False) else processor.size
    for key in ("height", "shortest_edge"):
        found = size.get(key) if hasattr(size, "get") else getattr(size, key, None)
        if found is not None:
            return int(found)
    return None


def _vision(config: Any) -> Any:
    return getattr(config, "vision_config", config)


def _native_size(config: Any) -> int | None:
    size = getattr(_vision(config), "image_size", None)
    return int(size) if isinstance(size, int) else None


def _check_patches(config: Any, image_size: int | None) -> None:
    patch = getattr(_vision(config), "patch_size", None)
    if image_size is not None and isinstance(patch, int) and image_size % patch:
        near = max(patch, round(image_size / patch) * patch)
        raise FairauditError(
            f"image sides are multiples of the patch, {patch}: not {image_size}; try {near}."
        )


def _can_interpolate(model: Any) -> bool:
    """Whether a module takes `interpolate_pos_encoding`; models that always do it have no such parameter."""
    return any("interpolate_pos_encoding" in inspect.signature(m.forward).parameters for m in model.modules())
