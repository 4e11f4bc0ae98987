"""Predictions: the columns, the numbers, adapters, and models that cannot predict."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

import models  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402

from fairaudit.errors import FairauditError  # noqa: E402
from fairaudit_mitigate import Columns, Hardware, predict  # noqa: E402
from fairaudit_mitigate.classifier import Request, load  # noqa: E402
from fairaudit_mitigate.predictions import output_names, target_ids  # noqa: E402


def test_columns_and_numbers(tmp_path: Path) -> None:
    model = models.save_model("vit", tmp_path / "m")
    data = models.save_images(tmp_path / "d", n=6)
    out = tmp_path / "new" / "p.parquet"
    frame = predict(model, data, out=out, hardware=Hardware(batch_size=4))
    table = pq.read_table(out)
    assert table.column_names == ["id", "split", "y_true", "y_pred", "prob_0", "prob_1", "loss", "place"]
    assert [str(t) for t in table.schema.types] == ["string"] * 4 + ["double"] * 3 + ["string"]
    assert len(frame) == table.num_rows == 18
    for row in table.to_pylist():
        own = row[f"prob_{row['y_true']}"]
        assert row["loss"] == pytest.approx(-math.log(own), rel=1e-12)
        assert row["prob_0"] + row["prob_1"] == pytest.approx(1, abs=1e-12)
        assert row[f"prob_{row['y_pred']}"] == max(row["prob_0"], row["prob_1"])


def test_batch_size_does_not_matter(tmp_path: Path) -> None:
    """Also with texts, where the batch decides the padding."""
    for kind in ("bert", "llama"):
        model = models.save_model(kind, tmp_path / kind)
        data = models.save_texts(tmp_path / f"{kind}.csv", n=8)
        one, many = (predict(model, data, hardware=Hardware(batch_size=n))["prob_1"] for n in (1, 24))
        assert one.to_list() == pytest.approx(many.to_list(), abs=1e-6)
        assert one.nunique() > 12


def test_the_model_pads_with_the_token_of_the_tokenizer(tmp_path: Path) -> None:
    folder = models.save_model("llama", tmp_path / "m")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"pad_token_id": 3}))
    assert load(folder, Request("text")).model.config.pad_token_id == 0
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    for token in ("pad_token", "eos_token", "unk_token"):
        settings.pop(token, None)
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    (folder / "special_tokens_map.json").unlink(missing_ok=True)
    with pytest.raises(FairauditError, match="set its pad_token"):
        load(folder, Request("text"))


def test_one_split_and_a_cluster_column(tmp_path: Path) -> None:
    model = models.save_model("bert", tmp_path / "m")
    data = models.save_texts(tmp_path / "d.csv", n=4)
    frame = predict(model, data, split="test", sensitive=["sex"], columns=Columns(cluster="id"))
    assert set(frame["split"]) == {"test"}
    assert list(frame["id"]) == [f"t{i}" for i in range(8, 12)]


def test_a_backbone_is_refused(tmp_path: Path) -> None:
    model = models.save_model("dinov2", tmp_path / "m", head=False)
    with pytest.raises(FairauditError, match=r"backbone \(Dinov2Model\)"):
        predict(model, models.save_images(tmp_path / "d", n=2))


def test_labels_by_name_by_number_and_unknown() -> None:
    said: list[str] = []
    assert target_ids(["b", "a"], ["a", "b"], "d") == [1, 0]
    assert output_names(["1", "0"], ["1", "0"], "d", said.append) == {"0": "0", "1": "1"}
    assert output_names(["1"], ["0", "1", "2"], "d", said.append) == {"1": "1"}
    assert said == []
    assert output_names(["1", "0"], ["cat", "dog"], "d", said.append) == {"0": "cat", "1": "dog"}
    assert "0 is cat, 1 is dog" in said[0]
    with pytest.raises(FairauditError, match=r"labels the model does not know \(bird\); it knows cat, dog"):
        output_names(["bird", "cat"], ["cat", "dog"], "d")
    with pytest.raises(FairauditError, match="--new-head"):
        output_names(["0", "1"], ["tench", "goldfish", "shark"], "d")


def test_every_split_is_named_alike(tmp_path: Path) -> None:
    """One split with fewer classes than outputs is read by the classes of all rows."""
    model = models.save_model("bert", tmp_path / "m")
    config = json.loads((model / "config.json").read_text())
    names = {"id2label": {"0": "bad", "1": "good"}, "label2id": {"bad": 0, "good": 1}}
    (model / "config.json").write_text(json.dumps(config | names))
    data = models.save_texts(tmp_path / "d.csv", n=4)
    lines = data.read_text().splitlines(keepends=True)
    data.write_text("".join(x for x in lines if not (x.endswith(",2\n") and ",0," in x)))
    assert set(predict(model, data, split="test")["y_true"]) == {"good"}


@pytest.mark.parametrize("kind", ["bert", "vit", "llama", "dinov2"])
def test_a_new_head_is_new_with_as_many_classes(kind: str, tmp_path: Path) -> None:
    folder = models.save_model(kind, tmp_path / "m")
    sort = "text" if kind in ("bert", "llama") else "image"
    old = load(folder, Request(sort, ("0", "1")))
    new = load(folder, Request(sort, ("0", "1"), new_head=True))
    assert new.fresh_head
    before, after = (dict(c.model.named_parameters()) for c in (old, new))
    changed = {n.split(".")[0] for n in before if not torch.equal(before[n], after[n])}
    assert changed == {"score" if kind == "llama" else "classifier"}


@pytest.mark.parametrize("new_head", [False, True])
def test_a_backbone_of_another_shape_is_refused(new_head: bool, tmp_path: Path) -> None:
    folder = models.save_model("bert", tmp_path / "m", head=not new_head)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"intermediate_size": 48}))
    with pytest.raises(
        FairauditError, match=r"do not fit its config\.json: 'bert\..*\(32,\), the model \(48,\)"
    ):
        load(folder, Request("text", ("0", "1"), new_head=new_head))


def test_another_image_size_is_interpolated(tmp_path: Path) -> None:
    for kind in ("vit", "dinov2", "clip"):
        model = models.save_model(kind, tmp_path / kind)
        data = models.save_images(tmp_path / f"{kind}-data", n=2)
        assert len(predict(model, data, image_size=24)) == 6
        with pytest.raises(FairauditError, match="multiples of the patch, 4: not 25; try 24"):
            predict(model, data, image_size=25)


@pytest.mark.parametrize("size", [0, -4])
def test_an_image_size_below_one_is_refused(size: int, tmp_path: Path) -> None:
    with pytest.raises(FairauditError, match="1 pixel or more"):
        load(models.save_model("vit", tmp_path / "m"), Request("image", image_size=size))


def test_an_image_that_does_not_decode_names_its_row(tmp_path: Path) -> None:
    model = models.save_model("vit", tmp_path / "m")
    data = models.save_images(tmp_path / "d", n=2)
    (data / "003.png").write_bytes(b"not an image")
    with pytest.raises(FairauditError, match=r"row '003\.png' does not decode"):
        predict(model, data, out=tmp_path / "p.parquet")
    (data / "003.png").write_bytes((data / "002.png").read_bytes()[:80])
    with pytest.raises(FairauditError, match=r"row '003\.png' does not decode"):
        predict(model, data, out=tmp_path / "p.parquet")
    assert not (tmp_path / "p.parquet").exists()


def test_no_preprocessor_is_said(tmp_path: Path) -> None:
    from fairaudit_mitigate import Voice

    model = models.save_model("vit", tmp_path / "m")
    (model / "preprocessor_config.json").unlink()
    said: list[str] = []
    predict(model, models.save_images(tmp_path / "d", n=2), voice=Voice(said.append))
    assert any("preprocessor_config.json" in s and "16 × 16" in s for s in said)


@pytest.mark.parametrize(
    ("name", "message"),
    [("gone/model/x", "no model folder"), ("empty", r"no config\.json"), ("file.bin", "is a file")],
)
def test_no_such_model(name: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.bin").touch()
    with pytest.raises(FairauditError, match=message):
        predict(name, models.save_texts(tmp_path / "d.csv", n=2))


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    model = models.save_model("bert", tmp_path / "m")
    (model / "model.safetensors").rename(model / "other")
    torch.save({}, model / "pytorch_model.bin")
    data = models.save_texts(tmp_path / "d.csv", n=2)
    with pytest.raises(FairauditError, match=r"pickled weights \(pytorch_model\.bin\).*safetensors only"):
        predict(model, data)
    (model / "pytorch_model.bin").unlink()
    with pytest.raises(FairauditError, match=r"a config\.json and no weights"):
        predict(model, data)


def test_broken_configs_and_weights(tmp_path: Path) -> None:
    data = models.save_texts(tmp_path / "d.csv", n=2)
    images = models.save_images(tmp_path / "d", n=2)
    model = models.save_model("bert", tmp_path / "m")
    with pytest.raises(FairauditError, match="cannot classify images"):
        predict(model, images)
    (model / "model.safetensors").write_bytes(b"short")
    with pytest.raises(FairauditError, match="cannot be loaded"):
        predict(model, data)
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"model_type": "nonesuch"}))
    with pytest.raises(FairauditError, match="no usable configuration"):
        predict(model, data)
    (model / "config.json").write_text("{")
    with pytest.raises(FairauditError, match="no usable configuration"):
        predict(model, data)


@pytest.mark.parametrize("options", [{"device": "cuda:77"}, {"dtype": "float8"}, {"batch_size": 0}])
def test_hardware_that_is_not_there(options: dict[str, object], tmp_path: Path) -> None:
    model = models.save_model("bert", tmp_path / "m")
    data = models.save_texts(tmp_path / "d.csv", n=2)
    with pytest.raises(FairauditError):
        predict(model, data, hardware=Hardware(**options))


@pytest.mark.parametrize("name", ["id", "loss", "prob_1"])
def test_a_column_named_as_one_of_the_predictions_is_refused(name: str, tmp_path: Path) -> None:
    model = models.save_model("bert", tmp_path / "m")
    data = models.save_texts(tmp_path / "d.csv", n=2)
    data.write_text(data.read_text().replace("id,", f"{name},", 1).replace("t1,", "t0,"))
    with pytest.raises(FairauditError, match=f"'{name}' has the name of another"):
        predict(model, data, columns=Columns(cluster=name))


def test_predictions_are_parquet(tmp_path: Path) -> None:
    with pytest.raises(FairauditError, match="end the name with"):
        predict("no/such/model", "nowhere", out=tmp_path / "p.csv")
    model = models.save_model("bert", tmp_path / "m")
    with pytest.raises(FairauditError, match=r"\.parquet, not 'p\.csv'"):
        predict(model, models.save_texts(tmp_path / "d.csv", n=2), out=tmp_path / "p.csv")


@pytest.mark.skipif(not models.SHARED.is_dir(), reason="the real models stand in ../shared/data")
def test_the_real_backbones_load() -> None:
    from fairaudit_mitigate.adapter import lora_targets

    vit = load(models.SHARED / "models/vits14-dinov2-saliency", Request("image", ("0", "1"), image_size=56))
    assert vit.fresh_head
    assert len(lora_targets(vit.model)) == 72
    assert vit.model(torch.zeros(1, 3, 56, 56)).logits.shape == (1, 2)
    llama = load(models.SHARED / "models/stories260K-llama", Request("text", ("0", "1")))
    assert len(lora_targets(llama.model)) == 35
    assert llama.model.config.pad_token_id is not None
