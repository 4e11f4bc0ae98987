"""The rows to predict or train on: ids, labels, attributes, splits, and where each input stands.

A data set is a folder in one of the published layouts (see `layouts`), or a Parquet, CSV or TSV file with a column of
image bytes, image paths or texts. Images are not decoded here (see `inputs`): reading the rows of a data set costs
no more than its table.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from fairaudit.column_names import KNOWN
from fairaudit.errors import FairauditError
from fairaudit_mitigate import roles
from fairaudit_mitigate.layouts import Cropped, Published, read_published
from fairaudit_mitigate.roles import TEST, TRAIN, VALIDATION, Columns
from fairaudit_mitigate.tables import read_table
from fairaudit_mitigate.voice import Say, silent

__all__ = ["TEST", "TRAIN", "VALIDATION", "Columns", "Rows", "read_rows", "with_validation"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """A data set, one entry a row in every tuple. `inputs`: image bytes, image paths or texts, by `kind`."""

    source: Path
    kind: str
    inputs: tuple[bytes | Path | Cropped | str, ...]
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


def read_rows(
    data: str | Path, columns: Columns | None = None, sensitive: Iterable[str] = (), say: Say = silent
) -> Rows:
    """Read the rows of `data`. Raises FairauditError for anything missing, ambiguous or unreadable."""
    found = _published(Path(data), columns or Columns())
    columns, table, path = _agreed(columns or Columns(), found.roles), found.table, found.path
    kind, name = roles.input_column(table, columns, path)
    usual = (*KNOWN["y_true"], "class")
    label = roles.the_one(table, columns.y_true, usual, "a label column", "--y-true", path)
    if found.said:
        say(found.said)
    return Rows(
        source=Path(data),
        kind=kind,
        inputs=roles.texts(table[name], path) if kind == "text" else _images(found, name),
        ids=roles.ids(table, columns.id, table[name] if kind == "image" else None, path),
        y_true=roles.labels(table[label], path),
        splits=roles.splits(table, columns.split, path),
        sensitive={
            s: roles.groups(roles.named(table, s, path))
            for s in sensitive or roles.usual(table, {name, label})
        },
        cluster=None
        if columns.cluster is None
        else (columns.cluster, roles.groups(roles.named(table, columns.cluster, path))),
        files=found.files,
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


def _published(data: Path, columns: Columns) -> Published:
    """The table of a folder or file, and what its layout says of its columns."""
    if data.is_dir():
        return read_published(data, columns.layout)
    if not data.exists():
        raise FairauditError(
            f"no file or folder '{data}'; name a folder with metadata.csv, or a Parquet or CSV file."
        )
    if columns.layout is not None:
        raise FairauditError(f"--layout is of folders, and '{data}' is a file; leave it out.")
    return Published(data, read_table(data), data.parent, Columns(), (data,))


def _agreed(asked: Columns, known: Columns) -> Columns:
    """What the user said, and where nothing was said what the layout knows."""
    said: dict[str, Any] = {f.name: getattr(asked, f.name) or getattr(known, f.name) for f in fields(Columns)}
    return Columns(**said)


def _images(found: Published, name: str) -> tuple[bytes | Path | Cropped, ...]:
    images = roles.images(found.table[name], found.root, found.path)
    if not found.crop:
        return images
    return tuple(Cropped(image, found.crop) if isinstance(image, Path) else image for image in images)
