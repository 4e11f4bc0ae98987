"""Intervals of one or two estimates: published examples and properties."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairaudit import intervals
from fairaudit.intervals import (
    Bounded,
    Parts,
    critical,
    criticals,
    difference,
    exact,
    jeffreys,
    ratio,
    wilson,
)

Z = critical(0.025)


def bounded(hits: int, rows: int) -> Bounded:
    """Wilson's 95 % bounds of one count."""
    low, high = wilson(np.array([hits / rows]), np.array([float(rows)]), Z)
    return Bounded(np.array([hits / rows]), low, high)


# Newcombe 1998, Statistics in Medicine 17:857, Table I, method 3
@pytest.mark.parametrize(
    ("hits", "rows", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_is_newcombes_method_3(hits: int, rows: int, low: float, high: float) -> None:
    b = bounded(hits, rows)
    assert (float(b.low[0]), float(b.high[0])) == pytest.approx((low, high), abs=5e-5)


# Newcombe 1998, Statistics in Medicine 17:873, Table II, method 10
@pytest.mark.parametrize(
    ("first", "second", "low", "high"),
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((6, 7), (2, 7), 0.0582, 0.8062),
        ((10, 10), (0, 20), 0.6791, 1.0),
    ],
)
def test_difference_is_newcombes_method_10(
    first: tuple[int, int], second: tuple[int, int], low: float, high: float
) -> None:
    found = difference(bounded(*first), bounded(*second))
    assert (float(found[0][0]), float(found[1][0])) == pytest.approx((low, high), abs=5e-5)


def test_a_correlation_of_one_between_equal_estimates_leaves_no_width() -> None:
    b = bounded(20, 40)  # symmetric, so that nothing is left
    low, high = difference(b, b, 1.0)
    assert (float(low[0]), float(high[0])) == pytest.approx((0.0, 0.0), abs=1e-9)


def test_critical_is_the_quantile_and_keeps_a_tiny_tail() -> None:
    assert critical(0.025) == pytest.approx(1.959963985)
    assert critical(1e-18) == pytest.approx(8.757290349, abs=1e-6)
    assert critical(0.025, 4) == pytest.approx(2.776445105)
    found = criticals(0.025, np.array([1.0, 4.0]))
    assert list(np.asarray(found)) == pytest.approx([12.70620474, 2.776445105])


@given(
    st.integers(0, 300), st.integers(1, 300), st.integers(0, 300), st.integers(1, 300), st.floats(0.5, 5.0)
)
def test_every_interval_contains_its_estimate(a: int, m: int, b: int, n: int, z: float) -> None:
    p, q = min(a, m) / m, min(b, n) / n
    sides = []
    for value, size in ((p, m), (q, n)):
        for method in (wilson, jeffreys):
            low, high = method(np.array(value), np.array(float(size)), z)
            assert 0 <= low <= value <= high <= 1
        sides.append(Bounded(np.array(value), *wilson(np.array(value), np.array(float(size)), z)))
    low, high = difference(*sides)
    assert low - 1e-12 <= p - q <= high + 1e-12
    if q > 0:
        low, high = ratio(*sides)
        assert low - 1e-9 <= p / q <= high + 1e-9


def test_ratio_of_a_zero_denominator_is_unbounded() -> None:
    low, high = ratio(bounded(5, 10), bounded(0, 10))
    assert float(low[0]) > 0
    assert math.isinf(float(high[0]))


def test_a_mean_keeps_the_noise_of_a_part_at_one() -> None:
    """Recall 1.0 on three rows beside 0.9 on two hundred: the mean is not known to two digits."""
    parts = Parts(
        np.array([[1.0, 0.9]]), np.array([[3.0, 200.0]]), np.ones((1, 2), bool), np.ones(1)
    ).inflated(np.array([0.9 * 0.1 / 200 / 4]))
    found = parts.mean_bounds(np.array([0.95]), Z, wilson)
    assert float(found.low[0]) < 0.75
    assert float(found.high[0]) < 1.0


def test_clopper_pearson_is_scipys_and_is_used_on_request() -> None:
    from scipy.stats import binomtest

    import fairaudit

    for hits, rows in ((0, 12), (3, 12), (12, 12), (250, 1000)):
        low, high = exact(np.array(hits / rows), np.array(rows), critical(0.025))
        expected = binomtest(hits, rows).proportion_ci(0.95, method="exact")
        assert (float(low), float(high)) == pytest.approx((expected.low, expected.high), abs=1e-12)
    arrays = {"y_true": [1] * 12 + [0] * 12, "y_pred": [1] * 3 + [0] * 21, "sensitive": {"g": ["a"] * 24}}
    asked = fairaudit.audit(**arrays, interval="clopper-pearson").estimate("tpr").interval
    assert asked is not None
    expected = binomtest(3, 12).proportion_ci(0.95, method="exact")
    assert (asked.low, asked.high, asked.method) == (
        pytest.approx(expected.low), pytest.approx(expected.high), "clopper-pearson",
    )  # fmt: skip
    with pytest.raises(fairaudit.FairauditError, match=r"--interval is wilson, clopper-pearson or none"):
        fairaudit.audit(**arrays, interval="clopper")


@pytest.mark.parametrize("share", [intervals.jeffreys, intervals.exact])
def test_bounds_far_out_are_numbers(share: intervals.Share) -> None:
    """Student's t with few buckets and many groups asks for z of 25 and more, where no beta quantile is found."""
    values, sizes = np.array([0.1, 0.5, 0.58, 0.999]), np.array([3.0, 5.8, 4.6, 200.0])
    for z in (10.0, 25.5, 40.0, 1e3):
        low, high = share(values, sizes, z)
        assert ((low >= 0) & (low <= values) & (values <= high) & (high <= 1)).all()
