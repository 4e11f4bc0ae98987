"""Fine-tuning a text encoder on HateCheck: which method serves the identity groups evenly, and who pays.

    python examples/hatecheck/make_data.py hatecheck_cases.csv.gz DATA_FOLDER
    python examples/hatecheck/run.py MODEL DATA_FOLDER --out results.json

Five runs a method, one a fold (and seed): train on three folds of template families, choose the step on the fourth,
audit the fifth once. `name:λ1,λ2` asks for a choice: every λ is trained on fold 0, the best by the *validation* metric
goes on to the other folds. Then the test rows of all folds are pooled (each row was a test row once) and every method
is compared with LoRA on the same rows, with template families as clusters. Runs that are in the output file already
are not run again. No sentence is printed or written.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd

import fairaudit
from fairaudit.store import write_text
from fairaudit_mitigate import Columns, Mitigation, mitigate

ATTRIBUTE, POSITIVE, BASE = "target_ident", "hateful", "lora"
METHODS = ("lora", "balanced-lora", "fairlora:0.01,0.1,1", "fairlora-up", "groupdro-lora")
#: name -> (metric, by); all of the test rows of a fold, or of the pooled rows.
METRICS = {
    "accuracy": ("accuracy", "overall"),
    "worst_group_accuracy": ("worst_group_accuracy", ATTRIBUTE),
    "eod_max": ("eod_max", ATTRIBUTE),
    "f1_min": ("f1_min", "class"),
    "recall_min": ("recall_min", "class"),
    "f1_delta": ("f1_delta", "class"),
    "equalized_odds_difference": ("equalized_odds_difference", ATTRIBUTE),
}
#: The rates of a group: hateful sentences about it that are found, harmless ones that are left alone.
FELT = ("accuracy", "tpr", "tnr")


def one_run(method: str, penalty: float | None, fold: int, args: argparse.Namespace) -> dict[str, Any]:
    """Train and audit once; the record that goes to the results. The test predictions are kept for pooling."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        done: Mitigation = mitigate(
            args.model, args.data / f"fold{fold}.parquet", out=Path(folder) / "run", method=method,
            sensitive=[ATTRIBUTE], positive=POSITIVE, groups="cell", columns=Columns(cluster="family"), new_head=True,
            penalty=penalty, seed=fold, epochs=args.epochs, batch_size=args.batch_size, lr=args.lr, adapt=args.adapt,
            cache=None if args.adapt == "all" else str(args.data / "activations"),
        )  # fmt: skip
        shutil.copy(done.out / "predictions_after.parquet", kept(args, method, penalty, fold))
    return {
        "method": method,
        "penalty": penalty,
        "fold": fold,
        "validation": done.manifest["results"]["validation"],
        "metrics": {name: done.after.estimate(m, by).value for name, (m, by) in METRICS.items()},
        "seconds": round(time.perf_counter() - started, 1),
    }


def kept(args: argparse.Namespace, method: str, penalty: float | None, fold: int) -> Path:
    """Where the test predictions of a run are kept: beside the results."""
    folder: Path = args.out.with_suffix(".predictions")
    folder.mkdir(exist_ok=True)
    return folder / f"{method}-{penalty}-{fold}.parquet"


def summary(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mean and standard deviation over the folds, in percent; the chosen λ where there was a choice."""
    out = []
    for method, penalty in dict.fromkeys((r["method"], r["penalty"]) for r in runs):
        mine = [r for r in runs if (r["method"], r["penalty"]) == (method, penalty)]
        row: dict[str, Any] = {"method": method, "penalty": penalty, "folds": len(mine)}
        for name in METRICS:
            values = [100 * r["metrics"][name] for r in mine if r["metrics"][name] is not None]
            spread = round(statistics.stdev(values), 2) if len(values) > 1 else None
            row[name] = {"mean": round(statistics.fmean(values), 2), "sd": spread} if values else None
        out.append(row)
    return out


def pooled(runs: list[dict[str, Any]], args: argparse.Namespace) -> list[dict[str, Any]]:
    """Each finished method on the test rows of all folds together, and against LoRA on the same rows."""
    inputs: dict[str, Any] = {"sensitive": [ATTRIBUTE], "positive": POSITIVE, "cluster": "family"}
    finished = [k for k in dict.fromkeys((r["method"], r["penalty"]) for r in runs)
                if sum((r["method"], r["penalty"]) == k for r in runs) == args.folds]  # fmt: skip
    frames = {k: pd.concat([pd.read_parquet(kept(args, *k, f)) for f in range(args.folds)]) for k in finished}
    base = next((frame for (method, _), frame in frames.items() if method == BASE), None)
    out = []
    for (method, penalty), frame in frames.items():
        audit = fairaudit.audit(frame, **inputs)
        row: dict[str, Any] = {"method": method, "penalty": penalty, "rows": len(frame)}
        row["metrics"] = {name: told(audit.estimate(m, by)) for name, (m, by) in METRICS.items()}
        row["groups"] = {g["group"]: {m: told(audit.estimate(m, ATTRIBUTE, g["group"])) for m in FELT}
                         for g in audit.groups}  # fmt: skip
        if base is not None and method != BASE:
            changes = fairaudit.compare(base, frame, id="id", **inputs).changes
            row["against_lora"] = [c.to_dict() for c in changes if shown(c.metric, c.by, c.group)]
        out.append(row)
    return out


def shown(metric: str, by: str, group: str | None) -> bool:
    """Which changes against LoRA are kept: the metrics of the table, and what each group feels."""
    return (metric, by) in METRICS.values() if group is None else metric in FELT


def told(e: fairaudit.Estimate) -> dict[str, Any]:
    """Value and interval."""
    i = e.interval
    return {
        "value": e.value,
        "low": None if i is None else i.low,
        "high": None if i is None else i.high,
        "n": e.n,
    }


def best_penalty(runs: list[dict[str, Any]], method: str) -> float | None:
    """The λ with the best validation metric on fold 0 (the smaller one where two tie)."""
    tried = [r for r in runs if r["method"] == method and r["fold"] == 0]
    top = max(tried, key=lambda r: (r["validation"]["worst_group_accuracy"], -(r["penalty"] or 0)))
    chosen: float | None = top["penalty"]
    return chosen


def wanted(args: argparse.Namespace, runs: list[dict[str, Any]], fold: int) -> list[tuple[str, float | None]]:
    """The methods of a fold with their λ: all of them on fold 0, the chosen one on the others."""
    out: list[tuple[str, float | None]] = []
    for method, _, penalties in (m.partition(":") for m in args.methods):
        asked = [float(p) for p in penalties.split(",") if p] or [None]
        out += (
            [(method, p) for p in asked]
            if fold == 0 or len(asked) == 1
            else [(method, best_penalty(runs, method))]
        )
    return out


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="transformers folder of a text encoder")
    parser.add_argument("data", type=Path, help="what make_data.py wrote")
    parser.add_argument("--out", type=Path, required=True, help="results as JSON")
    parser.add_argument("--methods", nargs="+", default=list(METHODS), help="method, method:λ or method:λ,λ")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--epochs", type=float, default=4)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--lr", type=float, default=None)
    parser.add_argument("--adapt", default="all", help="all, or last-K: cached and several times faster")
    args = parser.parse_args()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    protocol = {k: getattr(args, k) for k in ("epochs", "batch_size", "lr", "adapt")}
    whole = json.loads(args.out.read_text()) if args.out.exists() else {"protocol": protocol, "runs": []}
    if whole["protocol"] != protocol:
        parser.error(f"{args.out} holds runs of another protocol ({whole['protocol']}); name another --out")
    runs = whole["runs"]
    for fold in range(args.folds):
        for method, penalty in wanted(args, runs, fold):
            if any((r["method"], r["penalty"], r["fold"]) == (method, penalty, fold) for r in runs):
                continue
            runs.append(one_run(method, penalty, fold, args))
            write_text(args.out, json.dumps({"protocol": protocol, "runs": runs}, indent=1) + "\n")
            print(json.dumps(runs[-1]), flush=True)
    result = {"protocol": protocol, "summary": summary(runs), "pooled": pooled(runs, args), "runs": runs}
    write_text(args.out, json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
