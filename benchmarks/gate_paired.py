"""How often a gate errs about a change: `no_group_worse` on the same rows, at the limit and inside it.

    python benchmarks/gate_paired.py [--sims N] [--out DIR]

Of each group's rows some are lost (right before, wrong now) and some gained: one multinomial draw a group, handed to
the same code as matched rows would be. At the limit one group (or all) loses exactly the margin more than it gains.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from pathlib import Path

import numpy as np

from fairaudit.baseline import Baseline
from fairaudit.cube import cube_of
from fairaudit.gating import judged
from fairaudit.pairing import joint_views
from fairaudit.policy import Policy, Rule
from fairaudit.prepare import naming, views
from fairaudit.tallies.tally import Tally
from fairaudit.view import Settings

ALPHA, MARGIN = 0.05, 0.02
#: What both models get: right before and now, lost, gained, wrong both times.
KINDS = (("1", "1"), ("1", "0"), ("0", "1"), ("0", "0"))
ABOUT = {"columns": {"sensitive": ["g"]}, "detected": [], "split": None, "threshold": None, "weighted": False,
         "clustered": False, "positive": "1", "prob_classes": [], "agreement": {}, "top_label": False}  # fmt: skip


def verdict(counts: np.ndarray) -> str:
    """Our verdict on (groups, 4) counts of `KINDS`; every label is 1."""
    cells = [
        (f"g{k}", "1", *kind, int(n))
        for k, row in enumerate(counts)
        for kind, n in zip(KINDS, row, strict=True)
    ]
    names = ("g", "y_true", "y_pred_before", "y_pred")
    joint = cube_of(names, [[c[i] for c in cells] for i in range(4)], {"count": [c[4] for c in cells]})
    both = Tally({("g",): joint}, {}, ABOUT)
    known, settings = naming(both), Settings()

    def side(axis: str) -> Tally:
        columns = [[c[names.index(a)] for c in cells] for a in ("g", "y_true", axis)]
        return Tally(
            {("g",): cube_of(("g", "y_true", "y_pred"), columns, {"count": [c[4] for c in cells]})}, {}, ABOUT
        )

    before, after = (side(a) for a in ("y_pred_before", "y_pred"))
    old, new = ({v.by: v for v in views(t, known, settings)} for t in (before, after))
    baseline = Baseline(
        old, new, joint_views(both, known, settings), None, {"kind": "predictions", "paired": True}
    )
    rule = Rule("r", "accuracy", ("g",), "no_group_worse", MARGIN)
    return judged(after, Policy("bench", (rule,), alpha=ALPHA), known, settings, baseline, plan=False).verdict


def worlds():
    """(name, rows a group, chances of `KINDS` for each group)."""
    calm = (0.8, 0.0, 0.0, 0.2)
    for n in (50, 200, 1000, 5000):
        for gained in (0.0, 0.03):
            at_limit = (0.8 - MARGIN - gained, MARGIN + gained, gained, 0.2 - gained)
            yield f"one group at the limit, gained {gained:g}", n, (at_limit,)
            yield f"one of four groups at the limit, gained {gained:g}", n, (at_limit, calm, calm, calm)
            yield f"four groups at the limit, gained {gained:g}", n, (at_limit,) * 4
    for n in (200, 1000, 5000):
        yield "nothing changed (fair)", n, (calm,) * 4
        yield "3 points lost and gained (fair)", n, ((0.77, 0.03, 0.03, 0.17),) * 4


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sims", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    given = parser.parse_args()
    start, rows = time.time(), []
    for i, (name, n, chances) in enumerate(worlds()):
        rng = np.random.default_rng([given.seed, i])
        ours, point = [], []
        for _ in range(given.sims):
            counts = np.array([rng.multinomial(n, c) for c in chances])
            ours.append(verdict(counts))
            fell = (counts[:, 1] - counts[:, 2]) / n
            point.append("fail" if fell.max() > MARGIN else "pass")
        shares = {
            g: {v: said.count(v) / given.sims for v in ("pass", "fail")}
            for g, said in (("fairaudit", ours), ("point", point))
        }
        rows.append({"name": name, "n": n, "groups": len(chances), "shares": shares})
        print(f"{time.time() - start:5.0f} s  {name}, n={n}: {shares}", flush=True)
    result = {"machine": platform.processor() or platform.machine(), "sims": given.sims, "seed": given.seed,
              "alpha": ALPHA, "margin": MARGIN, "worlds": rows}  # fmt: skip
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "gate_paired.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
