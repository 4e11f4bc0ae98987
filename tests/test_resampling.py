"""Replicates of counts have the distribution of resampled rows, whichever way and on however many threads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from fairaudit.classwise import f1_of_cells
from fairaudit.resampling import chunk_size, resampled

Array = np.ndarray[Any, Any]
CLASSES = 4


def rows(n: int, seed: int = 3) -> tuple[Array, Array]:
    """Labels and predictions: a rare class that is badly served, one that is nearly always right."""
    dice = np.random.default_rng(seed)
    y = dice.choice(CLASSES, n, p=[0.5, 0.3, 0.16, 0.04])
    right = dice.random(n) < np.array([0.97, 0.85, 0.7, 0.5])[y]
    return y, np.where(right, y, dice.integers(0, CLASSES, n))


def naive_f1(y: Array, p: Array) -> list[float]:
    """F1 of each class, from rows."""
    out = []
    for c in range(CLASSES):
        both, either = int(((y == c) & (p == c)).sum()), int((y == c).sum() + (p == c).sum())
        out.append(2 * both / either if either else 0.0)
    return out


def cells(y: Array, p: Array) -> tuple[Array, Array, Array]:
    """The non-empty cells, in an order that is not sorted by anything: label, prediction, count."""
    found, count = np.unique(np.stack([p, y], axis=1), axis=0, return_counts=True)
    return found[:, 1], found[:, 0], count


def panel(f1: Array) -> Array:
    """F1 of each class, then the smallest and the gap, (B, classes + 2)."""
    return np.column_stack([f1, f1.min(axis=1), np.ptp(f1, axis=1)])


@pytest.fixture(scope="module", params=[40, 2_000], ids=["drawn row by row", "drawn cell by cell"])
def both(request: pytest.FixtureRequest) -> tuple[Array, Array]:
    """The panel over replicates of the cells, and over rows drawn with replacement and counted anew."""
    y, p = rows(request.param)
    a, b, count = cells(y, p)
    assert (request.param <= 7 * len(count)) == (request.param == 40)
    found = resampled(count, f1_of_cells(a, b, np.arange(CLASSES)), (5, 0), replicates=4_000)
    dice, real = np.random.default_rng(11), []
    for _ in range(4_000):
        at = dice.integers(0, len(y), len(y))
        real.append(naive_f1(y[at], p[at]))
    return panel(found), panel(np.array(real))


def test_replicates_have_the_moments_of_resampled_rows(both: tuple[Array, Array]) -> None:
    mine, real = both
    error = np.sqrt((mine.var(axis=0) + real.var(axis=0)) / len(real))
    assert (np.abs(mine.mean(axis=0) - real.mean(axis=0)) <= 4 * error).all()
    assert mine.std(axis=0) == pytest.approx(real.std(axis=0), rel=0.06)
    varies = real.std(axis=0) > 0
    ours, theirs = (np.corrcoef(a[:, varies].T) for a in (mine, real))
    assert ours == pytest.approx(theirs, abs=0.08)


def test_replicates_have_the_distribution_of_resampled_rows(both: tuple[Array, Array]) -> None:
    mine, real = both
    for k in range(mine.shape[1]):
        assert stats.ks_2samp(mine[:, k], real[:, k]).pvalue > 1e-3, f"column {k}"
    tails = [0.025, 0.5, 0.95, 0.975]
    assert np.quantile(mine, tails, axis=0) == pytest.approx(np.quantile(real, tails, axis=0), abs=0.03)


def test_the_test_sees_a_wrong_number_of_rows(both: tuple[Array, Array]) -> None:
    mine, real = both
    narrow = real.mean(axis=0) + (mine - mine.mean(axis=0)) * np.sqrt(0.6)  # as of more rows
    assert stats.ks_2samp(narrow[:, 0], real[:, 0]).pvalue < 1e-3


@pytest.mark.parametrize("scale", [2, 500], ids=["drawn row by row", "drawn cell by cell"])
def test_the_number_of_threads_changes_nothing(scale: int) -> None:
    count = np.random.default_rng(0).integers(1, 2 * scale, 900)

    def statistic(drawn: Array) -> Array:
        return drawn[:, :7]

    found = [resampled(count, statistic, (0, 0), replicates=620, threads=t) for t in (1, 2, 5)]
    assert (found[0] == found[1]).all()
    assert (found[0] == found[2]).all()
    assert len(np.unique(found[0], axis=0)) > 600  # chunks are not copies of each other
    assert (resampled(count, statistic, (1, 0), replicates=620) != found[0]).any()


def test_every_replicate_has_all_the_rows_and_no_cell_that_was_empty() -> None:
    for count in (np.array([5, 0, 2, 40, 0]), np.array([5, 0, 2, 4, 0])):
        drawn = resampled(count, lambda d: d, (0, 0), replicates=123)
        assert drawn.shape == (123, 5)
        assert (drawn.sum(axis=1) == count.sum()).all()
        assert (drawn[:, [1, 4]] == 0).all()


def test_weights_are_drawn_as_so_many_rows() -> None:
    weight = np.array([0.5, 0.25, 1.25])
    drawn = resampled(weight, lambda d: d, (0, 0), replicates=20_000, rows=30)
    share = weight / 2
    assert (drawn.sum(axis=1) == 30).all()
    assert drawn.mean(axis=0) == pytest.approx(30 * share, abs=0.1)
    assert np.cov(drawn.T) == pytest.approx(30 * (np.diag(share) - np.outer(share, share)), abs=0.25)


def test_chunks_stay_small_whatever_the_cells() -> None:
    assert [chunk_size(n) for n in (1, 9_600, 100_000, 10**7)] == [50, 50, 20, 1]


def test_f1_of_cells_is_f1_of_the_rows() -> None:
    y, p = rows(300)
    a, b, count = cells(y, p)
    found = f1_of_cells(a, b, np.array([0, 2, 3]))(np.stack([count, 0 * count]))
    assert found[0] == pytest.approx([naive_f1(y, p)[c] for c in (0, 2, 3)])
    assert (found[1] == 0).all()
