"""What a training step costs: FairLoRA by LoRA, both by plain Trainer with PEFT, and the last blocks on a cache.

ViT-S/14 at 56 px on the CPU, one process for each way, all let run one step at a time in turn: a busy minute hits all
alike, and each process has its own peak. A ratio is the median over turns of the ratio within a turn; its bound is
an order statistic (sign test), so it assumes no distribution, but it does take the turns for independent.
The first epoch of each (images are decoded in it) and the first step of the others (an evaluation precedes it) are left
out. Needs the model and the images of `../shared/data`; without them it says so and measures nothing.
"""

from __future__ import annotations

import json
import math
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import measuring

DATA = measuring.HERE.parents[1] / "shared" / "data"
MODEL, IMAGES = DATA / "models" / "vits14-dinov2-saliency", DATA / "images" / "cifar10_train.parquet"
BATCH, MICRO_BATCHES, ROWS, TURNS = 32, 4, 800, 200
EPOCHS = 4
PACKAGES = ("torch", "transformers", "peft", "accelerate")
_LAST = {"adapt": "last-4"}
_MICRO = {"batch_size": BATCH // MICRO_BATCHES, "accumulate": MICRO_BATCHES}
#: name -> whose loop, and the settings that differ.
WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "plain": ("plain", {}),
    "lora": ("ours", {"method": "lora"}),
    "fairlora": ("ours", {"method": "fairlora"}),
    "lora accumulated": ("ours", {"method": "lora", **_MICRO}),
    "fairlora two passes": ("ours", {"method": "fairlora", **_MICRO}),
    "last-4 cached": ("ours", {"method": "lora", **_LAST}),
    "last-4 uncached": ("ours", {"method": "lora", **_LAST, "cache": "off"}),
    "fairlora last-4 cached": ("ours", {"method": "fairlora", **_LAST}),
}
#: name -> (over, under): seconds of the one by seconds of the other.
PAIRS = {
    "penalty": ("fairlora", "lora"),
    "two passes": ("fairlora two passes", "lora accumulated"),
    "trainer": ("lora", "plain"),
    "cached": ("lora", "last-4 cached"),
    "cached by uncached": ("last-4 uncached", "last-4 cached"),
    "penalty, cached": ("fairlora last-4 cached", "last-4 cached"),
}


@dataclass(slots=True)
class Worker:
    """One process that trains, and what its counted steps took."""

    process: subprocess.Popen[str]
    steps: list[dict[str, Any]]

    def turn(self) -> dict[str, Any]:
        """What the next line says; raises SystemExit where the process has ended instead."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"error: a training process ended with {self.process.wait()}")
        found: dict[str, Any] = json.loads(line)
        return found

    def go(self) -> None:
        """Let it do one step."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()


def counted(step: int, epoch: int) -> bool:
    """Whether a step (from 1) counts: not in the first epoch, not the first of another."""
    return step > epoch and (step - 1) % epoch != 0


def started(name: str, folder: Path, settings: Mapping[str, Any]) -> Worker:
    """The process, after its first step."""
    whose, differs = WAYS[name]
    given = json.dumps({**settings, **differs})
    command = [
        sys.executable,
        str(measuring.HERE / "training_steps.py"),
        "run",
        str(folder),
        str(MODEL),
        whose,
        given,
    ]
    worker = Worker(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True), [])
    first = worker.turn()
    measuring.say(f"{name}: ready, {first['peak_mib']:,.0f} MiB")
    return worker


def in_turn(workers: Mapping[str, Worker], turns: int, epoch: int) -> None:
    """Every process one step, then every process again, until each has so many steps that count."""
    step, done = 1, 0
    while done < turns:
        step += 1
        for worker in workers.values():
            worker.go()
            found = worker.turn()
            if counted(step, epoch):
                worker.steps.append(found)
        done += counted(step, epoch)
        if counted(step, epoch) and done % 20 == 0:
            measuring.say(f"{done} of {turns} turns")


def bounds(ratios: Sequence[float]) -> dict[str, float]:
    """Median of the ratios with its one-sided lower and upper 95 % bounds, from the order statistics.

    The k-th smallest of n is below the median with probability P(B(n, ½) ≥ k); k is the least for which that of the
    (n − k + 1)-th being above it is at most 5 %. Too few turns: the extremes.
    """
    ordered, n = sorted(ratios), len(ratios)
    below, k = 0.0, 0  # P(B(n, ½) < k)
    while below + math.comb(n, k) / 2**n <= 0.05:
        below, k = below + math.comb(n, k) / 2**n, k + 1
    k = max(k, 1)
    return {
        "median": round(statistics.median(ordered), 4),
        "low": round(ordered[k - 1], 4),
        "high": round(ordered[n - k], 4),
        "turns": n,
    }


def compared(workers: Mapping[str, Worker]) -> dict[str, Any]:
    """The ratios of the pairs: of wall seconds with bounds, of CPU seconds, of peaks."""
    out = {}
    for name, (over, under) in PAIRS.items():
        if over in workers and under in workers:
            a, b = workers[over].steps, workers[under].steps
            out[name] = {
                **bounds([x["seconds"] / y["seconds"] for x, y in zip(a, b, strict=True)]),
                "cpu": round(statistics.median(x["cpu"] / y["cpu"] for x, y in zip(a, b, strict=True)), 4),
                "memory": round(a[-1]["peak_mib"] / b[-1]["peak_mib"], 4),
            }
    return out


def summed_up(worker: Worker) -> dict[str, Any]:
    """Seconds a step, images a second, peak."""
    took = measuring.spread([s["seconds"] for s in worker.steps])
    return {
        **took,
        "cpu": round(statistics.median(s["cpu"] for s in worker.steps), 4),
        "images_per_second": round(BATCH / took["median"], 1),
        "peak_mib": round(worker.steps[-1]["peak_mib"], 1),
        "build": worker.steps[-1]["build"],
    }


def amortised(runs: Mapping[str, Any]) -> float | None:
    """Seconds of so many epochs of 12-block LoRA by those of the last blocks with the cache built first."""
    if "lora" not in runs or "last-4 cached" not in runs:
        return None
    cached = runs["last-4 cached"]
    return round(EPOCHS * runs["lora"]["median"] / (EPOCHS * cached["median"] + cached["build"]), 3)


def main() -> int:
    """Measure, print, save."""
    parser = measuring.parser_of(__doc__, ROWS, TURNS)
    parser.add_argument("--only", default=",".join(WAYS), help="some of the ways, with commas")
    given = parser.parse_args()
    if not MODEL.is_dir() or not IMAGES.is_file():
        measuring.say(f"training: not measured, there is no {MODEL if not MODEL.is_dir() else IMAGES}")
        return 0
    epoch = math.ceil(given.rows / BATCH)
    settings = {
        "epochs": 2 + math.ceil(given.repeats / (epoch - 1)),
        "batch_size": BATCH,
        "select": "accuracy",
    }
    with measuring.folder(given.data) as folder:
        script = [sys.executable, str(measuring.HERE / "training_steps.py")]
        measuring.succeeded(
            [*script, "write", str(folder), str(MODEL), str(IMAGES), json.dumps({"rows": given.rows})]
        )
        workers: dict[str, Worker] = {}
        try:
            for name in given.only.split(","):
                workers[name] = started(name, folder, settings)
            in_turn(workers, given.repeats, epoch)
        finally:
            for worker in workers.values():
                worker.process.kill()
                worker.process.wait()
    runs, ratios = {name: summed_up(w) for name, w in workers.items()}, compared(workers)
    for name, one in runs.items():
        print(f"{name:24} {one['median']:.3f} s a step, {one['images_per_second']:.0f} images/s, "
              f"{one['peak_mib']:,.0f} MiB")  # fmt: skip
    for name, one in ratios.items():
        print(f"{name:24} {one['median']:.3f} ({one['low']:.3f} to {one['high']:.3f}), CPU {one['cpu']:.3f}, "
              f"memory {one['memory']:.3f}")  # fmt: skip
    found = {"batch": BATCH, "micro_batches": MICRO_BATCHES, "runs": runs, "ratios": ratios,
             "amortised": {"epochs": EPOCHS, "times": amortised(runs)}}  # fmt: skip
    measuring.save("training", given, found, PACKAGES)
    return 0


if __name__ == "__main__":
    sys.exit(main())
