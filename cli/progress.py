"""What a long command says while it works: sentences on stderr, and a bar where stderr is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import TaskID

    from fairaudit_mitigate import Voice


def say(sentence: str) -> None:
    """One line on stderr."""
    sys.stderr.write(f"{sentence}\n")


@contextmanager
def voice() -> Iterator[Voice]:
    """A voice for the mitigation package: bars only on a terminal, so that logs stay readable."""
    from fairaudit_mitigate import Voice

    if not sys.stderr.isatty():
        yield Voice(say)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def progress(task: str, done: int, total: int) -> None:
            if task not in tasks:
                tasks[task] = bars.add_task(task, total=total)
            bars.update(tasks[task], completed=done)
            if done == total:
                bars.remove_task(tasks.pop(task))

        def tell(sentence: str) -> None:
            bars.console.print(sentence, markup=False, highlight=False)

        yield Voice(tell, progress)
