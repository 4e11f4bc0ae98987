"""The same numbers from fairlearn, aequitas, AIF360, scikit-learn, pandas, DuckDB and fairaudit, in process.

Every tool runs in a process of its own (`peers.py`), on the same `--rows` rows (10⁶) that stand in memory; the seconds
are those of the call alone. That all tools find the same numbers, to 1e-12 of scikit-learn's, is checked in each run.
`--aequitas PYTHON` names an interpreter that has aequitas: it needs pandas < 3, so it may have to live elsewhere.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Mapping
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
SLOW, TWICE = 5.0, 2  # seconds; a slower call is made twice, whatever the number of runs
FEWER = 10  # the bootstrap is also timed on a tenth of the rows, with more replicates
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
            "labels": {form: compared("labels", LABEL_TOOLS, form, labels, given.repeats) for form in FORMS},
            "binary": compared("binary", BINARY_TOOLS, "strings", scores, given.repeats, given.aequitas),
            "bootstrap": bootstrap(given.rows, folder, min(given.repeats, 2)),
        }
    elsewhere = {"aequitas_python": _packages_of(given.aequitas)} if given.aequitas != sys.executable else {}
    measuring.save("peers", given, {"data": drawn_rows.KINDS["labels"], **found, **elsewhere}, PACKAGES)
    return 0


def compared(
    task: str, tools: tuple[str, ...], form: str, path: Path, repeats: int, aequitas: str = sys.executable
) -> dict[str, Found]:
    """tool -> seconds of its call and peak memory of its process, or the reason why there are none."""
    measuring.say(f"-- {task}, {form}")
    runs: dict[str, list[tuple[measuring.Run, Found]]] = {tool: [] for tool in tools}
    missing: dict[str, str] = {}
    for turn in range(repeats):
        for tool in tools:
            if tool in missing or _enough(runs[tool]):
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
    return {tool: _summary(runs[tool]) if runs[tool] else {"reason": missing[tool]} for tool in tools}


def _enough(runs: list[tuple[measuring.Run, Found]]) -> bool:
    return len(runs) >= TWICE and statistics.median(runs[0][1]["seconds"]) > SLOW


def _summary(runs: list[tuple[measuring.Run, Found]]) -> Found:
    medians = [statistics.median(found["seconds"]) for _, found in runs]
    peak = max(run.peak_mib for run, _ in runs)
    return {**measuring.spread(medians), "peak_mib": round(peak, 1), "runs": len(runs)}


def _agree(task: str, form: str, numbers: Mapping[str, Mapping[str, list[float]] | None]) -> None:
    """End the benchmark where a tool finds other numbers than scikit-learn."""
    right = numbers["sklearn"] or {}
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


def bootstrap(rows: int, folder: Path, repeats: int) -> Found:
    """Seconds per replicate: fairlearn's `n_boot` less the same call without, and ours by the thousand."""
    full, part = (drawn_rows.made("labels", n, folder) for n in (rows, rows // FEWER))
    peers = [sys.executable, str(measuring.HERE / "peers.py"), "labels", "fairlearn", "strings"]
    commands = {
        "full": [*peers, str(full)], "full_2": [*peers, str(full), "2"],
        "part": [*peers, str(part)], "part_2": [*peers, str(part), "2"], "part_5": [*peers, str(part), "5"],
        "ours": [sys.executable, str(measuring.HERE / "replicates.py"), str(full)],
    }  # fmt: skip
    measuring.say("-- bootstrap")
    runs = measuring.side_by_side(commands, repeats)
    said = {name: [json.loads(run.stdout) for run in found] for name, found in runs.items()}
    seconds = {n: [statistics.median(s["seconds"]) for s in found] for n, found in said.items()}
    ours = said["ours"][0]
    return {
        "rows": rows, "part_rows": rows // FEWER, "repeats": repeats,
        "seconds": {name: measuring.spread(found) for name, found in seconds.items()},
        "fairlearn_replicate": measuring.spread(_each(seconds["full_2"], seconds["full"], 2)),
        "fairlearn_replicate_part_2": measuring.spread(_each(seconds["part_2"], seconds["part"], 2)),
        "fairlearn_replicate_part_5": measuring.spread(_each(seconds["part_5"], seconds["part"], 5)),
        "replicates": ours["replicates"], "cells": ours["cells"],
        "draws": measuring.spread([statistics.median(s["draws"]) for s in said["ours"]]),
        "standard_error": ours["standard_error"],
    }  # fmt: skip


def _each(with_boot: list[float], without: list[float], replicates: int) -> list[float]:
    return [(a - b) / replicates for a, b in zip(with_boot, without, strict=True)]


if __name__ == "__main__":
    sys.exit(main())
