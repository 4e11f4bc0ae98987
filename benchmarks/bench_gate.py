"""How long `fairaudit gate` takes, the whole process, on 332,900 rows and a policy over two crossed attributes.

Uses the real ACSIncome predictions where `../shared/data` has them and no `--rows` are asked for, else drawn rows of
the same shape; beside `python -c 'import numpy, duckdb'` as the floor.
"""

from __future__ import annotations

import sys
from pathlib import Path

import drawn_rows
import measuring

ROWS = 332_900
SHARED = measuring.HERE.parent.parent / "shared" / "data" / "tabular"
POLICY = """schema = 1
[data]
y_true = "PINCP"
y_pred = "predictions"
positive = "1"
sensitive = ["SEX", "RAC1P"]
{join}
[[rule]]
id = "four-fifths"
metric = "selection_rate"
by = ["SEX", "RAC1P", "SEX&RAC1P"]
min_ratio = 0.80
[[rule]]
id = "finds-alike"
metric = "tpr"
by = ["SEX&RAC1P"]
max_difference = 0.10
[[rule]]
id = "right-enough"
metric = "accuracy"
by = ["overall", "SEX&RAC1P"]
min = 0.70
"""


def prepared(folder: Path, out: Path, asked: int) -> tuple[Path, Path, str]:
    """Predictions, policy, and what the rows are."""
    policy = out / "fairaudit.toml"
    real = SHARED / "acsincome_pred_lightgbm.parquet"
    if real.exists() and not asked:
        labels = SHARED / "ACSIncome.test.parquet"
        policy.write_text(POLICY.format(join=f'with = "{labels}"\non = "index"'), encoding="utf-8")
        return real, policy, "ACSIncome, lightgbm, labels joined by index"
    policy.write_text(POLICY.format(join=""), encoding="utf-8")
    return drawn_rows.made("gate", asked or ROWS, folder), policy, drawn_rows.KINDS["gate"]


def main() -> int:
    """Measure, print, save."""
    given = measuring.options(__doc__, repeats=5)
    with measuring.folder(given.data) as folder, measuring.folder(None) as out:
        preds, policy, data = prepared(folder, out, given.rows)
        gate = [measuring.FAIRAUDIT, "gate", str(preds), "--policy", str(policy)]
        channels = ("json", "md", "junit", "sarif", "github", "gitlab")
        commands = {
            "gate": gate,
            "gate, every channel": [*gate, *(f for k in channels for f in ("-o", f"{k}:{out / k}"))],
            "import numpy, duckdb": [sys.executable, "-c", "import numpy, duckdb"],
        }
        # the verdict is an exit code: 0, 1 or 3 are answers
        runs = measuring.side_by_side(commands, given.repeats, answers=(0, 1, 3))
    given.rows = given.rows or ROWS
    measuring.save("gate", given, {"data": data, "runs": {n: measuring.summary(r) for n, r in runs.items()}})
    return 0


if __name__ == "__main__":
    sys.exit(main())
