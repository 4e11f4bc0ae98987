"""The fixed bins of scores: one number in every engine, increasing, fine near both ends, cut by no calibration edge."""

from __future__ import annotations

from functools import cache
from typing import Any

import duckdb
import numpy as np
import pytest

from fairaudit.reading import grid
from fairaudit.reading.dialect import DUCKDB

Array = np.ndarray[Any, Any]
UP, DOWN = np.inf, -np.inf


@cache
def samples() -> Array:
    """Scores of every kind, in increasing order, each once."""
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 20, 200_000)
    with np.errstate(over="ignore"):
        saturated = 1 / (1 + np.exp(-logits))
    single = rng.random(50_000).astype(np.float32).astype(np.float64)
    small = 2.0 ** rng.uniform(-1074, 0, 50_000)
    fixed = np.array([0.0, 5e-324, 2.2e-308, 1e-300, 1e-12, 0.5, 1.0, 1 - 1e-12, 1 - 2.0**-53])
    edges = np.concatenate([np.arange(n + 1) / n for n in (15, 7680, 100, 1000, 4096)])
    halves = 2.0 ** -np.arange(1.0, 80.0)
    ends = np.concatenate([edges, halves, halves / 15, 1 - halves, 1 - halves / 15, fixed])
    near = np.concatenate([np.nextafter(ends, UP), np.nextafter(ends, DOWN)])
    every = np.concatenate(
        [rng.random(500_000), rng.beta(0.01, 0.01, 200_000), saturated, single, small, ends, near]
    )
    return np.unique(np.clip(np.abs(every), 0, 1))


@cache
def in_duckdb() -> tuple[Array, Array, Array]:
    """Scores, bins and places as the scan computes them."""
    con = duckdb.connect()
    con.register("given", {"s": samples()})
    body = grid.with_bins("SELECT s FROM given", "s", DUCKDB)
    found = con.execute(f"SELECT s, score_bin, place FROM ({body}) ORDER BY s").fetchnumpy()
    return found["s"], found["score_bin"], found["place"]


def rounded(x: Array) -> tuple[Array, Array]:
    """To nine significant bits, and which of them stand just between two such numbers."""
    mantissa, exponent = np.frexp(x)
    whole = mantissa * 512
    return np.ldexp(np.rint(whole), exponent - 9), np.abs(whole - np.floor(whole)) == 0.5


def test_duckdb_and_numpy_agree_on_every_bin() -> None:
    s, bins, _ = in_duckdb()
    t = s * 15
    low, low_between = rounded(t)
    high, high_between = rounded((1 - s) * 15)
    top = np.where(s == 1, 7680.0, -high)
    expected = np.where(t < 1, low, np.where(t < 14, np.floor(t * 512), top))
    between = np.where(t < 1, low_between, (t >= 14) & high_between) & (s > 0) & (s < 1)
    assert between.sum() < 1000
    np.testing.assert_array_equal(bins[~between], expected[~between])
    step = np.abs(expected[between]) / 256
    assert (np.abs(bins[between] - expected[between]) <= step).all()


def test_bins_increase_with_the_score() -> None:
    _, bins, _ = in_duckdb()
    different, at = np.unique(bins, return_inverse=True)
    ranks = grid.ranks(different)[at]
    assert (np.diff(ranks) >= 0).all()
    assert sorted(grid.ranks(different)) == list(range(len(different)))


def test_bins_are_as_fine_above_one_half_as_below() -> None:
    s, bins, _ = in_duckdb()
    dyadic = s[(s <= 0.5) & (s * 2.0**50 == np.rint(s * 2.0**50))]  # 1 - s is exact
    bin_of = dict(zip(s.tolist(), bins.tolist(), strict=True))
    both = [bin_of.get(1 - v) for v in dyadic.tolist()]
    pairs = [
        (v, b)
        for v, b in zip(dyadic.tolist(), both, strict=True)
        if b is not None and v * 15 < 0.99 and v > 0
    ]
    assert len(pairs) > 40
    assert all(b == -rounded(np.array([v * 15]))[0][0] for v, b in pairs)


def test_zero_one_and_what_is_next_to_them_are_apart() -> None:
    s, bins, _ = in_duckdb()
    assert bins[0] == 0
    assert bins[1] > 0
    assert bins[-1] == grid.TOP
    assert bins[-2] != grid.TOP
    assert s[-2] == 1 - 2.0**-53
    close = s >= 1 - 200 * 2.0**-53  # the last doubles before 1 have a bin each
    assert len(np.unique(bins[close])) == close.sum()


def test_calibration_bins_are_fifteen_of_equal_width() -> None:
    s, bins, _ = in_duckdb()
    np.testing.assert_array_equal(grid.calibration_bin(bins), np.minimum(np.floor(s * 15), 14))


@pytest.mark.parametrize("k", range(16))
def test_a_score_at_an_edge_is_in_the_upper_bin_as_torchmetrics_has_it(k: int) -> None:
    s, bins, _ = in_duckdb()
    at = np.searchsorted(s, k / 15)
    assert s[at] == k / 15
    edges = np.linspace(0, 1, 16)  # bucketize(confidence, linspace(0, 1, 16), right=True) - 1
    expected = min(int(np.searchsorted(edges, k / 15, side="right")) - 1, 14)
    assert grid.calibration_bin(bins[[at]])[0] == expected


def test_bins_and_places_give_the_scores_back() -> None:
    s, bins, place = in_duckdb()
    assert place.min() >= 0
    assert place.max() <= 1
    total, squares = grid.scores_of(bins, np.ones(len(s)), place, place**2)
    np.testing.assert_allclose(total, s, rtol=1e-15, atol=1e-320)
    np.testing.assert_allclose(squares, s**2, rtol=1e-14, atol=1e-320)
    tail = (s > 14 / 15) & (s < 1)
    np.testing.assert_allclose((1 - total)[tail], (1 - s)[tail], rtol=1e-9, atol=1.2e-16)


def test_a_missing_score_has_no_bin() -> None:
    body = grid.with_bins("SELECT NULL::DOUBLE AS s", "s", DUCKDB)
    assert duckdb.sql(f"SELECT score_bin, place FROM ({body})").fetchall() == [(None, None)]
