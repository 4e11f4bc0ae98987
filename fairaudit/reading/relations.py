"""A DuckDB relation, counted by the connection it belongs to: nothing is copied, nothing is left behind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import duckdb

from fairaudit.columns import Inputs
from fairaudit.reading.dialect import quote
from fairaudit.reading.engine import Duck
from fairaudit.reading.source import Source
from fairaudit.reading.texts import check_names

#: The relation's name inside a query of ours, for the time of that query.
_NAME = "fairaudit_relation"


@dataclass(frozen=True, slots=True)
class _Queries:
    """A relation in the place of a connection: what is run is a query about it."""

    relation: Any

    def execute(self, sql: str) -> Any:
        """The result of a query."""
        return self.relation.query(_NAME, sql)


def at_home(relation: Any, inputs: Inputs) -> bool:
    """Whether a relation can be counted by its own connection, and that be left as it was.

    DuckDB 1 keeps a view of every query about a relation. In an open transaction a value that we refuse would abort
    what is not ours: there two queries have one number. Limits and a file beside it take our own engine; so do
    times in a zone, which are text in that of the connection.
    """
    if any("WITH TIME ZONE" in str(kind) for kind in relation.types):
        return False
    limits = (inputs.with_file, inputs.memory_limit, inputs.threads)
    if int(duckdb.__version__.split(".")[0]) < 2 or any(limit is not None for limit in limits):
        return False
    one, other = (relation.query(_NAME, "SELECT txid_current()").fetchall() for _ in range(2))
    return bool(one != other)


def open_relation(relation: Any) -> Source:
    """The relation as a source in its own connection."""
    names = [str(c) for c in relation.columns]
    check_names(names, "the dataframe")
    types = dict(zip(names, map(str, relation.types), strict=True))
    return Source(Duck(_Queries(relation)), quote(_NAME), types, "the dataframe")  # type: ignore[arg-type]
