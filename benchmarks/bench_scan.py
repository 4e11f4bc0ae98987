"""The whole process of `fairaudit report` on many rows, beside one that does only DuckDB's bare GROUP BY of them.

Parquet and CSV of `--rows` rows (10⁷), then 10 times as many as hard links to the one Parquet part, and with `--big`
100 times as many: a reader sees 100 files, a disk holds one.
"""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

import drawn_rows
import measuring

COLUMNS = ("region", "y_true", "y_pred")


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
    out = [
        scan(name, given.rows, str(path), given.repeats, saved)
        for name, path in (("Parquet", part), ("CSV", text))
    ]
    for times in (10, 100) if given.big else (10,):
        parts = drawn_rows.linked(part, times, folder)
        repeats = min(given.repeats, 3) if times == 100 else given.repeats
        out.append(scan(f"Parquet, {times} parts", given.rows * times, f"{parts}/*.parquet", repeats, saved))
    return out


def scan(name: str, rows: int, path: str, repeats: int, saved: Path) -> dict[str, Any]:
    """Ours and the floor in turn, on one path."""
    commands = {
        "floor": [sys.executable, str(measuring.HERE / "floor.py"), path, *COLUMNS],
        "fairaudit": [measuring.FAIRAUDIT, "report", path, "-s", "region", "-o", f"json:{saved}"],
    }
    measuring.say(f"-- {name}, {rows:,} rows")
    if "*" not in path:
        measuring.succeeded(commands["floor"])  # so that the file stands in the page cache for both
    runs = measuring.side_by_side(commands, repeats)
    audited = json.loads(saved.read_text())["content"]["data"]["rows"]
    if audited != rows:
        raise SystemExit(f"error: the audit of {path} holds {audited:,} rows, not {rows:,}")
    ours, floor = runs["fairaudit"], runs["floor"]
    query = [json.loads(run.stdout)["seconds"] for run in floor]
    return {
        "name": name, "rows": rows, "repeats": repeats,
        "fairaudit": measuring.summary(ours), "floor": measuring.summary(floor),
        "floor_query": measuring.spread(query),
        "ratio": measuring.ratio([r.seconds for r in ours], [r.seconds for r in floor]),
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
