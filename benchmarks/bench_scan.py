"""The whole process of `fairaudit report` on many rows, beside one that does only DuckDB's bare GROUP BY of them.

Parquet and CSV of `--rows` rows (10⁷), then 10 times as many as hard links to the one Parquet part, and with `--big`
100 times as many: a reader sees 100 files, a disk holds one.
"""

from __future__ import annotations

import json
import statistics
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import drawn_rows
import measuring

COLUMNS = ("region", "y_true", "y_pred")
FEW = 3  # turns of what takes longer than one Parquet file


def main() -> int:
    """Measure, print, save."""
    given = measuring.options(__doc__, rows=10_000_000, repeats=5)
    with measuring.folder(given.data) as folder, measuring.folder(None) as out:
        found = scans(given, folder, out / "audit.json")
    measuring.save("scan", given, {"data": drawn_rows.KINDS["labels"], "scans": found})
    return 0


def scans(given: Namespace, folder: Path, saved: Path) -> list[dict[str, Any]]:
    """One record a file or folder of files."""
    part = drawn_rows.made("labels", given.rows, folder)
    text = drawn_rows.made("labels", given.rows, folder, "csv")
    few = min(given.repeats, FEW)
    out = []
    for name, path, repeats in (("Parquet", part, given.repeats), ("CSV", text, few)):
        out += scanned([(name, given.rows, str(path))], repeats, saved)
    many = []
    for times in (10, 100) if given.big else (10,):
        parts = drawn_rows.linked(part, times, folder)
        many.append((f"Parquet, {times} parts", given.rows * times, f"{parts}/*.parquet"))
    return out + scanned(many, few, saved)  # in the same turns, so that their times can be compared


def scanned(cases: Sequence[tuple[str, int, str]], repeats: int, saved: Path) -> list[dict[str, Any]]:
    """Ours and the floor in turn on every path; `grown`: our time by that of the first path in the same turn."""
    commands, audits = {}, {}
    for k, (name, rows, path) in enumerate(cases):
        measuring.say(f"-- {name}, {rows:,} rows")
        audits[name] = saved.with_name(f"{k}-{saved.name}")
        floor = [sys.executable, str(measuring.HERE / "floor.py"), path, *COLUMNS]
        commands[f"floor, {name}"] = floor
        commands[name] = [measuring.FAIRAUDIT, "report", path, "-s", "region", "-o", f"json:{audits[name]}"]
        if "*" not in path:
            measuring.succeeded(floor)  # so that the file stands in the page cache for both
    runs = measuring.side_by_side(commands, repeats)
    out, first = [], runs[cases[0][0]]
    for name, rows, path in cases:
        audited = json.loads(audits[name].read_text())["content"]["data"]["rows"]
        if audited != rows:
            raise SystemExit(f"error: the audit of {path} holds {audited:,} rows, not {rows:,}")
        one = compared(runs[name], runs[f"floor, {name}"])
        out.append(
            {
                "name": name,
                "rows": rows,
                **one,
                "grown": measuring.ratio(_seconds(runs[name]), _seconds(first)),
            }
        )
    return out


def compared(ours: Sequence[measuring.Run], floor: Sequence[measuring.Run]) -> dict[str, Any]:
    """Both, and the medians of what they say of each other in the same turn."""
    took, bare = _seconds(ours), _seconds(floor)
    return {
        "fairaudit": measuring.summary(ours), "floor": measuring.summary(floor),
        "floor_query": measuring.spread([json.loads(run.stdout)["seconds"] for run in floor]),
        "ratio": measuring.ratio(took, bare),
        "more": round(statistics.median(a - b for a, b in zip(took, bare, strict=True)), 3),
    }  # fmt: skip


def _seconds(runs: Sequence[measuring.Run]) -> list[float]:
    return [run.seconds for run in runs]


if __name__ == "__main__":
    sys.exit(main())
