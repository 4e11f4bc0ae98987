"""Rows, numbers and counting for the oracle: what every definition is written with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

Real = Fraction | float
Test = Callable[["Row"], bool]
MISSING = "(missing)"
FEWEST_COMPARED = 2  # a gap, ratio or variance compares at least two strata


@dataclass(frozen=True, slots=True)
class Row:
    """One prediction, labels and groups already in their text form."""

    y_true: str
    y_pred: str
    groups: dict[str, str]
    weight: Fraction = Fraction(1)
    loss: Real | None = None
    score: Fraction | None = None  # probability of the positive label
    confidence: Fraction | None = None  # probability of the predicted label
    member: bool | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """The rows and what the caller declared about them."""

    rows: tuple[Row, ...]
    attributes: tuple[str, ...]
    positive: str | None = None
    min_events: int = 10
    cross: int = 1
    agreement: dict[str, str] = field(default_factory=dict)
    weighted: bool = False


@dataclass(frozen=True, slots=True)
class Key:
    """Where a number stands in `content.estimates`."""

    metric: str
    by: str
    group: str | None = None
    class_: str | None = None


@dataclass(frozen=True, slots=True)
class Number:
    """What the definition fixes: the value (None = undefined), and more where it says so.

    `status` None means the design does not fix it; `at` lists every (group, class) that attains the value,
    empty when the design does not fix it; `reference` holds the companions that have an exact value.
    """

    value: Real | None
    status: str | None = None
    numerator: Fraction | None = None
    denominator: Fraction | None = None
    at: frozenset[tuple[str | None, str | None]] = frozenset()
    reference: dict[str, Real | None] = field(default_factory=dict)
    expectation: dict[str, Real | None] = field(default_factory=dict)  # exact, but the core may simulate it
    rounded: bool = False  # rests on a per-row value that is no short binary fraction (a logarithm)


UNDEFINED = Number(None, "undefined")


def weight_of(rows: Iterable[Row]) -> Fraction:
    """Sum of the weights."""
    total = Fraction(0)
    for row in rows:
        total += row.weight
    return total


def where(rows: Iterable[Row], test: Test) -> list[Row]:
    """The rows that pass."""
    return [row for row in rows if test(row)]


def classes_of(rows: Iterable[Row]) -> list[str]:
    """The classes: the values of y_true."""
    return sorted({row.y_true for row in rows})


def labels_of(rows: Iterable[Row]) -> list[str]:
    """The classes and the labels that are only ever predicted."""
    return sorted({label for row in rows for label in (row.y_true, row.y_pred)})


def groups_of(rows: Iterable[Row], by: str) -> list[str]:
    """The groups of one attribute."""
    return sorted({row.groups[by] for row in rows})


def in_group(rows: Iterable[Row], by: str, group: str) -> list[Row]:
    """The rows of one group."""
    return where(rows, lambda row: row.groups[by] == group)


def status_of(rows_in_denominator: int, min_events: int) -> str:
    """`small` below min_events rows."""
    return "ok" if rows_in_denominator >= min_events else "small"


def ratio(numerator: Fraction, denominator: Fraction) -> Fraction | None:
    """A quotient, undefined without a denominator."""
    return None if denominator == 0 else numerator / denominator


def proportion(rows: Sequence[Row], hit: Test, min_events: int) -> Number:
    """Share of the rows that hit, with its counts and status."""
    if not rows:
        return UNDEFINED
    numerator, denominator = weight_of(where(rows, hit)), weight_of(rows)
    return Number(ratio(numerator, denominator), status_of(len(rows), min_events), numerator, denominator)


def is_correct(row: Row) -> bool:
    """Prediction equals label."""
    return row.y_pred == row.y_true
