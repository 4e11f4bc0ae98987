"""Values become the same text in every engine."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import numpy as np
import pytest

from fairaudit.labels import MISSING, canonical, default_positive, escape, join, join_groups, ordered, text_of


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"), (np.bool_(False), "false"), (1, "1"), (1.0, "1"), (0.25, "0.25"), (-3.0, "-3"),
        (np.float32(2), "2"), (np.int64(7), "7"), (Decimal("1.50"), "1.5"), ("1.0", "1.0"), (" x ", " x "),
        (b"caf\xc3\xa9", "café"), (date(2020, 1, 2), "2020-01-02"), ("", None), (None, None), (float("nan"), None),
    ],
)  # fmt: skip
def test_text_of(value: object, text: str | None) -> None:
    assert text_of(value) == text


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["1", "1.0", "01", "1e0"], {"1"}),
        (["0", "-0.0"], {"0"}),
        (["0.50", "1"], {"0.5", "1"}),
        (["True", "FALSE"], {"true", "false"}),
        (["1.0", "one"], {"1.0", "one"}),
        (["1", "1_000"], {"1", "1_000"}),  # Python's underscores are not numbers to anybody else
        (["1", " 2"], {"1", " 2"}),
        (["nan", "1"], {"nan", "1"}),
    ],
)
def test_canonical_looks_at_all_labels_at_once(labels: list[str], names: set[str]) -> None:
    assert set(canonical(labels).values()) == names


def test_ordered_is_by_value_for_numbers_and_missing_comes_last() -> None:
    assert ordered(["10", "9", MISSING, "-1", "2.5"]) == ("-1", "2.5", "9", "10", MISSING)
    assert ordered(["b", "a", "10", "9"]) == ("10", "9", "a", "b")


@pytest.mark.parametrize(
    ("classes", "positive"),
    [
        (["0", "1"], "1"), (["false", "true"], "true"), (["no", "YES"], "YES"), (["-1", "1"], "1"), (["1"], "1"),
        (["0"], "1"), (["yes"], None), (["a", "b"], None), (["0", "1", "2"], None), (["0", "yes"], None), ([], None),
    ],
)  # fmt: skip
def test_default_positive_only_where_nobody_disputes_it(classes: list[str], positive: str | None) -> None:
    assert default_positive(classes) == positive


def test_crossed_names_can_be_told_apart() -> None:
    assert join(["race", "sex"]) == "race&sex"
    assert join(["a&b", "c"]) != join(["a", "b&c"])
    assert join_groups(["A & B", "F"]) == r"A \& B & F"
    assert join(["a&b"]) == r"a\&b"
    assert escape("a\\&b") == "a\\\\\\&b"
