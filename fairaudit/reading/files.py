"""Files of predictions as one relation: CSV, TSV, JSON Lines or Parquet; one, several, a folder, or a URL."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from fairaudit.errors import FairauditError
from fairaudit.reading.dialect import literal
from fairaudit.reading.engine import Duck, Engine
from fairaudit.reading.paths import PARQUET, check_apart, is_remote, kind_of, named_by, shown
from fairaudit.reading.source import Source, timeless
from fairaudit.reading.texts import check_foreign, check_names, check_text, header_of, text_in
from fairaudit.tallies.file import CUBE

_PLAIN = ("BIGINT", "DOUBLE", "BOOLEAN", "VARCHAR", "HUGEINT", "UBIGINT")
#: Lines of up to 8 MB; without a buffer of its own DuckDB takes buffers of 16 such lines.
_LINES = "max_line_size=8000000, buffer_size=32000000"
#: A reader of some files: (their columns, SQL).
Reader = Callable[[Sequence[str], Any, str], tuple[dict[str, str], str]]


def open_files(items: Sequence[str], engine: Duck) -> Source:
    """The relation of files, patterns, folders, URLs or `-` (standard input), all of one kind and one schema.

    Raises FairauditError with one sentence for anything that cannot be read as a table, naming the file.
    """
    paths = [p for item in items for p in named_by(item)]
    check_apart(paths)
    kinds = {kind_of(p) for p in paths}
    if len(kinds) > 1:
        raise FairauditError(
            f"files of one kind are read together, not {', '.join(sorted(kinds))}; convert some."
        )
    kind = kinds.pop()
    for path in paths:
        check_file(path, kind)
    where = shown(paths[0]) if len(paths) == 1 else f"{shown(paths[0])} and {len(paths) - 1} more"
    reader = _parquet if kind in PARQUET else _json if kind in (".jsonl", ".ndjson", ".json") else _csv
    columns, parts = one_schema(paths, kind, reader, engine)
    if CUBE in columns:
        raise FairauditError(
            f"{where} holds a tally: counts, not rows; save it under a name that ends in .tally."
        )
    sql = reader(paths, engine, kind)[1] if len(paths) > 1 else parts[where]
    return timeless(Source(engine, sql, columns, where, parts=parts))


def one_schema(
    paths: Sequence[str], kind: str, reader: Reader, engine: Engine
) -> tuple[dict[str, str], dict[str, str]]:
    """The columns that all files have, and the SQL of each alone. Raises FairauditError where one differs."""
    first: dict[str, str] = {}
    parts = {}
    for path in paths:
        with engine.speaking(shown(path)), _reachable(path):
            columns, parts[shown(path)] = reader([path], engine, kind)
        # text is read by position, so there the order counts too
        if first and (columns != first or (kind not in PARQUET and [*columns] != [*first])):
            raise FairauditError(
                f"{shown(path)} has other columns than {shown(paths[0])} ({_described(columns, first)}); "
                "files read together need one schema."
            )
        first = first or columns
    return first, parts


def _described(columns: Mapping[str, str], first: Mapping[str, str]) -> str:
    odd = [f"{c} is {t}, not {first[c]}" for c, t in columns.items() if first.get(c, t) != t]
    odd += [f"no {c}" for c in first if c not in columns] + [f"also {c}" for c in columns if c not in first]
    return ", ".join(odd[:3]) or "another order"


def check_file(path: str, kind: str) -> None:
    """Refuse a text file that is empty, no UTF-8 or one of our own documents, by its beginning."""
    if is_remote(path) or kind in PARQUET:
        return
    if kind == ".json":
        check_foreign(path)
    check_text(path)


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


def _with_parts(own: dict[str, str], path: str) -> dict[str, str]:
    """A file's own columns and those that its folders name. Refuses one that is both: the folder's would win."""
    named = parts_in(path)
    for name in named:
        if name.lower() in (c.lower() for c in own):
            raise FairauditError(
                f"{shown(path)} has a column '{name}', and so has the name of a folder above it; rename one."
            )
    return own | named


def _parquet(paths: Sequence[str], engine: Duck, _: str) -> tuple[dict[str, str], str]:
    sql = f"read_parquet({_listed(paths)}{_hive(paths)})"
    if len(paths) > 1:
        return {}, sql
    own = _described_by(engine, f"read_parquet({_listed(paths)}, hive_partitioning=false)")
    if any((m := re.fullmatch(r"(.+)_\d+", c)) and m[1].lower() in (o.lower() for o in own) for c in own):
        # DuckDB sees no case and gives the second of `sex` and `Sex` another name
        names = engine.rows(f"SELECT name FROM parquet_schema({_listed(paths)}) WHERE name <> 'schema'")
        check_names([str(n) for (n,) in names], shown(paths[0]))
    return _with_parts(own, paths[0]), sql


def _json(paths: Sequence[str], engine: Duck, _: str) -> tuple[dict[str, str], str]:
    sql = f"read_json({_listed(paths)}, sample_size=-1, format='auto'{_hive(paths)})"
    found = _described_by(engine, sql)
    if len(paths) == 1 and parts_in(paths[0]):
        own_sql = f"read_json({_listed(paths)}, sample_size=-1, format='auto', hive_partitioning=false)"
        _with_parts(_described_by(engine, own_sql), paths[0])
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
    return _with_parts(columns, paths[0]), sql


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
        return header_of(text, kind, shown(path))
