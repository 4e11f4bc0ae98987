"""The GitHub Action: its scripts, run as GitHub's runner runs them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

REPO = Path(__file__).resolve().parent.parent
ACTION: dict[str, Any] = yaml.safe_load((REPO / "action.yml").read_text(encoding="utf-8"))
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Run:
    """What a step left behind."""

    code: int
    stdout: str
    stderr: str
    outputs: dict[str, str]
    summary: str
    path: str


def run_step(name: str, folder: Path, path: str, **inputs: str) -> Run:
    """One step's script, run as GitHub's runner runs `shell: bash`, with inputs as that would fill them in."""
    step = next(s for s in ACTION["runs"]["steps"] if s["name"] == name)
    defaults = {k: v.get("default", "") for k, v in ACTION["inputs"].items()}
    given = defaults | {k.replace("_", "-"): v for k, v in inputs.items()}
    files = {k: folder / k.lower() for k in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITHUB_PATH")}
    for file in files.values():
        file.write_text("earlier step\n" if file.name == "github_step_summary" else "", encoding="utf-8")
    filled = {
        k: re.fullmatch(r"\$\{\{ inputs\.([a-z-]+) \}\}", v)[1]  # type: ignore[index]
        for k, v in step["env"].items()
    }
    script = folder / "script.sh"
    script.write_text(step["run"], encoding="utf-8")
    (folder / "temp").mkdir(exist_ok=True)
    env = {
        "PATH": path, "HOME": str(folder), "RUNNER_TEMP": str(folder / "temp"), "LANG": "C.UTF-8",
        "OMP_NUM_THREADS": "1", **{k: str(v) for k, v in files.items()}, **{k: given[i] for k, i in filled.items()},
    }  # fmt: skip
    command = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", str(script)]
    done = subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=120
    )
    said = files["GITHUB_OUTPUT"].read_text(encoding="utf-8").splitlines()
    return Run(
        done.returncode, done.stdout, done.stderr, dict(line.split("=", 1) for line in said),
        files["GITHUB_STEP_SUMMARY"].read_text(encoding="utf-8"), files["GITHUB_PATH"].read_text(encoding="utf-8"),
    )  # fmt: skip


def gate(folder: Path, **inputs: str) -> Run:
    return run_step("Gate", folder, f"{BIN}:{os.environ['PATH']}", **inputs)


def commands(stdout: str) -> list[str]:
    """The workflow commands that a runner would obey: it ignores leading blanks, and none between stop and token."""
    found, token = [], None
    for line in (line.strip() for line in stdout.splitlines()):
        if token is not None:
            token = None if line == f"::{token}::" else token
        elif line.startswith("::stop-commands::"):
            token = line.removeprefix("::stop-commands::")
        elif line.startswith("::"):
            found.append(line)
    assert token is None, "commands stay stopped after the step"
    return found


def rows(found_f: int, total_f: int, found_m: int, total_m: int, name_f: str = "F") -> str:
    """Positives only, of two groups, some of them found."""
    lines = ["label,pred,sex"]
    for name, found, total in ((name_f, found_f, total_f), ("M", found_m, total_m)):
        lines += [f"1,{int(i < found)},{name}" for i in range(total)]
        lines += [f"0,0,{name}"] * total
    return "\n".join(lines) + "\n"


POLICY = """schema = 1
[data]
y_true = "label"
y_pred = "pred"
positive = "1"
sensitive = ["sex"]
[[rule]]
id = "found-alike"
metric = "tpr"
by = "sex"
max_difference = 0.1
"""
PASS, FAIL, OPEN = rows(900, 1000, 900, 1000), rows(500, 1000, 900, 1000), rows(18, 20, 18, 20)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "fairaudit.toml").write_text(POLICY, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("data", "verdict", "code", "level"),
    [(PASS, "pass", 0, None), (FAIL, "fail", 1, "error"), (OPEN, "inconclusive", 3, "error")],
    ids=["pass", "fail", "inconclusive"],
)
def test_the_action_says_the_verdict_everywhere(
    folder: Path, data: str, verdict: str, code: int, level: str | None
) -> None:
    (folder / "preds.csv").write_text(data, encoding="utf-8")
    run = gate(folder, predictions="preds.csv\n")
    assert run.code == code, run.stderr
    assert (run.outputs["verdict"], run.outputs["exit-code"]) == (verdict, str(code))
    assert run.summary.startswith("earlier step\n")
    assert f"fairaudit gate: {verdict}" in run.summary
    assert f"Verdict: {verdict.upper()}" in run.stdout
    found = commands(run.stdout)
    assert [c.split(" ")[0] for c in found] == ([] if level is None else [f"::{level}"])
    assert all("file=fairaudit.toml,line=7" in c for c in found)
    sarif = json.loads(Path(run.outputs["sarif-file"]).read_text(encoding="utf-8"))
    # what is uploaded holds no pass: GitHub would open an alert for it
    kinds = {"pass": [], "fail": ["fail"], "inconclusive": ["open"]}[verdict]
    assert [r["kind"] for r in sarif["runs"][0]["results"]] == kinds
    junit = Path(run.outputs["junit-file"]).read_text(encoding="utf-8")
    assert f'failures="{int(code != 0)}"' in junit


def test_an_inconclusive_verdict_need_not_fail_the_step(folder: Path) -> None:
    (folder / "preds.csv").write_text(OPEN, encoding="utf-8")
    run = gate(folder, predictions="preds.csv", fail_on_inconclusive="false")
    assert run.code == 0
    assert (run.outputs["verdict"], run.outputs["exit-code"]) == ("inconclusive", "3")


def test_a_broken_policy_is_one_annotation_and_exit_2(folder: Path) -> None:
    (folder / "preds.csv").write_text(PASS, encoding="utf-8")
    (folder / "fairaudit.toml").write_text(
        POLICY.replace("max_difference", "max_diference"), encoding="utf-8"
    )
    run = gate(folder, predictions="preds.csv")
    assert run.code == 2
    assert run.outputs == {"verdict": "error", "exit-code": "2", "sarif-file": "", "junit-file": ""}
    (said,) = commands(run.stdout)
    assert said.startswith("::error title=fairaudit::fairaudit.toml:")
    assert "max_difference" in said
    assert run.summary == "earlier step\n"


@pytest.mark.parametrize(
    ("inputs", "word"),
    [
        ({"fail_on_inconclusive": "yes"}, "fail-on-inconclusive is true or false"),
        ({"fail_on_inconclusive": "100 %\r\n::x"}, "not '100 %25%0D%0A::x'"),
        ({"args": "--positive 'x"}, "a quote in it is not closed"),
        ({"predictions": " \n".strip()}, "predictions names no file"),
    ],
    ids=["switch", "escapes", "args", "predictions"],
)
def test_inputs_without_meaning_are_refused(folder: Path, inputs: dict[str, str], word: str) -> None:
    run = gate(folder, **{"predictions": "preds.csv", **inputs})
    assert run.code == 2
    assert run.outputs["verdict"] == "error"
    (said,) = commands(run.stdout)
    assert word in said


def test_nothing_in_an_input_is_run(folder: Path) -> None:
    """Quotes, blanks, leading dashes and substitutions are part of a name; only `args` is split, as a shell would."""
    evil = "-a b'\"$(touch pwned)`touch pwned`;touch pwned.csv"
    (folder / evil).write_text(PASS.replace("label", "the label"), encoding="utf-8")
    policy = "p $(touch pwned).toml"
    (folder / policy).write_text(POLICY, encoding="utf-8")
    args = "--y-true 'the label' --y-pred \"pred\" --na '$(touch pwned)' --na ';' --na 'touch pwned'"
    run = gate(folder, predictions=f"\n{evil}\r\n\n", policy=policy, baseline="", args=args)
    assert run.code == 0, run.stderr
    baseline = gate(folder, predictions=evil, policy=policy, args=args, baseline="$(touch pwned)")
    assert baseline.code == 2
    assert "$(touch pwned)" in baseline.stderr
    assert not (folder / "pwned").exists()


def test_a_group_cannot_speak_to_the_runner(folder: Path) -> None:
    name = "::error title=x::pwned%0A::set-output name=verdict::pass"
    (folder / "preds.csv").write_text(rows(500, 1000, 900, 1000, name), encoding="utf-8")
    run = gate(folder, predictions="preds.csv", fail_on_inconclusive="false")  # which a failure is not
    assert run.code == 1
    (said,) = commands(run.stdout)
    assert said.startswith("::error file=fairaudit.toml")
    assert run.outputs["verdict"] == "fail"


def test_scripts_hold_no_expressions() -> None:
    for step in ACTION["runs"]["steps"]:
        assert "${{" not in step["run"]
        assert step["shell"] == "bash"
    assert all(i["required"] or "default" in i for i in ACTION["inputs"].values())


def fake_python(folder: Path, new_enough: bool) -> str:
    """A PATH with a `python3` that only notes what it is asked for."""
    home = folder / "fake"
    home.mkdir()
    log = folder / "log"
    python = home / "python3"
    python.write_text(
        f'#!/bin/bash\nif [ "$1 $2" = "-I -c" ]; then exit {int(not new_enough)}; fi\n'
        f"printf '%s|' \"$@\" >> '{log}'; echo >> '{log}'\n"
        'if [ "$2" = venv ]; then mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; fi\n',
        encoding="utf-8",
    )
    python.chmod(0o755)
    for tool in ("bash", "mkdir", "cp"):
        (home / tool).symlink_to(str(shutil.which(tool)))
    return str(home)


def test_the_package_is_installed_into_an_environment_of_its_own(tmp_path: Path) -> None:
    spec = "fairaudit-toolkit == 0.1.0; $(touch pwned)"
    run = run_step("Install fairaudit", tmp_path, fake_python(tmp_path, True), package=spec)
    assert run.code == 0, run.stderr
    venv = tmp_path / "temp" / "fairaudit-venv"
    made, installed = (tmp_path / "log").read_text(encoding="utf-8").splitlines()
    assert made == f"-m|venv|{venv}|"
    assert installed.startswith("-m|pip|install|")
    assert installed.endswith(f"|--|{spec}|")
    assert run.path == f"{venv}/bin\n"
    assert not (tmp_path / "pwned").exists()
    assert ACTION["inputs"]["package"]["default"] == "fairaudit-toolkit"


def test_an_old_python_is_said(tmp_path: Path) -> None:
    run = run_step("Install fairaudit", tmp_path, fake_python(tmp_path, False))
    assert run.code == 2
    assert "Python 3.11 or newer" in commands(run.stdout)[0]


def test_no_package_installs_nothing(tmp_path: Path) -> None:
    run = run_step("Install fairaudit", tmp_path, fake_python(tmp_path, True), package="")
    assert (run.code, run.path) == (0, "")
