"""The rows of a data set, whatever they are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import itemgetter
from pathlib import Path
from typing import TypeAlias, TypeVar

import numpy as np

from fairaudit.errors import FairauditError
from fairaudit_mitigate.arrays import Block
from fairaudit_mitigate.features import Features
from fairaudit_mitigate.layouts import Cropped

T = TypeVar("T")
#: Inputs one by one, or all in one block of columns or arrays.
Inputs: TypeAlias = tuple[bytes | Path | Cropped | str, ...] | Features | Block


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """A data set, one entry a row in every tuple.

    `inputs`, by `kind`: image bytes or paths (`image`), texts (`text`), the columns of a table (`table`), or arrays
    (`arrays`).
    """

    source: Path
    kind: str
    inputs: Inputs
    ids: tuple[str, ...]
    y_true: tuple[str, ...]
    splits: tuple[str | None, ...] | None = None
    sensitive: Mapping[str, tuple[str | None, ...]] = field(default_factory=dict)
    cluster: tuple[str, tuple[str | None, ...]] | None = None
    files: tuple[Path, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def single(self) -> tuple[bytes | Path | Cropped | str, ...]:
        """The inputs one by one. Raises TypeError where they are columns or arrays."""
        if isinstance(self.inputs, (Features, Block)):
            raise TypeError("the rows of a table are not taken one by one")
        return self.inputs

    def take(self, indices: Sequence[int]) -> Rows:
        """The rows at these positions, in this order."""
        return replace(
            self,
            inputs=self.inputs.take(indices)
            if isinstance(self.inputs, (Features, Block))
            else _pick(self.inputs, indices),
            ids=_pick(self.ids, indices),
            y_true=_pick(self.y_true, indices),
            splits=None if self.splits is None else _pick(self.splits, indices),
            sensitive={name: _pick(values, indices) for name, values in self.sensitive.items()},
            cluster=None if self.cluster is None else (self.cluster[0], _pick(self.cluster[1], indices)),
        )

    def of_split(self, name: str) -> Rows:
        """The rows of one split. Raises FairauditError where there are none."""
        if self.splits is None:
            raise FairauditError(
                f"'{self.source}' has no split column; add one with train, val and test, or name it."
            )
        found = np.flatnonzero(np.array(self.splits, dtype=object) == name).tolist()
        if not found:
            known = ", ".join(sorted({str(s) for s in self.splits}))
            raise FairauditError(
                f"the split column of '{self.source}' has no {name} rows (it holds: {known})."
            )
        return self.take(found)


def _pick(values: Sequence[T], indices: Sequence[int]) -> tuple[T, ...]:
    if len(indices) < 2:  # itemgetter of one position gives no tuple
        return tuple(values[i] for i in indices)
    picked: tuple[T, ...] = itemgetter(*indices)(values)
    return picked
