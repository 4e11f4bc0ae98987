"""The page of a Local Law 144 summary: the rule's tables, who is not in them, and what they do not say."""

from __future__ import annotations

from collections.abc import Iterator

from fairaudit.card.facts import Names, Source, rows, upwards
from fairaudit.card.ll144 import Category, Filing, Part, parts
from fairaudit.report import markdown
from fairaudit.report.blocks import Block, Cell, Column, Command, Facts, Heading, Items, Sentence, Table
from fairaudit.report.words import count, hidden


def card(source: Source, names: Names, asked: Filing) -> str:
    """The summary as Markdown."""
    return markdown.page(page(source, names, asked))


def page(source: Source, names: Names, asked: Filing) -> list[Block]:
    """The blocks of the summary."""
    blocks: list[Block] = [
        Heading("Summary of results of a bias audit (New York City Local Law 144)", 1),
        Facts(tuple(_head(source, names, asked))),
    ]
    level = 100 * source.audit.settings.level
    for part in parts(source, asked):
        blocks += [
            Heading(part.title),
            _table(part, level),
            *(Sentence(s) for s in _notes(part, asked, level)),
        ]
    blocks += [Heading("What the rule's tables do not say"), Items(_not_said(source, level))]
    if names.command:
        blocks += [Heading("How to reproduce"), Command(names.command)]
    return blocks


def _head(source: Source, names: Names, asked: Filing) -> Iterator[tuple[str, str]]:
    a = source.audit
    yield "tool", names.model
    yield "date of the bias audit", asked.audit_date
    yield "distribution date of the tool", asked.distribution_date
    yield "source and explanation of the data", asked.data_source
    yield "people assessed", rows(a)
    at = a.data["threshold"]
    yield "selected", f"predicted {a.positive}" + ("" if at is None else f" (a score of {at:g} or more)")
    yield (
        "computed",
        f"{source.day} with fairaudit-toolkit {source.version} (content sha256 {a.content_sha256})",
    )


def _table(part: Part, level: float) -> Table:
    columns = (
        Column(part.by), Column("share of data", True), Column("# of applicants", True), Column("# selected", True),
        Column("selection rate", True), Column("impact ratio", True),
        Column(f"rate, {level:g} % interval", True), Column(f"ratio, {level:g} % interval", True),
    )  # fmt: skip
    return Table(columns, tuple(_row(c) for c in part.categories))


def _row(c: Category) -> tuple[Cell, ...]:
    impact = "left out" if c.excluded else "undefined" if c.ratio is None else f"{c.ratio:.3f}"
    ends = "" if c.ratio_low is None or c.ratio_high is None else f"[{c.ratio_low:.3f}, {c.ratio_high:.3f}]"
    return tuple(Cell(t) for t in (
        c.name, f"{100 * c.share:.1f} %", count(c.n), count(c.selected), f"{100 * c.rate:.1f} %", impact,
        f"[{100 * c.low:.1f} %, {100 * c.high:.1f} %]", ends,
    ))  # fmt: skip


def _notes(part: Part, asked: Filing, level: float) -> Iterator[str]:
    unknown = f"People of an unknown category of {part.by}, assessed and not in the calculations above"
    yield f"{unknown}: {count(part.unknown)}."
    small = [c.name for c in part.categories if c.excluded]
    if small:
        yield (
            f"Left out of the impact ratios, as less than {asked.exclude_below:g} % of the data (§ 5-301(d)): "
            f"{'; '.join(small)}. Justification: {asked.justification}"
        )
    yield _shown(part, level)


def _shown(part: Part, level: float) -> str:
    """Whether a difference between categories is shown, and else the smallest that could have been."""
    compared = [c for c in part.categories if not c.excluded]
    if not compared:
        return "Every category is left out, so there is no impact ratio."
    if all(c.selected == 0 for c in compared):
        return "Nobody was selected in any category, so every impact ratio is 0 / 0: undefined."
    if part.lowest is None:
        return "No interval of the impact ratios: the rows are clustered, or fewer than two categories are compared."
    low, high = part.lowest
    if high < 1:
        most = f"the lowest impact ratio is at most {high:.3f}"
        return f"A difference is shown: {most} (simultaneous {level:g} % interval)."
    if low <= 0:
        return "No violation shown; this data could have shown no gap, however large."
    gap = 1 - low
    return (
        f"No violation shown; this data could have shown a gap of at least {upwards(gap)} % (a lowest impact ratio "
        f"below {low:.3f}, the lower end of its simultaneous {level:g} % interval)."
    )


def _not_said(source: Source, level: float) -> tuple[str, ...]:
    a = source.audit
    clustered = " The rows are clustered, so no interval of a ratio is given." if a.data["clustered"] else ""
    sure = (
        "How sure they are. A ratio of few applicants can be far from its true value by chance. The two columns of "
        f"intervals are not asked for by the rule: that of a rate is its own {level:g} % interval, those of the ratios "
        f"of one table hold together, whichever category is truly the most selected.{clustered}"
    )
    auditor = (
        "Whether the groups are the categories that the rule names (those of the EEO-1 report), and whether the audit "
        "was independent: that is for the auditor to say."
    )
    shares = (
        "Shares are of all people assessed, those of an unknown category included. A category without an applicant "
        "in the data has no line."
    )
    scores = (
        "The scoring rate (the share of a category above the median score of the sample): an audit keeps counts of "
        "decisions, so it is not here."
    )
    enough = (
        "Whether a ratio is high enough. The rule sets no threshold, and this page draws no legal conclusion."
    )
    return *hidden(a.warnings), sure, enough, auditor, shares, scores
