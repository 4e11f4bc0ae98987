"""YAML, as little of it as metadata needs: block mappings and lists, every text quoted."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

#: Keys that need no quotes, and the words that YAML 1.1 would not read as text.
_PLAIN = re.compile(r"[a-z]+([-_][a-z]+)*")
_NOT_TEXT = ("null", "true", "false", "yes", "no", "on", "off", "y", "n")


def front_matter(metadata: Mapping[str, Any]) -> str:
    """The metadata between two lines of `---`, as it stands at the top of a README.md."""
    return "\n".join(["---", *_block(metadata, ""), "---"]) + "\n"


def _block(value: Mapping[str, Any] | Sequence[Any], indent: str) -> Iterator[str]:
    """Lines of a mapping or a list; nested ones begin on the next line, a list's items stand after `- `."""
    pairs = (
        [(f"{_key(k)}:", v) for k, v in value.items()]
        if isinstance(value, Mapping)
        else [("-", v) for v in value]
    )
    for head, inner in pairs:
        if isinstance(inner, Mapping | list | tuple) and inner:
            lines = list(_block(inner, indent + "  "))
            if head == "-":
                yield f"{indent}- {lines[0].strip()}"
                yield from lines[1:]
            else:
                yield f"{indent}{head}"
                yield from lines
        else:
            yield f"{indent}{head} {scalar(inner)}"


def _key(name: str) -> str:
    return name if _PLAIN.fullmatch(name) and name not in _NOT_TEXT else scalar(name)


def scalar(value: Any) -> str:
    r"""One value. Texts are double-quoted, so that `no`, `1.0` and `a: b` stay texts; numbers never have an exponent.

    >>> scalar("a: \"b\"\n"), scalar(1e-7), scalar(0.25), scalar(None), scalar(True), scalar([])
    ('"a: \\"b\\"\\x0A"', '0.0', '0.25', 'null', 'true', '[]')
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        text = f"{value:.6f}".rstrip("0")
        return text + "0" if text.endswith(".") else text
    if isinstance(value, Mapping | list | tuple):
        return "{}" if isinstance(value, Mapping) else "[]"
    return '"' + "".join(_escaped(c) for c in str(value)) + '"'


def _escaped(c: str) -> str:
    if c in '"\\':
        return "\\" + c
    if c.isprintable():
        return c
    code = ord(c)
    return f"\\x{code:02X}" if code < 256 else f"\\u{code:04X}" if code < 65536 else f"\\U{code:08X}"
