"""Small prediction tables that tests of readers, reports and commands share."""

from __future__ import annotations

import random
from typing import Any

import pandas as pd


def binary(rows: int = 400, gap: float = 0.4, seed: int = 0) -> pd.DataFrame:
    """Labels 0/1 and two attributes; positives of `F` are found less often by `gap`."""
    dice = random.Random(seed)
    records: list[dict[str, Any]] = []
    for i in range(rows):
        sex, y = ("F", "M")[i % 2], i // 2 % 2
        miss = 0.1 + (gap if sex == "F" and y == 1 else 0.0)
        pred = 1 - y if dice.random() < miss else y
        records.append(
            {"id": f"r{i}", "label": y, "pred": pred, "sex": sex, "race": ("Asian", "Black", None)[i % 7 % 3]}
        )
    return pd.DataFrame(records)


def several(rows: int, classes: int, groups: int, seed: int = 0) -> pd.DataFrame:
    """Many classes with long names in many groups with long names."""
    dice = random.Random(seed)
    records = []
    for _ in range(rows):
        y, g = dice.randrange(classes), dice.randrange(groups)
        pred = y if dice.random() < 0.9 - 0.6 * g / groups else dice.randrange(classes)
        records.append({"label": f"class number {y}", "pred": f"class number {pred}",
                        "country": f"The very long name of the Republic number {g} of the world"})  # fmt: skip
    return pd.DataFrame(records)
