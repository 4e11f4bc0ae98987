"""The gradient of a step against full-batch autograd through the oracle, however the step is cut."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

import gradient_runs as runs  # noqa: E402

LIMIT = {"float64": 1e-9, "float32": 1e-5}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("dtype", LIMIT)
@pytest.mark.parametrize("accumulate", [1, 2, 4, 8])
@pytest.mark.parametrize("name", runs.CASES)
def test_accumulated_gradient_is_that_of_the_full_batch(name: str, accumulate: int, dtype: str) -> None:
    found = runs.run(name, accumulate, getattr(torch, dtype))
    wanted = runs.expected(name, [found], getattr(torch, dtype))
    assert [len(b) for b in found["batches"]] == [accumulate] * runs.STEPS
    assert min(w.norm() for w in wanted) > 0.01
    assert runs.worst(found["gradients"], wanted) <= LIMIT[dtype]
    assert len(found["history"]) == runs.STEPS


@pytest.mark.parametrize("accumulate", [1, 4])
@pytest.mark.parametrize("name", runs.CASES)
def test_with_dropout_both_passes_see_the_same_model(name: str, accumulate: int) -> None:
    found = runs.run(name, accumulate, torch.float64, dropout=0.5)
    wanted = runs.expected(name, [found], torch.float64, dropout=0.5)
    assert runs.worst(found["gradients"], wanted) <= 1e-9


def test_the_data_hold_the_hard_cases() -> None:
    """What the gradients above are to prove: a group of one row, an absent one, none, uneven parts."""
    batches = runs.run("paper", 4, torch.float64)["batches"]
    for step in batches:
        groups = [runs.group_of(r) for b in step for r in b]
        assert groups.count(4) == 1
        assert -1 in groups
        assert 5 not in groups
        assert len({len(b) for b in step}) > 1
        assert {runs.group_of(r) for r in step[0]} != {runs.group_of(r) for r in step[1]}


@pytest.mark.slow
def test_two_ranks_have_the_gradient_of_the_full_batch(tmp_path: Path) -> None:
    both = on_two_ranks(tmp_path)
    for key in runs.PLAN:
        name, _, dtype, dropout = key
        ranks = [rank[key] for rank in both]
        wanted = runs.expected(name, ranks, getattr(torch, dtype), dropout)
        for rank in ranks:
            assert runs.worst(rank["gradients"], wanted) <= LIMIT[dtype], key
        assert ranks[0]["history"] == ranks[1]["history"]
        if ranks[0]["memory"] is not None:
            assert torch.equal(ranks[0]["memory"], ranks[1]["memory"])
    absent = [{runs.group_of(r) for b in rank["batches"][0] for r in b} for rank in ranks]
    assert 3 in absent[0] - absent[1]


def on_two_ranks(folder: Path) -> list[dict[object, dict[str, object]]]:
    """What two processes of one gloo group recorded."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    tests = Path(runs.__file__).parent
    shared = {
        "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([str(tests), *sys.path]),
    }  # fmt: skip
    command = [sys.executable, str(tests / "gradient_runs.py"), str(folder)]
    ranks = [
        subprocess.Popen(command, env={**os.environ, **shared, "RANK": str(r), "LOCAL_RANK": str(r)})
        for r in range(2)
    ]
    assert [rank.wait(timeout=1800) for rank in ranks] == [0, 0]
    return [torch.load(folder / f"{r}.pt", weights_only=False) for r in range(2)]
