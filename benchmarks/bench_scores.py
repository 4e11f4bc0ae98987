"""What scores cost: ROC AUC, calibration error and Brier by 6 groups, beside the audit of the labels alone.

Both are the whole process of `fairaudit report` on the same file; one reads the probability, the other the prediction
made of it beforehand.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import drawn_rows
import measuring

METRICS = ("roc_auc", "ece", "brier")


def main() -> int:
    """Measure, print, save."""
    given = measuring.options(__doc__, rows=10_000_000, repeats=5)
    with measuring.folder(given.data) as folder, measuring.folder(None) as out:
        path = str(drawn_rows.made("scores", given.rows, folder))
        floor = [sys.executable, str(measuring.HERE / "floor.py"), path, "region", "outcome"]
        audited = [
            measuring.FAIRAUDIT,
            "report",
            path,
            "--y-true",
            "outcome",
            "-s",
            "region",
            "--positive",
            "1",
        ]
        commands = {
            "floor": [*floor, "decided"],
            "floor_binned": [*floor, "floor(chance * 10000)::INT"],
            "counts": [*audited, "--y-pred", "decided", "-o", f"json:{out / 'counts.json'}"],
            "scores": [*audited, "--y-score", "chance", "-o", f"json:{out / 'scores.json'}"],
        }
        runs = measuring.side_by_side(commands, given.repeats)
        shown = metrics_of(json.loads((out / "scores.json").read_text())["content"])
    found = {name: measuring.summary(run) for name, run in runs.items()}
    ratio = measuring.ratio([r.seconds for r in runs["scores"]], [r.seconds for r in runs["counts"]])
    measuring.save(
        "scores", given, {"data": drawn_rows.KINDS["scores"], **found, "ratio": ratio, "metrics": shown}
    )
    return 0


def metrics_of(content: dict[str, Any]) -> dict[str, list[float]]:
    """The three numbers of the 6 groups: what was timed is what was asked for."""
    found = {
        m: [
            e["value"]
            for e in content["estimates"]
            if e["metric"] == m and e["by"] == "region" and e["group"]
        ]
        for m in METRICS
    }
    if any(len(values) != 6 for values in found.values()):
        raise SystemExit(f"error: not every group has {', '.join(METRICS)}: {found}")
    return {m: [round(v, 6) for v in values] for m, values in found.items()}


if __name__ == "__main__":
    sys.exit(main())
