"""Plain text that fits 80 columns, with spans that a terminal may colour."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from fairaudit.report.blocks import (
    TERMINAL,
    Block,
    Cell,
    Column,
    Command,
    Facts,
    Heading,
    Items,
    Table,
)
from fairaudit.report.words import clean

if TYPE_CHECKING:  # each page brings its own machinery: only the one that is shown is loaded
    from fairaudit.auditing import Audit
    from fairaudit.comparing import Comparison
    from fairaudit.verdict import Verdict

WIDTH = 80
WIDEST_KEY = 32
#: A last column of words gives way down to this and wraps.
NARROWEST = 14
#: Pieces of a sentence that are not torn apart.
_TOGETHER = re.compile(r"\[[^\]]{1,24}\]|\d %|→ \S")
#: A word of a shell: letters and quoted pieces that stand together.
_SHELL_WORD = re.compile(r"""(?:[^\s'"\\]|\\.|'[^']*'|"(?:[^"\\]|\\.)*"|['"\\])+""")
#: A piece of a line and its tone (`Cell.tone`, or `title`, `head`, `command`).
Span = tuple[str, str]
Line = list[Span]


def audit(a: Audit, source: str = "", pinned: str = "", saved: str | None = None) -> str:
    """The report of an audit.

    `source`: what was read. `pinned`: the command that names every role. `saved`: where the audit was written,
    for the next command.
    """
    from fairaudit.report import audit_page

    return plain(lines(audit_page.page(a, TERMINAL, source, pinned, saved)))


def comparison(c: Comparison, before: str = "before", after: str = "after") -> str:
    """The report of a comparison; `before` and `after` name the two sides."""
    from fairaudit.report import comparison_page

    return plain(lines(comparison_page.page(c, TERMINAL, before, after)))


def verdict(v: Verdict, source: str = "") -> str:
    """The verdict of a gate."""
    from fairaudit.report import gate_page

    return plain(lines(gate_page.page(v, TERMINAL, source)))


def plain(every: Iterable[Line]) -> str:
    """Lines as text, without trailing spaces, ending with one line break."""
    return "\n".join("".join(s for s, _ in line).rstrip() for line in every) + "\n"


def lines(blocks: Iterable[Block]) -> list[Line]:
    """Blocks as lines of at most 80 columns."""
    out: list[Line] = []
    for block in blocks:
        out += _lines(block)
    return out


def _lines(block: Block) -> list[Line]:
    if isinstance(block, Heading):
        return _heading(block)
    if isinstance(block, Facts):
        return _facts(block)
    if isinstance(block, Table):
        return _table(block)
    if isinstance(block, Items):
        return [line for s in block.sentences for line in _wrapped(s, block.tone, "  - ", "    ")]
    if isinstance(block, Command):
        return _command(block.line)
    return _wrapped(block.text, block.tone, "  ", "  ")


def _heading(block: Heading) -> list[Line]:
    shown = shortened(clean(block.text), WIDTH)
    if block.level == 1:
        return [[(shown, "title")], [("═" * max(width(shown), 20), "title")]]
    return [[], [(shown, "head")]]


def _facts(block: Facts) -> list[Line]:
    edge = max(len(name) for name, _ in block.rows) + 4
    out: list[Line] = []
    for name, value in block.rows:
        first = f"  {name}".ljust(edge)
        wrapped = _wrapped(value, "", first, " " * edge)
        out.append([(first, "dim"), (wrapped[0][0][0][len(first) :], "")])
        out += wrapped[1:]
    return out


def _wrapped(text: str, tone: str, first: str, rest: str) -> list[Line]:
    """Lines of at most 80 columns; intervals and percent signs stay whole."""
    found = _filled(text, WIDTH - len(rest))
    return [[((rest if i else first) + line, tone)] for i, line in enumerate(found)]


def _filled(text: str, size: int) -> list[str]:
    """The words of a text in lines of at most `size` columns; a word wider than that is cut. At least one line."""
    whole = _TOGETHER.sub(lambda found: found[0].replace(" ", "\xa0"), clean(text))
    out = [""]
    for word in whole.split(" "):
        if out[-1] and width(out[-1]) + 1 + width(word) > size:
            out.append("")
        out[-1] += f" {word}" if out[-1] else word
        while width(out[-1]) > size:
            head = next(n for n in range(len(out[-1]), 0, -1) if width(out[-1][:n]) <= size or n == 1)
            out[-1:] = [out[-1][:head], out[-1][head:]]
    return [line.replace("\xa0", " ") for line in out]


def _command(line: str) -> list[Line]:
    """A command over several lines, joined by backslashes: never inside quotes, nor between a flag and its value."""
    out, current = [], "   "
    for word in _with_values(_SHELL_WORD.findall(clean(line))):
        if current.strip() and len(current) + 1 + len(word) > WIDTH - 2:
            out.append(current + " \\")
            current = "     "
        current += " " + word
    return [[(part, "command")] for part in [*out, current]]


def _with_values(words: Sequence[str]) -> list[str]:
    out: list[str] = []
    for word in words:
        if out and out[-1].startswith("-") and " " not in out[-1] and not word.startswith("-"):
            out[-1] += f" {word}"
        else:
            out.append(word)
    return out


def _table(block: Table) -> list[Line]:
    """The table, folded into several with the same key columns where it is wider than 80."""
    texts = [[clean(c.text) for c in row] for row in block.rows]
    widths = [max([width(c.name), *(width(t[i]) for t in texts)]) for i, c in enumerate(block.columns)]
    for k in range(block.keys):
        widths[k] = min(widths[k], WIDEST_KEY if block.keys == 1 or k == 0 else WIDEST_KEY // 2)
    out: list[Line] = []
    for part in _parts(block, widths):
        chosen = [*range(block.keys), *part]
        columns = [block.columns[i] for i in chosen]
        spare = WIDTH - 2 - sum(widths[i] + 2 for i in chosen[:-1])
        fitted = [*(widths[i] for i in chosen[:-1]), min(widths[chosen[-1]], spare)]
        out.append(_header(columns, fitted))
        if block.left_out:
            out.append([("  " + shortened(clean(block.left_out), WIDTH - 2), "dim")])
        for row, text in zip(block.rows, texts, strict=True):
            out += _row(columns, fitted, [row[i] for i in chosen], [text[i] for i in chosen])
        out.append([])
    return out[:-1]


def _parts(block: Table, widths: Sequence[int]) -> list[list[int]]:
    """The other columns in runs that fit beside the keys; a glued column stays with the next one."""
    start = 2 + sum(w + 2 for w in widths[: block.keys])
    parts: list[list[int]] = []
    used, i = WIDTH + 3, block.keys
    while i < len(block.columns):
        unit = [i]
        while block.columns[unit[-1]].glued and unit[-1] + 1 < len(block.columns):
            unit.append(unit[-1] + 1)
        last = unit[-1] + 1 == len(block.columns) and not block.columns[-1].right
        sizes = [min(widths[k], NARROWEST) if last and k == unit[-1] else widths[k] for k in unit]
        if used + sum(sizes) + 2 * len(sizes) - 2 > WIDTH:
            parts.append([])
            used = start
        parts[-1] += unit
        used += sum(sizes) + 2 * len(sizes)
        i = unit[-1] + 1
    return parts


def _header(columns: Sequence[Column], widths: Sequence[int]) -> Line:
    names = [_padded(shortened(c.name, w), w, c.right) for c, w in zip(columns, widths, strict=True)]
    return [("  " + "  ".join(names), "under")]


def _row(
    columns: Sequence[Column], widths: Sequence[int], cells: Sequence[Cell], texts: Sequence[str]
) -> list[Line]:
    """A row; a last column of words goes on below itself, anything else is shortened."""
    wraps = not columns[-1].right and len(columns) > 1
    tail = _filled(texts[-1], widths[-1]) if wraps and texts[-1] else []
    shown = [*texts[:-1], tail[0]] if tail else texts
    line: Line = [("  ", "")]
    for i, (column, w, cell, text) in enumerate(zip(columns, widths, cells, shown, strict=True)):
        line.append((_padded(shortened(text, w), w, column.right), cell.tone))
        if i + 1 < len(columns):
            line.append(("  ", ""))
    below = " " * (sum(widths[:-1]) + 2 * len(widths))
    return [line, *([(below + part, cells[-1].tone)] for part in tail[1:])]


def _padded(text: str, size: int, right: bool) -> str:
    space = " " * max(0, size - width(text))
    return space + text if right else text + space


def width(text: str) -> int:
    """Columns a text takes on a terminal: wide characters two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )


def shortened(text: str, size: int) -> str:
    """The text in at most `size` columns; the middle gives way to `…`, so both ends are kept.

    >>> shortened("African-American & Female", 16)
    'African-A…Female'
    """
    if width(text) <= size:
        return text
    tail = max(0, (size - 1) * 2 // 5)
    head = size - 1 - tail
    left, right = text, text
    while width(left) > head:
        left = left[:-1]
    while width(right) > tail:
        right = right[1:]
    return left + "…" + right
