"""Miniatures of published data sets, in the layouts in which they are published."""

from __future__ import annotations

import csv
from pathlib import Path

REGIONS = ("Africa", "Americas", "EastAsia", "Europe", "SouthEastAsia", "WestAsia")
VARIANTS = ("707-320", "A300B4", "F/A-18", "Boeing 717")
SIDE = 16


def _image(path: Path, upper: int, tint: int, banner: int = 0) -> None:
    """Grey noise, brighter in the upper half by `upper`, redder by `tint`; a white banner of so many rows below."""
    import numpy as np
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(abs(hash_of(path.name)))
    pixels = draw.integers(0, 60, (SIDE + banner, SIDE, 3))
    pixels[: SIDE // 2] += upper
    pixels[..., 0] += tint
    pixels[SIDE:] = 255
    Image.fromarray(pixels.astype(np.uint8)).save(path, quality=95)


def hash_of(name: str) -> int:
    """A small number that is the same in every run, where hash() is not."""
    return sum(ord(c) * (i + 1) for i, c in enumerate(name))


def waterbirds(folder: Path, n: int = 6) -> Path:
    """`metadata.csv` with the seven columns of the release, images in a folder a species."""
    rows = []
    for i in range(3 * n):
        name, y, place = f"{i:03}.Species/Bird_{i}.jpg", i % 2, (i // 2) % 2
        _image(folder / name, 120 * y, 60 * place)
        rows.append([i + 1, name, y, i // n, place, f"/p/place_{i}.jpg", "x"])
    header = ["img_id", "img_filename", "y", "split", "place", "place_filename", "note"]
    _csv(folder / "metadata.csv", header, rows)
    return folder


def geode(folder: Path, n: int = 60, objects: tuple[str, ...] = ("bag", "dog")) -> Path:
    """`index.csv` and `images/NNN.object/Country_object_K.jpg`."""
    rows = []
    for i in range(n):
        thing, region = objects[i % len(objects)], REGIONS[i % 6]
        path = f"{i % len(objects):03}.{thing}/Land_{thing}_{i}.jpg"
        _image(folder / "images" / path, 120 * (i % len(objects)), 60 * (i % 3 == 0))
        rows.append([path, thing, region, "Land"])
    _csv(folder / "index.csv", ["file_path", "object", "region", "ip_country"], rows)
    return folder


def aircraft(folder: Path, n: int = 8, banner: int = 20) -> Path:
    """`fgvc-aircraft-2013b/data`: the images with their banner, the lists of variants and of images."""
    data = folder / "data"
    data.mkdir(parents=True)
    (data / "variants.txt").write_text("\n".join(VARIANTS) + "\n", encoding="utf-8")
    for k, split in enumerate(("train", "val", "test")):
        lines = []
        for i in range(n * len(VARIANTS)):
            v, name = i % len(VARIANTS), f"{k}{i:06}"
            _image(data / "images" / f"{name}.jpg", 45 * v, 0, banner)
            lines.append(f"{name} {VARIANTS[v]}")
        (data / f"images_variant_{split}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def _csv(path: Path, header: list[str], rows: list[list[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as handle:
        csv.writer(handle).writerows([header, *rows])
