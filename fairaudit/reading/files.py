"""Files of predictions as one relation: CSV, TSV, JSON Lines or Parquet; one, several, a folder, or a URL."""

from __future__ import annotations

import atexit
import contextlib
import csv
import glob
import gzip
import io
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from fairaudit.errors import FairauditError
from fairaudit.reading.dialect import literal
from fairaudit.reading.engine import Duck, Engine
from fairaudit.reading.source import Source
from fairaudit.tallies.file import CUBE

_TEXT = {".csv": ",", ".tsv": "\t", ".txt": ",", ".jsonl": "", ".ndjson": "", ".json": ""}
_PLAIN = ("BIGINT", "DOUBLE", "BOOLEAN", "VARCHAR", "HUGEINT", "UBIGINT")
_PARQUET = (".parquet", ".pq")
_REMOTE = re.compile(r"(s3|s3a|gs|gcs|r2|https?|hf|az|abfss?)://")
#: Lines of up to 8 MB; without a buffer of its own DuckDB takes buffers of 16 such lines.
_LINES = "max_line_size=8000000, buffer_size=32000000"
#: A reader of some files: (their columns, SQL).
Reader = Callable[[Sequence[str], Any, str], tuple[dict[str, str], str]]


def open_files(items: Sequence[str], engine: Duck) -> Source:
    """The relation of files, patterns, folders, URLs or `-` (standard input), all of one kind and one schema.

    Raises FairauditError with one sentence for anything that cannot be read as a table, naming the file.
    """
    paths = [p for item in items for p in _paths(item)]
    kinds = {kind_of(p) for p in paths}
    if len(kinds) > 1:
        raise FairauditError(
            f"files of one kind are read together, not {', '.join(sorted(kinds))}; convert some."
        )
    kind = kinds.pop()
    for path in paths:
        check_file(path, kind)
    where = _shown(paths[0]) if len(paths) == 1 else f"{_shown(paths[0])} and {len(paths) - 1} more"
    reader = _parquet if kind in _PARQUET else _json if kind in (".jsonl", ".ndjson", ".json") else _csv
    columns, parts = one_schema(paths, kind, reader, engine)
    if CUBE in columns:
        raise FairauditError(
            f"{where} holds a tally: counts, not rows; save it under a name that ends in .tally."
        )
    sql = reader(paths, engine, kind)[1] if len(paths) > 1 else parts[where]
    return Source(engine, sql, columns, where, parts=parts)


def one_schema(
    paths: Sequence[str], kind: str, reader: Reader, engine: Engine
) -> tuple[dict[str, str], dict[str, str]]:
    """The columns that all files have, and the SQL of each alone. Raises FairauditError where one differs."""
    first: dict[str, str] = {}
    parts = {}
    for path in paths:
        with engine.speaking(_shown(path)), _reachable(path):
            columns, parts[_shown(path)] = reader([path], engine, kind)
        # text is read by position, so there the order counts too
        if first and (columns != first or (kind not in _PARQUET and [*columns] != [*first])):
            raise FairauditError(
                f"{_shown(path)} has other columns than {_shown(paths[0])} ({_described(columns, first)}); "
                "files read together need one schema."
            )
        first = first or columns
    return first, parts


def _described(columns: Mapping[str, str], first: Mapping[str, str]) -> str:
    odd = [f"{c} is {t}, not {first[c]}" for c, t in columns.items() if first.get(c, t) != t]
    odd += [f"no {c}" for c in first if c not in columns] + [f"also {c}" for c in columns if c not in first]
    return ", ".join(odd[:3]) or "another order"


def _paths(item: str) -> list[str]:
    return [_spooled()] if item == "-" else check_path(item)


def is_remote(item: str) -> bool:
    """Whether a path is a URL that the engine must open."""
    return _REMOTE.match(item) is not None


def check_path(item: str) -> list[str]:
    """The files that a path, pattern or folder names. Raises FairauditError where there is none to read."""
    if is_remote(item):
        return [item]
    if any(ch in item for ch in "*?[") and not Path(item).exists():
        hits = [f for hit in sorted(glob.glob(item, recursive=True)) for f in _inside(Path(hit))]
        if not hits:
            raise FairauditError(f"no file matches '{item}'; check the pattern.")
        return list(dict.fromkeys(hits))
    path = Path(item)
    if not path.exists():
        raise FairauditError(f"no such file: {item}; check the path.")
    found = _inside(path)
    if not found:
        raise FairauditError(
            f"the folder '{item}' holds no file of predictions (.csv, .parquet …); check the path."
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
    return next((kind for kind in (*_TEXT, *_PARQUET) if name.endswith(kind)), None)


def kind_of(path: str) -> str:
    """The ending that says how a file is read: `.csv`, `.tsv`, `.jsonl`, `.parquet` …, without `.gz`."""
    kind = _ending(path)
    if kind is None:
        raise FairauditError(
            f"{path}: the ending does not say what it is; use .csv, .tsv, .jsonl or .parquet (text also .gz)."
        )
    return kind


def check_file(path: str, kind: str) -> None:
    """Refuse a text file that is empty, no UTF-8 or one of our own documents, by its beginning."""
    if is_remote(path) or kind in _PARQUET:
        return
    if kind == ".json":
        check_foreign(path)
    _check_text(path)


def _shown(path: str) -> str:
    return "standard input" if "fairaudit-stdin-" in path else path


@contextlib.contextmanager
def _reachable(path: str) -> Iterator[None]:
    """For a URL: the sentence that says how DuckDB's extension for it is installed, where it is missing."""
    try:
        yield
    except Exception as error:
        if is_remote(path) and re.search(r"extension|autoload|autoinstall", str(error), re.IGNORECASE):
            scheme = path.partition("://")[0]
            name = "azure" if scheme.startswith("a") else "httpfs"
            raise FairauditError(
                f"{path} needs DuckDB's extension {name}; install it once, where there is a network: "
                f"python -c \"import duckdb; duckdb.sql('INSTALL {name}')\"."
            ) from error
        raise


def _listed(paths: Sequence[str]) -> str:
    return "[" + ", ".join(literal(_verbatim(p)) for p in paths) + "]"


def _verbatim(path: str) -> str:
    """A path as a pattern that matches nothing else: DuckDB would read `a1.csv` for a file named `a[1].csv`."""
    return path if is_remote(path) else re.sub(r"([*?\[])", r"[\1]", path)


def parts_in(path: str) -> dict[str, str]:
    """The columns that folders of a path name, as in `region=EU/part.parquet`."""
    return {
        k: "VARCHAR" for k, sign, v in (p.partition("=") for p in Path(path).parts[:-1]) if k and sign and v
    }


def _hive(paths: Sequence[str]) -> str:
    named = parts_in(paths[0])
    return ", hive_partitioning=true, hive_types_autocast=false" if named else ", hive_partitioning=false"


def _described_by(engine: Duck, sql: str) -> dict[str, str]:
    return {str(r[0]): str(r[1]) for r in engine.rows(f"DESCRIBE SELECT * FROM {sql}")}


def _parquet(paths: Sequence[str], engine: Duck, _: str) -> tuple[dict[str, str], str]:
    sql = f"read_parquet({_listed(paths)}{_hive(paths)})"
    return (_described_by(engine, sql) if len(paths) == 1 else {}), sql


def _json(paths: Sequence[str], engine: Duck, _: str) -> tuple[dict[str, str], str]:
    sql = f"read_json({_listed(paths)}, sample_size=-1, format='auto'{_hive(paths)})"
    found = _described_by(engine, sql)
    # texts that look like times and values of mixed kinds stay the text they are
    types = {c: t if t in _PLAIN else "VARCHAR" for c, t in found.items()}
    if types != found:
        own = {c: t for c, t in types.items() if c not in parts_in(paths[0])}
        shown = ", ".join(f"{literal(c)}: {literal(t)}" for c, t in own.items())
        sql = f"read_json({_listed(paths)}, columns={{{shown}}}, format='auto'{_hive(paths)})"
    return types, sql


def _csv(paths: Sequence[str], engine: Duck, kind: str) -> tuple[dict[str, str], str]:
    header, delimiter = _header(paths[0], kind, engine)
    columns = dict.fromkeys(header, "VARCHAR")
    typed = "{" + ", ".join(f"{literal(c)}: 'VARCHAR'" for c in header) + "}"
    sql = (
        f"read_csv({_listed(paths)}, auto_detect=false, header=true, delim={literal(delimiter)}, quote='\"', "
        f"escape='\"', columns={typed}, nullstr='', strict_mode=true, {_LINES}{_hive(paths)})"
    )
    return columns | parts_in(paths[0]), sql


def _opened(path: str) -> IO[bytes]:
    return gzip.open(path, "rb") if path.lower().endswith(".gz") else Path(path).open("rb")  # type: ignore[return-value]


def _check_text(path: str) -> None:
    try:
        with _opened(path) as file:
            head = file.read(8192)
    except (OSError, EOFError) as error:
        raise FairauditError(f"{_shown(path)} cannot be read: {error}.") from error
    if not head.strip():
        raise FairauditError(f"{_shown(path)} is empty; predictions need a header and rows.")
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise FairauditError(f"{_shown(path)} is UTF-16 text; save it as UTF-8.")
    if b"\x00" in head or head.startswith((b"PAR1", b"PK\x03\x04")):
        raise FairauditError(
            f"{_shown(path)} is not text (it holds binary data); its ending promises a text file."
        )


def check_foreign(path: str) -> None:
    """Refuse our own documents, whose JSON is no table of predictions."""
    with contextlib.suppress(OSError, EOFError), _opened(path) as file:
        found = re.match(rb'\s*\{\s*"schema"\s*:\s*"(fairaudit\.(\w+))"', file.read(400))
        if found:
            schema, kind = (x.decode() for x in found.groups())
            what = f"{'an' if kind[0] in 'aeiou' else 'a'} {kind} ({schema})"
            other = "" if kind == "audit" else " or an audit"
            raise FairauditError(
                f"{_shown(path)} is {what}, not predictions{other}; name the file with the rows behind it."
            )


def _first_lines(path: str, engine: Duck) -> IO[str]:
    """The beginning of a text file. A URL's comes through the engine: its first line must hold the whole header."""
    if not is_remote(path):
        return text_in(path)
    sql = (
        f"SELECT line FROM read_csv({literal(path)}, auto_detect=false, header=false, delim='\x01', quote='', "
        "columns={'line': 'VARCHAR'}) LIMIT 1"
    )
    found = engine.rows(sql)
    return io.StringIO(str(found[0][0]).removeprefix("\ufeff") if found else "")


def _header(path: str, kind: str, engine: Duck) -> tuple[list[str], str]:
    with _first_lines(path, engine) as text:
        return header_of(text, kind, _shown(path))


def text_in(path: str) -> IO[str]:
    """A local text file, decompressed, without the mark of its byte order."""
    return io.TextIOWrapper(_opened(path), encoding="utf-8-sig", newline="")


def header_of(text: IO[str], kind: str, where: str) -> tuple[list[str], str]:
    """The names in the first line of a text, and the delimiter between them."""
    try:
        line = text.readline()
        delimiter = _TEXT[kind] if kind == ".tsv" else max(",;\t|", key=line.count)
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
