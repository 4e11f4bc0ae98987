"""A run that is killed at any moment and resumed gives what an uninterrupted one gives, to the bit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("peft")

import killing  # noqa: E402
import models  # noqa: E402
import pandas as pd  # noqa: E402

from fairaudit.errors import FairauditError  # noqa: E402
from fairaudit_mitigate import Voice, mitigate  # noqa: E402

#: 40 rows, 5 batches of 8, 2 a step: 3 steps an epoch, 9 in all; both passes draw dropout.
SETTINGS: dict[str, Any] = {
    "epochs": 3, "batch_size": 8, "accumulate": 2, "lr": 1e-2, "rank": 2, "dropout": 0.3, "save_every": 1,
    "penalty": 0.5,
}  # fmt: skip


@pytest.fixture(autouse=True)
def _one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("inputs")
    model = models.save_model("vit", folder / "m")
    return {"model": str(model), "data": str(models.save_images(folder / "d"))}


@pytest.fixture(scope="module")
def whole(inputs: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the uninterrupted run with SETTINGS comes to."""
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("whole") / "out"
    mitigate(**inputs, out=out, **SETTINGS)
    return numbers(out)


def numbers(out: Path) -> dict[str, Any]:
    """Everything a run found that must not depend on having been interrupted."""
    manifest = json.loads((out / "manifest.json").read_text())
    results = manifest["results"]
    del results["seconds_training"], results["peak_memory_bytes"]
    return {
        "files": {p.name for p in out.iterdir()},
        "predictions": pd.read_parquet(out / "predictions_after.parquet").to_dict("list"),
        "weights": (out / "adapter/adapter_model.safetensors").read_bytes(),
        "history": (out / "history.jsonl").read_text(),
        "results": results,
        "audit": json.loads((out / "audit_after.json").read_text())["content_sha256"],
    }


def checkpoints(out: Path) -> list[str]:
    return sorted(p.parent.name for p in (out.parent / f".{out.name}.part/training").glob("*/complete.json"))


def resumed(inputs: dict[str, Any], out: Path, **settings: Any) -> tuple[dict[str, Any], list[str]]:
    said: list[str] = []
    mitigate(**inputs, out=out, resume=True, voice=Voice(said.append), **(SETTINGS | settings))
    assert [p.name for p in out.parent.iterdir()] == [out.name]
    return numbers(out), said


def test_killed_inside_an_epoch(inputs: dict[str, Any], whole: dict[str, Any], tmp_path: Path) -> None:
    """In the 9th micro-batch: the 5th step, inside the second epoch; the 4th is the newest checkpoint."""
    out = tmp_path / "out"
    killing.killed("step", 9, {**inputs, "out": out, **SETTINGS})
    assert not out.exists()
    assert checkpoints(out) == ["checkpoint-3", "checkpoint-4"]
    with pytest.raises(FairauditError, match="stands at step 4; --resume goes on from there"):
        mitigate(**inputs, out=out, **SETTINGS)
    found, said = resumed(inputs, out)
    assert found == whole
    assert f"resuming '{out}' after step 4." in said


OTHER_MOMENTS = [
    ("evaluation", 1, None),
    ("step", 1, None),
    ("optimiser", 1, None),
    ("optimiser", 3, 2),
    ("generators", 4, 3),
    ("rotation", 5, 4),
    ("records", 5, 4),
    ("marker", 4, 4),
    ("evaluation", 3, 5),
    ("step", 14, 7),
    ("artefact", 1, 9),
    ("reading", 1, 9),
    ("audit", 1, 9),
    ("manifest", 1, 9),
]


@pytest.mark.slow
@pytest.mark.parametrize(("point", "n", "step"), OTHER_MOMENTS)
def test_killed_at_any_other_moment(
    point: str, n: int, step: int | None, inputs: dict[str, Any], whole: dict[str, Any], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    killing.killed(point, n, {**inputs, "out": out, **SETTINGS})
    assert not out.exists()
    found, said = resumed(inputs, out)
    assert found == whole
    begun = "nothing to resume" if step is None else f"after step {step}."
    assert any(begun in s for s in said), said
