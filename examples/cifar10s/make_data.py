"""CIFAR-10S: CIFAR-10 with a planted shortcut, after Wang et al. (CVPR 2020).

In training, classes 0–4 are grey with probability 0.95 and classes 5–9 with 0.05. The validation images draw
their colour 50:50. Every test image appears twice, once in colour and once in grey, so a difference between the
two rows of a pair can only come from the colour; `image_id` names the pair (intervals cluster by it).

    python examples/cifar10s/make_data.py CIFAR_FOLDER OUT.parquet

CIFAR_FOLDER holds `cifar10_train.parquet` and `cifar10_test.parquet`, columns `image` (struct with `bytes`)
and `label`. The published set has no validation split: other training images are used.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
GREY_IN_TRAINING = np.where(np.arange(10) < 5, 0.95, 0.05)


def encoded(jpeg: bytes, colour: str) -> bytes:
    """The image as PNG bytes, in colour or as grey levels repeated in three channels."""
    image = Image.open(io.BytesIO(jpeg)).convert("RGB")
    if colour == "grey":
        image = image.convert("L").convert("RGB")
    out = io.BytesIO()
    image.save(out, format="PNG")
    return out.getvalue()


def rows(frame: pd.DataFrame, split: str, colours: list[str]) -> pd.DataFrame:
    """Rows of one split; `colours[i]` is the colour of image i."""
    return pd.DataFrame(
        {
            "id": [f"{split}-{i}-{c}" for i, c in zip(frame.index, colours, strict=True)],
            "image": [encoded(r["bytes"], c) for r, c in zip(frame["image"], colours, strict=True)],
            "label": [NAMES[k] for k in frame["label"]],
            "colour": colours,
            "split": split,
            "image_id": [f"{split}-{i}" for i in frame.index],
        }
    )


def build(source: Path, seed: int, train: int, val: int, test: int) -> pd.DataFrame:
    """The whole set: `train` shortcut images, `val` balanced ones, `test` images twice each."""
    rng = np.random.default_rng(seed)
    pool = pd.read_parquet(source / "cifar10_train.parquet")
    pool = pool.iloc[rng.permutation(len(pool))]
    held = pd.read_parquet(source / "cifar10_test.parquet")
    held = held.iloc[rng.permutation(len(held))[:test]]
    fit, check = pool.iloc[:train], pool.iloc[train : train + val]
    grey = rng.random(train) < GREY_IN_TRAINING[fit["label"].to_numpy()]
    coin = rng.random(val) < 0.5
    parts = [
        rows(fit, "train", ["grey" if g else "colour" for g in grey]),
        rows(check, "val", ["grey" if g else "colour" for g in coin]),
        *(rows(held, "test", [c] * test) for c in ("colour", "grey")),
    ]
    return pd.concat(parts, ignore_index=True)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "source", type=Path, help="folder with cifar10_train.parquet and cifar10_test.parquet"
    )
    parser.add_argument("out", type=Path, help="Parquet file to write")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--train", type=int, default=8000)
    parser.add_argument("--val", type=int, default=4000)
    parser.add_argument("--test", type=int, default=10000, help="test images (twice as many rows)")
    args = parser.parse_args()
    frame = build(args.source, args.seed, args.train, args.val, args.test)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(args.out, index=False)
    print(frame.groupby(["split", "colour"]).size().to_string())


if __name__ == "__main__":
    main()
