"""GitHub-flavoured Markdown: the same facts as the terminal report, findings first, tables whole."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from fairaudit.report.blocks import DOCUMENT, Block, Cell, Command, Facts, Heading, Items, Table
from fairaudit.report.words import clean

if TYPE_CHECKING:  # as in `text`: only the page that is shown is loaded
    from fairaudit.auditing import Audit
    from fairaudit.comparing import Comparison
    from fairaudit.verdict import Verdict

#: GitHub refuses a step summary above 1 MiB, and a step may write other things to it.
SUMMARY_LIMIT = 900_000
#: Characters that Markdown or HTML would act on inside a name.
_ACTIVE = re.compile(r"([\\`*_{}\[\]<>|~#$])")
_STRESS = {"bad": "**", "good": "", "strong": "**", "dim": "", "": ""}


def audit(a: Audit, source: str = "", pinned: str = "", saved: str | None = None) -> str:
    """The report of an audit.

    `source`: what was read. `pinned`: the command that names every role. `saved`: where the audit was written,
    for the next command.
    """
    from fairaudit.report import audit_page

    return page(audit_page.page(a, DOCUMENT, source, pinned, saved))


def comparison(c: Comparison, before: str = "before", after: str = "after") -> str:
    """The report of a comparison as Markdown; `before` and `after` name the two sides."""
    from fairaudit.report import comparison_page

    return page(comparison_page.page(c, DOCUMENT, before, after))


def verdict(v: Verdict, source: str = "") -> str:
    """The verdict of a gate as Markdown, cut down until it fits a GitHub step summary (1 MiB), the worst kept."""
    from fairaudit.report import gate_page

    for most in (200, 40, 10, 3, 1):
        limits = replace(DOCUMENT, groups=most, notes=most, gaps=25 * most, flags=most)
        text = page(gate_page.page(v, limits, source))
        if len(text.encode()) <= SUMMARY_LIMIT:
            break
    return text


def page(blocks: Iterable[Block]) -> str:
    """Blocks as one Markdown page."""
    return "\n\n".join(_block(block) for block in blocks) + "\n"


def _block(block: Block) -> str:
    if isinstance(block, Heading):
        return f"{'#' * block.level} {escaped(block.text)}"
    if isinstance(block, Facts):
        return "\n".join(f"- **{escaped(name)}**: {escaped(value)}" for name, value in block.rows)
    if isinstance(block, Items):
        return "\n".join(f"- {escaped(s)}" for s in block.sentences)
    if isinstance(block, Command):
        return f"```sh\n{clean(block.line)}\n```"
    if isinstance(block, Table):
        return _table(block)
    return _stressed(block.text, block.tone)


def _table(block: Table) -> str:
    head = "| " + " | ".join(escaped(c.name.strip()) for c in block.columns) + " |"
    rule = "|" + "|".join("---:" if c.right else "---" for c in block.columns) + "|"
    rows = ["| " + " | ".join(_cell(c) for c in row) + " |" for row in block.rows]
    note = ["", escaped(block.left_out)] if block.left_out else []
    return "\n".join([head, rule, *rows, *note])


def _cell(cell: Cell) -> str:
    return _stressed(cell.text.strip(), cell.tone if cell.tone == "bad" else "")


def _stressed(text: str, tone: str) -> str:
    mark = _STRESS[tone] if text else ""
    return f"{mark}{escaped(text)}{mark}"


def escaped(text: str) -> str:
    r"""Text that Markdown shows as it is.

    >>> escaped("a|b_c")
    'a\\|b\\_c'
    """
    return _ACTIVE.sub(r"\\\1", clean(text))
