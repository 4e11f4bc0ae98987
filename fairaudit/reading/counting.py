"""Rows in memory, counted without SQL.

Why there are two ways: counting integer codes takes a few milliseconds for a million rows, where DuckDB takes 20 to
start, and 90 (integers) to 260 (categories) to group. This way knows the plain case only, labels beside predictions
and attributes, and nothing that must be refused: what it gives up (None) goes the one way that can do everything and
has a sentence for everything. Both give the same tally, cell by cell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import reduce
from math import prod
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fairaudit.columns import Inputs, Roles, resolve, to_look_at
from fairaudit.cube import Cube
from fairaudit.labels import text_of
from fairaudit.reading.cells import Key, labelled
from fairaudit.reading.frames import WHERE, arrow, held_columns
from fairaudit.reading.query import description
from fairaudit.reading.table import GLANCE, MAX_CLASSES, attribute_sets, too_wide
from fairaudit.tallies.tally import Tally

Array = np.ndarray[Any, Any]
#: Rows at a time, so that codes take little memory beside the rows.
_ROWS = 1 << 20
#: Integers that lie so close together are their own codes.
_SPAN = 1 << 12
_KNOWN = (pa.types.is_string, pa.types.is_large_string, pa.types.is_integer, pa.types.is_boolean,
          pa.types.is_float32, pa.types.is_float64)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Coded:
    """A column of rows as positions in values; the position behind the last value is a missing one."""

    values: Any
    codes: Array

    @property
    def size(self) -> int:
        return len(self.values) + 1

    def key(self, codes: Array) -> Key:
        """Label texts of some codes."""
        used, positions = np.unique(codes, return_inverse=True)
        found = [None if c == len(self.values) else self.values[c] for c in used.tolist()]
        texts = [text_of(v.as_py() if isinstance(v, pa.Scalar) else v) for v in found]
        return Key(tuple(texts), positions)


def counted_in_memory(data: Any, inputs: Inputs) -> Tally | None:
    """The tally of a dataframe in memory; None where it takes a scan."""
    if inputs.with_file is not None:
        return None
    held = held_columns(data)
    if held is None or to_look_at(inputs, list(held)):
        return None
    return counted_columns(held, resolve(inputs, list(held), {}, WHERE), inputs)


def counted_columns(held: Mapping[str, Any], roles: Roles, inputs: Inputs) -> Tally | None:
    """The tally of columns by name; None where it takes a scan."""
    plain = Roles(roles.y_true, roles.y_pred, None, roles.sensitive, detected=roles.detected)
    sets = attribute_sets(roles.sensitive, inputs)
    if roles != plain or inputs.bins or len({frozenset(s) for s in sets}) < len(sets):
        return None
    named = {**{s: s for s in roles.sensitive}, "y_true": roles.y_true, "y_pred": roles.y_pred}
    columns: dict[str, tuple[Any, str]] = {
        axis: (held[name], name) for axis, name in named.items() if name is not None
    }
    rows = len(held[roles.y_true])
    if not rows or not _few(columns, inputs):
        return None
    tallies = []
    with ThreadPoolExecutor(inputs.threads) as pool:  # Arrow's work needs no GIL
        for start in range(0, rows, _ROWS):
            coded = pool.map(
                lambda c, start=start: _coded(c[0], c[1], start, start + _ROWS), columns.values()
            )
            tally = _counted(dict(zip(columns, coded, strict=True)), sets, roles, inputs)
            if tally is None:
                return None
            tallies.append(tally)
    tally = reduce(plus, tallies)
    return None if _refused(tally, inputs) else tally


def plus(one: Tally, other: Tally) -> Tally:
    """The sum of two parts of one scan: they have the same tables, in the same order."""
    left = {k: one.left_out.get(k, 0) + other.left_out.get(k, 0) for k in {**one.left_out, **other.left_out}}
    labels = {a: cube + other.labels[a] for a, cube in one.labels.items()}
    scores = {a: cube + other.scores[a] for a, cube in one.scores.items()}
    return replace(one, labels=labels, scores=scores, left_out=left)


def _few(columns: Mapping[str, tuple[Any, str]], inputs: Inputs) -> bool:
    """Whether the first rows of attributes and labels have as few values as an audit allows."""
    most = dict.fromkeys(columns, inputs.max_groups) | {"y_true": MAX_CLASSES, "y_pred": MAX_CLASSES}
    heads = {axis: _coded(*column, 0, GLANCE) for axis, column in columns.items()}
    return all(
        h is not None and np.count_nonzero(np.bincount(h.codes)) <= most[axis] for axis, h in heads.items()
    )


def _refused(tally: Tally, inputs: Inputs) -> bool:
    unlabelled = tally.left_out["dropped"] and inputs.missing_labels == "error"
    return bool(unlabelled) or too_wide(tally, inputs, WHERE) is not None


def _coded(whole: Any, name: str, start: int, stop: int) -> _Coded | None:
    """Some rows of a column as codes; None for types that only a scan knows."""
    column = arrow(getattr(whole, "iloc", whole)[start:stop], name)
    kind = column.type
    if pa.types.is_integer(kind):
        low, high = pc.min_max(column).as_py().values()
        if low is not None and high - low < _SPAN and high < 1 << 63:
            numbers = column.fill_null(low) if column.null_count else column
            return _with_missing(range(low, high + 1), np.asarray(numbers).astype(np.int64) - low, column)
    if pa.types.is_boolean(kind):
        return _with_missing(
            (False, True), np.asarray(column.cast(pa.uint8()).fill_null(0)).astype(np.int64), column
        )
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    if not any(known(value) for known in _KNOWN):
        return None
    found = column if pa.types.is_dictionary(kind) else column.dictionary_encode()
    if isinstance(found, pa.ChunkedArray):
        found = found.unify_dictionaries().combine_chunks()
        found = found.chunk(0) if isinstance(found, pa.ChunkedArray) else found
    codes = np.asarray(found.indices.fill_null(0)).astype(np.int64)
    return _with_missing(found.dictionary, codes, found)


def _with_missing(values: Any, codes: Array, column: Any) -> _Coded:
    if column.null_count:
        codes[np.asarray(column.is_null())] = len(values)
    return _Coded(values, codes)


def _counted(
    found: Mapping[str, _Coded | None], sets: Sequence[tuple[str, ...]], roles: Roles, inputs: Inputs
) -> Tally | None:
    coded = {axis: column for axis, column in found.items() if column is not None}
    if len(coded) < len(found):
        return None
    lenient = replace(
        inputs, missing_labels="drop"
    )  # rows without a label count together, not slice by slice
    labels: dict[tuple[str, ...], Cube] = {}
    dropped = 0
    for attributes in sets:
        axes = (*attributes, "y_true", "y_pred")
        sizes = [coded[a].size for a in axes]
        if prod(sizes) >= 1 << 62:
            return None
        cells, counts = _cells([coded[a].codes for a in axes], sizes)
        keys = {a: coded[a].key(codes) for a, codes in zip(axes, np.unravel_index(cells, sizes), strict=True)}
        labels[attributes], lost = labelled(axes, keys, {"count": counts}, roles, lenient)
        dropped = max(dropped, lost)
    return Tally(labels, {}, description(roles, inputs), {"dropped": dropped})


def _cells(codes: Sequence[Array], sizes: Sequence[int]) -> tuple[Array, Array]:
    """The places that rows fall on, and how many rows on each."""
    flat = codes[0]
    for more, size in zip(codes[1:], sizes[1:], strict=True):
        flat = flat * size + more
    if prod(sizes) > max(4 * len(flat), 1 << 16):
        return np.unique(flat, return_counts=True)
    counts = np.bincount(flat)
    places = np.flatnonzero(counts)
    return places, counts[places]
