"""Tallies from files: everything in them is checked, for a number of an audit is no better than its counts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fairaudit.cube import FIXED, Array, Cube, coded
from fairaudit.errors import FairauditError
from fairaudit.tallies.file import CUBE, ENDING, KEY, SCHEMA_VERSION, fingerprint, sealed, stored
from fairaudit.tallies.tally import Hidden, Tally, rows_in

if TYPE_CHECKING:
    import pyarrow as pa


def read_tally(path: str | Path) -> Tally:
    """The tally of a file. Raises FairauditError for anything that `write_tally` would not have written."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    where = str(path)
    _check_file(Path(path), where)
    with _sound(where):
        try:
            with pq.ParquetFile(
                where
            ) as file:  # read_table would load datasets, which take longer than the file
                table = file.read()
        except (pa.ArrowException, OSError, ValueError) as error:
            raise FairauditError(
                f"{where} cannot be read: it is damaged; copy or tabulate it again."
            ) from error
        header = _header(table, where)
        tally = _tally(table, header)
        if fingerprint(tally) != header["sha256"]:
            raise ValueError("its counts are not those that were written")
        if sealed(header) != _text(table):
            raise ValueError("its description is not the one that was written")
    return tally


def _check_file(path: Path, where: str) -> None:
    if not path.exists():
        raise FairauditError(f"no such file: {where}; check the path.")
    if not path.is_file():
        raise FairauditError(
            f"'{where}' is not a file; name a tally, or a pattern such as '{where}/*{ENDING}'."
        )
    with path.open("rb") as file:
        head = file.read(4)
        file.seek(0, 2)
        file.seek(-min(4, file.tell()), 2)
        tail = file.read(4)
    if not head:
        raise FairauditError(f"{where} is empty; write it again with fairaudit tabulate.")
    if head != b"PAR1":
        raise FairauditError(f"{where} is not a tally: it is not Parquet; write one with fairaudit tabulate.")
    if tail != b"PAR1":
        raise FairauditError(f"{where} is cut off: its end is missing; copy or tabulate it again.")


@contextmanager
def _sound(where: str) -> Iterator[None]:
    """What cannot be in a tally becomes one sentence about this file."""
    try:
        yield
    except FairauditError:
        raise
    except (ValueError, LookupError, TypeError, AttributeError, NotImplementedError, OverflowError) as error:
        said = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise FairauditError(
            f"{where} is not as fairaudit wrote it ({said}); copy or tabulate it again."
        ) from error


def _text(table: pa.Table) -> str:
    return str((table.schema.metadata or {})[KEY].decode("utf-8", "surrogatepass"))


def _header(table: pa.Table, where: str) -> dict[str, Any]:
    if KEY not in (table.schema.metadata or {}):
        raise FairauditError(
            f"{where} is Parquet, but not a tally; write one with fairaudit tabulate, or name rows .parquet."
        )
    header: dict[str, Any] = json.loads(_text(table))
    version = str(header["schema_version"])
    if version.split(".", maxsplit=1)[0] != SCHEMA_VERSION.split(".", maxsplit=1)[0]:
        raise FairauditError(
            f"{where} has schema version {version}, but this version reads {SCHEMA_VERSION}; update fairaudit."
        )
    return header


def _tally(table: pa.Table, header: Mapping[str, Any]) -> Tally:
    which, names = _encoded(table, CUBE)
    about = {str(a["name"]): a for a in header["cubes"]}
    if set(names) - set(about) or len(about) != len(header["cubes"]):
        raise ValueError("a table is not in its list")
    found: dict[str, dict[tuple[str, ...], Cube]] = {"labels": {}, "scores": {}}
    columns = {axis: _encoded(table, column) for axis, column in header["columns"].items()}
    for name, a in about.items():
        rows = np.flatnonzero(which == (names.index(name) if name in names else -2))
        if len(rows) != a["cells"]:
            raise ValueError(f"the table {name} has {len(rows)} cells, not {a['cells']}")
        cube = _cube(table, a, rows, columns)
        found[a["kind"]][tuple(a["attributes"])] = cube
    tally = Tally(
        found["labels"], found["scores"], _description(header["description"]),
        {str(k): _whole(n) for k, n in header["left_out"].items()},
        tuple(map(str, header["sources"])), _hidden(header["hidden"]),
    )  # fmt: skip
    _check_sums(tally)
    return tally


def _encoded(table: pa.Table, column: str) -> tuple[Array, list[str]]:
    """A column of text as positions (−1 for null) in its distinct values."""
    import pyarrow as pa

    if column not in table.column_names:
        raise ValueError(f"no column '{column}'")
    values = table.column(column)
    if not pa.types.is_dictionary(values.type):
        values = values.dictionary_encode()
    whole = _whole_array(values.unify_dictionaries())
    if not pa.types.is_string(whole.type.value_type):
        raise ValueError(f"column '{column}' is not text")
    codes = np.where(_there(whole), _numbers(whole.indices), -1)
    return codes.astype(np.int64), whole.dictionary.to_pylist()


def _whole_array(values: pa.ChunkedArray | pa.Array) -> pa.Array:
    import pyarrow as pa

    found = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    return found.chunk(0) if isinstance(found, pa.ChunkedArray) else found


def _numbers(values: pa.Array) -> Array:
    """Arrow's signed integers as NumPy's, anything where null: `to_numpy` and `fill_null` would load pandas."""
    data = np.frombuffer(values.buffers()[1] or b"", dtype=f"<i{values.type.bit_width // 8}")
    return data[values.offset : values.offset + len(values)]


def _there(values: pa.Array) -> Array:
    import pyarrow as pa

    return _numbers(values.is_valid().cast(pa.int8())) > 0


def _cube(
    table: pa.Table, about: Mapping[str, Any], rows: Array, columns: Mapping[str, tuple[Array, list[str]]]
) -> Cube:
    axes, name = tuple(map(str, about["axes"])), about["name"]
    if axes[: len(about["attributes"])] != tuple(about["attributes"]):
        raise ValueError(f"the table {name} does not begin with its attributes")
    if unknown := [a for a in axes if a not in columns]:
        raise ValueError(f"the table {name} has an unknown axis '{unknown[0]}'")
    codes, labels = np.zeros((len(rows), len(axes)), dtype=np.int64), []
    for at, axis in enumerate(axes):
        mine, names = columns[axis][0][rows], columns[axis][1]
        if (mine < 0).any():
            raise ValueError(f"the table {name} has a cell without '{axis}'")
        used, codes[:, at] = np.unique(mine, return_inverse=True)
        labels.append((*(names[i] for i in used), *map(str, about["absent"].get(axis, ()))))
    measures = {str(m): _measure(table, str(m), rows) for m in about["measures"]}
    if "count" not in measures:
        raise ValueError(f"the table {name} has no counts")
    cube = coded(axes, labels, codes, measures)
    if len(cube.codes) != len(rows):
        raise ValueError(f"the table {name} has a cell twice")
    return cube


def _measure(table: pa.Table, measure: str, rows: Array) -> Array:
    import pyarrow as pa

    parts = []
    for column in stored(measure):
        values = _whole_array(table.column(column))
        if not pa.types.is_int64(values.type):
            raise ValueError(f"column '{column}' is not of whole numbers")
        if not _there(values)[rows].all():
            raise ValueError(f"column '{column}' has a hole")
        parts.append(_numbers(values)[rows])
    if measure == "count" and (parts[0] < 1).any():
        raise ValueError("a cell has a count below 1")
    if measure != "count" and ((parts[0] < 0) | (parts[1] < 0) | (parts[1] >= FIXED)).any():
        raise ValueError(f"a sum of '{measure}' is out of range")
    return parts[0] if measure == "count" else np.stack(parts, axis=1)


#: What a description holds, and of which kind.
_DESCRIBED = {"columns": dict, "probabilities": list, "prob_classes": list, "detected": list, "agreement": dict,
              "cross": int, "bins": dict, "na": list, "missing_labels": str, "clustered": bool, "weighted": bool,
              "positive": str | int | float | None, "split": dict | None, "threshold": float | int | None,
              "top_label": bool, "score_classes": list}  # fmt: skip


def _description(found: Mapping[str, Any]) -> dict[str, Any]:
    found = {"score_classes": [], **found}  # counted before there were any
    for key, kind in _DESCRIBED.items():
        if not isinstance(found[key], kind):
            raise ValueError(f"'{key}' has no meaning")
    if not isinstance(found["columns"]["sensitive"], list) or "y_true" not in found["columns"]:
        raise ValueError("'columns' has no meaning")
    return dict(found)


def _whole(n: Any) -> int:
    if not isinstance(n, int) or n < 0:
        raise ValueError("a number of rows left out is out of range")
    return n


def _hidden(found: Mapping[str, Any] | None) -> Hidden | None:
    if found is None:
        return None
    return Hidden(
        _whole(found["below"]), _whole(found["cells"]), _whole(found["percent"]), tuple(found["without"])
    )


def _check_sums(tally: Tally) -> None:
    if not tally.labels or tally.rows == 0:
        raise ValueError("it holds no rows")
    rows = [{rows_in(cube) for cube in cubes.values()} for cubes in (tally.labels, tally.scores)]
    # a row without a score has its place among labels only
    if tally.hidden is None and max(map(len, rows)) > 1:
        raise ValueError("its tables are not of the same rows")
