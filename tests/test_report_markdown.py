"""Markdown holds the same facts as the terminal, whole, and cannot be broken by a name."""

from __future__ import annotations

import re

from cases import binary, several

import fairaudit
from fairaudit.report import markdown
from fairaudit.report.markdown import escaped

AUDIT = fairaudit.audit(binary(), sensitive=["sex", "race"])


def rows(page: str) -> list[list[str]]:
    """The cells of every table row."""
    return [re.split(r"(?<!\\)\|", line)[1:-1] for line in page.splitlines() if line.startswith("|")]


def test_every_group_and_number_is_there() -> None:
    page = markdown.audit(AUDIT, "preds.csv", "fairaudit report preds.csv -s sex -s race", "audit.json")
    assert page.startswith("# fairaudit report: preds.csv\n")
    for g in AUDIT.groups:
        e = AUDIT.estimate("accuracy", by=g["attribute"], group=g["group"])
        assert e.value is not None
        row = next(r for r in rows(page) if r[0].strip() == escaped(g["group"]))
        assert f"{g['n']:,}" in row[1]
        assert f"{100 * e.value:.1f} " in row[2]
    assert (
        "```sh\nfairaudit mitigate MODEL DATA --method fairlora --audit audit.json --out repaired\n```"
        in page
    )


def test_tables_are_rectangular() -> None:
    frame = binary().assign(sex=["a|b", "*c*\n<d>"] * 200)
    page = markdown.audit(fairaudit.audit(frame, sensitive=["sex"]))
    block: list[int] = []
    for line in [*page.splitlines(), ""]:
        if line.startswith("|"):
            block.append(len(re.split(r"(?<!\\)\|", line)))
        else:
            assert len(set(block)) <= 1
            block = []
    assert "a\\|b" in page
    assert "\\<d\\>" in page


def test_names_are_not_shortened() -> None:
    page = markdown.audit(fairaudit.audit(several(2000, 3, 6), sensitive=["country"]))
    assert all(
        escaped(f"The very long name of the Republic number {i} of the world") in page for i in range(6)
    )


def test_comparison_puts_the_verdict_first() -> None:
    found = fairaudit.compare(AUDIT, fairaudit.audit(binary(gap=0.0), sensitive=["sex", "race"]))
    page = markdown.comparison(found, "a.json", "b.json")
    titles = [line for line in page.splitlines() if line.startswith("#")]
    assert titles[:3] == ["# fairaudit compare: a.json → b.json", "## Made worse", "## What came of it"]
    assert "eod\\_max by sex fell" in page
