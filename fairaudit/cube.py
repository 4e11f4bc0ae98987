"""Labelled axes and additive measures, on the non-empty cells only. Adding cubes is adding data sets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from fairaudit.errors import FairauditError
from fairaudit.labels import ordered

Array = np.ndarray[Any, Any]

#: Real-valued measures are sums of integers: each row's value times this, rounded. Integers add exactly, so no order
#: of rows, chunks or shards can change a sum. A sum is kept as two integers, whole and fraction: it is
#: whole + fraction / FIXED, with 0 <= fraction < FIXED.
FIXED = 1 << 60
_HALF = 30  # fractions are added in halves of so many bits: 2³³ of them cannot overflow


@dataclass(frozen=True, slots=True, eq=False)
class Cube:
    """Counts and fixed-point sums over the cells of labelled axes.

    `axes`: names. `labels[a]`: the labels of axis a in label order, also those without a cell, so that an absent
    group keeps its name. `codes`: (cells, axes) positions in `labels`, rows unique and in lexicographic order.
    `measures`: name -> int64; `count` is (cells,), the others (cells, 2): whole and fraction (see `FIXED`).
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
        """A measure as floats, shape (cells,)."""
        return _float(self.measures[measure])

    def keep(self, axes: Sequence[str]) -> Cube:
        """The cube summed over every axis not named, its axes in the order named."""
        at = [self.axis(a) for a in axes]
        return _grouped(tuple(axes), tuple(self.labels[a] for a in at), self.codes[:, at], self.measures)

    def relabel(self, axis: str, name: Callable[[str], str], also: Iterable[str] = ()) -> Cube:
        """The cube with the labels of one axis renamed (cells that fall together add up), and `also` known."""
        at = self.axis(axis)
        names = [name(v) for v in self.labels[at]]
        labels = (*self.labels[:at], (*names, *also), *self.labels[at + 1 :])
        return coded(self.axes, labels, self.codes, self.measures)

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
        summed = self.keep(shape_axes)
        out = np.zeros(tuple(len(names) for names in summed.labels))
        out[tuple(summed.codes.T)] = summed.real(measure)
        return out


def coded(
    axes: Sequence[str], labels: Sequence[Sequence[str]], codes: Array, measures: Mapping[str, Array]
) -> Cube:
    """A cube from cells as positions in labels, in any order; repeated cells and repeated labels fall together.

    `labels[a]`: the names of axis a; `codes`: (cells, axes) positions in them. `measures`: as in `Cube`.
    """
    known = [tuple(names) for names in labels]
    fresh = tuple(_ordered(names) for names in known)
    new = np.empty(codes.shape, dtype=np.int64)
    for a, (old, names) in enumerate(zip(known, fresh, strict=True)):
        new[:, a] = codes[:, a] if old == names else _positions(old, names)[codes[:, a]]
    return _grouped(tuple(axes), fresh, new, measures)


def cube_of(
    axes: Sequence[str], columns: Sequence[Sequence[str]], measures: Mapping[str, Sequence[int]]
) -> Cube:
    """A cube from cells as columns of labels (repeats add up) and integer measures.

    `columns[a][i]` is the label of cell i on axis a. Measures other than `count` are Python integers times `FIXED`.
    """
    size = len(next(iter(measures.values())))
    labels = [tuple(dict.fromkeys(column)) for column in columns]
    codes = np.zeros((size, len(columns)), dtype=np.int64)
    for a, (column, names) in enumerate(zip(columns, labels, strict=True)):
        position = {v: i for i, v in enumerate(names)}
        codes[:, a] = np.fromiter((position[v] for v in column), dtype=np.int64, count=size)
    arrays = {m: np.array(v, dtype=np.int64) if m == "count" else split(v) for m, v in measures.items()}
    return coded(axes, labels, codes, arrays)


def split(sums: Sequence[int]) -> Array:
    """Sums times `FIXED` (Python integers) as (cells, 2) whole and fraction."""
    return np.array([divmod(v, FIXED) for v in sums], dtype=np.int64).reshape(len(sums), 2)


@lru_cache(maxsize=128)  # thousands of score bins stay in order through every step
def _ordered(names: tuple[str, ...]) -> tuple[str, ...]:
    return ordered(set(names))


def _positions(old: Sequence[str], new: Sequence[str]) -> Array:
    """Where each old label stands among the new ones."""
    position = {v: i for i, v in enumerate(new)}
    return np.fromiter((position[v] for v in old), dtype=np.int64, count=len(old))


def _recode(cube: Cube, labels: tuple[tuple[str, ...], ...]) -> Array:
    codes = np.empty_like(cube.codes)
    for a, (old, new) in enumerate(zip(cube.labels, labels, strict=True)):
        codes[:, a] = _positions(old, new)[cube.codes[:, a]]
    return codes


def _float(values: Array) -> Array:
    if values.ndim == 1:
        return values.astype(np.float64)
    return values[:, 0] + values[:, 1].astype(np.float64) / FIXED


def _grouped(
    axes: tuple[str, ...], labels: tuple[tuple[str, ...], ...], codes: Array, measures: Mapping[str, Array]
) -> Cube:
    """Sort the cells and add up those that fall together."""
    if not len(codes):
        return Cube(axes, labels, codes, dict(measures))
    order = _order(codes, [len(names) for names in labels])
    if order is None:
        return Cube(axes, labels, codes, dict(measures))
    codes = codes[order]
    first = np.ones(len(codes), dtype=bool)
    first[1:] = (codes[1:] != codes[:-1]).any(axis=1)
    starts = np.flatnonzero(first)
    if len(starts) == len(codes):
        return Cube(axes, labels, codes, {m: v[order] for m, v in measures.items()})
    return Cube(axes, labels, codes[starts], {m: _added(v[order], starts) for m, v in measures.items()})


def _order(codes: Array, sizes: Sequence[int]) -> Array | None:
    """The lexicographic order of the cells; None where they are in it, each once."""
    if prod(sizes) >= 1 << 62:  # too many places for one number each
        return np.lexsort(codes.T[::-1])
    flat = np.zeros(len(codes), dtype=np.int64)
    for a, size in enumerate(sizes):
        flat = flat * size + codes[:, a]
    return None if (flat[1:] > flat[:-1]).all() else np.argsort(flat, kind="stable")


def _added(values: Array, starts: Array) -> Array:
    """Sums of runs of cells, with the carry from fraction to whole."""
    if values.ndim == 1:
        return np.asarray(np.add.reduceat(values, starts))
    mask = (1 << _HALF) - 1
    whole, fraction = values[:, 0], values[:, 1]
    low, high = (np.add.reduceat(x, starts) for x in (fraction & mask, fraction >> _HALF))
    high = high + (low >> _HALF)
    whole = np.add.reduceat(whole, starts) + (high >> _HALF)
    return np.stack([whole, ((high & mask) << _HALF) | (low & mask)], axis=1)
