"""`fairaudit tabulate`, and tallies in every command that takes predictions, as a user runs them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from cases import binary

from fairaudit.schema import check
from fairaudit_cli.main import run

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    binary(300).to_csv("day1.csv", index=False)


def said(capfd: Capture, *words: str, code: int = 0) -> tuple[str, str]:
    """Run a command; what it wrote to standard output and error."""
    capfd.readouterr()
    assert run(list(words)) == code, capfd.readouterr().err
    return tuple(capfd.readouterr())  # type: ignore[return-value]


def test_the_audit_of_a_tally_is_that_of_its_rows(capfd: Capture) -> None:
    said(capfd, "tabulate", "day1.csv", "-s", "sex", "--positive", "1", "-o", "day1.tally")
    rows = said(capfd, "report", "day1.csv", "-s", "sex", "--positive", "1", "--json")[0]
    counts = said(capfd, "report", "day1.tally", "--json")[0]
    assert json.loads(counts)["content"] == json.loads(rows)["content"]


def test_what_people_read(capfd: Capture) -> None:
    out, err = said(capfd, "tabulate", "day1.csv", "--cross", "2", "-o", "tally:day1.tally")
    assert out.startswith(
        "fairaudit tally: day1.tally\n300 rows in 43 cells of 3 tables:\n  labels by sex (8)\n"
    )
    assert out.endswith("next: fairaudit report day1.tally\n")
    assert "wrote day1.tally" in err
    assert "warning: 1 of 43 cells hold exactly one row (labels by sex&race 1)" in err
    assert "--suppress-below 11 hides" in err


def test_what_machines_read(capfd: Capture) -> None:
    out, _ = said(capfd, "tabulate", "day1.csv", "--cross", "2", "-o", "day1.tally", "--json")
    document = json.loads(out)
    check(document, "tally")
    content = document["content"]
    assert (content["rows"], content["cells"], content["cells_of_one"]) == (300, 43, 1)
    assert [t["name"] for t in content["tables"]] == ["labels by sex", "labels by race", "labels by sex&race"]
    assert content["sources"] == [content["sha256"]]


def test_no_warning_where_nobody_stands_alone(capfd: Capture) -> None:
    assert "warning" not in said(capfd, "tabulate", "day1.csv", "-s", "sex", "-o", "a.tally")[1]


def test_hiding_small_cells(capfd: Capture) -> None:
    out, err = said(
        capfd, "tabulate", "day1.csv", "--cross", "2", "--suppress-below", "11", "-o", "p.tally", "--json"
    )
    check(json.loads(out), "tally")
    assert json.loads(out)["content"]["hidden"]["below"] == 11
    assert "note: counts below 11 are hidden" in err
    assert "cannot be merged" in err
    assert "hidden in this tally" in " ".join(said(capfd, "report", "p.tally")[0].split())
    binary(300).assign(y_score=0.5, loss=0.1).to_csv("s.csv", index=False)
    _, err = said(capfd, "tabulate", "s.csv", "-s", "sex", "--suppress-below", "3", "-o", "p.tally")
    assert "left out: scores and losses" in err


def test_a_tally_of_a_tally(capfd: Capture) -> None:
    said(capfd, "tabulate", "day1.csv", "--cross", "2", "-o", "day1.tally")
    said(capfd, "tabulate", "day1.tally", "-s", "sex", "-o", "sex.tally")
    said(capfd, "tabulate", "day1.csv", "-s", "sex", "-o", "direct.tally")
    one, two = (
        json.loads(said(capfd, "report", f, "--json")[0])["content"] for f in ("sex.tally", "direct.tally")
    )
    assert one == two


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["day1.csv"], "name the tally to write: -o day1.tally."),
        (["day1.csv", "-o", "day1.parquet"], "-o names a tally, which ends in .tally"),
        (["day1.csv", "-o", ".tally"], "-o names a tally"),
        (["day1.csv", "-o", "json:day1.json"], "-o names a tally"),
        (["day1.csv", "-o", "-"], "not standard output"),
        (["day1.csv", "-o", "x.tally", "--level", "0.9"], "--level changes no count"),
        (["day1.csv", "-o", "x.tally", "--min-n", "30"], "--min-n changes no count"),
        (["day1.csv", "-o", "x.tally", "--suppress-below", "2"], "at least 3, not 2"),
        (["gone.csv", "-o", "x.tally"], "no such file: gone.csv"),
        (["gone.tally", "-o", "x.tally"], "no such file: gone.tally"),
        (["*.tally", "-o", "x.tally"], "no file matches '*.tally'"),
        (["day1.csv", "-s", "colour", "-o", "x.tally"], "no column 'colour'"),
    ],
)
def test_one_sentence_for_each_mistake(words: list[str], sentence: str, capfd: Capture) -> None:
    _, err = said(capfd, "tabulate", *words, code=2)
    assert sentence in err
    assert len(err.strip().splitlines()) == 1
    assert not list(Path().glob("*.tally"))


def test_inputs_are_never_written_over(capfd: Capture) -> None:
    said(capfd, "tabulate", "day1.csv", "-o", "day1.tally")
    before = Path("day1.tally").read_bytes()
    Path("link.tally").symlink_to("day1.tally")
    for given in ("day1.tally", "*1.tally", "link.tally"):
        assert "would be written over" in said(capfd, "tabulate", given, "-o", "day1.tally", code=2)[1]
    assert Path("day1.tally").read_bytes() == before


def test_a_tally_under_another_name_is_not_read_as_rows(capfd: Capture) -> None:
    said(capfd, "tabulate", "day1.csv", "-o", "day1.tally")
    Path("day1.tally").rename("day1.parquet")
    assert "holds a tally" in said(capfd, "report", "day1.parquet", code=2)[1]


def test_the_commands_that_take_predictions(capfd: Capture) -> None:
    binary(300, gap=0.0, seed=1).to_csv("day2.csv", index=False)
    for day in ("day1", "day2"):
        said(capfd, "tabulate", f"{day}.csv", "--cross", "2", "--positive", "1", "-o", f"{day}.tally")
    out, _ = said(capfd, "report", "day1.tally", "day2.tally", "-o", "json:audit.json")
    assert out.startswith("fairaudit report: day1.tally and 1 more")
    assert "not paired" in said(capfd, "compare", "day1.tally", "day2.tally")[0]
    assert "smallest gap" in said(capfd, "plan", "day1.tally")[0]
    said(capfd, "init", "day1.tally", "--template", "four-fifths")
    assert run(["gate", "day1.tally"]) == run(["gate", "day1.csv"])
    assert run(["gate", "day2.tally", "--baseline", "day1.tally"]) in (0, 1, 3)
    capfd.readouterr()
    assert "fairness" in said(capfd, "card", "audit.json")[0].lower()


def test_flags_that_the_counts_cannot_follow(capfd: Capture) -> None:
    said(capfd, "tabulate", "day1.csv", "-s", "sex", "-o", "day1.tally")
    for words, sentence in (
        (["report", "day1.tally", "--cross", "2"], "--cross 2, but day1.tally was counted with 1"),
        (["report", "day1.tally", "--weights", "w"], "--weights 'w', but day1.tally was counted without"),
        (["report", "day1.tally", "--id", "id"], "holds counts, not rows"),
        (["report", "day1.tally", "day1.csv"], "not read together"),
        (["report", "day1.tally", "-"], "not read together, and - is no tally"),
        (["compare", "day1.tally", "day1.csv", "--id", "id"], "--id names rows"),
        (["plan", "day1.tally", "--with", "x.csv", "--on", "id"], "--with joins rows"),
    ):
        _, err = said(capfd, *words, code=2)
        assert sentence in err
        assert len(err.strip().splitlines()) == 1


def test_neither_pandas_nor_datasets_are_loaded_for_a_tally(capfd: Capture) -> None:
    import subprocess

    said(capfd, "tabulate", "day1.csv", "-o", "day1.tally")
    code = (
        "import sys, fairaudit_cli.tabulate, fairaudit_cli.merge, fairaudit.tallies.inputs\n"
        "print('pyarrow' in sys.modules)\n"
        "import fairaudit\n"
        "fairaudit.write_tally(fairaudit.read_tally('day1.tally'), 'copy.tally')\n"
        "print([m for m in ('duckdb', 'pandas', 'pyarrow.dataset', 'scipy.optimize') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split("\n")[:2] == ["False", "[]"]
    assert Path("copy.tally").read_bytes() == Path("day1.tally").read_bytes()
