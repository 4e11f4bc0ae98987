"""How long an audit takes, beside fairlearn's MetricFrame on the same rows, in one process run side by side.

Prints, and saves as JSON, the medians of repeated runs: 1,000,000 rows, 40 classes × 6 groups, text columns; accuracy,
macro F1 and macro recall by group. fairaudit computes its whole panel with intervals; fairlearn the three, without.
"""

from __future__ import annotations

import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

ROWS, CLASSES, GROUPS, REPEATS = 1_000_000, 40, 6, 3
OUT = Path(__file__).parent / "results" / "report.json"


def table(rows: int) -> pd.DataFrame:
    """Random predictions, 70 % right, labels and groups as text."""
    rng = np.random.default_rng(0)
    names = np.array([f"class{i:02d}" for i in range(CLASSES)], dtype=object)
    y = rng.integers(0, CLASSES, rows)
    p = np.where(rng.random(rows) < 0.7, y, rng.integers(0, CLASSES, rows))
    groups = np.array([f"region{i}" for i in range(GROUPS)], dtype=object)
    return pd.DataFrame(
        {"y_true": names[y], "y_pred": names[p], "region": groups[rng.integers(0, GROUPS, rows)]}
    )


def ours(frame: pd.DataFrame) -> None:
    """The whole panel, every number with its interval."""
    import fairaudit

    fairaudit.audit(frame, y_true="y_true", y_pred="y_pred", sensitive=["region"])


def theirs(frame: pd.DataFrame) -> None:
    """fairlearn's three metrics by group, no intervals."""
    from fairlearn.metrics import MetricFrame
    from sklearn.metrics import accuracy_score, f1_score, recall_score

    def f1(a: object, b: object) -> float:
        return float(f1_score(a, b, average="macro"))

    def recall(a: object, b: object) -> float:
        return float(recall_score(a, b, average="macro"))

    found = MetricFrame(
        metrics={"accuracy": accuracy_score, "f1": f1, "recall": recall},
        y_true=frame["y_true"], y_pred=frame["y_pred"], sensitive_features=frame["region"],
    )  # fmt: skip
    assert len(found.by_group) == GROUPS


def seconds(run: Callable[[pd.DataFrame], None], frame: pd.DataFrame) -> float:
    """Wall time of one run."""
    start = time.perf_counter()
    run(frame)
    return time.perf_counter() - start


def main() -> int:
    """Time both in turn, print and save."""
    frame = table(ROWS)
    ours(frame.head(1000)), theirs(frame.head(1000))  # imports are not what is timed
    runs = [(seconds(ours, frame), seconds(theirs, frame)) for _ in range(REPEATS)]
    result = {
        "rows": ROWS, "classes": CLASSES, "groups": GROUPS, "repeats": REPEATS,
        "fairaudit_seconds": round(statistics.median(a for a, _ in runs), 3),
        "fairlearn_seconds": round(statistics.median(b for _, b in runs), 3),
        "ratio": round(statistics.median(b / a for a, b in runs), 1),
        "machine": platform.processor() or platform.machine(), "python": platform.python_version(),
        "versions": {n: version(n) for n in ("fairlearn", "scikit-learn", "pandas", "duckdb", "numpy")},
    }  # fmt: skip
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
