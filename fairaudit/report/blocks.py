"""What a page is made of: headings, facts, tables, sentences, commands. Not how they look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cell:
    """One entry of a table. `tone`: what it means (``, `bad`, `good`, `dim`, `strong`), never a colour."""

    text: str
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """`right`: numbers. `glued`: belongs to the next column and is never torn from it."""

    name: str
    right: bool = False
    glued: bool = False


@dataclass(frozen=True, slots=True)
class Heading:
    """The title of a page (level 1) or of a section (level 2)."""

    text: str
    level: int = 2


@dataclass(frozen=True, slots=True)
class Facts:
    """Names with values, such as the head of a report."""

    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells; the first `keys` columns name the row. `left_out`: what stands in for rows not shown."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    keys: int = 1
    left_out: str = ""


@dataclass(frozen=True, slots=True)
class Sentence:
    """A paragraph."""

    text: str
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Items:
    """A list of sentences."""

    sentences: tuple[str, ...]
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Command:
    """A command to copy: never wrapped inside a word."""

    line: str


Block = Heading | Facts | Table | Sentence | Items | Command


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a wide audit is shown: views (attributes), groups (and classes), cells, gaps, flags, notes.

    `worst_last`: rows run from best to worst (a terminal is read from its end), else from worst to best.
    """

    views: int
    groups: int
    cells: int
    gaps: int
    flags: int
    notes: int
    worst_last: bool

    def turned(self, rows: Sequence[tuple[Cell, ...]]) -> tuple[tuple[Cell, ...], ...]:
        """Rows given worst first, in the order of this page."""
        return tuple(reversed(rows)) if self.worst_last else tuple(rows)


TERMINAL = Limits(views=6, groups=10, cells=8, gaps=16, flags=8, notes=6, worst_last=True)
DOCUMENT = Limits(views=50, groups=200, cells=40, gaps=200, flags=60, notes=60, worst_last=False)
