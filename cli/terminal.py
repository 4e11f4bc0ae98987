"""Colour: the spans of a plain report on a terminal. Text for files and pipes never passes through here."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

from fairaudit.report.blocks import Block
from fairaudit.report.text import lines, plain
from fairaudit_cli.output import show

_STYLES = {"title": "bold", "head": "bold cyan", "under": "dim underline", "dim": "dim", "strong": "bold", "bad": "red",
           "good": "green", "command": "bold green", "": ""}  # fmt: skip


def print_page(blocks: Iterable[Block]) -> None:
    """Show a page on standard output: coloured on a terminal, plain otherwise (or with NO_COLOR set)."""
    found = lines(blocks)
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        show(plain(found))
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    for line in found:
        console.print(Text.assemble(*((text, _STYLES[tone]) for text, tone in line)), soft_wrap=True)
