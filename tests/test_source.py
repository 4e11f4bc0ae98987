"""Whatever holds the rows, the audit of them is the same."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from cases import binary

import fairaudit
from fairaudit.reading.dialect import literal, quote
from fairaudit.reading.engine import duck
from fairaudit.reading.frames import open_frame
from fairaudit.reading.paths import kind_of

FRAME = binary()
EXPECTED = fairaudit.audit(FRAME, sensitive=["sex", "race"]).content()


def zipped(path: Path, content: str) -> None:
    """Gzip-compressed text."""
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.write(content)


JSON_LINES = FRAME.to_json(orient="records", lines=True)
FILES: dict[str, Callable[[Path], object]] = {
    "a.csv": lambda p: FRAME.to_csv(p, index=False),
    "a.tsv": lambda p: FRAME.to_csv(p, index=False, sep="\t"),
    "semicolons.csv": lambda p: FRAME.to_csv(p, index=False, sep=";"),
    "windows.csv": lambda p: p.write_bytes(b"\xef\xbb\xbf" + FRAME.to_csv(index=False, lineterminator="\r\n").encode()),
    "a.csv.gz": lambda p: zipped(p, FRAME.to_csv(index=False)),
    "a.tsv.gz": lambda p: zipped(p, FRAME.to_csv(index=False, sep="\t")),
    "a.jsonl": lambda p: p.write_text(JSON_LINES),
    "a.ndjson": lambda p: p.write_text(JSON_LINES),
    "a.jsonl.gz": lambda p: zipped(p, JSON_LINES),
    "a.json": lambda p: FRAME.to_json(p, orient="records"),
    "a.parquet": FRAME.to_parquet,
    "UPPER.CSV": lambda p: FRAME.to_csv(p, index=False),
    "a[1] 'b' ü.csv": lambda p: FRAME.to_csv(p, index=False),
}  # fmt: skip
FRAMES: dict[str, Callable[[], object]] = {
    "pandas": lambda: FRAME,
    "pandas categories": lambda: FRAME.astype({"sex": "category", "race": "category"}),
    "pandas strings": lambda: FRAME.astype({"sex": "string", "label": "string"}),
    "pandas index": lambda: FRAME.set_index("id"),
    "polars": lambda: pl.from_pandas(FRAME),
    "polars lazy": lambda: pl.from_pandas(FRAME).lazy(),
    "pyarrow": lambda: pa.Table.from_pandas(FRAME),
    "pyarrow chunks": lambda: pa.concat_tables([pa.Table.from_pandas(FRAME[:7]), pa.Table.from_pandas(FRAME[7:])]),
    "duckdb": lambda: duckdb.from_arrow(pa.Table.from_pandas(FRAME)),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_file(name: str, tmp_path: Path) -> None:
    FILES[name](tmp_path / name)
    assert fairaudit.audit(tmp_path / name, sensitive=["sex", "race"]).content() == EXPECTED


@pytest.mark.parametrize("name", FRAMES)
def test_dataframe(name: str) -> None:
    assert fairaudit.audit(FRAMES[name](), sensitive=["sex", "race"]).content() == EXPECTED


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_several_files_and_a_pattern(ending: str, tmp_path: Path) -> None:
    for i, part in enumerate((FRAME[:100], FRAME[100:150], FRAME[150:])):
        path = tmp_path / f"part{i}.{ending}"
        _write(part, path)
    parts = sorted(str(p) for p in tmp_path.iterdir())
    for data in (parts, parts[::-1], str(tmp_path / f"part*.{ending}")):
        assert fairaudit.audit(data, sensitive=["sex", "race"]).content() == EXPECTED


def _write(frame: pd.DataFrame, path: Path) -> None:
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    elif path.suffix == ".jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.to_parquet(path, index=False)


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_standard_input(ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / f"in.{ending}"
    _write(FRAME, path)

    class Stdin:
        buffer = io.BytesIO(path.read_bytes())

    monkeypatch.setattr("sys.stdin", Stdin)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert fairaudit.audit("-", sensitive=["sex", "race"]).content() == EXPECTED


def test_a_file_name_is_no_pattern(tmp_path: Path) -> None:
    FRAME[:40].to_csv(tmp_path / "a1.csv", index=False)
    FRAME.to_csv(tmp_path / "a[1].csv", index=False)
    assert fairaudit.audit(tmp_path / "a[1].csv", sensitive=["sex", "race"]).content() == EXPECTED


def test_values_with_delimiters_quotes_and_line_breaks(tmp_path: Path) -> None:
    frame = FRAME.assign(sex=['a, "b"\nc' if s == "F" else "M" for s in FRAME["sex"]])
    frame.to_csv(tmp_path / "a.csv", index=False)
    groups = fairaudit.audit(tmp_path / "a.csv", sensitive=["sex"]).groups
    assert [g["group"] for g in groups] == ["M", 'a, "b"\nc']


def test_text_files_keep_groups_verbatim(tmp_path: Path) -> None:
    rows = "label,pred,zip\n" + "1,1,007\n0,0,NA\n1,1,1.0\n0,0,\n" * 10
    (tmp_path / "a.csv").write_text(rows, encoding="utf-8")
    names = [g["group"] for g in fairaudit.audit(tmp_path / "a.csv", sensitive=["zip"]).groups]
    assert names == ["007", "1.0", "NA", "(missing)"]
    names = [g["group"] for g in fairaudit.audit(tmp_path / "a.csv", sensitive=["zip"], na=["NA"]).groups]
    assert sorted(names) == ["(missing)", "007", "1.0"]


def test_join_matches_by_key_never_by_position(tmp_path: Path) -> None:
    FRAME[["id", "pred"]].sample(frac=1, random_state=0).to_parquet(tmp_path / "preds.parquet")
    FRAME.drop(columns="pred").to_csv(tmp_path / "labels.csv", index=False)
    joined = fairaudit.audit(
        tmp_path / "preds.parquet", with_file=str(tmp_path / "labels.csv"), on="id", sensitive=["sex", "race"]
    )
    assert joined.content() == EXPECTED


@pytest.mark.parametrize(
    ("path", "kind"), [("a.csv", ".csv"), ("b.TSV.GZ", ".tsv"), ("c.pq", ".pq"), ("d.json", ".json")]
)
def test_kind_of(path: str, kind: str) -> None:
    assert kind_of(path) == kind


def test_names_cannot_escape_into_sql() -> None:
    assert quote('a"b') == '"a""b"'
    assert literal("a'b") == "'a''b'"
    frame = FRAME.rename(columns={"sex": 'se"x; DROP TABLE x --'})
    found = fairaudit.audit(frame, sensitive=['se"x; DROP TABLE x --'])
    assert len(found.groups) == 2


def test_columns_are_described() -> None:
    with duck() as engine:
        source = open_frame(FRAME, engine, "preds")
        assert list(source.columns) == ["id", "label", "pred", "sex", "race"]
        assert source.where == "the dataframe"
