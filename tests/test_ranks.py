"""Two processes train one model: who speaks, and that they come to what one process comes to."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("peft")

import models  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

from fairaudit.errors import FairauditError  # noqa: E402
from fairaudit_mitigate import ranks  # noqa: E402


def test_who_leads(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert (ranks.world(), ranks.leads()) == (1, True)
    monkeypatch.setenv("WORLD_SIZE", "4")  # of somebody else: no launcher of torch has set a local rank
    monkeypatch.setenv("RANK", "3")
    assert (ranks.world(), ranks.leads()) == (1, True)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert (ranks.world(), ranks.leads()) == (4, False)
    monkeypatch.setenv("RANK", "0")
    assert ranks.leads()


def test_the_others_leave_silently_unless_it_was_in_training(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("RANK", "1"), ("LOCAL_RANK", "1"), ("WORLD_SIZE", "2")):
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit), ranks.silent_unless_leading():
        raise FairauditError("said by the lead already.")
    with pytest.raises(FairauditError, match="here alone"), ranks.silent_unless_leading(), ranks.together():
        raise FairauditError("not finite, here alone.")
    with pytest.raises(FairauditError, match="another process"), ranks.together():
        raise RuntimeError("[gloo] Connection closed by peer [127.0.0.1]:1234")


ARGUMENTS = ("--epochs", "4", "--lr", "1e-3", "--rank", "2", "--penalty", "0.5", "-s", "place")


def start(folder: Path, *arguments: str, processes: int) -> subprocess.CompletedProcess[str]:
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node", str(processes)] if processes > 1 else []
    command = [sys.executable, *launcher, "-m", "fairaudit_cli.main", "mitigate", *arguments, *ARGUMENTS]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def logits(table: Path) -> np.ndarray:
    found = pd.read_parquet(table)
    return np.log(found["prob_1"].to_numpy() / found["prob_0"].to_numpy())


@pytest.mark.slow
def test_two_ranks_come_to_what_one_process_comes_to(tmp_path: Path) -> None:
    """A step holds the whole training set either way, so the order of the rows cannot matter.

    Tolerance: 1e-4 of the largest change of a logit: Adam turns float32's rounding of small gradients into more.
    """
    model, data = models.save_model("vit", tmp_path / "m"), models.save_images(tmp_path / "d")
    shared = (str(model), str(data), "--device", "cpu")
    two = start(tmp_path, *shared, "--batch-size", "20", "--out", "two", processes=2)
    assert two.returncode == 0, two.stderr
    assert two.stdout.count("What came of it") == 1
    assert two.stderr.count("everything is in two") == 1
    one = start(tmp_path, *shared, "--batch-size", "40", "--out", "one", processes=1)
    assert one.returncode == 0, one.stderr
    before, expected, found = (
        logits(tmp_path / name)
        for name in (
            "one/predictions_before.parquet",
            "one/predictions_after.parquet",
            "two/predictions_after.parquet",
        )
    )
    change = np.abs(expected - before).max()
    assert change > 0.01
    assert np.abs(found - expected).max() <= 1e-4 * max(1.0, change)
    again = start(tmp_path, *shared, "--batch-size", "20", "--out", "two", processes=2)
    assert again.returncode != 0
    assert again.stderr.count("error: the output 'two' exists") == 1
