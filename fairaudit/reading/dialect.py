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
    `position` of a value in it (NULL or 0 where absent), its `total` and `largest`; `each`: a row for each of its
    items. `bucket`: the last two hexadecimal digits of a text's md5. `mask`: SQL's GROUPING(), a bit a key.
    `fixed(x, small)`: the exact integer round(x · 2⁶⁰) of an x ≥ 0 (`small`: x ≤ 4), or what stands for it; `whole` and
    `fraction` take the sum of such a column apart.
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
    each: Callable[[str], str]
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
    each=lambda array: f"unnest({array})",
    bucket=lambda x: f"right(md5({x}), 2)",
    mask=lambda keys: f"grouping({', '.join(keys)})",
    fixed=_fixed,
    whole=lambda column: f"CAST(sum({column}) // {FIXED} AS BIGINT)",
    fraction=lambda column: f"CAST(sum({column}) % {FIXED} AS BIGINT)",
)


def unsubstituted(name: str) -> str:
    """A column's name that Spark does not take for one of its variables, which it replaces in the text of a query."""
    return name.replace("${", "$ {")


def _spark_quote(name: str) -> str:
    return "`" + unsubstituted(name).replace("`", "``") + "`"


def _spark_literal(text: str) -> str:
    r"""A text in Spark's SQL; as its bytes where a setting could make `\\`, `'` or `${` mean something."""
    if text.isascii() and text.isprintable() and not set(text) & set("'\\$"):
        return f"'{text}'"
    return f"decode(unhex('{text.encode().hex()}'), 'UTF-8')"


#: What DuckDB takes for a number: Java's parser also takes `1d`, and does not take `1_000` and `-nan`.
_DIGITS = "[0-9](_?[0-9])*"
_NUMBER = rf"^[ \t-\r]*[+-]?(({_DIGITS}(\.({_DIGITS})?)?|\.{_DIGITS})([eE][+-]?{_DIGITS})?|(?i:inf(inity)?))[ \t-\r]*$"
_NAN = r"^[ \t-\r]*[+-]?(?i:nan)[ \t-\r]*$"


def _spark_number(x: str) -> str:
    # typeof is a constant, so that Spark keeps one branch; of the others none may be refused for its type
    text = f"CAST({x} AS STRING)"
    parsed = f"TRY_CAST(translate({text}, '_', '') AS DOUBLE)"
    return (
        f"CASE WHEN typeof({x}) <> 'string' THEN TRY_CAST({x} AS DOUBLE) "
        f"WHEN {text} RLIKE {_spark_literal(_NUMBER)} THEN {parsed} "
        f"WHEN {text} RLIKE {_spark_literal(_NAN)} THEN double('NaN') END"
    )


def _spark_text(x: str) -> str:
    """As DuckDB writes it: whole floats and decimals without an exponent, `nan` and `inf` in small letters."""
    number, text = f"CAST({x} AS DOUBLE)", f"CAST({x} AS STRING)"
    # without ANSI mode a decimal below 1e-6 is written as 0E-8 or 1.50E-7
    zeros = f"repeat('0', TRY_CAST(substring_index({text}, 'E-', -1) AS INT) - 1)"
    digits = f"translate(substring_index({text}, 'E-', 1), '.-', '')"
    tiny = f"concat(if(left({text}, 1) = '-', '-', ''), '0.', {zeros}, {digits})"
    whole = f"CAST(CAST({number} AS BIGINT) AS STRING) || '.0'"
    real = (
        f"CASE WHEN isnan({number}) THEN 'nan' WHEN abs({number}) = double('Infinity') THEN "
        f"if({number} > 0, 'inf', '-inf') WHEN abs({number}) < 1e15D AND {number} = floor({number}) THEN {whole} "
        f"ELSE {text} END"
    )
    return (
        f"CASE WHEN typeof({x}) IN ('double', 'float') THEN {real} "
        f"WHEN typeof({x}) LIKE 'decimal%' AND instr({text}, 'E-') > 0 THEN {tiny} ELSE {text} END"
    )


_LOW = (1 << 30) - 1


def _fraction_of(m: str) -> str:
    """The fraction of a column of doubles times 2⁶⁰, rounded half up: every step is exact, and no text is between."""
    v = f"(({m} - floor({m})) * {float(FIXED)!r}D)"
    return f"(floor({v}) + CAST({v} - floor({v}) >= 0.5D AS BIGINT))"


def _carried(m: str) -> str:
    """The sum of the fractions without its lowest 30 bits, in units of 2⁻³⁰; halves add up without overflow."""
    f = _fraction_of(m)
    return f"(sum(shiftright({f}, 30)) + shiftright(sum({f} & {_LOW}L), 30))"


def _spark_whole(m: str) -> str:
    # without ANSI mode a sum that is too large for a BIGINT would come out as another number
    large = f"sum({m}) > 9e18D"
    return (
        f"CASE WHEN {large} THEN CAST(raise_error('sums above 9e18 cannot be kept') AS BIGINT) "
        f"ELSE sum(floor({m})) + shiftright({_carried(m)}, 30) END"
    )


SPARK = Dialect(
    name="spark",
    quote=_spark_quote,
    literal=_spark_literal,
    real=lambda x: f"{x!r}D",
    text=_spark_text,
    integer=lambda x: f"CAST({x} AS INT)",
    number=_spark_number,
    fail=lambda x: f"raise_error({x})",
    array=lambda items: f"array({', '.join(items)})",
    item=lambda array, at: f"get({array}, CAST({at} AS INT) - 1)",
    position=lambda array, value: f"array_position({array}, {value})",
    total=lambda array: f"aggregate({array}, 0D, (a, x) -> a + x)",
    largest=lambda array: f"array_max({array})",
    each=lambda array: f"explode({array})",
    bucket=lambda x: f"right(md5({x}), 2)",
    mask=lambda keys: " + ".join(
        f"CAST(grouping({k}) AS BIGINT) * {1 << (len(keys) - 1 - i)}L" for i, k in enumerate(keys)
    ),
    fixed=lambda x, _: f"CAST({x} AS DOUBLE)",
    whole=_spark_whole,
    fraction=lambda m: (
        f"shiftleft({_carried(m)} & {_LOW}L, 30) | (sum({_fraction_of(m)} & {_LOW}L) & {_LOW}L)"
    ),
)
