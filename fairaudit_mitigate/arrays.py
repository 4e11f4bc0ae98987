"""A data set in memory, for a model that is a Python object: arrays or tensors, and what is known of each row."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

#: The key of the only array of inputs: it goes to the first argument of the model's forward.
ONLY = ""


@dataclass(frozen=True, slots=True, eq=False)
class Arrays:
    """Rows for `mitigate(module, Arrays(…))`.

    `inputs`: a numpy array or torch tensor [rows, …], or a mapping of them by the names of forward's arguments.
    Floats go in as float32; nothing is standardised. `y_true`, each of `sensitive`, `splits` (train, val, test), `ids`
    and the values of `cluster` (name, values) have one entry a row. Without `ids` a row is known by its number.
    """

    inputs: Any
    y_true: Sequence[object]
    sensitive: Mapping[str, Sequence[object]] = field(default_factory=dict)
    splits: Sequence[object] | None = None
    ids: Sequence[object] | None = None
    cluster: tuple[str, Sequence[object]] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """The inputs of rows: arrays or tensors by argument of forward, all with the rows first."""

    arrays: Mapping[str, Any]

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values())))

    def take(self, indices: Sequence[int]) -> Block:
        """The rows at these positions, in this order."""
        at = np.asarray(indices, dtype=np.int64)
        return Block({name: values[at] for name, values in self.arrays.items()})

    def digest(self) -> str:
        """SHA-256 of names and values."""
        found = hashlib.sha256()
        for name, values in self.arrays.items():
            found.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
            found.update(np.ascontiguousarray(np.asarray(values)).tobytes())
        return found.hexdigest()
