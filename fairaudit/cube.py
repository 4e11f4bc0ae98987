"""Labelled axes and additive measures, on the non-empty cells only. Adding cubes is adding data sets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fairaudit.errors import FairauditError
from fairaudit.labels import ordered

Array = np.ndarray[Any, Any]

#: Real-valued measures are sums of integers: each row's value times this, rounded. Integers add exactly, so
#: no order of rows, chunks or shards can change a sum; Python's integers cannot overflow.
FIXED = 1 << 60


@dataclass(frozen=True, slots=True, eq=False)
class Cube:
    """Counts and fixed-point sums over the cells of labelled axes.

    `axes`: names. `labels[a]`: the labels of axis a in label order, also those without a cell, so that an absent
    group keeps its name. `codes`: (cells, axes) positions in `labels`, rows unique and in lexicographic order.
    `measures`: name -> (cells,) integers; `count` is int64, the others are Python integers times `FIXED`.
    """

    axes: tuple[str, ...]
    labels: tuple[tuple[str, ...], ...]
    codes: Array
    measures: Mapping[str, Array]

    def __add__(self, other: Cube) -> Cube:
        """The cube of both data sets, aligned by label. Associative and commutative."""
        if self.axes != other.axes or set(self.measures) != set(other.measures):
            raise FairauditError(
                f"tables with different axes or measures cannot be added: {self._shape()} and {other._shape()}; "
                "tabulate both with the same options."
            )
        labels = tuple(ordered({*a, *b}) for a, b in zip(self.labels, other.labels, strict=True))
        codes = np.concatenate([_recode(cube, labels) for cube in (self, other)])
        measures = {m: np.concatenate([self.measures[m], other.measures[m]]) for m in self.measures}
        return _grouped(self.axes, labels, codes, measures)

    def _shape(self) -> str:
        return f"({', '.join(self.axes)}: {', '.join(self.measures)})"

    def axis(self, name: str) -> int:
        """The position of an axis."""
        return self.axes.index(name)

    def real(self, measure: str) -> Array:
        """A measure as floats, shape (cells,); fixed-point sums are divided out, correctly rounded."""
        values = self.measures[measure]
        if values.dtype != object:
            return values.astype(np.float64)
        return np.array([v / FIXED for v in values], dtype=np.float64)

    def keep(self, axes: Sequence[str]) -> Cube:
        """The cube summed over every axis not named, its axes in the order named."""
        at = [self.axis(a) for a in axes]
        return _grouped(tuple(axes), tuple(self.labels[a] for a in at), self.codes[:, at], self.measures)

    def relabel(self, axis: str, name: Callable[[str], str], also: Iterable[str] = ()) -> Cube:
        """The cube with the labels of one axis renamed (cells that fall together add up), and `also` known."""
        at = self.axis(axis)
        names = [name(v) for v in self.labels[at]]
        fresh = ordered({*names, *also})
        position = {v: i for i, v in enumerate(fresh)}
        codes = self.codes.copy()
        codes[:, at] = np.array([position[v] for v in names], dtype=np.int64)[codes[:, at]]
        return _grouped(self.axes, (*self.labels[:at], fresh, *self.labels[at + 1 :]), codes, self.measures)

    def only(self, axis: str, keep: Callable[[str], bool]) -> Cube:
        """The cells whose label on one axis is kept; the axis knows the kept labels only."""
        at = self.axis(axis)
        kept = [i for i, v in enumerate(self.labels[at]) if keep(v)]
        fresh = np.full(len(self.labels[at]), -1, dtype=np.int64)
        fresh[kept] = np.arange(len(kept))
        codes = self.codes.copy()
        codes[:, at] = fresh[codes[:, at]]
        hit = codes[:, at] >= 0
        labels = (*self.labels[:at], tuple(self.labels[at][i] for i in kept), *self.labels[at + 1 :])
        return Cube(self.axes, labels, codes[hit], {m: v[hit] for m, v in self.measures.items()})

    def where(self, axis: str, label: str) -> Cube:
        """The cells with one label on one axis; that axis is gone."""
        at = self.axis(axis)
        rest = [i for i in range(len(self.axes)) if i != at]
        code = self.labels[at].index(label) if label in self.labels[at] else -1
        hit = self.codes[:, at] == code
        return Cube(
            tuple(self.axes[i] for i in rest),
            tuple(self.labels[i] for i in rest),
            self.codes[hit][:, rest],
            {m: v[hit] for m, v in self.measures.items()},
        )

    def dense(self, measure: str, shape_axes: Sequence[str]) -> Array:
        """A measure as floats on the full grid of the named axes, summed over the others."""
        at = [self.axis(a) for a in shape_axes]
        shape = tuple(len(self.labels[a]) for a in at)
        flat = (
            np.ravel_multi_index(tuple(self.codes[:, a] for a in at), shape)
            if at
            else np.zeros(len(self.codes), int)
        )
        values = self.measures[measure]
        if values.dtype != object:
            out = np.zeros(int(np.prod(shape, dtype=np.int64)), dtype=np.int64)
            np.add.at(out, flat, values)
            return out.astype(np.float64).reshape(shape)
        exact: dict[int, int] = {}
        for i, v in zip(flat.tolist(), values.tolist(), strict=True):
            exact[i] = exact.get(i, 0) + v
        grid = np.zeros(int(np.prod(shape, dtype=np.int64)))
        for i, v in exact.items():
            grid[i] = v / FIXED
        return grid.reshape(shape)


def cube_of(
    axes: Sequence[str], columns: Sequence[Sequence[str]], measures: Mapping[str, Sequence[int]]
) -> Cube:
    """A cube from cells as columns of labels (repeats add up) and integer measures.

    `columns[a][i]` is the label of cell i on axis a. `count` becomes int64, other measures Python integers.
    """
    labels, codes = [], []
    for column in columns:
        fresh = ordered(set(column))
        position = {v: i for i, v in enumerate(fresh)}
        labels.append(fresh)
        codes.append(np.fromiter((position[v] for v in column), dtype=np.int64, count=len(column)))
    size = len(next(iter(measures.values())))
    grid = np.stack(codes, axis=1) if codes else np.zeros((size, 0), dtype=np.int64)
    arrays = {m: np.array(v, dtype=np.int64 if m == "count" else object) for m, v in measures.items()}
    return _grouped(tuple(axes), tuple(labels), grid, arrays)


def _recode(cube: Cube, labels: tuple[tuple[str, ...], ...]) -> Array:
    codes = np.empty_like(cube.codes)
    for a, (old, new) in enumerate(zip(cube.labels, labels, strict=True)):
        position = {v: i for i, v in enumerate(new)}
        codes[:, a] = np.array([position[v] for v in old], dtype=np.int64)[cube.codes[:, a]]
    return codes


def _grouped(
    axes: tuple[str, ...], labels: tuple[tuple[str, ...], ...], codes: Array, measures: Mapping[str, Array]
) -> Cube:
    """Sort the cells and add up those that fall together."""
    if not len(codes):
        return Cube(axes, labels, codes, dict(measures))
    order = np.lexsort(codes.T[::-1]) if codes.shape[1] else np.arange(len(codes))
    codes = codes[order]
    first = np.ones(len(codes), dtype=bool)
    first[1:] = (codes[1:] != codes[:-1]).any(axis=1)
    starts = np.flatnonzero(first)
    return Cube(
        axes, labels, codes[starts], {m: np.add.reduceat(v[order], starts) for m, v in measures.items()}
    )
