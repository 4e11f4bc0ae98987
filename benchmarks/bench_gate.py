"""How long `fairaudit gate` takes, the whole process, on 332,900 rows and a policy over two crossed attributes.

Uses the real ACSIncome predictions where `../shared/data` has them, else drawn rows of the same shape. Prints, and
saves as JSON, wall and CPU seconds (medians), beside `python -c 'import numpy, duckdb'` as the floor.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

REPEATS = 5
OUT = Path(__file__).parent / "results" / "gate.json"
SHARED = Path(__file__).parent.parent.parent / "shared" / "data" / "tabular"
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


def prepared(folder: Path) -> tuple[Path, Path, str]:
    """Predictions, policy, and what the rows are."""
    policy = folder / "fairaudit.toml"
    real = SHARED / "acsincome_pred_lightgbm.parquet"
    if real.exists():
        labels = SHARED / "ACSIncome.test.parquet"
        policy.write_text(POLICY.format(join=f'with = "{labels}"\non = "index"'), encoding="utf-8")
        return real, policy, "ACSIncome, lightgbm, labels joined by index"
    rng = np.random.default_rng(0)
    n = 332_900
    y = rng.integers(0, 2, n)
    frame = pd.DataFrame(
        {"PINCP": y, "predictions": np.where(rng.random(n) < 0.8, y, 1 - y), "SEX": rng.integers(1, 3, n),
         "RAC1P": rng.integers(0, 9, n)}
    )  # fmt: skip
    frame.to_parquet(folder / "preds.parquet")
    policy.write_text(POLICY.format(join=""), encoding="utf-8")
    return folder / "preds.parquet", policy, "drawn rows"


def seconds(command: list[str]) -> tuple[float, float]:
    """Wall and CPU seconds of one process."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        preds, policy, rows = prepared(Path(folder))
        tool = str(Path(sys.executable).parent / "fairaudit")
        commands = {
            "gate": [tool, "gate", str(preds), "--policy", str(policy)],
            "gate, every channel": [
                tool, "gate", str(preds), "--policy", str(policy),
                *(f for k in ("json", "md", "junit", "sarif", "github", "gitlab") for f in ("-o", f"{k}:{folder}/{k}")),
            ],
            "import numpy, duckdb": [sys.executable, "-c", "import numpy, duckdb"],
        }  # fmt: skip
        runs: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        for _ in range(REPEATS):  # side by side, so that a busy minute hits all of them
            for name, command in commands.items():
                runs[name].append(seconds(command))
    result = {
        "machine": platform.processor() or platform.machine(), "python": platform.python_version(),
        "cores": os.cpu_count(), "rows": rows, "repeats": REPEATS,
        "medians": {n: {"wall": statistics.median(w for w, _ in r), "cpu": statistics.median(c for _, c in r)}
                    for n, r in runs.items()},
    }  # fmt: skip
    for name, took in result["medians"].items():
        print(f"{name:24s} {took['wall']:.2f} s wall, {took['cpu']:.2f} s CPU")
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
