"""Many classes, many groups: `fairaudit report` and `tabulate`, the whole process, seconds and peak memory.

A case that this version cannot do, or not within `LIMIT` seconds, is saved with its reason instead of a time.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import drawn_rows
import measuring

LIMIT = 300.0  # seconds
MEASURED = "classes"  # has a target and is run in turns; the others once, and are marked so


def main() -> int:
    """Measure, print, save."""
    given = measuring.options(__doc__, rows=10_000_000, repeats=3)
    with measuring.folder(given.data) as folder, measuring.folder(None) as out:
        asked = commands(given.rows, folder, out)
        found = [case(*one, given.repeats if one[0] == MEASURED else 1) for one in asked]
    measuring.save(
        "wide", given, {"data": {k: drawn_rows.KINDS[k] for k in ("wide", "attributes")}, "cases": found}
    )
    return 0


def commands(rows: int, folder: Path, out: Path) -> list[tuple[str, str, dict[str, Sequence[str]]]]:
    """Name, plain words, and the commands that are run in turn."""
    wide, many = (str(drawn_rows.made(kind, rows, folder)) for kind in ("wide", "attributes"))
    saved, tally = f"json:{out / 'audit.json'}", str(out / "cells.tally")
    report, tabulate = [measuring.FAIRAUDIT, "report"], [measuring.FAIRAUDIT, "tabulate"]
    three = ["-s", "a", "-s", "b", "-s", "c"]
    return [
        ("classes", "1,000 classes × 50 groups, report with every interval",
         {"fairaudit": [*report, wide, "-s", "region", "-o", saved], "floor": _floor(wide, "region y_true y_pred")}),
        ("pairs", "three attributes × 100 values and their 30,000 pairs, report with every interval",
         {"fairaudit": [*report, many, *three, "--cross", "2", "--positive", "1", "-o", saved]}),
        ("triples", "three attributes × 100 values, all crossed: 10⁶ intersections, tabulated into a file",
         {"fairaudit": [*tabulate, many, *three, "--cross", "3", "--positive", "1", "-o", tally],
          "floor": _floor(many, "a b c y_true y_pred")}),
        ("values", "one attribute with 10,000 values, report with every interval",
         {"fairaudit": [*report, many, "-s", "many", "--max-groups", "10000", "--positive", "1", "-o", saved],
          "floor": _floor(many, "many y_true y_pred")}),
    ]  # fmt: skip


def _floor(path: str, columns: str) -> list[str]:
    return [sys.executable, str(measuring.HERE / "floor.py"), path, *columns.split()]


def case(name: str, words: str, runs_of: Mapping[str, Sequence[str]], repeats: int) -> dict[str, Any]:
    """One case: its times, or the reason why there are none."""
    measuring.say(f"-- {words}")
    runs: dict[str, list[measuring.Run]] = {who: [] for who in runs_of}
    for turn in range(repeats):
        for who, command in runs_of.items():
            run = measuring.measured(command, limit=LIMIT)
            if run.code != 0:
                reason = _reason(run)
                measuring.say(f"{who}: {reason}")
                return {"name": name, "words": words, "reason": reason}
            measuring.say(f"{who} [{turn + 1}/{repeats}]: {run.seconds:.2f} s, {run.peak_mib:,.0f} MiB")
            runs[who].append(run)
    return {"name": name, "words": words, **{who: measuring.summary(found) for who, found in runs.items()}}


def _reason(run: measuring.Run) -> str:
    if run.seconds >= LIMIT:
        return f"not done after {LIMIT:.0f} s ({run.peak_mib:,.0f} MiB)"
    return measuring.reason(run)


if __name__ == "__main__":
    sys.exit(main())
