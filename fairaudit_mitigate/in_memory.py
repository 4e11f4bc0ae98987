"""From arrays in memory to rows: checked, and named as the rows of a file are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fairaudit.errors import FairauditError, missing_column
from fairaudit_mitigate import roles
from fairaudit_mitigate.arrays import ONLY, Arrays, Block
from fairaudit_mitigate.features import Features
from fairaudit_mitigate.rows import Rows

KIND = "arrays"
SOURCE = Path("(arrays)")


def rows_of(data: Arrays, sensitive: Sequence[str] = ()) -> Rows:
    """The rows, with these of the sensitive attributes (none named: all).

    Raises FairauditError for columns of other lengths, missing labels, and numbers that are not finite.
    """
    for name in sensitive:
        if name not in data.sensitive:
            raise missing_column(name, data.sensitive, "the sensitive attributes of the arrays")
    data = replace(
        data, sensitive={n: v for n, v in data.sensitive.items() if not sensitive or n in sensitive}
    )
    block = _block(data.inputs)
    n = len(block)
    table = {"y_true": data.y_true, **{f"sensitive['{k}']": v for k, v in data.sensitive.items()}}
    optional = {"splits": data.splits, "ids": data.ids, "cluster": data.cluster[1] if data.cluster else None}
    table |= {name: values for name, values in optional.items() if values is not None}
    held = {name: _column(name, values, n) for name, values in table.items()}
    return Rows(
        source=SOURCE,
        kind=KIND,
        inputs=block,
        ids=roles.ids(held, "ids" if "ids" in held else None, None, SOURCE),
        y_true=roles.labels(held["y_true"], SOURCE),
        splits=roles.splits(held, "splits", SOURCE) if "splits" in held else None,
        sensitive={k: roles.groups(held[f"sensitive['{k}']"]) for k in data.sensitive},
        cluster=None if data.cluster is None else (data.cluster[0], roles.groups(held["cluster"])),
    )


def as_arrays(rows: Rows) -> Rows:
    """The rows of a table as one array [rows, features], float32, as the numbers stand.

    A module's own scale is its own business, and so is what it makes of a missing value: nothing is standardised or
    filled. Raises FairauditError for texts and for missing values.
    """
    features = rows.inputs
    if not isinstance(features, Features):
        raise TypeError("only a table is made an array")
    if features.texts:
        raise FairauditError(
            f"'{rows.source}' has texts in the column '{next(iter(features.texts))}', and a module reads numbers; "
            "name the features (Columns(features=…)), or make numbers of it."
        )
    lacking = {n: int(np.isnan(v).sum()) for n, v in features.amounts.items() if np.isnan(v).any()}
    if lacking:
        shown = ", ".join(f"{n} in {k} rows" for n, k in lacking.items())
        raise FairauditError(
            f"'{rows.source}' has missing values ({shown}), which a module does not read; fill them."
        )
    matrix = np.stack([v.astype(np.float32) for v in features.amounts.values()], axis=1)
    return replace(rows, kind=KIND, inputs=Block({ONLY: matrix}))


def _block(inputs: Any) -> Block:
    named: Mapping[str, Any] = inputs if isinstance(inputs, Mapping) else {ONLY: inputs}
    if not named:
        raise FairauditError("the inputs of the arrays are empty; give an array or a mapping of arrays.")
    block = Block({name: _array(name, values) for name, values in named.items()})
    lengths = {name: len(values) for name, values in block.arrays.items()}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name} {n}" for name, n in lengths.items())
        raise FairauditError(f"the arrays of the inputs have different numbers of rows ({shown}); mend them.")
    if len(block) == 0:
        raise FairauditError("the inputs have no rows; nothing to do.")
    return block


def _array(name: str, values: Any) -> Any:
    """The values as they are, where they are numbers and finite."""
    shown = f"the inputs '{name}'" if name else "the inputs"
    found = values.detach().cpu() if hasattr(values, "detach") else np.asarray(values)
    seen = np.asarray(found)
    if seen.ndim == 0 or seen.dtype.kind not in "fiub":
        raise FairauditError(
            f"{shown} are {seen.dtype} of shape {seen.shape}; give numbers, with rows first."
        )
    if seen.dtype.kind == "f" and not np.isfinite(seen).all():
        rows = np.flatnonzero(~np.isfinite(seen.reshape(len(seen), -1)).all(axis=1))
        raise FairauditError(
            f"{shown} are missing or infinite in {len(rows)} rows (first: row {rows[0]}); fill or drop them."
        )
    return found


def _column(name: str, values: Sequence[object], rows: int) -> list[object]:
    """As plain values: what numpy, torch or pandas hold becomes Python's own."""
    plain: Any = values.tolist() if hasattr(values, "tolist") else list(values)
    if not isinstance(plain, list) or len(plain) != rows:
        held = len(plain) if isinstance(plain, list) else 1
        raise FairauditError(
            f"{name} has {held} entries and the inputs have {rows} rows; give one entry a row."
        )
    return plain
