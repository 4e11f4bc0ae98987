"""The only reader of rows: one scan turns predictions into a `Tally`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import duckdb

from fairaudit.columns import KNOWN, Inputs, Roles, resolve
from fairaudit.cube import FIXED, Cube, cube_of
from fairaudit.errors import FairauditError
from fairaudit.labels import MISSING, text_of
from fairaudit.query import GroupingSet, Query, build
from fairaudit.source import Source, join, literal, open_source, quote, translated
from fairaudit.tally import Tally

MAX_CLASSES = 20_000


def tabulate(data: Any, inputs: Inputs) -> Tally:
    """Read the rows once and count.

    `data`: a path, glob, list of paths, `-` (standard input), or a dataframe (pandas, polars, pyarrow, DuckDB).
    Raises FairauditError, one sentence, for anything in the data or the inputs that has no meaning.
    """
    with duckdb.connect() as con:
        source = opened(data, inputs, con)
        return scan(source, resolved_roles(source, inputs), inputs)[0]


def opened(data: Any, inputs: Inputs, con: duckdb.DuckDBPyConnection, view: str = "preds") -> Source:
    """The relation of `data`, with the columns of `--with` beside it where asked."""
    con.execute("SET preserve_insertion_order = false")
    source = open_source(data, con, view)
    if inputs.with_file is None or inputs.on is None:
        return source
    with speaking(source):
        return join(source, open_source(inputs.with_file, con, view + "_labels"), inputs.on)


def resolved_roles(source: Source, inputs: Inputs) -> Roles:
    """The roles of a source's columns."""
    with speaking(source):
        return resolve(inputs, list(source.columns), _hard_scores(source), source.where)


def scan(source: Source, roles: Roles, inputs: Inputs) -> tuple[Tally, Query]:
    """Count the rows of the asked split, in one query."""
    with speaking(source):
        source, left_out = selected(source, roles)
        query = build(source, roles, inputs, attribute_sets(roles.sensitive, inputs.cross))
        rows = source.con.execute(query.sql).fetchall()
    return _tally(query, rows, roles, inputs, left_out, source.where), query


@contextlib.contextmanager
def speaking(source: Source) -> Iterator[None]:
    """Whatever DuckDB raises inside becomes one sentence about this source."""
    try:
        yield
    except duckdb.Error as error:
        raise _explained(error, source) from error
    except RuntimeError as error:
        if "interrupted" in str(error):  # DuckDB's word for Ctrl-C
            raise KeyboardInterrupt from error
        raise


def attribute_sets(sensitive: Sequence[str], cross: int) -> tuple[tuple[str, ...], ...]:
    """Each attribute alone, then every intersection of 2 … `cross` of them; `((),)` where there is none."""
    sets = [c for size in range(1, cross + 1) for c in combinations(sensitive, size)]
    return tuple(sets) or ((),)


def _hard_scores(source: Source) -> dict[str, bool]:
    """For columns named like a score: whether they hold only 0 and 1."""
    names = [c for c in source.columns if c.lower() in KNOWN["y_score"]]
    hard = {}
    for name in names:
        number = f"TRY_CAST({quote(name)} AS DOUBLE)"
        row = source.con.execute(
            f"SELECT bool_and({number} IN (0, 1)) FROM {source.sql} WHERE {quote(name)} IS NOT NULL"
        ).fetchone()
        hard[name] = bool(row and row[0])
    return hard


def selected(source: Source, roles: Roles) -> tuple[Source, int]:
    """The rows of the asked split, and how many others were left out."""
    if not (source.con.execute(f"SELECT count(*) FROM (SELECT 1 FROM {source.sql} LIMIT 1)").fetchall()[0])[
        0
    ]:
        raise FairauditError(f"{source.where} has a header but no rows; there is nothing to audit.")
    if roles.split is None:
        return source, 0
    column, value = roles.split
    text = f"CAST({quote(column)} AS VARCHAR)"
    counts = dict(source.con.execute(f"SELECT {text}, count(*) FROM {source.sql} GROUP BY 1").fetchall())
    if value not in counts:
        values = ", ".join(sorted(str(v) for v in counts)[:8])
        raise FairauditError(
            f"column '{column}' has no rows '{value}' (values: {values}); choose with --split VALUE, "
            "or --split all for every row."
        )
    rest = sum(counts.values()) - counts[value]
    sql = f"(SELECT * FROM {source.sql} WHERE {text} = {literal(value)})"
    return replace(source, sql=sql), rest


def _explained(error: duckdb.Error, source: Source) -> FairauditError:
    """Our own checks inside the query speak as `fairaudit|rule|column|value`; the rest is DuckDB's."""
    text = str(error)
    if "fairaudit|" not in text:
        return translated(error, source.where)
    _, rule, column, value = text.split("fairaudit|", 1)[1].join(["|", ""]).split("\n")[0].split("|", 3)
    return FairauditError(
        {
            "number": f"column '{column}' must hold numbers, but has '{value}'; mend it or name another column.",
            "score": f"column '{column}' must hold probabilities in [0, 1], but has {value}; rescale it.",
            "weight": f"column '{column}' must hold weights that are finite and not negative, but has {value}.",
            "loss": f"column '{column}' must hold finite losses, but has {value}.",
            "sum": f"the probabilities of a row must sum to one, but a row of {column} sums to {value}; "
            "pass probabilities, not logits.",
            "class": f"a row has the label '{value}', but no probability column is named for it ({column}).",
            "member": f"column '{column}' must hold 0 and 1 (or true and false), but has '{value}'.",
            "missing": f"column '{column}' has a missing value where every row needs one; drop those rows first.",
        }[rule]
    )


def _tally(
    query: Query, rows: list[tuple[Any, ...]], roles: Roles, inputs: Inputs, left_out: int, where: str
) -> Tally:
    dropped = 0
    cells: dict[tuple[str, tuple[str, ...]], list[tuple[Any, ...]]] = {
        (k.kind, k.attributes): [] for k in query.sets
    }
    memo: dict[Any, str | None] = {}
    for row in rows:
        cells[_set_of(query, row[0])].append(row)
    na = set(inputs.na)
    cubes: dict[tuple[str, tuple[str, ...]], Cube] = {}
    for grouping in query.sets:
        mine = cells[(grouping.kind, grouping.attributes)]
        cube, lost = _cube(query, grouping, mine, na, memo, inputs, roles)
        dropped = max(dropped, lost)
        cubes[(grouping.kind, grouping.attributes)] = cube
    labels = {a: c for (kind, a), c in cubes.items() if kind == "labels"}
    _check_widths(labels, inputs, where)
    scores = {a: c for (kind, a), c in cubes.items() if kind == "scores"}
    return Tally(labels, scores, query.description, dropped, left_out)


def _set_of(query: Query, mask: int) -> tuple[str, tuple[str, ...]]:
    grouping = query.by_mask[mask]
    return grouping.kind, grouping.attributes


def _cube(
    query: Query,
    grouping: GroupingSet,
    rows: list[tuple[Any, ...]],
    na: set[str],
    memo: dict[Any, str | None],
    inputs: Inputs,
    roles: Roles,
) -> tuple[Cube, int]:
    """The cube of one grouping set: values become labels; rows without a label are refused or dropped."""
    columns: list[list[str]] = []
    gone = [False] * len(rows)
    for axis in grouping.axes:
        at = query.keys[axis]
        texts = [_memoised(row[at], memo) for row in rows]
        if axis in ("y_true", "y_pred", "correct", "score_bin"):
            gone = [g or t is None for g, t in zip(gone, texts, strict=True)]
            columns.append([t or "" for t in texts])
        else:
            columns.append([MISSING if t is None or t in na else t for t in texts])
    first = 1 + len(query.keys)
    counts = [int(row[first]) for row in rows]
    lost = sum(n for n, g in zip(counts, gone, strict=True) if g)
    if lost and inputs.missing_labels == "error":
        raise FairauditError(
            f"{lost} rows have no label in '{roles.y_true}' or no prediction; every row needs both "
            "(--missing-labels drop leaves them out and says so)."
        )
    kept = [i for i, g in enumerate(gone) if not g]
    measures: dict[str, list[int]] = {"count": [counts[i] for i in kept]}
    for m, name in enumerate(query.measures):
        if name not in grouping.measures:
            continue
        high, low = first + 1 + 2 * m, first + 2 + 2 * m
        measures[name] = [int(rows[i][high]) * FIXED + int(rows[i][low]) for i in kept]
    return cube_of(grouping.axes, [[c[i] for i in kept] for c in columns], measures), lost


def _memoised(value: Any, memo: dict[Any, str | None]) -> str | None:
    key = (type(value), value)
    if key not in memo:
        memo[key] = text_of(value)
    return memo[key]


def _check_widths(labels: dict[tuple[str, ...], Cube], inputs: Inputs, where: str) -> None:
    for attributes, cube in labels.items():
        for name in attributes:
            size = len(cube.labels[cube.axis(name)])
            if size > inputs.max_groups:
                raise FairauditError(
                    f"attribute '{name}' has {size} values in {where}; more than {inputs.max_groups} groups is "
                    f"usually an identifier: bin it (--bins {name}=…) or allow it with --max-groups {size}."
                )
        size = len(cube.labels[cube.axis("y_true")])
        if size > MAX_CLASSES:
            raise FairauditError(
                f"the labels have {size} different values in {where}; fairaudit audits classifiers, not regression."
            )


def columns_of(data: Any) -> Iterable[str]:
    """The column names of predictions, without reading the rows."""
    with duckdb.connect() as con:
        return list(open_source(data, con).columns)
