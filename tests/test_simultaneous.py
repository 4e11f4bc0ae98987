"""Intervals of minima, gaps and ratios: critical values from tables, and what must hold near equality."""

from __future__ import annotations

import numpy as np
import pytest

from fairaudit.intervals import Shares, critical
from fairaudit.simultaneous import family, gap, gaussian_draws, lowest_ratio, single, smallest, tukey


def shares(values: list[float], rows: float = 200.0) -> Shares:
    """Independent shares of equal size."""
    return Shares(np.array(values), np.full(len(values), rows))


# upper 5 % points of the studentised range, infinite degrees of freedom (any statistical table)
@pytest.mark.parametrize(("groups", "q"), [(2, 2.772), (3, 3.314), (4, 3.633), (5, 3.858), (10, 4.474)])
def test_tukey_is_the_studentised_range(groups: int, q: float) -> None:
    assert tukey(groups, 0.95) * np.sqrt(2) == pytest.approx(q, abs=1e-3)


def test_the_gap_of_equal_groups_contains_zero_and_of_unequal_ones_does_not() -> None:
    assert gap(shares([0.5, 0.5, 0.5]), 0.95)[0] == 0.0
    low, high = gap(shares([0.2, 0.5, 0.8]), 0.95)
    assert 0.4 < low < 0.6 < high < 0.75


def test_the_gap_of_two_groups_is_newcombes() -> None:
    found = Shares(np.array([0.8, 0.6]), np.array([70.0, 80.0]))
    assert gap(found, 0.95) == pytest.approx((0.0524, 0.3339), abs=5e-5)


def test_many_groups_are_judged_without_forming_pairs() -> None:
    values = [0.5] * 150
    values[7] = 0.95
    low, high = gap(shares(values), 0.95)
    assert 0 < low < 0.45 < high


def test_a_family_is_wider_than_its_members_alone() -> None:
    found = shares([0.4, 0.5, 0.6])
    one, all_ = single(found, 0.95), family(found, 0.95)
    assert (all_.low < one.low).all()
    assert (all_.high > one.high).all()
    low, high = smallest(found, 0.95)
    assert all_.low.min() < low < 0.4 < high == all_.high.min()  # only the upper end is simultaneous


def test_the_lowest_ratio_reaches_one_when_nothing_differs() -> None:
    assert lowest_ratio(shares([0.5, 0.5, 0.5]), 0.95)[1] == 1.0
    low, high = lowest_ratio(shares([0.2, 0.4], 2000.0), 0.95)
    assert low < 0.5 < high < 0.6


def test_few_clusters_widen_only_what_rests_on_them() -> None:
    """A group that five buckets hold does not make the comparison of two large groups uncertain."""
    values, sizes = np.array([0.2, 0.8, 0.5]), np.array([400.0, 400.0, 20.0])
    wide = Shares(values, sizes, np.eye(3), df=np.array([200.0, 200.0, 4.0]))
    low, high = gap(wide, 0.95)
    assert low > 0.5
    assert high > 0.65


def test_draws_have_the_correlations_asked_for() -> None:
    corr = np.array([[1.0, 0.6], [0.6, 1.0]])
    draws = gaussian_draws(corr, seed=0)
    assert np.corrcoef(draws.T)[0, 1] == pytest.approx(0.6, abs=0.03)
    with_draws = Shares(np.array([0.5, 0.5]), np.array([100.0, 100.0]), corr, draws=draws)
    width = family(with_draws, 0.95).high - family(with_draws, 0.95).low
    alone = single(with_draws, 0.95)
    assert (width > alone.high - alone.low).all()
    assert critical(0.025) < 2
