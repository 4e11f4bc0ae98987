"""Where LoRA goes, for every family of models; what is trained; overrides."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("peft")

import models
import torch
from safetensors.torch import load_file, save_file

from fairaudit.errors import FairauditError
from fairaudit_mitigate.adapter import add_adapter, head_names, leaves, lora_targets, train_everything
from fairaudit_mitigate.artefact import save
from fairaudit_mitigate.classifier import Request, load
from fairaudit_mitigate.weights import ADAPTER_WEIGHTS as WEIGHTS

EXPECTED = {
    "vit": (12, ["q_proj", "k_proj", "v_proj", "o_proj", "fc1", "fc2"]),
    "dinov2": (12, ["q_proj", "k_proj", "v_proj", "o_proj", "fc1", "fc2"]),
    "clip": (12, ["k_proj", "v_proj", "q_proj", "out_proj", "fc1", "fc2"]),
    "swin": (12, ["query", "key", "value", "dense"]),
    "bert": (12, ["query", "key", "value", "dense"]),
    "llama": (14, ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]),
    "mistral": (14, ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]),
    "gpt2": (8, ["c_attn", "c_proj", "c_fc"]),
    "resnet": (10, ["convolution"]),
    "convnext": (6, ["pwconv1", "pwconv2"]),
    "regnet": (14, ["convolution", "0", "2"]),
}


def model_of(kind: str, folder: Path) -> Any:
    request = Request("text" if kind in models.TEXTS else "image", ("0", "1"))
    return load(models.save_model(kind, folder / kind), request).model


@pytest.mark.parametrize("kind", EXPECTED)
def test_targets_are_the_projections_of_the_blocks(kind: str, tmp_path: Path) -> None:
    model = model_of(kind, tmp_path)
    found = lora_targets(model)
    heads = head_names(model)
    assert (len(found), leaves(found)) == EXPECTED[kind]
    assert heads == (("score",) if kind in models.DECODERS else ("classifier",))
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


def test_grouped_convolutions_are_left_out_and_refused(tmp_path: Path) -> None:
    model = model_of("convnext", tmp_path)
    with pytest.raises(
        FairauditError, match=r"'dwconv' \(a grouped convolution cannot be merged\); .*pwconv1"
    ):
        lora_targets(model, ["dwconv"])
    model = model_of("regnet", tmp_path)
    grouped = {n for n, m in model.named_modules() if getattr(m, "groups", 1) > 1}
    assert len(grouped) == 3
    assert not grouped & set(lora_targets(model))


class Torch(torch.nn.Module):
    """torch's own transformer: in eval mode its layers read the weights of their parts, not the parts."""

    def __init__(self) -> None:
        super().__init__()
        layer = torch.nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
        self.body = torch.nn.TransformerEncoder(layer, 2)
        self.fc = torch.nn.Linear(8, 2)

    def forward(self, x: Any) -> Any:
        return self.fc(self.body(x).mean(dim=1))


@pytest.mark.parametrize("wanted", [(), ("linear1",), ("self_attn",)])
def test_lora_on_torch_transformers_counts_in_eval_mode_too(wanted: tuple[str, ...]) -> None:
    torch.manual_seed(0)
    wrapped, adaptation = add_adapter(Torch(), rank=2, alpha=4, dropout=0.0, wanted=wanted)
    assert not any("out_proj" in n for n in adaptation.targets)
    assert leaves(adaptation.targets) == list(wanted or ("self_attn", "linear1", "linear2"))
    x = torch.randn(3, 5, 8)
    with torch.no_grad():
        plain = wrapped.eval()(x)
        for name, p in wrapped.named_parameters():
            if "lora_B" in name:
                p.normal_()
    for p in wrapped.parameters():
        p.grad = None
    trained = wrapped.train()(x)
    trained.sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in wrapped.parameters() if p.requires_grad)
    with torch.inference_mode():
        assert torch.allclose(wrapped.eval()(x), trained, atol=1e-6)
    assert (trained - plain).abs().max() > 0.01


def test_a_network_without_blocks_takes_lora_wherever_it_can() -> None:
    net = torch.nn.Sequential()
    net.add_module(
        "body", torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Flatten(), torch.nn.Linear(16, 8))
    )
    net.add_module("fc", torch.nn.Linear(8, 2))
    assert lora_targets(net) == ("body.0", "body.2")
    net.head_modules = ("body.2", "fc")
    assert lora_targets(net) == ("body.0",)
    with pytest.raises(FairauditError, match="can take it: 0"):
        lora_targets(net, ["fc"])


def test_full_fine_tuning_trains_everything(tmp_path: Path) -> None:
    adaptation = train_everything(model_of("vit", tmp_path))
    assert adaptation.trainable == adaptation.total


def saved_adapter(folder: Path, *, head: bool = True) -> Path:
    """An untrained adapter on a BERT, with or without a head in its base."""
    found = load(models.save_model("bert", folder / "m", head=head), Request("text", ("0", "1")))
    wrapped, _ = add_adapter(found.model, rank=2, alpha=4, dropout=0.0, fresh=found.fresh_modules)
    return save(wrapped, found, folder)


def drop(file: Path, part: str) -> None:
    save_file({k: v for k, v in load_file(file).items() if part not in k}, file)


def test_an_adapter_brings_the_head_its_base_lacks(tmp_path: Path) -> None:
    place = saved_adapter(tmp_path, head=False)
    assert not load(place, Request("text")).fresh_head
    drop(place / WEIGHTS, ".classifier.")
    config = json.loads((place / "adapter_config.json").read_text())
    (place / "adapter_config.json").write_text(json.dumps(config | {"modules_to_save": None}))
    with pytest.raises(FairauditError, match=r"lacks 2 tensors .*first: classifier\.bias"):
        load(place, Request("text"))


@pytest.mark.parametrize("part", [".classifier.", "lora_A"])
def test_an_adapter_without_all_its_tensors_is_refused(part: str, tmp_path: Path) -> None:
    place = saved_adapter(tmp_path)
    assert load(place, Request("text")).is_adapter
    drop(place / WEIGHTS, part)
    with pytest.raises(FairauditError, match="the adapter"):
        load(place, Request("text"))


def test_broken_adapters_are_one_sentence(tmp_path: Path) -> None:
    place = saved_adapter(tmp_path)
    whole = (place / WEIGHTS).read_bytes()
    (place / WEIGHTS).write_bytes(whole[:-100])
    with pytest.raises(FairauditError, match="does not fit its base"):
        load(place, Request("text"))
    (place / WEIGHTS).rename(place / "adapter_model.bin")
    with pytest.raises(FairauditError, match="save it as safetensors"):
        load(place, Request("text"))
    for text in ("{", "[]", "{}"):
        (place / "adapter_config.json").write_text(text)
        with pytest.raises(FairauditError, match="adapter"):
            load(place, Request("text"))


def test_an_adapter_of_another_base_with_its_shapes_is_refused(tmp_path: Path) -> None:
    place = saved_adapter(tmp_path / "a")
    other = models.save_model("bert", tmp_path / "other")
    assert load(place, Request("text", base=str(other))).is_adapter  # the same weights, copied
    weights = load_file(other / "model.safetensors")
    weights["bert.encoder.layer.1.output.dense.weight"] += 1e-3
    save_file(weights, other / "model.safetensors", {"format": "pt"})
    with pytest.raises(FairauditError, match=r"trained on other weights than those of .*other.*--base"):
        load(place, Request("text", base=str(other)))


def test_another_head_on_the_base_is_no_other_base(tmp_path: Path) -> None:
    place = saved_adapter(tmp_path / "a")
    weights = load_file(tmp_path / "a/m/model.safetensors")
    weights["classifier.weight"] += 1
    save_file(weights, tmp_path / "a/m/model.safetensors", {"format": "pt"})
    assert load(place, Request("text")).is_adapter


def test_an_adapter_that_does_not_tell_its_base_is_said(tmp_path: Path) -> None:
    place = saved_adapter(tmp_path)
    said: list[str] = []
    (place / "base_fingerprint.json").unlink()
    load(place, Request("text"), said.append)
    assert any("does not say on which weights" in s for s in said)
    (place / "base_fingerprint.json").write_text("[]")
    with pytest.raises(FairauditError, match="save the adapter again"):
        load(place, Request("text"))
