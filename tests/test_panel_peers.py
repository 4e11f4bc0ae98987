"""The panel equals scikit-learn and fairlearn wherever they define the quantity; so does the oracle."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest
from oracle import panel
from oracle_rows import Key, Row, Table

import fairaudit

fairlearn = pytest.importorskip("fairlearn.metrics")
sk = pytest.importorskip("sklearn.metrics")

SEEDS = [0, 1, 2]
WEIGHTED = [False, True]
EXACT = {"rel": 1e-12, "abs": 1e-12}


def table(seed: int, labels: list[str], n: int = 600) -> pd.DataFrame:
    """Labels, predictions that are right about 70 % of the time, two attributes, weights and scores."""
    rng = np.random.default_rng(seed)
    y = rng.choice(labels, n)
    guess = rng.choice(labels, n)
    pred = np.where(rng.random(n) < 0.55, y, guess)
    score = np.clip(rng.normal(0.4, 0.2, n) + 0.2 * (y == labels[-1]), 0, 1)
    return pd.DataFrame(
        {
            "y": y,
            "p": pred,
            "sex": rng.choice(["F", "M"], n, p=[0.3, 0.7]),
            "race": rng.choice(["A", "B", "C", "D"], n, p=[0.1, 0.2, 0.3, 0.4]),
            "w": rng.integers(1, 40, n) / 8,
            "s": score,
        }
    )


def audited(frame: pd.DataFrame, weighted: bool, **more: Any) -> fairaudit.Audit:
    """The audit of such a table."""
    roles = {"y_true": "y", "y_pred": "p", "sensitive": ["sex", "race"], **more}
    return fairaudit.audit(frame, weights="w" if weighted else None, **roles)


def weights_of(frame: pd.DataFrame, weighted: bool) -> Any:
    """Sample weights for a peer, None without."""
    return frame["w"].to_numpy() if weighted else None


def metric_frame(metric: Any, frame: pd.DataFrame, by: str, weighted: bool) -> Any:
    """fairlearn's table of one metric by group."""
    params = {"sample_weight": frame["w"]} if weighted else None
    return fairlearn.MetricFrame(
        metrics=metric,
        y_true=(frame["y"] == "1").astype(int),
        y_pred=(frame["p"] == "1").astype(int),
        sensitive_features=frame[by].rename(by),
        sample_params=params,
    )


RATES = {
    "accuracy": "accuracy_score",
    "selection_rate": "selection_rate",
    "tpr": "true_positive_rate",
    "fpr": "false_positive_rate",
    "tnr": "true_negative_rate",
    "fnr": "false_negative_rate",
    "ppv": "precision_score",
}


def peer_rate(name: str) -> Any:
    """The peer's function of a rate."""
    return getattr(sk if name in {"accuracy", "ppv"} else fairlearn, RATES[name])


@pytest.mark.parametrize("weighted", WEIGHTED)
@pytest.mark.parametrize("seed", SEEDS)
def test_classes_against_scikit_learn(seed: int, weighted: bool) -> None:
    labels = ["a", "b", "c", "d", "e"]
    frame = table(seed, labels)
    audit = audited(frame, weighted)
    sample_weight = weights_of(frame, weighted)
    accuracy = sk.accuracy_score(frame["y"], frame["p"], sample_weight=sample_weight)
    assert audit.estimate("accuracy").value == pytest.approx(accuracy, **EXACT)
    precision, recall, f1, _ = sk.precision_recall_fscore_support(
        frame["y"], frame["p"], labels=labels, sample_weight=sample_weight
    )
    peers = {"precision": precision, "recall": recall, "f1": f1}
    for metric, values in peers.items():
        for label, value in zip(labels, values, strict=True):
            estimate = audit.estimate(metric, by="class", class_=label)
            assert estimate.value == pytest.approx(value, **EXACT), (metric, label)
    over_classes = {
        "f1_min": f1.min(),
        "f1_median": np.median(f1),
        "recall_min": recall.min(),
        "f1_delta": np.ptp(f1),
    }
    for metric, value in over_classes.items():
        assert audit.estimate(metric, by="class").value == pytest.approx(value, **EXACT)


@pytest.mark.parametrize("weighted", WEIGHTED)
@pytest.mark.parametrize("seed", SEEDS)
def test_macro_numbers_of_groups_against_scikit_learn(seed: int, weighted: bool) -> None:
    frame = table(seed, ["a", "b", "c"])
    frame = frame[(frame["race"] != "A") | (frame["y"] != "c")]  # a class that one group lacks
    audit = audited(frame, weighted)
    f1s, recalls = [], []
    for group, rows in frame.groupby("race"):
        present = sorted(rows["y"].unique())
        _, recall, f1, _ = sk.precision_recall_fscore_support(
            rows["y"], rows["p"], labels=present, average="macro", sample_weight=weights_of(rows, weighted)
        )
        f1s.append(f1)
        recalls.append(recall)
        for metric, value in {"f1_macro": f1, "recall_macro": recall}.items():
            estimate = audit.estimate(metric, by="race", group=str(group))
            assert estimate.value == pytest.approx(value, **EXACT)
    assert audit.estimate("f1_min", by="race").value == pytest.approx(min(f1s), **EXACT)
    assert audit.estimate("f1_median", by="race").value == pytest.approx(np.median(f1s), **EXACT)
    assert audit.estimate("f1_delta", by="race").value == pytest.approx(np.ptp(f1s), **EXACT)
    assert audit.estimate("recall_min", by="race").value == pytest.approx(min(recalls), **EXACT)


@pytest.mark.parametrize("weighted", WEIGHTED)
@pytest.mark.parametrize("by", ["sex", "race"])
@pytest.mark.parametrize("seed", SEEDS)
def test_rates_of_groups_against_fairlearn(seed: int, by: str, weighted: bool) -> None:
    frame = table(seed, ["0", "1"])
    audit = audited(frame, weighted, positive="1")
    for metric in RATES:
        peer = metric_frame(peer_rate(metric), frame, by, weighted)
        for group, value in peer.by_group.items():
            estimate = audit.estimate(metric, by=by, group=str(group))
            assert estimate.value == pytest.approx(value, **EXACT), (metric, group)
    for group, rows in frame.groupby(by):
        said_no = rows[rows["p"] == "0"]
        value = np.average(said_no["y"] == "0", weights=weights_of(said_no, weighted))
        assert audit.estimate("npv", by=by, group=str(group)).value == pytest.approx(value, **EXACT)


@pytest.mark.parametrize("weighted", WEIGHTED)
@pytest.mark.parametrize("by", ["sex", "race"])
@pytest.mark.parametrize("seed", SEEDS)
def test_disparities_against_fairlearn(seed: int, by: str, weighted: bool) -> None:
    frame = table(seed, ["0", "1"])
    audit = audited(frame, weighted, positive="1")
    y, p = (frame["y"] == "1").astype(int), (frame["p"] == "1").astype(int)
    for name in ("demographic_parity", "equalized_odds", "equal_opportunity"):
        for kind in ("difference", "ratio"):
            value = getattr(fairlearn, f"{name}_{kind}")(
                y, p, sensitive_features=frame[by], sample_weight=weights_of(frame, weighted)
            )
            assert audit.estimate(f"{name}_{kind}", by=by).value == pytest.approx(value, **EXACT), name
    ppv = metric_frame(sk.precision_score, frame, by, weighted)
    difference, ratio = ppv.difference(), ppv.ratio()
    assert audit.estimate("predictive_parity_difference", by=by).value == pytest.approx(difference, **EXACT)
    assert audit.estimate("predictive_parity_ratio", by=by).value == pytest.approx(ratio, **EXACT)


def binning_bound(y: np.ndarray, score: np.ndarray, weight: np.ndarray) -> float:
    """Largest error of the area when scores in one bin (top 18 bits of float32, mirrored) count as ties."""
    folded = np.minimum(score, 1 - score).astype(np.float32)
    bins = (folded.view(np.uint32) >> np.uint32(14)).astype(np.int64) * np.where(score > 0.5, -1, 1)
    yes = pd.Series(weight * y).groupby(bins).sum()
    no = pd.Series(weight * (1 - y)).groupby(bins).sum()
    return float((yes * no).sum() / (yes.sum() * no.sum()) / 2)


@pytest.mark.parametrize("weighted", WEIGHTED)
@pytest.mark.parametrize("seed", SEEDS)
def test_scores_against_scikit_learn(seed: int, weighted: bool) -> None:
    frame = table(seed, ["0", "1"])
    audit = audited(frame, weighted, positive="1", y_score="s")
    strata = [("overall", None, frame)]
    strata += [("race", str(group), rows) for group, rows in frame.groupby("race")]
    for by, group, rows in strata:
        y, score = (rows["y"] == "1").to_numpy(int), rows["s"].to_numpy()
        sample_weight = weights_of(rows, weighted)
        weight = np.ones(len(rows)) if sample_weight is None else sample_weight
        area = sk.roc_auc_score(y, score, sample_weight=sample_weight)
        bound = binning_bound(y, score, weight) + 1e-9
        assert audit.estimate("roc_auc", by=by, group=group).value == pytest.approx(area, abs=bound, rel=0)
        brier = sk.brier_score_loss(y, score, sample_weight=sample_weight)
        assert audit.estimate("brier", by=by, group=group).value == pytest.approx(brier, abs=1e-8, rel=0)


def test_a_million_scores_lie_within_the_stated_error_of_the_grid() -> None:
    rng = np.random.default_rng(5)
    y = rng.integers(0, 2, 1_000_000)
    score = 1 / (1 + np.exp(-rng.normal(y - 0.5, 1.5)))
    frame = pd.DataFrame({"y": y, "s": score, "g": "all"})
    audit = fairaudit.audit(frame, y_true="y", y_score="s", sensitive=["g"], positive="1")
    area = sk.roc_auc_score(y, score)
    assert audit.estimate("roc_auc").value == pytest.approx(area, abs=5e-7, rel=0)


@pytest.mark.parametrize("weighted", WEIGHTED)
@pytest.mark.parametrize("seed", SEEDS)
def test_the_oracle_itself_against_the_peers(seed: int, weighted: bool) -> None:
    frame = table(seed, ["0", "1"], 300)
    numbers = panel(oracle_table(frame, weighted))
    y, p = (frame["y"] == "1").astype(int), (frame["p"] == "1").astype(int)
    sample_weight = weights_of(frame, weighted)
    for metric in RATES:
        for group, value in metric_frame(peer_rate(metric), frame, "race", weighted).by_group.items():
            assert float(numbers[Key(metric, "race", str(group))].value) == pytest.approx(value, **EXACT)
    for name in ("demographic_parity", "equalized_odds", "equal_opportunity"):
        for kind in ("difference", "ratio"):
            value = getattr(fairlearn, f"{name}_{kind}")(
                y, p, sensitive_features=frame["race"], sample_weight=sample_weight
            )
            assert float(numbers[Key(f"{name}_{kind}", "race")].value) == pytest.approx(value, **EXACT)
    f1 = sk.f1_score(frame["y"], frame["p"], average=None, sample_weight=sample_weight)
    assert float(numbers[Key("f1_min", "class")].value) == pytest.approx(f1.min(), **EXACT)
    area = sk.roc_auc_score(y, frame["s"], sample_weight=sample_weight)
    assert float(numbers[Key("roc_auc", "overall")].value) == pytest.approx(area, **EXACT)
    brier = sk.brier_score_loss(y, frame["s"], sample_weight=sample_weight)
    assert float(numbers[Key("brier", "overall")].value) == pytest.approx(brier, **EXACT)


def oracle_table(frame: pd.DataFrame, weighted: bool) -> Table:
    """The same rows for the oracle."""
    rows = tuple(
        Row(
            row.y,
            row.p,
            {"sex": row.sex, "race": row.race},
            weight=Fraction(row.w) if weighted else Fraction(1),
            score=Fraction(row.s),
        )
        for row in frame.itertuples()
    )
    return Table(rows, ("sex", "race"), positive="1", min_events=5, weighted=weighted)
