"""examples/acs_threshold: the script runs on a table of the same columns, and its results say what they must."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("fairlearn")
EXAMPLE = Path(__file__).parents[1] / "examples/acs_threshold"
SHARED = Path(__file__).resolve().parents[2] / "shared/data/tabular/ACSIncome.test.parquet"


def script() -> Any:
    spec = importlib.util.spec_from_file_location("acs_threshold", EXAMPLE / "run.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def miniature(n: int = 4000) -> pd.DataFrame:
    draw = np.random.default_rng(0)
    sex, age, hours = draw.integers(1, 3, n), draw.integers(18, 80, n), draw.integers(5, 60, n)
    hours += 15 * (sex == 1)  # the model sees them, not the sex
    wealth = 0.04 * (hours - 40) + draw.normal(size=n)
    codes = {
        name: draw.integers(0, 4, n).astype(float) for name in ("COW", "MAR", "OCCP", "POBP", "RELP", "SCHL")
    }
    table = pd.DataFrame(
        {"PINCP": (wealth > 0).astype(int), "RAC1P": draw.integers(0, 2, n), "SEX": sex.astype(float)}
    )
    return table.assign(**codes, WKHP=hours.astype(float), AGEP=age.astype(float)).rename_axis("index")


def check(found: dict[str, Any]) -> None:
    for run in found["runs"]:
        assert run["fairlearn"]["largest_difference_of_probabilities"] == 0
        assert run["fairlearn"]["predictions_equal_with_its_draws"]
    odds = found["runs"][0]
    assert (odds["attribute"], odds["constraint"]) == ("SEX", "equalized_odds")
    assert odds["before"]["gap"]["value"] == pytest.approx(
        odds["equalized_odds_difference"]["before"], abs=1e-12
    )
    assert odds["after"]["gap"]["value"] == pytest.approx(
        odds["equalized_odds_difference"]["after"], abs=1e-12
    )
    assert odds["after"]["gap"]["value"] < odds["before"]["gap"]["value"]


def run_on(data: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(sys, "argv", ["run.py", str(data), "--out", str(out)])
    script().main()
    return json.loads(out.read_text())  # type: ignore[no-any-return]


def test_the_script_on_a_miniature(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    miniature().to_parquet(tmp_path / "mini.parquet")
    check(run_on(tmp_path / "mini.parquet", tmp_path / "r.json", monkeypatch))


def test_the_results_in_the_repository_show_the_gap_closing() -> None:
    found = json.loads((EXAMPLE / "results.json").read_text())
    check(found)
    assert found["rows"] == 332_900


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_file(), reason="needs ACSIncome.test.parquet")
def test_the_results_in_the_repository_come_from_the_script(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = run_on(SHARED, tmp_path / "r.json", monkeypatch)
    stored = json.loads((EXAMPLE / "results.json").read_text())
    for ours, theirs in zip(found["runs"], stored["runs"], strict=True):
        assert ours["before"]["gap"]["value"] == pytest.approx(theirs["before"]["gap"]["value"], abs=1e-3)
        assert ours["after"]["gap"]["value"] == pytest.approx(theirs["after"]["gap"]["value"], abs=0.05)
