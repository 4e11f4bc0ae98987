"""Leakage beside its expectation under independence, whichever way the random tables are made."""

from __future__ import annotations

import numpy as np
import pytest

import fairaudit
from fairaudit.reliance import _independent, _largest_of_shuffled


def naive(groups: list[str], guesses: list[str]) -> float:
    """Σ_ŷ max_s n(ŷ, s) / n, from rows."""
    hits = 0
    for guess in set(guesses):
        of_guess = [g for g, p in zip(groups, guesses, strict=True) if p == guess]
        hits += max(of_guess.count(g) for g in set(of_guess))
    return hits / len(guesses)


def test_leakage_is_that_of_the_rows() -> None:
    dice = np.random.default_rng(0)
    group = dice.choice(["a", "b", "c"], 300, p=[0.6, 0.3, 0.1]).tolist()
    truth, guess = (dice.choice(["x", "y", "z", "u"], 300).tolist() for _ in range(2))
    found = fairaudit.audit(y_true=truth, y_pred=guess, sensitive={"g": group}).estimate(
        "sensitive_leakage", by="g"
    )
    assert found.value == pytest.approx(naive(group, guess))
    assert found.reference is not None
    assert found.reference["perfect"] == pytest.approx(naive(group, truth))
    assert found.reference["largest_group"] == pytest.approx(max(group.count(g) for g in "abc") / 300)
    shuffled = [naive(dice.permutation(group).tolist(), guess) for _ in range(400)]
    assert found.reference["independence"] == pytest.approx(np.mean(shuffled), abs=0.003)
    assert found.interval is not None
    assert found.interval.low < found.value < found.interval.high


def test_both_ways_of_making_random_tables_agree() -> None:
    groups, columns = np.array([30, 9, 6, 3, 2]), np.array([25, 0, 20, 5])
    by_column = _independent(groups, columns, 50, seed=0)
    shuffled = _largest_of_shuffled(groups, columns, 2_000, np.random.default_rng(0)) / 50
    assert by_column == pytest.approx(shuffled, abs=0.006)
    wide = _independent(np.ones(400), np.ones(50) * 8, 400, seed=0)  # fewer rows than cells
    assert wide == pytest.approx(50 / 400)  # no group has two rows
