"""What of a job is an object in memory and not a name: a module, data; and the names that stand for them in records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from fairaudit.errors import FairauditError
from fairaudit_mitigate import lineage


@dataclass(frozen=True, slots=True, eq=False)
class Given:
    """`module` with its `head` and `classes`, and `data`: None where the job names a path."""

    module: nn.Module | None = None
    head: str | None = None
    classes: tuple[str, ...] = ()
    data: Any = None

    @property
    def model_name(self) -> str:
        """The module's class and a checksum of its weights; empty where the model is a name."""
        if self.module is None:
            return ""
        return f"{type(self.module).__qualname__} (torch module {lineage.fingerprint(self.module)[:12]})"

    @property
    def data_name(self) -> str:
        """The type of the data; empty where they are a path."""
        return "" if self.data is None else f"{type(self.data).__name__} in memory"


#: Everything has a name.
NAMED = Given()


def given_of(model: Any, data: Any, head: str | None, classes: Sequence[str]) -> Given:
    """The objects among model and data. Raises FairauditError for `head` or `classes` of a model that is a name."""
    is_name = isinstance(model, (str, Path))
    if not is_name and not isinstance(model, nn.Module):
        raise FairauditError(
            f"a {type(model).__name__} is no model; give a folder, a hub id, `mlp` or a torch module."
        )
    if is_name and (head is not None or classes):
        raise FairauditError("head_module= and classes= are for torch modules; a saved model knows its own.")
    return Given(
        None if is_name else model, head, tuple(classes), None if isinstance(data, (str, Path)) else data
    )
