"""A tally's file: the same counts, the same bytes; anything else is refused in one sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import strategies
from cases import binary
from hypothesis import HealthCheck, given, settings
from test_merge_property import scan
from test_tally import anything

import fairaudit
from fairaudit import Inputs, Tally
from fairaudit.cube import FIXED, Cube, split
from fairaudit.errors import FairauditError
from fairaudit.tallies.file import KEY, fingerprint

RANDOM_TABLES = settings(derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))


def cells(tally: Tally) -> dict[Any, Any]:
    """Every cube as plain values."""
    return {
        (kind, a): (c.axes, c.labels, c.codes.tolist(), {m: v.tolist() for m, v in c.measures.items()})
        for kind, group in (("labels", tally.labels), ("scores", tally.scores))
        for a, c in group.items()
    }


@settings(RANDOM_TABLES, max_examples=15)
@given(case=anything)
def test_a_round_trip_changes_nothing(
    case: strategies.Case, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("t") / "a.tally"
    tally = scan(case.frame(), case.roles)
    written = fairaudit.write_tally(tally, path)
    again = fairaudit.read_tally(path)
    assert list(cells(again).items()) == list(cells(tally).items())
    assert json.dumps(again.description) == json.dumps(dict(tally.description))
    assert (again.left_out, again.sources, again.hidden) == (tally.left_out, written.sources, None)
    first = path.read_bytes()
    fairaudit.write_tally(again, path)
    assert path.read_bytes() == first


def plain(**more: Any) -> Tally:
    given_: dict[str, Any] = {"sensitive": ("sex", "race"), "cross": 2, **more}
    return fairaudit.tabulate(binary(90), Inputs(**given_))


def test_labels_without_a_cell_and_odd_names_survive(tmp_path: Path) -> None:
    names = ["Count", "fairaudit_cube", "w_whole", "a & b", "é\n"]
    frame = pd.DataFrame({n: ["x y", "", "(missing)", None] * 5 for n in names})
    frame = frame.assign(label=[0, 1] * 10, pred=[0, 1] * 10, w=0.125)
    tally = fairaudit.tabulate(frame, Inputs(sensitive=tuple(names), weights="w"))
    tally = Tally(
        {a: c.relabel(a[0], str, also=["nobody"]) for a, c in tally.labels.items()}, {}, tally.description
    )
    fairaudit.write_tally(tally, tmp_path / "odd.tally")
    assert cells(fairaudit.read_tally(tmp_path / "odd.tally")) == cells(tally)
    assert "nobody" in fairaudit.read_tally(tmp_path / "odd.tally").labels["Count",].labels[0]


def test_sums_beyond_floats_and_64_bits_survive(tmp_path: Path) -> None:
    tally = plain()
    big = [(2**40 + 1) * FIXED + 12345, FIXED - 1]

    def heavy(cube: Cube) -> Cube:
        sums = split([big[i % 2] for i in range(len(cube.codes))])
        return Cube(cube.axes, cube.labels, cube.codes, {**cube.measures, "w": sums})

    tally = Tally({a: heavy(c) for a, c in tally.labels.items()}, {}, tally.description)
    fairaudit.write_tally(tally, tmp_path / "big.tally")
    assert cells(fairaudit.read_tally(tmp_path / "big.tally")) == cells(tally)


def test_any_tool_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "a.tally"
    tally = plain()
    fairaudit.write_tally(tally, path)
    sql = f"SELECT race, sum(count) FROM read_parquet('{path}') WHERE fairaudit_cube = 'labels by race' GROUP BY 1"
    frame = binary(90)
    expected = frame["race"].fillna("(missing)").value_counts().to_dict()
    assert dict(duckdb.sql(sql).fetchall()) == expected


def test_no_row_is_in_it(tmp_path: Path) -> None:
    fairaudit.write_tally(
        fairaudit.tabulate(binary(90), Inputs(sensitive=("sex",), cluster="id")), tmp_path / "a.tally"
    )
    table = pq.read_table(tmp_path / "a.tally")
    text = str(table.to_pylist()) + table.schema.metadata[KEY].decode()
    assert not any(f"'r{i}'" in text for i in range(90))


def test_the_checksum_is_of_the_counts_alone() -> None:
    one = plain()
    other = fairaudit.tabulate(
        binary(90).rename(columns={"label": "y"}), Inputs(sensitive=("sex", "race"), cross=2)
    )
    assert fingerprint(one) == fingerprint(other)
    assert fingerprint(one) != fingerprint(
        fairaudit.tabulate(binary(91), Inputs(sensitive=("sex", "race"), cross=2))
    )


@pytest.mark.parametrize(("name", "said"), [("a.parquet", "ends in .tally"), ("a", "ends in .tally")])
def test_names_that_are_not_those_of_a_tally(name: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(FairauditError, match=said):
        fairaudit.write_tally(plain(), tmp_path / name)
    assert not (tmp_path / name).exists()


def test_nothing_to_write(tmp_path: Path) -> None:
    empty = plain().labels["sex",].only("sex", lambda _: False)
    with pytest.raises(FairauditError, match="no row was counted"):
        fairaudit.write_tally(Tally({("sex",): empty}, {}, {}), tmp_path / "a.tally")


def test_files_that_are_no_tallies(tmp_path: Path) -> None:
    fairaudit.write_tally(plain(), tmp_path / "good.tally")
    good = (tmp_path / "good.tally").read_bytes()
    binary(50).to_parquet(tmp_path / "rows.tally")
    texts = {"text.tally": b"label,pred\n1,1\n", "empty.tally": b"", "short.tally": good[: len(good) // 2],
             "hole.tally": good[:200] + b"\x00" * 400 + good[600:]}  # fmt: skip
    for name, data in texts.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "folder.tally").mkdir()
    said = {"text": "not Parquet", "empty": "is empty", "short": "cut off", "rows": "not a tally",
            "hole": "damaged|wrote it", "folder": "not a file", "gone": "no such file"}  # fmt: skip
    for name, words in said.items():
        with pytest.raises(FairauditError, match=words) as caught:
            fairaudit.read_tally(tmp_path / f"{name}.tally")
        assert f"{name}.tally" in str(caught.value)
        assert "\n" not in str(caught.value)


Edit = Callable[[pa.Table, dict[str, Any]], pa.Table]


def rewritten(path: Path, edit: Edit) -> None:
    """The file with its table and header changed by somebody."""
    fairaudit.write_tally(plain(y_score=None), path)
    table = pq.read_table(path)
    header = json.loads(table.schema.metadata[KEY])
    table = edit(table, header)
    pq.write_table(table.replace_schema_metadata({KEY: json.dumps(header).encode()}), path)


def column(
    table: pa.Table, name: str, change: Callable[[list[Any]], list[Any]], kind: Any = None
) -> pa.Table:
    at = table.column_names.index(name)
    return table.set_column(at, name, pa.array(change(table[name].to_pylist()), kind))


def edited(**keys: Any) -> Edit:
    def edit(table: pa.Table, header: dict[str, Any]) -> pa.Table:
        header.update(keys)
        return table

    return edit


def described(**keys: Any) -> Edit:
    def edit(table: pa.Table, header: dict[str, Any]) -> pa.Table:
        header["description"].update(keys)
        return table

    return edit


def of_first_cube(key: str, value: Any) -> Edit:
    def edit(table: pa.Table, header: dict[str, Any]) -> pa.Table:
        header["cubes"][0][key] = value
        return table

    return edit


def without(key: str) -> Edit:
    def edit(table: pa.Table, header: dict[str, Any]) -> pa.Table:
        del header[key]
        return table

    return edit


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (edited(schema_version="2.0"), "schema version 2.0.*update"),
        (edited(sha256="0"), "not those that were written"),
        (lambda t, _: column(t, "count", lambda v: [v[0] + 1, *v[1:]]), "not of the same rows|not those"),
        (lambda t, _: column(t, "count", lambda v: [-5, *v[1:]]), "count below 1"),
        (lambda t, _: column(t, "count", lambda v: [0, *v[1:]]), "count below 1"),
        (lambda t, _: column(t, "count", lambda v: [float(x) for x in v]), "not of whole numbers"),
        (lambda t, _: column(t, "count", lambda v: [None, *v[1:]]), "has a hole"),
        (lambda t, _: column(t, "sex", lambda v: [None, *v[1:]]), "without 'sex'"),
        (lambda t, _: column(t, "y_pred", lambda v: [*v[:-1], v[-2]]), "twice|not those"),
        (lambda t, _: column(t, "fairaudit_cube", lambda v: ["x", *v[1:]]), "not in its list"),
        (lambda t, _: t.drop_columns(["sex"]), "no column 'sex'"),
        (lambda t, _: t.drop_columns(["count"]), "copy or tabulate it again"),
        (lambda t, _: pa.concat_tables([t, t.slice(0, 1)]), "cells, not"),
        (of_first_cube("axes", ["sex", "y_true", "colour"]), "unknown axis 'colour'"),
        (of_first_cube("axes", ["y_true", "sex", "y_pred"]), "begin with its attributes"),
        (of_first_cube("measures", []), "no counts"),
        (of_first_cube("kind", "rows"), "copy or tabulate it again"),
        (edited(left_out={"dropped": -1}), "left out is out of range"),
        (described(positive="0"), "description is not the one that was written"),
        (described(threshold="high"), "'threshold' has no meaning"),
        (described(columns={"sensitive": []}), "'columns' has no meaning"),
        (edited(sources=[]), "description is not the one"),
        (edited(description={}), "it lacks 'columns'"),
        (without("cubes"), "it lacks 'cubes'"),
        (edited(cubes=[]), "not in its list"),
        (edited(hidden={"below": 5}), "it lacks 'cells'"),
    ],
)  # fmt: skip
def test_a_file_that_somebody_changed(edit: Edit, said: str, tmp_path: Path) -> None:
    rewritten(tmp_path / "bad.tally", edit)
    with pytest.raises(FairauditError, match=f"bad.tally .*({said})") as caught:
        fairaudit.read_tally(tmp_path / "bad.tally")
    assert "\n" not in str(caught.value)


def test_a_header_that_is_no_json(tmp_path: Path) -> None:
    table = pa.table({"fairaudit_cube": ["x"], "count": np.array([1])})
    pq.write_table(table.replace_schema_metadata({KEY: b"{"}), tmp_path / "bad.tally")
    with pytest.raises(FairauditError, match="not as fairaudit wrote it"):
        fairaudit.read_tally(tmp_path / "bad.tally")


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.tally"
    fairaudit.write_tally(plain(), path)
    before = path.read_bytes()

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq, "write_table", full)
    with pytest.raises(FairauditError, match="No space left"):
        fairaudit.write_tally(plain(sensitive=("sex",), cross=1), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_rows_without_a_score_are_said_and_read_back(tmp_path: Path) -> None:
    frame = pd.DataFrame({"label": [0, 1] * 50, "pred": [0, 1] * 50, "score": [None, 0.3, 0.6, 0.2] * 25,
                          "sex": ["F", "M", "M", "F"] * 25})  # fmt: skip
    how: dict[str, Any] = {"y_true": "label", "y_pred": "pred", "y_score": "score", "missing_labels": "drop"}
    whole = fairaudit.audit(frame, sensitive=["sex"], **how)
    assert {"code": "unscored", "message": "25 rows have no score and are left out of the numbers that come from "
            "scores"} in whole.warnings  # fmt: skip
    parts = [fairaudit.tabulate(part, Inputs(sensitive=("sex",), **how)) for part in (frame[:40], frame[40:])]
    paths = [tmp_path / f"{i}.tally" for i in range(2)]
    for path, part in zip(paths, parts, strict=True):
        fairaudit.write_tally(part, path)
    assert fairaudit.audit(paths).content_sha256 == whole.content_sha256
