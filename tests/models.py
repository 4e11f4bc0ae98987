"""Tiny random models and the data sets they can learn, written to a folder; seconds on one core."""

from __future__ import annotations

import csv
import random
from pathlib import Path
from typing import Any

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "good", "bad", "man", "woman", "the", "a", "film", "day"]
SIDE = 16
SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


def save_model(kind: str, folder: Path, *, head: bool = True) -> Path:
    """Write a random `vit`, `dinov2`, `swin`, `clip`, `bert` or `llama` with its preprocessing."""
    import torch
    from transformers import AutoModel, AutoModelForImageClassification, AutoModelForSequenceClassification
    from transformers.utils import logging

    logging.disable_progress_bar()
    torch.manual_seed(0)
    config = _config(kind)
    is_text = kind in ("bert", "llama")
    loader = AutoModelForSequenceClassification if is_text else AutoModelForImageClassification
    model = (loader if head else AutoModel).from_config(config)
    model.save_pretrained(folder)
    if is_text:
        _tokenizer().save_pretrained(folder)
    else:
        _image_processor().save_pretrained(folder)
    return folder


def _config(kind: str) -> Any:
    import transformers as t

    small = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    if kind == "vit":
        return t.ViTConfig(**small, image_size=SIDE, patch_size=4)
    if kind == "dinov2":
        return t.Dinov2Config(**small, image_size=SIDE, patch_size=4, mlp_ratio=2)
    if kind == "swin":
        return t.Swinv2Config(
            image_size=SIDE, patch_size=2, embed_dim=8, depths=[1, 1], num_heads=[1, 2], window_size=2
        )
    if kind == "clip":
        vision = {**small, "image_size": SIDE, "patch_size": 4}
        return t.CLIPConfig(vision_config=vision, text_config={**small, "vocab_size": 30}, projection_dim=8)
    if kind == "bert":
        return t.BertConfig(**small, vocab_size=len(WORDS), max_position_embeddings=32)
    return t.LlamaConfig(**small, num_key_value_heads=1, vocab_size=len(WORDS), max_position_embeddings=32)


def _tokenizer() -> Any:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    inner.pre_tokenizer = Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, unk_token="[UNK]", eos_token="[SEP]", pad_token="[PAD]"
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
