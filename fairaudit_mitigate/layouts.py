"""The folders in which data sets are published, read as they are; each layout is one function and one line.

- `metadata`: `metadata.csv` beside the images, any columns with usual names.
- `waterbirds` (Sagawa et al. 2020): `metadata.csv` with `img_filename, y, split, place`; splits 0, 1, 2.
- `geode` (Ramaswamy et al. 2023): `index.csv` with `object, region, file_path`, the paths from `images/`. It is
  published without a split: 20 % of the images, by the md5 of seed and path, are the test rows.
- `fgvc-aircraft` (Maji et al. 2013): `images/ID.jpg`, `variants.txt` and `images_variant_{train,val,test}.txt` with
  lines `ID VARIANT`, in the folder itself or its `data/`. The lowest 20 rows of pixels of each image are a banner
  that names its owner; its authors ask to cut it off, and it is.

An option follows the name after a colon: `geode:7` splits with seed 7, `fgvc-aircraft:banner` keeps the banner.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fairaudit.errors import FairauditError, did_you_mean
from fairaudit_mitigate.roles import TEST, TRAIN, VALIDATION, Columns
from fairaudit_mitigate.tables import Column, read_table

METADATA = "metadata"
BANNER = 20
TEST_SHARE = 0.2
_AIRCRAFT_SPLITS = (TRAIN, VALIDATION, TEST)


@dataclass(frozen=True, slots=True)
class Cropped:
    """An image file without its lowest `bottom` rows of pixels."""

    path: Path
    bottom: int


@dataclass(frozen=True, slots=True)
class Published:
    """A data set as it lies: its table, the folder its paths start from, the roles of its columns, what to say.

    `files` are those that were read, for the checksums. `crop`: rows of pixels to cut off each image.
    """

    path: Path
    table: Mapping[str, Column]
    root: Path
    roles: Columns
    files: tuple[Path, ...]
    said: str = ""
    crop: int = 0


@dataclass(frozen=True, slots=True)
class Layout:
    """How to know the layout by its files, how to read it, and the options that may follow its name."""

    fits: Callable[[Path], bool]
    read: Callable[[Path, str], Published]
    files: str


def read_published(folder: Path, wanted: str | None) -> Published:
    """The data set in a folder. Raises FairauditError where no layout fits, or the one `wanted` does not."""
    name, _, option = (wanted or _recognised(folder)).partition(":")
    if name not in LAYOUTS:
        raise FairauditError(
            f"no layout '{name}' (layouts: {', '.join(LAYOUTS)}).{did_you_mean(name, LAYOUTS)}"
        )
    layout = LAYOUTS[name]
    if not layout.fits(folder):
        raise FairauditError(
            f"'{folder}' is not in the layout {name}, which has {layout.files}; name another --layout."
        )
    return layout.read(folder, option)


def _recognised(folder: Path) -> str:
    found = next((name for name, layout in LAYOUTS.items() if layout.fits(folder)), None)
    if found is None:
        raise FairauditError(
            f"no metadata.csv in the folder '{folder}', and no other layout fits ({', '.join(LAYOUTS)}); write one "
            "with file_name,label,split columns."
        )
    return found


def _metadata(folder: Path, option: str) -> Published:
    _no_option(METADATA, option)
    path = folder / "metadata.csv"
    return Published(path, read_table(path), folder, Columns(), (path,))


def _waterbirds(folder: Path, option: str) -> Published:
    _no_option("waterbirds", option)
    path = folder / "metadata.csv"
    roles = Columns(y_true="y", image="img_filename", split="split")
    return Published(path, read_table(path), folder, roles, (path,))


def _geode(folder: Path, option: str) -> Published:
    seed = option or "0"
    if not seed.isdecimal():
        raise FairauditError(f"the option of the layout geode is the seed of its split, not '{option}'.")
    path = folder / "index.csv"
    table = read_table(path)
    # `split` has no say of its own here: GeoDE is published without one
    split = [TEST if _share(seed, str(v)) < TEST_SHARE else TRAIN for v in table["file_path"]]
    roles = Columns(y_true="object", image="file_path", id="file_path", split="split")
    said = f"layout geode: 20 % of the images, by hash of their path with seed {seed}, are the test rows."
    return Published(path, {**table, "split": split}, folder / "images", roles, (path,), said)


def _aircraft(folder: Path, option: str) -> Published:
    if option not in ("", "banner"):
        raise FairauditError(f"the option of the layout fgvc-aircraft is banner (keep it), not '{option}'.")
    place = _aircraft_place(folder)
    files = tuple(place / f"images_variant_{name}.txt" for name in _AIRCRAFT_SPLITS)
    known, table = set(_lines(place / "variants.txt")), _aircraft_table(files)
    strange = sorted({str(v) for v in table["variant"]} - known)
    if strange:
        raise FairauditError(
            f"'{place}' has images of variants that its variants.txt lacks ({', '.join(strange[:3])}); mend it."
        )
    roles = Columns(y_true="variant", image="file", id="id", split="split")
    said = f"layout fgvc-aircraft: the banner, the lowest {BANNER} rows of pixels of each image, is cut off."
    crop = 0 if option else BANNER
    read = (place / "variants.txt", *files)
    return Published(place, table, place / "images", roles, read, said if crop else "", crop)


def _aircraft_table(files: tuple[Path, ...]) -> dict[str, list[str]]:
    """Columns `id`, `file`, `variant`, `split` of the three lists."""
    table: dict[str, list[str]] = {"id": [], "file": [], "variant": [], "split": []}
    seen: dict[str, str] = {}
    for split, path in zip(_AIRCRAFT_SPLITS, files, strict=True):
        for number, line in enumerate(_lines(path), start=1):
            name, _, variant = line.partition(" ")
            if not variant:
                raise FairauditError(f"line {number} of '{path}' is not `ID VARIANT`: '{line}'; mend it.")
            if name in seen:
                raise FairauditError(f"the image {name} stands in {seen[name]} and in {split}; take one out.")
            seen[name] = split
            for column, value in zip(table.values(), (name, f"{name}.jpg", variant, split), strict=True):
                column.append(value)
    return table


def _aircraft_place(folder: Path) -> Path:
    return folder / "data" if (folder / "data" / "variants.txt").is_file() else folder


def _fits_aircraft(folder: Path) -> bool:
    place = _aircraft_place(folder)
    named = ("variants.txt", *(f"images_variant_{name}.txt" for name in _AIRCRAFT_SPLITS))
    return all((place / name).is_file() for name in named)


def _header(path: Path) -> set[str]:
    """The names in the first line of a CSV file; nothing where it cannot be read (reading it whole will tell)."""
    try:
        with path.open(encoding="utf-8-sig") as handle:
            return {name.strip().strip('"') for name in handle.readline().split(",")}
    except (OSError, UnicodeDecodeError):
        return set()


def _has(name: str, *columns: str) -> Callable[[Path], bool]:
    return lambda folder: set(columns) <= _header(folder / name)


def _lines(path: Path) -> list[str]:
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise FairauditError(f"'{path}' cannot be read as UTF-8 text: {error}; write it again.") from error


def _share(seed: str, name: str) -> float:
    """A number in [0, 1) that is the same for the same seed and name on every machine."""
    digest = hashlib.md5(f"{seed}/{name}".encode(), usedforsecurity=False).hexdigest()
    return int(digest[:8], 16) / 2**32


def _no_option(name: str, option: str) -> None:
    if option:
        raise FairauditError(f"the layout {name} has no options, but '{option}' follows its name.")


#: In the order in which they are tried: the special before the general.
LAYOUTS: Mapping[str, Layout] = {
    "waterbirds": Layout(
        _has("metadata.csv", "img_filename", "y", "split", "place"),
        _waterbirds,
        "metadata.csv with img_filename, y, split, place",
    ),
    "geode": Layout(
        _has("index.csv", "object", "region", "file_path"),
        _geode,
        "index.csv with object, region, file_path and a folder images",
    ),
    "fgvc-aircraft": Layout(
        _fits_aircraft,
        _aircraft,
        "variants.txt and images_variant_train.txt, _val.txt and _test.txt",
    ),
    METADATA: Layout(lambda folder: (folder / "metadata.csv").is_file(), _metadata, "metadata.csv"),
}
