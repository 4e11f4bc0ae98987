"""The repeated blocks of a network, and which of them are adapted (`--adapt last-K`)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fairaudit.errors import FairauditError
from fairaudit_mitigate.adapter import lora_targets
from fairaudit_mitigate.settings import last_blocks

_OUTERMOST = re.compile(r"^(.*?)\.\d+\.")


@dataclass(frozen=True, slots=True)
class Cut:
    """Between the frozen blocks `row`.0 … `row`.(first − 1) and the adapted ones up to `row`.(count − 1)."""

    row: str
    first: int
    count: int

    @property
    def block(self) -> str:
        """The first adapted block, by its full name."""
        return f"{self.row}.{self.first}"

    @property
    def frozen(self) -> tuple[str, ...]:
        """The names of the blocks before it."""
        return tuple(f"{self.row}.{i}" for i in range(self.first))

    @property
    def adapted(self) -> tuple[str, ...]:
        """The names of the others."""
        return tuple(f"{self.row}.{i}" for i in range(self.first, self.count))

    def __str__(self) -> str:
        return f"the last {self.count - self.first} of {self.count} blocks ({self.row})"


def cut_of(model: Any, adapt: str) -> Cut | None:
    """Where `adapt` cuts the model; None for `all`.

    The blocks are the outermost numbered row of modules that holds LoRA's targets: the layers of a
    transformer, the stages of a network that has stages. Raises FairauditError where there is no such row, or
    more than one, or fewer blocks than asked for.
    """
    wanted = last_blocks(adapt)
    if wanted is None:
        return None
    found = (_OUTERMOST.match(name) for name in lora_targets(model))
    rows = list(dict.fromkeys(match.group(1) for match in found if match))
    if len(rows) != 1:
        fact = f"{len(rows)} rows of them ({', '.join(rows)})" if rows else "none"
        raise FairauditError(
            f"--adapt {adapt} needs one row of repeated blocks and {type(model).__name__} has {fact}; "
            "leave --adapt at all."
        )
    count = len(model.get_submodule(rows[0]))
    if wanted > count:
        raise FairauditError(
            f"--adapt {adapt}: the model has {count} blocks ({rows[0]}); give last-1 to last-{count}, or all."
        )
    return Cut(rows[0], count - wanted, count)


def targets_after(model: Any, cut: Cut | None, wanted: Sequence[str]) -> tuple[str, ...]:
    """LoRA's targets in the adapted blocks, by full name; `wanted` as it is where nothing is cut.

    Raises FairauditError as lora_targets does, and where no target is left.
    """
    if cut is None:
        return tuple(wanted)
    inside = tuple(f"{name}." for name in cut.adapted)
    left = tuple(name for name in lora_targets(model, wanted) if name.startswith(inside))
    if not left:
        raise FairauditError(f"none of the --targets ({', '.join(wanted)}) lies in {cut}; adapt more blocks.")
    return left
