"""Text files looked at before the engine reads them: what they are, and what their first line names."""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from fairaudit.errors import FairauditError
from fairaudit.reading.paths import TEXT, shown

#: What reading a file raises where it, or its compression, is damaged.
DAMAGED = (OSError, EOFError, zlib.error)


def _opened(path: str) -> IO[bytes]:
    return gzip.open(path, "rb") if path.lower().endswith(".gz") else Path(path).open("rb")  # type: ignore[return-value]


def check_text(path: str) -> None:
    """Refuse what is no text in UTF-8 with something in it."""
    try:
        with _opened(path) as file:
            head = file.read(8192)
    except DAMAGED as error:
        raise FairauditError(f"{shown(path)} cannot be read: {error}.") from error
    if not head.strip():
        raise FairauditError(f"{shown(path)} is empty; predictions need a header and rows.")
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise FairauditError(f"{shown(path)} is UTF-16 text; save it as UTF-8.")
    if b"\x00" in head or head.startswith((b"PAR1", b"PK\x03\x04")):
        raise FairauditError(
            f"{shown(path)} is not text (it holds binary data); its ending promises a text file."
        )


def check_foreign(path: str) -> None:
    """Refuse our own documents, whose JSON is no table of predictions."""
    with contextlib.suppress(*DAMAGED), _opened(path) as file:
        found = re.match(rb'\s*\{\s*"schema"\s*:\s*"(fairaudit\.(\w+))"', file.read(400))
        if found:
            schema, kind = (x.decode() for x in found.groups())
            what = f"{'an' if kind[0] in 'aeiou' else 'a'} {kind} ({schema})"
            other = "" if kind == "audit" else " or an audit"
            raise FairauditError(
                f"{shown(path)} is {what}, not predictions{other}; name the file with the rows behind it."
            )


def text_in(path: str) -> IO[str]:
    """A local text file, decompressed, without the mark of its byte order."""
    return io.TextIOWrapper(_opened(path), encoding="utf-8-sig", newline="")


def header_of(text: IO[str], kind: str, where: str) -> tuple[list[str], str]:
    """The names in the first line of a text, and the delimiter between them."""
    try:
        line = text.readline()
        delimiter = TEXT[kind] if kind == ".tsv" else max(",;\t|", key=line.count)
        text.seek(0)
        header = next(csv.reader(text, delimiter=delimiter))
    except UnicodeDecodeError as error:
        raise FairauditError(f"{where} is not UTF-8 text; save it as UTF-8.") from error
    except (csv.Error, StopIteration) as error:
        raise FairauditError(f"{where} has no readable header: {error}.") from error
    names = [c or f"column{i}" for i, c in enumerate(header)]
    check_names(names, where)
    return names, delimiter


def check_names(names: Sequence[str], where: str) -> None:
    """Refuse names that SQL cannot tell apart: it does not see case."""
    first: dict[str, str] = {}
    for name in names:
        other = first.setdefault(name.lower(), name)
        if names.count(name) > 1:
            raise FairauditError(
                f"{where} has two columns named '{name}'; column names must differ, rename one."
            )
        if other != name:
            raise FairauditError(
                f"{where} has columns '{other}' and '{name}', which differ only in case; rename one."
            )
