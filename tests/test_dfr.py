"""The last layer fitted again: against scikit-learn on features taken by hand, and through the whole repair."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("peft")
sklearn = pytest.importorskip("sklearn")

import models  # noqa: E402
import pandas as pd  # noqa: E402
from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402

from fairaudit.errors import FairauditError  # noqa: E402
from fairaudit_mitigate import Voice, mitigate, predict  # noqa: E402
from fairaudit_mitigate.classifier import Request, load  # noqa: E402
from fairaudit_mitigate.data import VALIDATION, read_rows  # noqa: E402
from fairaudit_mitigate.groups import Groups, group_rows  # noqa: E402
from fairaudit_mitigate.halves import cut, halves  # noqa: E402
from fairaudit_mitigate.last_layer import last_layer  # noqa: E402
from fairaudit_mitigate.reweighting import (  # noqa: E402
    L1,
    L2,
    STRENGTHS,
    Regularisation,
    balanced_subsets,
    fit_layer,
)


@given(st.lists(st.text(max_size=8), max_size=60, unique=True))
def test_halves_share_the_rows_and_a_row_keeps_its_half(keys: list[str]) -> None:
    first, second = cut(keys)
    assert sorted(first + second) == list(range(len(keys)))
    again = cut(keys[::-1])[0]
    assert {keys[i] for i in first} == {keys[::-1][i] for i in again}


def test_rows_set_aside_by_hash_of_their_id_fall_into_both_halves() -> None:
    from fairaudit_mitigate.data import _fraction

    carved = [key for key in map(str, range(4000)) if _fraction(key) < 0.15]
    assert len(cut(carved)[0]) / len(carved) == pytest.approx(0.5, abs=0.06)


@given(st.lists(st.integers(-1, 3), min_size=40, max_size=120), st.integers(0, 99))
def test_subsets_hold_every_group_alike(ids: list[int], seed: int) -> None:
    groups = Groups(np.array([*range(4)] * 5 + ids), ("a", "b", "c", "d"))
    for rows in balanced_subsets(groups, seed):
        counts = np.bincount(groups.ids[rows], minlength=4)
        assert (counts == min(groups.counts().values())).all()
        assert len(set(rows.tolist())) == len(rows)


def some_features(n_classes: int, n: int = 240) -> tuple[np.ndarray, np.ndarray, Groups]:
    draw = np.random.default_rng(0)
    targets = draw.integers(0, n_classes, n)
    centres = draw.normal(size=(n_classes, 6))
    features = (centres[targets] + draw.normal(size=(n, 6))) * [1, 10, 0.1, 1, 3, 1] + [0, 5, 0, -2, 0, 100]
    place = draw.integers(0, 2, n)
    return features, targets, group_rows("class&p", [str(t) for t in targets], {"p": [str(p) for p in place]})


@pytest.mark.parametrize(("n_classes", "kind"), [(2, L1), (2, L2), (4, L2)])
@pytest.mark.parametrize("with_bias", [True, False])
def test_the_layer_is_the_average_of_scikit_learns_own_pipelines(
    n_classes: int, kind: str, with_bias: bool
) -> None:
    features, targets, groups = some_features(n_classes)
    subsets = balanced_subsets(groups, seed=3)
    layer = fit_layer(features, targets, subsets, n_classes, Regularisation(kind, 0.3), with_bias=with_bias)
    scores = []
    for rows in subsets:
        penalty = {"solver": "liblinear", "l1_ratio": 1.0} if kind == L1 else {}
        inner = LogisticRegression(C=0.3, max_iter=1000, random_state=0, fit_intercept=with_bias, **penalty)
        whole = make_pipeline(StandardScaler(with_mean=with_bias), inner).fit(features[rows], targets[rows])
        scores.append(whole.decision_function(features))
    wanted = np.mean(scores, axis=0)
    logits = layer.logits(features)
    found = logits[:, 1] - logits[:, 0] if n_classes == 2 else logits
    assert found == pytest.approx(wanted, abs=1e-4)
    assert (layer.bias is None) is not with_bias


def worst_cell(correct: np.ndarray, y: list[str], place: list[str]) -> float:
    cells = {(a, b) for a, b in zip(y, place, strict=True)}
    rows = [[i for i in range(len(y)) if (y[i], place[i]) == cell] for cell in cells]
    return min(float(correct[r].mean()) for r in rows if len(r) >= 10)


def test_the_saved_head_is_scikit_learns_from_features_taken_by_hand(tmp_path: Path) -> None:
    model, data = models.save_model("vit", tmp_path / "m"), models.save_images(tmp_path / "d", 160)
    done = mitigate(model, data, out=tmp_path / "out", method="dfr", sensitive=["place"])

    classifier, taken = load(model, Request("image")), []
    rows = read_rows(data, sensitive=["place"])
    pixels = [classifier.preprocessor.encode(x, "")["pixel_values"] for x in rows.inputs]
    handle = classifier.model.classifier.register_forward_pre_hook(lambda _, given: taken.append(given[0]))
    with torch.inference_mode():
        classifier.model(pixel_values=torch.stack(pixels))
    handle.remove()
    features = taken[0].double().numpy()
    place, position = rows.sensitive["place"], {name: i for i, name in enumerate(rows.ids)}
    fitted, chosen = ([position[i] for i in half.ids] for half in halves(rows.of_split(VALIDATION)))
    y = np.array([int(v) for v in rows.y_true])
    groups = group_rows("cell", [rows.y_true[i] for i in fitted], {"place": [place[i] for i in fitted]})
    results: list[tuple[tuple[float, float], np.ndarray]] = []
    for penalty in ({"solver": "liblinear", "l1_ratio": 1.0}, {}):
        for strength in STRENGTHS:
            scores = np.zeros(len(y))
            for subset in balanced_subsets(groups, 0):
                own = np.array(fitted)[subset]
                inner = LogisticRegression(C=strength, max_iter=1000, random_state=0, **penalty)
                scores += (
                    make_pipeline(StandardScaler(), inner)
                    .fit(features[own], y[own])
                    .decision_function(features)
                )
            correct = ((scores > 0) == y)[chosen]
            worst = worst_cell(correct, [rows.y_true[i] for i in chosen], [str(place[i]) for i in chosen])
            results.append(((worst, float(correct.mean())), scores / 10))
    step = max(range(len(results)), key=lambda k: (results[k][0], -k))
    assert done.manifest["results"]["best_step"] == step + 1
    found = done.manifest["results"]["validation"]
    assert (found["worst_group_accuracy"], found["accuracy"]) == pytest.approx(results[step][0])
    after = predict(tmp_path / "out/adapter", data).set_index("id")["prob_1"]
    wanted = 1 / (1 + np.exp(-results[step][1]))
    assert after.loc[list(rows.ids)].to_list() == pytest.approx(wanted.tolist(), abs=1e-5)


def test_the_artefact_is_as_small_as_the_head_and_merges(tmp_path: Path) -> None:
    said: list[str] = []
    model, data = models.save_model("vit", tmp_path / "m"), models.save_images(tmp_path / "d", 120)
    done = mitigate(
        model,
        data,
        out=tmp_path / "out",
        method="dfr",
        sensitive=["place"],
        merge=True,
        voice=Voice(said.append),
    )
    assert done.after.estimate("accuracy").value > done.before.estimate("accuracy").value + 0.2
    assert (tmp_path / "out/adapter/adapter_model.safetensors").stat().st_size < 1000
    assert done.manifest["results"]["trainable_parameters"] == 2 * 16 + 2
    merged = predict(tmp_path / "out/merged", data)
    adapter = predict(tmp_path / "out/adapter", data)
    assert merged["prob_1"].to_list() == pytest.approx(adapter["prob_1"].to_list(), abs=1e-6)
    assert any("the layer 'classifier' (16 to 2) is fitted to" in s for s in said)
    records = [json.loads(line) for line in (tmp_path / "out/history.jsonl").read_text().splitlines()]
    assert [(r["regularisation"], r["strength"]) for r in records] == [
        (k, s) for k in (L1, L2) for s in STRENGTHS
    ]


@pytest.mark.slow
def test_the_literatures_way_fine_tune_then_refit(tmp_path: Path) -> None:
    model, data = models.save_model("vit", tmp_path / "m"), models.save_images(tmp_path / "d", 80)
    first = {"method": "lora", "epochs": 3, "lr": 2e-2, "batch_size": 20, "merge": True}
    mitigate(model, data, out=tmp_path / "one", sensitive=["place"], **first)
    done = mitigate(tmp_path / "one/merged", data, out=tmp_path / "two", method="dfr", sensitive=["place"])
    assert done.after.estimate("accuracy").value >= done.before.estimate("accuracy").value
    before = pd.read_parquet(tmp_path / "two/predictions_before.parquet")["prob_1"]
    assert (before != pd.read_parquet(tmp_path / "two/predictions_after.parquet")["prob_1"]).all()


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "head"), [("llama", True), ("llama", False), ("dinov2", False)])
def test_heads_without_bias_pooled_from_tokens_or_fresh(kind: str, head: bool, tmp_path: Path) -> None:
    model = models.save_model(kind, tmp_path / "m", head=head)
    text = kind == "llama"
    data = models.save_texts(tmp_path / "d.csv", 160) if text else models.save_images(tmp_path / "d", 160)
    done = mitigate(model, data, out=tmp_path / "out", method="dfr", sensitive=["sex" if text else "place"])
    assert done.after.estimate("accuracy").value > done.before.estimate("accuracy").value + 0.1
    classifier = load(model, Request("text" if text else "image", ("0", "1")))
    layer = last_layer(classifier.model, 2)
    assert layer.name == ("score" if kind == "llama" else "classifier")
    assert (layer.of(classifier.model).bias is None) is (kind == "llama")


def bad(tmp_path: Path, data: Path, match: str, **options: Any) -> None:
    model = models.save_model("vit", tmp_path / "m")
    with pytest.raises(FairauditError, match=match):
        mitigate(model, data, out=tmp_path / "out", method="dfr", **({"sensitive": ["place"]} | options))
    assert not (tmp_path / "out").exists()


def test_data_without_val_rows_is_refused(tmp_path: Path) -> None:
    data = models.save_images(tmp_path / "d")
    table = pd.read_csv(data / "metadata.csv")
    table[table["split"] != 1].to_csv(data / "metadata.csv", index=False)
    bad(tmp_path, data, "fitted to val rows, which the model has not seen, and .* has none")


def test_a_group_with_one_row_is_refused(tmp_path: Path) -> None:
    data = models.save_images(tmp_path / "d", 80)
    table = pd.read_csv(data / "metadata.csv", dtype=str)
    few = table[(table["split"] == "1") & (table["place"] == "1")].index[1:]
    table.drop(few).to_csv(data / "metadata.csv", index=False)
    bad(tmp_path, data, "has [01] of the 5 rows it needs", groups="place")


def test_all_rows_in_one_group_is_refused(tmp_path: Path) -> None:
    data = models.save_images(tmp_path / "d")
    table = pd.read_csv(data / "metadata.csv", dtype=str)
    table.assign(place="1").to_csv(data / "metadata.csv", index=False)
    bad(tmp_path, data, "have one|has one", groups="place")


@pytest.mark.parametrize(("pooled", "bias"), [(False, True), (True, False)])
def test_features_are_what_the_layer_gets_also_where_tokens_are_pooled_after_it(
    pooled: bool, bias: bool
) -> None:
    from types import SimpleNamespace

    from fairaudit_mitigate.classifier import Classifier
    from fairaudit_mitigate.last_layer import features_of, with_new_weights
    from fairaudit_mitigate.predictions import Hardware

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 4))
            self.head = torch.nn.Sequential(
                torch.nn.Linear(4, 5), torch.nn.ReLU(), torch.nn.Linear(5, 2, bias=bias)
            )

        def forward(self, x: Any) -> Any:
            tokens = self.head(self.body(x))
            return SimpleNamespace(logits=tokens[:, 1] if pooled else tokens)

    torch.manual_seed(0)
    model, x = Model(), torch.randn(30, 2, 3) if pooled else torch.randn(30, 3)
    items = [{"x": row, "labels": 0} for row in x]
    preprocessor: Any = SimpleNamespace(
        collate=lambda rows: {"x": torch.stack([r["x"] for r in rows]), "labels": torch.zeros(len(rows))}
    )
    classifier = Classifier(model, preprocessor, ("0", "1"), False, "", "")
    layer = last_layer(model, 2)
    assert layer.name == "head.2"
    data: Any = items
    found = features_of(classifier, layer, data, Hardware(), Voice())
    with torch.inference_mode():
        wanted = model.head[:2](model.body(x[:, 1] if pooled else x))
    assert torch.allclose(found, wanted, atol=1e-6)
    weight, shift = torch.randn(2, 5), torch.randn(2) if bias else None
    changed = with_new_weights(model, layer, weight, shift)
    with torch.inference_mode():
        logits = changed(x=x).logits
    assert torch.allclose(logits, wanted @ weight.T + (0 if shift is None else shift), atol=1e-6)


def test_a_head_that_does_more_than_its_last_layer_is_refused(tmp_path: Path) -> None:
    from fairaudit_mitigate.inputs import Encoded
    from fairaudit_mitigate.last_layer import features_of
    from fairaudit_mitigate.predictions import Hardware

    model, data = models.save_model("vit", tmp_path / "m"), models.save_images(tmp_path / "d")
    classifier = load(model, Request("image"))
    classifier.model.classifier = torch.nn.Sequential(torch.nn.Linear(16, 2), torch.nn.Tanh())
    torch.nn.init.constant_(classifier.model.classifier[0].weight, 3.0)
    rows = read_rows(data)
    encoded = Encoded(rows.inputs, rows.ids, classifier.preprocessor, [0] * len(rows))
    with pytest.raises(FairauditError, match="something comes after it"):
        features_of(classifier, last_layer(classifier.model, 2), encoded, Hardware(), Voice())
    assert isinstance(classifier.model.classifier[0], torch.nn.Linear)
    with pytest.raises(FairauditError, match="has no linear layer of 7 outputs"):
        last_layer(classifier.model, 7)
