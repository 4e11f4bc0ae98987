"""The only reader of rows: one scan turns predictions into a `Tally`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

from fairaudit.columns import Inputs, Roles, resolve, to_look_at
from fairaudit.errors import FairauditError
from fairaudit.reading.cells import cubes
from fairaudit.reading.engine import Duck, Engine, duck
from fairaudit.reading.query import Query, build, left_out
from fairaudit.reading.source import Source, join
from fairaudit.tallies.tally import Tally, rows_in

MAX_CLASSES = 20_000
#: So many rows are looked at before the scan, to refuse identifiers and measurements before they are counted.
GLANCE = 50_000


def tabulate(data: Any, inputs: Inputs) -> Tally:
    """Read the rows once and count.

    `data`: a path, glob, folder, list of paths, `-` (standard input), or a dataframe (pandas, polars, pyarrow, DuckDB,
    Dask, Spark), or name -> array; or what is counted already: a tally, its file, or several (they are added).
    Raises FairauditError, one sentence, for anything in the data or the inputs that has no meaning.
    """
    from fairaudit.tallies.inputs import counted, is_counted

    if is_counted(data):
        return counted(data, inputs)
    data = unwrapped(data)
    if not isinstance(data, str | Path | list | tuple) and not on_spark(data, inputs):
        from fairaudit.reading.counting import counted_in_memory

        if (tally := counted_in_memory(data, inputs)) is not None:
            return tally
    if type(data).__module__.startswith("dask.") and inputs.with_file is None:
        from fairaudit.reading.partitions import counted_by_dask

        return counted_by_dask(data, inputs)
    with reading(data, inputs) as source:
        return scan(source, resolved_roles(source, inputs), inputs)[0]


@contextmanager
def reading(data: Any, inputs: Inputs) -> Iterator[Source]:
    """The relation of `data` in the engine that suits it, open as long as the context is."""
    data = unwrapped(data)
    if on_spark(data, inputs):
        from fairaudit.reading.spark import spark

        with spark(inputs, data) as cluster:
            yield opened(data, inputs, cluster)
        return
    if type(data).__name__ == "DuckDBPyRelation":
        from fairaudit.reading.relations import at_home, open_relation

        if at_home(data, inputs):
            yield open_relation(data)
            return
    with duck(inputs) as engine:
        yield opened(data, inputs, engine)


def unwrapped(data: Any) -> Any:
    """The frame inside a frame of narwhals, anything else as it is."""
    return data.to_native() if type(data).__module__.startswith("narwhals.") else data


def on_spark(data: Any, inputs: Inputs) -> bool:
    """Whether Spark counts: it is asked to, or it holds the dataframe."""
    held = type(data).__module__.startswith("pyspark.")
    if held and inputs.engine not in (None, "spark"):
        raise FairauditError(
            f"Spark counts what is in its dataframes, not {inputs.engine}; leave the engine out."
        )
    return held or inputs.engine == "spark"


def opened(data: Any, inputs: Inputs, engine: Engine, view: str = "preds") -> Source:
    """The relation of `data`, with the columns of `--with` beside it where asked."""
    source = _open(data, engine, view, inputs)
    if inputs.with_file is None or inputs.on is None:
        return source
    other = _open(inputs.with_file, engine, view + "_labels", inputs)
    with source.speaking():
        return join(source, other, inputs.on)


def _open(data: Any, engine: Engine, view: str, inputs: Inputs) -> Source:
    if not isinstance(engine, Duck):
        from fairaudit.reading.spark_files import open_spark

        return open_spark(unwrapped(data), engine)
    if isinstance(data, str | Path):
        data = [data]
    if isinstance(data, list | tuple) and data and all(isinstance(p, str | Path) for p in data):
        from fairaudit.reading.files import open_files

        return open_files([str(p) for p in data], engine)
    from fairaudit.reading.frames import open_frame

    return open_frame(unwrapped(data), engine, view, inputs)


def resolved_roles(source: Source, inputs: Inputs) -> Roles:
    """The roles of a source's columns."""
    with source.speaking():
        roles = resolve(inputs, list(source.columns), _fits(source, inputs), source.where)
    for column in (*roles.columns().values(), *roles.sensitive):
        if column in source.doubled:
            raise FairauditError(
                f"column '{column}' is in both files of {source.where}; rename or remove it in one, so that it is "
                "clear which one is meant."
            )
    return roles


def scan(source: Source, roles: Roles, inputs: Inputs) -> tuple[Tally, Query]:
    """Count the rows of the asked split, in one query."""
    with source.speaking():
        glance(source, roles, inputs)
        query = build(source, roles, inputs, attribute_sets(roles.sensitive, inputs))
        tally = counted_by(query, source, roles, inputs)
        check_rows(tally, source, roles)
    check_widths(tally, inputs, source.where)
    return tally, query


def counted_by(query: Query, source: Source, roles: Roles, inputs: Inputs) -> Tally:
    """The tally of a query's cells, whatever is in it."""
    found, lost = cubes(query, source.engine.columns(query.sql), roles, inputs)
    labels = {s.attributes: cube for s, cube in found.items() if s.kind == "labels"}
    scores = {s.attributes: cube for s, cube in found.items() if s.kind == "scores"}
    counted, scored = (sum(map(rows_in, cubes_.values())) for cubes_ in (labels, scores))
    if scores and scored < counted:
        lost["unscored"] = (counted - scored) // len(labels)  # each table is of the same rows
    return Tally(labels, scores, query.description, {"dropped": 0, **source.left_out, **lost})


def attribute_sets(sensitive: Sequence[str], inputs: Inputs) -> tuple[tuple[str, ...], ...]:
    """Each attribute alone, then every intersection of 2 … `cross` of them; `((),)` where there is none.

    `inputs.sets` overrules both.
    """
    if inputs.sets:
        return inputs.sets
    sets = [c for size in range(1, inputs.cross + 1) for c in combinations(sensitive, size)]
    return tuple(sets) or ((),)


def _fits(source: Source, inputs: Inputs) -> dict[str, set[str]]:
    """For columns whose role must be found by name and values: the roles that their values would fit."""
    names = to_look_at(inputs, list(source.columns))
    return fits(names, look(source, names)) if names else {}


def look(source: Source, names: Sequence[str]) -> tuple[Any, ...]:
    """What every row of some columns meets: True, False, or None where no row has a value; four tests a column."""
    d = source.engine.dialect
    tests = []
    for name in names:
        raw = d.quote(name)
        x, hard = d.number(raw), f"{d.number(raw)} IN (0, 1)"
        marks = f"lower({d.text(raw)}) IN ('0', '1', '0.0', '1.0', 'true', 'false')"
        real = source.columns[name] in ("DOUBLE", "FLOAT")  # their text is dear, and says the same
        tests += [hard, f"{x} BETWEEN 0 AND 1", f"{x} >= 0", hard if real else marks]
    return source.rows(f"SELECT {', '.join(f'bool_and({t})' for t in tests)} FROM {source.sql}")[0]


def fits(names: Sequence[str], looks: Sequence[Any]) -> dict[str, set[str]]:
    """The roles that the values of columns fit, from a look at them.

    A score of only 0 and 1 is a prediction (`hard`, as in COMPAS files); outside [0, 1] it is something else.
    """
    kinds = ("hard", "y_score", "loss", "member")
    return {
        name: {kind for kind, fit in zip(kinds, looks[4 * i :], strict=False) if fit}
        for i, name in enumerate(names)
    }


def selected(source: Source, roles: Roles) -> Source:
    """The rows that count: of the asked split, with a weight. Those left out are counted in `left_out`."""
    why = left_out(roles, source.engine.dialect)
    if why is None:
        total = source.rows(f"SELECT count(*) FROM {source.sql}")[0][0]
        if not total:
            _nothing(source, roles, {})
        return source
    counts = {k: int(n) for k, n in source.rows(f"SELECT {why}, count(*) FROM {source.sql} GROUP BY 1")}
    kept = counts.pop(None, 0)
    if not kept:
        _nothing(source, roles, counts)
    return replace(
        source,
        sql=f"(SELECT * FROM {source.sql} kept WHERE {why} IS NULL)",
        left_out={**source.left_out, **counts},
    )


def check_rows(tally: Tally, source: Source, roles: Roles) -> None:
    """Refuse a tally that counts no row of a source, and knows of none without a label."""
    if not tally.rows and not tally.left_out.get("dropped"):
        _nothing(source, roles, tally.left_out)


def _nothing(source: Source, roles: Roles, lost: Mapping[str, int]) -> None:
    """Raise the sentence that says why no row is counted."""
    if lost.get("zero_weight"):
        raise FairauditError(f"every weight in column '{roles.weights}' is 0; there is nothing to audit.")
    if lost.get("split") and roles.split is not None:
        column, value = roles.split
        d = source.engine.dialect
        found = source.rows(
            f"SELECT DISTINCT {d.text(d.quote(column))} AS v FROM {source.sql} ORDER BY v LIMIT 8"
        )
        values = ", ".join(str(v) for (v,) in found)
        raise FairauditError(
            f"column '{column}' has no rows '{value}' (values: {values}); choose with --split VALUE, "
            "or --split all for every row."
        )
    raise FairauditError(f"{source.where} has a header but no rows; there is nothing to audit.")


def glance(source: Source, roles: Roles, inputs: Inputs, whole: bool = True) -> None:
    """Refuse attributes and labels with too many values while that is cheap: millions of cells are not.

    `whole`: all rows are in the source, so that it can tell how many values there are.
    """
    names = [s for s in roles.sensitive if s not in inputs.bins]
    columns = [*names, roles.y_true]
    d = source.engine.dialect
    counts = ", ".join(["count(*)", *(f"count(DISTINCT {d.quote(c)})" for c in columns)])
    why = left_out(roles, d)
    counted = f" rows WHERE {why} IS NULL" if why else ""
    few = f"(SELECT {', '.join(dict.fromkeys(map(d.quote, columns)))} FROM {source.sql}{counted} LIMIT {GLANCE}) few"
    rows, *groups, classes = source.rows(f"SELECT {counts} FROM {few}")[0]
    for name, n in zip(names, groups, strict=True):
        if n > inputs.max_groups:
            size = str(n) if whole and rows < GLANCE else f"more than {inputs.max_groups}"
            raise _too_wide(name, size, inputs, source.where)
    if classes > MAX_CLASSES:
        raise _too_many(source.where)


def check_widths(tally: Tally, inputs: Inputs, where: str) -> None:
    """Refuse attributes and labels with too many values."""
    if (said := too_wide(tally, inputs, where)) is not None:
        raise said


def too_wide(tally: Tally, inputs: Inputs, where: str) -> FairauditError | None:
    """What is to be said of the first attribute or label with too many values; None where all have few enough."""
    for attributes, cube in tally.labels.items():
        for name in attributes:
            size = len(cube.labels[cube.axis(name)])
            if size > inputs.max_groups:
                return _too_wide(name, str(size), inputs, where)
        if len(cube.labels[cube.axis("y_true")]) > MAX_CLASSES:
            return _too_many(where)
    return None


def _too_wide(name: str, size: str, inputs: Inputs, where: str) -> FairauditError:
    allowed = size if size.isdigit() else "N"
    return FairauditError(
        f"attribute '{name}' has {size} values in {where}; more than {inputs.max_groups} groups is usually an "
        f"identifier: bin it (--bins {name}=…) or allow it with --max-groups {allowed}."
    )


def _too_many(where: str) -> FairauditError:
    return FairauditError(
        f"the labels have more than {MAX_CLASSES} different values in {where}; fairaudit audits classifiers, "
        "not regression."
    )
