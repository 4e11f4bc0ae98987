"""The rows to predict or train on: ids, labels, attributes, splits, and where each input stands.

Two layouts: a folder with `metadata.csv` (Waterbirds' `img_filename,y,place,split` with splits 0/1/2, or
`file_name,label`), or a Parquet, CSV or TSV file with a column of image bytes, image paths or texts.
Images are not decoded here (see `inputs`): reading the rows of a data set costs no more than its table.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from fairaudit.column_names import KNOWN, SENSITIVE
from fairaudit.errors import FairauditError, missing_column
from fairaudit.labels import canonical, text_of
from fairaudit_mitigate.tables import Column, read_table

T = TypeVar("T")

IMAGE_COLUMNS = (
    "image",
    "img",
    "image_bytes",
    "img_filename",
    "file_name",
    "image_path",
    "img_path",
    "path",
    "filename",
)
TEXT_COLUMNS = ("text", "sentence", "content", "comment_text", "comment", "review", "test_case")
ID_COLUMNS = ("id", "row_id", "image_id", "img_id", "case_id", "index")
SPLIT_COLUMN = "split"

TRAIN, VALIDATION, TEST = "train", "val", "test"
_SPLITS = {
    "0": TRAIN, "train": TRAIN, "training": TRAIN,
    "1": VALIDATION, "val": VALIDATION, "valid": VALIDATION, "validation": VALIDATION, "dev": VALIDATION,
    "2": TEST, "test": TEST, "testing": TEST,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Columns:
    """Columns named by the user; None = found by its usual name."""

    y_true: str | None = None
    image: str | None = None
    text: str | None = None
    id: str | None = None
    split: str | None = None
    cluster: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """A data set, one entry a row in every tuple. `inputs`: image bytes, image paths or texts, by `kind`."""

    source: Path
    kind: str
    inputs: tuple[bytes | Path | str, ...]
    ids: tuple[str, ...]
    y_true: tuple[str, ...]
    splits: tuple[str | None, ...] | None = None
    sensitive: Mapping[str, tuple[str | None, ...]] = field(default_factory=dict)
    cluster: tuple[str, tuple[str | None, ...]] | None = None
    files: tuple[Path, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, indices: Sequence[int]) -> Rows:
        """The rows at these positions, in this order."""
        return replace(
            self,
            inputs=_pick(self.inputs, indices),
            ids=_pick(self.ids, indices),
            y_true=_pick(self.y_true, indices),
            splits=None if self.splits is None else _pick(self.splits, indices),
            sensitive={name: _pick(values, indices) for name, values in self.sensitive.items()},
            cluster=None if self.cluster is None else (self.cluster[0], _pick(self.cluster[1], indices)),
        )

    def of_split(self, name: str) -> Rows:
        """The rows of one split. Raises FairauditError where there are none."""
        if self.splits is None:
            raise FairauditError(
                f"'{self.source}' has no split column; add one with train, val and test, or name it."
            )
        found = [i for i, s in enumerate(self.splits) if s == name]
        if not found:
            known = ", ".join(sorted({str(s) for s in self.splits}))
            raise FairauditError(
                f"the split column of '{self.source}' has no {name} rows (it holds: {known})."
            )
        return self.take(found)


def read_rows(data: str | Path, columns: Columns | None = None, sensitive: Iterable[str] = ()) -> Rows:
    """Read the rows of `data`. Raises FairauditError for anything missing, ambiguous or unreadable."""
    columns = columns or Columns()
    path, root = _locate(Path(data))
    table = read_table(path)
    kind, name = _input_column(table, columns, path)
    label = _one(table, columns.y_true, (*KNOWN["y_true"], "class"), "a label column", "--y-true", path)
    inputs = _texts(table[name], path) if kind == "text" else _images(table[name], root, path)
    return Rows(
        source=Path(data),
        kind=kind,
        inputs=inputs,
        ids=_ids(table, columns.id, table[name] if kind == "image" else None, path),
        y_true=_labels(table[label], path),
        splits=_splits(table, columns.split, path),
        sensitive={s: _groups(_named(table, s, path)) for s in sensitive or _usual(table, {name, label})},
        cluster=None
        if columns.cluster is None
        else (columns.cluster, _groups(_named(table, columns.cluster, path))),
        files=(path,),
    )


def with_validation(rows: Rows, share: float = 0.15) -> tuple[Rows, bool]:
    """The rows with a validation split, and whether it was carved out of train.

    A row goes to validation by the md5 of its cluster (or its id), so the same row goes there in every run
    and the rows of one cluster stay together. Raises FairauditError without train rows.
    """
    rows.of_split(TRAIN)
    splits = rows.splits or ()
    if VALIDATION in splits:
        return rows, False
    keys = (
        rows.ids
        if rows.cluster is None
        else tuple(c or i for c, i in zip(rows.cluster[1], rows.ids, strict=True))
    )
    carved = tuple(
        VALIDATION if s == TRAIN and _fraction(key) < share else s
        for s, key in zip(splits, keys, strict=True)
    )
    if not {TRAIN, VALIDATION} <= set(carved):
        raise FairauditError(
            f"'{rows.source}' has too few train rows to set some aside as val; add a val split."
        )
    return replace(rows, splits=carved), True


def _pick(values: Sequence[T], indices: Sequence[int]) -> tuple[T, ...]:
    return tuple(values[i] for i in indices)


def _fraction(key: str) -> float:
    return int(hashlib.md5(key.encode(), usedforsecurity=False).hexdigest()[:8], 16) / 2**32


def _locate(data: Path) -> tuple[Path, Path]:
    """The table file and the folder its image paths start from."""
    if data.is_dir():
        if (data / "metadata.csv").is_file():
            return data / "metadata.csv", data
        raise FairauditError(
            f"no metadata.csv in the folder '{data}'; write one with file_name,label,split columns."
        )
    if not data.exists():
        raise FairauditError(
            f"no file or folder '{data}'; name a folder with metadata.csv, or a Parquet or CSV file."
        )
    return data, data.parent


def _named(table: Mapping[str, Column], name: str, path: Path) -> Column:
    if name not in table:
        raise missing_column(name, table, str(path))
    return table[name]


def _one(
    table: Mapping[str, Column], wanted: str | None, usual: Sequence[str], what: str, flag: str, path: Path
) -> str:
    """The column in a role: the one the user named, else the only one with a usual name."""
    if wanted is not None:
        _named(table, wanted, path)
        return wanted
    found = [name for name in usual if name in table]
    if len(found) == 1:
        return found[0]
    shown = ", ".join(found or table)
    fact = "more than one candidate" if found else "no candidate"
    raise FairauditError(f"'{path}' needs {what} and has {fact} ({shown}); name it with {flag}.")


def _input_column(table: Mapping[str, Column], columns: Columns, path: Path) -> tuple[str, str]:
    if columns.image is not None and columns.text is not None:
        raise FairauditError("a model reads images or texts, not both: name one of --image and --text.")
    if columns.text is not None:
        return "text", _one(table, columns.text, (), "", "--text", path)
    if columns.image is not None:
        return "image", _one(table, columns.image, (), "", "--image", path)
    images = [n for n in IMAGE_COLUMNS if n in table]
    images = [n for n in images if _is_binary(table[n])] or images
    texts = [n for n in TEXT_COLUMNS if n in table]
    if len(images) + len(texts) != 1:
        found = ", ".join([*images, *texts]) or f"none among {', '.join(table)}"
        raise FairauditError(
            f"'{path}' needs one image or text column ({found}); name it with --image or --text."
        )
    return ("image", images[0]) if images else ("text", texts[0])


def _is_binary(column: Column) -> bool:
    return any(isinstance(v, (bytes, dict)) for v in column[:1])


def _texts(column: Column, path: Path) -> tuple[str, ...]:
    for i, value in enumerate(column):
        if not isinstance(value, str):
            raise FairauditError(f"row {i} of '{path}' has no text ({value!r}); every row needs one.")
    return tuple(str(v) for v in column)


def _images(column: Column, root: Path, path: Path) -> tuple[bytes | Path, ...]:
    found: list[bytes | Path] = []
    for i, value in enumerate(column):
        inner = value
        if isinstance(value, dict):
            inner = value.get("bytes") if value.get("bytes") is not None else value.get("path")
        if isinstance(inner, bytes):
            found.append(inner)
        elif isinstance(inner, str) and inner:
            found.append(root / inner)
        else:
            raise FairauditError(f"row {i} of '{path}' has no image ({value!r}); give its bytes or its path.")
    missing = [p for p in found if isinstance(p, Path) and not p.is_file()]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise FairauditError(f"'{path}' names image files that are not there: '{missing[0]}'{more}.")
    return tuple(found)


def _ids(
    table: Mapping[str, Column], wanted: str | None, inputs: Column | None, path: Path
) -> tuple[str, ...]:
    """The named or usual id column, else the image paths, else the row numbers; unique."""
    name = wanted or next((n for n in ID_COLUMNS if n in table), None)
    if name is not None:
        values = [text_of(v) for v in _named(table, name, path)]
        known = [v for v in values if v is not None]
        if len(set(known)) == len(values):
            return tuple(known)
        if wanted is not None:
            raise FairauditError(
                f"the id column '{wanted}' of '{path}' repeats or lacks values; ids name one row each."
            )
    if (
        inputs is not None
        and all(isinstance(v, str) for v in inputs)
        and len(set(map(str, inputs))) == len(inputs)
    ):
        return tuple(map(str, inputs))
    return tuple(map(str, range(len(next(iter(table.values()))))))


def _labels(column: Column, path: Path) -> tuple[str, ...]:
    values = [text_of(v) for v in column]
    known = [v for v in values if v is not None]
    if len(known) < len(values):
        raise FairauditError(f"{len(values) - len(known)} rows of '{path}' have no label; remove them first.")
    names = canonical(set(known))
    return tuple(names[v] for v in known)


def _groups(column: Column) -> tuple[str | None, ...]:
    return tuple(text_of(v) for v in column)


def _splits(table: Mapping[str, Column], wanted: str | None, path: Path) -> tuple[str | None, ...] | None:
    if wanted is None and SPLIT_COLUMN not in table:
        return None
    raw = [text_of(v) for v in _named(table, wanted or SPLIT_COLUMN, path)]
    return tuple(None if v is None else _SPLITS.get(v.lower(), v) for v in raw)


def _usual(table: Mapping[str, Column], taken: set[str]) -> list[str]:
    return [name for name in SENSITIVE if name in table and name not in taken]
