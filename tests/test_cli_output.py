"""What a command reads is never written over, under whatever name; and the gate's own ways of being called wrongly."""

from __future__ import annotations

from pathlib import Path

import pytest
from cases import binary

from fairaudit_cli import output
from fairaudit_cli.main import run

RULE = '[[rule]]\nid = "r"\nmetric = "accuracy"\nby = ["sex"]\nmin = 0.1\n'
POLICY = "schema = 1\n" + RULE


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    binary().to_csv("p.csv", index=False)
    binary(seed=1).to_csv("base.csv", index=False)
    Path("ok.toml").write_text(POLICY, encoding="utf-8")
    Path("with.toml").write_text(
        f'schema = 1\n[data]\nwith = "base.csv"\non = "id"\n{RULE}', encoding="utf-8"
    )
    assert run(["report", "p.csv", "-s", "sex", "-o", "json:audit.json"]) == 0
    Path("soft.csv").symlink_to("p.csv")
    Path("hard.csv").hardlink_to("p.csv")
    Path("data").mkdir()
    Path("data", "metadata.csv").write_text("a,b\n", encoding="utf-8")


def contents() -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in Path().rglob("*") if p.is_file()}


@pytest.mark.parametrize(
    "line",
    [
        "gate p.csv --policy ok.toml -o md:p.csv",
        "gate p.csv --policy ok.toml -o md:ok.toml",
        "gate p.csv --policy ok.toml --baseline base.csv -o json:./base.csv",
        "gate p.csv --policy ok.toml -o md:out.md -o text:soft.csv",
        "gate soft.csv --policy ok.toml -o text:p.csv",
        "gate p.csv --policy ok.toml -o text:hard.csv",
        "gate p.csv --policy ok.toml -o text:data/../p.csv",
        "gate p.c* --policy ok.toml -o text:p.csv",
        "gate p.csv --policy with.toml -o text:base.csv",
        "report p.csv -s sex -o json:p.csv",
        "report p.csv --with base.csv --on id -o json:base.csv",
        "compare p.csv base.csv -o json:p.csv",
        "compare p.csv base.csv -o json:base.csv",
        "card audit.json -o hf:audit.json",
        "plan p.csv -s sex -o md:p.csv",
        "explain r --policy ok.toml -o md:ok.toml",
        "init p.csv --template four-fifths --out p.csv --force",
        "predict model p.csv -o p.csv",
        "mitigate model data --out new --policy ok.toml -o md:ok.toml",
        "mitigate model data --out new -o md:data/metadata.csv",
    ],
)
def test_an_input_is_not_written_over(line: str, capfd: pytest.CaptureFixture[str]) -> None:
    before = contents()
    capfd.readouterr()
    assert run(line.split()) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert "would be written over" in err
    assert len(err.splitlines()) == 1
    assert contents() == before


def test_what_is_not_read_may_be_written_over() -> None:
    Path("old.md").write_text("old", encoding="utf-8")
    for _ in range(2):
        assert run(["gate", "p.csv", "--policy", "ok.toml", "-o", "md:old.md", "-o", "json:data/v.json"]) == 0
    assert Path("old.md").read_text(encoding="utf-8") != "old"
    assert output.targets(["md:/dev/stdout"], ["md"], ["/dev/stdin", "-", None]) == (
        ("md", Path("/dev/stdout")),
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("gate p.csv --policy ok.toml -o md:-", "-o writes files, not standard output"),
        ("gate p.csv --policy ok.toml -o md:a -o text:./a", "twice"),
        ("gate p.csv --policy ok.toml --cross 2", 'write by = ["race&sex"] in a rule'),
        ("gate audit.json --policy ok.toml", "audit.json is an audit (fairaudit.audit), not predictions;"),
        ("gate p.csv --policy with.toml -s nothing --level 0.9", "--level is not for a gate"),
    ],
)
def test_a_wrong_call_is_one_sentence(line: str, said: str, capfd: pytest.CaptureFixture[str]) -> None:
    before = contents()
    capfd.readouterr()
    assert run(line.split()) == 2
    out, err = capfd.readouterr()
    assert (out, len(err.splitlines())) == ("", 1)
    assert said in err
    assert contents() == before


def test_a_verdict_is_no_baseline(capfd: pytest.CaptureFixture[str]) -> None:
    Path("change.toml").write_text(
        POLICY.replace("min = 0.1", 'vs = "baseline"\nmax_decrease = 0.5'), encoding="utf-8"
    )
    assert run(["gate", "p.csv", "--policy", "ok.toml", "-o", "json:verdict.json"]) == 0
    for line in (
        "gate p.csv --policy change.toml --baseline verdict.json",
        "compare verdict.json audit.json",
    ):
        capfd.readouterr()
        assert run(line.split()) == 2
        said = "verdict.json is a verdict (fairaudit.verdict), not predictions or an audit;"
        assert said in capfd.readouterr().err
    assert run(["gate", "p.csv", "--policy", "change.toml", "--baseline", "audit.json"]) in (0, 3)


def test_lint_reads_every_policy(capfd: pytest.CaptureFixture[str]) -> None:
    Path("bad1.toml").write_text("schema = 2\n", encoding="utf-8")
    Path("bad2.toml").write_text(POLICY + "x = 1\n", encoding="utf-8")
    capfd.readouterr()
    assert run(["gate", "--lint", "bad1.toml", "ok.toml", "bad2.toml", "with.toml"]) == 2
    out, err = capfd.readouterr()
    assert out.splitlines() == ["ok.toml: 1 rule, 0 waivers", "with.toml: 1 rule, 0 waivers"]
    assert [e.split(":")[:2] for e in err.splitlines()] == [["error", " bad1.toml"], ["error", " bad2.toml"]]
    assert run(["gate", "--lint", "ok.toml"]) == 0


@pytest.mark.parametrize("arguments", [["--help"], ["gate", "--help"]])
def test_help_swallows_no_words(arguments: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 0
    shown = " ".join(capfd.readouterr().out.replace("│", " ").split())
    assert "overrules" in shown
    assert "overrules ." not in shown


def test_a_template_is_explained(capfd: pytest.CaptureFixture[str]) -> None:
    for name, words in (
        ("four-fifths", ("29 CFR 1607.4(D)", "init PREDICTIONS --template four-fifths", "--policy FILE")),
        ("paper-panel", ("worst-group-accuracy", "PLACEHOLDERS")),
    ):
        capfd.readouterr()
        assert run(["explain", name]) == 0
        shown = " ".join(capfd.readouterr().out.split())
        assert all(w in shown for w in words)
    assert run(["explain", "selection-rate", "--json"]) == 0
    assert '"topic": "Metrics"' in capfd.readouterr().out
