"""What a scan returns, made into cubes: columns of keys become labels, columns of sums become measures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fairaudit.columns import Inputs, Roles
from fairaudit.cube import Cube, coded
from fairaudit.errors import FairauditError
from fairaudit.labels import MISSING, OWN_SCORE, PREDICTED_NEGATIVE, PREDICTED_POSITIVE, SCORE_CLASS, text_of
from fairaudit.reading.query import LEFT_OUT, OWN, GroupingSet, Query

Array = np.ndarray[Any, Any]
Column = Array | Sequence[Any]
#: Axes on which a row without a value is not counted at all.
_NEEDED = ("y_true", "y_pred", "y_pred_before", "correct", "score_bin")


@dataclass(frozen=True, slots=True, eq=False)
class Key:
    """A column of keys: (cells,) positions in its different values, whose label text is None where missing."""

    texts: tuple[str | None, ...]
    codes: Array

    def part(self, at: Array) -> Key:
        """Some cells of it, with the values that stand in them only."""
        used, codes = np.unique(self.codes[at], return_inverse=True)
        return Key(tuple(self.texts[i] for i in used.tolist()), codes)


def key(column: Column) -> Key:
    """A result column as label texts and codes. Raises FairauditError for values that are no labels."""
    if isinstance(column, np.ndarray) and column.dtype != object:
        values, codes = _of_numbers(column)
    else:
        values, codes = _of_objects(column)
    texts = []
    for value in values:
        if isinstance(value, list | dict | tuple | set | np.ndarray):
            raise FairauditError(f"a label or group is one value, not {value!r}; make it plain.")
        texts.append(text_of(value))
    return Key(tuple(texts), codes)


def _of_numbers(column: Array) -> tuple[list[Any], Array]:
    missing = np.ma.getmaskarray(column) if isinstance(column, np.ma.MaskedArray) else None
    found, codes = np.unique(np.ma.getdata(column), return_inverse=True)
    values: list[Any] = found.tolist()
    if missing is None or not missing.any():
        return values, codes
    return [*values, None], np.where(missing, len(values), codes)


def _of_objects(column: Column) -> tuple[list[Any], Array]:
    if isinstance(column, np.ma.MaskedArray):
        missing, column = np.ma.getmaskarray(column), np.ma.getdata(column).copy()
        column[missing] = None
    items = column.tolist() if isinstance(column, np.ndarray) else column
    try:
        seen = {v: i for i, v in enumerate(dict.fromkeys(items))}
        codes = np.fromiter(map(seen.__getitem__, items), dtype=np.int64, count=len(items))
    except TypeError as error:  # lists and maps are no keys of a dict
        raise FairauditError(f"a label or group is one value, not {items[0]!r}; make it plain.") from error
    return list(seen), codes


def cubes(
    query: Query, columns: Sequence[Column], roles: Roles, inputs: Inputs
) -> tuple[dict[GroupingSet, Cube], dict[str, int]]:
    """The cube of every grouping set, and why -> how many rows are not in them."""
    keys = {name: key(columns[at]) for name, at in query.keys.items()}
    if SCORE_CLASS in keys:
        keys[SCORE_CLASS] = _of_class(keys[SCORE_CLASS], [c for c, _ in roles.probabilities])
    counts = integers(columns[1 + len(query.keys)])
    sums = {
        name: np.stack([integers(columns[2 + len(query.keys) + 2 * m + i]) for i in (0, 1)], axis=1)
        for m, name in enumerate(query.measures)
    }
    masks = np.asarray(columns[0], dtype=np.int64)
    found: dict[GroupingSet, Cube] = {}
    lost: dict[str, int] = {}
    for mask, grouping in query.by_mask.items():
        at = np.flatnonzero(masks == mask)
        if OWN in keys and grouping.kind == "labels":
            at = at[np.array([t == "true" for t in keys[OWN].texts], dtype=bool)[keys[OWN].codes[at]]]
        if LEFT_OUT in keys:
            why = keys[LEFT_OUT].part(at)
            lost = {t: int(counts[at[why.codes == i]].sum()) for i, t in enumerate(why.texts) if t} | lost
            at = at[np.array([t is None for t in why.texts], dtype=bool)[why.codes]]
        mine = {a: keys[a].part(at) for a in grouping.axes}
        measures = {"count": counts[at], **{m: sums[m][at] for m in grouping.measures}}
        cube, dropped = labelled(grouping.axes, mine, measures, roles, inputs)
        found |= {part: _summed(cube, part) for part in grouping.parts} or {grouping: cube}
        if grouping.kind != "scores":
            lost["dropped"] = max(lost.get("dropped", 0), dropped)
    return found, lost


def _of_class(key: Key, classes: Sequence[str]) -> Key:
    """Positions of classes, from 1, as their names; 0 is the score of the row itself."""
    names = {str(i): name for i, name in enumerate((OWN_SCORE, *classes))}
    return Key(tuple(None if t is None else names[t] for t in key.texts), key.codes)


def _summed(cube: Cube, part: GroupingSet) -> Cube:
    """A part of a table of both kinds: `over_cut` is the prediction made from the score."""
    at = cube.axis("over_cut")
    marks = tuple(PREDICTED_POSITIVE if v == "true" else PREDICTED_NEGATIVE for v in cube.labels[at])
    cube = replace(
        cube, axes=(*cube.axes[:at], "y_pred", *cube.axes[at + 1 :]),
        labels=(*cube.labels[:at], marks, *cube.labels[at + 1 :]),
    )  # fmt: skip
    kept = ("count", *part.measures)
    return replace(cube, measures={m: cube.measures[m] for m in kept}).keep(part.axes)


def integers(column: Column) -> Array:
    """A result column of integers; sums over no value at all are missing, and 0."""
    if isinstance(column, np.ma.MaskedArray):
        column = column.filled(0)
    return np.array([0 if v is None else int(v) for v in column] if isinstance(column, list | tuple) else column,
                    dtype=np.int64)  # fmt: skip


def labelled(
    axes: Sequence[str], keys: Mapping[str, Key], measures: Mapping[str, Array], roles: Roles, inputs: Inputs
) -> tuple[Cube, int]:
    """The cube of cells by key, and how many rows it lacks.

    Rows without a label or prediction are refused, or left out and counted.
    """
    na = set(inputs.na)
    kept = np.ones(len(measures["count"]), dtype=bool)
    labels = []
    for axis in axes:
        texts = keys[axis].texts
        if axis in _NEEDED:
            kept &= np.array([t is not None for t in texts], dtype=bool)[keys[axis].codes]
            labels.append([t or "" for t in texts])
        else:
            labels.append([MISSING if t is None or t in na else t for t in texts])
    lost = int(measures["count"][~kept].sum())
    if lost and inputs.missing_labels == "error":
        raise unlabelled(lost, roles)
    codes = np.column_stack([keys[a].codes for a in axes]).reshape(len(kept), len(axes))
    for a, names in enumerate(labels):
        used, codes[kept, a] = np.unique(codes[kept, a], return_inverse=True)
        labels[a] = [names[i] for i in used.tolist()]
    return coded(axes, labels, codes[kept], {m: v[kept] for m, v in measures.items()}), lost


def unlabelled(rows: int, roles: Roles) -> FairauditError:
    """The error for rows without a label or a prediction."""
    return FairauditError(
        f"{rows} rows have no label in '{roles.y_true}' or no prediction; every row needs both "
        "(--missing-labels drop leaves them out and says so)."
    )
