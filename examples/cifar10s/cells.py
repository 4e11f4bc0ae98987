"""Who gained and who paid: the accuracy of every cell (class × colour) and of both colours, each run against LoRA.

    python examples/cifar10s/cells.py RUN_FOLDER

Reads the `results.parquet` of a sweep; prints Markdown: LoRA in percent, the others as the difference over the
seeds that both have, mean ± standard deviation.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

REFERENCE = "lora"


def by_group(results: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The metric on test rows in percent, indexed by run, seed, class and colour."""
    chosen = results[
        (results["split"] == "test") & (results["metric"] == metric) & (results["by"] == "colour")
    ]
    chosen = chosen[chosen["group"].notna()].fillna({"class": "all classes"})
    return 100 * chosen.set_index(["run", "seed", "class", "group"])["value"].unstack("run")


def table(values: pd.DataFrame) -> list[str]:
    """One line a group: the reference, and the difference of each other run."""
    others = [run for run in values.columns if run != REFERENCE]
    lines = [
        f"| class | colour | {REFERENCE} | " + " | ".join(others) + " |",
        "|---|---|" + "--:|" * (1 + len(others)),
    ]
    for (name, colour), rows in values.groupby(level=["class", "group"]):
        told = [f"{rows[REFERENCE].mean():.1f}"]
        for run in others:
            gap = (rows[run] - rows[REFERENCE]).dropna()
            told.append(f"{gap.mean():+.1f} ± {gap.std():.1f}")
        lines.append(f"| {name} | {colour} | " + " | ".join(told) + " |")
    return lines


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="folder of the sweep")
    results = pd.read_parquet(parser.parse_args().run / "results.parquet")
    print("\n".join([*table(by_group(results, "tpr")), "", *table(by_group(results, "accuracy"))]))


if __name__ == "__main__":
    main()
