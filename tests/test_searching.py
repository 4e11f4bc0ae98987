"""Who stands out: the labels against statsmodels-free hand rules, the p-values against bounds, and fair worlds."""

from __future__ import annotations

import numpy as np
import oracle_gate
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import norm

import fairaudit
from fairaudit.searching import benjamini_hochberg, holm

ps = st.lists(st.floats(0, 1), min_size=1, max_size=12)


@given(ps, st.sampled_from([0.01, 0.05, 0.2]))
def test_the_labels_follow_their_definitions(p, alpha):
    """Holm: adjusted p = running maximum of (m − k) p_(k); BH: running minimum from above of m p_(k) / k."""
    m, order = len(p), np.argsort(p, kind="stable")
    ranked = np.array(p)[order]
    adjusted = np.maximum.accumulate((m - np.arange(m)) * ranked)
    found = np.minimum.accumulate((m * ranked / np.arange(1, m + 1))[::-1])[::-1]
    close = np.isclose(adjusted, alpha) | np.isclose(found, alpha)
    for labels, by_hand in (
        (holm(p, alpha), adjusted <= alpha),
        (benjamini_hochberg(p, alpha), found <= alpha),
    ):
        for k, at in enumerate(order):
            if not close.any():
                assert labels[at] == by_hand[k]


def audit(hits, sizes):
    """Groups of these sizes with so many selected; every label is 1."""
    counts = [
        (f"g{k}", p, c)
        for k, (x, n) in enumerate(zip(hits, sizes, strict=True))
        for p, c in (("1", x), ("0", n - x))
    ]
    rows = [(g, "1", p) for g, p, c in counts for _ in range(c)]
    frame = pd.DataFrame(rows, columns=["g", "y_true", "y_pred"])
    return fairaudit.audit(frame, y_true="y_true", y_pred="y_pred", sensitive=["g"], positive="1")


def test_p_is_the_tail_at_which_the_bound_touches_0():
    hits, sizes = (90, 50, 45, 55), (100, 100, 100, 100)
    found = {(s["metric"], s["group"]): s for s in audit(hits, sizes).stands_out}
    rest = (150, 300)
    tail = brentq(lambda z: oracle_gate.mover((90, 100), rest, norm.sf(z))[0], 0.1, 30)
    assert found["selection_rate", "g0"]["p"] == pytest.approx(2 * norm.sf(tail), rel=1e-6)
    assert found["selection_rate", "g0"]["value"] == pytest.approx(0.9 - 0.6)
    assert found["selection_rate", "g0"]["holm"]


def test_two_groups_are_no_search():
    assert audit((90, 10), (100, 100)).stands_out == ()


def test_in_fair_worlds_somebody_stands_out_in_at_most_alpha_of_them():
    """60 worlds of 10 equal groups: at 5 % more than 8 marked worlds would be a chance of 1 in 800."""
    rng = np.random.default_rng(0)
    marked = sum(
        any(s["holm"] for s in audit(rng.binomial(60, 0.3, 10), [60] * 10).stands_out) for _ in range(60)
    )
    assert marked <= 8


def test_a_group_that_differs_is_named_alone():
    found = audit((20, 60, 58, 61, 59, 62), (100,) * 6).stands_out
    assert {s["group"] for s in found if s["holm"]} == {"g0"}
