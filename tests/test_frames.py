"""Whatever library holds the columns, the counts are those of a loop over the rows; nothing else is touched."""

from __future__ import annotations

import datetime as dt
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import dask.dataframe as dd
import duckdb
import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from cases import binary
from hypothesis import given, settings
from hypothesis import strategies as st

import fairaudit
from fairaudit.columns import Inputs, candidates, resolve, to_look_at
from fairaudit.errors import FairauditError
from fairaudit.reading.counting import counted_in_memory
from fairaudit.reading.table import reading, resolved_roles, scan, tabulate, unwrapped
from fairaudit.tallies.file import fingerprint
from fairaudit.tallies.tally import Tally

Rows = Mapping[str, Sequence[Any]]
FRAME = binary()
LENIENT = Inputs(y_true="label", y_pred="pred", sensitive=("group",), missing_labels="drop")
VALUES: dict[str, Sequence[Any]] = {
    "text": ["a", "b", " a", "é", "", "10", "(missing)"],
    "integers": [0, 1, -1, 7, 5000, 2**40, -(2**62)],
    "booleans": [True, False],
    "reals": [0.0, -0.0, 1.0, 0.1, 2.5, -3.0, float("nan"), 1e300],
    "dates": [dt.date(2020, 2, 29), dt.date(1969, 12, 31)],
    "decimals": [Decimal("1.50"), Decimal("1.00"), Decimal("-0.25")],
}


def text(value: Any) -> str | None:
    """The label text of DESIGN §3, said once more and plainly."""
    if value is None or value == "" or value != value:
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value == int(value) and abs(value) < 2**63:
        return str(int(value))
    if isinstance(value, Decimal):
        return f"{float(value):g}"
    return str(value)


def looped(rows: Rows) -> tuple[Counter[tuple[str, ...]], int]:
    """The cells, and how many rows have no label or prediction."""
    cells: Counter[tuple[str, ...]] = Counter()
    lost = 0
    for group, label, pred in zip(*(map(text, rows[c]) for c in ("group", "label", "pred")), strict=True):
        if label is None or pred is None:
            lost += 1
        else:
            cells["(missing)" if group is None else group, label, pred] += 1
    return cells, lost


def cells_of(tally: Tally) -> tuple[Counter[tuple[str, ...]], int]:
    """The same of a tally."""
    cube = tally.labels[("group",)]
    names = [tuple(cube.labels[a][c] for a, c in enumerate(codes)) for codes in cube.codes.tolist()]
    assert all(
        set(used) == set(labels) for used, labels in zip(zip(*names, strict=True), cube.labels, strict=True)
    )
    return Counter(dict(zip(names, cube.measures["count"].tolist(), strict=True))), tally.left_out["dropped"]


@st.composite
def tables(draw: st.DrawFn, kinds: Sequence[str] = tuple(VALUES)) -> dict[str, list[Any]]:
    """Columns of one kind each, with missing values; at least one row is whole."""
    size = draw(st.integers(1, 12))
    rows = {}
    for column in ("label", "pred", "group"):
        values = VALUES[draw(st.sampled_from(kinds))]
        drawn = st.lists(st.sampled_from([*values, None]), min_size=size, max_size=size)
        rows[column] = [values[0], *draw(drawn)]
    return rows


def in_arrow(rows: Rows) -> pa.Table:
    """Arrow's own types; decimals need one scale."""
    return pa.table({c: pa.array(v) for c, v in rows.items()})


def categorical(rows: Rows) -> pd.DataFrame:
    """Categories, also one that no row has."""
    frame = pd.DataFrame({c: pd.Categorical(v) for c, v in rows.items()})
    kinds = {c: type(frame[c].cat.categories[0]) for c in frame}
    more = {c: [k("unused")] for c, k in kinds.items() if k is str}
    return frame.assign(**{c: frame[c].cat.add_categories(v) for c, v in more.items()})


def nullable(rows: Rows) -> pd.DataFrame:
    """The types of pandas that know missing values."""
    return pd.DataFrame({c: pd.Series(v, dtype=object) for c, v in rows.items()}).convert_dtypes()


def coded(frame: pl.DataFrame) -> pl.DataFrame:
    """Text as polars' categories, and in the attribute as an Enum."""
    known = {c: frame[c].drop_nulls().unique().to_list() for c, t in frame.schema.items() if t == pl.String}
    kinds = {c: pl.Enum([*v, "unused"]) if c == "group" else pl.Categorical for c, v in known.items()}
    return frame.with_columns(pl.col(c).cast(k) for c, k in kinds.items())


HELD: dict[str, Callable[[Rows], Any]] = {
    "lists": dict,
    "objects": lambda r: pd.DataFrame(r, dtype=object),
    "pandas": lambda r: pd.DataFrame({c: pd.Series(list(v)) for c, v in r.items()}),
    "pandas categories": categorical,
    "pandas nullable": nullable,
    "pandas arrow": lambda r: in_arrow(r).to_pandas(types_mapper=pd.ArrowDtype),
    "polars": lambda r: pl.from_arrow(in_arrow(r)),
    "polars categories": lambda r: coded(pl.from_arrow(in_arrow(r))),  # type: ignore[arg-type]
    "pyarrow": in_arrow,
    "pyarrow dictionaries": lambda r: pa.table({c: v.dictionary_encode() for c, v in _named(in_arrow(r))}),
    "pyarrow chunks": lambda r: pa.concat_tables([in_arrow(r)[:1], in_arrow(r)[1:]]),
    "dictionaries of chunks": lambda r: pa.concat_tables(
        [pa.table({c: v.dictionary_encode() for c, v in _named(t)}) for t in (in_arrow(r)[:3], in_arrow(r)[3:])]
    ),
    "narwhals": lambda r: nw.from_native(pl.from_arrow(in_arrow(r))),
}  # fmt: skip
LAZY: dict[str, Callable[[Rows], Any]] = {
    "polars lazy": lambda r: pl.from_arrow(in_arrow(r)).lazy(),
    "polars lazy categories": lambda r: coded(pl.from_arrow(in_arrow(r))).lazy(),  # type: ignore[arg-type]
    "narwhals lazy": lambda r: nw.from_native(pl.from_arrow(in_arrow(r)).lazy()),
    "dataset": lambda r: ds.dataset(in_arrow(r)),
    "reader": lambda r: in_arrow(r).to_reader(2),
    "duckdb": lambda r: duckdb.from_arrow(in_arrow(r)),
}


def _named(table: pa.Table) -> list[tuple[str, pa.ChunkedArray]]:
    return list(zip(table.column_names, table.columns, strict=True))


@pytest.mark.parametrize("name", [*HELD, *LAZY])
@settings(max_examples=6, deadline=None)
@given(rows=tables())
def test_counts_are_those_of_a_loop(name: str, rows: Rows) -> None:
    assert cells_of(tabulate((HELD | LAZY)[name](rows), LENIENT)) == looped(rows)


def scanned(data: Any, inputs: Inputs) -> Tally:
    """The tally that SQL counts."""
    with reading(data, inputs) as source:
        return scan(source, resolved_roles(source, inputs), inputs)[0]


@pytest.mark.parametrize("name", HELD)
@settings(max_examples=6, deadline=None)
@given(rows=tables(("text", "integers", "booleans", "reals")))
def test_counting_without_sql_gives_the_same_tally(name: str, rows: Rows) -> None:
    data = HELD[name](rows)
    direct = counted_in_memory(unwrapped(data), LENIENT)
    assert direct is not None
    by_sql = scanned(data, LENIENT)
    assert fingerprint(direct) == fingerprint(by_sql)
    assert direct.description == by_sql.description


def test_counting_without_sql_in_slices_crosses_and_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fairaudit.reading.counting._ROWS", 7)
    sets = Inputs(sets=(("race", "sex"), ("sex",)), sensitive=("sex", "race"))
    for inputs in (Inputs(cross=2), sets, Inputs(na=("M",))):
        direct = counted_in_memory(FRAME, inputs)
        assert direct is not None
        assert fingerprint(direct) == fingerprint(scanned(FRAME, inputs))


def test_many_cells_are_sorted_not_laid_out() -> None:
    rng = np.random.default_rng(0)
    data = {c: rng.integers(0, 900, 3000) for c in ("label", "pred", "group")}
    inputs = Inputs(sensitive=("group",))
    direct = counted_in_memory(unwrapped(data), inputs)
    assert direct is not None
    assert fingerprint(direct) == fingerprint(scanned(data, inputs))


@pytest.mark.parametrize(
    "inputs",
    [
        Inputs(weights="w"), Inputs(cluster="id"), Inputs(split="part=a"),
        Inputs(bins={"age": (30,)}, sensitive=("age",)), Inputs(y_score="w"),
        Inputs(sensitive=("id",), max_groups=10), Inputs(sensitive=("when",)),
    ],
)  # fmt: skip
def test_what_is_not_plain_is_left_to_the_scan(inputs: Inputs) -> None:
    more = {"w": 0.5, "part": "a", "age": 30, "when": dt.date(2020, 1, 1)}
    assert counted_in_memory(FRAME.assign(**more), inputs) is None


def test_mixed_objects_are_told_apart() -> None:
    values = [1, True, 1.0, "1", "true", 2.5, "x", None] * 2
    tally = tabulate({"label": ["a"] * 16, "pred": ["a"] * 16, "group": values}, Inputs(sensitive=("group",)))
    assert tally.labels[("group",)].labels[0] == ("1", "2.5", "true", "x", "(missing)")
    assert sorted(tally.labels[("group",)].measures["count"].tolist()) == [2, 2, 2, 4, 6]


def test_intervals_and_periods_are_groups() -> None:
    n = len(FRAME)
    ages = pd.cut(np.arange(n) % 60, [0, 20, 60], right=False)
    frame = FRAME.assign(age=ages, month=pd.Period("2020-01"))
    found = fairaudit.audit(frame, sensitive=["age", "month"]).groups
    assert [g["group"] for g in found] == ["[0, 20)", "[20, 60)", "2020-01"]


# --- only what is needed -------------------------------------------------------------------------------------------


class Untouchable:
    """An object that nobody may look into."""

    def __str__(self) -> str:
        raise AssertionError("touched")

    __repr__ = __str__


def untouched(_: object) -> pl.Series:
    """A computation that nobody may start."""
    raise AssertionError("touched")


NEVER = pl.col("id").map_batches(untouched, return_dtype=pl.Int64)
SPARE: dict[str, Callable[[], Any]] = {
    "pandas": lambda: FRAME.assign(photo=[Untouchable()] * len(FRAME)),
    "nested": lambda: pl.from_pandas(FRAME).with_columns(photo=pl.lit([[1, 2]]), at=pl.struct("sex", "race")),
    "polars lazy": lambda: pl.from_pandas(FRAME).lazy().with_columns(photo=NEVER),
    "duckdb": lambda: duckdb.from_arrow(pa.Table.from_pandas(FRAME)).select("*, error('touched') AS photo"),
    "named label": lambda: FRAME.rename(columns={"label": "truth"}).assign(label=[Untouchable()] * len(FRAME)),
}  # fmt: skip


@pytest.mark.parametrize("name", SPARE)
def test_columns_without_a_role_are_left_alone(name: str) -> None:
    label = "truth" if name == "named label" else "label"
    found = fairaudit.audit(SPARE[name](), y_true=label, sensitive=["sex", "race"])
    wanted = fairaudit.audit(FRAME.rename(columns={"label": label}), y_true=label, sensitive=["sex", "race"])
    assert found.content() == wanted.content()


NAMES = (
    "y_true",
    "label",
    "pred",
    "y_hat",
    "score",
    "loss",
    "member",
    "split",
    "sex",
    "Group",
    "prob_a",
    "prob_b",
    "x",
    "z",
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(NAMES), unique=True), st.data())
def test_candidates_hold_every_role(columns: list[str], data: st.DataObject) -> None:
    asked = {
        r: data.draw(st.sampled_from([None, *columns]))
        for r in ("y_true", "y_pred", "y_score", "weights", "id")
    }
    fits = {c: data.draw(st.sets(st.sampled_from(["hard", "y_score", "loss", "member"]))) for c in NAMES}
    inputs = Inputs(**asked, sensitive=tuple(data.draw(st.sets(st.sampled_from(columns))) if columns else ()))
    kept = candidates(inputs, columns)
    assert {*to_look_at(inputs, columns)} <= {*kept}
    try:
        roles = resolve(inputs, columns, fits, "here")
    except FairauditError:
        return
    assert {*roles.read} <= {*kept}


# --- lazy frames ---------------------------------------------------------------------------------------------------

EXPECTED = fairaudit.audit(FRAME, sensitive=["sex", "race"]).content()


def test_a_lazy_frame_is_never_collected(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pl.from_pandas(FRAME).lazy()
    if not hasattr(frame, "collect_batches"):
        pytest.skip("polars before 1.34 has no batches")
    monkeypatch.setattr(pl.LazyFrame, "collect", untouched)
    assert fairaudit.audit(frame, sensitive=["sex", "race"]).content() == EXPECTED


def test_a_relation_leaves_its_connection_as_it_was() -> None:
    with duckdb.connect() as con:
        con.register("mine", FRAME)
        relation = con.sql("SELECT * FROM mine")
        listed = "SELECT view_name FROM duckdb_views() UNION ALL SELECT table_name FROM duckdb_tables()"
        before = con.execute(listed).fetchall()
        for _ in range(2):
            assert fairaudit.audit(relation, sensitive=["sex", "race"]).content() == EXPECTED
        con.execute("BEGIN")
        with pytest.raises(FairauditError, match="has a missing value"):
            fairaudit.audit(relation, sensitive=["sex"], weights="race")
        con.execute("COMMIT")  # which an aborted transaction refuses
        assert con.execute(listed).fetchall() == before
        assert len(relation.fetchall()) == len(FRAME)


def test_a_relation_is_counted_within_limits() -> None:
    found = fairaudit.audit(
        duckdb.from_arrow(pa.Table.from_pandas(FRAME)), sensitive=["sex", "race"], threads=1
    )
    assert found.content() == EXPECTED


def test_rows_are_matched_between_lazy_frames() -> None:
    after = FRAME.assign(pred=1 - FRAME["pred"])
    found = fairaudit.compare(
        pl.from_pandas(FRAME).lazy(), dd.from_pandas(after, npartitions=2), sensitive=["sex"]
    )
    assert found.content() == fairaudit.compare(FRAME, after, sensitive=["sex"]).content()


# --- Dask ----------------------------------------------------------------------------------------------------------

DRAWN = np.random.default_rng(0)
WIDE = FRAME.assign(
    split=["train"] * 150 + ["test"] * (len(FRAME) - 150), w=DRAWN.random(len(FRAME)) + 0.1,
    proba=DRAWN.random(len(FRAME)), loss=DRAWN.random(len(FRAME)), race=FRAME["race"].astype("category"),
)  # fmt: skip
ASKED: list[dict[str, Any]] = [
    {"sensitive": ["sex", "race"]},
    {"sensitive": ["sex", "race"], "cross": 2, "split": "all"},
    {"sensitive": ["sex"], "weights": "w", "cluster": "id", "y_pred": "pred"},
    {"sensitive": ["sex"], "y_score": "proba", "split": "all"},
    {"bins": {"w": (0.5, 0.8)}, "sensitive": ["w"]},
]


@pytest.mark.parametrize("asked", ASKED, ids=[",".join(a) for a in ASKED])
def test_dask(asked: dict[str, Any]) -> None:
    data = dd.from_pandas(WIDE, npartitions=5)
    assert fairaudit.audit(data, **asked).content() == fairaudit.audit(WIDE, **asked).content()


def test_dask_with_empty_partitions_and_a_prediction_called_score() -> None:
    frame = FRAME.rename(columns={"pred": "score"})
    data = dd.from_pandas(frame, npartitions=3)
    data = dd.concat([data[data["label"] < 0], data])
    assert fairaudit.audit(data).content() == fairaudit.audit(frame).content()


MISSING = WIDE.assign(label=WIDE["label"].astype("Int64").mask(WIDE.index.isin([160, 170])))


@pytest.mark.parametrize(
    ("frame", "asked"),
    [
        (MISSING, {"sensitive": ["sex"]}),
        (WIDE, {"split": "validation"}),
        (WIDE[:0], {}),
        (WIDE, {"sensitive": ["sexx"]}),
        (WIDE.assign(proba=7.0), {"y_score": "proba"}),
        (WIDE, {"weights": "sex", "sensitive": ["race"]}),
    ],
)
def test_dask_fails_with_the_same_sentence(frame: pd.DataFrame, asked: dict[str, Any]) -> None:
    with pytest.raises(FairauditError) as here:
        fairaudit.audit(frame, **asked)
    with pytest.raises(FairauditError) as there:
        fairaudit.audit(dd.from_pandas(frame, npartitions=4), **asked)
    assert str(there.value) == str(here.value)


def test_dask_fails_in_its_own_graph_with_one_sentence() -> None:
    def boom(part: pd.DataFrame) -> pd.DataFrame:
        raise ValueError("boom")

    data = dd.from_pandas(FRAME, npartitions=2).map_partitions(boom, meta=FRAME[:0])
    with pytest.raises(FairauditError, match="the dataframe cannot be computed: boom"):
        fairaudit.audit(data, sensitive=["sex"])


def test_dask_refuses_identifiers() -> None:
    with pytest.raises(FairauditError, match="'id' has more than 20 values"):
        fairaudit.audit(dd.from_pandas(FRAME, npartitions=2), sensitive=["id"], max_groups=20)


# --- names, arrays, bad input --------------------------------------------------------------------------------------


def test_names_that_are_no_text() -> None:
    frame = FRAME.rename(columns={"label": 0, "pred": 1, "sex": 2})
    wanted = FRAME.rename(columns={"label": "0", "pred": "1", "sex": "2"})
    asked = {"y_true": "0", "y_pred": "1", "sensitive": ["2"]}
    assert fairaudit.audit(frame, **asked).content() == fairaudit.audit(wanted, **asked).content()
    indexed = FRAME.set_index(["id", "race"])
    assert fairaudit.audit(indexed).content() == fairaudit.audit(FRAME[["label", "pred", "sex"]]).content()


def test_arrays_of_any_kind_are_one_column_each() -> None:
    label, pred, sex = (FRAME[c] for c in ("label", "pred", "sex"))
    wanted = fairaudit.audit(
        y_true=label.tolist(), y_pred=pred.tolist(), sensitive={"sex": sex.tolist()}
    ).content()
    makers: list[Callable[[pd.Series], Any]] = [
        pd.Series.to_numpy, pd.Series.tolist, pl.from_pandas, pa.array, lambda s: s.set_axis(range(len(s), 0, -1)),
        lambda s: s.astype("category"), tuple, lambda s: iter(s.tolist()), deque, np.ma.array,
    ]  # fmt: skip
    for make in makers:
        found = fairaudit.audit(y_true=make(label), y_pred=make(pred), sensitive={"sex": make(sex)})
        assert found.content() == wanted
    assert fairaudit.audit(y_true=label, y_pred=pred, sensitive=FRAME[["sex"]]).content() == wanted
    assert (
        fairaudit.audit(y_true=label, y_pred=pred, sensitive=pl.from_pandas(FRAME[["sex"]])).content()
        == wanted
    )


BAD: dict[str, tuple[Callable[[], Any], str]] = {
    "number": (lambda: 3, "must be a file or a dataframe .*, not int"),
    "array": (lambda: np.zeros((3, 2)), "not ndarray"),
    "series": (lambda: pd.Series([1]), "not Series"),
    "polars series": (lambda: pl.Series([1]), "not Series"),
    "lengths": (lambda: {"label": [1], "pred": [1, 0]}, "must have one length, not: label 1, pred 2"),
    "text": (lambda: {"label": "101", "pred": [1, 0, 1]}, "column 'label' must be an array"),
    "matrix": (lambda: {"label": np.zeros((2, 2)), "pred": [1, 0]}, "column 'label' must be an array"),
    "nothing": (pd.DataFrame, "no label column found in the dataframe"),
    "no rows": (lambda: FRAME[:0], "no rows; there is nothing to audit"),
    "no lazy rows": (lambda: pl.from_pandas(FRAME[:0]).lazy(), "no rows; there is nothing to audit"),
    "twice": (lambda: FRAME.set_axis(["id", "label", "pred", "pred", "race"], axis=1), "two columns named 'pred'"),
    "case": (lambda: pl.DataFrame({"label": [1], "Label": [1]}), "differ only in case"),
    "lists": (lambda: FRAME.assign(label=[[1]] * len(FRAME)), "a label or group is one value, not \\[1\\]"),
    "surrogate": (lambda: pd.DataFrame({"label": ["\ud800"], "pred": ["a"]}, dtype=object), "'label' holds text that"),
    "no file": (lambda: pl.scan_parquet("/nowhere.parquet"), "the dataframe cannot be computed: No such file"),
    "conversion": (
        lambda: pl.LazyFrame({"label": [1], "pred": ["a"]}).with_columns(pl.col("pred").cast(int)),
        "the dataframe cannot be read as a table: conversion from `str`",
    ),
    "relation": (lambda: duckdb.sql("SELECT 1 AS label, error('boom') AS pred"), "read as a table: boom"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name: str) -> None:
    make, sentence = BAD[name]
    with pytest.raises(FairauditError, match=sentence):
        fairaudit.audit(make())
