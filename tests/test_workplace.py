"""The folder of the work in progress: one process at a time, resumed only as it was begun, never half-published."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

from fairaudit.errors import FairauditError
from fairaudit_mitigate.voice import SILENT, Voice
from fairaudit_mitigate.workplace import workplace


def checkpoint(training: Path, step: int, complete: bool = True) -> None:
    folder = training / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    (folder / "optimizer.pt").touch()
    if complete:
        (folder / "complete.json").write_text("{}")


def interrupted(out: Path, *steps: int, error: BaseException | None = None) -> list[str]:
    """What is said where a run with these checkpoints ends with this error."""
    said: list[str] = []
    failure = error or RuntimeError("pulled the plug")
    with pytest.raises(type(failure)), workplace(out, False, Voice(said.append)) as place:  # noqa: PT012
        place.agree("arguments", {"settings": {"lr": 0.1, "targets": ("a",)}, "rank": 2, "model": "m"})
        (place.result / "predictions_before.parquet").write_text("good")
        (place.result / "adapter").mkdir()
        for step in steps:
            checkpoint(place.training, step)
        raise failure
    return said


def test_a_whole_result_is_published_and_nothing_else_stays(tmp_path: Path) -> None:
    with workplace(tmp_path / "new/out", False, SILENT) as place:
        (place.result / "a").write_text("1")
        checkpoint(place.training, 3)
        assert not (tmp_path / "new/out").exists()
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["out"]
    assert [p.name for p in (tmp_path / "new/out").iterdir()] == ["a"]


@pytest.mark.parametrize("error", [RuntimeError("no"), FairauditError("no."), KeyboardInterrupt()])
def test_without_a_checkpoint_nothing_is_left(error: BaseException, tmp_path: Path) -> None:
    assert interrupted(tmp_path / "out", error=error) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [RuntimeError("no"), FairauditError("no."), KeyboardInterrupt()])
def test_with_a_checkpoint_the_run_is_kept_and_said(error: BaseException, tmp_path: Path) -> None:
    [said] = interrupted(tmp_path / "out", 9, 10, error=error)
    assert "checkpoint of step 10 is kept" in said
    assert "--resume" in said
    assert [p.name for p in tmp_path.iterdir()] == [".out.part"]


def test_an_unfinished_run_is_not_run_over(tmp_path: Path) -> None:
    interrupted(tmp_path / "out", 5)
    with (
        pytest.raises(FairauditError, match=r"stands at step 5; --resume .* removing '.*out.part'"),
        workplace(tmp_path / "out", False, SILENT),
    ):
        pass
    assert (tmp_path / ".out.part/training/checkpoint-5/complete.json").exists()


def test_what_was_cut_short_is_no_checkpoint(tmp_path: Path) -> None:
    """A process killed before its first complete checkpoint: the next one starts anew, with or without --resume."""
    place = tmp_path / ".out.part"
    checkpoint(place / "training", 5, complete=False)
    said: list[str] = []
    with workplace(tmp_path / "out", True, Voice(said.append)) as found:
        assert not found.resumes
        assert not found.training.exists()
    assert said == [f"nothing to resume for '{tmp_path / 'out'}': the run starts at the beginning."]


def test_a_resumed_run_finds_what_is_good_and_only_that(tmp_path: Path) -> None:
    interrupted(tmp_path / "out", 5)
    with workplace(tmp_path / "out", True, SILENT) as place:
        assert place.resumes
        assert [p.name for p in place.result.iterdir()] == ["predictions_before.parquet"]
        assert (place.training / "checkpoint-5").exists()
        place.agree("arguments", {"settings": {"lr": 0.1, "targets": ["a"]}, "rank": 2, "model": "m"})


CHANGES = {
    "one": (
        {"settings": {"lr": 0.2, "targets": ["a"]}, "rank": 2, "model": "m"},
        "settings.lr was 0.1 and is 0.2",
    ),
    "gone": ({"settings": {"lr": 0.1}, "rank": 2, "model": "m"}, r'settings.targets was \["a"\] and is null'),
    "new": (
        {"settings": {"lr": 0.1, "targets": ["a"]}, "rank": 2, "model": "m", "x": 1},
        "x was null and is 1",
    ),
    "many": ({"settings": {"lr": 1, "targets": []}, "rank": 3, "model": "n"}, "and 1 more"),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_run_is_not_resumed_as_another_one(case: str, tmp_path: Path) -> None:
    interrupted(tmp_path / "out", 5)
    now, message = CHANGES[case]
    with (
        pytest.raises(FairauditError, match=message) as caught,
        workplace(tmp_path / "out", True, SILENT) as place,
    ):
        place.agree("arguments", now)
    assert "the same arguments only" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert json.loads((tmp_path / ".out.part/arguments.json").read_text())["rank"] == 2
    assert (tmp_path / ".out.part/training/checkpoint-5").exists()


def test_one_process_at_a_time_and_the_lock_dies_with_it(tmp_path: Path) -> None:
    code = """
import os, sys, signal
from pathlib import Path
from fairaudit_mitigate.voice import SILENT
from fairaudit_mitigate.workplace import workplace
with workplace(Path(sys.argv[1]), False, SILENT) as place:
    print("in", flush=True)
    sys.stdin.read()
"""
    out = tmp_path / "out"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(out)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "in\n"
        with (
            pytest.raises(FairauditError, match="another process is writing") as caught,
            workplace(out, True, SILENT),
        ):
            pass
        assert "\n" not in str(caught.value)
        other.kill()
    with workplace(out, False, SILENT) as place:
        (place.result / "mine").touch()
    assert [p.name for p in out.iterdir()] == ["mine"]


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(FairauditError, match="exists"), workplace(tmp_path / "out", False, SILENT):
        pass
    (tmp_path / "file").touch()
    with pytest.raises(FairauditError, match="cannot write"), workplace(tmp_path / "file/out", False, SILENT):
        pass
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(FairauditError, match="exists"), workplace(tmp_path / "link", False, SILENT):
        pass
