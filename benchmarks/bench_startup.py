"""How long the commands take where there is little to do: help, a report and a gate on 7,000 rows, the whole process.

Beside `python -c 'import numpy'`; the targets are 1.5 times that for the help, 6 times for the report.
"""

from __future__ import annotations

import csv
import random
import sys
from pathlib import Path

import measuring

ROWS = 7_000
NUMPY = "import numpy"
#: Shares of the groups and how often each reoffends, about as in COMPAS.
RACES = {"African-American": (0.51, 0.51), "Caucasian": (0.34, 0.39), "Hispanic": (0.09, 0.36), "Other": (0.05, 0.35),
         "Asian": (0.007, 0.28), "Native American": (0.003, 0.55)}  # fmt: skip
POLICY = """schema = 1
[data]
y_true = "y_true"
y_pred = "y_pred"
positive = "1"
sensitive = ["race", "sex"]
[[rule]]
id = "four-fifths"
metric = "selection_rate"
by = ["race", "sex"]
reference = "highest"
min_ratio = 0.80
[[rule]]
id = "finds-alike"
metric = "tpr"
by = ["race"]
max_difference = 0.10
"""


def drawn(rows: int) -> list[dict[str, object]]:
    """A table like COMPAS: label, score in tenths of thousandths, prediction, 6 races, 2 sexes."""
    dice = random.Random(0)
    found: list[dict[str, object]] = []
    for i in range(rows):
        race = dice.choices(list(RACES), [share for share, _ in RACES.values()])[0]
        y = int(dice.random() < RACES[race][1])
        score = min(1.0, 0.6 * dice.betavariate(2, 2) + 0.3 * y + 0.1 * (race == "African-American"))
        found.append({"id": i, "race": race, "sex": dice.choices(("Male", "Female"), (0.81, 0.19))[0], "y_true": y,
                      "y_score": round(score, 4), "y_pred": int(score >= 0.5)})  # fmt: skip
    return found


def written(table: list[dict[str, object]], path: Path, without: str) -> str:
    """A CSV file of the table but for one column."""
    with path.open("w", newline="") as file:
        columns = [c for c in table[0] if c != without]
        out = csv.DictWriter(file, columns, extrasaction="ignore")
        out.writeheader()
        out.writerows(table)
    return str(path)


def commands(folder: Path, rows: int) -> dict[str, list[str]]:
    """What is timed, by name."""
    table = drawn(rows)
    preds = written(table, folder / "preds.csv", without="y_score")
    scores = written(table, folder / "scores.csv", without="y_pred")
    policy = folder / "fairaudit.toml"
    policy.write_text(POLICY, encoding="utf-8")
    attributes, ours = ["-s", "race", "-s", "sex"], measuring.FAIRAUDIT
    return {
        "python": [sys.executable, "-c", "pass"],
        NUMPY: [sys.executable, "-c", NUMPY],
        "import numpy, duckdb": [sys.executable, "-c", "import numpy, duckdb"],
        "--help": [ours, "--help"],
        "report --help": [ours, "report", "--help"],
        "report, labels": [ours, "report", preds, *attributes],
        "report, scores": [ours, "report", scores, *attributes],
        "gate": [ours, "gate", preds, "--policy", str(policy)],
    }


def main() -> int:
    """Measure, print, save."""
    given = measuring.options(__doc__, rows=ROWS, repeats=9)
    with measuring.folder(given.data) as folder:
        asked = commands(folder, given.rows)
        measuring.side_by_side(asked, 1, answers=(0, 1, 3))  # the first reads every library from the disk
        runs = measuring.side_by_side(asked, given.repeats, answers=(0, 1, 3))
    floor = [r.seconds for r in runs[NUMPY]]
    found = {
        name: {**measuring.summary(r), "ratio": measuring.ratio([one.seconds for one in r], floor)}
        for name, r in runs.items()
    }
    for name, numbers in found.items():
        print(f"{name:22} {numbers['median']:.3f} s  {numbers['ratio']:.2f} × {NUMPY}")
    measuring.save(
        "startup", given, {"data": "drawn like COMPAS, CSV", "runs": found}, ("scipy", "typer", "rich")
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
