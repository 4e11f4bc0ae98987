"""The pytest plugin: a verdict becomes the outcome of a test, by the one mapping of all channels."""

from __future__ import annotations

import importlib
import subprocess
import sys
import tomllib
from pathlib import Path

import pandas as pd
import pytest

import fairaudit

pytest_plugins = ["pytester"]

REPO = Path(__file__).resolve().parent.parent
POLICY = """schema = 1
[data]
y_true = "label"
y_pred = "pred"
positive = "1"
sensitive = ["sex"]
[stats]
on_inconclusive = "{what}"
[[rule]]
id = "found-alike"
metric = "tpr"
by = "sex"
max_difference = 0.1
[[rule]]
id = "fine"
metric = "tnr"
by = "overall"
min = 0.5
"""
TEST = "def test_release(fairaudit_gate):\n    {body}\n"
CALL = 'fairaudit_gate("preds.csv", "fairaudit.toml")'


@pytest.fixture(autouse=True, scope="module")
def _loaded(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Everything a gate loads, before pytester notes the modules: it forgets later ones, which numpy cannot bear."""
    folder = tmp_path_factory.mktemp("loaded")
    (folder / "p.csv").write_text(rows(18, 20), encoding="utf-8")
    (folder / "p.toml").write_text(POLICY.format(what="warn"), encoding="utf-8")
    for data in (folder / "p.csv", pd.read_csv(folder / "p.csv")):
        verdict = fairaudit.gate(data, folder / "p.toml", baseline=data, id="id")
        importlib.import_module("fairaudit.report.gate_words").findings(verdict)


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No other installed plugin, and ours by its name whether or not the installation announces it."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


def rows(found: int, total: int) -> str:
    """Of the positives of F so many are found, of M nine in ten; all negatives are right."""
    lines = ["id,label,pred,sex"]
    lines += [f"f{i},1,{int(i < found)},F" for i in range(total)]
    lines += [f"m{i},1,{int(i < 0.9 * total)},M" for i in range(total)]
    lines += [f"n{s}{i},0,0,{s}" for s in "FM" for i in range(total)]
    return "\n".join(lines) + "\n"


def run(
    pytester: pytest.Pytester, data: str, body: str = CALL, what: str = "block", *more: str
) -> pytest.RunResult:
    pytester.makefile(".csv", preds=data)
    pytester.makefile(".toml", fairaudit=POLICY.format(what=what))
    return rerun(pytester, body, *more)


def rerun(pytester: pytest.Pytester, body: str = CALL, *more: str) -> pytest.RunResult:
    pytester.makepyfile(TEST.format(body=body))
    return pytester.runpytest_inprocess("-p", "fairaudit.pytest_plugin", "-p", "no:cacheprovider", *more)


def test_a_pass_gives_the_verdict(pytester: pytest.Pytester) -> None:
    body = f'v = {CALL}\n    assert (v.verdict, v.exit_code, len(v.checks)) == ("pass", 0, 2)'
    run(pytester, rows(900, 1000), body).assert_outcomes(passed=1)


def test_a_fail_fails_with_the_page_and_no_traceback(pytester: pytest.Pytester) -> None:
    result = run(pytester, rows(500, 1000))
    result.assert_outcomes(failed=1)
    text = result.stdout.str()
    assert "fairaudit gate: fail (fairaudit.toml, 1 of 2 checks)" in text
    assert "- found-alike by sex: fail. sex=F: tpr 50.0 %, 40.0 points from sex=M" in text
    assert "    pass: sex=M: tpr 90.0 %" in text
    assert "fine over" not in text
    assert "pytest_plugin.py" not in text
    assert "Traceback" not in text


def test_an_inconclusive_verdict_that_blocks_fails(pytester: pytest.Pytester) -> None:
    result = run(pytester, rows(18, 20))
    result.assert_outcomes(failed=1)
    assert "fairaudit gate: inconclusive" in result.stdout.str()


def test_an_inconclusive_verdict_that_warns_skips(pytester: pytest.Pytester) -> None:
    result = run(pytester, rows(18, 20), CALL, "warn", "-rs")
    result.assert_outcomes(skipped=1)
    assert "fairaudit gate: inconclusive" in result.stdout.str()
    assert "found-alike by sex: inconclusive" in result.stdout.str()


def test_a_fail_fails_even_where_inconclusive_warns(pytester: pytest.Pytester) -> None:
    run(pytester, rows(500, 1000), CALL, "warn").assert_outcomes(failed=1)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ('fairaudit_gate("none.csv")', "no such file: "),
        ('fairaudit_gate("preds.csv", "none.toml")', "there is no such file"),
        ('fairaudit_gate("preds.csv", weihgts="w")', "there is no option 'weihgts'. Did you mean 'weights'?"),
        ('fairaudit_gate("preds.csv", y_true="lable")', "no column 'lable' in "),
        ('fairaudit_gate("preds.csv", None)', "a policy is a path or a Policy, not NoneType."),
    ],
    ids=["data", "policy", "option", "column", "nothing"],
)
def test_what_cannot_be_read_is_one_sentence(pytester: pytest.Pytester, body: str, sentence: str) -> None:
    result = run(pytester, rows(900, 1000), body)
    result.assert_outcomes(failed=1)
    text = result.stdout.str()
    assert "fairaudit gate: error: " in text
    assert sentence in text
    assert "Traceback" not in text
    assert "pytest_plugin.py" not in text
    assert "exception" not in text  # nor what the error came from
    assert text.count(sentence) <= 2  # once in the report, once in the summary


def test_a_broken_policy_is_said_with_its_line(pytester: pytest.Pytester) -> None:
    pytester.makefile(".csv", preds=rows(900, 1000))
    pytester.makefile(".toml", fairaudit=POLICY.format(what="block").replace("metric", "metrik"))
    result = rerun(pytester)
    result.assert_outcomes(failed=1)
    assert "fairaudit.toml:11: " in result.stdout.str()
    assert "Did you mean 'metric'?" in result.stdout.str()


def test_paths_start_at_the_root_wherever_pytest_is_called(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Predictions, policy, baseline and the file of labels beside it."""
    pytester.makefile(".csv", **{"data/after": rows(900, 1000), "data/before": rows(890, 1000)})
    policy = POLICY.format(what="block").replace("[stats]", 'with = "data/labels.csv"\non = "id"\n[stats]')
    rule = '[[rule]]\nid = "r"\nby = "sex"\nno_group_worse = 0.05\nvs = "baseline"\n'
    pytester.makefile(".toml", fairaudit=policy.replace('"label"', '"truth"') + rule)
    ids = [line.split(",")[:2] for line in rows(900, 1000).splitlines()[1:]]
    pytester.makefile(".csv", **{"data/labels": "id,truth\n" + "\n".join(f"{i},{y}" for i, y in ids) + "\n"})
    body = 'v = fairaudit_gate("data/after.csv", "fairaudit.toml", baseline="data/before.csv", id="id")\n'
    pytester.makepyfile(TEST.format(body=body + '    assert v.baseline["paired"]'))
    elsewhere = pytester.mkdir("elsewhere")
    pytester.makeini("[pytest]\n")
    monkeypatch.chdir(elsewhere)
    result = pytester.runpytest_inprocess("-p", "fairaudit.pytest_plugin", "-p", "no:cacheprovider", "..")
    result.assert_outcomes(passed=1)


def test_a_dataframe_and_a_policy_value_are_taken_as_they_are(pytester: pytest.Pytester) -> None:
    body = (
        "import pandas as pd\n"
        "    from fairaudit.policy_file import read_policy\n"
        '    v = fairaudit_gate(pd.read_csv("preds.csv"), read_policy("fairaudit.toml"), split="all")\n'
        '    assert v.data["rows"] == 4000'
    )
    run(pytester, rows(900, 1000), body).assert_outcomes(passed=1)


def test_loading_the_plugin_loads_nothing_of_fairaudit() -> None:
    """It is loaded in every pytest run of an environment, whatever is tested there."""
    code = (
        "import sys, pytest; before = set(sys.modules); import fairaudit.pytest_plugin;"
        "print(*sorted(set(sys.modules) - before - set(sys.stdlib_module_names)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["fairaudit", "fairaudit.pytest_plugin"]


def test_pytest_finds_the_plugin_by_itself() -> None:
    project = tomllib.loads((REPO / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["entry-points"]["pytest11"] == {"fairaudit": "fairaudit.pytest_plugin"}
