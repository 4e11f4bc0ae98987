r"""Hiding small cells of a tally, and as many others as it takes that no hidden count can be worked out.

A *kind* is one place on the axes that all tables share (a label with a prediction, and a bucket of clusters where there
are any). Within a kind every table of attributes counts the same rows, so a hidden cell of one table is a difference of
cells of others: that is what `suppression` solves, kind by kind, with the rows of the kind taken to be public. Kinds
hang together by the number of all rows alone (which the file does not hold, but which somebody may know): a kind with
fewer rows than the threshold is hidden as a whole, beside others, so that at least two kinds with enough rows together
are hidden. In tables of three or more attributes whole numbers can be pinned down where real numbers cannot, so there
every hidden cell must have a second table of whole numbers that shows the same, or the crossed tables are hidden.

Sums of losses and tables of scores are left out: most cells of a score are one row. Weighted tallies are refused:
people with a weight of their own could be counted from a sum of weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from math import ceil

import numpy as np

from fairaudit.cube import Array, Cube, coded
from fairaudit.errors import FairauditError
from fairaudit.suppression import hidden
from fairaudit.tallies.tally import Cubes, Hidden, Tally

Names = tuple[str, ...]
Group = tuple[Names, Names]
#: Kinds beyond so many are hidden as a whole; after so many searches for a second table the crossed ones are.
MOST_KINDS, MOST_SEARCHES = 5_000, 2_000


def suppressed(tally: Tally, below: int) -> Tally:
    """The tally without cells of fewer than `below` rows, nor what would give them away; it cannot be merged.

    Raises FairauditError for a threshold below 3, weights, and where nothing would be left.
    """
    if below < 3:
        raise FairauditError(
            f"--suppress-below must be at least 3, not {below}: a hidden count below 2 could only be 1."
        )
    if tally.description["weighted"]:
        raise FairauditError(
            "--suppress-below is not for weighted rows: sums of weights would give hidden counts away; leave --weights "
            "or --suppress-below out."
        )
    if tally.hidden is not None:
        raise FairauditError(
            f"counts below {tally.hidden.below} are hidden in this tally already; tabulate the rows again for another "
            "--suppress-below."
        )
    table = _Kinds(tally.labels)
    gone = _hidden(table, below)
    cubes = {a: _without(cube, gone[a]) for a, cube in tally.labels.items()}
    kept = _named_alike({a: cube for a, cube in cubes.items() if len(cube.codes)})
    if not kept:
        raise FairauditError(
            f"hiding counts below {below} hides every cell of this tally; give a lower --suppress-below."
        )
    shown = {g for a, cube in kept.items() for labels in cube.labels[: len(a)] for g in labels}
    agreement = {c: g for c, g in tally.description["agreement"].items() if g in shown}
    return replace(
        tally,
        labels=kept,
        scores={},
        description={**tally.description, "agreement": agreement},
        left_out={k: n for k, n in tally.left_out.items() if n >= below},
        sources=(),
        hidden=_said(tally, gone, below),
    )


def _said(tally: Tally, gone: Mapping[Names, Array], below: int) -> Hidden:
    """What may be said about what is hidden: bounds, rounded up."""
    cells = sum(int(hide.sum()) for hide in gone.values())
    rows = max(int(tally.labels[a].measures["count"][hide].sum()) for a, hide in gone.items())
    losses = any("loss" in cube.measures for cube in tally.labels.values())
    without = (*(("scores",) if tally.scores else ()), *(("losses",) if losses else ()))
    return Hidden(below, 10 * ceil(cells / 10), ceil(100 * rows / tally.rows), without)


class _Kinds:
    """The cells of every table by kind.

    `totals` [kinds]: rows; `small` [kinds]: whether some table has a small cell there. `at[attributes]` [cells]: the
    kind of each cell; `groups[attributes]`: the names of its groups.
    """

    def __init__(self, cubes: Cubes) -> None:
        places: dict[Names, int] = {}
        self.cubes, self.at, self.groups = cubes, {}, {}
        for attributes, cube in cubes.items():
            size = len(attributes)
            names = [[cube.labels[a][c] for c in cube.codes[:, a].tolist()] for a in range(len(cube.axes))]
            self.groups[attributes] = (
                list(zip(*names[:size], strict=True)) if size else [()] * len(cube.codes)
            )
            kinds = zip(*names[size:], strict=True)
            self.at[attributes] = np.array([places.setdefault(k, len(places)) for k in kinds], dtype=np.int64)
        self.names = list(places)
        first = next(iter(cubes))
        self.totals = np.bincount(
            self.at[first], cubes[first].measures["count"], minlength=len(places)
        ).astype(np.int64)

    def with_small(self, below: int) -> Array:
        """The kinds in which some table has a small cell, those with most rows first."""
        found = [self.at[a][cube.measures["count"] < below] for a, cube in self.cubes.items()]
        kinds = np.unique(np.concatenate(found))
        order = sorted(kinds.tolist(), key=lambda k: (-self.totals[k], self.names[k]))
        return np.array(order, dtype=np.int64)

    def cells(self, kind: int, order: Mapping[Names, tuple[Array, Array]]) -> dict[Names, dict[Names, int]]:
        """Attributes -> group -> rows, of one kind."""
        found: dict[Names, dict[Names, int]] = {}
        for attributes, (rows, starts) in order.items():
            counts = self.cubes[attributes].measures["count"]
            mine = rows[starts[kind] : starts[kind + 1]]
            found[attributes] = {self.groups[attributes][i]: int(counts[i]) for i in mine}
        return found

    def by_kind(self) -> dict[Names, tuple[Array, Array]]:
        """Attributes -> the cells sorted by kind, and where each kind begins."""
        found = {}
        for attributes, at in self.at.items():
            edges = np.concatenate([[0], np.cumsum(np.bincount(at, minlength=len(self.names)))])
            found[attributes] = (np.argsort(at, kind="stable"), edges)
        return found


def _hidden(table: _Kinds, below: int) -> dict[Names, Array]:
    """Attributes -> which cells are hidden."""
    asked = table.with_small(below)
    whole = {int(k) for k in asked if table.totals[k] < below} | {int(k) for k in asked[MOST_KINDS:]}
    gone = {a: np.zeros(len(at), dtype=bool) for a, at in table.at.items()}
    order, searches = table.by_kind(), MOST_SEARCHES
    for kind in (int(k) for k in asked if int(k) not in whole):
        cells = table.cells(kind, order)
        hide, tied = _solved(cells, below), _tied(cells)
        secrets = [k for k in sorted(hide) if k[0] in tied]
        searches -= len(secrets)
        if secrets and (searches < 0 or _pinned({a: cells[a] for a in tied}, secrets)):
            hide = _apart(cells, below)
        for attributes, (rows, starts) in order.items():
            mine = rows[starts[kind] : starts[kind + 1]]
            names = table.groups[attributes]
            gone[attributes][mine] = [(attributes, names[i]) in hide for i in mine]
    for kind in _beside(table, whole, below):
        for attributes, at in table.at.items():
            gone[attributes] |= at == kind
    return gone


def _solved(cells: Mapping[Names, Mapping[Names, int]], below: int) -> frozenset[Group]:
    """The groups of one kind that must be hidden."""
    return hidden({a: {g: [n] for g, n in groups.items()} for a, groups in cells.items()}, below)


def _apart(cells: Mapping[Names, Mapping[Names, int]], below: int) -> frozenset[Group]:
    """What is hidden of one kind where its crossed tables are given up: all that single attributes do not tell anyway.

    A crossed cell lies between max(0, Σ margins − (attributes − 1) · total) and its smallest margin (Fréchet), and all
    of that can be: it is told only where both are one, and then it is a margin, so it is not small.
    """
    alone: dict[Names, Mapping[Names, int]] = {a: groups for a, groups in cells.items() if len(a) == 1}
    hide = _solved(alone, below)
    shown = {(a[0], g[0]): n for a, groups in alone.items() for g, n in groups.items() if (a, g) not in hide}
    total = sum(next(iter(cells.values())).values())
    crossed = {(a, group) for a, groups in cells.items() if len(a) > 1 for group in groups}
    for attributes, group in list(crossed):
        known = [shown.get(pair, -1) for pair in zip(attributes, group, strict=True)]
        if min(known) >= 0 and max(0, sum(known) - (len(known) - 1) * total) == min(known):
            crossed.remove((attributes, group))
    return hide | crossed


def _beside(table: _Kinds, whole: set[int], below: int) -> set[int]:
    """The kinds hidden as a whole and, where they are few, the next smallest: two at least, with enough rows."""
    found, rows = set(whole), sum(int(table.totals[k]) for k in whole)
    rest = (k for k in range(len(table.names)) if k not in whole)
    for kind in sorted(rest, key=lambda k: (table.totals[k], table.names[k])):
        if not found or (len(found) > 1 and rows >= below):
            break
        found.add(kind)
        rows += int(table.totals[kind])
    return found


def _without(cube: Cube, gone: Array) -> Cube:
    """The cube without some cells, losses, and the groups that have none left; classes keep their names."""
    codes = cube.codes[~gone]
    labels, columns = [], []
    for at, axis in enumerate(cube.axes):
        if axis in ("y_true", "y_pred"):
            labels.append(cube.labels[at])
            columns.append(codes[:, at])
            continue
        used, position = np.unique(codes[:, at], return_inverse=True)
        labels.append(tuple(cube.labels[at][i] for i in used))
        columns.append(position)
    return coded(cube.axes, labels, np.stack(columns, axis=1), {"count": cube.measures["count"][~gone]})


def _named_alike(cubes: Cubes) -> dict[Names, Cube]:
    """Nothing of a class is told by which tables know it: each knows those of all."""
    found = dict(cubes)
    for axis in ("y_true", "y_pred"):
        every = {v for cube in cubes.values() for v in cube.labels[cube.axis(axis)]}
        found = {a: cube.relabel(axis, str, also=every) for a, cube in found.items()}
    return found


# --- whole numbers ------------------------------------------------------------------------------------------


def _tied(sets: Mapping[Names, object]) -> tuple[Names, ...]:
    """The tables of three or more attributes that hang together."""
    parts: list[tuple[set[str], list[Names]]] = []
    for attributes in sets:
        mine = [p for p in parts if p[0] & set(attributes)]
        parts = [p for p in parts if p not in mine]
        parts.append(
            (set(attributes).union(*(p[0] for p in mine)), [*(a for p in mine for a in p[1]), attributes])
        )
    return tuple(a for names, group in parts if len(names) > 2 for a in group)


def _pinned(cells: Mapping[Names, Mapping[Names, int]], secrets: Sequence[Group]) -> bool:
    """Whether some hidden cell has one value in all tables of whole numbers that show what is shown."""
    from scipy.optimize import LinearConstraint, milp

    names = sorted({n for a in cells for n in a})
    labels = [sorted({g[a.index(n)] for a, groups in cells.items() if n in a for g in groups}) for n in names]
    at = {a: [names.index(n) for n in a] for a in cells}
    every = [
        c for c in product(*labels) if all(tuple(c[i] for i in at[a]) in groups for a, groups in cells.items())
    ]  # fmt: skip
    row = {
        (a, g): np.array([tuple(c[i] for i in at[a]) == g for c in every], dtype=float)
        for a, groups in cells.items()
        for g in groups
    }
    shown = [k for k in row if k not in set(secrets)]
    total = sum(next(iter(cells.values())).values())
    matrix = np.vstack([np.ones(len(every)), *(row[k] for k in shown)])
    values = np.array([total, *(cells[a][g] for a, g in shown)], dtype=float)
    same = LinearConstraint(matrix, values, values)
    for a, g in secrets:
        ends: Iterator[float] = (
            sign * milp(sign * row[a, g], constraints=same, integrality=np.ones(len(every))).fun
            for sign in (1, -1)
        )
        if all(round(end) == cells[a][g] for end in ends):
            return True
    return False
