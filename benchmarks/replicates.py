"""What bootstrap replicates cost: 1,000 from the cells of a table, with the statistics that are made of each.

    python benchmarks/replicates.py FILE.parquet

Through the functions that the audit itself calls. Prints as JSON the seconds of drawing alone, of drawing with the F1
of every group and class as the audit computes it, and of drawing with fairlearn's three metrics by group, and the
standard error of the first group's macro F1, to be held against the rows' own bootstrap.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
from peers import table, timed

from fairaudit.classwise import f1_of_cells
from fairaudit.resampling import Statistic, resampled

REPLICATES = 1000
Array = np.ndarray[Any, Any]


def cells_of(path: str) -> Array:
    """(groups, classes, classes): rows by group, label and prediction."""
    frame = table("labels", "codes", path)
    groups, classes = (int(frame[c].max()) + 1 for c in ("region", "y_true"))
    place = (frame["region"] * classes + frame["y_true"]) * classes + frame["y_pred"]
    return np.bincount(place, minlength=groups * classes**2).reshape(groups, classes, classes)


def f1(shape: tuple[int, ...]) -> Statistic:
    """F1 of each class in each group, (k, groups × classes), by the statistic of the audit."""
    group, label, guess = (axis.ravel() for axis in np.indices(shape))
    classes = shape[-1]
    every = np.arange(shape[0] * classes)
    return f1_of_cells(group * classes + label, group * classes + guess, every)


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
    statistics: dict[str, Statistic] = {
        "draws": lambda drawn: drawn[:, :1],
        "f1": f1(shape),
        "seconds": lambda drawn: metrics(drawn.reshape(-1, *shape)),
    }
    took, found = {}, np.empty(0)
    for name, statistic in statistics.items():
        took[name], found = timed(
            lambda statistic=statistic: resampled(counts, statistic, (0, 0), REPLICATES)
        )
    print(json.dumps({
        "replicates": REPLICATES, "cells": int((counts > 0).sum()), **took,
        "value": float(metrics(cells)[1, 0]), "standard_error": float(found[:, 1, 0].std(ddof=1)),
    }))  # fmt: skip


if __name__ == "__main__":
    main()
