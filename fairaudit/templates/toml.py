"""Values as TOML, on one line and valid whatever a column or a group is called."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any


def toml(value: Any) -> str:
    r"""A text, number, date, list or table as TOML on one line; it can also stand in a comment.

    >>> toml('a "b" \\ c'), toml(["x", "y"]), toml({"a b": [1, 2]}), toml("a\nb")
    ('"a \\"b\\" \\\\ c"', '["x", "y"]', '{"a b" = [1, 2]}', '"a\\nb"')
    """
    import tomlkit

    if isinstance(value, Mapping):
        inside = ", ".join(f"{key(k)} = {toml(v)}" for k, v in value.items())
        return f"{{{inside}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(toml(v) for v in value)}]"
    if isinstance(value, date):
        return value.isoformat()
    text: str = tomlkit.item(value).as_string()
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    """What tomlkit leaves as it is though nobody could see it: line separators, marks of direction."""
    return f"\\u{ord(character):04X}" if ord(character) < 0x10000 else f"\\U{ord(character):08X}"


def key(name: str) -> str:
    """A key, in quotes where it needs them."""
    bare = name and name.isascii() and name.replace("-", "").replace("_", "").isalnum()
    return name if bare else toml(name)


def pair(name: str, value: Any, why: str = "") -> str:
    """`key = value`, with a comment behind it where there is something to say."""
    said = f"{key(name)} = {toml(value)}"
    return f"{said}  # {why}" if why else said


def commented(lines: list[str]) -> Iterator[str]:
    """Lines of TOML as comments: take the leading `# ` away and they count."""
    for line in lines:
        yield f"# {line}".rstrip()
