"""What is on disk is what is packaged, and what is installed is whole."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.resources
import importlib.util
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((REPO / "pyproject.toml").read_text(encoding="utf-8"))
SETUPTOOLS = PROJECT["tool"]["setuptools"]
FOLDERS = {"fairaudit": "fairaudit", "fairaudit_mitigate": "fairaudit_mitigate", "cli": "fairaudit_cli"}


def packages_on_disk() -> set[str]:
    """The import name of every folder that holds Python files, below the three top folders."""
    return {
        ".".join((FOLDERS[top], *path.parent.relative_to(REPO / top).parts))
        for top in FOLDERS
        for path in (REPO / top).rglob("*.py")
    }


def data_on_disk() -> list[tuple[str, str]]:
    """Every data file that git tracks below the top folders, as (package, path inside it)."""
    tracked = subprocess.run(
        ["git", "ls-files", *FOLDERS], cwd=REPO, capture_output=True, text=True, check=False
    ).stdout.splitlines()
    packages = packages_on_disk()
    found = []
    for path in map(Path, tracked):
        package = [FOLDERS[path.parts[0]], *path.parts[1:-1]]
        while ".".join(package) not in packages:
            package.pop()
        if path.suffix != ".py":
            found.append((".".join(package), "/".join(path.parts[len(package) :])))
    return found


def test_every_package_folder_is_listed() -> None:
    assert packages_on_disk() == set(SETUPTOOLS["packages"])
    assert SETUPTOOLS["package-dir"] == {"fairaudit_cli": "cli"}


@pytest.mark.parametrize("package", SETUPTOOLS["packages"])
def test_every_package_has_an_init(package: str) -> None:
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None, f"{package} is a namespace package: its __init__.py is missing"


def test_every_tracked_data_file_is_installed() -> None:
    missing = [
        f"{package}: {name}"
        for package, name in data_on_disk()
        if not importlib.resources.files(package).joinpath(name).is_file()
    ]
    assert not missing, "not covered by [tool.setuptools.package-data]"


def test_the_version_has_one_source() -> None:
    installed = importlib.metadata.version(PROJECT["project"]["name"])
    assert installed == importlib.import_module("fairaudit").__version__
    assert re.search(rf"^version: {re.escape(installed)}$", (REPO / "CITATION.cff").read_text(), re.MULTILINE)
    assert f"## [{installed}]" in (REPO / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_command_is_installed_and_prints_help(tmp_path: Path) -> None:
    command = Path(sys.executable).with_name("fairaudit")
    done = subprocess.run(
        [str(command), "--help"], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "report" in done.stdout


def test_the_audit_imports_nothing_heavy(tmp_path: Path) -> None:
    """`import fairaudit` must stay quick and must work where torch is not installed."""
    code = "import sys, fairaudit; print(*sorted({m.partition('.')[0] for m in sys.modules}))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True
    )
    heavy = {"torch", "transformers", "peft", "sklearn", "fairlearn", "typer", "rich", "scipy", "tomlkit"}
    assert not heavy & set(done.stdout.split())


@pytest.mark.skipif("FAIRAUDIT_TEST_INSTALLED" not in os.environ, reason="only .ci/run tests a built wheel")
@pytest.mark.parametrize("package", SETUPTOOLS["packages"])
def test_what_is_tested_is_the_wheel(package: str) -> None:
    """The source tree lies in the working directory; none of it may be what the tests import."""
    origin = Path(str(importlib.import_module(package).__file__)).resolve()
    assert origin.is_relative_to(Path(os.environ["FAIRAUDIT_TEST_INSTALLED"]).resolve())
    assert "site-packages" in origin.parts


def test_constraints_pin_every_direct_dependency() -> None:
    pins = {
        line.split("==")[0].lower().replace("_", "-")
        for line in (REPO / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    }
    project = PROJECT["project"]
    wanted = [
        *project["dependencies"],
        *(d for extra in project["optional-dependencies"].values() for d in extra),
    ]
    names = {re.split(r"[<>=\[ ]", requirement)[0].lower() for requirement in wanted}
    assert names <= pins
