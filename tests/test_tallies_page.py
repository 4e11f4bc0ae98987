"""The commands of docs/tallies.md run, in their order, on files of the names that they use."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pandas as pd
import pytest
from cases import binary

from fairaudit_cli.main import run

PAGE = Path(__file__).resolve().parent.parent / "docs" / "tallies.md"
RULE = '[[rule]]\nid = "floor"\nmetric = "accuracy"\nby = ["sex", "race&sex"]\nmin = 0.1\n'


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, seed in (("day1", 0), ("day2", 1), ("hospital_a", 2), ("hospital_b", 3)):
        frame = binary(400, seed=seed)
        if name == "hospital_b":
            frame = frame.rename(columns={"label": "outcome", "pred": "alarm"})
        frame.to_csv(f"{name}.csv", index=False)
    data = '[data]\ny_true = "label"\ny_pred = "pred"\npositive = "1"\n'
    Path("fairaudit.toml").write_text(f"schema = 1\n{data}{RULE}", encoding="utf-8")


def test_the_commands_run(capfd: pytest.CaptureFixture[str]) -> None:
    text = PAGE.read_text(encoding="utf-8")
    words = [
        shlex.split(line)
        for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
        for line in block.splitlines()
    ]
    assert len(words) == 12
    for command in words:
        assert run(command[1:]) == 0, (command, capfd.readouterr().err)
    assert {"week.tally", "all.tally", "public.tally", "audit.json"} <= {p.name for p in Path().iterdir()}


def test_the_query_runs() -> None:
    import duckdb

    sql = re.search(r"```sql\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert sql is not None
    assert run(["tabulate", "day1.csv", "-o", "week.tally"]) == 0
    expected = pd.read_csv("day1.csv")["race"].fillna("(missing)").value_counts().to_dict()
    assert dict(duckdb.sql(sql[1]).fetchall()) == expected
