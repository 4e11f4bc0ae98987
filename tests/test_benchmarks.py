"""The benchmarks measure what they say, and docs/performance.md and README say what they measured."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, f1_score, recall_score

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"
NAMES = ("measuring", "drawn_rows", "markdown_page", "performance", "performance_prose", "performance_tables",
         "performance_targets", "peers", "peers_labels", "peers_binary", "bench_peers", "bench_engines",
         "bench_scan", "bench_wide", "replicates",
         "run")  # fmt: skip
pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason="the benchmarks are not part of an installed package"
)


@pytest.fixture(scope="module")
def bench() -> Iterator[SimpleNamespace]:
    """The benchmarks' modules; their folder leaves the path again (it holds a `coverage.py`, as pytest-cov's tool)."""
    sys.path.insert(0, str(FOLDER))
    try:
        yield SimpleNamespace(**{name: importlib.import_module(name) for name in NAMES})
    finally:
        sys.path.remove(str(FOLDER))


@pytest.fixture(scope="module")
def rows(bench: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 2,400 drawn rows of the two kinds that the peers read."""
    folder = tmp_path_factory.mktemp("rows")
    for kind in ("labels", "scores"):
        bench.drawn_rows.write(kind, 2400, folder / f"{kind}-2400.parquet")
    return folder


@pytest.mark.parametrize("page", ["docs/performance.md", "README.md"])
def test_tables_of_the_pages_are_those_of_the_results(bench: SimpleNamespace, page: str) -> None:
    text = (FOLDER.parent / page).read_text(encoding="utf-8")
    found = bench.performance.saved(FOLDER / "results")
    assert found
    for name, table in bench.performance_tables.tables(found).items():
        assert bench.markdown_page.renewed(text, name, table) == text, name


def test_every_table_has_its_place_on_the_page(bench: SimpleNamespace) -> None:
    text = (FOLDER.parent / "docs" / "performance.md").read_text(encoding="utf-8")
    shown = {name for shows in bench.performance_tables._TABLES.values() for name, _ in shows}
    for name in (shown | {"targets", "missed", "machines"}) - {"readme"}:
        assert f"<!-- {name} -->" in text, name
        assert f"<!-- /{name} -->" in text, name


@pytest.mark.parametrize(
    ("value", "limit", "most", "met", "said"),
    [
        (1.5, 2.0, True, True, "met, 25% below the limit"),
        (3.0, 2.0, True, False, "**missed** by 50%"),
        (2.0, 2.0, True, True, "met, 0% below the limit"),
        (250.0, 100.0, False, True, "met, 2.5 times the target"),
        (80.0, 100.0, False, False, "**missed** by 20%"),
    ],
)
def test_a_target_says_by_how_much(
    bench: SimpleNamespace, value: float, limit: float, most: bool, met: bool, said: str
) -> None:
    target = bench.performance_targets.Target("key", "work", "asked", value, limit, "s", most, turns=3)
    assert (target.met, target.verdict()) == (met, said)


def test_what_was_not_measured_is_listed_as_such_and_one_run_is_marked(bench: SimpleNamespace) -> None:
    every = list(bench.performance_targets.targets({}))
    assert {t.key for t in every} >= {"parquet", "big", "grown", "codes", "replicates", "wide", "scores"}
    assert {t.verdict() for t in every} == {"not measured"}
    assert not any(t.met or t.missed for t in every)
    assert "| time of 10⁹ rows by time of 10⁸ | ≤ 10.5 × | – |" in bench.performance_tables.target_table({})
    once = bench.performance_targets.Target("key", "work", "asked", 3.0, 2.0, "s", turns=1)
    assert once.verdict() == "**missed** by 50% (one run)"


def _scan(name: str, rows: int, took: float, peak: float, grown: float = 1.0) -> dict[str, Any]:
    """Beside a bare GROUP BY of two seconds."""
    ours = {"median": took, "turns": 3, "cpu": 2.5, "peak_mib": peak}
    return {
        "name": name, "rows": rows, "grown": grown, "fairaudit": ours, "floor": {"median": 2.0, "cpu": 0.5}
    }  # fmt: skip


def test_scans_are_held_against_the_limits_of_their_size(bench: SimpleNamespace) -> None:
    found = {"scan": {"scans": [
        _scan("Parquet", 10**7, 4.1, 300.0), _scan("CSV", 10**7, 3.3, 2000.0),
        _scan("Parquet, 10 parts", 10**8, 4.0, 300.0), _scan("Parquet, 100 parts", 10**9, 3.7, 300.0, 10.25),
        _scan("Parquet", 10**5, 9.0, 9e9),
    ]}}  # fmt: skip
    judged = [
        (t.value, t.limit, t.met) for t in bench.performance_targets.targets(found) if t.value is not None
    ]
    assert judged == [
        (4.1, 4.0, False), (300.0, 1024.0, True), (3.3, 3.4, True), (2000.0, 1024.0, False),
        (3.7, 3.6, False), (300.0, 1024.0, True), (10.25, 10.5, True),
    ]  # fmt: skip


def test_only_missed_targets_are_explained(bench: SimpleNamespace) -> None:
    missed = bench.performance_prose.missed
    parquet = {"scan": {"scans": [_scan("Parquet", 10**7, 4.1, 300.0), _scan("CSV", 10**7, 3.3, 2000.0)]}}
    first, second = missed(parquet).split("\n\n")
    assert first.startswith("*10⁷ rows, Parquet.* The whole process takes 2.50 s of CPU")
    assert second == "*10⁷ rows, CSV: peak memory.* Missed, and not profiled yet."
    assert missed({}) == "None of those that were measured."
    keys = {t.key for t in bench.performance_targets.targets({})}
    assert set(bench.performance_prose.PARAGRAPHS) <= keys


def test_ratios_are_medians_over_turns(bench: SimpleNamespace) -> None:
    runs = [[bench.measuring.Run(s, 1.0, 9.0, 0, '{"seconds": 0.5}', "") for s in took]
            for took in ((3.0, 9.0, 4.0), (1.0, 2.0, 3.0))]  # fmt: skip
    found = bench.bench_scan.compared(*runs)
    assert (found["ratio"], found["more"]) == (3.0, 2.0)
    assert (found["fairaudit"]["median"], found["fairaudit"]["turns"]) == (4.0, 3)
    assert bench.bench_peers.times([8.0, 6.0], [1.0, 2.0, 50.0]) == 5.5
    assert bench.bench_peers.times([8.0], [0.0]) is None


def test_captions_name_what_was_run_less_often(bench: SimpleNamespace) -> None:
    caption = bench.performance_tables.caption
    assert caption({"a": 3, "b": 3}) == "\n\nTurns: 3."
    assert caption({"a": 3, "b": 2, "c": 3, "d": 1}) == "\n\nTurns: 3 (b: 2; d: one run)."


def test_a_process_is_measured_by_itself(bench: SimpleNamespace) -> None:
    hungry = "x = bytearray(200 * 2**20); import sys; print(len(x)); sys.stderr.write('careful')"
    run = bench.measuring.measured([sys.executable, "-c", hungry])
    small = bench.measuring.measured([sys.executable, "-c", "raise ValueError('no rows')"])
    assert (run.code, run.stdout.strip(), run.stderr) == (0, str(200 * 2**20), "careful")
    assert run.peak_mib > 200
    assert (small.code, bench.measuring.reason(small)) == (1, "no rows")


def test_a_process_past_its_limit_is_killed_and_said(
    bench: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench.bench_wide, "LIMIT", 0.2)
    sleeping = {"fairaudit": [sys.executable, "-c", "import time; time.sleep(60)"]}
    found = bench.bench_wide.case("slow", "asleep", sleeping, repeats=3)
    assert found["reason"].startswith("not done after 0 s")
    assert "fairaudit" not in found


def test_a_failed_process_ends_a_benchmark_with_its_words(bench: SimpleNamespace) -> None:
    with pytest.raises(SystemExit, match="ended with 3"):
        bench.measuring.side_by_side({"broken": [sys.executable, "-c", "raise SystemExit(3)"]}, 1)
    answered = bench.measuring.side_by_side(
        {"gate": [sys.executable, "-c", "raise SystemExit(3)"]}, 2, answers=(0, 3)
    )
    assert [run.code for run in answered["gate"]] == [3, 3]


def test_summaries(bench: SimpleNamespace) -> None:
    runs = [
        bench.measuring.Run(s, c, p, 0, "", "")
        for s, c, p in ((3.0, 1.0, 50.0), (1.0, 2.0, 70.0), (2.0, 9.0, 60.0))
    ]
    assert bench.measuring.summary(runs) == {
        "median": 2.0,
        "min": 1.0,
        "max": 3.0,
        "turns": 3,
        "cpu": 2.0,
        "peak_mib": 70.0,
    }
    assert bench.measuring.ratio([2.0, 9.0, 4.0], [1.0, 3.0, 1.0]) == 3.0


def test_drawn_rows_are_the_same_every_time_and_as_described(
    bench: SimpleNamespace, rows: Path, tmp_path: Path
) -> None:
    again = tmp_path / "labels.parquet"
    bench.drawn_rows.write("labels", 2400, again)
    first, second = (pd.read_parquet(path) for path in (rows / "labels-2400.parquet", again))
    pd.testing.assert_frame_equal(first, second)
    many = duckdb.connect().execute(bench.drawn_rows.drawn("labels", 200_000)).df()
    shares = many.groupby("region").size() / len(many)
    np.testing.assert_allclose(shares, 1 / 6, atol=0.005)
    assert many["y_true"].nunique() == 40
    right = (many["y_true"] == many["y_pred"]).groupby(many["region"]).mean()
    expected = 0.7 + 0.005 * np.arange(6)
    np.testing.assert_allclose(right, expected + (1 - expected) / 40, atol=0.012)
    assert len(many.drop_duplicates()) > 0.95 * 40 * 40 * 6  # the columns do not hang together


def test_links_are_parts_of_one_file(bench: SimpleNamespace, rows: Path, tmp_path: Path) -> None:
    part = rows / "labels-2400.parquet"
    folder = bench.drawn_rows.linked(part, 3, tmp_path)
    assert bench.drawn_rows.linked(part, 3, tmp_path) == folder
    assert [path.samefile(part) for path in sorted(folder.iterdir())] == [True] * 3


@pytest.mark.parametrize("form", ["strings", "categoricals", "codes"])
@pytest.mark.parametrize("tool", ["fairlearn", "sklearn", "pandas", "duckdb", "fairaudit", "fairaudit_panel"])
def test_every_tool_finds_the_same_numbers(bench: SimpleNamespace, rows: Path, tool: str, form: str) -> None:
    path = str(rows / "labels-2400.parquet")
    parts = [part for _, part in pd.read_parquet(path).groupby("region")]
    oracle = {
        "accuracy": [accuracy_score(p["y_true"], p["y_pred"]) for p in parts],
        "f1_macro": [f1_score(p["y_true"], p["y_pred"], average="macro") for p in parts],
        "recall_macro": [recall_score(p["y_true"], p["y_pred"], average="macro") for p in parts],
    }
    found = bench.peers_labels.TOOLS[tool](bench.peers.table("labels", form, path))
    for metric, values in oracle.items():
        np.testing.assert_allclose(found[metric], values, atol=1e-12, err_msg=metric)


@pytest.mark.parametrize("tool", ["fairlearn", "sklearn", "pandas", "duckdb", "fairaudit"])
def test_every_tool_finds_the_same_rates(bench: SimpleNamespace, rows: Path, tool: str) -> None:
    frame = bench.peers.table("binary", "strings", str(rows / "scores-2400.parquet"))
    found = bench.peers_binary.TOOLS[tool](frame)
    for k, (_, part) in enumerate(frame.groupby("region")):
        positive = part["outcome"] == 1
        assert found["selection_rate"][k] == pytest.approx(part["decided"].mean(), abs=1e-12)
        assert found["tpr"][k] == pytest.approx(part["decided"][positive].mean(), abs=1e-12)
        assert found["fpr"][k] == pytest.approx(part["decided"][~positive].mean(), abs=1e-12)


def test_other_numbers_than_scikit_learns_end_the_benchmark(bench: SimpleNamespace) -> None:
    numbers = {
        "sklearn": {"accuracy": [0.5, 0.25]},
        "rows": None,
        "pandas": {"accuracy": [0.5, 0.25 + 1e-13]},
    }
    bench.bench_peers._agree("labels", "codes", numbers)
    with pytest.raises(SystemExit, match=r"fairlearn differs from scikit-learn by 0\.01 in accuracy"):
        bench.bench_peers._agree("labels", "codes", numbers | {"fairlearn": {"accuracy": [0.5, 0.26]}})


def test_engines_that_differ_are_told_apart(bench: SimpleNamespace) -> None:
    engines = {"pandas": {"sha256": "a"}, "spark": {"reason": "not installed"}, "csv": {"sha256": "a"}}
    assert bench.bench_engines.checksums(engines) == {"a": ["pandas", "csv"]}
    assert len(bench.bench_engines.checksums(engines | {"dask": {"sha256": "b"}})) == 2


def test_what_is_computed_of_a_replicate_is_what_the_peers_compute(
    bench: SimpleNamespace, rows: Path
) -> None:
    path = str(rows / "labels-2400.parquet")
    cells = bench.replicates.cells_of(path)
    frame = bench.peers.table("labels", "codes", path)
    assert cells.sum() == len(frame)
    found = bench.replicates.metrics(cells)
    for k, metric in enumerate(bench.peers_labels.METRICS):
        np.testing.assert_allclose(found[k], bench.peers_labels.pandas(frame)[metric], atol=1e-12)


def test_the_f1_of_a_replicate_is_scikit_learns(bench: SimpleNamespace, rows: Path) -> None:
    path = rows / "labels-2400.parquet"
    cells = bench.replicates.cells_of(str(path))
    found = bench.replicates.f1(cells.shape)(cells.reshape(1, -1)).reshape(cells.shape[:2])
    names = sorted(pd.read_parquet(path)["y_true"].unique())
    for k, (_, part) in enumerate(pd.read_parquet(path).groupby("region")):
        expected = f1_score(part["y_true"], part["y_pred"], labels=names, average=None, zero_division=0)
        np.testing.assert_allclose(found[k], expected, atol=1e-12)


def test_options_reach_the_benchmarks(bench: SimpleNamespace) -> None:
    given = Namespace(rows="1e5", repeats=None, data=None, results=Path("r"), aequitas="python", big=True)
    assert bench.run.passed_on("scan", given) == ["--rows", "1e5", "--results", "r", "--big"]
    assert bench.run.passed_on("peers", given) == [
        "--rows",
        "1e5",
        "--results",
        "r",
        "--aequitas",
        "python",
        "--big",
    ]
    assert bench.measuring.parser_of("Doc.", 7).parse_args(["--rows", "1e5"]).rows == 100_000


def _ran(names: list[str], folder: Path) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    """The benchmarks on 2,400 rows, once each, and what they saved."""
    command = [sys.executable, str(FOLDER / "run.py"), *names, "--rows", "2400", "--repeats", "1",
               "--results", str(folder / "results"), "--data", str(folder / "rows")]  # fmt: skip
    own = {k: v for k, v in os.environ.items() if k != "PYTHONSAFEPATH"}  # scripts find their neighbours
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=own)
    return done, {
        p.stem: json.loads(p.read_text(encoding="utf-8")) for p in (folder / "results").glob("*.json")
    }


def test_a_benchmark_runs_small_and_leaves_the_page_alone(tmp_path: Path) -> None:
    page = (FOLDER.parent / "docs" / "performance.md").read_bytes()
    done, saved = _ran(["scores"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert (saved["scores"]["rows"], saved["scores"]["repeats"]) == (2400, 1)
    assert saved["scores"]["machine"]["cores"] >= 1
    assert saved["scores"]["versions"]["duckdb"] == duckdb.__version__
    assert "== scores" in done.stdout  # the table, printed
    assert "| with scores |" in done.stdout
    assert (FOLDER.parent / "docs" / "performance.md").read_bytes() == page


def test_an_unknown_benchmark_is_named(bench: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.run.main(["scam"]) == 2
    assert "called scam" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("name", ["engines", "gate", "peers", "scan", "startup", "wide"])
def test_every_benchmark_runs_small(name: str, tmp_path: Path) -> None:
    if not (FOLDER / f"bench_{name}.py").exists():
        pytest.skip(f"bench_{name}.py is not there")
    done, saved = _ran([name], tmp_path)
    assert done.returncode == 0, done.stderr
    assert name in saved
