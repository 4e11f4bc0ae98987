"""The benchmark of training: its bounds are right, its workers take turns, its page says what was measured."""

from __future__ import annotations

import importlib
import io
import json
import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import models
import numpy as np
import pytest
from PIL import Image
from scipy.stats import binom

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"
pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason="the benchmarks are not part of an installed package"
)


@pytest.fixture(scope="module")
def bench() -> Iterator[SimpleNamespace]:
    """The modules of the benchmark; their folder leaves the path again."""
    sys.path.insert(0, str(FOLDER))
    names = ("bench_training", "performance_training", "performance_targets")
    try:
        yield SimpleNamespace(**{name: importlib.import_module(name) for name in names})
    finally:
        sys.path.remove(str(FOLDER))


@pytest.mark.parametrize("n", [5, 6, 20, 200])
def test_bounds_are_the_order_statistics_of_the_sign_test(bench: SimpleNamespace, n: int) -> None:
    values = [float(v) for v in np.random.default_rng(n).permutation(n)]
    found = bench.bench_training.bounds(values)
    rank = max(k for k in range(1, n) if binom.cdf(k - 1, n, 0.5) <= 0.05)
    assert (found["low"], found["high"]) == (rank - 1, n - rank)
    assert found["median"] == float(np.median(values))
    if n == 200:  # P(B(200, 1/2) ≤ 87) = 0.038 and P(≤ 88) = 0.052: the 88th value from either end
        assert (found["low"], found["high"]) == (87.0, 112.0)


def test_the_upper_bound_holds_the_median_nineteen_times_in_twenty(bench: SimpleNamespace) -> None:
    draw = np.random.default_rng(0)
    inside = [
        bench.bench_training.bounds(draw.exponential(size=31))["high"] >= math.log(2) for _ in range(2000)
    ]
    assert 0.94 <= np.mean(inside) <= 0.99


def test_steps_of_the_first_epoch_and_first_steps_do_not_count(bench: SimpleNamespace) -> None:
    counted = [step for step in range(1, 13) if bench.bench_training.counted(step, 4)]
    assert counted == [6, 7, 8, 10, 11, 12]


def result(bench: SimpleNamespace, turns: int) -> dict[str, Any]:
    """What the benchmark would save, of invented steps."""
    workers = {}
    for k, name in enumerate(bench.bench_training.WAYS):
        steps = [
            {"seconds": 1.0 + 0.01 * k, "cpu": 1.0, "peak_mib": 100.0, "build": 0.5} for _ in range(turns)
        ]
        workers[name] = SimpleNamespace(steps=steps)
    runs = {name: bench.bench_training.summed_up(w) for name, w in workers.items()}
    return {"batch": 32, "micro_batches": 4, "runs": runs, "ratios": bench.bench_training.compared(workers),
            "amortised": {"epochs": 4, "times": bench.bench_training.amortised(runs)}}  # fmt: skip


def test_the_page_and_its_targets_say_what_was_measured(bench: SimpleNamespace) -> None:
    found = result(bench, 200)
    assert found["ratios"]["penalty"]["median"] == pytest.approx(1.02 / 1.01, abs=1e-4)
    assert found["amortised"]["times"] == pytest.approx(4 * 1.01 / (4 * 1.05 + 0.5), abs=1e-3)
    judged = {t.key: t.met for t in bench.performance_targets.targets({"training": found})}
    assert judged["training penalty"]
    assert judged["training trainer memory"]
    assert not judged["training cached"]
    assert "| `fairlora`, one pass | 1.02 s | 31 | 100 MiB |" in bench.performance_training.training(found)


def test_few_turns_are_no_measurement(bench: SimpleNamespace) -> None:
    judged = bench.performance_targets.targets({"training": result(bench, 12)})
    assert {t.value for t in judged if t.key.startswith("training")} == {None}


@pytest.mark.slow
@pytest.mark.parametrize("whose", ["plain", "ours"])
def test_a_worker_takes_one_step_a_turn(tmp_path: Path, whose: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    model = models.save_model("dinov2", tmp_path / "model", head=False)
    draw = np.random.default_rng(0)
    images = []
    for _ in range(100):
        buffer = io.BytesIO()
        Image.fromarray(draw.integers(0, 255, (8, 8, 3)).astype(np.uint8)).save(buffer, "PNG")
        images.append({"bytes": buffer.getvalue()})
    pq.write_table(
        pa.table({"image": images, "label": [k % 10 for k in range(100)]}), tmp_path / "images.parquet"
    )
    script = [sys.executable, str(FOLDER / "training_steps.py")]
    rows = json.dumps({"rows": 16})
    subprocess.run(
        [*script, "write", str(tmp_path), str(model), str(tmp_path / "images.parquet"), rows], check=True
    )
    settings = {"epochs": 2, "batch_size": 8, "select": "accuracy"}
    if whose == "ours":
        settings |= {"method": "fairlora", "adapt": "last-1"}
    command = [*script, "run", str(tmp_path), str(model), whose, json.dumps(settings)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as worker:
        said = []
        assert worker.stdin is not None
        assert worker.stdout is not None
        for _ in range(4):
            said.append(json.loads(worker.stdout.readline()))
            worker.stdin.write("\n")
            worker.stdin.flush()
        assert worker.wait(60) == 0
    assert [one["step"] for one in said] == [1, 2, 3, 4]
    assert all(one["seconds"] > 0 and one["peak_mib"] > 10 for one in said)
    assert (said[-1]["build"] is not None) == (whose == "ours")
