"""Checkpoints that bring Python files: refused unless asked for; then repaired, saved and read back like any."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("peft")

import models
from safetensors.torch import load_file, save_file

from fairaudit.errors import FairauditError
from fairaudit_mitigate import mitigate, predict

CODE = """
from transformers import ViTConfig, ViTForImageClassification


class OwnConfig(ViTConfig):
    model_type = "own"


class OwnNet(ViTForImageClassification):
    config_class = OwnConfig
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A ViT whose classes stand in a file of the checkpoint."""
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    folder = models.save_model("vit", tmp_path / "m")
    (folder / "own_net.py").write_text(CODE)
    config = json.loads((folder / "config.json").read_text())
    named = {"AutoConfig": "own_net.OwnConfig", "AutoModelForImageClassification": "own_net.OwnNet"}
    config |= {"model_type": "own", "architectures": ["OwnNet"], "auto_map": named}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_own_code_is_not_run_unless_asked_for(own: Path, tmp_path: Path) -> None:
    (own / "own_net.py").write_text("raise SystemExit('it was run')")
    with pytest.raises(FairauditError, match=r"code of its own.*--trust-remote-code"):
        predict(own, models.save_images(tmp_path / "d", n=2))


def test_own_code_is_repaired_and_read_back_where_trusted(own: Path, tmp_path: Path) -> None:
    data = models.save_images(tmp_path / "d")
    done = mitigate(
        own, data, out=tmp_path / "out", sensitive=["place"], trust_remote_code=True, merge=True, lr=2e-2, epochs=6,
        batch_size=20, rank=4,
    )  # fmt: skip
    assert done.after.estimate("accuracy").value > done.before.estimate("accuracy").value + 0.2
    for place in ("adapter", "merged"):
        assert len(predict(tmp_path / "out" / place, data, trust_remote_code=True)) == 120
        with pytest.raises(FairauditError, match="--trust-remote-code"):
            predict(tmp_path / "out" / place, data)


def test_weights_cut_short_are_one_sentence(tmp_path: Path) -> None:
    folder, data = models.save_model("vit", tmp_path / "m"), models.save_images(tmp_path / "d", n=2)
    file = folder / "model.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[:-100])
    with pytest.raises(FairauditError, match="cannot be loaded"):
        predict(folder, data)
    file.write_bytes(whole)
    save_file({k: v for k, v in load_file(file).items() if ".1." not in k}, file, {"format": "pt"})
    with pytest.raises(FairauditError, match=r"lack \d+ tensors of its model"):
        predict(folder, data)
