"""How an engine spells what a scan needs; all the rest is SQL that engines share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fairaudit.cube import FIXED


@dataclass(frozen=True, slots=True)
class Dialect:
    """One engine's spelling. Every field takes SQL expressions (or Python values) and gives an SQL expression.

    `quote`: a column's name; `literal`: a text; `real`: a float; `text`, `integer`: casts; `number`: a value as DOUBLE,
    NULL where it is none; `fail`: stops the scan with a message. `array` of expressions, its `item` (from 1), the
    `position` of a value in it (NULL or 0 where absent), its `total` and `largest`. `bucket`: the last two hexadecimal
    digits of a text's md5. `mask`: SQL's GROUPING(), a bit a key. `fixed(x, small)`: the exact integer
    round(x · 2⁶⁰) (`small`: |x| ≤ 4), whose sums `whole` and `fraction` take apart.
    """

    name: str
    quote: Callable[[str], str]
    literal: Callable[[str], str]
    real: Callable[[float], str]
    text: Callable[[str], str]
    integer: Callable[[str], str]
    number: Callable[[str], str]
    fail: Callable[[str], str]
    array: Callable[[Sequence[str]], str]
    item: Callable[[str, str], str]
    position: Callable[[str, str], str]
    total: Callable[[str], str]
    largest: Callable[[str], str]
    bucket: Callable[[str], str]
    mask: Callable[[Sequence[str]], str]
    fixed: Callable[[str, bool], str]
    whole: Callable[[str], str]
    fraction: Callable[[str], str]


def quote(name: str) -> str:
    """A column's name in DuckDB's SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text in DuckDB's SQL."""
    return "'" + text.replace("'", "''") + "'"


def _fixed(x: str, small: bool) -> str:
    # sums of BIGINT are HUGEINT in DuckDB and cheaper to make than HUGEINT of each row
    return f"CAST(round(({x}) * {float(FIXED)!r}) AS {'BIGINT' if small else 'HUGEINT'})"


DUCKDB = Dialect(
    name="duckdb",
    quote=quote,
    literal=literal,
    real=lambda x: f"{x!r}::DOUBLE",
    text=lambda x: f"CAST({x} AS VARCHAR)",
    integer=lambda x: f"CAST({x} AS INTEGER)",
    number=lambda x: f"TRY_CAST({x} AS DOUBLE)",
    fail=lambda x: f"error({x})",
    array=lambda items: f"[{', '.join(items)}]",
    item=lambda array, at: f"{array}[{at}]",
    position=lambda array, value: f"list_position({array}, {value})",
    total=lambda array: f"list_sum({array})",
    largest=lambda array: f"list_max({array})",
    bucket=lambda x: f"right(md5({x}), 2)",
    mask=lambda keys: f"grouping({', '.join(keys)})",
    fixed=_fixed,
    whole=lambda total: f"CAST({total} // {FIXED} AS BIGINT)",
    fraction=lambda total: f"CAST({total} % {FIXED} AS BIGINT)",
)
