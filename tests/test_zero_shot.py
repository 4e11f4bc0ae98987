"""CLIP by its text tower: the same logits as the whole CLIP, trained from there, read back without that tower."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("peft")

import models
import torch
from safetensors.torch import load_file

from fairaudit.errors import FairauditError
from fairaudit_mitigate import mitigate, predict
from fairaudit_mitigate.adapter import add_adapter
from fairaudit_mitigate.classifier import Request, load
from fairaudit_mitigate.settings import Settings

NAMES, PROMPT = ("bad", "good"), "the {} film"
ASKED = Request("image", NAMES, head="zero-shot", prompt=PROMPT)


def test_the_logits_are_those_of_the_whole_clip(tmp_path: Path) -> None:
    from transformers import CLIPModel

    folder = models.save_model("clip", tmp_path / "m", head=False)
    said: list[str] = []
    found = load(folder, ASKED, said.append)
    assert (found.labels, found.fresh_head) == (NAMES, False)
    assert any("'the bad film', 'the good film'" in s for s in said)
    pixels = torch.randn(5, 3, models.SIDE, models.SIDE)
    tokens = models.tokenizer("clip")(["the bad film", "the good film"], return_tensors="pt")
    with torch.inference_mode():
        wanted = CLIPModel.from_pretrained(folder).eval()(pixel_values=pixels, **tokens).logits_per_image
        logits = found.model(pixels).logits
    assert torch.allclose(logits, wanted, atol=1e-5)
    assert logits.std() > 1e-3


@pytest.mark.parametrize("frozen", [False, True])
def test_repaired_from_there_and_read_back_without_the_text_tower(frozen: bool, tmp_path: Path) -> None:
    model, data = models.save_model("clip", tmp_path / "m", head=False), models.save_images(tmp_path / "d")
    options: dict[str, Any] = {
        "head": "zero-shot",
        "prompt": PROMPT,
        "class_names": NAMES,
        "freeze_head": frozen,
    }
    done = mitigate(
        model, data, out=tmp_path / "out", sensitive=["place"], merge=True, lr=2e-2, epochs=8, batch_size=20, rank=4,
        **options,
    )  # fmt: skip
    zero = load(model, ASKED)
    before, after = (a.estimate("worst_group_accuracy", by="place").value for a in (done.before, done.after))
    assert after > before + 0.3
    stored = load_file(tmp_path / "out/merged/model.safetensors")
    assert not any(name.startswith("text_") for name in stored)
    same = torch.equal(stored["classifier.weight"], zero.model.classifier.weight)
    assert same is frozen
    frames = [predict(tmp_path / "out" / place, data) for place in ("adapter", "merged")]
    assert frames[0]["y_true"].unique().tolist() == ["bad", "good"]
    assert frames[0]["prob_good"].to_list() == pytest.approx(frames[1]["prob_good"].to_list(), abs=1e-5)
    assert ("frozen_head" in done.manifest["results"]) is False


def test_predict_by_the_text_tower(tmp_path: Path) -> None:
    model, data = (
        models.save_model("clip", tmp_path / "m", head=False),
        models.save_images(tmp_path / "d", n=4),
    )
    frame = predict(model, data, head="zero-shot", prompt=PROMPT, classes=NAMES)
    assert {"prob_bad", "prob_good"} <= set(frame)
    assert set(frame["y_true"]) == set(NAMES)
    assert {"prob_0", "prob_1"} <= set(predict(model, data, head="zero-shot"))
    with pytest.raises(FairauditError, match="CLIPModel"):
        predict(model, data)


def test_a_frozen_head_is_saved_and_not_trained(tmp_path: Path) -> None:
    found = load(models.save_model("vit", tmp_path / "m"), Request("image", ("0", "1")))
    wrapped, adaptation = add_adapter(found.model, rank=2, alpha=4, dropout=0.0, freeze_head=True)
    assert all("lora_" in n for n, p in wrapped.named_parameters() if p.requires_grad)
    assert "frozen head classifier" in str(adaptation)


def test_what_zero_shot_cannot_do_is_one_sentence(tmp_path: Path) -> None:
    vit = models.save_model("vit", tmp_path / "vit", head=False)
    with pytest.raises(
        FairauditError, match=r"CLIP checkpoint with its text tower, not .*'vit'.*--head linear"
    ):
        load(vit, ASKED)
    bert = models.save_model("bert", tmp_path / "bert")
    with pytest.raises(FairauditError, match="this data has texts"):
        load(bert, Request("text", NAMES, head="zero-shot"))
    tower = models.save_model("clip", tmp_path / "tower")  # CLIPForImageClassification has no text tower
    with pytest.raises(FairauditError, match=r"no text tower \(it lacks text_model"):
        load(tower, ASKED)
    clip = models.save_model("clip", tmp_path / "clip", head=False)
    for file in clip.glob("tokenizer*"):
        file.unlink()
    with pytest.raises(FairauditError, match="no tokenizer"):
        load(clip, ASKED)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"head": "zeroshot"}, "Did you mean 'zero-shot'"),
        ({"prompt": "a photo"}, "where the name of the class goes"),
        ({"class_names": ("a", "a")}, "each class once"),
        ({"quantize": "2bit"}, "4bit or 8bit, not '2bit'"),
        ({"quantize": "4bit", "method": "fft"}, "cannot be trained themselves"),
        ({"freeze_head": True, "method": "fft"}, "choose a LoRA method"),
    ],
)
def test_settings_that_do_not_go_together(given: dict[str, Any], message: str) -> None:
    with pytest.raises(FairauditError, match=message):
        Settings(**given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"class_names": ("a", "b", "c")}, r"3 names, and the train rows .* 2 classes \(0, 1\)"),
        ({"freeze_head": True, "class_names": NAMES}, "random weights: leave out --freeze-head"),
        ({"quantize": "8bit", "merge": True}, "leave out --merge or --quantize"),
    ],
)
def test_what_the_data_or_the_model_forbids(given: dict[str, Any], message: str, tmp_path: Path) -> None:
    model, data = (
        models.save_model("clip", tmp_path / "m", head=False),
        models.save_images(tmp_path / "d", n=4),
    )
    with pytest.raises(FairauditError, match=message):
        mitigate(model, data, out=tmp_path / "out", **given)
    assert not (tmp_path / "out").exists()


def test_class_names_name_a_fresh_linear_head(tmp_path: Path) -> None:
    model, data = models.save_model("clip", tmp_path / "m", head=False), models.save_images(tmp_path / "d")
    mitigate(
        model, data, out=tmp_path / "out", sensitive=["place"], class_names=NAMES, max_steps=2, batch_size=20
    )
    config = json.loads((tmp_path / "out/adapter/config.json").read_text())
    assert config["id2label"] == {"0": "bad", "1": "good"}
