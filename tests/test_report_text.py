"""The terminal report fits 80 columns, whatever the names."""

from __future__ import annotations

import shlex

import pytest
from cases import binary, several

import fairaudit
from fairaudit.report import text
from fairaudit.report.blocks import Cell, Column, Command, Sentence, Table

LONG = several(3000, 40, 50)
WIDE = binary().rename(columns={"sex": "a sensitive attribute with a long name", "race": "another_one"})
AUDITS = {
    "binary": fairaudit.audit(binary(), sensitive=["sex", "race"], cross=2),
    "wide": fairaudit.audit(LONG, sensitive=["country"]),
    "long names": fairaudit.audit(WIDE, sensitive=[WIDE.columns[3], "another_one"], cross=2),
    "tiny": fairaudit.audit(binary(8), sensitive=["sex"]),
    "constant": fairaudit.audit(binary().assign(pred=1), sensitive=["sex"]),
    "Chinese": fairaudit.audit(binary().assign(sex=["女性" * 12, "男性" * 12] * 200), sensitive=["sex"]),
}


@pytest.mark.parametrize("case", AUDITS)
def test_every_line_fits(case: str) -> None:
    pinned = (
        "fairaudit report " + "some/long/folder/name/" * 3 + "preds.csv --y-true label " + "-s attribute " * 9
    )
    shown = text.audit(AUDITS[case], "some/long/folder/name/" * 5 + "preds.parquet", pinned)
    words = [w for w in pinned.split() if len(w) > text.WIDTH - 6]
    long = [
        line
        for line in shown.splitlines()
        if text.width(line) > text.WIDTH and not any(w in line for w in words)
    ]
    assert long == []
    assert not any(line != line.rstrip() for line in shown.splitlines())


@pytest.mark.parametrize("case", ["binary", "wide", "long names"])
def test_every_line_of_a_comparison_fits(case: str) -> None:
    shown = text.comparison(fairaudit.compare(AUDITS[case], AUDITS[case]), "b" * 100, "a" * 100)
    assert [line for line in shown.splitlines() if text.width(line) > text.WIDTH] == []


def test_numbers_are_never_cut() -> None:
    """A wide table is folded; only names are shortened."""
    audit = AUDITS["long names"]
    shown = text.audit(audit)
    for group in (g for g in audit.groups if g["attribute"] == "another_one"):
        e = audit.estimate("accuracy", by="another_one", group=group["group"])
        assert e.value is not None
        assert e.interval is not None
        assert f"{100 * e.value:.1f} [{100 * e.interval.low:.1f}, {100 * e.interval.high:.1f}]" in shown


def test_folding_repeats_the_key() -> None:
    columns = (Column("group"), *(Column(f"number {i}", right=True) for i in range(6)))
    table = Table(columns, ((Cell("the group"), *(Cell("12.3 [45.6, 78.9]") for _ in range(6))),))
    shown = text.plain(text.lines([table]))
    assert shown.count("the group") == 2
    assert shown.count("12.3 [45.6, 78.9]") == 6


def test_a_glued_column_stays_with_the_next() -> None:
    columns = (Column("group"), Column("x" * 30, True), Column("n", True, glued=True), Column("y" * 40, True))
    shown = text.plain(text.lines([Table(columns, ((Cell("g"), Cell("1"), Cell("2"), Cell("3")),))]))
    header = next(line for line in shown.splitlines() if "yyyy" in line)
    assert header.split() == ["group", "n", "y" * 40]


def test_names_cannot_control_the_terminal() -> None:
    frame = binary().assign(sex=["\x1b[31mred\x1b[0m\nnext", "M"] * 200)
    shown = text.audit(fairaudit.audit(frame, sensitive=["sex"]))
    assert "\x1b" not in shown
    assert "\\x1b[31mred" in shown


def test_a_command_is_one_line_for_a_shell() -> None:
    line = "fairaudit report preds.csv " + " ".join(f"-s attribute_{i}" for i in range(20))
    shown = text.plain(text.lines([Command(line)]))
    assert " ".join(shown.replace("\\\n", " ").split()) == line
    assert not any(part.rstrip(" \\").endswith(" -s") for part in shown.splitlines())


@pytest.mark.parametrize(
    "odd", ["alarm | predicted now", "it's a 'name'", 'say "so" \\ now', "--like a flag", "'", ""]
)
def test_a_command_can_be_pasted_whatever_the_names(odd: str) -> None:
    for pad in range(1, 70, 3):
        words = ["fairaudit", "report", "p" * pad, "--y-pred", odd, "-s", odd, "--with", "labels.csv", odd]
        shown = text.plain(text.lines([Command(shlex.join(words))]))
        assert shlex.split(shown.replace("\\\n", "")) == words
        assert not any(line.rstrip(" \\").endswith((" --y-pred", " -s")) for line in shown.splitlines())


def test_intervals_are_not_torn() -> None:
    shown = text.plain(text.lines([Sentence("word " * 13 + "rose to 12.3 [45.6, 78.9] and stayed.")]))
    assert "[45.6, 78.9]" in shown


@pytest.mark.parametrize(
    ("name", "size", "shown"),
    [("abc", 3, "abc"), ("abcdefghij", 5, "abc…j"), ("女性女性女性", 7, "女性…性"), ("abc", 1, "…")],
)
def test_shortened(name: str, size: int, shown: str) -> None:
    assert text.shortened(name, size) == shown
    assert text.width(shown) <= size
