"""DFR as its authors mean it: the last layer fitted again on a model that is fine-tuned already, here each seed's LoRA.

    python examples/cifar10s/dfr_after_lora.py RUN_FOLDER cifar10s.parquet OUT

The adapters of the run `lora` of a finished sweep (`keep = "all"`) are merged into the model, and `dfr` refits the head
on half of the validation rows. Prints the mean over seeds of both and a paired t-test of each metric, Holm over the
three; OUT/results.json keeps the numbers. Seeds that are done are not run again.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
from pathlib import Path

import pandas as pd

from fairaudit.store import write_text
from fairaudit_mitigate import Columns, mitigate
from fairaudit_mitigate.artefact import MERGED, save_merged
from fairaudit_mitigate.classifier import Request, load
from fairaudit_mitigate.sweeping.significance import holm, paired_t

#: metric -> by; the first three are tested.
METRICS = {
    "worst_group_accuracy": "colour", "eod_max": "colour", "accuracy": "overall", "f1_min": "class",
    "recall_min": "class", "f1_delta": "class",
}  # fmt: skip
TESTED = 3


def adapters(run: Path) -> dict[int, Path]:
    """Seed -> the adapter of the LoRA cell that was judged on test."""
    frame = pd.read_parquet(run / "results.parquet", columns=["run", "seed", "cell", "final"])
    chosen = frame[(frame["run"] == "lora") & frame["final"]].drop_duplicates("cell")
    return {
        int(seed): run / "cells" / cell / "adapter"
        for seed, cell in zip(chosen.seed, chosen.cell, strict=True)
    }


def repaired(seed: int, adapter: Path, given: argparse.Namespace) -> dict[str, dict[str, float | None]]:
    """The metrics on the test rows before (LoRA) and after (DFR on top of it)."""
    folder = given.out / f"lora-{seed}"
    shutil.rmtree(folder, ignore_errors=True)
    save_merged(load(adapter, Request("image")), folder)
    done = mitigate(
        folder / MERGED, given.data, out=given.out / f"dfr-{seed}", method="dfr", sensitive=["colour"], groups="cell",
        columns=Columns(cluster="image_id"), seed=seed, dtype="bfloat16",
    )  # fmt: skip
    shutil.rmtree(folder)
    return {
        name: {m: audit.estimate(m, by).value for m, by in METRICS.items()}
        for name, audit in (("lora", done.before), ("dfr", done.after))
    }


def told(results: dict[str, dict[str, dict[str, float]]]) -> str:
    """Mean ± sd in percent, and the tests."""
    tests = {}
    lines = ["| percent | lora | dfr after lora | p (Holm over three) |", "|---|--:|--:|--:|"]
    for metric in METRICS:
        one, other = ([100 * r[run][metric] for r in results.values()] for run in ("dfr", "lora"))
        tests[metric] = (paired_t(one, other)[0], one, other)
    adjusted = holm([tests[m][0] for m in list(METRICS)[:TESTED]])
    for k, (metric, (_, one, other)) in enumerate(tests.items()):
        p = f"{adjusted[k]:.4f}" if k < TESTED else ""
        means = (f"{statistics.fmean(v):.1f} ± {statistics.stdev(v):.1f}" for v in (other, one))
        lines.append(f"| {metric} | {' | '.join(means)} | {p} |")
    return "\n".join(lines)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("run", "data", "out"):
        parser.add_argument(name, type=Path)
    given = parser.parse_args()
    path = given.out / "results.json"
    results = json.loads(path.read_text()) if path.is_file() else {}
    for seed, adapter in sorted(adapters(given.run).items()):
        if str(seed) not in results:
            given.out.mkdir(parents=True, exist_ok=True)
            results[str(seed)] = repaired(seed, adapter, given)
            write_text(path, json.dumps(results, indent=1) + "\n")
    print(told(results))


if __name__ == "__main__":
    main()
