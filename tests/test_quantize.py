"""Bases in 4 and 8 bits: what transformers is told, and, where bitsandbytes is installed, the whole repair."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("peft")

import models
import torch

from fairaudit.errors import FairauditError
from fairaudit_mitigate import mitigate, predict
from fairaudit_mitigate import quantize as module
from fairaudit_mitigate.classifier import Request, load

HERE = find_spec("bitsandbytes") is not None


@pytest.mark.parametrize("bits", ["4bit", "8bit"])
def test_what_transformers_is_told(bits: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for the library: the weights are read as they are, and what was asked for is looked at."""
    from transformers import AutoModelForSequenceClassification

    asked: dict[str, Any] = {}
    inner = AutoModelForSequenceClassification.from_pretrained

    def reads(*args: Any, quantization_config: Any, **kwargs: Any) -> Any:
        asked.update(quantization_config.to_dict())
        return inner(*args, **kwargs)

    monkeypatch.setattr(module, "find_spec", lambda name: name)
    monkeypatch.setattr(AutoModelForSequenceClassification, "from_pretrained", reads)
    load(models.save_model("llama", tmp_path / "m"), Request("text", ("0", "1"), quantize=bits))
    assert asked["load_in_4bit"] is (bits == "4bit")
    assert asked["load_in_8bit"] is (bits == "8bit")
    assert asked["llm_int8_skip_modules"] == ["score"]
    if bits == "4bit":
        assert (asked["bnb_4bit_quant_type"], asked["bnb_4bit_use_double_quant"]) == ("nf4", True)


def test_without_the_library_it_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    folder = models.save_model("llama", tmp_path / "m")
    with pytest.raises(FairauditError, match="--quantize 4bit needs the package bitsandbytes"):
        load(folder, Request("text", ("0", "1"), quantize="4bit"))
    config = json.loads((folder / "config.json").read_text())
    stored = {"quantization_config": {"quant_method": "bitsandbytes", "load_in_8bit": True}}
    (folder / "config.json").write_text(json.dumps(config | stored))
    with pytest.raises(FairauditError, match=r"in bits of bitsandbytes needs the package"):
        load(folder, Request("text", ("0", "1")))


@pytest.mark.skipif(not HERE, reason="bitsandbytes is not installed")
@pytest.mark.filterwarnings("ignore")  # of a library that is still finding its words
@pytest.mark.parametrize("bits", ["4bit", "8bit"])
def test_a_quantised_base_is_repaired_and_read_back(
    bits: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for size in ("hidden_size", "intermediate_size"):  # its kernels are made for blocks of 32 and more
        monkeypatch.setitem(models._SMALL, size, 64)
    model, data = models.save_model("bert", tmp_path / "m", head=False), models.save_texts(tmp_path / "d.csv")
    done = mitigate(
        model, data, out=tmp_path / "out", sensitive=["sex"], quantize=bits, lr=2e-2, epochs=10, batch_size=20, rank=4
    )  # fmt: skip
    before, after = (a.estimate("accuracy").value for a in (done.before, done.after))
    assert after > before + 0.2
    assert predict(tmp_path / "out/adapter", data, split="test")["loss"].mean() < 0.6
    found = load(tmp_path / "out/adapter", Request("text")).model
    kinds = {type(m).__name__ for n, m in found.named_modules() if n.endswith("query.base_layer")}
    assert kinds == {"Linear4bit" if bits == "4bit" else "Linear8bitLt"}
    head = [m for n, m in found.named_modules() if n.endswith("classifier.modules_to_save.default")]
    assert [type(m) for m in head] == [torch.nn.Linear]
    assert "bitsandbytes" in sys.modules
