"""`--search`: what is searched, that it restarts, that validation steers it, that only the winner is judged."""

from __future__ import annotations

import builtins
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("optuna")

import models

from fairaudit.errors import FairauditError
from fairaudit_cli.main import run
from fairaudit_mitigate.sweeping.cells import Cell, Record
from fairaudit_mitigate.sweeping.plan_file import parse_plan, read_plan
from fairaudit_mitigate.sweeping.results import Results
from fairaudit_mitigate.sweeping.running import Runner
from fairaudit_mitigate.sweeping.search import objective, spaces
from fairaudit_mitigate.sweeping.sweep import sweep

PLAN = """
[[data]]
name = "images"
path = "d"
sensitive = ["place"]
[[model]]
name = "tiny"
path = "m"
[common]
epochs = 1
batch_size = 20
seed = [0, 1]
rank = 2
[[run]]
method = "fairlora"
penalty = [0.01, 10]
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("search")
    models.save_model("vit", folder / "m")
    models.save_images(folder / "d")
    (folder / "plan.toml").write_text(PLAN)
    return folder


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[Cell]:
    """The cells that would be trained. Their score is best at λ = 1; where λ is above 5 the loss is not finite."""
    found: list[Cell] = []

    def train(self: Runner, cell: Cell, bench: Any) -> Record:
        found.append(cell)
        penalty = cell.settings.terms.penalty
        score = (1 - abs(math.log10(penalty)) / 3, 0.5)
        failed = penalty > 5
        record = Record(cell.key, "failed" if failed else "done", "NaN" if failed else None, asdict(cell.settings),
                        () if failed else score, self.select, 1.0)  # fmt: skip
        self.shelf.clear(cell.key)
        (self.shelf.folder(cell.key) / "adapter").mkdir()
        self.shelf.keep(record)
        return record

    def judge(self: Runner, cell: Cell, bench: Any, record: Record) -> None:
        self.shelf.audit(cell.key, "test").write_text('{"content": {"estimates": []}}')

    monkeypatch.setattr(Runner, "train", train)
    monkeypatch.setattr(Runner, "judge", judge)
    return found


def search(place: Path, out: Path, n: int, **how: Any) -> Results:
    return sweep(read_plan(place / "plan.toml"), out, search=n, **how)


def penalties(results: Results) -> list[float]:
    return [e.cell.settings.terms.penalty for e in results.entries if e.final]


def test_the_winner_of_all_trials_runs_over_the_seeds(
    place: Path, tmp_path: Path, trained: list[Cell]
) -> None:
    done = search(place, tmp_path / "s", 12)
    assert len(trained) == 12 + 1  # the winner's other seed
    assert {c.settings.seed for c in trained[:12]} == {0}
    assert all(0.01 <= c.settings.terms.penalty <= 10 and c.settings.rank == 2 for c in trained)
    ok = [c for c in trained[:12] if c.settings.terms.penalty <= 5]
    best = min(ok, key=lambda c: abs(math.log10(c.settings.terms.penalty)))
    assert penalties(done) == [best.settings.terms.penalty] * 2
    judged = [e.cell.key for e in done.entries if done.shelf.judged(e.cell.key)]
    assert judged == [e.cell.key for e in done.entries if e.final]
    assert len(done.entries) == 13


def test_a_search_goes_on_as_if_it_had_not_been_interrupted(
    place: Path, tmp_path: Path, trained: list[Cell]
) -> None:
    search(place, tmp_path / "whole", 12)
    whole = [c.key for c in trained if c.settings.seed == 0]
    trained.clear()
    search(place, tmp_path / "s", 5)
    search(place, tmp_path / "s", 12)
    assert [c.key for c in trained if c.settings.seed == 0] == whole
    trained.clear()
    again = search(place, tmp_path / "s", 12)
    assert trained == []
    assert penalties(again) == penalties(search(place, tmp_path / "s", 12, run=False))


def test_a_trial_that_was_killed_is_made_again(
    place: Path, tmp_path: Path, trained: list[Cell], monkeypatch: pytest.MonkeyPatch
) -> None:
    search(place, tmp_path / "whole", 4)
    whole = [c.key for c in trained if c.settings.seed == 0]
    trained.clear()
    own = Runner.train

    def killed(self: Runner, cell: Cell, bench: Any) -> Record:
        if len(trained) == 2:
            raise KeyboardInterrupt
        return own(self, cell, bench)

    with monkeypatch.context() as patch:
        patch.setattr(Runner, "train", killed)
        with pytest.raises(KeyboardInterrupt):
            search(place, tmp_path / "s", 4)
    search(place, tmp_path / "s", 4)
    assert [c.key for c in trained if c.settings.seed == 0] == whole


def test_what_is_searched() -> None:
    text = (
        PLAN.replace("rank = 2\n", "").replace("penalty = [0.01, 10]", "")
        + '[[run]]\nmethod = ["lora", "fft"]\nlr = 1e-3\n'
    )
    found = {s.base.run: dict(s.bounds) for s in spaces(parse_plan(text, "p", Path()))}
    assert found["lora"] == {"rank": (1, 64)}
    assert found["fft"] == {}
    more = PLAN.replace('method = "fairlora"\npenalty = [0.01, 10]', 'method = ["groupdro-lora", "dfr"]')
    assert {s.base.run: set(s.bounds) for s in spaces(parse_plan(more, "p", Path()))} == {
        "groupdro-lora": {"lr"}, "dfr": set()
    }  # fmt: skip
    assert set(found["fairlora"]) == {"penalty", "rank", "lr"}
    bounded = {
        s.base.run: dict(s.bounds)
        for s in spaces(parse_plan(text + "[search]\nrank = [2, 4]\n", "p", Path()))
    }
    assert bounded["lora"] == {"rank": (2, 4)}
    with pytest.raises(FairauditError, match="the least and the greatest value"):
        parse_plan(text + "[search]\nrank = [4, 2]\n", "p", Path())
    assert objective((0.5, 0.9)) > objective((0.5, 0.8)) > objective((0.499, 1.0))


def test_without_optuna_one_sentence(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.partition(".")[0] == "optuna":
            raise ImportError(name)
        return own(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(FairauditError, match=r"needs optuna.*extra 'search'"):
        search(place, tmp_path / "s", 2)


def test_a_search_that_trains(place: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    command = ["sweep", str(place / "plan.toml"), "--out", str(tmp_path / "s"), "--search", "1"]
    assert run([*command, "--dry-run"]) == 0
    assert "fairlora: penalty 0.01 to 10, lr 0.0001 to 0.01: 1 trials" in capfd.readouterr().out
    assert run([*command, "--table", "md"]) == 0
    assert "| tiny | fairlora |" in capfd.readouterr().out
