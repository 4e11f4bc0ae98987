"""ROC AUC, calibration errors and Brier scores from binned scores, against scikit-learn and loops over rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import brier_score_loss, roc_auc_score

import fairaudit

Array = np.ndarray[Any, Any]
ROWS = 20_000


def sigmoid(x: Array) -> Array:
    with np.errstate(over="ignore"):
        out: Array = 1 / (1 + np.exp(-x))
    return out


def shapes(rng: np.random.Generator, n: int) -> dict[str, Array]:
    """Scores of many shapes, n each."""
    single = sigmoid(rng.normal(0, 20, n).astype(np.float32)).astype(np.float64)
    return {
        "uniform": rng.random(n),
        "logit normal": sigmoid(rng.normal(0, 1, n)),
        "saturated": sigmoid(rng.normal(0, 20, n)),
        "saturated, single precision": single,
        "next to one": 1 - rng.choice([1e-12, 2e-12, 3e-13], n),
        "next to zero": rng.choice([1e-12, 2e-12, 1e-300, 0.0], n),
        "beta": rng.beta(0.01, 0.01, n),
        "two decimals": np.round(rng.random(n), 2),
        "votes of 7 trees": rng.integers(0, 8, n) / 7,
        "one score": np.full(n, 0.3),
        "zero and one": rng.integers(0, 2, n).astype(float),
        "two scores in a bin": rng.choice([0.300001, 0.300002], n),
    }


def drawn(name: str, seed: int, n: int = ROWS) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    score = shapes(rng, n)[name]
    truth = (rng.random(n) < 0.2 + 0.6 * np.argsort(np.argsort(score)) / n).astype(int)
    return pd.DataFrame(
        {"y": truth, "s": score, "g": rng.choice(["a", "b"], n), "w": rng.choice([0.5, 1.0, 3.0], n)}
    )


def audited(frame: pd.DataFrame, **more: Any) -> fairaudit.Audit:
    return fairaudit.audit(frame, y_true="y", y_score="s", sensitive=["g"], positive="1", **more)


def parts(frame: pd.DataFrame) -> list[tuple[str, str | None, pd.DataFrame]]:
    return [("overall", None, frame), *(("g", str(g), part) for g, part in frame.groupby("g"))]


NAMES = list(shapes(np.random.default_rng(0), 1))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("weighted", [False, True])
def test_the_exact_area_is_within_the_bound_and_the_bound_is_small(name: str, weighted: bool) -> None:
    frame = drawn(name, 5)
    audit = audited(frame, **({"weights": "w"} if weighted else {}))
    for by, group, rows in parts(frame):
        found = audit.estimate("roc_auc", by, group)
        exact = roc_auc_score(rows["y"], rows["s"], sample_weight=rows["w"] if weighted else None)
        assert found.value is not None
        assert found.reference is not None
        bound = found.reference["bound"]
        assert bound is not None
        assert abs(found.value - exact) <= bound + 1e-12
        if name != "two scores in a bin":  # where a bin holds pairs in both orders nothing can be known
            assert bound <= 1e-4


@pytest.mark.parametrize(
    "name", ["two decimals", "votes of 7 trees", "one score", "zero and one", "next to one"]
)
def test_ties_are_no_doubt(name: str) -> None:
    found = audited(drawn(name, 6)).estimate("roc_auc")
    assert found.reference == {"bound": 0.0}


def test_the_bound_of_pairs_in_both_orders_holds_and_says_so() -> None:
    found = audited(drawn("two scores in a bin", 7)).estimate("roc_auc")
    assert found.reference == {"bound": 0.5}


def test_a_small_table_has_the_area_of_its_rows() -> None:
    for seed in range(20):
        frame = drawn("uniform", seed, 60)
        exact = roc_auc_score(frame["y"], frame["s"])
        found = audited(frame).estimate("roc_auc")
        assert found.value == pytest.approx(exact, abs=1e-12)
        assert found.reference == {"bound": 0.0}


def error_of(p: Array, y: Array, w: Array, bins: Array) -> float:
    """Σ_b |Σ w (p − y)| / Σ w, bin by bin."""
    gaps = [abs(float((w * (p - y))[bins == b].sum())) for b in range(15)]
    return sum(gaps) / float(w.sum())


def equal_mass(p: Array, w: Array) -> Array:
    """The bin of each row by where the middle of the rows with its score stands."""
    return np.array([int(15 * (w[p < s].sum() + w[p == s].sum() / 2) / w.sum()) for s in p])


@pytest.mark.parametrize(
    "name", ["two decimals", "votes of 7 trees", "one score", "zero and one", "next to zero"]
)
@pytest.mark.parametrize("weighted", [False, True])
def test_calibration_errors_and_brier_score_are_those_of_the_rows(name: str, weighted: bool) -> None:
    frame = drawn(name, 8, 700)
    audit = audited(frame, **({"weights": "w"} if weighted else {}))
    for by, group, rows in parts(frame):
        p, y = rows["s"].to_numpy(), rows["y"].to_numpy()
        w = rows["w"].to_numpy() if weighted else np.ones(len(p))
        width = np.minimum(np.floor(p * 15), 14)
        expected = {
            "ece": error_of(p, y, w, width),
            "ece_mass": error_of(p, y, w, equal_mass(p, w)),
            "brier": brier_score_loss(y, p, sample_weight=w),
        }
        for metric, value in expected.items():
            assert audit.estimate(metric, by, group).value == pytest.approx(value, abs=1e-12), metric


@pytest.mark.parametrize("name", ["uniform", "saturated", "saturated, single precision", "beta"])
def test_errors_of_continuous_scores(name: str) -> None:
    frame = drawn(name, 9, 3000)
    audit = audited(frame)
    p, y = frame["s"].to_numpy(), frame["y"].to_numpy()
    one = np.ones(len(p))
    assert audit.estimate("ece").value == pytest.approx(
        error_of(p, y, one, np.minimum(np.floor(p * 15), 14)), abs=1e-12
    )
    assert audit.estimate("brier").value == pytest.approx(brier_score_loss(y, p), abs=1e-12)
    # a score bin that a cut crosses is not divided: at most its rows are elsewhere
    assert audit.estimate("ece_mass").value == pytest.approx(
        error_of(p, y, one, equal_mass(p, one)), abs=15 * 4 / 3000
    )


def test_equal_mass_sees_what_equal_width_hides() -> None:
    """All scores in one bin of equal width: errors of both signs cancel there, and not in bins of equal mass."""
    p = np.repeat(np.linspace(0.402, 0.464, 30), 100)
    y = np.tile((np.arange(100) < 43).astype(int), 30)
    audit = audited(pd.DataFrame({"y": y, "s": p, "g": "a"}))
    ece, mass = (audit.estimate(m).value for m in ("ece", "ece_mass"))
    assert ece is not None
    assert mass is not None
    assert ece < 0.005 < 0.012 < mass


def test_predictions_from_the_score_and_given_ones_have_the_same_tables() -> None:
    frame = drawn("two decimals", 10, 900)
    given = frame.assign(p=(frame["s"] >= 0.5).astype(int))
    made = audited(frame)
    both = fairaudit.audit(given, y_true="y", y_pred="p", y_score="s", sensitive=["g"], positive="1")
    assert [e.to_dict() for e in made.estimates] == [e.to_dict() for e in both.estimates]


@pytest.mark.parametrize("name", ["uniform", "saturated", "two decimals"])
def test_clusters_change_intervals_and_no_value(name: str) -> None:
    frame = drawn(name, 11, 3000).assign(c=np.arange(3000) // 5)
    alone, clustered = audited(frame), audited(frame, cluster="c")
    for metric in ("roc_auc", "ece", "ece_mass", "brier"):
        one, other = (a.estimate(metric, "g", "a") for a in (alone, clustered))
        assert other.value == pytest.approx(one.value, abs=1e-12)
        assert other.interval != one.interval
    assert alone.estimate("roc_auc").reference == clustered.estimate("roc_auc").reference
