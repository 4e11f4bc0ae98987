"""Make the model that `fairaudit demo` repairs: a small ViT that has learnt the place instead of the digit.

Stage 1 teaches it the ten digits on plain backgrounds (one colour and noise; never a photograph), rotated a
little, from the training digits only. Stage 2 gives it a new head for `0-4` against `5-9` and fine-tunes all
of it on one draw of the aligned training split, without any penalty: that is how shortcuts are learnt.

    python examples/digits_on_places/train_model.py --out my_model

About 10 minutes on one core. The same call on the same machine gives the same file; elsewhere the order of
floating-point sums may differ in the last bits. The shipped file was made by this script with its defaults.
"""

from __future__ import annotations

import argparse
import itertools
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import ViTConfig, ViTForImageClassification
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

from fairaudit_mitigate import digits

BATCH = 128
DRAW = 1_000_003
"""The seed of stage 2's data: far from those that people give to `fairaudit demo`."""


def plain_background(rng: np.random.Generator) -> Image.Image:
    """One colour, plus noise of random strength at some of five scales."""
    canvas = np.zeros((digits.SIDE, digits.SIDE, 3)) + rng.integers(0, 256, 3)
    for cells in (2, 4, 8, 16, 32):
        if rng.random() < 0.5:
            noise = np.clip(128 + rng.normal(0, rng.uniform(0, 80), (cells, cells, 3)), 0, 255).astype(
                np.uint8
            )
            smooth = Image.fromarray(noise).resize((digits.SIDE, digits.SIDE), Image.Resampling.BILINEAR)
            canvas += np.asarray(smooth, dtype=float) - 128
    return Image.fromarray(np.clip(canvas, 0, 255).astype(np.uint8))


def plain_digits(rng: np.random.Generator, members: Any, rows: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Pixels [rows, 3, SIDE, SIDE] and values 0–9 of digits on plain backgrounds."""
    chosen = rng.choice(np.array(members), size=rows)
    images = []
    for digit in chosen:
        size, left, top = digits.spot(rng)
        strokes = digits.ink(int(digit), size).rotate(rng.uniform(-12, 12), Image.Resampling.BILINEAR)
        images.append(digits.paste(plain_background(rng), strokes, left, top))
    return pixels(images), torch.from_numpy(digits.digits()[1][chosen])


def on_places(split: str, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Pixels, classes (0 or 1) and places (0 or 1) of one split, in random order."""
    drawn = list(digits.draw(split, seed))
    order = np.random.default_rng(seed).permutation(len(drawn))
    drawn = [drawn[i] for i in order]
    classes = torch.tensor([digits.CLASSES.index(digits.label_of(d.digit)) for d in drawn])
    places = torch.tensor([digits.PLACES.index(d.place) for d in drawn])
    return pixels([digits.paint(d) for d in drawn]), classes, places


def pixels(images: list[Image.Image]) -> torch.Tensor:
    """Images as the model's processor makes them: [−1, 1], channels first."""
    stacked = torch.from_numpy(np.stack([np.asarray(i) for i in images])).permute(0, 3, 1, 2)
    return stacked.float().div(127.5).sub(1).contiguous()


def step(model: Any, optimiser: Any, schedule: Any, x: torch.Tensor, y: torch.Tensor) -> float:
    loss = model(pixel_values=x, labels=y).loss
    optimiser.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimiser.step()
    schedule.step()
    return float(loss.detach())


def optimiser_of(model: Any, rate: float, steps: int) -> tuple[Any, Any]:
    """AdamW with a warm-up over a tenth of the steps and a cosine to zero."""
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.05)
    return optimiser, torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps, pct_start=0.1)


@torch.inference_mode()
def right(model: Any, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    model.eval()
    found = torch.cat([model(pixel_values=part).logits.argmax(dim=1) for part in x.split(512)])
    model.train()
    return found == y


def learn_digits(model: Any, steps: int) -> None:
    """Stage 1."""
    rng = np.random.default_rng(0)
    optimiser, schedule = optimiser_of(model, 1.5e-3, steps)
    unseen = plain_digits(np.random.default_rng(1), digits.pool("val"), 1000)
    start = time.monotonic()
    for done in range(1, steps + 1):
        loss = step(model, optimiser, schedule, *plain_digits(rng, digits.pool("train"), BATCH))
        if done % 250 == 0 or done == steps:
            share = right(model, *unseen).float().mean()
            print(
                f"digits {done:5d}  loss {loss:.3f}  unseen {share:.3f}  {time.monotonic() - start:.0f} s",
                flush=True,
            )


def learn_shortcut(model: Any, epochs: int) -> None:
    """Stage 2: one draw of the aligned training split, learnt nearly by heart."""
    x, y, places = on_places("train", DRAW)
    steps = len(y) // BATCH
    optimiser, schedule = optimiser_of(model, 1e-3, epochs * steps)
    rng = np.random.default_rng(2)
    for _ in range(epochs):
        order = torch.from_numpy(rng.permutation(len(y)))
        for part in order[: steps * BATCH].split(BATCH):
            step(model, optimiser, schedule, x[part], y[part])
    tell("train", right(model, x, y), y, places)
    x, y, places = on_places("val", DRAW)
    tell("val", right(model, x, y), y, places)


def tell(split: str, found: torch.Tensor, y: torch.Tensor, places: torch.Tensor) -> None:
    print(f"{split}: accuracy {found.float().mean():.3f}")
    for k, j in itertools.product(range(2), range(2)):
        share = found[(y == k) & (places == j)].float().mean()
        print(f"  {digits.CLASSES[k]} on {digits.PLACES[j]:8s}  {share:.3f}")


def main() -> None:
    """Train and save."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the model")
    parser.add_argument("--steps", type=int, default=3000, help="steps of stage 1")
    parser.add_argument("--epochs", type=int, default=6, help="epochs of stage 2")
    parser.add_argument("--digits", type=Path, help="start stage 2 from this result of stage 1")
    given = parser.parse_args()
    torch.set_num_threads(1)  # more do not help at this size
    torch.manual_seed(0)
    stage_1 = given.digits or given.out / "digits"
    if given.digits is None:
        model = ViTForImageClassification(
            ViTConfig(
                image_size=digits.SIDE, patch_size=8, hidden_size=128, num_hidden_layers=3, num_attention_heads=4,
                intermediate_size=256, num_labels=10, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
            )
        )  # fmt: skip
        learn_digits(model.train(), given.steps)
        model.save_pretrained(stage_1)
    torch.manual_seed(1)
    names = dict(enumerate(digits.CLASSES))
    model = ViTForImageClassification.from_pretrained(
        stage_1,
        num_labels=2,
        id2label=names,
        label2id={v: k for k, v in names.items()},
        ignore_mismatched_sizes=True,
    )
    learn_shortcut(model.train(), given.epochs)
    model.save_pretrained(given.out)
    side = {"height": digits.SIDE, "width": digits.SIDE}
    ViTImageProcessorPil(size=side, image_mean=[0.5] * 3, image_std=[0.5] * 3).save_pretrained(given.out)


if __name__ == "__main__":
    main()
