"""Reports of training: what arrives at TensorBoard and MLflow, and the sentence where they are missing."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("peft")

import models  # noqa: E402

from fairaudit.errors import FairauditError  # noqa: E402
from fairaudit_mitigate import mitigate, reporting  # noqa: E402

QUICK: dict[str, Any] = {"epochs": 2, "batch_size": 20, "lr": 1e-2, "rank": 2, "sensitive": ["sex"]}
GROUP = "class=0 & sex=F"


def works(name: str) -> bool:
    try:
        importlib.import_module(name)
    except ImportError:
        return False
    return True


def reported(folder: Path, **options: Any) -> Path:
    model, data = models.save_model("bert", folder / "m"), models.save_texts(folder / "d.csv")
    mitigate(model, data, out=folder / "out", **(QUICK | options))
    return folder / "out"


def history(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "history.jsonl").read_text().splitlines()]


@pytest.mark.skipif(not works("torch.utils.tensorboard"), reason="no tensorboard")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_gets_groups_each_step_and_the_panel_each_evaluation(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    out = reported(tmp_path, report_to=("tensorboard",))
    events = EventAccumulator(str(out / "logs/tensorboard"))
    events.Reload()
    tags = events.Tags()["scalars"]
    steps = [h for h in history(out) if "objective" in h]
    looks = [h for h in history(out) if "validation" in h]
    penalties = {e.step: e.value for e in events.Scalars(next(t for t in tags if t.endswith("penalty")))}
    assert penalties == pytest.approx({h["step"]: h["penalty"] for h in steps}, rel=1e-5)
    name = next(t for t in tags if "group_loss" in t and "0" in t and t.endswith("F"))
    assert {e.step: e.value for e in events.Scalars(name)} == pytest.approx(
        {h["step"]: h["group_losses"][GROUP] for h in steps}, rel=1e-5
    )
    worst = [e.value for e in events.Scalars("eval/worst_group_accuracy")]
    assert worst == pytest.approx([h["validation"]["worst_group_accuracy"] for h in looks])
    assert {"eval/eod_max/sex", "eval/recall_min/class", "eval/loss_variance/sex"} <= set(tags)


@pytest.mark.skipif(not works("mlflow"), reason="no mlflow that loads")
@pytest.mark.filterwarnings("ignore")
def test_mlflow_gets_the_same_in_the_folder_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    out = reported(tmp_path, report_to=("mlflow",))
    mlflow.set_tracking_uri((out / "logs/mlflow").as_uri())
    client = mlflow.MlflowClient()
    [run] = client.search_runs([e.experiment_id for e in client.search_experiments()])
    name = next(m for m in run.data.metrics if m.endswith("penalty"))
    found = {m.step: m.value for m in client.get_metric_history(run.info.run_id, name)}
    assert found == pytest.approx({h["step"]: h["penalty"] for h in history(out) if "objective" in h})
    assert "eval_eod_max/sex" in run.data.metrics


@pytest.mark.parametrize("error", [ModuleNotFoundError("no"), ImportError("half of it is gone")])
def test_a_missing_library_is_one_sentence(error: ImportError, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise error

    monkeypatch.setattr(reporting, "_import", absent)
    with pytest.raises(FairauditError, match="--report-to mlflow needs mlflow") as caught:
        mitigate("no/model", "no/data", out="nowhere", report_to=("mlflow",))
    assert "\n" not in str(caught.value)
    assert not Path("nowhere").exists()


def test_another_reporter_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(FairauditError, match=r"not 'tensorbord'.*Did you mean 'tensorboard'"):
        mitigate("no/model", "no/data", out="nowhere", report_to=("tensorbord",))
