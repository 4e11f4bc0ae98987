"""Results: `-o FORMAT:PATH` files, all or none of them, then standard output."""

from __future__ import annotations

import contextlib
import glob
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from fairaudit.errors import FairauditError, did_you_mean
from fairaudit.store import replacing

Writers = Mapping[str, Callable[[], str]]
Targets = tuple[tuple[str, Path], ...]

Output = Annotated[
    list[str] | None,
    typer.Option("--output", "-o", metavar="FORMAT:PATH", help="Also write a file; may be repeated."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of the report.")]


def targets(
    given: Sequence[str] | None, formats: Sequence[str], inputs: Iterable[str | None] = ()
) -> Targets:
    """`FORMAT:PATH` texts as pairs.

    `inputs`: what the command reads. Raises FairauditError for an unknown format, no path, one path twice, or a path
    that is read.
    """
    found: list[tuple[str, Path]] = []
    for text in given or ():
        name, colon, path = text.partition(":")
        if not colon or not path:
            raise FairauditError(f"-o takes FORMAT:PATH, as in -o json:audit.json, not '{text}'.")
        if name not in formats:
            hint = did_you_mean(name, formats)
            raise FairauditError(f"there is no output format '{name}' (formats: {', '.join(formats)}).{hint}")
        if path == "-":
            raise FairauditError(f"-o writes files, not standard output: name one instead of '{text}'.")
        if any(_same(Path(path), other) for _, other in found):
            raise FairauditError(f"-o names '{path}' twice; give each output its own file.")
        found.append((name, Path(path)))
    spare(inputs, *(path for _, path in found))
    return tuple(found)


def spare(inputs: Iterable[str | None], *outputs: Path) -> None:
    """Refuse to write over a file that the command reads: the same file under any name, or one of a pattern's."""
    for given in inputs:
        for read in _files(given):
            for path in outputs:
                if _same(path, Path(read)):
                    also = "" if str(path) == read else f" ('{read}')"
                    raise FairauditError(
                        f"'{path}' is read by this command{also} and would be written over; name another output."
                    )


def _files(given: str | None) -> list[str]:
    """The files behind an input: itself, those that a pattern matches, the table of a data folder."""
    if given is None or given == "-":
        return []
    with contextlib.suppress(OSError, ValueError):
        found = [] if Path(given).exists() else glob.glob(given, recursive=True)
        return [given, *found, *(str(p) for p in Path(given).glob("metadata.*"))]
    return [given]


def _same(one: Path, other: Path) -> bool:
    """Whether two paths are one file, links of both kinds included. A device is nobody's file."""
    try:
        if _is_device(one):
            return one == other
        return one.resolve() == other.resolve() or one.samefile(other)
    except (OSError, ValueError):
        return one == other


def write_all(wanted: Targets, writers: Writers) -> None:
    """Write every file, or none: all are complete under temporary names before the first is moved."""
    texts = [(path, writers[name]()) for name, path in wanted]
    with contextlib.ExitStack() as stack:
        for path, text in texts:
            if not _is_device(path):
                stack.enter_context(replacing(path)).write_text(text, encoding="utf-8")
        for path, text in texts:
            if _is_device(path):
                _write_to_device(path, text)
    for path, _ in texts:
        sys.stderr.write(f"wrote {path}\n")


def _is_device(path: Path) -> bool:
    """A pipe or device such as /dev/stdout is written to; moving a file over it would destroy it."""
    return path.exists() and not path.is_file() and not path.is_dir()


def _write_to_device(path: Path, text: str) -> None:
    try:
        with path.open("w", encoding="utf-8") as device:
            device.write(text)
    except OSError as error:
        raise FairauditError(
            f"cannot write '{path}': {error.strerror or error}; choose another place."
        ) from error


def show(text: str) -> None:
    """Write a result to standard output. A reader that has gone away (`| head`) is no error; a full disk is."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(
            os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
        )  # the flush at exit must not fail again
    except OSError as error:
        raise FairauditError(
            f"cannot write to standard output: {error.strerror or error}; make room or write elsewhere."
        ) from error
