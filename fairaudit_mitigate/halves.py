"""Two halves of the validation rows: a method that fits on validation fits on one and chooses on the other.

Which half a row is in depends on its id alone (or its cluster, whose rows stay together), so it is the same in every
run. The hash is salted: rows set aside for validation by hash of their id must not all fall into one half.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from fairaudit_mitigate.data import Rows


def halves(rows: Rows) -> tuple[Rows, Rows]:
    """The rows to fit on, and those to choose on."""
    return tuple(rows.take(found) for found in cut(keys_of(rows)))  # type: ignore[return-value]


def keys_of(rows: Rows) -> tuple[str, ...]:
    """What the half of each row depends on: its cluster, or its id where that is missing."""
    return rows.ids if rows.cluster is None else keys(rows.ids, rows.cluster[1])


def keys(ids: Sequence[str], clusters: Sequence[str | None]) -> tuple[str, ...]:
    """The cluster of each row, or its id where that is missing: such rows are no cluster of their own.

    >>> keys(["a", "b", "c"], ["x", None, "x"])
    ('x', 'b', 'x')
    """
    return tuple(c or i for c, i in zip(clusters, ids, strict=True))


def cut(keys: Sequence[str]) -> tuple[list[int], list[int]]:
    """The positions of the first half and of the second.

    >>> [len(half) for half in cut([str(i) for i in range(1000)])]
    [511, 489]
    """
    first = [_first(key) for key in keys]
    return [i for i, here in enumerate(first) if here], [i for i, here in enumerate(first) if not here]


def _first(key: str) -> bool:
    return hashlib.md5(f"half:{key}".encode(), usedforsecurity=False).digest()[0] < 128
