"""examples/ci_gate and the hook: files valid by the official schemas, commands that run, outputs that are real.

`python tests/test_ci_gate_example.py` writes the outputs in examples/ci_gate/README.md anew.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

REPO = Path(__file__).resolve().parent.parent
KITS = REPO / "examples" / "ci_gate"
SCHEMAS = REPO / "tests" / "official_schemas" / "ci"
ACTION: dict[str, Any] = yaml.safe_load((REPO / "action.yml").read_text(encoding="utf-8"))
HOOKS: list[dict[str, Any]] = yaml.safe_load((REPO / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
BIN = Path(sys.executable).parent
#: The commands of a console block, a command going on after a backslash, and what they print.
BLOCK = re.compile(r"(?<=^```console\n).*?(?=^```)", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ ((?:.*\\\n)*.*)$", re.MULTILINE)


def check(document: Any, schema: str) -> None:
    loaded = json.loads((SCHEMAS / schema).read_text(encoding="utf-8"))
    Draft7Validator(loaded).validate(document)


def example(name: str) -> dict[Any, Any]:
    loaded: dict[Any, Any] = yaml.safe_load((KITS / name).read_text(encoding="utf-8"))
    return loaded


def test_the_action_is_valid_by_the_official_schema() -> None:
    check(ACTION, "github-actions.json")


def test_the_workflow_is_valid_and_fits_the_action() -> None:
    workflow = example("github-workflow.yml")
    workflow["on"] = workflow.pop(True)  # YAML 1.1 reads the key `on` as true
    check(workflow, "github-workflows.json")
    steps = workflow["jobs"]["gate"]["steps"]
    ours = next(s for s in steps if s.get("id") == "gate")
    assert set(ours["with"]) <= set(ACTION["inputs"])
    used = re.findall(r"steps\.gate\.outputs\.([a-z-]+)", json.dumps(steps))
    assert set(used) <= set(ACTION["outputs"])
    later = steps[steps.index(ours) + 1 :]
    assert any(s["uses"].startswith("github/codeql-action/upload-sarif@") for s in later)
    assert all("always()" in s["if"] for s in later)


def test_the_outputs_of_the_action_are_what_its_script_writes() -> None:
    script = ACTION["runs"]["steps"][-1]["run"]
    for name, output in ACTION["outputs"].items():
        assert output["value"] == f"${{{{ steps.gate.outputs.{name} }}}}"
        assert f'echo "{name}=' in script


def test_the_gitlab_job_is_valid_and_its_gate_runs(tmp_path: Path) -> None:
    job = example("gitlab-ci.yml")
    check(job, "gitlab-ci.json")
    job = job["fairness"]
    assert job["allow_failure"] == {"exit_codes": [3]}
    shutil.copytree(KITS, tmp_path, dirs_exist_ok=True)
    script = [line for line in job["script"] if not line.startswith("pip ")]
    done = shell("\n".join(["set -eo pipefail", *script]), tmp_path)
    assert done.returncode == 1, done.stderr
    wanted = [job["artifacts"]["reports"]["junit"], job["artifacts"]["reports"]["codequality"]]
    for name in (*wanted, *job["artifacts"]["paths"]):
        assert (tmp_path / name).stat().st_size > 0


def test_the_hook_is_what_pre_commit_reads(tmp_path: Path) -> None:
    (hook,) = HOOKS
    assert {"id", "name", "entry", "language", "files"} <= set(hook)
    assert example("pre-commit-config.yaml")["repos"][0]["hooks"] == [{"id": hook["id"]}]
    taken = ("fairaudit.toml", "ci/fairaudit.toml", "loans.fairaudit.toml", "fairaudit-loans.toml")
    assert all(re.search(hook["files"], name) for name in taken)
    assert not any(re.search(hook["files"], n) for n in ("pyproject.toml", "xfairaudit.toml", "fairaudit.py"))


def test_the_hook_is_valid_by_pre_commit_itself() -> None:
    clientlib = pytest.importorskip("pre_commit.clientlib", reason="pre-commit is not installed")
    clientlib.load_manifest(str(REPO / ".pre-commit-hooks.yaml"))
    clientlib.load_config(str(KITS / "pre-commit-config.yaml"))


def test_the_hook_lints_policies(tmp_path: Path) -> None:
    entry = HOOKS[0]["entry"]
    (tmp_path / "broken.fairaudit.toml").write_text("schema = 1\n", encoding="utf-8")
    good = shell(f"{entry} '{KITS / 'fairaudit.toml'}'", tmp_path)
    assert good.returncode == 0, good.stderr
    bad = shell(f"{entry} '{KITS / 'fairaudit.toml'}' broken.fairaudit.toml", tmp_path)
    assert bad.returncode == 2
    assert "broken.fairaudit.toml:1: " in bad.stdout + bad.stderr


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    drop = ("PYTEST_", "FAIRAUDIT_", "CI", "BUILD_NUMBER")  # under CI pytest cuts its lines elsewhere
    plain = {k: v for k, v in os.environ.items() if not k.startswith(drop)}
    env = {
        **plain,
        "PATH": f"{BIN}:{plain['PATH']}",
        "NO_COLOR": "1",
        "OMP_NUM_THREADS": "1",
        "COLUMNS": "80",
    }
    if not importlib.metadata.entry_points(group="pytest11", name="fairaudit"):
        env["PYTEST_ADDOPTS"] = "-p fairaudit.pytest_plugin"  # an installation older than the plugin
    return subprocess.run(
        ["bash", "-c", command], cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=120
    )


def played(page: str, folder: Path) -> str:
    """The page with every command of its console blocks run in order, and their real outputs below them."""

    def block(found: re.Match[str]) -> str:
        out = []
        for command in COMMAND.findall(found[0]):
            done = shell(command, folder)
            assert "Traceback" not in done.stderr, done.stderr
            text = re.sub(r" in \d+\.\d+s", " in 1.00s", done.stdout + done.stderr)
            out.append(f"$ {command}\n{text.strip(chr(10))}".rstrip() + "\n")
        return "".join(out)

    shutil.copytree(KITS, folder, dirs_exist_ok=True)
    return BLOCK.sub(block, page)


def test_the_readme_shows_real_outputs(tmp_path: Path) -> None:
    page = (KITS / "README.md").read_text(encoding="utf-8")
    assert played(page, tmp_path) == page
    for name in re.findall(r"\]\(([^)]+)\)", page):
        assert (KITS / name).exists()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        readme = KITS / "README.md"
        readme.write_text(played(readme.read_text(encoding="utf-8"), Path(scratch)), encoding="utf-8")
