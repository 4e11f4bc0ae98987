"""Who is compared with whom during training: one group id per row.

A group is a class, a value of a sensitive attribute (or of several crossed), or a cell, that is a class
crossed with them. Rows whose attribute is missing have id -1: they count in the mean loss, not in the
penalty (DESIGN §5).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fairaudit.errors import FairauditError, did_you_mean
from fairaudit.labels import ordered, split_by

if TYPE_CHECKING:
    import numpy.typing as npt

CLASS = "class"
CELL = "cell"
MISSING_ID = -1


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """`ids[i]` in [0, len(names)) or -1 where the group of row i is missing; `names` in label order."""

    ids: npt.NDArray[np.int64]
    names: tuple[str, ...]

    def counts(self) -> dict[str, int]:
        """Rows in each group, in the order of `names`; rows without a group are not counted."""
        found = np.bincount(self.ids[self.ids >= 0], minlength=len(self.names))
        return dict(zip(self.names, found.tolist(), strict=True))


def group_rows(kind: str, y_true: Sequence[str], attributes: Mapping[str, Sequence[str | None]]) -> Groups:
    r"""The groups of the rows: `kind` is `class`, `cell`, or names joined by `&` (`\&` inside a name).

    A name is an attribute or `class`. `cell` crosses the class with every attribute given. Only groups that
    hold a row get an id.
    Raises FairauditError for an unknown attribute, or `cell` without an attribute.

    >>> group_rows("cell", ["0", "1", "1"], {"sex": ["F", "M", None]}).ids.tolist()
    [0, 1, -1]
    """
    columns = _columns(kind, y_true, attributes)
    found = [_ranked(values) for values in columns.values()]
    sizes = [max(1, len(values)) for _, values in found]
    whole = np.logical_and.reduce([ranks >= 0 for ranks, _ in found])
    # one number a crossing, which grows as the label order does; Python's own integers cannot overflow
    crossed = np.zeros(int(whole.sum()), dtype=np.int64 if math.prod(sizes) < 2**63 else object)
    for (ranks, _), size in zip(found, sizes, strict=True):
        crossed = crossed * size + ranks[whole]
    present, places = np.unique(crossed, return_inverse=True)
    ids = np.full(len(whole), MISSING_ID, dtype=np.int64)
    ids[whole] = places
    names = tuple(_name(int(key), columns, [values for _, values in found]) for key in present)
    return Groups(ids, names)


def undivided(
    kind: str, y_true: Sequence[str], attributes: Mapping[str, Sequence[str | None]]
) -> tuple[str, str] | None:
    """The first of the attributes crossed that divides no rows, and its one value; None where each divides them.

    >>> undivided("cell", ["0", "1"], {"sex": ["F", None]})
    ('sex', 'F')
    """
    for name, values in _columns(kind, y_true, attributes).items():
        held = {v for v in values if v is not None}
        if len(held) == 1 and name != CLASS:  # one class is said where the labels are read
            return name, str(held.pop())
    return None


def _name(key: int, columns: Iterable[str], values: Sequence[tuple[str, ...]]) -> str:
    """The name of a crossing from its number."""
    parts = []
    for column, known in zip(reversed(list(columns)), reversed(values), strict=True):
        key, place = divmod(key, max(1, len(known)))
        parts.append(f"{column}={known[place]}")
    return " & ".join(reversed(parts))


def _ranked(values: Sequence[str | None]) -> tuple[npt.NDArray[np.int64], tuple[str, ...]]:
    """The place of each value in label order, -1 where it is missing, and the values in that order."""
    import pandas

    codes, seen = pandas.factorize(np.array(values, dtype=object))  # a missing one has the code -1
    known = ordered([str(v) for v in seen])
    place = {v: i for i, v in enumerate(known)}
    return np.array([*(place[str(v)] for v in seen), MISSING_ID], dtype=np.int64)[codes], known


def _columns(
    kind: str, y_true: Sequence[str], attributes: Mapping[str, Sequence[str | None]]
) -> dict[str, Sequence[str | None]]:
    if kind == CLASS:
        return {CLASS: y_true}
    if kind == CELL:
        if not attributes:
            raise FairauditError(
                "groups 'cell' cross the class with a sensitive attribute; name one with -s."
            )
        return {CLASS: y_true, **attributes}
    known_columns = {**attributes, CLASS: y_true}
    wanted = [name if name in known_columns else name.strip() for name in split_by(kind)]
    for name in wanted:
        if name not in known_columns:
            known = [CLASS, CELL, *attributes]
            raise FairauditError(
                f"no groups '{name}' (known: {', '.join(known)}); name a sensitive attribute with -s first."
                f"{did_you_mean(name, known)}"
            )
    return {name: known_columns[name] for name in wanted}
