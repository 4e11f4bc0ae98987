"""Every family of models goes predict, mitigate, save, reload, re-audit, and comes out better than it went in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("peft")

import models
import pandas as pd
import torch
from safetensors.torch import load_file

from fairaudit_mitigate import Mitigation, mitigate, predict

QUICK: dict[str, Any] = {"epochs": 10, "batch_size": 20, "lr": 2e-2, "rank": 4}
#: kind -> whether the checkpoint has a classifier's head. Without: DINO (`ViTModel`), the whole `CLIPModel`, ….
KINDS = {
    "vit": True, "vit-backbone": False, "dinov2": False, "clip": False, "swin": True, "resnet": True, "convnext": False,
    "regnet": True, "bert": False, "roberta": True, "llama": False, "mistral": True, "gpt2": False,
}  # fmt: skip


def repaired(kind: str, folder: Path, **options: Any) -> Mitigation:
    """The model of a kind, repaired on its data in `folder/out`."""
    family = kind.removesuffix("-backbone")
    model = models.save_model(family, folder / "m", head=KINDS[kind])
    is_text = family in models.TEXTS
    data = models.save_texts(folder / "d.csv") if is_text else models.save_images(folder / "d")
    attribute = "sex" if is_text else "place"
    return mitigate(model, data, out=folder / "out", sensitive=[attribute], **(QUICK | options))


@pytest.mark.parametrize("method", ["lora", "fairlora"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_artefact_read_back_is_better(kind: str, method: str, tmp_path: Path) -> None:
    done = repaired(kind, tmp_path, method=method, merge=method == "lora")
    attribute = done.manifest["arguments"]["sensitive"][0]
    for metric, by in (("accuracy", "overall"), ("worst_group_accuracy", attribute)):
        before, after = (a.estimate(metric, by=by).value for a in (done.before, done.after))
        assert after >= before + 0.2, metric
    written = pd.read_parquet(tmp_path / "out/predictions_after.parquet")
    for place in ("adapter", "merged")[: 1 + (method == "lora")]:
        again = predict(tmp_path / "out" / place, done.manifest["arguments"]["data"], split="test")
        assert again["loss"].to_list() == pytest.approx(written["loss"].to_list(), abs=1e-4)


@pytest.mark.parametrize("kind", ["resnet", "regnet"])
@pytest.mark.parametrize("method", ["lora", "fft"])
def test_the_statistics_of_norms_are_the_bases_unless_all_is_trained(
    kind: str, method: str, tmp_path: Path
) -> None:
    repaired(kind, tmp_path, method=method, merge=method == "lora", max_steps=2, rank=8)  # the default
    before = load_file(tmp_path / "m/model.safetensors")
    after = load_file(tmp_path / "out" / ("merged" if method == "lora" else "model") / "model.safetensors")
    moved = {n for n in before if "running" in n and not torch.equal(before[n], after[n])}
    assert bool(moved) is (method == "fft")
    assert any(n.endswith("convolution.weight") and not torch.equal(before[n], after[n]) for n in before)


@pytest.mark.skipif(not models.SHARED.is_dir(), reason="the real models stand in ../shared/data")
def test_the_real_llama_learns_and_is_read_back(tmp_path: Path) -> None:
    data = models.save_texts(tmp_path / "d.csv")
    done = mitigate(
        models.SHARED / "models/stories260K-llama", data, out=tmp_path / "out", sensitive=["sex"],
        method="fairlora", merge=True, lr=5e-3, epochs=6, batch_size=20,
    )  # fmt: skip
    before, after = (a.estimate("worst_group_accuracy", by="sex").value for a in (done.before, done.after))
    assert after >= before + 0.3
    assert done.manifest["results"]["heads"] == ["score"]
    assert len(done.manifest["results"]["targets"]) == 35
