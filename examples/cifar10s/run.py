"""LoRA against FairLoRA on CIFAR-10S, over seeds, with the numbers written to JSON and never by hand.

    python examples/cifar10s/run.py MODEL CIFAR_FOLDER --out results.json

Each seed draws its own data (colours, images) and trains each method on it under the same budget: rank 8, the last
four blocks adapted, `cell` groups, the step chosen on validation by worst-group accuracy. The test split is
audited once per run. Runs that are in the output file already are not run again.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from make_data import build

from fairaudit.store import write_text
from fairaudit_mitigate import Columns, Mitigation, mitigate

PROJECTIONS = (
    "attention.q_proj",
    "attention.k_proj",
    "attention.v_proj",
    "attention.o_proj",
    "mlp.fc1",
    "mlp.fc2",
)
METRICS = {
    "accuracy": ("accuracy", "overall"),
    "eod_max": ("eod_max", "colour"),
    "worst_group_accuracy": ("worst_group_accuracy", "colour"),
    "f1_min": ("f1_min", "class"),
    "recall_min": ("recall_min", "class"),
    "f1_delta": ("f1_delta", "class"),
    "class_loss_variance": ("loss_variance", "class"),
}


def one_run(
    model: str, data: Path, method: str, penalty: float, seed: int, args: argparse.Namespace
) -> dict[str, Any]:
    """Train and audit once; the record that goes to the results."""
    started = time.perf_counter()
    blocks = range(12 - args.last, 12)
    with tempfile.TemporaryDirectory() as folder:
        done: Mitigation = mitigate(
            model, data, out=Path(folder) / "run", method=method, sensitive=["colour"], groups="cell",
            columns=Columns(cluster="image_id"), image_size=args.side, rank=8, penalty=penalty, seed=seed,
            epochs=args.epochs, batch_size=64, lr=args.lr,
            targets=tuple(f"layer.{b}.{p}" for b in blocks for p in PROJECTIONS),
        )  # fmt: skip
    found = {name: done.after.estimate(m, by).value for name, (m, by) in METRICS.items()}
    groups = {
        g["group"]: done.after.estimate("accuracy", "colour", g["group"]).value for g in done.after.groups
    }
    seconds = round(time.perf_counter() - started, 1)
    return {
        "method": method,
        "penalty": penalty,
        "seed": seed,
        "metrics": found,
        "groups": groups,
        "seconds": seconds,
    }


def summary(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mean and standard deviation over seeds of each method, in percent (loss variance as it is)."""
    out = []
    for key in dict.fromkeys((r["method"], r["penalty"]) for r in runs):
        mine = [r for r in runs if (r["method"], r["penalty"]) == key]
        row: dict[str, Any] = {"method": key[0], "penalty": key[1], "seeds": len(mine)}
        for name in METRICS:
            scale = 1 if name.endswith("variance") else 100
            values = [scale * r["metrics"][name] for r in mine if r["metrics"][name] is not None]
            spread = statistics.stdev(values) if len(values) > 1 else None
            row[name] = {
                "mean": round(statistics.fmean(values), 3),
                "sd": None if spread is None else round(spread, 3),
            }
        out.append(row)
    return out


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="transformers folder of the ViT-S/14 backbone")
    parser.add_argument(
        "source", type=Path, help="folder with cifar10_train.parquet and cifar10_test.parquet"
    )
    parser.add_argument("--out", type=Path, required=True, help="results as JSON")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--methods", nargs="+", default=["lora:0", "fairlora:0.1"], help="method:penalty")
    parser.add_argument("--train", type=int, default=4000)
    parser.add_argument("--val", type=int, default=400)
    parser.add_argument("--test", type=int, default=1000, help="test images, twice as many rows")
    parser.add_argument("--epochs", type=float, default=4)
    parser.add_argument("--side", type=int, default=56)
    parser.add_argument("--last", type=int, default=4, help="how many of the last blocks are adapted")
    parser.add_argument("--lr", type=float, default=None)
    args = parser.parse_args()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    protocol = {
        k: v for k, v in vars(args).items() if k in ("train", "val", "test", "epochs", "side", "last", "lr")
    }
    runs = json.loads(args.out.read_text())["runs"] if args.out.exists() else []
    for seed in range(args.seeds):
        with tempfile.TemporaryDirectory() as folder:
            data = Path(folder) / "cifar10s.parquet"
            build(args.source, seed, args.train, args.val, args.test).to_parquet(data, index=False)
            for method, penalty in (m.split(":") for m in args.methods):
                if any(
                    (r["method"], r["penalty"], r["seed"]) == (method, float(penalty), seed) for r in runs
                ):
                    continue
                runs.append(one_run(args.model, data, method, float(penalty), seed, args))
                whole = {"protocol": protocol, "summary": summary(runs), "runs": runs}
                write_text(args.out, json.dumps(whole, indent=1) + "\n")
                print(json.dumps(runs[-1]), flush=True)


if __name__ == "__main__":
    main()
