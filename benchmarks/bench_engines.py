"""The same rows through every engine: the audits must be the same to the byte, and what each takes.

Ends with 1 where a checksum differs. An engine that is not installed, or that this version does not read, is left out
with its reason.
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

ENGINES = ("parquet", "csv", "pandas", "polars", "polars-lazy", "pyarrow", "duckdb", "dask", "spark")
PACKAGES = ("polars", "dask", "pyspark")
LIMIT = 300.0  # seconds


def main() -> int:
    """Measure, compare, print, save."""
    given = measuring.options(__doc__, rows=1_000_000, repeats=3)
    with measuring.folder(given.data) as folder:
        files = [drawn_rows.made("labels", given.rows, folder, ending) for ending in ("parquet", "csv")]
        found: dict[str, dict[str, Any]] = {}
        for turn in range(given.repeats):
            for engine in ENGINES:
                found[engine] = once(engine, files, found.get(engine))
                measuring.say(f"{engine} [{turn + 1}/{given.repeats}]: {found[engine]}")
    engines = {name: _summary(one) for name, one in found.items()}
    same = checksums(engines)
    measuring.save("engines", given, {"data": drawn_rows.KINDS["labels"], "same": len(same) == 1, "engines": engines},
                   PACKAGES)  # fmt: skip
    if len(same) != 1:
        print(f"error: the audits differ by engine: {same}", file=sys.stderr)
        return 1
    return 0


def once(engine: str, files: list[Path], before: Mapping[str, Any] | None) -> dict[str, Any]:
    """What is known of an engine after one more run of it."""
    if before and "reason" in before:
        return dict(before)
    command = [sys.executable, str(measuring.HERE / "engines.py"), engine, *map(str, files)]
    run = measuring.measured(command, limit=LIMIT)
    if run.code != 0:
        raise SystemExit(f"error: {engine} ended with {run.code}:\n{run.stderr[-2000:]}")
    found = json.loads(run.stdout.splitlines()[-1])
    if "reason" in found:
        return dict(found)
    kept = before or {"runs": [], "firsts": [], "peak_mib": 0.0}
    if before and before["sha256"] != found["sha256"]:
        raise SystemExit(f"error: {engine} gives two audits of the same rows")
    return {
        "sha256": found["sha256"], "held": found["held"],
        "runs": [*kept["runs"], statistics.median(found["seconds"])], "firsts": [*kept["firsts"], found["first"]],
        "peak_mib": max(kept["peak_mib"], run.peak_mib),
    }  # fmt: skip


def _summary(found: Mapping[str, Any]) -> dict[str, Any]:
    if "reason" in found:
        return dict(found)
    return {**measuring.spread(found["runs"]), "first": round(statistics.median(found["firsts"]), 3),
            "peak_mib": round(found["peak_mib"], 1), "held": found["held"], "sha256": found["sha256"]}  # fmt: skip


def checksums(engines: Mapping[str, Mapping[str, Any]]) -> dict[str, list[str]]:
    """checksum -> the engines that give it: one, where all is well."""
    out: dict[str, list[str]] = {}
    for name, found in engines.items():
        if "sha256" in found:
            out.setdefault(found["sha256"], []).append(name)
    return out


if __name__ == "__main__":
    sys.exit(main())
