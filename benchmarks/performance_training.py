"""The table of training, from what bench_training.py saved."""

from __future__ import annotations

from markdown_page import table
from performance_targets import Found, at, seconds, shown

WAYS = {
    "plain": "plain `Trainer` with PEFT", "lora": "`lora`", "fairlora": "`fairlora`, one pass",
    "lora accumulated": "`lora --accumulate`", "fairlora two passes": "`fairlora --accumulate`, two passes",
    "last-4 uncached": "`lora --adapt last-4 --cache off`", "last-4 cached": "`lora --adapt last-4`",
    "fairlora last-4 cached": "`fairlora --adapt last-4`",
}  # fmt: skip


def training(found: Found) -> str:
    """What a step takes, way by way; then the ratios with their bounds."""
    runs, ratios = found["runs"], found["ratios"]
    rows = [
        (WAYS[name], seconds(one["median"]), f"{one['images_per_second']:.0f}", shown(one["peak_mib"], "MiB"))
        for name, one in runs.items()
    ]
    pairs = [
        (name, f"{one['median']:.3f}", f"{one['low']:.3f} to {one['high']:.3f}", f"{one['cpu']:.3f}",
         f"{one['memory']:.3f}")
        for name, one in ratios.items()
    ]  # fmt: skip
    turns = next(iter(runs.values()))["turns"]
    head = (f"{found['batch']} images a step", "seconds a step", "images a second", "peak")
    said = f"\n\nTurns: {turns}; accumulated: {found['micro_batches']} micro-batches a step."
    built, times = at(found, "runs", "last-4 cached", "build"), at(found, "amortised", "times")
    if built and times:
        said += (
            f" Building the cache takes {seconds(built)} for as many images as a step has, decoding included. Over "
            f"{found['amortised']['epochs']} epochs, the build counted, `--adapt last-4` is {times:.2f} times as fast "
            "as all 12 blocks."
        )
    second = table(("ratio", "median", "one-sided 95 % bounds", "of CPU seconds", "of peaks"), pairs)
    return f"{table(head, rows)}{said}\n\n{second}"
