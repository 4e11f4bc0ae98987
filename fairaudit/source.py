"""Predictions as one relation: files, several files, standard input or any dataframe, opened in DuckDB."""

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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

import duckdb

from fairaudit.errors import FairauditError, missing_column

_TEXT = {".csv": ",", ".tsv": "\t", ".txt": ",", ".jsonl": "", ".ndjson": "", ".json": ""}
_PLAIN = ("BIGINT", "DOUBLE", "BOOLEAN", "VARCHAR", "HUGEINT", "UBIGINT")
_PARQUET = (".parquet", ".pq")


@dataclass(frozen=True, slots=True)
class Source:
    """One relation in an open connection: its SQL, its columns (name -> SQL type) and its name for messages.

    `left_out`: why -> how many rows were left out on the way (`unmatched`, `split`, `zero_weight`). `doubled`:
    columns that a joined file holds too; the values are those of the first.
    """

    con: duckdb.DuckDBPyConnection
    sql: str
    columns: dict[str, str]
    where: str
    left_out: Mapping[str, int] = field(default_factory=dict)
    doubled: tuple[str, ...] = ()

    def count(self) -> int:
        """How many rows it has now."""
        return int(self.con.execute(f"SELECT count(*) FROM {self.sql}").fetchall()[0][0])


def quote(name: str) -> str:
    """A column name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def open_source(data: Any, con: duckdb.DuckDBPyConnection, view: str = "preds") -> Source:
    """Open `data`: a path, a glob, a list of paths, `-`, or a dataframe narwhals knows.

    Raises FairauditError with one sentence for anything that cannot be read as a table.
    """
    if isinstance(data, str | Path):
        data = [data]
    if isinstance(data, list | tuple) and data and all(isinstance(p, str | Path) for p in data):
        return _open_files([p for item in data for p in _paths(str(item))], con)
    return _open_frame(data, con, view)


def join(source: Source, other: Source, on: str) -> Source:
    """Rows of `source` with the columns of `other` beside them, matched on a column both have, one to one.

    Raises FairauditError when the column is missing, a key repeats in either, or nothing matches.
    """
    totals = []
    for side in (source, other):
        if on not in side.columns:
            raise missing_column(on, side.columns, side.where)
        rows, keys = side.con.execute(
            f"SELECT count(*), count(DISTINCT {quote(on)}) FROM {side.sql}"
        ).fetchall()[0]
        if rows != keys:
            raise FairauditError(
                f"column '{on}' must name each row once, but {side.where} has {rows} rows and {keys} values; "
                "join on a column that is unique in both files."
            )
        totals.append(int(rows))
    fresh = [c for c in other.columns if c not in source.columns]
    picked = ", ".join(["l.*", *(f"r.{quote(c)}" for c in fresh)])
    key = quote(on)
    same = source.columns[on] == other.columns[on]
    test = f"l.{key} = r.{key}" if same else f"CAST(l.{key} AS VARCHAR) = CAST(r.{key} AS VARCHAR)"
    sql = f"(SELECT {picked} FROM {source.sql} l JOIN {other.sql} r ON {test})"
    columns = source.columns | {c: other.columns[c] for c in fresh}
    doubled = tuple(c for c in other.columns if c in source.columns and c != on)
    joined = Source(source.con, sql, columns, f"{source.where} with {other.where}", doubled=doubled)
    if (matched := joined.count()) == 0:
        raise FairauditError(
            f"no value of '{on}' is in both {source.where} and {other.where}; nothing to join."
        )
    return replace(joined, left_out={"unmatched": totals[0] - matched})


def translated(error: duckdb.Error, where: str) -> FairauditError:
    """DuckDB's message as one sentence: the file, the fact, the line where there is one."""
    text = str(error)
    line = re.search(r"Line: (\d+)", text)
    found = re.search(r"Expected Number of Columns: (\d+) Found: (\d+)", text)
    if found and line:
        return FairauditError(
            f"{where}, line {line[1]}: {found[2]} values where the header names {found[1]} columns; mend that line."
        )
    if "unicode" in text.lower() or "utf-8" in text.lower():
        return FairauditError(
            f"{where} is not UTF-8 text{f' (line {line[1]})' if line else ''}; save it as UTF-8."
        )
    if isinstance(error, duckdb.OutOfMemoryException):
        return FairauditError(f"{where} needs more memory than allowed; set the environment's limit higher.")
    first = re.sub(r"^[A-Za-z ]+ Error: ", "", text.strip().split("\n")[0])
    at = f", line {line[1]}" if line else ""
    return FairauditError(f"{where}{at} cannot be read as a table: {first}")


def _paths(item: str) -> list[str]:
    return [_spooled()] if item == "-" else check_path(item)


def check_path(item: str) -> list[str]:
    """The files that a path or pattern names. Raises FairauditError where there is none to read."""
    if any(ch in item for ch in "*?[") and not Path(item).exists():
        hits = sorted(glob.glob(item, recursive=True))
        if not hits:
            raise FairauditError(f"no file matches '{item}'; check the pattern.")
        return hits
    path = Path(item)
    if not path.exists():
        raise FairauditError(f"no such file: {item}; check the path.")
    if path.is_dir():
        raise FairauditError(
            f"'{item}' is a folder, not a file of predictions; name the files (a pattern works)."
        )
    if path.stat().st_size == 0:
        raise FairauditError(f"{item} is empty; predictions need a header and rows.")
    return [item]


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


def kind_of(path: str) -> str:
    """The ending that says how a file is read: `.csv`, `.tsv`, `.jsonl`, `.parquet` …, without `.gz`."""
    name = path.lower().removesuffix(".gz")
    for kind in (*_TEXT, *_PARQUET):
        if name.endswith(kind):
            return kind
    raise FairauditError(
        f"{path}: the ending does not say what it is; use .csv, .tsv, .jsonl or .parquet (text also .gz)."
    )


def _open_files(paths: Sequence[str], con: duckdb.DuckDBPyConnection) -> Source:
    kinds = {kind_of(p) for p in paths}
    if len(kinds) > 1:
        raise FairauditError(
            f"files of one kind are read together, not {', '.join(sorted(kinds))}; convert some."
        )
    kind = kinds.pop()
    if kind == ".json":
        for path in paths:
            check_foreign(path)
    where = _shown(paths[0]) if len(paths) == 1 else f"{_shown(paths[0])} and {len(paths) - 1} more"
    reader = _parquet if kind in _PARQUET else _json if kind in (".jsonl", ".ndjson", ".json") else _csv
    if kind not in _PARQUET:
        for path in paths:
            _check_text(path)
    first: dict[str, str] = {}
    for path in paths:
        try:
            columns, _ = reader([path], con, kind)
        except duckdb.Error as error:
            raise translated(error, _shown(path)) from error
        # text is read by position, so there the order counts too
        if first and (columns != first or (kind not in _PARQUET and [*columns] != [*first])):
            raise FairauditError(
                f"{_shown(path)} has other columns than {_shown(paths[0])} "
                f"({_described(columns, first)}); files read together need one schema."
            )
        first = first or columns
    _, sql = reader(paths, con, kind)
    return Source(con, sql, first, where)


def _described(columns: dict[str, str], first: dict[str, str]) -> str:
    odd = [f"{c} {t}" for c, t in columns.items() if first.get(c) != t] + [
        f"no {c}" for c in first if c not in columns
    ]
    return ", ".join(odd[:3]) or "another order"


def _shown(path: str) -> str:
    return "standard input" if "fairaudit-stdin-" in path else path


def _listed(paths: Sequence[str]) -> str:
    return "[" + ", ".join(literal(_verbatim(p)) for p in paths) + "]"


def _verbatim(path: str) -> str:
    """A path as a pattern that matches nothing else: DuckDB would read `a1.csv` for a file named `a[1].csv`."""
    return re.sub(r"([*?\[])", r"[\1]", path)


def _parquet(paths: Sequence[str], con: duckdb.DuckDBPyConnection, _: str) -> tuple[dict[str, str], str]:
    sql = f"read_parquet({_listed(paths)})"
    rows = con.execute(f"DESCRIBE SELECT * FROM {sql}").fetchall()
    return {str(r[0]): str(r[1]) for r in rows}, sql


def _json(paths: Sequence[str], con: duckdb.DuckDBPyConnection, _: str) -> tuple[dict[str, str], str]:
    sql = f"read_json({_listed(paths)}, sample_size=-1, format='auto')"
    rows = con.execute(f"DESCRIBE SELECT * FROM {sql}").fetchall()
    # texts that look like times and values of mixed kinds stay the text they are
    types = {str(r[0]): str(r[1]) if str(r[1]) in _PLAIN else "VARCHAR" for r in rows}
    if types != {str(r[0]): str(r[1]) for r in rows}:
        shown = ", ".join(f"{literal(c)}: {literal(t)}" for c, t in types.items())
        sql = f"read_json({_listed(paths)}, columns={{{shown}}}, format='auto')"
    return types, sql


def _csv(paths: Sequence[str], _: duckdb.DuckDBPyConnection, kind: str) -> tuple[dict[str, str], str]:
    header, delimiter = _header(paths[0], kind)
    columns = dict.fromkeys(header, "VARCHAR")
    typed = "{" + ", ".join(f"{literal(c)}: 'VARCHAR'" for c in header) + "}"
    sql = (
        f"read_csv({_listed(paths)}, auto_detect=false, header=true, delim={literal(delimiter)}, quote='\"', "
        f"escape='\"', columns={typed}, nullstr='', strict_mode=true, max_line_size=10000000)"
    )
    return columns, sql


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


def _header(path: str, kind: str) -> tuple[list[str], str]:
    with _opened(path) as file, io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
        try:
            line = text.readline()
            delimiter = _TEXT[kind] if kind == ".tsv" else max(",;\t|", key=line.count)
            text.seek(0)
            header = next(csv.reader(text, delimiter=delimiter))
        except UnicodeDecodeError as error:
            raise FairauditError(f"{_shown(path)} is not UTF-8 text; save it as UTF-8.") from error
        except (csv.Error, StopIteration) as error:
            raise FairauditError(f"{_shown(path)} has no readable header: {error}.") from error
    names = [c or f"column{i}" for i, c in enumerate(header)]
    _check_names(names, _shown(path))
    return names, delimiter


def _check_names(names: Sequence[str], where: str) -> None:
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


def _open_frame(data: Any, con: duckdb.DuckDBPyConnection, view: str) -> Source:
    import narwhals as nw

    if nw.dependencies.is_pandas_dataframe(data):  # pandas allows one name twice, narwhals does not
        _check_names([str(c) for c in data.columns], "the dataframe")
    try:
        frame = nw.from_native(data)
    except TypeError as error:
        raise FairauditError(
            f"predictions must be a file or a dataframe (pandas, polars, pyarrow, DuckDB), not {type(data).__name__}."
        ) from error
    eager = frame.collect() if isinstance(frame, nw.LazyFrame) else frame
    _check_names([str(c) for c in eager.columns], "the dataframe")
    con.register(view, _arrow(eager))
    rows = con.execute(f"DESCRIBE SELECT * FROM {quote(view)}").fetchall()
    return Source(con, quote(view), {str(r[0]): str(r[1]) for r in rows}, "the dataframe")


def _arrow(frame: Any) -> Any:
    """The frame as an Arrow table; pandas columns of mixed objects, which Arrow refuses, become label text."""
    import pyarrow as pa

    from fairaudit.labels import text_of

    columns = {}
    for name in frame.columns:
        try:
            columns[str(name)] = frame[name].to_arrow()
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            columns[str(name)] = pa.array([text_of(v) for v in frame[name].to_list()], pa.string())
    return pa.table(columns)
