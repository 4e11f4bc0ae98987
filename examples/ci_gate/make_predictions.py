"""Made-up predictions for the gate: the same bytes on every machine.

Writes preds.csv (a model that finds fewer of the women who are positive), repaired.csv (the same rows, judged more
alike) and few.csv (the first 1,000 rows of repaired.csv).
"""

from __future__ import annotations

import csv
import random

ROWS, FEW = 6000, 1000
COLUMNS = ("id", "label", "pred", "sex", "region")


def people() -> list[dict[str, str]]:
    dice = random.Random(20)
    made = []
    for i in range(ROWS):
        sex = "F" if dice.random() < 0.45 else "M"
        region = ("north", "south", "west")[int(3 * dice.random())]
        made.append({"id": f"p{i:04d}", "label": str(int(dice.random() < 0.4)), "sex": sex, "region": region})
    return made


def predicted(rows: list[dict[str, str]], missed: dict[str, float], seed: int) -> list[dict[str, str]]:
    """Positives are missed with the probability of their sex, one negative in ten is called positive."""
    dice = random.Random(seed)
    out = []
    for row in rows:
        found = dice.random() >= missed[row["sex"]] if row["label"] == "1" else dice.random() < 0.1
        out.append({**row, "pred": str(int(found))})
    return out


def write(name: str, rows: list[dict[str, str]]) -> None:
    with open(name, "w", encoding="utf-8", newline="") as file:  # noqa: PTH123
        table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


if __name__ == "__main__":
    everyone = people()
    repaired = predicted(everyone, {"F": 0.16, "M": 0.15}, 2)
    write("preds.csv", predicted(everyone, {"F": 0.42, "M": 0.15}, 1))
    write("repaired.csv", repaired)
    write("few.csv", repaired[:FEW])
