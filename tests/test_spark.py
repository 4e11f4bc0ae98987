"""Spark counts the same cells as DuckDB, from dataframes and files, and says what is wrong in the same sentences."""

from __future__ import annotations

import gzip
import json
import os
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from math import log
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cases import binary
from spark_cases import table, unit

import fairaudit
from fairaudit import FairauditError
from fairaudit.columns import Inputs
from fairaudit.reading.dialect import DUCKDB, SPARK
from fairaudit.reading.spark import Spark, spark, translated
from fairaudit.reading.surprise import with_surprise
from fairaudit.reading.table import reading, tabulate
from fairaudit.tallies.tally import Tally

pytest.importorskip("pyspark", reason="pyspark is not installed: pip install 'fairaudit-toolkit[spark]'")
pytestmark = [
    pytest.mark.skipif(
        shutil.which("java") is None and "JAVA_HOME" not in os.environ, reason="Java is not installed"
    ),
    # pyspark's own, and the sockets that py4j leaves to the garbage collector
    pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
#: Small data, short life: no page, one partition after a shuffle, no compilation of queries (see `compiled`).
_SETTINGS = {
    "spark.ui.enabled": "false", "spark.sql.shuffle.partitions": "1", "spark.driver.memory": "1g",
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1", "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
}  # fmt: skip
_SUBMITTED = f"--master local[2] {' '.join(f'--conf {k}={v}' for k, v in _SETTINGS.items())} pyspark-shell"
FRAME = binary()
ROLES: dict[str, Any] = {"sensitive": ["sex", "race"], "y_true": "label", "y_pred": "pred"}
EXPECTED = fairaudit.audit(FRAME, **ROLES).content_sha256


@pytest.fixture(scope="module")
def session() -> Iterator[Any]:
    """One session, started as fairaudit starts it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_SUBMIT_ARGS", _SUBMITTED)
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        with spark(Inputs()) as engine:
            pass
    yield engine.session
    engine.session.stop()


@pytest.fixture(params=[True, False], ids=["ansi", "not ansi"])
def mode(request: pytest.FixtureRequest, session: Any) -> Any:
    """The session, with errors in casts and sums or without."""
    session.conf.set("spark.sql.ansi.enabled", str(request.param).lower())
    yield session
    session.conf.unset("spark.sql.ansi.enabled")


def cells(tally: Tally) -> Any:
    """All that a tally holds, as plain values."""
    sets = {"labels": tally.labels, "scores": tally.scores}
    return [
        (kind, attributes, cube.axes, cube.labels, cube.codes.tolist(),
         {m: v.tolist() for m, v in sorted(cube.measures.items())})
        for kind, cubes in sets.items() for attributes, cube in sorted(cubes.items())
    ], dict(tally.description), dict(tally.left_out)  # fmt: skip


def held(session: Any, rows: pa.Table, folder: Path) -> Any:
    """A dataframe of Spark with the types of an Arrow table."""
    pq.write_table(rows, folder / "rows.parquet")
    return session.read.parquet(str(folder / "rows.parquet"))


@pytest.mark.parametrize("seed", range(5))
def test_random_tables_have_the_same_cells(seed: int, session: Any, tmp_path: Path) -> None:
    session.conf.set("spark.sql.ansi.enabled", str(seed % 2 == 0).lower())
    rows, options = table(seed)
    options.pop("min_events")
    inputs = Inputs(**options)
    assert cells(tabulate(held(session, rows, tmp_path), inputs)) == cells(tabulate(rows, inputs))
    session.conf.unset("spark.sql.ansi.enabled")


def test_the_compiled_query_has_the_same_cells(session: Any, tmp_path: Path) -> None:
    rows, options = table(0)
    options.pop("min_events")
    session.conf.set("spark.sql.codegen.wholeStage", "true")
    session.conf.set("spark.sql.codegen.factoryMode", "FALLBACK")
    found = tabulate(held(session, rows, tmp_path), Inputs(**options))
    for name in ("wholeStage", "factoryMode"):
        session.conf.set(f"spark.sql.codegen.{name}", _SETTINGS[f"spark.sql.codegen.{name}"])
    assert cells(found) == cells(tabulate(rows, Inputs(**options)))


@pytest.mark.parametrize("classes", [("x", "y", "z"), ("1.0", "0")])
def test_scores_of_classes_have_the_same_cells(classes: Sequence[str], session: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(len(classes))
    p = rng.dirichlet(np.full(len(classes), 0.3), 300)
    rows = pa.table({
        "label": [None if i % 40 == 7 else str(rng.choice(classes)) for i in range(300)],
        "g": rng.integers(3, size=300), "w": rng.choice([0.0, 0.5, 3.0], 300),
        **{f"p_{c}": p[:, i] for i, c in enumerate(classes)},
    })  # fmt: skip
    inputs = Inputs(y_true="label", prob_prefix="p_", sensitive=("g",), weights="w", missing_labels="drop",
                    score_classes=("all",))  # fmt: skip
    assert cells(tabulate(held(session, rows, tmp_path), inputs)) == cells(tabulate(rows, inputs))


def test_audits_of_a_dataframe(session: Any) -> None:
    frame = session.createDataFrame(FRAME)
    assert fairaudit.audit(frame, **ROLES).content_sha256 == EXPECTED
    import narwhals as nw

    assert fairaudit.audit(nw.from_native(frame), **ROLES).content_sha256 == EXPECTED
    assert not [t for t in session.catalog.listTables() if t.name.startswith("fairaudit")]


def test_roles_are_found_and_files_joined(session: Any, tmp_path: Path) -> None:
    FRAME[["id", "pred"]].to_csv(tmp_path / "preds.csv", index=False)
    FRAME[["id", "label", "sex", "race"]].to_csv(tmp_path / "labels.csv", index=False)
    asked = {"with_file": str(tmp_path / "labels.csv"), "on": "id"}
    found = [fairaudit.audit(tmp_path / "preds.csv", engine=e, **asked) for e in ("spark", "duckdb")]
    assert found[0].content_sha256 == found[1].content_sha256


def zipped(path: Path) -> None:
    """Gzip-compressed text."""
    with gzip.open(path, "wt", encoding="utf-8") as file:
        FRAME.to_csv(file, index=False)


FILES: dict[str, Callable[[Path], object]] = {
    "semicolons.csv": lambda p: FRAME.to_csv(p, index=False, sep=";"),
    "windows.csv": lambda p: p.write_bytes(b"\xef\xbb\xbf" + FRAME.to_csv(index=False, lineterminator="\r\n").encode()),
    "a.tsv": lambda p: FRAME.to_csv(p, index=False, sep="\t"),
    "a.csv.gz": zipped,
    "a.jsonl": lambda p: FRAME.to_json(p, orient="records", lines=True),
    "a.json": lambda p: FRAME.to_json(p, orient="records"),
    "a[1] {b} 'c' ü.parquet": FRAME.to_parquet,
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_file(name: str, session: Any, tmp_path: Path) -> None:
    FILES[name](tmp_path / name)
    assert fairaudit.audit(tmp_path / name, engine="spark", **ROLES).content_sha256 == EXPECTED


def test_texts_of_a_csv_are_those_that_stand_in_it(session: Any, tmp_path: Path) -> None:
    texts = [
        "a",
        " a",
        "a ",
        "",
        '""',
        '"x,y"',
        '"say ""hi"""',
        '"two\nlines"',
        "NA",
        "null",
        "007",
        "1.0",
        "\\N",
        "it's",
        "#",
    ]
    rows = "".join(f"{i % 2},{i % 3 % 2},{t}\n" for i, t in enumerate(texts * 3))
    (tmp_path / "a.csv").write_text("label,pred,sex\n" + rows, encoding="utf-8")
    inputs = Inputs(sensitive=("sex",), y_true="label", y_pred="pred")
    found = tabulate(tmp_path / "a.csv", replace(inputs, engine="spark"))
    assert cells(found) == cells(tabulate(tmp_path / "a.csv", inputs))
    assert "two\nlines" in found.labels[("sex",)].labels[0]


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_partitioned_folders_keep_their_texts(kind: str, session: Any, tmp_path: Path) -> None:
    months = np.where(np.arange(len(FRAME)) % 2 == 0, "01", "1.50")
    for month in ("01", "1.50"):
        (tmp_path / f"month={month}").mkdir()
        part = FRAME[months == month]
        path = tmp_path / f"month={month}" / f"part.{kind}"
        _ = part.to_csv(path, index=False) if kind == "csv" else part.to_parquet(path, index=False)
    found = [
        fairaudit.audit(tmp_path, engine=e, **{**ROLES, "sensitive": ["month"]}) for e in ("spark", "duckdb")
    ]
    assert found[0].content_sha256 == found[1].content_sha256
    assert {g["group"] for g in found[0].content()["groups"]} == {"01", "1.50"}
    (tmp_path / "_SUCCESS").touch()
    url = tmp_path.as_uri() + ("/*/*.csv" if kind == "csv" else "")
    assert fairaudit.audit(url, engine="spark", **ROLES).content_sha256 == EXPECTED


def failure(data: Any, **options: Any) -> str:
    """The sentence that an audit ends with."""
    with pytest.raises(FairauditError) as caught:
        fairaudit.audit(data, **options)
    text = str(caught.value)
    assert "\n" not in text
    assert "SQLSTATE" not in text
    assert "\tat " not in text
    return text


BAD: dict[str, tuple[dict[str, list[Any]], dict[str, Any]]] = {
    "number": ({"w": ["x", "1", "1", "1"]}, {"weights": "w"}),
    "1d is no number": ({"w": ["1", "1d", "1", "1"]}, {"weights": "w"}),
    "weight": ({"w": [-1.0, 1.0, 1.0, 1.0]}, {"weights": "w"}),
    "missing": ({"w": [None, 1.0, 1.0, 1.0]}, {"weights": "w"}),
    "loss": ({"loss": [2e6, 1.0, 1.0, 1.0]}, {"loss": "loss"}),
    "score": ({"p": ["1.5", "0", "0", "1"]}, {"y_score": "p"}),
    "sum": ({"p_0": [0.5] * 4, "p_1": [0.6] * 4}, {"prob_prefix": "p_"}),
    "class": ({"p_x": [0.5] * 4, "p_y": [0.5] * 4}, {"prob_prefix": "p_"}),
    "member": ({"m": ["1", "0", "maybe\\no'", "1"]}, {"member": "m"}),
    "cluster": ({"c": ["a", None, "b", "c"]}, {"cluster": "c"}),
    "bins": ({"age": ["1", "2", "old", "3"]}, {"sensitive": ["age"], "bins": {"age": (1.0, 2.0)}}),
    "no label": ({"label": ["0", None, "1", "1"]}, {}),
    "split": ({"s": ["a", "a", "b", "b"]}, {"split": "s=c"}),
    "column": ({}, {"sensitive": ["gender"]}),
    "zero": ({"w": [0.0] * 4}, {"weights": "w"}),
    "list": ({"sex": [[1]] * 4}, {}),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_values_give_the_sentences_of_duckdb(name: str, session: Any, tmp_path: Path) -> None:
    session.conf.set("spark.sql.ansi.enabled", str(len(name) % 2 == 0).lower())  # half of them either way
    columns, options = BAD[name]
    base = {"label": ["0", "1", "0", "1"], "pred": ["0", "1", "1", "1"], "sex": ["F", "M", "F", "M"]}
    rows = pa.table(base | columns)
    asked = {**ROLES, "sensitive": ["sex"], **options}
    if "y_score" in asked or "prob_prefix" in asked:
        asked.pop("y_pred")
    assert failure(held(session, rows, tmp_path), **asked) == failure(rows, **asked)


def test_files_that_cannot_be_read_are_named(session: Any, tmp_path: Path) -> None:
    asked: dict[str, Any] = {"engine": "spark", **ROLES}
    assert failure(tmp_path / "no.csv", **asked) == f"no such file: {tmp_path / 'no.csv'}; check the path."
    assert "no such file: file:" in failure((tmp_path / "no.parquet").as_uri(), **asked)
    assert "standard input" in failure("-", **asked)
    FRAME.to_parquet(tmp_path / "a.parquet")
    whole = (tmp_path / "a.parquet").read_bytes()
    (tmp_path / "b.parquet").write_bytes(whole[:-200])
    assert f"{tmp_path}/b.parquet cannot be read" in failure(tmp_path, **asked)
    assert f"{tmp_path}/b.parquet cannot be read" in failure((tmp_path / "b.parquet").as_uri(), **asked)
    (tmp_path / "b.parquet").write_bytes(whole[:4] + bytes(2500) + whole[2504:])
    assert f"{tmp_path}/b.parquet cannot be read" in failure(tmp_path, **asked)
    FRAME.astype({"label": str}).to_parquet(tmp_path / "b.parquet")
    assert "b.parquet has other columns" in failure(tmp_path, **asked)
    FRAME.assign(SEX=1).to_parquet(tmp_path / "c.parquet")
    assert "differ only in case" in failure(tmp_path / "c.parquet", **asked)
    assert "nothing://x/y.parquet" in failure("nothing://x/y.parquet", **asked)


@pytest.mark.parametrize("row", ["0,1", "0,1,F,more", '0,1,"F" x'])
def test_a_row_that_does_not_fit_the_header(row: str, session: Any, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"label,pred,sex\n0,1,F\n{row}\n1,1,M\n", encoding="utf-8")
    asked = {**ROLES, "sensitive": ["sex"]}
    assert f"{tmp_path}/a.csv" in failure(tmp_path / "a.csv", engine="spark", **asked)
    failure(tmp_path / "a.csv", **asked)


@pytest.mark.parametrize(
    ("row", "part"),
    [('0,1,"F', "a quote that is not closed"), ('0,1,"F"\r', "lines that end in different ways")],
)
def test_quotes_that_spark_would_misread(row: str, part: str, session: Any, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(f"label,pred,sex\n0,1,F\n{row}\n1,1,M\n".encode())
    asked = {**ROLES, "sensitive": ["sex"]}
    assert part in failure(tmp_path / "a.csv", engine="spark", **asked)
    failure(tmp_path / "a.csv", **asked)


@pytest.mark.parametrize("cut", [slice(None, -200), slice(None, 12)])
def test_a_truncated_text_is_one_sentence(cut: slice, session: Any, tmp_path: Path) -> None:
    zipped(tmp_path / "a.csv.gz")
    (tmp_path / "a.csv.gz").write_bytes((tmp_path / "a.csv.gz").read_bytes()[cut])
    said = [failure(tmp_path / "a.csv.gz", engine=e, **ROLES) for e in ("spark", "duckdb")]
    assert all(s.startswith(f"{tmp_path / 'a.csv.gz'} cannot be read") for s in said)


@pytest.mark.parametrize("small", [True, False])
def test_a_quote_behind_spaces_is_refused(
    small: bool, session: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not small:
        monkeypatch.setattr("fairaudit.reading.spark_files._SMALL", 0)
    asked: dict[str, Any] = {"engine": "spark", "y_true": "label", "y_pred": "pred", "sensitive": ["sex"]}
    head = 'label,pred,sex\n0,1,"M, ""x"""\n1,0,M\n0,0,M\n'
    (tmp_path / "a.csv").write_text(head, encoding="utf-8")
    assert {g["group"] for g in fairaudit.audit(tmp_path / "a.csv", **asked).content()["groups"]} >= {
        'M, "x"'
    }
    (tmp_path / "a.csv").write_text(head + '1,1, "F"\n', encoding="utf-8")
    assert f"{tmp_path}/a.csv has a value that begins with spaces" in failure(tmp_path / "a.csv", **asked)


def test_the_part_that_cannot_be_read_is_found(session: Any, tmp_path: Path) -> None:
    for name in ("a", "b"):
        FRAME.to_parquet(tmp_path / f"{name}.parquet")
    inputs = Inputs(engine="spark", sensitive=("sex",), y_true="label", y_pred="pred")
    with reading(tmp_path, inputs) as source:
        whole = (tmp_path / "b.parquet").read_bytes()
        (tmp_path / "b.parquet").write_bytes(whole[:4] + bytes(2500) + whole[2504:])
        with pytest.raises(FairauditError) as caught, source.speaking():
            source.rows("SELECT CAST('x' AS INT) + assert_true(false)")  # fails without a word about a file
    assert f"{tmp_path}/b.parquet cannot be read" in str(caught.value)


def test_a_chain_of_causes_gives_its_root() -> None:
    said = "An error occurred while calling o38.collectToPython.\n: a.B: odd\n\tat x\nCaused by: c.DException: bad page"
    assert str(translated(RuntimeError(said), "p")) == "p cannot be read as a table: bad page."
    said = 'calling o1.f.\n: e.E: x\nCaused by: a.B: "org.apache.spark.SparkContext.dagScheduler()" is null'
    assert "Spark has stopped" in str(translated(RuntimeError(said), "p"))


def test_large_texts_do_not_break_lines_inside_quotes(
    session: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fairaudit.reading.spark_files._SMALL", 0)
    FRAME.to_csv(tmp_path / "a.csv", index=False, quoting=1)
    assert fairaudit.audit(tmp_path / "a.csv", engine="spark", **ROLES).content_sha256 == EXPECTED
    FRAME.assign(note="a\n1,1,F,x,b").to_csv(tmp_path / "a.csv", index=False)
    assert f"{tmp_path}/a.csv has a line with an odd number" in failure(
        tmp_path / "a.csv", engine="spark", **ROLES
    )


def test_what_spark_does_not_do(session: Any) -> None:
    frame = session.createDataFrame([(0, 1, "F")], ["label", "pred", "sex"])
    assert "leave it out" in failure(frame, memory_limit="1GB")
    assert "leave the engine out" in failure(frame, engine="duckdb")
    assert (
        failure(frame, engine="sparc")
        == "no engine 'sparc' (there are duckdb and spark). Did you mean 'spark'?"
    )
    assert "not DataFrame; leave the engine out" in failure(FRAME, engine="spark")
    with pytest.raises(FairauditError, match="matched by an id in DuckDB"):
        fairaudit.compare(frame, frame, id="label")


def test_a_missing_pyspark_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyspark", None)
    assert "pip install 'fairaudit-toolkit[spark]'" in failure("preds.csv", engine="spark")


@pytest.mark.parametrize(
    ("said", "part"),
    [
        ("java.lang.OutOfMemoryError: Java heap space", "more to count than Spark has memory for"),
        ("An error occurred while trying to connect: Connection refused", "Spark has stopped"),
        ('org.apache.hadoop.fs.UnsupportedFileSystemException: No FileSystem for scheme "s3"', "(s3); add its package"),
        ("[X.Y] Something odd. SQLSTATE: 42000; line 1\n\tat org.apache", "cannot be read as a table: Something odd."),
    ],
)  # fmt: skip
def test_messages_of_spark_become_sentences(said: str, part: str) -> None:
    text = str(translated(RuntimeError(said), "preds.csv"))
    assert part in text
    assert "preds.csv" in text
    assert text.endswith(".")
    assert "\n" not in text


def test_sums_are_exact(mode: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate(
        [unit(rng, 3000), 10 ** rng.uniform(-6, 12, 3000), 2.0 ** -np.arange(40, 70), [1e18]]
    )
    expected = divmod(sum(_fixed(v) for v in values.tolist()), 1 << 60)
    frame = held(mode, pa.table({"x": values}), tmp_path)
    frame.createOrReplaceTempView("exact")
    sql = f"SELECT {SPARK.whole('x')}, {SPARK.fraction('x')} FROM (SELECT {SPARK.fixed('x', False)} AS x FROM exact)"
    assert Spark(mode).rows(sql) == [expected]
    duck = duckdb.connect()
    duck.register("exact", pa.table({"x": values}))
    sql = f"SELECT {DUCKDB.whole('x')}, {DUCKDB.fraction('x')} FROM (SELECT {DUCKDB.fixed('x', False)} AS x FROM exact)"
    assert duck.execute(sql).fetchall() == [expected]


def _fixed(x: float) -> int:
    """x · 2⁶⁰ rounded half up, in integers."""
    numerator, denominator = x.as_integer_ratio()
    return (2 * numerator * 2**60 + denominator) // (2 * denominator)


def test_losses_are_the_same_double_and_close_to_the_logarithm(session: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    p = np.concatenate(
        [unit(rng, 20_000), 10 ** rng.uniform(-15, 0, 20_000), 1 - 10 ** rng.uniform(-16, -1, 5000)]
    )
    p = np.concatenate([np.maximum(p, 1e-15), np.sqrt(0.5) * 2.0 ** -np.arange(49), 2.0 ** -np.arange(49)])
    rows = pa.table({"p": p, "i": np.arange(len(p))})
    held(session, rows, tmp_path).createOrReplaceTempView("chances")
    duck = duckdb.connect()
    duck.register("chances", rows)
    texts = [
        f"SELECT i, x FROM ({with_surprise('SELECT * FROM chances', 'p', 'x', d)}) ORDER BY i"
        for d in (SPARK, DUCKDB)
    ]
    ours, theirs = np.array(Spark(session).rows(texts[0])), np.array(duck.execute(texts[1]).fetchall())
    assert (ours == theirs).all()
    exact = np.array([-log(v) for v in p.tolist()])
    assert np.allclose(ours[:, 1], exact, rtol=1e-15, atol=0)


NUMBERS = [
    "1d", " 1 ", "1e5", "nan", "-NaN", "inf", "-Infinity", "1_000", "1__0", "_1", "1_", "1f", "0x10", "", ".5", "1.",
    ".", "1e400", "1e-400", "\t1\n", "1\u00a0", "\u0661", "+1", "--1", "1e", "1e1.5", "true", "infinite", "007", "1,5",
]  # fmt: skip


def test_numbers_in_texts_are_those_of_duckdb(mode: Any, tmp_path: Path) -> None:
    rows = pa.table({"t": NUMBERS, "i": range(len(NUMBERS))})
    held(mode, rows, tmp_path).createOrReplaceTempView("texts")
    duck = duckdb.connect()
    duck.register("texts", rows)
    sql = [f"SELECT {d.number('t')} AS x FROM texts ORDER BY i" for d in (SPARK, DUCKDB)]
    assert repr(Spark(mode).rows(sql[0])) == repr(duck.execute(sql[1]).fetchall())


def test_texts_of_decimals_and_floats_are_those_of_duckdb(mode: Any, tmp_path: Path) -> None:
    tiny = [Decimal(t) for t in ("0", "1", "-0.00000001", "0.00000150", "12.5", "-3.25")]
    reals = [0.0, 1.0, -1.5, float("nan"), float("inf"), 123456789.0]
    rows = pa.table({"d": pa.array(tiny, pa.decimal128(20, 8)), "x": reals, "i": range(6)})
    held(mode, rows, tmp_path).createOrReplaceTempView("values")
    duck = duckdb.connect()
    duck.register("values", rows)
    sql = [
        f"SELECT {d.text('d')}, {d.text('x')} FROM {d.quote('values')} ORDER BY i" for d in (SPARK, DUCKDB)
    ]
    assert Spark(mode).rows(sql[0]) == duck.execute(sql[1]).fetchall()


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A program in a process of its own."""
    return subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=300)


def test_the_command_line_is_quiet_and_says_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYSPARK_SUBMIT_ARGS", _SUBMITTED)
    FRAME.to_parquet(tmp_path / "a.parquet")
    asked = [
        "report",
        str(tmp_path / "a.parquet"),
        "-s",
        "sex",
        "-s",
        "race",
        "--y-true",
        "label",
        "--y-pred",
        "pred",
    ]
    asked += ["--positive", "1", "--engine", "spark", "--json"]
    done = run(str(Path(sys.executable).parent / "fairaudit"), *asked)
    assert (done.returncode, done.stderr) == (0, "")
    expected = fairaudit.audit(FRAME, positive="1", **ROLES)
    assert json.loads(done.stdout)["content_sha256"] == expected.content_sha256


def test_the_example_runs(
    session: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    script = Path(__file__).parent.parent / "examples" / "spark" / "audit_on_spark.py"
    monkeypatch.setattr(sys, "argv", [str(script), "--rows", "500"])
    runpy.run_path(str(script), run_name="__main__")
    hashes = [line.split()[1] for line in capsys.readouterr().out.splitlines()[:2]]
    assert hashes[0] == hashes[1]


def test_no_java_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("label,pred,sex\n0,1,F\n", encoding="utf-8")
    code = (
        "import os, fairaudit\n"
        "os.environ['PATH'], os.environ['JAVA_HOME'] = '/usr/bin:/bin', '/nowhere'\n"
        f"try: fairaudit.audit({str(tmp_path / 'a.csv')!r}, engine='spark')\n"
        "except fairaudit.FairauditError as error: print(error)"
    )
    done = run(sys.executable, "-c", code)
    assert "install Java 17 or later" in done.stdout
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""
