"""Predictions as one relation of an engine: its columns, and its rows not yet read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from fairaudit.errors import FairauditError, missing_column
from fairaudit.reading.engine import Engine

#: Between the parts of a message raised inside a scan: nothing a column's name or value would hold.
SEPARATOR = "\x1f"


@dataclass(frozen=True, slots=True)
class Source:
    """One relation in an engine: its SQL, its columns (name -> SQL type) and its name for messages.

    `left_out`: why -> how many rows were left out on the way (`unmatched`, `split`, `zero_weight`). `doubled`:
    columns that a joined file holds too; the values are those of the first. `parts`: file -> what the
    engine's `touch` reads of it alone, so that the one which cannot be read can be named.
    """

    engine: Engine
    sql: str
    columns: dict[str, str]
    where: str
    left_out: Mapping[str, int] = field(default_factory=dict)
    doubled: tuple[str, ...] = ()
    parts: Mapping[str, str] = field(default_factory=dict)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of a small result, in the source's engine."""
        return self.engine.rows(sql)

    def quote(self, name: str) -> str:
        """A column's name in the source's SQL."""
        return self.engine.dialect.quote(name)

    @contextmanager
    def speaking(self) -> Iterator[None]:
        """Whatever the engine raises inside becomes one sentence about this source, or about the part at fault."""
        try:
            with self.engine.speaking(self.where):
                yield
        except FairauditError as error:
            cause = str(error.__cause__) if error.__cause__ is not None else ""
            if marked := cause.partition(f"fairaudit{SEPARATOR}")[2]:
                raise _objection(marked) from error.__cause__
            if len(self.parts) > 1 and error.__cause__ is not None and "-memory" not in str(error):
                self._blame()
            raise

    def _blame(self) -> None:
        """Raise the sentence about the first part that cannot be read by itself, where there is one."""
        for name, part in self.parts.items():
            with self.engine.speaking(name):
                self.engine.touch(part)


def timeless(source: Source) -> Source:
    """The source with times in a zone as text, in UTC: as values they would take the zone of the machine."""
    zoned = [c for c, kind in source.columns.items() if kind == "TIMESTAMP WITH TIME ZONE"]
    if not zoned:
        return source
    text = source.engine.dialect.text
    shown = ", ".join(f"{text(source.quote(c))} AS {source.quote(c)}" for c in zoned)
    return replace(
        source,
        sql=f"(SELECT * REPLACE ({shown}) FROM {source.sql} zoned)",
        columns=source.columns | dict.fromkeys(zoned, "VARCHAR"),
    )


def _objection(marked: str) -> FairauditError:
    """What a check inside the scan objects to: rule, column and value."""
    rule, column, value = marked.split(SEPARATOR, 2)  # a column's name may hold a line break
    value = value.partition("\n")[0]
    return FairauditError(
        {
            "number": f"column '{column}' must hold numbers, but has '{value}'; mend it or name another column.",
            "score": f"column '{column}' must hold probabilities in [0, 1], but has {value}; rescale it.",
            "weight": f"column '{column}' must hold weights of 0 or 1e-6 to 1e6, but has {value}; rescale them.",
            "loss": f"column '{column}' must hold losses from 0 to 1e6 (cross-entropy), but has {value}.",
            "sum": f"the probabilities of a row must sum to one, but a row of {column} sums to {value}; "
            "pass probabilities, not logits.",
            "class": f"a row has the label '{value}', but no probability column is named for it ({column}).",
            "member": f"column '{column}' must hold 0 and 1 (or true and false), but has '{value}'.",
            "missing": f"column '{column}' has a missing value where every row needs one; drop those rows first.",
        }[rule]
    )


def join(source: Source, other: Source, on: str) -> Source:
    """Rows of `source` with the columns of `other` beside them, matched on a column both have, one to one.

    Raises FairauditError when the column is missing, a key repeats in either, or nothing matches.
    """
    key = source.quote(on)
    totals = []
    for side in (source, other):
        if on not in side.columns:
            raise missing_column(on, side.columns, side.where)
        rows, keys = side.rows(f"SELECT count(*), count(DISTINCT {key}) FROM {side.sql}")[0]
        if rows != keys:
            raise FairauditError(
                f"column '{on}' must name each row once, but {side.where} has {rows} rows and {keys} values; "
                "join on a column that is unique in both files."
            )
        totals.append(int(rows))
    fresh = [c for c in other.columns if c not in source.columns]
    picked = ", ".join(["l.*", *(f"r.{source.quote(c)}" for c in fresh)])
    same = source.columns[on] == other.columns[on]
    text = source.engine.dialect.text
    test = f"l.{key} = r.{key}" if same else f"{text(f'l.{key}')} = {text(f'r.{key}')}"
    sql = f"(SELECT {picked} FROM {source.sql} l JOIN {other.sql} r ON {test})"
    columns = source.columns | {c: other.columns[c] for c in fresh}
    doubled = tuple(c for c in other.columns if c in source.columns and c != on)
    joined = Source(source.engine, sql, columns, f"{source.where} with {other.where}", doubled=doubled)
    if (matched := int(joined.rows(f"SELECT count(*) FROM {sql}")[0][0])) == 0:
        raise FairauditError(
            f"no value of '{on}' is in both {source.where} and {other.where}; nothing to join."
        )
    return replace(joined, left_out={"unmatched": totals[0] - matched})
