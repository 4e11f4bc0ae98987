"""The rows to predict or train on: ids, labels, attributes, splits, and where each input stands.

A data set is a folder in one of the published layouts (see `layouts`), a Parquet, CSV or TSV file with a column of
image bytes, image paths or texts, or, for a model that reads numbers, such a file or data frame of numbers, or arrays
in memory. Images are not decoded here (see `inputs`): reading the rows of a data set costs no more than its table.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from fairaudit.column_names import KNOWN
from fairaudit.errors import FairauditError
from fairaudit_mitigate import roles
from fairaudit_mitigate.arrays import Arrays
from fairaudit_mitigate.in_memory import as_arrays, rows_of
from fairaudit_mitigate.layouts import Cropped, Published, read_published
from fairaudit_mitigate.mlp_config import mlp_of
from fairaudit_mitigate.numeric import read_numeric
from fairaudit_mitigate.roles import TEST, TRAIN, VALIDATION, Columns
from fairaudit_mitigate.rows import Rows
from fairaudit_mitigate.tables import read_table
from fairaudit_mitigate.voice import Say, silent

__all__ = ["TEST", "TRAIN", "VALIDATION", "Columns", "Rows", "read_rows", "with_validation"]


def read_rows(
    data: Any,
    columns: Columns | None = None,
    sensitive: Iterable[str] = (),
    say: Say = silent,
    model: object = None,
) -> Rows:
    """Read the rows of `data`: a path; for a `model` that reads numbers also a data frame, for a module `Arrays`.

    `model` is asked only what it reads: an MLP a table of numbers, a module arrays, any other images or texts.
    Raises FairauditError for anything missing, ambiguous or unreadable.
    """
    columns, chosen = columns or Columns(), tuple(sensitive)
    mlp, is_name = mlp_of(model), model is None or isinstance(model, (str, Path))
    if isinstance(data, Arrays):
        if is_name:
            raise FairauditError(
                f"Arrays are for a torch module, and '{model}' is read from files; give a path or a data frame."
            )
        return rows_of(data, chosen)
    if mlp is not None:
        return read_numeric(data, columns, chosen, mlp, say)
    if not is_name:
        return as_arrays(read_numeric(data, columns, chosen, None, say))
    if not isinstance(data, (str, Path)):
        raise FairauditError(f"'{model}' reads images or texts, and those come from a path, not from memory.")
    return _from_files(Path(data), columns, chosen, say)


def _from_files(data: Path, columns: Columns, sensitive: tuple[str, ...], say: Say) -> Rows:
    """The rows of images or texts."""
    if columns.features or columns.categorical or columns.use_sensitive:
        raise FairauditError(
            "--feature, --categorical and --use-sensitive are for models that read numbers: `mlp`."
        )
    found = _published(data, columns)
    columns, table, path = _agreed(columns, found.roles), found.table, found.path
    kind, name = roles.input_column(table, columns, path)
    usual = (*KNOWN["y_true"], "class")
    label = roles.the_one(table, columns.y_true, usual, "a label column", "--y-true", path)
    if found.said:
        say(found.said)
    return Rows(
        source=data,
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
