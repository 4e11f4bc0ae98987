"""Where a key of a TOML file stands: the line of each table and key, which `tomllib` does not tell."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from fairaudit.errors import FairauditError

#: The way to a value: names of tables and keys, and the number of a table in an array of tables.
Path = tuple[str | int, ...]

_NAME = r"""(?:"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[A-Za-z0-9_-]+)"""
_NAMES = rf"{_NAME}(?:[ \t]*\.[ \t]*{_NAME})*"
_BLANK = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
_HEADER = re.compile(rf"\[(\[?)[ \t]*({_NAMES})[ \t]*\]\]?[ \t]*(?:#[^\n]*)?")
_PAIR = re.compile(rf"({_NAMES})[ \t]*=")
#: What a value is made of. Strings and comments come first, so that nothing inside them counts.
_PIECE = re.compile(
    r'"""(?:[^"\\]|\\.|"{1,2}(?!"))*"{3,5}'
    r"|'''(?:[^']|'{1,2}(?!'))*'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'"
    r"|#[^\n]*|[\[{]|[\]}]|\n|[^\"'#\[\]{}\n]+",
    re.DOTALL,
)
_DAY = re.compile(r"[^='\"#]*=[ \t]*(\d{4}-\d\d-\d\d)[ \t]*(?:#|$)")
_SPOT = re.compile(r"\s*\(at (?:line (\d+), column \d+|end of document)\)$")


@dataclass(frozen=True, slots=True)
class Place:
    """A file by name, and the lines of its keys: what an error needs in order to point."""

    name: str
    lines: Mapping[Path, int]

    def line(self, *path: str | int) -> int:
        """The line of a key, else of the nearest table around it, else 1."""
        ends = range(len(path), 0, -1)
        return next((self.lines[path[:end]] for end in ends if path[:end] in self.lines), 1)

    def error(self, path: Path, sentence: str) -> FairauditError:
        """The sentence behind `FILE:LINE: `, on one line whatever names it quotes."""
        return at_line(self.name, self.line(*path), sentence)


def at_line(name: str, line: int, sentence: str) -> FairauditError:
    """An error at a line of a file; a quoted line break or control character becomes a blank."""
    return FairauditError("".join(c if c.isprintable() else " " for c in f"{name}:{line}: {sentence}"))


def shown(value: object) -> str:
    """A value as an error quotes it: short, and on one line."""
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, datetime):
        return f"the date with a time {value.isoformat()}"
    if isinstance(value, date):
        return f"the date {value.isoformat()}"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        plain = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in value)
        return "an empty text" if not value else f"'{cut(plain)}'"
    if isinstance(value, list):
        inside = ", ".join(shown(v) for v in value[:9])
        return "an empty list" if not value else f"[{cut(inside)}]"
    return cut(str(value))


def cut(text: str) -> str:
    """A text short enough to be quoted."""
    return text if len(text) <= 60 else f"{text[:57]}…"


def syntax_error(name: str, text: str, error: ValueError | RecursionError) -> FairauditError:
    """What is wrong with a text that is not TOML. Its line stands in the message, or (Python 3.14) beside it."""
    if isinstance(error, RecursionError):
        return at_line(name, 1, "brackets are nested too deeply for a policy; take some out.")
    said = str(getattr(error, "msg", "")) or str(error)
    spot = _SPOT.search(str(error))
    line = getattr(error, "lineno", None) or (spot and spot[1] and int(spot[1]))
    said = _SPOT.sub("", said).split(";")[0]
    line = int(line or text.rstrip().count("\n") + 1)  # at the end: blank lines are no place to point at
    content = "".join(text.split("\n")[line - 1 : line])
    if day := _no_day(content):
        return at_line(name, line, f"{day} is not a day of the calendar; write one that is, as 2027-03-31.")
    return at_line(name, line, f"not TOML: {said[:1].lower()}{said[1:]}; {_mend(said, content)}.")


def _no_day(content: str) -> str:
    """A value written as a day that no calendar has, as 2099-13-01, else an empty text."""
    found = _DAY.match(content)
    if not found:
        return ""
    try:
        date.fromisoformat(found[1])
    except ValueError:
        return found[1]
    return ""


def _mend(said: str, content: str) -> str:
    """What to do about a syntax error, by its message and the line it stands on."""
    if "Cannot overwrite" in said:
        return "a key may stand once in a table, so remove one of them"
    if "Cannot declare" in said:
        return "a table may stand once, and several rules are written as [[rule]]"
    if any(
        word in said
        for word in ("Unclosed", "Unterminated", "at the end of a", "'''", r"Illegal character '\n'")
    ):
        return "close the quote or bracket"
    if said == "Invalid value" and content.count("[") > content.count("]"):
        return "close the quote or bracket"
    if "Illegal character" in said:
        return "take that character out"
    if re.search(r"=\s*[+-]?\.\d", content):
        return "a number needs a digit before its point, as 0.8"
    if re.search(r"\d\s*(%|,\s*\d+\s*$)", content):
        return "a share is written as 0.8, with a point and without %"
    if said.startswith(("Invalid value", "Expected newline")):
        return 'text needs quotes, as in metric = "accuracy", and each key its own line'
    return 'write each line as key = value, text in straight quotes ("accuracy")'


def line_numbers(text: str) -> dict[Path, int]:
    r"""The line of each table and key of a text that is valid TOML; inline tables count as one value.

    >>> line_numbers('a = 1\n[[rule]]\nid = "x"\n[[rule]]\nby."y z" = [\n 1]\n')[("rule", 1, "by", "y z")]
    5
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    found: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    table: Path = ()
    for line, brackets, names in _statements(text):
        keys = _keys(names)
        if brackets == 0:
            _note(found, table, keys, line)
            continue
        table = _resolved((), keys[:-1], counts)
        _note(found, (), table, line)
        table = (*table, keys[-1])
        if brackets == 2:
            found.setdefault(table, line)
            counts[table] = counts.get(table, -1) + 1
        table = _resolved(table[:-1], keys[-1:], counts)
        found[table] = line
    return found


def _note(found: dict[Path, int], table: Path, keys: Path, line: int) -> None:
    """A dotted key makes the tables on its way."""
    for end in range(1, len(keys) + 1):
        found.setdefault((*table, *keys[:end]), line)


def _resolved(table: Path, keys: Path, counts: Mapping[Path, int]) -> Path:
    """A header's keys with the number of the last table wherever one of them is an array of tables."""
    for key in keys:
        table = (*table, key)
        if table in counts:
            table = (*table, counts[table])
    return table


def _statements(text: str) -> Iterator[tuple[int, int, str]]:
    """(line, brackets, names) of each header (1 or 2 brackets) and each pair (0)."""
    at, line = 0, 1
    while at < len(text):
        end = _end(_BLANK.match(text, at), at)
        line += text.count("\n", at, end)
        if header := _HEADER.match(text, end):
            yield line, 1 + len(header[1]), header[2]
            at = header.end()
        elif pair := _PAIR.match(text, end):
            yield line, 0, pair[1]
            at = _value_end(text, pair.end())
        else:
            return  # the end of the text
        line += text.count("\n", end, at)


def _end(match: re.Match[str] | None, otherwise: int) -> int:
    return match.end() if match else otherwise


def _value_end(text: str, at: int) -> int:
    """Where a value ends: at the first line break outside of strings and brackets."""
    depth = 0
    while piece := _PIECE.match(text, at):
        what = piece[0]
        if what == "\n" and depth == 0:
            return at
        depth += (what in "[{") - (what in "]}")
        at = piece.end()
    return len(text)


def _keys(names: str) -> tuple[str, ...]:
    """The parts of a dotted key, unquoted by the parser itself.

    >>> _keys('data."y z".x')
    ('data', 'y z', 'x')
    """
    inner: object = tomllib.loads(f"{names} = 0")
    keys = []
    while isinstance(inner, dict):
        key, inner = next(iter(inner.items()))
        keys.append(key)
    return tuple(keys)
