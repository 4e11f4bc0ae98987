"""The command line as a whole: what it loads, how it exits, that stdout is the result."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from cases import binary

import fairaudit
from fairaudit_cli.main import run

HEAVY = (
    "torch",
    "transformers",
    "peft",
    "sklearn",
    "fairlearn",
    "scipy.stats",
    "matplotlib",
    "jsonschema",
    "polars",
)


@pytest.fixture
def preds(tmp_path: Path) -> Path:
    path = tmp_path / "preds.csv"
    binary().to_csv(path, index=False)
    return path


@pytest.mark.parametrize(
    "arguments", [["--help"], ["report", "--help"], ["report", "preds.csv", "-s", "sex"], ["schema", "audit"]]
)
def test_nothing_heavy_is_loaded(arguments: list[str], preds: Path) -> None:
    code = (
        "import sys; from fairaudit_cli.main import run; code = run(sys.argv[1:]);"
        "print(code, *sorted(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=preds.parent, capture_output=True, text=True, check=True
    )
    exit_code, *loaded = done.stderr.split()
    assert exit_code == "0"
    assert set(HEAVY) & set(loaded) == set()


def test_version(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capfd.readouterr().out == f"fairaudit {fairaudit.__version__}\n"


def test_help_lists_the_commands(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    out = capfd.readouterr().out
    assert all(command in out for command in ("report", "compare", "predict", "mitigate", "schema"))


def test_python_m_is_not_needed_and_the_script_exits_with_the_code(preds: Path) -> None:
    script = Path(sys.executable).with_name("fairaudit")
    done = subprocess.run([str(script), "report", "missing.csv"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: no such file: missing.csv; check the path.\n"


def test_a_terminal_without_utf8_gets_question_marks(preds: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from fairaudit_cli.main import main; main()", "report", str(preds), "-s", "sex"],
        capture_output=True, check=False, env={"PYTHONIOENCODING": "ascii", "PATH": ""},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert b"?" in done.stdout


def test_the_extra_is_named_when_it_is_missing(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], preds: Path
) -> None:
    def needs_torch(*_: object, **__: object) -> None:
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr("fairaudit.auditing.audit", needs_torch)
    assert run(["report", str(preds)]) == 2
    assert "pip install 'fairaudit-toolkit[mitigate]'" in capfd.readouterr().err
