"""Tiny random models and the data sets they can learn, written to a folder; seconds on one core."""

from __future__ import annotations

import csv
import random
from pathlib import Path
from typing import Any

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "good", "bad", "man", "woman", "the", "a", "film", "day"]
ENDS = {"bos_token_id": WORDS.index("[CLS]"), "eos_token_id": WORDS.index("[SEP]")}
SIDE = 16
SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


TEXTS = ("bert", "roberta", "llama", "mistral", "gpt2")
#: Decoders: the class is read off the last real token, by a head called `score`.
DECODERS = ("llama", "mistral", "gpt2")


def save_model(kind: str, folder: Path, *, head: bool = True) -> Path:
    """Write a random model of one of the kinds of `_image_config` or `TEXTS`, with its preprocessing.

    Without `head` it is what such a checkpoint usually is: `ViTModel` (DINO), the whole `CLIPModel`, ….
    """
    import torch
    from transformers import AutoModel, AutoModelForImageClassification, AutoModelForSequenceClassification
    from transformers.utils import logging

    logging.disable_progress_bar()
    torch.manual_seed(0)
    is_text = kind in TEXTS
    config = _text_config(kind) if is_text else _image_config(kind)
    loader = AutoModelForSequenceClassification if is_text else AutoModelForImageClassification
    model = (loader if head else AutoModel).from_config(config)
    for name, buffer in model.named_buffers():
        if "running" in name:  # so that statistics that are lost change what is predicted
            buffer.uniform_(-0.1, 0.1) if "mean" in name else buffer.uniform_(0.05, 0.15)
    model.save_pretrained(folder)
    if is_text or kind == "clip":
        tokenizer(kind).save_pretrained(folder)
    if not is_text:
        _image_processor().save_pretrained(folder)
    return folder


_SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}


def _image_config(kind: str) -> Any:
    import transformers as t

    square = {"image_size": SIDE, "patch_size": 4}
    if kind == "vit":
        return t.ViTConfig(**_SMALL, **square)
    if kind == "dinov2":
        return t.Dinov2Config(**_SMALL, **square, mlp_ratio=2)
    if kind == "clip":
        text = {**_SMALL, "vocab_size": len(WORDS), "max_position_embeddings": 16, **ENDS}
        return t.CLIPConfig(vision_config={**_SMALL, **square}, text_config=text, projection_dim=8)
    stages = {"hidden_sizes": [8, 16], "depths": [2, 1]}
    if kind == "resnet":
        return t.ResNetConfig(embedding_size=8, **stages)
    if kind == "convnext":
        return t.ConvNextConfig(num_stages=2, patch_size=2, layer_scale_init_value=1.0, **stages)
    if kind == "regnet":
        return t.RegNetConfig(embedding_size=8, groups_width=4, **stages)
    return t.Swinv2Config(
        image_size=SIDE, patch_size=2, embed_dim=8, depths=[1, 1], num_heads=[1, 2], window_size=2
    )


def _text_config(kind: str) -> Any:
    import transformers as t

    words = {"vocab_size": len(WORDS)}
    if kind == "bert":
        return t.BertConfig(**_SMALL, **words, max_position_embeddings=32)
    if kind == "roberta":
        return t.RobertaConfig(**_SMALL, **words, max_position_embeddings=34, pad_token_id=0)
    if kind == "gpt2":
        return t.GPT2Config(
            n_embd=16, n_layer=2, n_head=2, n_positions=32, initializer_range=0.2, **words, **ENDS
        )
    config = t.MistralConfig if kind == "mistral" else t.LlamaConfig
    return config(**_SMALL, **words, num_key_value_heads=1, max_position_embeddings=32)


def tokenizer(kind: str) -> Any:
    """Words as tokens. GPT-2's has no token to pad with; CLIP's puts a start and an end on every text."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    inner.pre_tokenizer = Whitespace()
    if kind == "clip":
        ends = [(w, WORDS.index(w)) for w in ("[CLS]", "[SEP]")]
        inner.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    padding = {} if kind == "gpt2" else {"pad_token": "[PAD]"}
    side = "left" if kind in ("llama", "mistral") else "right"
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, unk_token="[UNK]", eos_token="[SEP]", padding_side=side, **padding
    )


def _image_processor() -> Any:
    from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

    return ViTImageProcessorPil(
        size={"height": SIDE, "width": SIDE}, image_mean=[0.5] * 3, image_std=[0.5] * 3
    )


def draw_rows(n: int = 40, seed: int = 0) -> list[dict[str, str]]:
    """`n` rows for each of the splits 0, 1, 2: class and place agree in 80 % of train, else in half."""
    draw = random.Random(seed)
    rows = []
    for split in range(3):
        for i in range(n):
            y = i % 2
            agrees = draw.random() < 0.8 if split == 0 else (i // 2) % 2 == 0
            rows.append({"y": str(y), "place": str(y if agrees else 1 - y), "split": str(split)})
    return rows


def save_images(folder: Path, n: int = 40) -> Path:
    """A folder in the Waterbirds layout: the class is a bright upper half, the place a red tint."""
    import numpy as np
    from PIL import Image

    folder.mkdir()
    noise = np.random.default_rng(0)
    rows = draw_rows(n)
    for i, row in enumerate(rows):
        pixels = noise.integers(0, 90, (SIDE, SIDE, 3))
        pixels[: SIDE // 2] += 120 * int(row["y"])
        pixels[..., 0] += 45 * int(row["place"])
        row["img_filename"] = f"{i:03}.png"
        Image.fromarray(pixels.astype(np.uint8)).save(folder / row["img_filename"])
    _write(folder / "metadata.csv", rows, ("img_filename", "y", "place", "split"))
    return folder


def save_texts(path: Path, n: int = 40) -> Path:
    """A CSV of texts: the class is `good` or `bad`, the group `man` or `woman`."""
    draw = random.Random(1)
    rows = draw_rows(n)
    for i, row in enumerate(rows):
        words = [draw.choice(WORDS[8:]) for _ in range(draw.randint(2, 6))]
        words += [("bad", "good")[int(row["y"])], ("man", "woman")[int(row["place"])]]
        row |= {
            "id": f"t{i}",
            "text": " ".join(words),
            "label": row["y"],
            "sex": ("M", "F")[int(row["place"])],
        }
    _write(path, rows, ("id", "text", "label", "sex", "split"))
    return path


def _write(path: Path, rows: list[dict[str, str]], columns: tuple[str, ...]) -> None:
    with path.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
