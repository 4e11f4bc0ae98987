"""A table of numbers with a shortcut in it: `z` tells the sex, and in training the label follows the sex."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

COLUMNS = ("id", "a", "b", "c", "z", "city", "flat", "sex", "income", "split")


def draw(n: int = 900, seed: int = 0) -> dict[str, list[object]]:
    """`n` rows: amounts a, b (far from 0), c (a tenth missing), z; codes city; flat never varies."""
    r = np.random.default_rng(seed)
    split = np.array(["train", "val", "test"])[np.arange(n) % 3]
    male = r.integers(0, 2, n)
    x = r.normal(size=(n, 3))
    pull = np.where(split == "train", 1.6, 0.4) * (2 * male - 1)
    income = (x[:, 0] + 0.5 * r.normal(size=n) + pull > 0).astype(int)
    c = np.where(r.random(n) < 0.1, np.nan, x[:, 2])
    values = (
        [f"r{i}" for i in range(n)],
        x[:, 0].tolist(),
        (1000 * x[:, 1] + 5).tolist(),
        [None if v != v else float(v) for v in c],
        (male + 0.2 * r.normal(size=n)).tolist(),
        r.choice(["Rome", "Oslo", "Bern"], n).tolist(),
        [1.0] * n,
        np.where(male == 1, "M", "F").tolist(),
        income.tolist(),
        split.tolist(),
    )
    return dict(zip(COLUMNS, values, strict=True))


def save(path: Path, columns: dict[str, list[object]]) -> Path:
    """As CSV (a missing value is empty) or Parquet, by the ending."""
    if path.suffix == ".parquet":
        import pyarrow
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.table(columns), path)
        return path
    with path.open("w", newline="", encoding="utf-8") as handle:
        rows = zip(*columns.values(), strict=True)
        csv.writer(handle).writerows([tuple(columns), *(["" if v is None else v for v in r] for r in rows)])
    return path
