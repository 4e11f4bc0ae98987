"""Which files are meant: paths, patterns, folders, URLs and standard input."""

from __future__ import annotations

import atexit
import glob
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from fairaudit.errors import FairauditError

#: Endings of text, with the delimiter that each begins with, and of Parquet.
TEXT = {".csv": ",", ".tsv": "\t", ".txt": ",", ".jsonl": "", ".ndjson": "", ".json": ""}
PARQUET = (".parquet", ".pq")
_REMOTE = re.compile(r"(s3|s3a|gs|gcs|r2|https?|hf|az|abfss?)://")


def check_apart(paths: Sequence[str]) -> None:
    """Refuse a file that is given twice: its rows would count twice."""
    seen: dict[str, str] = {}
    for path in paths:
        place = path if is_remote(path) else str(Path(path).resolve())
        if place in seen:
            same = "" if seen[place] == path else f" (also as {seen[place]})"
            raise FairauditError(
                f"{path} is given twice{same}, and its rows would count twice; name it once."
            )
        seen[place] = path


def named_by(item: str) -> list[str]:
    """The files that an argument names; standard input is one, put into a temporary file."""
    return [_spooled()] if item == "-" else check_path(item)


def is_remote(item: str) -> bool:
    """Whether a path is a URL that the engine must open."""
    return _REMOTE.match(item) is not None


def matching(item: str, of: Callable[[str], list[str]] = lambda hit: [hit]) -> list[str] | None:
    """The files of everything that a pattern matches, `of` each; None where it is no pattern.

    Raises FairauditError where nothing matches.
    """
    if not any(ch in item for ch in "*?[") or Path(item).exists():
        return None
    found = [f for hit in sorted(glob.glob(item, recursive=True)) for f in of(hit)]
    if not found:
        raise FairauditError(f"no file matches '{item}'; check the pattern.")
    return list(dict.fromkeys(found))


def check_path(item: str) -> list[str]:
    """The files that a path, pattern or folder names. Raises FairauditError where there is none to read."""
    if is_remote(item):
        return [item]
    if (hits := matching(item, lambda hit: _inside(Path(hit)))) is not None:
        return hits
    path = Path(item)
    if not item:
        raise FairauditError("no file is named: the path is empty; is a variable of the shell unset?")
    if not path.exists():
        raise FairauditError(f"no such file: {item}; check the path.")
    found = _inside(path)
    if not found:
        raise FairauditError(
            f"the folder '{item}' holds no file of predictions (.csv, .parquet …); check the path."
        )
    if not path.is_dir() and not path.is_file():
        raise FairauditError(
            f"{item} is not a file but a pipe or a device; hand its rows over as - (standard input)."
        )
    if path.is_file() and path.stat().st_size == 0:
        raise FairauditError(f"{item} is empty; predictions need a header and rows.")
    return found


def _inside(path: Path) -> list[str]:
    """A file, or the tables in a folder and its folders; what begins with `_` or `.` is a writer's own business."""
    if not path.is_dir():
        return [str(path)]
    files = (p for p in sorted(path.rglob("*")) if p.is_file())
    kept = (p for p in files if not any(part[0] in "_." for part in p.relative_to(path).parts))
    return [str(p) for p in kept if _ending(str(p)) is not None]


def _spooled() -> str:
    """Standard input in a temporary file whose ending says what it looks like."""
    head = sys.stdin.buffer.read(8)
    if not head:
        raise FairauditError("standard input is empty; predictions need a header and rows.")
    if head.startswith(b"\x1f\x8b"):
        raise FairauditError("standard input is gzip-compressed; decompress it first (gunzip -c FILE | …).")
    kind = ".parquet" if head[:4] == b"PAR1" else ".jsonl" if head.lstrip()[:1] == b"{" else ".csv"
    folder = tempfile.mkdtemp(prefix="fairaudit-stdin-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)  # also when the copy below is interrupted
    spool = Path(folder, f"rows{kind}")
    with spool.open("wb") as file:
        file.write(head)
        shutil.copyfileobj(sys.stdin.buffer, file)
    return str(spool)


def _ending(path: str) -> str | None:
    name = path.lower().partition("?")[0] if is_remote(path) else path.lower()
    name = name.removesuffix(".gz")
    return next((kind for kind in (*TEXT, *PARQUET) if name.endswith(kind)), None)


def kind_of(path: str) -> str:
    """The ending that says how a file is read: `.csv`, `.tsv`, `.jsonl`, `.parquet` …, without `.gz`."""
    kind = _ending(path)
    if kind is None:
        raise FairauditError(
            f"{path}: the ending does not say what it is; use .csv, .tsv, .jsonl or .parquet (text also .gz)."
        )
    return kind


def shown(path: str) -> str:
    """The name of a file for messages."""
    return "standard input" if "fairaudit-stdin-" in path else path
