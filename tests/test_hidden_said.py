"""Numbers made from a tally whose small counts are hidden say so, on every page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cases import binary

import fairaudit
from fairaudit import Inputs
from fairaudit.tallies.hiding import suppressed
from fairaudit_cli.main import run

SAID = "counts below 50 are hidden"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    whole = fairaudit.tabulate(binary(), Inputs(sensitive=("sex", "race")))
    fairaudit.write_tally(whole, "whole.tally")
    public = suppressed(whole, 50)
    assert public.warnings
    fairaudit.write_tally(public, "public.tally")
    for name in ("whole", "public"):
        Path(f"{name}.json").write_text(fairaudit.audit(f"{name}.tally").to_json())


def said(capfd: pytest.CaptureFixture[str], *command: str) -> str:
    assert run(list(command)) == 0
    out, err = capfd.readouterr()
    return " ".join((out + err).split()).lower()


def test_compare(capfd: pytest.CaptureFixture[str]) -> None:
    assert f"after: {SAID}" in said(capfd, "compare", "whole.json", "public.json")
    shown = said(capfd, "compare", "public.json", "public.json", "-o", "md:c.md")
    assert f"before: {SAID}" in shown
    assert f"after: {SAID}" in shown
    assert SAID in Path("c.md").read_text().lower()
    assert "hidden" not in said(capfd, "compare", "whole.json", "whole.json")


def test_plan(capfd: pytest.CaptureFixture[str]) -> None:
    shown = said(capfd, "plan", "public.tally")
    assert shown.index("smallest gap") < shown.index(SAID)
    assert "hidden" not in said(capfd, "plan", "whole.tally")


def test_init(capfd: pytest.CaptureFixture[str]) -> None:
    assert f"note: {SAID}" in said(
        capfd, "init", "public.tally", "--template", "paper-panel", "--out", "p.toml"
    )
    comments = [line.lower() for line in Path("p.toml").read_text().splitlines() if SAID in line.lower()]
    assert [line[0] for line in comments] == ["#"]
    said(capfd, "init", "whole.tally", "--template", "paper-panel", "--out", "w.toml")
    assert "are hidden in this tally" not in Path("w.toml").read_text().lower()


def test_cards(capfd: pytest.CaptureFixture[str]) -> None:
    shown = said(capfd, "card", "public.json", "--format", "hf")
    assert SAID in shown[shown.index("what these numbers do not say") :]
    bom = json.loads(said(capfd, "card", "public.json", "--format", "cyclonedx"))
    limits = bom["components"][0]["modelcard"]["considerations"]["technicallimitations"]
    assert sum(SAID in text for text in limits) == 1
    assert "hidden" not in said(capfd, "card", "whole.json", "--format", "hf")
