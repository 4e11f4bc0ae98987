"""Group-wise thresholds on ACSIncome, beside fairlearn's own result; every number goes to JSON and none by hand.

    python examples/acs_threshold/run.py ACSIncome.test.parquet --out results.json

Half of the rows train a logistic regression, a quarter fits the thresholds, the last quarter judges them. Fairlearn
gets the model itself and the same rows: its probabilities of a positive answer must be ours to the bit, and with its
draws in place of ours so must every prediction.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from fairlearn.metrics import equalized_odds_difference
from fairlearn.postprocessing import ThresholdOptimizer
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from fairaudit.store import write_text
from fairaudit_mitigate.thresholds import Adjustment, adjust
from fairaudit_mitigate.thresholds.rule import decide
from fairaudit_mitigate.thresholds.scored import Named

LABEL, NUMBERS, CODES = "PINCP", ["AGEP", "WKHP", "SCHL"], ["COW", "MAR", "OCCP", "POBP", "RELP"]
ATTRIBUTES = ("SEX", "RAC1P")
#: Of fairlearn's draws.
SEED, SEEDS = 0, 20


def scored(table: pd.DataFrame) -> tuple[pd.DataFrame, Pipeline]:
    """The predictions of all rows, with the split of each, and the model, which sees neither sex nor race."""
    order = np.random.default_rng(0).permutation(len(table))
    split = np.empty(len(table), dtype=object)
    for name, rows in zip(
        ("train", "val", "test"), np.split(order, [len(order) // 2, len(order) * 3 // 4]), strict=True
    ):
        split[rows] = name
    encoded = make_column_transformer(
        (StandardScaler(), NUMBERS), (OneHotEncoder(handle_unknown="ignore", min_frequency=20), CODES)
    )
    train = table[split == "train"]
    model = make_pipeline(encoded, LogisticRegression(max_iter=1000)).fit(
        train[[*NUMBERS, *CODES]], train[LABEL]
    )
    found = table[[LABEL, *ATTRIBUTES]].assign(
        split=split, proba=model.predict_proba(table[[*NUMBERS, *CODES]])[:, 1]
    )
    return found.reset_index(names="id"), model


def fairlearns(
    model: Pipeline, table: pd.DataFrame, split: pd.Series, attribute: str, constraint: str
) -> Any:
    """Fairlearn's probabilities of a positive answer and its predictions of the test rows."""
    features = table[[*NUMBERS, *CODES]]
    val, test = (split == "val").to_numpy(), (split == "test").to_numpy()
    optimizer = ThresholdOptimizer(
        estimator=model, constraints=constraint, prefit=True, predict_method="predict_proba"
    ).fit(features[val], table[LABEL][val], sensitive_features=table[attribute][val])
    asked = {"X": features[test], "sensitive_features": table[attribute][test]}
    return optimizer._pmf_predict(**asked)[:, 1], optimizer.predict(**asked, random_state=SEED)


def one(
    model: Pipeline, table: pd.DataFrame, predictions: Path, attribute: str, constraint: str
) -> dict[str, Any]:
    """One attribute and constraint: the gap before and after, and how far fairlearn is from it."""
    rows = pd.read_parquet(predictions)
    with tempfile.TemporaryDirectory() as folder:
        done: Adjustment = adjust(
            predictions, out=Path(folder) / "out", sensitive=[attribute], constraint=constraint,
            columns=Named(y_true=LABEL, y_score="proba", id="id"),
        )  # fmt: skip
        after = pd.read_parquet(Path(folder) / "out/predictions_after.parquet")
    test = rows[rows["split"] == "test"]
    groups = [(str(int(g)),) for g in test[attribute]]
    ours = done.rule.probabilities(test["proba"].to_numpy(), groups)
    theirs, predicted = fairlearns(model, table, rows["split"], attribute, constraint)
    with_their_draws = decide(ours, np.random.RandomState(SEED).rand(len(ours))).astype(int)
    gap = "equalized_odds_difference" if constraint == "equalized_odds" else "demographic_parity_difference"
    return {
        "attribute": attribute,
        "constraint": constraint,
        "rows": {"fitted": done.manifest["results"]["rows_fitted"], "judged": len(test)},
        "gap": gap,
        "before": _estimates(done.proof.before, attribute, gap),
        "after": _estimates(done.proof.after, attribute, gap),
        "decided_by_a_draw": float(((ours > 0) & (ours < 1)).mean()),
        "fairlearn": {
            "largest_difference_of_probabilities": float(np.abs(ours - theirs).max()),
            "predictions_equal_with_its_draws": bool((with_their_draws == predicted).all()),
            "equalized_odds_difference": _odds(test, predicted, attribute),
            "accuracy": float((predicted == test[LABEL]).mean()),
            "equalized_odds_difference_over_seeds": _over_seeds(theirs, test, attribute),
        },
        "equalized_odds_difference": {
            "before": _odds(test, (test["proba"] >= 0.5).astype(int), attribute),
            "after": _odds(test, after["y_pred"].astype(int).to_numpy(), attribute),
            "expected": _expected_odds(test, ours, attribute),
        },
    }


def _estimates(audit: Any, attribute: str, gap: str) -> dict[str, Any]:
    found = {"accuracy": audit.estimate("accuracy"), "gap": audit.estimate(gap, by=attribute)}
    return {k: {"value": e.value, "low": e.interval.low, "high": e.interval.high} for k, e in found.items()}


def _odds(test: pd.DataFrame, predicted: Any, attribute: str) -> float:
    return float(equalized_odds_difference(test[LABEL], predicted, sensitive_features=test[attribute]))


def _over_seeds(probabilities: Any, test: pd.DataFrame, attribute: str) -> dict[str, float]:
    """What fairlearn's draws come to with other seeds: how much of a gap is the luck of the draw."""
    found = [
        _odds(test, decide(probabilities, np.random.RandomState(seed).rand(len(test))).astype(int), attribute)
        for seed in range(SEEDS)
    ]
    return {"lowest": min(found), "mean": float(np.mean(found)), "highest": max(found)}


def _expected_odds(test: pd.DataFrame, probabilities: Any, attribute: str) -> float:
    """The gap of the expected rates: that of infinitely many draws."""
    rates = test.assign(p=probabilities).groupby([LABEL, attribute])["p"].mean().unstack()
    return float((rates.max(axis=1) - rates.min(axis=1)).max())


def main() -> None:
    """Read, train, adjust, compare, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=Path("results.json"))
    args = parser.parse_args()
    table = pd.read_parquet(args.data)
    predictions, model = scored(table)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "predictions.parquet"
        predictions.to_parquet(path, index=False)
        found = [
            one(model, table, path, attribute, constraint)
            for attribute in ATTRIBUTES
            for constraint in ("equalized_odds", "demographic_parity")
        ]
    write_text(args.out, json.dumps({"rows": len(table), "runs": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
