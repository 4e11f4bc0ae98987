"""The only reader of rows: one scan turns predictions into a `Tally`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import duckdb

from fairaudit.columns import KNOWN, Inputs, Roles, resolve
from fairaudit.cube import FIXED, Cube, cube_of
from fairaudit.errors import FairauditError
from fairaudit.labels import MISSING, text_of
from fairaudit.query import SEPARATOR, GroupingSet, Query, build
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
        roles = resolve(inputs, list(source.columns), _fits(source), source.where)
    for column in (*roles.columns().values(), *roles.sensitive):
        if column in source.doubled:
            raise FairauditError(
                f"column '{column}' is in both files of {source.where}; rename or remove it in one, so that it is "
                "clear which one is meant."
            )
    return roles


def scan(source: Source, roles: Roles, inputs: Inputs) -> tuple[Tally, Query]:
    """Count the rows of the asked split, in one query."""
    with speaking(source):
        source = selected(source, roles)
        query = build(source, roles, inputs, attribute_sets(roles.sensitive, inputs))
        rows = source.con.execute(query.sql).fetchall()
    return _tally(query, rows, roles, inputs, source), query


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


def attribute_sets(sensitive: Sequence[str], inputs: Inputs) -> tuple[tuple[str, ...], ...]:
    """Each attribute alone, then every intersection of 2 … `cross` of them; `((),)` where there is none.

    `inputs.sets` overrules both.
    """
    if inputs.sets:
        return inputs.sets
    sets = [c for size in range(1, inputs.cross + 1) for c in combinations(sensitive, size)]
    return tuple(sets) or ((),)


def _fits(source: Source) -> dict[str, set[str]]:
    """For columns named like a score, a loss or a member mark: the roles that their values would fit.

    A score of only 0 and 1 is a prediction (`hard`, as in COMPAS files); outside [0, 1] it is something else.
    """
    fits: dict[str, set[str]] = {}
    for name in source.columns:
        if name.lower() not in (*KNOWN["y_score"], *KNOWN["loss"], *KNOWN["member"]):
            continue
        raw = quote(name)
        x = f"TRY_CAST({raw} AS DOUBLE)"
        marks = "('0', '1', '0.0', '1.0', 'true', 'false')"
        row = source.con.execute(
            f"SELECT bool_and({x} IN (0, 1)), bool_and({x} BETWEEN 0 AND 1), bool_and({x} >= 0), "
            f"bool_and(lower(CAST({raw} AS VARCHAR)) IN {marks}) FROM {source.sql} WHERE {raw} IS NOT NULL"
        ).fetchall()[0]
        fits[name] = {
            role for role, fit in zip(("hard", "y_score", "loss", "member"), row, strict=True) if fit
        }
    return fits


def selected(source: Source, roles: Roles) -> Source:
    """The rows to count: of the asked split, with a weight. Those left out are counted in `left_out`."""
    total = source.count()
    if total == 0:
        raise FairauditError(f"{source.where} has a header but no rows; there is nothing to audit.")
    left_out = dict(source.left_out)
    if roles.split is not None:
        source = _of_split(source, *roles.split)
        left_out["split"] = total - source.count()
    if roles.weights is not None:
        x = f"TRY_CAST({quote(roles.weights)} AS DOUBLE)"
        before = source.count()
        source = replace(source, sql=f"(SELECT * FROM {source.sql} WHERE {x} IS DISTINCT FROM 0)")
        left_out["zero_weight"] = before - source.count()
        if left_out["zero_weight"] == before:
            raise FairauditError(f"every weight in column '{roles.weights}' is 0; there is nothing to audit.")
    return replace(source, left_out=left_out)


def _of_split(source: Source, column: str, value: str) -> Source:
    text = f"CAST({quote(column)} AS VARCHAR)"
    counts = dict(source.con.execute(f"SELECT {text}, count(*) FROM {source.sql} GROUP BY 1").fetchall())
    if value not in counts:
        values = ", ".join(sorted(str(v) for v in counts)[:8])
        raise FairauditError(
            f"column '{column}' has no rows '{value}' (values: {values}); choose with --split VALUE, "
            "or --split all for every row."
        )
    return replace(source, sql=f"(SELECT * FROM {source.sql} WHERE {text} = {literal(value)})")


def _explained(error: duckdb.Error, source: Source) -> FairauditError:
    """Our own checks inside the query speak as `fairaudit`, rule, column, value; the rest is DuckDB's."""
    marked = str(error).partition(f"fairaudit{SEPARATOR}")[2]
    if not marked:
        return translated(error, source.where)
    rule, column, value = marked.split("\n")[0].split(SEPARATOR, 2)
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


def _tally(query: Query, rows: list[tuple[Any, ...]], roles: Roles, inputs: Inputs, source: Source) -> Tally:
    cells: dict[GroupingSet, list[tuple[Any, ...]]] = {s: [] for s in query.sets}
    memo: dict[Any, str | None] = {}
    for row in rows:
        cells[query.by_mask[row[0]]].append(row)
    cubes = {s: _cube(query, s, mine, memo, inputs, roles) for s, mine in cells.items()}
    labels = {s.attributes: cube for s, (cube, _) in cubes.items() if s.kind == "labels"}
    scores = {s.attributes: cube for s, (cube, _) in cubes.items() if s.kind == "scores"}
    _check_widths(labels, inputs, source.where)
    dropped = max(lost for s, (_, lost) in cubes.items() if s.kind == "labels")
    return Tally(labels, scores, query.description, {**source.left_out, "dropped": dropped})


def _cube(
    query: Query,
    grouping: GroupingSet,
    rows: list[tuple[Any, ...]],
    memo: dict[Any, str | None],
    inputs: Inputs,
    roles: Roles,
) -> tuple[Cube, int]:
    """The cube of one grouping set: values become labels; rows without a label are refused or dropped."""
    columns: list[list[str]] = []
    na = set(inputs.na)
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
    try:
        if key not in memo:
            memo[key] = text_of(value)
    except TypeError as error:
        raise FairauditError(f"a label or group is one value, not {value!r}; make it plain.") from error
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
