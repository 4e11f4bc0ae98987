r"""Privacy: which groups' numbers a verdict must hide so that no small count is shown, nor can be worked out.

The rule is that of the US Centers for Medicare & Medicaid Services: no cell holding 1 to 10 is reported, zero may
be, and nothing is reported that lets such a count be derived from other numbers, percentages included (*CMS Cell
Size Suppression Policy*, resdac.org/articles/cms-cell-size-suppression-policy, version of 2024-01-26). The
threshold is the policy's `suppress_below` (11 is that of CMS).

**What a reader knows.** Write x_j ≥ 0 for the counts of kind j (true positives, …) in the *formal cells*: the
product of the labels of all attributes, without combinations that no listed group holds. A shown group is one
linear equation on x_j, the grand total another. A sum r·x_j (r of zeros and ones) is known exactly when it takes
one value over all x_j ≥ 0 that satisfy these equations. That is so if and only if r lies in the span of the
equations' rows once the cells that must be 0 are left out: some solution is positive in every other cell (solutions
average), and from it one can move both ways along any direction the equations allow.

**What must not be known.** For each kind, a sum from 1 to `below` − 1: of one group, or of all the hidden groups
along one line (the hidden sexes within one race, the hidden races within everybody). A hidden group whose count can be
worked out does not count as hidden there.

**What is hidden.** Groups with a small count, and then as few others as one pass can do: from the largest group
down, each is shown unless that, beside what is shown already, makes something known. (A shown equation never makes
less known, so a refusal stands to the end, and no group hidden in this way could be shown after all. The order is
that of Langsrud, *Secondary cell suppression by Gaussian elimination*, Privacy in Statistical Databases 2024.)
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
from numpy.typing import NDArray

Names = tuple[str, ...]
Key = tuple[Names, Names]
Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Rows = Mapping[Names, Mapping[Names, Floats]]

#: More formal cells than this are not solved: every group of every set that is tied to a hidden one is hidden.
MOST_CELLS = 2_000
#: Spans are decided by whole numbers modulo this prime: see `_spanned`.
_PRIME = 2**31 - 1


@dataclass(frozen=True, slots=True)
class _Table:
    """Sets that share attributes. `keys`: the G groups, largest first; `counts` [G, kinds]; `cells` [G, cells].

    `total` [kinds]; `known` [cells, kinds]: the true counts, where some set holds every attribute. `lines`: each
    [G], the number of the line that a group lies on, −1 for none.
    """

    keys: tuple[Key, ...]
    counts: Floats
    cells: Bools
    total: Floats
    known: Floats | None
    lines: tuple[NDArray[np.int64], ...]
    below: int

    def small(self, counts: Floats) -> Bools:
        """Which counts are too small to be known."""
        return (counts > 0) & (counts < self.below)


def hidden(counts: Mapping[Names, Mapping[Names, Sequence[float]]], below: int) -> frozenset[Key]:
    """The (attributes, groups) whose numbers must be hidden: see the module for the rule and why it is sound.

    `counts[attributes][groups]`: unweighted rows of that group by kind, the same kinds in the same order everywhere;
    put the counts of a baseline behind those of the model. Every group that holds rows must be there, also one that
    no rule judges: a combination that is not listed is taken to be empty, and known to be. The empty set of
    attributes may stand for all rows; with or without it the grand total counts as public. Where a count is small
    over *all* rows, every group is hidden.

    Raises:
        ValueError: counts of unlike length, or sets that do not hold the same rows.

    >>> sorted(hidden({("race",): {("A",): [7, 40], ("B",): [30, 60], ("C",): [90, 80]}}, below=11))
    [(('race',), ('A',)), (('race',), ('B',))]
    """
    rows = _checked(counts)
    found: set[Key] = set()
    for sets in _components(rows):
        keys = [(attributes, group) for attributes in sets for group in rows[attributes]]
        small = [k for k in keys if np.any((rows[k[0]][k[1]] > 0) & (rows[k[0]][k[1]] < below))]
        if small and math.prod(map(len, _labels(rows, sets).values())) > MOST_CELLS:
            found.update(keys)
        elif small:
            table = _table(rows, sets, below)
            shown = _shown(table, np.array([k not in small for k in table.keys]))
            found.update(k for k, seen in zip(table.keys, shown, strict=True) if not seen)
    return frozenset(found)


# --- the table ----------------------------------------------------------------------------------------------


def _checked(counts: Mapping[Names, Mapping[Names, Sequence[float]]]) -> dict[Names, dict[Names, Floats]]:
    """The counts as arrays, sets and groups in the order of their names."""
    rows = {
        tuple(a): {tuple(g): np.asarray(counts[a][g], dtype=np.float64) for g in sorted(counts[a])}
        for a in sorted(counts)
        if counts[a]
    }
    if len({c.shape for groups in rows.values() for c in groups.values()}) > 1:
        raise ValueError("every group must have counts of the same kinds")
    sums = [np.sum(list(groups.values()), axis=0) for groups in rows.values()]
    if any(not np.allclose(s, sums[0], rtol=0, atol=1e-6) for s in sums):
        raise ValueError("every set of attributes must hold the same rows, but their totals differ")
    return rows


def _components(sets: Iterable[Names]) -> list[list[Names]]:
    """Sets tied by shared attributes. Others say nothing of them but the total: solutions combine as products."""
    parts: list[list[Names]] = []
    for attributes in sets:
        tied = [p for p in parts if any(set(attributes) & set(other) for other in p)]
        parts = [p for p in parts if p not in tied] + [[*(s for p in tied for s in p), attributes]]
    return parts


def _labels(rows: Rows, sets: Sequence[Names]) -> dict[str, list[str]]:
    """The labels of each attribute, over all sets that have it."""
    found: dict[str, set[str]] = {}
    for attributes in sets:
        for groups in rows[attributes]:
            for name, label in zip(attributes, groups, strict=True):
                found.setdefault(name, set()).add(label)
    return {name: sorted(found[name]) for name in sorted(found)}


def _table(rows: Rows, sets: Sequence[Names], below: int) -> _Table:
    keys = [(a, g) for a in sets for g in rows[a]]
    keys.sort(key=lambda k: (-float(rows[k[0]][k[1]].sum()), len(k[0]), k))
    labels = _labels(rows, sets)
    places = {a: [list(labels).index(name) for name in a] for a in sets}
    listed = [
        c for c in product(*labels.values()) if all(tuple(c[i] for i in places[a]) in rows[a] for a in sets)
    ]
    number = {key: i for i, key in enumerate(keys)}
    cells = np.zeros((len(keys), len(listed)), dtype=bool)
    for a in sets:
        for c, cell in enumerate(listed):
            cells[number[a, tuple(cell[i] for i in places[a])], c] = True
    counts = np.array([rows[a][g] for a, g in keys])
    if np.any(counts[~cells.any(axis=1)]):
        raise ValueError("a group with rows must have its rows in every set that crosses its attribute")
    full = [i for i, (a, _) in enumerate(keys) if a == next((s for s in sets if len(s) == len(labels)), None)]
    known = cells[full].T.astype(np.float64) @ counts[full] if full else None
    total = np.sum(list(rows[sets[0]].values()), axis=0)
    return _Table(tuple(keys), counts, cells, total, known, _lines(keys, sets), below)


def _lines(keys: Sequence[Key], sets: Sequence[Names]) -> tuple[NDArray[np.int64], ...]:
    """For each set and each choice of its attributes: groups with the same labels there lie on one line."""
    out = []
    for attributes in sets:
        for size in range(len(attributes) + 1):
            for kept in combinations(range(len(attributes)), size):
                seen: dict[Names, int] = {}
                ids = [seen.setdefault(tuple(g[i] for i in kept), len(seen)) if a == attributes else -1
                       for a, g in keys]  # fmt: skip
                out.append(np.array(ids, dtype=np.int64))
    return tuple(out)


# --- what a reader can work out -----------------------------------------------------------------------------


def _shown(table: _Table, allowed: Bools) -> Bools:
    """Which groups are shown: each of the allowed in turn, unless it makes a small count known.

    The longest run that may be shown is found by bisection, which is the same as asking group by group because
    showing more never makes less known.
    """
    shown = np.zeros(len(table.keys), dtype=bool)
    waiting = np.flatnonzero(allowed)
    while len(waiting):
        safe, unsafe = 0, len(waiting) + 1
        middle = len(waiting)  # the usual answer first: all of them
        while unsafe - safe > 1:
            trial = shown.copy()
            trial[waiting[:middle]] = True
            safe, unsafe = (safe, middle) if _reveals(table, trial) else (middle, unsafe)
            middle = (safe + unsafe) // 2
        shown[waiting[:safe]] = True
        waiting = waiting[unsafe:]
    return shown


def _reveals(table: _Table, shown: Bools) -> bool:
    """Whether some small count is known from the shown groups and the total."""
    seen = np.vstack([np.ones((1, table.cells.shape[1]), dtype=bool), table.cells[shown]])
    values = np.vstack([table.total, table.counts[shown]])
    every = range(table.counts.shape[1])
    if _known(
        table, ~shown, seen, np.ones(seen.shape[1], dtype=bool), every
    ):  # no cell need be empty for that
        return True
    for kind in every:
        if not (table.small(table.counts[~shown, kind])).any():
            continue
        known = None if table.known is None else table.known[:, kind]
        alive = _may_hold_rows(seen, values[:, kind], known)
        if not alive.all() and _known(table, ~shown, seen, alive, [kind]):
            return True
    return False


def _known(table: _Table, hide: Bools, seen: Bools, alive: Bools, kinds: Iterable[int]) -> bool:
    """Whether some small sum of these kinds is known where only the cells `alive` may hold rows.

    A hidden group that is known all the same is as good as shown: what lies beside it on a line is known, too.
    """
    places = np.flatnonzero(hide)
    told = places[_spanned(seen[:, alive], table.cells[places][:, alive])]
    unknown = hide.copy()
    unknown[told] = False
    for kind in kinds:
        if table.small(table.counts[told, kind]).any():
            return True
        secret = _secrets(table, unknown, kind)
        if len(secret) and _spanned(seen[:, alive], secret[:, alive]).any():
            return True
    return False


def _secrets(table: _Table, hide: Bools, kind: int) -> Bools:
    """The rows [secrets, cells] of the small sums of a kind that must not be known."""
    found: list[Bools] = []
    for ids in table.lines:
        inside = np.flatnonzero(hide & (ids >= 0))
        sums = np.zeros(int(ids.max()) + 1)
        np.add.at(sums, ids[inside], table.counts[inside, kind])
        found += [
            table.cells[inside[ids[inside] == line]].any(axis=0) for line in np.flatnonzero(table.small(sums))
        ]
    return np.array(found, dtype=bool).reshape(len(found), table.cells.shape[1])


def _may_hold_rows(seen: Bools, values: Floats, known: Floats | None) -> Bools:
    """The cells that are positive in some solution of `seen` · x = `values`, x ≥ 0.

    One linear program finds them all: of the scaled solutions s + t with `seen` · (s + t) = λ `values`, s ≥ 0,
    0 ≤ t ≤ 1, λ ≥ 1, take the one with the largest Σt; its t is 1 where a solution is positive and 0 elsewhere.
    """
    from scipy.optimize import linprog
    from scipy.sparse import csr_array, hstack

    alive: Bools = ~seen[values == 0].any(axis=0)
    if known is not None and bool((known[alive] > 0).all()):
        return alive  # the true counts are such a solution
    n = int(alive.sum())
    rows = csr_array(seen[:, alive].astype(np.float64))
    equations = hstack([rows, rows, csr_array(-values[:, None])], format="csr")
    bounds = [(0, None)] * n + [(0, 1)] * n + [(1, None)]
    gain = np.concatenate([np.zeros(n), -np.ones(n), [0.0]])
    answer = linprog(gain, A_eq=equations, b_eq=np.zeros(len(values)), bounds=bounds, method="highs")
    if answer.x is None:
        raise ValueError("the counts of the groups contradict each other: no table has these sums")
    alive[np.flatnonzero(alive)] = answer.x[n : 2 * n] > 0.5
    return alive


def _spanned(rows: Bools, targets: Bools) -> Bools:
    """Which targets lie in the span of the rows: those that are 0 on a random solution of rows · z = 0.

    Whole numbers modulo a prime, so no rounding: the same groups are hidden on every machine. A relation over the
    rationals, cleared of its denominators, holds modulo the prime as well unless the prime divides them; they divide
    an invariant factor of a table of zeros and ones, a tiny number beside 2³¹ − 1. The errors left (a relation
    modulo the prime only, a target that is 0 by chance: 1 in 2³¹) hide too much, not too little.
    """
    rows, left = rows.copy(), np.ones(rows.shape[1], dtype=bool)
    while (single := rows.sum(axis=1) == 1).any():  # a cell that stands alone is known: leave it out
        alone = rows[single].any(axis=0)
        left &= ~alone
        rows[:, alone] = False
    work, pivots = _echelon(rows[rows.any(axis=1)][:, left].astype(np.int64))
    z = np.array(np.random.default_rng(0).integers(1, _PRIME, size=(work.shape[1],)), dtype=np.int64)
    for row, column in reversed(list(enumerate(pivots))):
        z[column] = -(work[row, column + 1 :] * z[column + 1 :] % _PRIME).sum() % _PRIME
    found: Bools = (targets[:, left] @ z) % _PRIME == 0
    return found


def _echelon(work: NDArray[np.int64]) -> tuple[NDArray[np.int64], list[int]]:
    """Row echelon form modulo the prime, and the column in which each row begins (with a 1)."""
    pivots: list[int] = []
    for column in range(work.shape[1]):
        at = len(pivots)
        below = at + np.flatnonzero(work[at:, column])
        if len(below) == 0:
            continue
        work[[at, below[0]]] = work[[below[0], at]]
        work[at] = work[at] * pow(int(work[at, column]), -1, _PRIME) % _PRIME
        rest = below[1:]  # the row that gave way had a 0 there
        work[rest] = (work[rest] - work[rest, column, None] * work[at]) % _PRIME
        pivots.append(column)
    return work, pivots
