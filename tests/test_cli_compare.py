"""`fairaudit compare` and `fairaudit schema`, as a user runs them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cases import binary

from fairaudit.schema import check, schema_text
from fairaudit_cli.main import run


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    binary().to_csv("before.csv", index=False)
    binary(gap=0.0, seed=1).sample(frac=1, random_state=0).to_csv("after.csv", index=False)


def test_two_files_paired_by_id(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["compare", "before.csv", "after.csv", "--id", "id", "-s", "sex"]) == 0
    shown = capfd.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    assert "400 in both, paired by id" in shown
    assert "eod_max by sex fell:" in shown
    assert shown.startswith("fairaudit compare: before.csv → after.csv")


def test_json_and_files(capfd: pytest.CaptureFixture[str]) -> None:
    assert (
        run(
            [
                "compare",
                "before.csv",
                "after.csv",
                "-s",
                "sex",
                "--json",
                "-o",
                "md:x/c.md",
                "-o",
                "text:c.txt",
            ]
        )
        == 0
    )
    written = json.loads(capfd.readouterr().out)
    check(written, "comparison")
    assert written["content"]["paired"]
    assert "## What came of it" in Path("x/c.md").read_text(encoding="utf-8")
    assert Path("c.txt").read_text(encoding="utf-8").startswith("fairaudit compare")


def test_partial_overlap_is_used_and_counted(capfd: pytest.CaptureFixture[str]) -> None:
    binary(gap=0.0, seed=1)[50:].to_csv("after.csv", index=False)
    assert run(["compare", "before.csv", "after.csv", "-s", "sex"]) == 0
    assert "350 in both, paired by id; 50 only before, left out" in capfd.readouterr().out


def test_two_audits_are_not_paired(capfd: pytest.CaptureFixture[str]) -> None:
    for name in ("before", "after"):
        assert run(["report", f"{name}.csv", "-s", "sex", "-o", f"json:{name}.json"]) == 0
    capfd.readouterr()
    assert run(["compare", "before.json", "after.json"]) == 0
    assert "not paired: wider intervals" in capfd.readouterr().out


def test_files_of_one_name_are_told_apart_by_their_folders(capfd: pytest.CaptureFixture[str]) -> None:
    for name in ("before", "after"):
        Path(name).mkdir()
        Path(f"{name}.csv").rename(Path(name, "p.csv"))
    assert run(["compare", "before/p.csv", "after/p.csv", "-s", "sex"]) == 0
    assert "before/p.csv → after/p.csv" in capfd.readouterr().out


@pytest.mark.parametrize("name", ["audit", "comparison"])
def test_schema(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["schema", name]) == 0
    assert capfd.readouterr().out == schema_text(name)
