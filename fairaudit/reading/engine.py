"""Where a scan runs: an engine takes SQL and gives back rows or columns; DuckDB is the one that is always there."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import gettempdir
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
    with duckdb.connect() as con:
        con.execute("SET preserve_insertion_order = false")
        # DuckDB's own place would be the folder the user stands in
        spill = Path(gettempdir(), f"fairaudit-spill-{os.getpid()}")
        con.execute(f"SET temp_directory = {literal(str(spill))}")
        for name in ("memory_limit", "threads"):
            value = getattr(inputs, name, None)
            if value is not None:
                _set(con, name, value)
        yield Duck(con)


def _set(con: duckdb.DuckDBPyConnection, name: str, value: object) -> None:
    try:
        con.execute(f"SET {name} = '{value}'")
    except duckdb.Error as error:
        flag = "--" + name.replace("_", "-")
        shape = "a size as 500MB or 4GB" if name == "memory_limit" else "a number from 1"
        raise FairauditError(f"{flag} takes {shape}, not '{value}'.") from error


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
        return FairauditError(
            f"{where} has more different rows to count than fit in memory; allow more with --memory-limit, "
            "or ask for fewer attributes at a time."
        )
    first = re.sub(r"^[A-Za-z ]+ Error: ", "", text.strip().split("\n")[0])
    first = re.sub(
        r"^.*registered as '[^']*' failed: ([A-Za-z ]+: )*", "", first
    )  # a lazy dataframe's own words
    at = f", line {line[1]}" if line else ""
    return FairauditError(f"{where}{at} cannot be read as a table: {first}")
