"""The registry, and what each method does to a tiny model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("peft")

import models  # noqa: E402

from fairaudit_mitigate import Mitigation, mitigate  # noqa: E402
from fairaudit_mitigate.methods import METHODS  # noqa: E402

QUICK: dict[str, Any] = {"epochs": 4, "batch_size": 20, "lr": 2e-2, "rank": 4}


@pytest.mark.parametrize("name", METHODS)
def test_every_method_tells_what_it_is(name: str) -> None:
    method = METHODS[name]
    assert all((method.about, method.needs, method.choose, method.paper))
    assert all(len(text) <= 110 for text in (method.about, method.needs, method.choose, method.paper))


def run(folder: Path, name: str, **options: Any) -> Mitigation:
    if not (folder / "m").exists():
        models.save_model("vit", folder / "m")
        models.save_images(folder / "d")
    return mitigate(
        folder / "m", folder / "d", out=folder / name, sensitive=["place"], **(QUICK | options)
    )  # fmt: skip


def shares(out: Path) -> list[dict[str, Any]]:
    records = [json.loads(line) for line in (out / "history.jsonl").read_text().splitlines()]
    return [r for r in records if "objective" in r]


def test_balanced_lora_learns_and_holds_every_group_in_every_step(tmp_path: Path) -> None:
    done = run(tmp_path, "balanced", method="balanced-lora")
    assert done.after.estimate("accuracy").value > done.before.estimate("accuracy").value + 0.2
    assert done.manifest["arguments"]["settings"]["sampling"] == "balanced"
    assert {r["groups_present"] for r in shares(tmp_path / "balanced")} == {4}
    weights = [w for r in shares(tmp_path / "balanced") for w in r["weights"].values()]
    assert weights == pytest.approx([0.25] * len(weights), abs=0.05)  # 20 rows a step, 4 cells


def test_balanced_steps_go_with_a_penalty_too(tmp_path: Path) -> None:
    done = run(tmp_path, "both", method="fairlora", sampling="balanced", penalty=0.1, epochs=1)
    assert done.manifest["arguments"]["settings"]["sampling"] == "balanced"
    shuffled = run(tmp_path, "shuffled", method="fairlora", penalty=0.1, epochs=1)
    assert shuffled.manifest["arguments"]["settings"]["sampling"] == "shuffled"
    assert shares(tmp_path / "both")[0]["group_losses"] != shares(tmp_path / "shuffled")[0]["group_losses"]


def test_groupdro_lora_learns_on_balanced_steps_and_follows_the_adjustment(tmp_path: Path) -> None:
    done = run(tmp_path, "dro", method="groupdro-lora")
    assert done.after.estimate("accuracy").value > done.before.estimate("accuracy").value + 0.2
    settings = done.manifest["arguments"]["settings"]
    assert (settings["sampling"], settings["adjustment"]) == ("balanced", 1.0)
    counts = done.manifest["results"]["groups"]
    last = shares(tmp_path / "dro")[-1]["weights"]  # C/√n: the smallest cell gains most, the largest least
    assert last[min(counts, key=counts.get)] > 0.25 > last[max(counts, key=counts.get)]
