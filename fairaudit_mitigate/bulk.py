"""Inputs that are made in one go: a table or arrays become whole tensors, a batch is a slice of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from fairaudit_mitigate.arrays import ONLY, Block
from fairaudit_mitigate.encoding import Encoding
from fairaudit_mitigate.features import Features

Bulk: TypeAlias = Features | Block


@dataclass(frozen=True, slots=True, eq=False)
class BulkPreprocessor:
    """What stands before a model of numbers. `argument`: that of forward which a single array goes to.

    `encoding`: how the columns of a table become that array; None: arrays go in as they are.
    """

    kind: str
    argument: str
    encoding: Encoding | None = None
    extra: tuple[tuple[str, object], ...] = ()

    def whole(self, inputs: Bulk) -> dict[str, Tensor]:
        """All rows by argument of forward, rows first; floats as float32. Raises FairauditError as `matrix` does."""
        if isinstance(inputs, Features):
            if self.encoding is None:
                raise TypeError("the columns of a table need an encoding")
            return {self.argument: torch.from_numpy(self.encoding.matrix(inputs))}
        return {self.argument if name == ONLY else name: _tensor(v) for name, v in inputs.arrays.items()}

    def collate(self, items: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """A batch: as it is, or of single rows."""
        if isinstance(items, Mapping):
            return dict(items)
        return {k: torch.stack([torch.as_tensor(item[k]) for item in items]) for k in items[0]}

    def save(self, folder: Path) -> None:
        """Nothing: the encoding is part of the model's own configuration."""


def _tensor(values: Any) -> Tensor:
    found = values if isinstance(values, Tensor) else torch.from_numpy(np.ascontiguousarray(values))
    return found.float() if found.is_floating_point() and found.dtype == torch.float64 else found
