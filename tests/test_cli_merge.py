"""`fairaudit merge`, as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cases import binary

from fairaudit_cli.main import run

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture) -> None:
    monkeypatch.chdir(tmp_path)
    frame = binary(300)
    frame.to_csv("all.csv", index=False)
    for i in range(3):
        frame[100 * i : 100 * (i + 1)].to_csv(f"day{i}.csv", index=False)
        assert run(["tabulate", f"day{i}.csv", "--cross", "2", "-o", f"day{i}.tally"]) == 0
    capfd.readouterr()


def content(capfd: Capture, *words: str) -> object:
    assert run([*words, "--json"]) == 0
    return json.loads(capfd.readouterr().out)["content"]


def test_days_add_up_to_the_whole(capfd: Capture) -> None:
    assert run(["merge", "day2.tally", "day[01].tally", "-o", "sum/all.tally"]) == 0
    out, err = capfd.readouterr()
    assert out.startswith("fairaudit tally: sum/all.tally\n300 rows in 43 cells of 3 tables:")
    assert "the sum of 3 tallies" in out
    assert "fairaudit tabulate sum/all.tally --suppress-below 11 -o public.tally" in err
    assert content(capfd, "report", "sum/all.tally") == content(capfd, "report", "all.csv", "--cross", "2")
    assert content(capfd, "report", "day*.tally") == content(capfd, "report", "sum/all.tally")


def test_order_and_grouping_do_not_show(capfd: Capture) -> None:
    assert run(["merge", "day0.tally", "day1.tally", "-o", "two.tally"]) == 0
    assert run(["merge", "day2.tally", "two.tally", "-o", "a.tally"]) == 0
    assert run(["merge", "day1.tally", "day2.tally", "day0.tally", "-o", "b.tally"]) == 0
    assert Path("a.tally").read_bytes() == Path("b.tally").read_bytes()
    assert run(["merge", "a.tally", "-o", "c.tally"]) == 0
    assert Path("c.tally").read_bytes() == Path("a.tally").read_bytes()


def test_the_same_rows_twice_are_refused(capfd: Capture) -> None:
    Path("copy.tally").write_bytes(Path("day0.tally").read_bytes())
    assert run(["merge", "day0.tally", "copy.tally", "-o", "x.tally"]) == 2
    err = capfd.readouterr().err
    assert "copy.tally holds counts that day0.tally holds too" in err
    assert not Path("x.tally").exists()
    assert run(["merge", "day0.tally", "copy.tally", "--allow-repeats", "-o", "x.tally"]) == 0


def test_mistakes_are_one_sentence(capfd: Capture) -> None:
    binary(100, seed=5).to_csv("other.csv", index=False)
    assert run(["tabulate", "other.csv", "-s", "sex", "-o", "sex.tally"]) == 0
    assert run(["tabulate", "other.csv", "--suppress-below", "3", "-o", "hidden.tally"]) == 0
    Path("text.tally").write_text("label,pred\n", encoding="utf-8")
    capfd.readouterr()
    for files, sentence in (
        (["day0.tally", "sex.tally"], "sex.tally was counted with attributes sex, day0.tally with attributes race"),
        (["day0.tally", "hidden.tally"], "hidden.tally hides counts below 3 (--suppress-below) and cannot be merged"),
        (["hidden.tally", "day0.tally"], "hidden.tally hides counts below 3"),
        (["day0.tally", "text.tally"], "text.tally is not a tally"),
        (["day0.tally", "day1.csv"], "day1.csv is not a tally"),
        (["nothing*.tally"], "no file matches 'nothing*.tally'"),
        (["gone.tally"], "no such file: gone.tally"),
    ):  # fmt: skip
        assert run(["merge", *files, "-o", "x.tally"]) == 2
        err = capfd.readouterr().err
        assert sentence in err
        assert len(err.strip().splitlines()) == 1
        assert not Path("x.tally").exists()
    assert run(["merge", "*.tally", "-o", "day0.tally"]) == 2
    assert "would be written over" in capfd.readouterr().err
