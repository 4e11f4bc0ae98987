"""Sweeps on a tiny model: what runs, what is left alone, what fails, and whose test rows are looked at."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("peft")

import models  # noqa: E402
import pandas as pd  # noqa: E402
import tables  # noqa: E402

import fairaudit  # noqa: E402
from fairaudit.errors import FairauditError  # noqa: E402
from fairaudit_cli.main import run  # noqa: E402
from fairaudit_mitigate import (  # noqa: E402
    Voice,
)
from fairaudit_mitigate.data import VALIDATION, read_rows  # noqa: E402
from fairaudit_mitigate.sweeping import sweep as sweeping  # noqa: E402
from fairaudit_mitigate.sweeping.plan_file import read_plan  # noqa: E402
from fairaudit_mitigate.sweeping.results import Results  # noqa: E402
from fairaudit_mitigate.sweeping.running import Runner  # noqa: E402

PLAN = """
[[data]]
name = "images"
path = "d"
sensitive = ["place"]
agreement = { 0 = "0", 1 = "1" }
[[model]]
name = "tiny"
path = "m"
[common]
epochs = 1
batch_size = 20
rank = 2
seed = [0, 1]
[[run]]
method = "lora"
[[run]]
method = "fairlora"
penalty = [0.1, 1.0]
lr = [1e-3, 2e-2]
"""
TUNED = PLAN + "[tune]\n"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sweep")
    models.save_model("vit", folder / "m")
    models.save_images(folder / "d")
    return folder


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys of the cells that are trained, in order."""
    found: list[str] = []
    own = Runner.train

    def train(self: Runner, cell: object, bench: object) -> object:
        found.append(cell.key)  # type: ignore[attr-defined]
        return own(self, cell, bench)  # type: ignore[arg-type]

    monkeypatch.setattr(Runner, "train", train)
    return found


def do(place: Path, out: Path, text: str, **how: object) -> Results:
    (place / "plan.toml").write_text(text)
    return sweeping.sweep(read_plan(place / "plan.toml"), out, **how)  # type: ignore[arg-type]


def test_tuned_then_run_over_seeds(place: Path, tmp_path: Path, trained: list[str]) -> None:
    said: list[str] = []
    bars: list[tuple[str, int, int]] = []
    voice = Voice(said.append, lambda *a: bars.append(a))
    done = do(place, tmp_path / "s", TUNED, voice=voice)
    assert (
        len(trained) == len(set(trained)) == 2 + 4 + 1
    )  # lora's seeds; four candidates; the winner's other seed
    assert any("left" in s for s in said)
    assert [b for b in bars if b[0] == "sweep"][-1] == ("sweep", 7, 7)
    finals = [e for e in done.entries if e.final and e.contest.run == "fairlora"]
    tried = [e for e in done.entries if e.contest.run == "fairlora" and e.cell.settings.seed == 0]
    assert finals[0].record is not None
    scores = [e.record.score for e in tried if e.record is not None]
    assert len(scores) == 4
    assert finals[0].record.score == max(scores)
    assert {(e.cell.settings.lr, e.cell.settings.penalty) for e in finals} == {
        (finals[0].cell.settings.lr, finals[0].cell.settings.penalty)
    }
    # the test rows of those that validation did not choose were never predicted
    for e in done.entries:
        assert done.shelf.judged(e.cell.key) is e.final
        assert done.shelf.predictions(e.cell.key, "test").exists() is e.final
        assert done.shelf.artefact(e.cell.key) is None  # keep = none
    worst = pd.read_parquet(done.shelf.predictions(finals[0].cell.key, "validation"))
    correct = worst.y_true == worst.y_pred
    assert finals[0].record.score[0] == correct.groupby([worst.y_true, worst.place]).mean().min()


def test_the_second_time_nothing_is_trained(place: Path, tmp_path: Path, trained: list[str]) -> None:
    first = do(place, tmp_path / "s", PLAN, only="· lora")
    assert len(trained) == 2
    frame = pd.read_parquet(tmp_path / "s" / "results.parquet")
    trained.clear()
    again = do(place, tmp_path / "s", PLAN, only="· lora")
    assert trained == []
    pd.testing.assert_frame_equal(frame, pd.read_parquet(tmp_path / "s" / "results.parquet"))
    assert [e.record for e in again.entries] == [e.record for e in first.entries]
    # one cell was killed: it has no record; and one seed is new
    (first.shelf.folder(first.entries[1].cell.key) / "cell.json").unlink()
    done = do(place, tmp_path / "s", PLAN.replace("[0, 1]", "[0, 1, 2]"), only="· lora")
    assert trained == [e.cell.key for e in done.entries[1:]]
    assert trained[0] == first.entries[1].cell.key


def test_results_are_the_audits(place: Path, tmp_path: Path) -> None:
    done = do(place, tmp_path / "s", PLAN.replace("[0, 1]", "0"), only="· lora")
    frame = done.frame()
    entry = done.entries[0]
    table = pd.read_parquet(done.shelf.predictions(entry.cell.key, "test"))
    audit = fairaudit.audit(
        table, y_true="y_true", y_pred="y_pred", prob_prefix="prob_", loss="loss", sensitive=["place"],
        agreement={"0": "0", "1": "1"},
    )  # fmt: skip
    mine = frame[(frame.cell == entry.cell.key) & (frame.split == "test")]
    for metric, by in (("accuracy", "overall"), ("eod_max", "place"), ("sensitive_accuracy", "place"),
                       ("loss_variance", "class"), ("worst_group_accuracy", "place")):  # fmt: skip
        row = mine[(mine.metric == metric) & (mine.by == by) & mine.group.isna() & mine["class"].isna()]
        found = audit.estimate(metric, by=by)
        assert len(row) == 1
        assert row.value.item() == pytest.approx(found.value)
        assert found.interval is not None
        assert (row.low.item(), row.high.item()) == pytest.approx((found.interval.low, found.interval.high))
    assert (frame.seconds > 0).all()
    assert (frame.trainable_parameters > 0).all()
    assert json.loads(frame.settings[0])["rank"] == 2


def test_a_cell_that_fails_does_not_cost_the_others(place: Path, tmp_path: Path, trained: list[str]) -> None:
    bad = PLAN.split("[[run]]", maxsplit=1)[0].replace("epochs = 1", "epochs = 2").replace("[0, 1]", "0")
    bad += '[[run]]\nname = "bad"\nmethod = "lora"\nlr = 1e30\n[[run]]\nmethod = "lora"\n'
    done = do(place, tmp_path / "s", bad)
    assert [e.status for e in done.entries] == ["failed", "done"]
    assert "not finite at step" in str(done.failed[0].record and done.failed[0].record.reason)
    trained.clear()
    assert run(["sweep", str(place / "plan.toml"), "--out", str(tmp_path / "s")]) == 3
    assert trained == []
    assert (
        run(["sweep", str(place / "plan.toml"), "--out", str(tmp_path / "s"), "--retry", "--only", "bad"])
        == 2
    )
    assert trained == [e.cell.key for e in done.failed]
    row = done.frame().query("status == 'failed'")
    assert len(row) == 1
    assert row.metric.isna().all()


def test_judging_that_fails_does_not_cost_the_others(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, calls = Runner.judge, []

    def judge(self: Runner, *rest: object) -> None:
        calls.append(rest)
        if len(calls) == 1:
            raise RuntimeError("out of memory")
        own(self, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Runner, "judge", judge)
    done = do(place, tmp_path / "s", PLAN, only="· lora")
    assert [e.status for e in done.entries] == ["failed", "done"]
    assert done.failed[0].record is not None
    assert done.failed[0].record.reason == "on the test rows: RuntimeError: out of memory"
    assert done.failed[0].record.score
    again = do(place, tmp_path / "s", PLAN, only="· lora", retry=True)
    assert [e.status for e in again.entries] == ["done", "done"]


def test_an_interrupted_cell_leaves_nothing(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, calls, said = Runner._fitted, [], []  # type: ignore[var-annotated]

    def fitted(self: Runner, *rest: object) -> object:
        calls.append(rest)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return own(self, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Runner, "_fitted", fitted)
    with pytest.raises(KeyboardInterrupt):
        do(place, tmp_path / "s", PLAN, only="· lora", voice=Voice(said.append))
    assert said[-1] == "cells that have ended are kept (1 of them now); the same command goes on."
    assert len(list((tmp_path / "s" / "cells").iterdir())) == 1
    assert [e.status for e in do(place, tmp_path / "s", PLAN, only="· lora").entries] == ["done", "done"]
    assert len(calls) == 3


def test_tables_of_numbers_are_read_for_an_mlp_with_its_own_rate(tmp_path: Path) -> None:
    tables.save(tmp_path / "d.csv", tables.draw(300))
    text = """
    [[data]]
    name = "incomes"
    path = "d.csv"
    sensitive = ["sex"]
    y_true = "income"
    [[model]]
    name = "net"
    path = "mlp:8"
    [common]
    epochs = 2
    rank = 2
    [[run]]
    method = "fft"
    [[run]]
    method = "balanced-lora"
    """
    done = do(tmp_path, tmp_path / "s", text)
    assert [e.status for e in done.entries] == ["done", "done"]
    assert [e.cell.settings.lr for e in done.entries] == [1e-3, 1e-3]
    found = done.frame().query("split == 'test' and metric == 'accuracy' and by == 'overall'")
    table = pd.read_parquet(done.shelf.predictions(done.entries[0].cell.key, "test"))
    assert found[found.run == "fft"].value.iloc[0] == (table.y_true == table.y_pred).mean()


def test_only_validation_rows_choose(place: Path, tmp_path: Path) -> None:
    done = do(place, tmp_path / "s", PLAN.replace("[0, 1]", "0"), only="· lora")
    rows = read_rows(place / "d").of_split(VALIDATION)
    scored = pd.read_parquet(done.shelf.predictions(done.entries[0].cell.key, "validation"))
    assert sorted(scored.id) == sorted(rows.ids)
    record = done.entries[0].record
    assert record is not None
    assert 0 < (record.seconds or 0) < 60
    assert (record.peak_memory or 0) > 2**26


def test_two_processes_on_one_folder(place: Path, tmp_path: Path) -> None:
    with sweeping.locked(tmp_path / "s"), pytest.raises(FairauditError, match="another process runs a sweep"):
        do(place, tmp_path / "s", PLAN)


def test_artefacts_are_kept_where_asked(place: Path, tmp_path: Path) -> None:
    done = do(place, tmp_path / "s", 'keep = "best"\n' + PLAN, only="· lora")
    assert sum(done.shelf.artefact(e.cell.key) is not None for e in done.entries) == 1
    kept = next(e for e in done.entries if done.shelf.artefact(e.cell.key) is not None)
    assert kept.record is not None
    assert kept.record.score == max(e.record.score for e in done.entries if e.record is not None)


def test_other_weights_or_data_are_another_cell(place: Path, tmp_path: Path) -> None:
    for name in ("m", "d"):
        shutil.copytree(place / name, tmp_path / name)

    def keys() -> set[str]:
        (tmp_path / "plan.toml").write_text(PLAN)
        return {
            c.key for c, _ in sweeping.listing(read_plan(tmp_path / "plan.toml"), tmp_path / "s", "· lora")
        }

    first = keys()
    assert len(first) == 2
    assert keys() == first
    for file in ("m/config.json", "d/metadata.csv"):
        with (tmp_path / file).open("a") as handle:
            handle.write("\n")
        assert not keys() & first
        first = keys()


def test_what_is_there_is_shown_without_running(
    place: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    text = PLAN.replace("rank = 2", 'rank = 2\nadapt = "last-1"')
    record = do(place, tmp_path / "s", text, only="· lora").entries[0].record
    assert record is not None
    assert 0 < record.ready < (record.seconds or 0)
    (tmp_path / "s" / "results.parquet").unlink()
    command = [
        "sweep",
        str(place / "plan.toml"),
        "--out",
        str(tmp_path / "s"),
        "--only",
        "· lora",
        "--no-run",
    ]
    assert run([*command, "--table", "md"]) == 0
    shown = capfd.readouterr()
    assert "Settings: lora: rank 2, lr 0.001, epochs 1.0." in shown.out
    assert "results.parquet" not in shown.err
    assert run([*command, "--table", "latex"]) == 0
    assert "% Settings: lora: rank 2" in capfd.readouterr().out


def test_a_run_that_has_nothing_to_compare_is_found_before_any_is_trained(
    place: Path, tmp_path: Path, trained: list[str]
) -> None:
    shutil.copytree(place / "m", tmp_path / "m")
    shutil.copytree(place / "d", tmp_path / "d")
    meta = pd.read_csv(tmp_path / "d" / "metadata.csv")
    meta.assign(place=1).to_csv(tmp_path / "d" / "metadata.csv", index=False)
    with pytest.raises(FairauditError, match=r"images · tiny · fairlora: all train rows that have a place"):
        do(tmp_path, tmp_path / "s", PLAN)
    assert trained == []


def test_dry_run_lists_the_cells(place: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (place / "plan.toml").write_text(TUNED)
    assert run(["sweep", str(place / "plan.toml"), "--out", str(tmp_path / "s"), "--dry-run"]) == 0
    out = capfd.readouterr().out
    assert out.count("to run") == 7
    assert "6 cells, 6 to run" in out
    assert not (tmp_path / "s").exists()


def test_a_policy_chooses_by_the_rules_that_fail(place: Path, tmp_path: Path) -> None:
    """The number of failing rules, then of inconclusive ones, then accuracy; and another policy chooses anew."""
    rule = '[[rule]]\nid = "{}"\nmetric = "accuracy"\nby = ["overall"]\nmin = {}\n'
    policy = place / "fair.toml"
    policy.write_text("schema = 1\n" + rule.format("sure", 0.0) + rule.format("never", 0.999))
    text = 'select = "fair.toml"\n' + PLAN.replace("[0, 1]", "0")
    done = do(place, tmp_path / "s", text, only="· lora")
    record = done.entries[0].record
    assert record is not None
    table = pd.read_parquet(done.shelf.predictions(record.key, "validation"))
    assert record.score == (-1.0, 0.0, float((table.y_true == table.y_pred).mean()))
    policy.write_text("schema = 1\n" + rule.format("sure", 0.0))
    again = do(place, tmp_path / "s", text, only="· lora").entries[0].record
    assert again is not None
    assert again.key == record.key
    assert again.score == (0.0, 0.0, record.score[2])
