"""Where tallies are written, and what is said about them."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fairaudit.errors import FairauditError
from fairaudit_cli import output

if TYPE_CHECKING:
    from fairaudit.tallies.tally import Tally

ENDING = ".tally"
Out = Annotated[
    str | None, typer.Option("--output", "-o", metavar="FILE", help="The tally to write, as all.tally.")
]
Json = Annotated[bool, typer.Option("--json", help="Print what it holds as JSON.")]


def target(out: str | None, inputs: Iterable[str | None]) -> Path:
    """The path of `-o`: a name that ends in `.tally`, also as `tally:NAME`. `inputs`: what the command reads.

    Raises FairauditError for none, another ending, standard output, and a file that is read.
    """
    if not out:
        raise FairauditError(f"name the tally to write: -o day1{ENDING}.")
    path = out.removeprefix("tally:")
    if path == "-":
        raise FairauditError(f"-o writes a file, not standard output: name one, as -o day1{ENDING}.")
    if not path.endswith(ENDING) or Path(path).name == ENDING:
        raise FairauditError(f"-o names a tally, which ends in {ENDING}, as in -o day1{ENDING}, not '{out}'.")
    output.spare(inputs, Path(path))
    return Path(path)


def write(tally: Tally, path: Path, json: bool, hide: str) -> None:
    """Write the tally and say what it holds. `hide`: the command that would hide cells of one row."""
    from fairaudit.tallies.file import write_tally
    from fairaudit.tallies.summary import alone, document, lines, summary

    about = summary(write_tally(tally, path))
    sys.stderr.write(f"wrote {path}\n")
    if tally.hidden is not None:
        without = f"; left out: {' and '.join(tally.hidden.without)}" if tally.hidden.without else ""
        sys.stderr.write(f"note: {tally.hidden.message}{without}; it cannot be merged\n")
    if (said := alone(about)) is not None:
        sys.stderr.write(f"warning: {said}; {hide}\n")
    shown = [*lines(about), f"next: fairaudit report {path}"]
    output.show(document(about) if json else "\n".join([f"fairaudit tally: {path}", *shown, ""]))
