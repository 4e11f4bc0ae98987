"""Training from cached activations: the same numbers as without, for every family of models."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import models
import numpy as np
import pytest
import torch

from fairaudit.errors import FairauditError
from fairaudit_mitigate.activations import Wanted, obtained, opened
from fairaudit_mitigate.blocks import cut_of, targets_after
from fairaudit_mitigate.classifier import Request, load
from fairaudit_mitigate.data import TRAIN, read_rows
from fairaudit_mitigate.fit import Fitted, fit
from fairaudit_mitigate.inputs import Encoded, Preprocessor
from fairaudit_mitigate.layouts import Cropped
from fairaudit_mitigate.mitigation import mitigate
from fairaudit_mitigate.predictions import Hardware
from fairaudit_mitigate.prefix import _checksum
from fairaudit_mitigate.settings import Settings
from fairaudit_mitigate.stem import ACTIVATIONS, activations, skipping, stem_of
from fairaudit_mitigate.task import Task
from fairaudit_mitigate.voice import Voice

TEXTS = models.TEXTS
KINDS = ("vit", "dinov2", "clip", "swin", "resnet", "convnext", "regnet", *TEXTS)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder with every model and both data sets."""
    folder = tmp_path_factory.mktemp("shelf")
    models.save_images(folder / "images")
    models.save_texts(folder / "texts.csv")
    for kind in KINDS:
        models.save_model(kind, folder / kind)
    return folder


def task_of(shelf: Path, kind: str, **settings: Any) -> Task:
    torch.manual_seed(0)
    is_text = kind in TEXTS
    rows = read_rows(
        shelf / ("texts.csv" if is_text else "images"), None, ("sex",) if is_text else ("place",)
    )
    own = {"adapt": "last-1", "epochs": 1, "batch_size": 16, "lr": 1e-2, **settings}
    return Task(load(shelf / kind, Request(rows.kind)), rows, Settings(**own), Hardware(16))


def trained(found: Fitted) -> dict[str, torch.Tensor]:
    return {n: p.detach() for n, p in found.model.named_parameters() if p.requires_grad}


@pytest.mark.parametrize("kind", KINDS)
def test_logits_from_the_cut_are_those_of_the_whole_forward(shelf: Path, kind: str) -> None:
    task = task_of(shelf, kind)
    classifier, rows = task.classifier, task.rows.of_split(TRAIN)
    data = Encoded(rows.inputs, rows.ids, classifier.preprocessor, [0] * len(rows), cache_bytes=0)
    batch = classifier.preprocessor.collate([data[i] for i in range(16)])
    batch.pop("labels")
    cut = cut_of(classifier.model, "last-1")
    assert cut is not None
    stem = stem_of(classifier.model, cut, {k: v[:2] if torch.is_tensor(v) else v for k, v in batch.items()})
    heavy = [k for k, v in batch.items() if torch.is_tensor(v) and v.is_floating_point()]
    light = {k: v for k, v in batch.items() if k not in heavy}
    cached = activations(stem, batch)
    with torch.no_grad():
        whole = classifier.model(**batch).logits
        with skipping(stem, {k: batch[k][0] for k in heavy}):
            started = classifier.model(**light, **{ACTIVATIONS: cached}).logits
            other = classifier.model(**light, **{ACTIVATIONS: cached + torch.randn_like(cached)}).logits
            ordinary = classifier.model(**batch).logits
        after = classifier.model(**batch).logits
    assert torch.equal(started, whole)
    assert not torch.equal(other, whole)  # the activations are what is read
    assert torch.equal(ordinary, whole)
    assert torch.equal(after, whole)


@pytest.mark.parametrize("method", ["fairlora", "fair-fft"])
@pytest.mark.parametrize("kind", KINDS)
def test_training_on_the_cache_is_training_without_it(shelf: Path, kind: str, method: str) -> None:
    with_cache, without = (fit(task_of(shelf, kind, method=method, cache=cache)) for cache in (None, "off"))
    expected = trained(without)
    # convolutions round by where their input happens to lie in memory, so only those are given room
    room = 1e-5 if kind in ("resnet", "regnet", "convnext") else 0.0
    for name, value in trained(with_cache).items():
        assert torch.allclose(value, expected[name], rtol=0, atol=room), name
    assert room or with_cache.history == without.history
    start = dict(load(shelf / kind, Request("text" if kind in TEXTS else "image")).model.named_parameters())
    assert (
        any(not torch.equal(v, start[n]) for n, v in expected.items() if n in start) or method == "fairlora"
    )


def test_only_the_last_blocks_and_the_head_are_trained(shelf: Path) -> None:
    lora, fft = (fit(task_of(shelf, "vit", method=m, max_steps=1)) for m in ("lora", "fft"))
    assert {n.split(".")[4] for n in trained(lora) if "lora_" in n} == {"1"}
    assert {n.split(".")[0] if "classifier" in n else n[:12] for n in trained(fft)} == {
        "vit.layers.1",
        "classifier",
    }
    assert lora.adaptation.targets
    assert all(n.startswith("vit.layers.1.") for n in lora.adaptation.targets)


def test_dropout_of_what_is_frozen_is_off_and_of_what_is_adapted_is_on(shelf: Path) -> None:
    task = task_of(shelf, "bert", cache="off", max_steps=1)
    modes: dict[str, set[bool]] = {}
    for name in (
        "bert.embeddings.dropout",
        "bert.encoder.layer.0.output.dropout",
        "bert.encoder.layer.1.output.dropout",
    ):
        module = task.classifier.model.get_submodule(name)
        module.register_forward_hook(lambda m, *_, name=name: modes.setdefault(name, set()).add(m.training))
    fit(task)
    assert modes == {
        "bert.embeddings.dropout": {False},
        "bert.encoder.layer.0.output.dropout": {False},
        "bert.encoder.layer.1.output.dropout": {False, True},
    }


@pytest.mark.parametrize(("dtype", "tolerance"), [("float16", 2e-3), ("bfloat16", 2e-2)])
def test_half_precision_is_near(shelf: Path, dtype: str, tolerance: float) -> None:
    exact, half = (fit(task_of(shelf, "dinov2", cache_dtype=d, max_steps=2)) for d in (None, dtype))
    pairs = [(value, trained(exact)[name]) for name, value in trained(half).items()]
    assert any(not torch.equal(a, b) for a, b in pairs)
    losses = [[h["loss"] for h in f.history if "group_losses" in h] for f in (exact, half)]
    np.testing.assert_allclose(losses[1], losses[0], rtol=tolerance)


def test_one_cache_serves_other_methods_seeds_and_penalties(shelf: Path, tmp_path: Path) -> None:
    said: list[str] = []
    base = task_of(shelf, "vit", cache=str(tmp_path / "cache"), max_steps=1)
    fit(replace(base, voice=Voice(said.append)))
    files = {p: p.stat().st_mtime_ns for p in (tmp_path / "cache").rglob("rows.bin")}
    assert len(files) == 2
    assert sum("written in" in s for s in said) == 2
    for changed in ({"method": "lora"}, {"seed": 3}, {"penalty": 5.0}, {"rank": 2}, {"method": "fft"}):
        again = task_of(shelf, "vit", cache=str(tmp_path / "cache"), max_steps=1, **changed)
        said.clear()
        fit(replace(again, voice=Voice(said.append)))
        assert sum("found in" in s for s in said) == 2
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "cache").rglob("rows.bin")} == files


def test_other_weights_rows_cut_or_type_are_another_cache(shelf: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"

    def stores() -> int:
        return len(list(cache.glob("*/store.json")))

    def run(change: Any = None, kind: str = "vit", **settings: Any) -> None:
        task = task_of(shelf, kind, cache=str(cache), max_steps=1, **settings)
        fit(task if change is None else change(task))

    def heavier(task: Task) -> Task:
        with torch.no_grad():
            next(task.classifier.model.vit.embeddings.parameters()).add_(0.1)
        return task

    def fewer(task: Task) -> Task:
        keep = [i for i in range(len(task.rows)) if i]  # without one train row
        return replace(task, rows=task.rows.take(keep))

    seen = []
    for change, settings in (
        (None, {}),
        (heavier, {}),
        (fewer, {}),
        (None, {"adapt": "last-2"}),
        (None, {"cache_dtype": "float16"}),
    ):
        run(change, **settings)
        seen.append(stores())
    assert seen == [2, 4, 5, 7, 9]  # fewer train rows: the val rows are found


def test_a_writer_that_was_killed_leaves_no_store(shelf: Path, tmp_path: Path) -> None:
    script = f"""
import os, sys, torch
from pathlib import Path
from fairaudit_mitigate.activations import Wanted, obtained
def chunks():
    yield [torch.ones(3) for _ in range(4)]
    os.kill(os.getpid(), 9)
obtained(Path({str(tmp_path)!r}), "k", Wanted(8), chunks)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -9
    assert (tmp_path / "k.part").is_dir()
    assert opened(tmp_path / "k") is None
    store, found = obtained(tmp_path, "k", Wanted(2), lambda: [[torch.arange(3.0), torch.zeros(3)]])
    assert not found
    assert not (tmp_path / "k.part").exists()
    assert store.rows([1, 0, 0]).tolist() == [[0, 0, 0], [0, 1, 2], [0, 1, 2]]


def test_a_store_that_is_damaged_is_written_again(tmp_path: Path) -> None:
    obtained(tmp_path, "k", Wanted(1), lambda: [[torch.arange(3.0)]])
    (tmp_path / "k" / "rows.bin").write_bytes(b"short")
    store, found = obtained(tmp_path, "k", Wanted(1), lambda: [[torch.arange(3.0)]])
    assert not found
    assert store.rows([0]).tolist() == [[0, 1, 2]]


def test_rows_of_different_lengths_come_back_as_they_were(tmp_path: Path) -> None:
    rows = [torch.randn(n, 4) for n in (3, 1, 5)]
    store, _ = obtained(tmp_path, "k", Wanted(3, None, True), lambda: [rows[:2], rows[2:]])
    assert torch.equal(store.vectors([2, 0]), torch.cat([rows[2], rows[0]]))


def test_numbers_beyond_half_precision_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FairauditError, match="exceed the range of float16"):
        obtained(tmp_path, "k", Wanted(1, "float16"), lambda: [[torch.tensor([1e6])]])
    assert opened(tmp_path / "k") is None


class Flickering:
    """An image processor with augmentation."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __call__(self, **kwargs: Any) -> Any:
        found = self.inner(**kwargs)
        found["pixel_values"] = found["pixel_values"] + torch.rand(())
        return found


def test_a_changed_image_file_is_another_row(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"one")
    for value in (path, Cropped(path, 20)):
        before = _checksum(value)
        assert before == _checksum(value)
        path.write_bytes(path.read_bytes() + b"more")
        assert before != _checksum(value)


def test_random_preprocessing_is_refused(shelf: Path) -> None:
    task = task_of(shelf, "vit")
    old = task.classifier.preprocessor
    new = Preprocessor("image", Flickering(old.processor))
    task = replace(task, classifier=replace(task.classifier, preprocessor=new))
    with pytest.raises(FairauditError, match=r"preprocessing is random .* --cache off"):
        fit(task)


@pytest.mark.parametrize(
    ("kind", "settings", "words"),
    [
        ("vit", {"adapt": "last-3"}, r"the model has 2 blocks \(vit.layers\); give last-1 to last-2"),
        ("vit", {"targets": ("classifier",)}, "no LoRA target"),
        ("clip", {"adapt": "last-9"}, r"give last-1 to last-2, or all"),
    ],
)
def test_what_cannot_be_adapted_is_refused(
    shelf: Path, kind: str, settings: dict[str, Any], words: str
) -> None:
    with pytest.raises(FairauditError, match=words):
        fit(task_of(shelf, kind, **settings))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"adapt": "last-0"}, "last-K with K from 1 up"),
        ({"adapt": "first-2"}, "last-K with K from 1 up"),
        ({"cache": "somewhere"}, "give that as well"),
        ({"adapt": "last-1", "cache_dtype": "float61"}, "Did you mean 'float16'"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(FairauditError, match=words):
        Settings(**settings)


def test_a_network_without_repeated_blocks_is_refused() -> None:
    model = torch.nn.ModuleDict({"body": torch.nn.Linear(2, 2), "head": torch.nn.Linear(2, 2)})
    with pytest.raises(FairauditError):
        cut_of(model, "last-1")


def test_targets_named_by_the_user_are_cut_too(shelf: Path) -> None:
    model = load(shelf / "vit", Request("image")).model
    cut = cut_of(model, "last-1")
    assert targets_after(model, cut, ("q_proj",)) == ("vit.layers.1.attention.q_proj",)
    assert targets_after(model, None, ("q_proj",)) == ("q_proj",)


def test_the_artefact_is_an_ordinary_adapter_and_the_cache_is_gone(shelf: Path, tmp_path: Path) -> None:
    done = mitigate(
        shelf / "vit", shelf / "images", out=tmp_path / "out", sensitive=["place"], method="fairlora",
        adapt="last-1", lr=1e-2, epochs=2, batch_size=16, merge=True,
    )  # fmt: skip
    assert done.manifest["results"]["largest_logit_difference_after_reload"] < 1e-5
    assert not list(done.out.rglob("*activations*"))
    before, after = (
        done.before.estimate("accuracy", by="overall").value,
        done.after.estimate("accuracy", by="overall").value,
    )
    assert before is not None
    assert after is not None
    assert after > before + 0.2
