"""An explanation, the list of all of them, or one rule of a policy, as blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fairaudit.explanations import Explanation, explain, topics
from fairaudit.report.blocks import Block, Cell, Column, Command, Facts, Heading, Sentence, Table

_BETTER = {"higher": "higher is better", "lower": "lower is better", "": "neither: it describes"}


def page(e: Explanation) -> list[Block]:
    """The blocks of one explanation: facts, plain words, when it misleads, an example, what to read next."""
    blocks: list[Block] = [Heading(e.name, 1), Facts(tuple(_facts(e)))]
    for title, text in (("In plain words", e.plain), ("When it misleads", e.misleads)):
        if text:
            blocks += [Heading(title), Sentence(text)]
    if e.example:
        blocks += [Heading("In a policy"), *(Command(line) for line in e.example.splitlines())]
    if e.see:
        blocks += [Heading("See also"), Sentence(", ".join(e.see), "dim")]
    return blocks


def _facts(e: Explanation) -> Iterator[tuple[str, str]]:
    yield "what", e.definition
    if e.formula:
        yield "formula", e.formula
    for name, text in (("passes when", e.passes), ("fails when", e.fails), ("inconclusive", e.open)):
        if text:
            yield name, text
    if e.where:
        yield "better", _BETTER[e.better]
        yield "range", e.range
        yield "stands", e.stands
    if e.undefined:
        yield "undefined", f"where {e.undefined}"
    if e.methods:
        yield "interval", "; or ".join(f"{m}: {explain(m).definition}" for m in e.methods)
    if e.source:
        yield "source", e.source


def listing() -> list[Block]:
    """Every name with its definition, by topic."""
    blocks: list[Block] = [
        Heading("fairaudit explain: every metric, rule and word", 1),
        Sentence("`fairaudit explain NAME` says what it is, how it is computed, and when it misleads."),
    ]
    columns = (Column("name"), Column("what it is"))
    for topic, entries in topics():
        rows = tuple((Cell(e.name, "strong"), Cell(e.definition)) for e in entries)
        blocks += [Heading(topic), Table(columns, rows)]
    return blocks


def rule_page(policy: str, name: str, told: Sequence[tuple[str, str]]) -> list[Block]:
    """One rule of a policy in words; `told`: what `explanations.of_rule` says of it."""
    return [Heading(f"rule {name} of {policy}", 1), Facts(tuple(told))]


def rules_page(policy: str, asked: Sequence[tuple[str, str]]) -> list[Block]:
    """Every rule of a policy with what it asks."""
    rows = tuple((Cell(name, "strong"), Cell(text)) for name, text in asked)
    return [
        Heading(f"rules of {policy}", 1),
        Table((Column("rule"), Column("asks")), rows),
        Sentence(f"`fairaudit explain RULE --policy {policy}` says what makes one of them pass or fail."),
    ]
