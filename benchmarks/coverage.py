"""How often the intervals hold the truth: exact for rates, simulated for everything over groups and classes.

    python benchmarks/coverage.py                       everything, 2,000 simulations a point (three hours on one core)
    python benchmarks/coverage.py --part rates          one part: rates, gaps, clusters or weights
    python benchmarks/coverage.py --part gaps --kind cells --sims 500
    python benchmarks/coverage.py --part none           tables and figures anew from the saved results

Prints tables, saves results/coverage_*.json, draws docs/coverage_*.png and renews the tables in docs/coverage.md.
Seeds are fixed, and every point has its own, so a point comes out the same whichever others run. What misses the
target is run again with fresh draws, five times as many, and keeps that result.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import coverage_gaps
import coverage_plots
import coverage_rates
import coverage_rows
import coverage_tables
from coverage_worlds import KINDS, LARGEST_CLASS, LARGEST_GROUP, SPREAD
from markdown_page import renewed

from fairaudit.store import write_text

HERE = Path(__file__).resolve().parent
PARTS = ("rates", "gaps", "clusters", "weights")
SIMS = 2_000
TARGET = 0.935


def main(argv: list[str] | None = None) -> int:
    """Run what was asked for, save it, and show all that is saved."""
    asked = _arguments(argv)
    results, docs = (asked.out, asked.out) if asked.out else (HERE / "results", HERE.parent / "docs")
    for part in PARTS if asked.part == "all" else [asked.part]:
        if part != "none":
            _RUN[part](asked, results / f"coverage_{part}.json")
    found = {
        p: coverage_tables.load(results / f"coverage_{p}.json")
        for p in PARTS
        if (results / f"coverage_{p}.json").exists()
    }
    for name, text in coverage_tables.tables(found).items():
        print(f"\n== {name}\n\n{text}")
        if (page := docs / "coverage.md").exists():
            write_text(page, renewed(page.read_text(), name, text))
    coverage_plots.draw(found, docs)
    return 0


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sims", type=int, default=SIMS, help="simulations a point (default: 2000)")
    parser.add_argument("--part", choices=("all", *PARTS, "none"), default="all")
    parser.add_argument(
        "--kind", choices=tuple(KINDS), action="append", help="gaps: these kinds of worlds only"
    )
    parser.add_argument(
        "--out", type=Path, help="one folder for results and figures (default: results/ and docs/)"
    )
    parser.add_argument("--resume", action="store_true", help="gaps: go on where a stopped run ended")
    return parser.parse_args(argv)


def header(sims: int | None) -> dict[str, Any]:
    """What the numbers depend on beside the code."""
    return {
        "sims": sims, "level": 0.95, "seeds": "one a point, made of the point itself",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores", "python": platform.python_version(),
        "versions": {n: version(n) for n in ("numpy", "scipy", "fairaudit-toolkit")},
    }  # fmt: skip


def _rates(_: argparse.Namespace, path: Path) -> None:
    save(path, header(None) | {"dips": coverage_rates.dips()}, list(coverage_rates.run()))


def _gaps(asked: argparse.Namespace, path: Path) -> None:
    kinds = asked.kind or list(KINDS)
    saved = coverage_tables.load(path)["points"] if path.exists() else []
    kept = saved if asked.resume else [r for r in saved if r["kind"] not in kinds]
    head = header(asked.sims) | {
        "largest_group": LARGEST_GROUP, "largest_class": LARGEST_CLASS, "spread_logits": SPREAD,
    }  # fmt: skip
    found: list[dict[str, Any]] = []
    for records in coverage_gaps.run(asked.sims, kinds, TARGET, done=kept):
        found += records
        save(path, head, kept + found)  # an hour's work is worth a file a point


def _clusters(asked: argparse.Namespace, path: Path) -> None:
    save(path, header(asked.sims) | {"icc": coverage_rows.ICC}, list(coverage_rows.clusters(asked.sims)))


def _weights(asked: argparse.Namespace, path: Path) -> None:
    save(path, header(asked.sims), list(coverage_rows.weights(asked.sims)))


_RUN = {"rates": _rates, "gaps": _gaps, "clusters": _clusters, "weights": _weights}


def save(path: Path, head: dict[str, Any], points: list[dict[str, Any]]) -> None:
    """Columns and rows, a point a line: small, and a diff shows what changed."""
    columns = list(dict.fromkeys(k for p in points for k in p))
    rows = ",\n".join(json.dumps([p.get(c) for c in columns]) for p in points)
    start = json.dumps(head | {"columns": columns}, indent=1)
    write_text(path, f'{start.removesuffix("}").rstrip()},\n "points": [\n{rows}\n]}}\n')


if __name__ == "__main__":
    sys.exit(main())
