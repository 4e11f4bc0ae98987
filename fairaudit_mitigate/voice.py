"""How a long job speaks: sentences for the user and progress, both silent unless the caller listens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Say = Callable[[str], None]
Progress = Callable[[str, int, int], None]


def silent(message: str) -> None:
    """Say nothing."""


def still(task: str, done: int, total: int) -> None:
    """Show nothing."""


@dataclass(frozen=True, slots=True)
class Voice:
    """`say(sentence)` and `progress(task, done, total)`; `done == total` ends the task."""

    say: Say = silent
    progress: Progress = still


SILENT = Voice()
