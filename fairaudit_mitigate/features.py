"""The columns a model of numbers reads, as they stand in a table: amounts, and codes for what is text.

A column of numbers or of true and false is amounts; a column of texts that are all numbers, too; any other column of
texts is codes, and so is a column of numbers that the user names categorical (a code of occupations is no amount).
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fairaudit.errors import FairauditError
from fairaudit.labels import ordered, text_of

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Codes = npt.NDArray[np.int32]

#: A column with more texts than this is an id or free text, unless the user says that it is codes.
MOST_TEXTS = 100
ABSENT = -1


@dataclass(frozen=True, slots=True, eq=False)
class Coded:
    """One column of texts: row i holds `values[codes[i]]`, or nothing where `codes[i]` is -1."""

    codes: Codes
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """Columns by name, each [rows]: amounts as float64 (NaN = missing) and texts as codes."""

    amounts: Mapping[str, Floats]
    texts: Mapping[str, Coded]

    def __len__(self) -> int:
        first: Any = [*self.amounts.values(), *(c.codes for c in self.texts.values())][0]
        return len(first)

    @property
    def names(self) -> tuple[str, ...]:
        """All columns, amounts first."""
        return (*self.amounts, *self.texts)

    def take(self, indices: Sequence[int]) -> Features:
        """The rows at these positions, in this order."""
        at = np.asarray(indices, dtype=np.int64)
        return Features(
            {n: v[at] for n, v in self.amounts.items()},
            {n: Coded(c.codes[at], c.values) for n, c in self.texts.items()},
        )

    def digest(self) -> str:
        """SHA-256 of names and values."""
        found = hashlib.sha256()
        for name, values in self.amounts.items():
            found.update(name.encode() + np.ascontiguousarray(values).tobytes())
        for name, coded in self.texts.items():
            found.update("\0".join((name, *coded.values)).encode() + coded.codes.tobytes())
        return found.hexdigest()


def read_features(table: Any, names: Sequence[str], categorical: Collection[str], path: Path) -> Features:
    """The named columns of an Arrow table.

    Raises FairauditError for a column of dates, bytes or lists, for one with an infinite number, and for one with
    more than MOST_TEXTS texts that is not in `categorical`.
    """
    amounts: dict[str, Floats] = {}
    texts: dict[str, Coded] = {}
    for name in names:
        found = None if name in categorical else _amounts(table[name], name, path)
        if found is None:
            texts[name] = _coded(table[name], name, path, None if name in categorical else MOST_TEXTS)
        else:
            amounts[name] = found
    return Features(amounts, texts)


def _amounts(column: Any, name: str, path: Path) -> Floats | None:
    """The column as numbers; None where it holds other texts."""
    import pyarrow
    import pyarrow.compute as pc
    import pyarrow.types as kinds

    kind = column.type
    if kinds.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if kinds.is_string(kind) or kinds.is_large_string(kind):
        trimmed = pc.utf8_trim_whitespace(column)
        column = pc.if_else(pc.equal(trimmed, ""), pyarrow.scalar(None, kind), trimmed)
        if column.null_count == len(column):
            return None
    elif not (
        kinds.is_boolean(kind) or kinds.is_integer(kind) or kinds.is_floating(kind)
        or kinds.is_decimal(kind) or kinds.is_null(kind)
    ):  # fmt: skip
        raise FairauditError(
            f"the column '{name}' of '{path}' holds {kind}, and a feature is numbers or texts; "
            "leave it out (--feature names those to read)."
        )
    try:
        values = column.cast(pyarrow.float64(), safe=False).to_numpy()
    except pyarrow.ArrowInvalid:
        return None
    numbers: Floats = np.array(values, dtype=np.float64)
    if np.isinf(numbers).any():
        first = int(np.flatnonzero(np.isinf(numbers))[0])
        raise FairauditError(
            f"the column '{name}' of '{path}' has {int(np.isinf(numbers).sum())} infinite values (first in row "
            f"{first}); mend them or leave them empty."
        )
    return numbers


def _coded(column: Any, name: str, path: Path, most: int | None) -> Coded:
    """The column as codes of its texts, in label order."""
    import pyarrow
    import pyarrow.compute as pc
    import pyarrow.types as kinds

    if kinds.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    encoded = column.combine_chunks().dictionary_encode()
    raw = [text_of(v) for v in encoded.dictionary.to_pylist()]
    values = ordered({v for v in raw if v is not None})
    if most is not None and len(values) > most:
        raise FairauditError(
            f"the column '{name}' of '{path}' has {len(values)} different texts (such as '{values[0]}') and a feature "
            f"at most {most}; leave it out (--feature names those to read), or say --categorical {name}."
        )
    places = {v: i for i, v in enumerate(values)}
    at = np.array([ABSENT if v is None else places[v] for v in raw] or [ABSENT], dtype=np.int32)
    rows = pc.fill_null(encoded.indices.cast(pyarrow.int32()), ABSENT).to_numpy(zero_copy_only=False)
    return Coded(np.where(rows == ABSENT, ABSENT, at[rows]).astype(np.int32), values)
