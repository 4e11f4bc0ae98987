"""The demo: what ships, what it writes, what it says, and (slow) that its claims hold on data it never saw."""

from __future__ import annotations

import json
import shlex
from functools import partial
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("peft")
pytest.importorskip("sklearn")

import fairaudit  # noqa: E402
from fairaudit.errors import FairauditError  # noqa: E402
from fairaudit.report import text  # noqa: E402
from fairaudit_cli import main  # noqa: E402
from fairaudit_mitigate import demo, demo_page, digits  # noqa: E402
from fairaudit_mitigate.classifier import Request, load  # noqa: E402

QUICK = partial(demo.Budget, train_rows=200, max_steps=2, batch_size=40)
WRITTEN = {
    "adapter", "audit_after.json", "audit_before.json", "audit_lora.json", "comparison.md", "history.jsonl",
    "lora", "manifest.json", "predictions_after.parquet", "predictions_before.parquet", demo.DATA,
}  # fmt: skip
POOL = digits.pool


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few rows and few steps: the way is the same, the numbers mean nothing."""
    monkeypatch.setattr(digits, "pool", lambda split: POOL(split)[::10])
    monkeypatch.setattr(demo, "Budget", QUICK)


def test_the_shipped_model_is_small_and_loads() -> None:
    folder = demo.model_folder()
    assert (folder / "model.safetensors").stat().st_size <= 2_000_000
    shipped = load(folder, Request("image"))
    assert shipped.labels == digits.CLASSES
    assert not shipped.fresh_head


def test_it_writes_what_mitigate_writes_and_the_audit_of_lora(small: None, tmp_path: Path) -> None:
    reported: list[fairaudit.Audit] = []
    done = demo.run(tmp_path / "out", 3, flagged=reported.append)
    assert {p.name for p in done.out.iterdir()} == WRITTEN
    saved = {
        n: fairaudit.Audit.from_json((done.out / f"audit_{n}.json").read_text())
        for n in ("before", "lora", "after")
    }
    assert [a.content_sha256 for a in saved.values()] == [a.content_sha256 for a in done.audits.values()]
    assert reported[0].estimates == done.audits["before"].estimates
    assert done.lora.before.content_sha256 == done.fairlora.before.content_sha256
    manifest = json.loads((done.out / "manifest.json").read_text())
    assert manifest["arguments"]["settings"]["penalty"] == done.penalty
    assert Path(manifest["arguments"]["data"]) == done.out / demo.DATA
    best = max(done.tried, key=lambda t: (t.worst, t.accuracy))
    assert (best.penalty, len(done.tried)) == (done.penalty, 2)
    assert manifest["results"]["validation"]["worst_group_accuracy"] == best.worst


def test_the_page_shows_three_audits_and_fits_80_columns(small: None, tmp_path: Path) -> None:
    done = demo.run(tmp_path / "out", 1)
    said = text.plain(text.lines(demo_page.page(done)))
    # a path in a command is never cut, so that the command can be copied
    prose = [line for line in said.splitlines() if not any(len(word) > 60 for word in line.split())]
    assert max(map(len, prose)) <= 80
    values = [a.estimate("accuracy").value for a in done.audits.values()]
    line = next(line for line in said.splitlines() if line.startswith("  accuracy"))
    assert all(v is not None and f"{100 * v:.1f} [" in line for v in values)
    first = said.split("worst cell first\n")[1].splitlines()[1]
    worst = min(found[0].value or 0 for _, found in demo_page._cells(done.audits))
    assert f"{100 * worst:.1f} [" in first
    numbers = json.loads(demo_page.to_json(done))["content"]["numbers"]
    assert {n["name"]: n["lora"]["value"] for n in numbers}["accuracy"] == values[1]


def test_the_commands_it_prints_run(small: None, tmp_path: Path) -> None:
    done = demo.run(tmp_path / "a folder", 1)
    commands = [shlex.split(c) for c in demo_page.commands(done)]
    assert [c[:2] for c in commands] == [["fairaudit", c] for c in ("report", "compare", "mitigate")]
    assert [main.run([*c[1:], "--force"] if c[1] == "mitigate" else c[1:]) for c in commands] == [0, 0, 0]


def test_the_command_shows_the_report_and_then_the_three(
    small: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = tmp_path / "d.json"
    assert main.run(["demo", "--seed", "2", "--out", str(tmp_path / "out"), "-o", f"json:{written}"]) == 0
    said = capsys.readouterr().out
    start = said.index("fairaudit report: the shipped model")
    assert start < said.index("fairaudit demo: one model, two repairs, the same budget")
    assert json.loads(written.read_text())["content"]["seed"] == 2


def test_json_is_all_that_stands_on_stdout(
    small: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(["demo", "--out", str(tmp_path / "out"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["schema"] == "fairaudit.demo"


def test_an_output_folder_that_exists_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").write_text("mine")
    assert main.run(["demo", "--out", str(tmp_path)]) == 2
    assert "exists; choose another --out" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["mine"]
    assert main.run(["demo", "--out", str(tmp_path / "mine" / "below")]) == 2
    assert "cannot write" in capsys.readouterr().err


@pytest.mark.parametrize("failure", [KeyboardInterrupt, FairauditError])
def test_a_failure_leaves_nothing(
    failure: type[BaseException], small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise failure("stop")

    monkeypatch.setattr(demo, "_mitigate", fail)
    with pytest.raises(failure):
        demo.run(tmp_path / "out", 0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0])
def test_fairlora_repairs_what_lora_does_not(seed: int, tmp_path: Path) -> None:
    before, lora, fairlora = demo.run(tmp_path / "out", seed).audits.values()

    def value(audit: fairaudit.Audit, metric: str, by: str = "place") -> float:
        found = audit.estimate(metric, by=by).value
        assert found is not None
        return found

    flagged = before.estimate("eod_max", by="place").interval
    assert flagged is not None
    assert flagged.low > 0.15
    assert value(fairlora, "eod_max") <= 0.65 * value(before, "eod_max")
    assert value(fairlora, "eod_max") < value(lora, "eod_max")
    assert value(fairlora, "worst_group_accuracy") >= value(before, "worst_group_accuracy") + 0.10
    assert value(fairlora, "accuracy", "overall") >= value(before, "accuracy", "overall") - 0.01
