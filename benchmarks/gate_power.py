"""How often a gate errs, and how often it finds: ours, a point gate, and a gate on fairlearn's bootstrap.

    python benchmarks/gate_power.py [--sims N] [--out DIR]

Worlds of K groups are drawn as counts (a binomial a group) and handed to the same code as rows would be. A *fair*
world lies on the limit or inside it; its FAILs are false. A world beyond it is unfair; its PASSes are false.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from fairaudit.cube import cube_of
from fairaudit.gating import judged
from fairaudit.policy import Policy, Rule
from fairaudit.prepare import naming
from fairaudit.tallies.tally import Tally
from fairaudit.view import Settings

ALPHA = 0.05
HERE = Path(__file__).parent


@dataclass(frozen=True)
class World:
    """`rates`: of being selected, `sizes`: rows, one a group. `true`: what the rule's right answer is."""

    name: str
    rule: Rule
    rates: tuple[float, ...]
    sizes: tuple[int, ...]
    true: str


def ratio_rule(limit=0.8):
    return Rule("r", "selection_rate", ("g",), "min_ratio", limit)


def worlds():
    """Fair worlds, worlds exactly at the limit (one group, several tied), and worlds beyond it."""
    compas = (2300, 1500, 1700, 700, 400, 250, 200, 100, 30, 18, 10, 6)  # 12 race × sex cells, 7,214 rows
    for k, sizes in ((2, (400, 400)), (8, (200,) * 8), (12, compas)):
        for p in (0.1, 0.5):
            yield World(f"equal, K={k}, p={p}", ratio_rule(), (p,) * k, sizes, "pass")
    for k in (2, 5, 12):
        for n in (50, 500, 5000):
            p = (0.5,) * (k - 1)
            yield World(
                f"one group at the ratio's limit, K={k}, n={n}", ratio_rule(), (*p, 0.4), (n,) * k, "limit"
            )
            low = k // 2
            tied = (0.5,) * (k - low) + (0.4,) * low
            yield World(
                f"{low} groups tied at the ratio's limit, K={k}, n={n}", ratio_rule(), tied, (n,) * k, "limit"
            )
            gap = Rule("r", "selection_rate", ("g",), "max_difference", 0.1)
            yield World(f"{low} groups tied at the gap's limit, K={k}, n={n}", gap, tied, (n,) * k, "limit")
            floor = Rule("r", "selection_rate", ("g",), "min", 0.3)
            yield World(f"all groups tied at the floor, K={k}, n={n}", floor, (0.3,) * k, (n,) * k, "limit")
            roof = Rule("r", "selection_rate", ("g",), "max", 0.05)
            yield World(
                f"one group at the ceiling, K={k}, n={n}", roof, (*(0.02,) * (k - 1), 0.05), (n,) * k, "limit"
            )
    for true in (0.75, 0.7, 0.6, 0.5, 0.3):
        for n in (100, 500, 2000):
            yield World(
                f"power: ratio {true}, K=4, n={n}", ratio_rule(), (0.5,) * 3 + (0.5 * true,), (n,) * 4, "fail"
            )
    for true in (0.85, 0.9, 0.95, 1.0):
        for n in (100, 500, 2000):
            yield World(
                f"power: ratio {true}, K=4, n={n}", ratio_rule(), (0.5,) * 3 + (0.5 * true,), (n,) * 4, "pass"
            )


def verdict_of(world, hits):
    """Our verdict on counts, through the code that judges every tally."""
    names = [f"g{i:02d}" for i in range(len(hits))]
    cells = [
        (
            name,
            y,
            p,
            int(count) // 2 + (int(count) % 2 if y == "1" else 0),
        )  # the label plays no part in these rules
        for name, x, size in zip(names, hits, world.sizes, strict=True)
        for p, count in (("1", x), ("0", size - x))
        for y in "01"
    ]
    columns = [[c[k] for c in cells] for k in range(3)]
    labels = cube_of(("g", "y_true", "y_pred"), columns, {"count": [c[3] for c in cells]})
    about = {"columns": {"sensitive": ["g"]}, "detected": [], "split": None, "threshold": None, "weighted": False,
             "clustered": False, "positive": "1", "prob_classes": [], "agreement": {}, "top_label": False}  # fmt: skip
    tally = Tally({("g",): labels}, {}, about)
    policy = Policy("bench", (world.rule,), alpha=ALPHA)
    return judged(tally, policy, naming(tally), Settings(), plan=False).verdict


def point(world, hits):
    """The gate that everybody writes: the point estimates against the limit."""
    p = hits / np.array(world.sizes)
    kind, limit = world.rule.kind, world.rule.limit
    if kind == "min_ratio":
        bad = p.max() > 0 and p.min() / p.max() < limit
    elif kind == "max_difference":
        bad = np.ptp(p) > limit
    else:
        bad = p.min() < limit if kind == "min" else p.max() > limit
    return "fail" if bad else "pass"


def bootstrap(world, hits, rng, replicates=200):
    """A gate on percentile intervals of the aggregate, as fairlearn's MetricFrame(n_boot=…) gives them.

    Rows are resampled over the whole table; counting cells of such a resample is a multinomial draw. `fail` when the
    interval lies beyond the limit, `pass` when it lies inside, so it may be inconclusive too.
    """
    sizes = np.array(world.sizes)
    cells = np.concatenate([hits, sizes - hits])
    drawn = rng.multinomial(sizes.sum(), cells / cells.sum(), size=replicates)
    k = len(sizes)
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        warnings.simplefilter("ignore")
        p = drawn[:, :k] / (drawn[:, :k] + drawn[:, k:])
        kind, limit = world.rule.kind, world.rule.limit
        lows, highs = np.nanmin(p, axis=1), np.nanmax(p, axis=1)
        number = {"min_ratio": lows / highs, "max_difference": highs - lows, "min": lows, "max": highs}[kind]
        low, high = np.nanquantile(number, [ALPHA, 1 - ALPHA])
    if kind in ("min_ratio", "min"):
        return "fail" if high < limit else "pass" if low >= limit else "inconclusive"
    return "fail" if low > limit else "pass" if high <= limit else "inconclusive"


def fairlearn_check(seed=0):
    """Our stand-in for fairlearn's bootstrap beside fairlearn's own, on one table: 5 % and 95 % of the ratio."""
    import pandas as pd
    from fairlearn.metrics import MetricFrame, selection_rate

    rng = np.random.default_rng(seed)
    sizes = np.array([400, 300, 200, 100])
    hits = rng.binomial(sizes, 0.4)
    groups = np.repeat(list("abcd"), sizes)
    y = np.concatenate([[1] * x + [0] * (n - x) for x, n in zip(hits, sizes, strict=True)])
    quantiles = [ALPHA, 0.5, 1 - ALPHA]
    frame = MetricFrame(metrics=selection_rate, y_true=y, y_pred=y, sensitive_features=pd.Series(groups),
                        n_boot=1000, ci_quantiles=quantiles, random_state=seed)  # fmt: skip
    cells = np.concatenate([hits, sizes - hits])
    drawn = rng.multinomial(sizes.sum(), cells / cells.sum(), size=20_000)
    p = drawn[:, :4] / (drawn[:, :4] + drawn[:, 4:])
    ours = np.quantile(p.min(axis=1) / p.max(axis=1), quantiles)
    theirs = [float(v) for v in frame.ratio_ci(method="between_groups")]
    return {"quantiles": quantiles, "fairlearn": theirs, "ours": [float(v) for v in ours]}


def simulate(world, sims, seed):
    rng = np.random.default_rng([seed, 7])
    found = {"fairaudit": [], "point": [], "bootstrap": []}
    for _ in range(sims):
        hits = rng.binomial(world.sizes, world.rates)
        found["fairaudit"].append(verdict_of(world, hits))
        found["point"].append(point(world, hits))
        found["bootstrap"].append(bootstrap(world, hits, rng))
    return {
        gate: {v: said.count(v) / sims for v in ("pass", "fail", "inconclusive")}
        for gate, said in found.items()
    }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sims", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=HERE / "results")
    given = parser.parse_args()
    same = fairlearn_check()
    print("fairlearn's own bootstrap", same["fairlearn"], "and our draws", same["ours"], flush=True)
    start, rows = time.time(), []
    for i, world in enumerate(worlds()):
        shares = simulate(world, given.sims, given.seed + i)
        rows.append({**asdict(world), "rule": f"{world.rule.kind} {world.rule.limit}", "shares": shares})
        told = "  ".join(f"{g}: pass {s['pass']:.3f} fail {s['fail']:.3f}" for g, s in shares.items())
        print(f"{time.time() - start:6.0f} s  {world.name:50s} {told}", flush=True)
    given.out.mkdir(parents=True, exist_ok=True)
    result = {
        "machine": platform.processor() or platform.machine(),
        "sims": given.sims,
        "seed": given.seed,
        "alpha": ALPHA,
        "fairlearn_check": same,
        "worlds": rows,
    }
    (given.out / "gate_power.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
