"""The same numbers from fairlearn, aequitas, AIF360, scikit-learn, pandas, DuckDB and fairaudit, in process.

Every tool runs in a process of its own (`peers.py`), on the same `--rows` rows (10⁶) that stand in memory; the seconds
are those of the call alone. That all tools find the same numbers, to 1e-12 of scikit-learn's, is checked in each run.
`--aequitas PYTHON` names an interpreter that has aequitas: it needs pandas < 3, so it may have to live elsewhere.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import drawn_rows
import measuring
from peers import NOT_INSTALLED

AGREES = 1e-12
FORMS = ("strings", "categoricals", "codes")
LABEL_TOOLS = ("rows", "sklearn", "fairlearn", "pandas", "duckdb", "fairaudit", "fairaudit_panel")
BINARY_TOOLS = ("rows", "sklearn", "fairlearn", "aif360", "aequitas", "pandas", "duckdb", "fairaudit")
PACKAGES = ("fairlearn", "scikit-learn", "aif360", "aequitas")
SLOW = 5.0  # seconds; a slower call is made less often: fairlearn's, which others are held against, twice
TURNS_OF_SLOW = {"fairlearn": 2}
N_BOOT = 1  # of fairlearn: one replicate of it takes as long as thousands of ours
TWICE = 2
Found = dict[str, Any]


def main() -> int:
    """Measure, compare, print, save."""
    parser = measuring.parser_of(__doc__, rows=1_000_000, repeats=3)
    parser.add_argument(
        "--aequitas", metavar="PYTHON", default=sys.executable, help="an interpreter that has aequitas"
    )
    given = parser.parse_args()
    with measuring.folder(given.data) as folder:
        labels = drawn_rows.made("labels", given.rows, folder)
        scores = drawn_rows.made("scores", given.rows, folder)
        found = {
            "labels": {form: compared("labels", _tools(form), form, labels, given.repeats) for form in FORMS},
            "binary": compared("binary", BINARY_TOOLS, "strings", scores, given.repeats, given.aequitas),
            "bootstrap": bootstrap(labels, min(given.repeats, TWICE)),
        }
    elsewhere = {"aequitas_python": _packages_of(given.aequitas)} if given.aequitas != sys.executable else {}
    measuring.save("peers", given, {"data": drawn_rows.KINDS["labels"], **found, **elsewhere}, PACKAGES)
    return 0


def _tools(form: str) -> tuple[str, ...]:
    """scikit-learn's loop takes minutes from categoricals, and fairlearn calls the same functions there."""
    return tuple(tool for tool in LABEL_TOOLS if (form, tool) != ("categoricals", "sklearn"))


def compared(
    task: str, tools: tuple[str, ...], form: str, path: Path, repeats: int, aequitas: str = sys.executable
) -> dict[str, Found]:
    """tool -> seconds of its call and peak memory of its process, or the reason why there are none."""
    measuring.say(f"-- {task}, {form}")
    runs: dict[str, list[tuple[measuring.Run, Found]]] = {tool: [] for tool in tools}
    missing: dict[str, str] = {}
    for turn in range(repeats):
        for tool in tools:
            if tool in missing or _enough(tool, runs[tool]):
                continue
            python = aequitas if tool == "aequitas" else sys.executable
            command = [python, str(measuring.HERE / "peers.py"), task, tool, form, str(path)]
            # a tool that is not installed is left out; one that breaks ends the benchmark
            run = measuring.succeeded(command, answers=(0, NOT_INSTALLED))
            if run.code == NOT_INSTALLED:
                missing[tool] = run.stdout.strip()
                measuring.say(f"{tool}: left out: {missing[tool]}")
                continue
            runs[tool].append((run, json.loads(run.stdout)))
            took = statistics.median(runs[tool][-1][1]["seconds"])
            measuring.say(f"{tool} [{turn + 1}/{repeats}]: {took:.4f} s, {run.peak_mib:,.0f} MiB")
    _agree(task, form, {tool: found[0][1]["numbers"] for tool, found in runs.items() if found})
    seconds = {tool: [statistics.median(found["seconds"]) for _, found in runs[tool]] for tool in tools}
    peaks = {tool: [run.peak_mib for run, _ in runs[tool]] for tool in tools}
    out = {tool: {"reason": why} for tool, why in missing.items()}
    for tool in (tool for tool in tools if tool not in missing):
        took, theirs = seconds[tool], seconds["fairlearn"]
        out[tool] = {
            **measuring.spread(took),
            "peak_mib": round(max(peaks[tool]), 1),
            "times": times(theirs, took),
        }
    return out


def times(theirs: Sequence[float], ours: Sequence[float]) -> float | None:
    """How often ours fits into theirs: the median over the turns that both were in; None where nothing is timed."""
    shared = min(len(theirs), len(ours))
    return measuring.ratio(theirs[:shared], ours[:shared]) if shared and all(ours) else None


def _enough(tool: str, runs: list[tuple[measuring.Run, Found]]) -> bool:
    return len(runs) >= TURNS_OF_SLOW.get(tool, 1) and statistics.median(runs[0][1]["seconds"]) > SLOW


def _agree(task: str, form: str, numbers: Mapping[str, Mapping[str, list[float]] | None]) -> None:
    """End the benchmark where a tool finds other numbers than scikit-learn."""
    right = numbers.get("sklearn") or numbers["fairlearn"] or {}
    for tool, found in numbers.items():
        for metric, values in (found or {}).items():
            gap = max(abs(a - b) for a, b in zip(values, right[metric], strict=True))
            if gap > AGREES:
                raise SystemExit(
                    f"error: {tool} differs from scikit-learn by {gap:g} in {metric} ({task}, {form})"
                )


def _packages_of(python: str) -> dict[str, str]:
    code = (
        "import json, importlib.metadata as m; "
        "print(json.dumps({n: m.version(n) for n in ('aequitas', 'numpy', 'pandas')}))"
    )
    run = measuring.measured([python, "-c", code])
    return dict(json.loads(run.stdout)) if run.code == 0 else {}


def bootstrap(path: Path, repeats: int) -> Found:
    """Seconds per replicate: fairlearn's `n_boot` less the same call without, and ours by the thousand."""
    theirs = [sys.executable, str(measuring.HERE / "peers.py"), "labels", "fairlearn", "strings", str(path)]
    commands = {
        "fairlearn_without": theirs,
        "fairlearn_with": [*theirs, str(N_BOOT)],
        "ours": [sys.executable, str(measuring.HERE / "replicates.py"), str(path)],
    }
    measuring.say("-- bootstrap")
    runs = measuring.side_by_side(commands, repeats)
    said = {name: [json.loads(run.stdout) for run in found] for name, found in runs.items()}
    seconds = {name: [statistics.median(s["seconds"]) for s in found] for name, found in said.items()}
    more = {name: [statistics.median(s[name]) for s in said["ours"]] for name in ("f1", "draws")}
    pairs = zip(seconds["fairlearn_with"], seconds["fairlearn_without"], strict=True)
    each = [(a - b) / N_BOOT for a, b in pairs]
    ours = said["ours"][0]
    return {
        **{name: measuring.spread(found) for name, found in (seconds | more).items()},
        "fairlearn_replicate": measuring.spread(each), "n_boot": N_BOOT,
        "times": times(each, [one / ours["replicates"] for one in seconds["ours"]]),
        "replicates": ours["replicates"], "cells": ours["cells"], "standard_error": ours["standard_error"],
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
