"""dfr fits on one half of val and chooses on the other: neither sees the rows of the other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("peft")
pytest.importorskip("sklearn")

from fairaudit_mitigate import refit as refitting
from fairaudit_mitigate.halves import halves
from fairaudit_mitigate.predictions import Hardware
from fairaudit_mitigate.reweighting import Layer, fit_layer
from fairaudit_mitigate.rows import Rows
from fairaudit_mitigate.settings import Settings
from fairaudit_mitigate.task import Task

N = 400


def val_rows() -> Rows:
    draw = np.random.default_rng(1)
    y, place = (tuple(str(v) for v in draw.integers(0, 2, N)) for _ in range(2))
    ids = tuple(f"r{i}" for i in range(N))
    return Rows(Path("d"), "text", ids, ids, y, ("val",) * N, {"place": place})


def features(rows: Rows) -> np.ndarray:
    """One weak column that says the class, and twenty of noise: too little regularisation is worse."""
    at = [int(i[1:]) for i in rows.ids]
    noise = np.random.default_rng(2).normal(size=(N, 21))
    noise[:, 0] += [1.2 * int(y) for y in val_rows().y_true]
    found: np.ndarray = noise[at]
    return found


def relabelled(rows: Rows, ids: tuple[str, ...]) -> Rows:
    flipped = [{"0": "1", "1": "0"}[y] if i in ids else y for i, y in zip(rows.ids, rows.y_true, strict=True)]
    return replace(rows, y_true=tuple(flipped))


def run(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, list[Layer], list[tuple[str, ...]]]:
    """What came of it, the layer of every candidate, and which rows' features were asked for, in order."""
    layers: list[Layer] = []
    asked: list[tuple[str, ...]] = []

    def fitted(*given: Any, **named: Any) -> Layer:
        layers.append(fit_layer(*given, **named))
        return layers[-1]

    def given_features(_task: Any, _layer: Any, part: Rows) -> np.ndarray:
        asked.append(part.ids)
        return features(part)

    linear = SimpleNamespace(in_features=21, out_features=2, bias=object())
    layer = SimpleNamespace(name="head", head="head", of=lambda _: linear)
    monkeypatch.setattr(refitting, "fit_layer", fitted)
    monkeypatch.setattr(refitting, "_features", given_features)
    monkeypatch.setattr(refitting, "last_layer", lambda *_: layer)
    monkeypatch.setattr(refitting, "_written", lambda _task, _layer, chosen: (chosen, None))
    classifier: Any = SimpleNamespace(model=None, labels=("0", "1"))
    done = refitting.refit(Task(classifier, rows, Settings(method="dfr"), Hardware(device="cpu")))
    return done, layers, asked


def worst_cell(layer: Layer, rows: Rows) -> tuple[float, float]:
    """The lowest accuracy of a cell, and the accuracy, by naive loops."""
    right: dict[tuple[str, str | None], list[bool]] = {}
    for x, y, place in zip(features(rows), rows.y_true, rows.sensitive["place"], strict=True):
        logits = layer.logits(x[None])[0]
        right.setdefault((y, place), []).append(bool(logits[1] > logits[0]) == (y == "1"))
    return min(sum(r) / len(r) for r in right.values()), sum(map(sum, right.values())) / len(rows)


def test_the_second_half_chooses_and_has_no_part_in_the_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = val_rows()
    first, second = halves(rows)
    done, layers, asked = run(rows, monkeypatch)
    assert asked == [first.ids, second.ids]
    assert not set(first.ids) & set(second.ids)
    scores = [worst_cell(layer, second) for layer in layers]
    found = [(h["validation"]["worst_group_accuracy"], h["validation"]["accuracy"]) for h in done.history]
    assert np.allclose(found, scores, rtol=0, atol=1e-12)
    assert scores.count(max(scores)) == 1  # a unique best one, and not the one the first half would choose
    ours = [worst_cell(layer, first) for layer in layers]
    assert done.best.step == scores.index(max(scores)) + 1 != ours.index(max(ours)) + 1
    assert done.model is layers[done.best.step - 1]


def test_labels_of_the_second_half_never_change_a_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = val_rows()
    first, second = halves(rows)
    done, layers, _ = run(rows, monkeypatch)
    other, again, _ = run(relabelled(rows, second.ids[::3]), monkeypatch)
    assert all((a.weight == b.weight).all() for a, b in zip(layers, again, strict=True))
    assert [h["validation"] for h in other.history] != [h["validation"] for h in done.history]
    _, moved, asked = run(relabelled(rows, first.ids[::3]), monkeypatch)
    assert any((a.weight != b.weight).any() for a, b in zip(layers, moved, strict=True))
    assert asked[1] == second.ids  # the same rows are scored
