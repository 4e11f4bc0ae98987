"""A tally as one Parquet file: a row for each cell of each table, the axes and how it was counted in its metadata.

Columns: `fairaudit_cube` (which table), one of text for each axis (null where a table has not that axis), `count`, and
for every sum two integers, `w_whole` and `w_fraction`: the sum is whole + fraction / 2⁶⁰, exactly. Any tool that reads
Parquet can read it. The same counts give the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fairaudit.cube import Array, Cube
from fairaudit.errors import FairauditError
from fairaudit.labels import join, text_of
from fairaudit.tallies.tally import Tally

if TYPE_CHECKING:
    import pyarrow as pa

SCHEMA, SCHEMA_VERSION = "fairaudit.tally", "1.0"
ENDING = ".tally"
#: The column that says which table a row belongs to; no table of predictions has it.
CUBE = "fairaudit_cube"
KEY = SCHEMA.encode()
_SCANNED = ("y_true", "y_pred", "member", "correct", "score_class", "score_bin", "bucket")


def cubes(tally: Tally) -> dict[str, tuple[str, tuple[str, ...], Cube]]:
    """Name -> (kind, attributes, cube) of every table, in the order of the tally: `labels by race&sex`."""
    return {
        kind + (f" by {join(a)}" if a else ""): (kind, a, cube)
        for kind, group in (("labels", tally.labels), ("scores", tally.scores))
        for a, cube in group.items()
    }


def fingerprint(tally: Tally) -> str:
    """The checksum of the counts, whatever the columns were called and whoever counted them."""
    digest = hashlib.sha256()
    for name, (_, _, cube) in sorted(cubes(tally).items()):
        about = [name, cube.axes, cube.labels, sorted(cube.measures)]
        digest.update(json.dumps(about, ensure_ascii=False).encode("utf-8", "surrogatepass"))
        for values in (cube.codes, *(cube.measures[m] for m in sorted(cube.measures))):
            digest.update(np.ascontiguousarray(values, dtype="<i8").tobytes())
    digest.update(json.dumps(sorted(tally.left_out.items())).encode())
    return digest.hexdigest()


def write_tally(tally: Tally, path: str | Path) -> Tally:
    """Write a tally, whole or not at all; returns it as it would be read.

    Raises FairauditError where the name does not end in `.tally`, there is nothing to write, or the place refuses.
    """
    import pyarrow.parquet as pq

    from fairaudit.store import replacing

    if not str(path).endswith(ENDING):
        raise FairauditError(f"a tally's name ends in {ENDING}, not as in '{path}'; rename it.")
    if not tally.labels or tally.rows == 0:
        raise FairauditError(
            "no row was counted, so there is no tally to write; check the labels and the split."
        )
    seal = fingerprint(tally)
    tally = replace(tally, sources=tally.sources or (seal,))
    table = _table(tally)
    header = sealed(_header(tally, seal))
    table = table.replace_schema_metadata({KEY: header.encode("utf-8", "surrogatepass")})
    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")
    return tally


def sealed(header: Mapping[str, Any]) -> str:
    """The header as JSON text that ends in its own checksum."""
    text = json.dumps({**header, "seal": ""}, ensure_ascii=False, default=_plain)
    seal = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return text.removesuffix('""}') + f'"{seal}"}}'


def _plain(value: Any) -> Any:
    """NumPy's numbers as Python's; anything else as label text."""
    return value.item() if isinstance(value, np.generic) else text_of(value)


def _header(tally: Tally, seal: str) -> dict[str, Any]:
    from fairaudit import __version__

    about = [
        {
            "name": name, "kind": kind, "attributes": list(attributes), "axes": list(cube.axes),
            "measures": list(cube.measures), "cells": len(cube.codes), "absent": _absent(cube),
        }
        for name, (kind, attributes, cube) in cubes(tally).items()
    ]  # fmt: skip
    return {
        "schema": SCHEMA, "schema_version": SCHEMA_VERSION, "version": __version__, "sha256": seal,
        "description": tally.description, "left_out": dict(tally.left_out), "cubes": about,
        "columns": _columns(tally), "sources": list(tally.sources),
        "hidden": None if tally.hidden is None else asdict(tally.hidden),
    }  # fmt: skip


def _absent(cube: Cube) -> dict[str, list[str]]:
    """The labels without a cell, which the rows of the file cannot name."""
    found = {}
    for at, (axis, labels) in enumerate(zip(cube.axes, cube.labels, strict=True)):
        seen = set(cube.codes[:, at].tolist())
        if len(seen) < len(labels):
            found[axis] = [v for i, v in enumerate(labels) if i not in seen]
    return found


def _columns(tally: Tally) -> dict[str, str]:
    """Axis -> column of the file: its own name, unless that is taken."""
    every = list(cubes(tally).values())
    measures = {c for _, _, cube in every for m in cube.measures for c in stored(m)}
    taken = {CUBE, *measures, *_SCANNED}
    found: dict[str, str] = {}
    for attribute in dict.fromkeys(a for _, attributes, _ in every for a in attributes):
        name = attribute
        while name.lower() in taken:
            name += "_"
        taken.add(name.lower())
        found[attribute] = name
    own = {axis for _, _, cube in every for axis in cube.axes}
    return found | {axis: axis for axis in _SCANNED if axis in own}


def stored(measure: str) -> tuple[str, ...]:
    """The columns of a measure."""
    return (measure,) if measure == "count" else (f"{measure}_whole", f"{measure}_fraction")


def _table(tally: Tally) -> pa.Table:
    import pyarrow as pa

    every = cubes(tally)
    sizes = [len(cube.codes) for _, _, cube in every.values()]
    which = pa.DictionaryArray.from_arrays(
        _arrow(np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)), _texts(every)
    )
    columns: dict[str, Any] = {CUBE: which}
    parts = [cube for _, _, cube in every.values()]
    for axis, column in _columns(tally).items():
        names: dict[str, int] = {}
        codes = []
        for cube in parts:
            if axis not in cube.axes:
                codes.append(np.full(len(cube.codes), -1, dtype=np.int32))
                continue
            at = cube.axis(axis)
            to = np.array([names.setdefault(v, len(names)) for v in cube.labels[at]], dtype=np.int32)
            codes.append(to[cube.codes[:, at]])
        found = np.concatenate(codes)
        columns[column] = pa.DictionaryArray.from_arrays(_arrow(found, found >= 0), _texts(names))
    for measure in dict.fromkeys(m for cube in parts for m in cube.measures):
        blocks = [_wide(cube, measure) for cube in parts]
        there = np.repeat([measure in cube.measures for cube in parts], sizes)
        for k, column in enumerate(stored(measure)):
            columns[column] = _arrow(np.concatenate([b[:, k] for b in blocks]), there)
    return pa.table(columns)


def _arrow(values: Array, there: Array | None = None) -> pa.Array:
    """Integers as Arrow's, null where not `there`; `pyarrow.array` would load pandas."""
    import pyarrow as pa

    bits = None if there is None else pa.py_buffer(np.packbits(there, bitorder="little").tobytes())
    data = pa.py_buffer(np.ascontiguousarray(values).tobytes())
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [bits, data])


def _texts(names: Iterable[str]) -> pa.Array:
    import pyarrow as pa

    parts = [name.encode() for name in names]
    ends = np.cumsum([0, *map(len, parts)], dtype=np.int32)
    return pa.StringArray.from_buffers(
        len(parts), pa.py_buffer(ends.tobytes()), pa.py_buffer(b"".join(parts))
    )


def _wide(cube: Cube, measure: str) -> Array:
    """A measure as (cells, 1 or 2); zeros where the cube has it not."""
    values = cube.measures.get(measure, np.zeros((len(cube.codes), len(stored(measure))), dtype=np.int64))
    return values.reshape(len(cube.codes), -1)
