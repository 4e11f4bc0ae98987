"""Where a scan runs: an engine takes SQL and gives back rows or columns; DuckDB is the one that is always there."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import duckdb
import numpy as np

from fairaudit.columns import Inputs
from fairaudit.errors import FairauditError
from fairaudit.reading.dialect import DUCKDB, Dialect, literal

Array = np.ndarray[Any, Any]
#: Column types whose values numpy holds as they are; of other types rows are fetched as Python values.
_FLAT = ("VARCHAR", "STRING", "BIGINT", "INTEGER", "SMALLINT", "TINYINT", "UBIGINT", "UINTEGER", "USMALLINT",
         "UTINYINT", "BOOLEAN", "DOUBLE", "FLOAT", "NUMBER")  # fmt: skip


class Engine(Protocol):
    """What a scan needs of an engine."""

    @property
    def dialect(self) -> Dialect:
        """How its SQL is spelled."""

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of a small result."""

    def columns(self, sql: str) -> list[Array | Sequence[Any]]:
        """The columns of a result; missing values are None, NaN or masked."""

    def touch(self, part: str) -> None:
        """Read every value of one of a source's `parts`, so that what cannot be read raises."""

    def speaking(self, where: str) -> contextlib.AbstractContextManager[None]:
        """Whatever the engine raises inside becomes one sentence about `where`; marked messages pass as they are."""


@dataclass(frozen=True, slots=True)
class Duck:
    """DuckDB in this process."""

    con: duckdb.DuckDBPyConnection
    dialect: Dialect = DUCKDB

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of a small result."""
        return self.con.execute(sql).fetchall()

    def columns(self, sql: str) -> list[Array | Sequence[Any]]:
        """The columns of a result, as numpy arrays where numpy can hold them."""
        done = self.con.execute(sql)
        types = [str(d[1]) for d in done.description or ()]
        if all(t in _FLAT for t in types):
            return [np.ma.asanyarray(c) for c in done.fetchnumpy().values()]
        found = done.fetchall()
        return list(zip(*found, strict=True)) if found else [[] for _ in types]

    def touch(self, part: str) -> None:
        """Read every value of a relation, given as its SQL."""
        self.rows(f"SELECT max(hash(COLUMNS(*))) FROM {part}")  # a count would not read the values

    @contextlib.contextmanager
    def speaking(self, where: str) -> Iterator[None]:
        """Whatever DuckDB raises inside becomes one sentence about `where`."""
        try:
            yield
        except duckdb.Error as error:
            raise translated(error, where) from error
        except RuntimeError as error:
            if "interrupted" in str(error):  # DuckDB's word for Ctrl-C
                raise KeyboardInterrupt from error
            raise


@contextlib.contextmanager
def duck(inputs: Inputs | None = None) -> Iterator[Duck]:
    """A DuckDB of its own: order of rows is nobody's business, and what does not fit in memory goes to disk."""
    # DuckDB's own place for spilled rows would be the folder the user stands in; ours is private, and one a connection:
    # two of one process would take the same names for their files
    with TemporaryDirectory(prefix="fairaudit-spill-") as spill, duckdb.connect() as con:
        con.execute("SET preserve_insertion_order = false")
        con.execute("SET TimeZone = 'UTC'")  # times with a zone are the same text on every machine
        con.execute(f"SET temp_directory = {literal(spill)}")
        for name in ("memory_limit", "threads"):
            value = getattr(inputs, name, None)
            if value is not None:
                con.execute(f"SET {name} = {literal(str(value))}")
        yield Duck(con)


def translated(error: duckdb.Error, where: str) -> FairauditError:
    """DuckDB's message as one sentence: the file, the fact, the line where there is one."""
    text = str(error)
    line = re.search(r"Line: (\d+)", text)
    found = re.search(r"Expected Number of Columns: (\d+) Found: (\d+)", text)
    if found and line:
        return FairauditError(
            f"{where}, line {line[1]}: {found[2]} values where the header names {found[1]} columns; mend that line."
        )
    # a path or a row may say anything
    lines = (
        part for part in text.replace(where, "").split("\n") if not part.startswith(("Original", "  file"))
    )
    about, at = "\n".join(lines).lower(), f", line {line[1]}" if line else ""
    if "unterminated quote" in about:
        return FairauditError(
            f"{where}{at}: a quote is opened and never closed; close it, or double it to mean one."
        )
    if "maximum line size" in about:
        return FairauditError(f"{where}{at}: a line is longer than 8 MB; is a quote left open before it?")
    if "unicode" in about or "utf-8" in about:
        return FairauditError(
            f"{where} is not UTF-8 text{f' (line {line[1]})' if line else ''}; save it as UTF-8."
        )
    if isinstance(error, duckdb.OutOfMemoryException):
        return FairauditError(
            f"{where} has more different rows to count than fit in memory; allow more with --memory-limit, "
            "or ask for fewer attributes at a time."
        )
    first = re.sub(r"^[A-Za-z ]+ Error: ", "", text.strip().split("\n")[0])
    first = re.sub(
        r"^.*registered as '[^']*' failed: ([A-Za-z ]+: )*", "", first
    )  # a lazy dataframe's own words
    return FairauditError(f"{where}{at} cannot be read as a table: {first}")
