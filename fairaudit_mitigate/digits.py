"""*Digits on places*: a miniature Waterbirds made only of what scikit-learn ships.

A handwritten digit (the class: `0-4` or `5-9`) is pasted at random size and position over a crop of one
of scikit-learn's two sample photographs (the place: `building` or `flower`). In training the class
follows the place in 95 % of the rows; in validation and test every digit stands once on either place, so
the place says nothing there. A model that learnt the place instead of the digit fails exactly on the
rows where the two disagree.

Two things are fixed for ever, because the shipped model was trained on the training half of them: which
digits and which strips of the photographs belong to which split. The seed draws everything else.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fairaudit.errors import FairauditError
from fairaudit.store import replacing

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow

SIDE = 32
"""Images are SIDE × SIDE pixels, RGB."""

CLASSES = ("0-4", "5-9")
POSITIVE = "5-9"
PLACES = ("building", "flower")
ALIGNED = {"0-4": "building", "5-9": "flower"}
"""The place that goes with each class in 95 % of the training rows."""

ALIGNMENT = 0.95
STRIP = 80
"""Photographs are cut into vertical strips of this many pixels, each of which belongs to one split."""

STRIPS: Mapping[str, tuple[int, ...]] = {"train": (0, 2, 5, 7), "val": (3, 6), "test": (1, 4)}
SHARES: Mapping[str, float] = {"train": 0.50, "val": 0.17, "test": 0.33}
TRAIN_ROWS = 4800

_PHOTOGRAPHS = {"building": "china.jpg", "flower": "flower.jpg"}


@dataclass(frozen=True, slots=True)
class Drawn:
    """One drawn image: which digit stands where, how large, and over which square of which photograph."""

    digit: int
    place: str
    size: int
    left: int
    top: int
    square: tuple[int, int, int]
    """Left edge, top edge and side of the square of the photograph, in its pixels."""


@cache
def digits() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """scikit-learn's 1,797 handwritten digits: ink in [0, 1] of shape (1797, 8, 8), and their values 0–9."""
    from sklearn.datasets import load_digits

    bunch: Any = load_digits()
    return bunch.images / 16.0, bunch.target.astype(np.int64)


@cache
def photographs() -> Mapping[str, Any]:
    """Place → the PIL photograph (640 × 427 pixels) that scikit-learn ships."""
    from PIL import Image
    from sklearn.datasets import load_sample_image

    return {
        place: Image.fromarray(np.asarray(load_sample_image(name))) for place, name in _PHOTOGRAPHS.items()
    }


@cache
def pool(split: str) -> tuple[int, ...]:
    """The digits (indices into `digits()`) of one split: disjoint, fixed, with every value's share equal.

    Within each value 0–9 the digits are ordered by the md5 of their index, because that order is the same
    in every version of NumPy, and cut at the `SHARES`.
    """
    _known(split)
    values = digits()[1]
    chosen: list[int] = []
    for value in range(10):
        members = sorted(np.flatnonzero(values == value).tolist(), key=_md5)
        start = sum(SHARES[s] for s in list(SHARES)[: list(SHARES).index(split)])
        low, high = (round(x * len(members)) for x in (start, start + SHARES[split]))
        chosen += members[low:high]
    return tuple(sorted(chosen))


def label_of(digit: int) -> str:
    """The class of a digit, given by its index: `0-4` or `5-9`."""
    return CLASSES[int(digits()[1][digit] >= 5)]


def draw(split: str, seed: int, rows: int | None = None) -> Iterator[Drawn]:
    """Draw the images of one split.

    `train`: `rows` (default `TRAIN_ROWS`) digits with replacement, both classes equally often, each on
    its class's aligned place in `ALIGNMENT` of the rows of the class, exactly (rounded). `val`, `test`:
    every digit of the pool twice, at the same size and position, once on each place.
    """
    _known(split)
    rng = np.random.default_rng([seed, list(SHARES).index(split)])
    if split != "train":
        for digit in pool(split):
            size, left, top = spot(rng)
            for place in PLACES:
                yield Drawn(digit, place, size, left, top, _square(rng, split))
        return
    members = pool(split)
    for label in CLASSES:
        of_class = [d for d in members if label_of(d) == label]
        n = (TRAIN_ROWS if rows is None else rows) // len(CLASSES)
        other = next(p for p in PLACES if p != ALIGNED[label])
        for i, digit in enumerate(rng.choice(of_class, size=n)):
            place = ALIGNED[label] if i < round(ALIGNMENT * n) else other
            yield Drawn(int(digit), place, *spot(rng), _square(rng, split))


def paint(drawn: Drawn) -> Any:
    """The PIL image of one draw: the square of the photograph, resized, and the digit over it."""
    from PIL import Image

    left, top, side = drawn.square
    crop = photographs()[drawn.place].resize(
        (SIDE, SIDE), Image.Resampling.BILINEAR, box=(left, top, left + side, top + side)
    )
    return paste(crop, ink(drawn.digit, drawn.size), drawn.left, drawn.top)


def ink(digit: int, size: int) -> Any:
    """The strokes of a digit as a PIL greyscale image of `size` × `size` pixels, 255 where the pen pressed most."""
    from PIL import Image

    strokes = (digits()[0][digit] * 255).astype(np.uint8)
    return Image.fromarray(strokes).resize((size, size), Image.Resampling.BILINEAR)


def paste(background: Any, strokes: Any, left: int, top: int) -> Any:
    """The background with white strokes at that place, with a dark rim, so that they read on sky and on leaves."""
    from PIL import Image, ImageFilter

    mask = Image.new("L", background.size)
    mask.paste(strokes, (left, top))
    rim = mask.filter(ImageFilter.MaxFilter(3)).point([int(v * 0.75) for v in range(256)])
    painted = background.copy()
    painted.paste((0, 0, 0), mask=rim)
    painted.paste((255, 255, 255), mask=mask)
    return painted


def spot(rng: np.random.Generator) -> tuple[int, int, int]:
    """Size, left and top edge of a digit: 16 to 26 pixels, wholly inside the image."""
    size = int(rng.integers(16, 27))
    left, top = (int(v) for v in rng.integers(0, SIDE - size + 1, size=2))
    return size, left, top


def table(seed: int = 0, rows: int | None = None) -> pyarrow.Table:
    """The three splits as one table: columns `id, image` (PNG bytes)`, label, place, split, digit`.

    `digit` names the handwritten digit: rows that share it are the same person's same stroke, so
    intervals must cluster by it. `rows` is the number of training rows.
    """
    import pyarrow

    columns: dict[str, list[Any]] = {c: [] for c in ("id", "image", "label", "place", "split", "digit")}
    for split in SHARES:
        for number, drawn in enumerate(draw(split, seed, rows)):
            row = (
                f"{split}-{number:05d}",
                _png(drawn),
                label_of(drawn.digit),
                drawn.place,
                split,
                f"digit-{drawn.digit:04d}",
            )
            for column, value in zip(columns.values(), row, strict=True):
                column.append(value)
    return pyarrow.table(columns)


def write(out: str | Path, seed: int = 0, rows: int | None = None) -> Path:
    """Write `table(seed, rows)` as the Parquet file `out` that `predict` and `mitigate` read; return its path.

    The same seed gives the same rows in the same order. Raises FairauditError where `out` cannot be written.
    """
    import pyarrow.parquet

    with replacing(out) as temporary:
        pyarrow.parquet.write_table(table(seed, rows), temporary)
    return Path(out)


def _png(drawn: Drawn) -> bytes:
    buffer = io.BytesIO()
    paint(drawn).save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()


def _square(rng: np.random.Generator, split: str) -> tuple[int, int, int]:
    """Left edge, top edge and side of a square of 40 to STRIP pixels inside one of the split's strips."""
    side = int(rng.integers(40, STRIP + 1))
    strip = int(rng.choice(STRIPS[split]))
    height = photographs()[PLACES[0]].size[1]
    return (
        strip * STRIP + int(rng.integers(0, STRIP - side + 1)),
        int(rng.integers(0, height - side + 1)),
        side,
    )


def _md5(index: int) -> str:
    return hashlib.md5(f"digit-{index}".encode(), usedforsecurity=False).hexdigest()


def _known(split: str) -> None:
    if split not in SHARES:
        raise FairauditError(f"no split '{split}' in digits on places: use one of {', '.join(SHARES)}.")
