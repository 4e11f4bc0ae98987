"""What bootstrap replicates cost: 1,000 from the cells of a table, with fairlearn's three metrics of each by group.

    python benchmarks/replicates.py FILE.parquet

Through the function that the audit itself calls. Prints as JSON the seconds of drawing alone and of drawing with the
metrics, and the standard error of the first group's macro F1, to be held against the rows' own bootstrap.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
from peers import table, timed

from fairaudit.resampling import resampled

REPLICATES = 1000
Array = np.ndarray[Any, Any]


def cells_of(path: str) -> Array:
    """(groups, classes, classes): rows by group, label and prediction."""
    frame = table("labels", "codes", path)
    groups, classes = (int(frame[c].max()) + 1 for c in ("region", "y_true"))
    place = (frame["region"] * classes + frame["y_true"]) * classes + frame["y_pred"]
    return np.bincount(place, minlength=groups * classes**2).reshape(groups, classes, classes)


def metrics(drawn: Array) -> Array:
    """(…, 3, groups): accuracy, macro F1 and macro recall of each group, from (…, groups, classes, classes) counts."""
    counts = drawn.astype(np.float64)  # whole numbers, exact below 2^53
    hits, ones = np.diagonal(counts, axis1=-2, axis2=-1), np.ones(counts.shape[-1])
    labels, guesses = counts @ ones, ones @ counts
    each = (
        hits.sum(axis=-1) / labels.sum(axis=-1),
        (2 * hits / (labels + guesses)).mean(-1),
        (hits / labels).mean(-1),
    )
    return np.stack(each, axis=-2)


def main() -> None:
    cells = cells_of(sys.argv[1])
    counts, shape = cells.ravel(), cells.shape

    def draws() -> Array:
        return resampled(counts, lambda drawn: drawn[:, :1], (0, 0), REPLICATES)

    def measured() -> Array:
        return resampled(counts, lambda drawn: metrics(drawn.reshape(-1, *shape)), (0, 0), REPLICATES)

    drawing, _ = timed(draws)
    both, found = timed(measured)
    print(json.dumps({
        "replicates": REPLICATES, "cells": int((counts > 0).sum()), "draws": drawing, "seconds": both,
        "value": float(metrics(cells)[1, 0]), "standard_error": float(found[:, 1, 0].std(ddof=1)),
    }))  # fmt: skip


if __name__ == "__main__":
    main()
