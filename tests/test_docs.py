"""The README and the docstrings say what is true: their examples run, their commands exist."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main

REPO = Path(__file__).resolve().parent.parent
PACKAGES = ("fairaudit", "fairaudit_mitigate", "fairaudit_cli")
PAGES = [path for path in (REPO / "README.md", REPO / "CONTRIBUTING.md") if path.exists()]
PAGES += sorted((REPO / "docs").rglob("*.md")) + sorted((REPO / "examples").rglob("*.md"))
SHELL_BLOCK = re.compile(r"^```(?:sh|bash|shell|console)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def modules() -> list[str]:
    """Every module of the three packages that a user may import (not `__main__`)."""
    found = list(PACKAGES)
    for package in PACKAGES:
        path = importlib.import_module(package).__path__
        found += [module.name for module in pkgutil.walk_packages(path, f"{package}.")]
    return [name for name in found if not name.endswith("__main__")]


def commands(page: Path) -> Iterator[list[str]]:
    """The commands in a page's shell blocks; in one with `$ ` prompts, the rest is output."""
    for block in SHELL_BLOCK.findall(page.read_text(encoding="utf-8")):
        lines = block.replace("\\\n", " ").splitlines()
        if any(line.startswith("$ ") for line in lines):
            lines = [line[2:] for line in lines if line.startswith("$ ")]
        for line in lines:
            for part in re.split(r"\s(?:&&|\|\||[|;])\s", line):
                words = shlex.split(part, comments=True)
                if words:
                    yield words


@pytest.mark.parametrize("name", modules())
def test_docstring_examples_run(name: str) -> None:
    failed, _ = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert failed == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPO)))
def test_commands_in_the_pages_exist(page: Path) -> None:
    known = known_flags()
    targets = set(re.findall(r"^([a-z-]+):", (REPO / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for words in commands(page):
        if words[0] == "make":
            assert {word for word in words[1:] if "=" not in word} <= targets, shlex.join(words)
        if words[0] == "fairaudit":
            verb = "" if len(words) == 1 or words[1].startswith("-") else words[1]
            assert verb in known, shlex.join(words)
            flags = {word.partition("=")[0] for word in words[1:] if re.match(r"-{1,2}[A-Za-z]", word)}
            assert flags - known[verb] == set(), shlex.join(words)


def known_flags() -> dict[str, set[str]]:
    """The flags of each command; those of `fairaudit` itself stand under the empty name."""
    application = typer.main.get_command(importlib.import_module("fairaudit_cli.main").app)
    context = typer.Context(application)
    named = {name: application.get_command(context, name) for name in application.list_commands(context)}
    named[""] = application
    return {
        name: {"--help"} | {flag for p in command.params for flag in (*p.opts, *p.secondary_opts)}
        for name, command in named.items()
    }


@pytest.mark.skipif(not (REPO / "README.md").exists(), reason="no README.md yet")
def test_the_readme_gives_the_two_commands() -> None:
    given = [shlex.join(words) for words in commands(REPO / "README.md")]
    assert "make demo" in given
    assert "make test" in given
