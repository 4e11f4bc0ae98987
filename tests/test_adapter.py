"""Where LoRA goes, for every family of models; what is trained; overrides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("peft")

import models

from fairaudit.errors import FairauditError
from fairaudit_mitigate.adapter import add_adapter, head_names, leaves, lora_targets, train_everything
from fairaudit_mitigate.classifier import Request, load

EXPECTED = {
    "vit": (12, ["q_proj", "k_proj", "v_proj", "o_proj", "fc1", "fc2"]),
    "dinov2": (12, ["q_proj", "k_proj", "v_proj", "o_proj", "fc1", "fc2"]),
    "clip": (12, ["k_proj", "v_proj", "q_proj", "out_proj", "fc1", "fc2"]),
    "swin": (12, ["query", "key", "value", "dense"]),
    "bert": (12, ["query", "key", "value", "dense"]),
    "llama": (14, ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]),
}


def model_of(kind: str, folder: Path) -> Any:
    request = Request("text" if kind in ("bert", "llama") else "image", ("0", "1"))
    return load(models.save_model(kind, folder / kind), request).model


@pytest.mark.parametrize("kind", EXPECTED)
def test_targets_are_the_projections_of_the_blocks(kind: str, tmp_path: Path) -> None:
    model = model_of(kind, tmp_path)
    found = lora_targets(model)
    heads = head_names(model)
    assert (len(found), leaves(found)) == EXPECTED[kind]
    assert heads == (("score",) if kind == "llama" else ("classifier",))
    assert not any(name.startswith(heads) for name in found)


@pytest.mark.parametrize("kind", EXPECTED)
def test_only_the_adapter_and_the_head_are_trained(kind: str, tmp_path: Path) -> None:
    model = model_of(kind, tmp_path)
    total = sum(p.numel() for p in model.parameters())
    wrapped, adaptation = add_adapter(model, rank=2, alpha=4, dropout=0.0)
    trained = [n for n, p in wrapped.named_parameters() if p.requires_grad]
    assert all("lora_" in n or "modules_to_save" in n for n in trained)
    assert sum("lora_" in n for n in trained) == 2 * len(adaptation.targets)
    assert adaptation.trainable == sum(p.numel() for p in wrapped.parameters() if p.requires_grad)
    added = sum(p.numel() for n, p in wrapped.named_parameters() if "lora_" in n)
    assert adaptation.total == total + added
    assert f"{adaptation.trainable:,} of {adaptation.total:,}" in str(adaptation)


def test_targets_can_be_named(tmp_path: Path) -> None:
    model = model_of("vit", tmp_path)
    assert leaves(lora_targets(model, ["q_proj", "v_proj"])) == ["q_proj", "v_proj"]
    assert lora_targets(model, ["layers.1.mlp.fc1"]) == ("vit.layers.1.mlp.fc1",)


def test_a_target_that_matches_nothing_is_refused(tmp_path: Path) -> None:
    model = model_of("vit", tmp_path)
    with pytest.raises(FairauditError, match=r"'qproj'.*q_proj"):
        lora_targets(model, ["v_proj", "qproj"])
    with pytest.raises(FairauditError, match="'classifier'"):
        lora_targets(model, ["classifier"])


def test_full_fine_tuning_trains_everything(tmp_path: Path) -> None:
    adaptation = train_everything(model_of("vit", tmp_path))
    assert adaptation.trainable == adaptation.total
