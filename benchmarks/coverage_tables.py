"""The results as Markdown tables."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import product
from pathlib import Path
from statistics import fmean, median
from typing import Any

from coverage_worlds import KINDS, worlds
from markdown_page import table

TARGET, ENOUGH_DRAWS = 0.935, 500
#: In the order of the page: what each kind of world is called there.
KIND_NAMES = {
    "selection": "groups", "cells": "cells", "rare": "groups, rare positives", "multiclass": "groups × 3 classes",
    "classes": "classes", "macro": "groups, macro mean",
}  # fmt: skip
Point = Mapping[str, Any]


def load(path: Path) -> dict[str, Any]:
    """What a part of the benchmark saved, its points as records."""
    saved = json.loads(path.read_text())
    points: Iterable[list[Any]] = saved["points"]
    return saved | {"points": [dict(zip(saved["columns"], row, strict=True)) for row in points]}


def percent(share: float | None, digits: int = 1) -> str:
    """A share as a percentage."""
    return "–" if share is None else f"{100 * share:.{digits}f} %"


def judged(points: Iterable[Point]) -> list[Point]:
    """The points where enough draws have a value to speak of coverage (standard error 1 point or less)."""
    return [p for p in points if p["defined"] >= min(ENOUGH_DRAWS, p["defined"] + p["undefined"])]


def by_metric(points: Iterable[Point]) -> dict[tuple[str, str], list[Point]]:
    """(metric, kind of world) -> its points, in the page's order."""
    out: dict[tuple[str, str], list[Point]] = defaultdict(list)
    for p in judged(points):
        out[p["metric"], p["kind"]].append(p)
    return dict(sorted(out.items(), key=lambda item: list(KIND_NAMES).index(item[0][1])))


def width_ratios(points: Iterable[Point]) -> list[float]:
    """Our mean width by Bonferroni–Wald's, at each point where that covers the target itself."""
    return [
        p["width"] / p["wald_width"]
        for p in judged(points)
        if p["wald_coverage"] >= TARGET and p["wald_width"]
    ]


def rates(found: Point) -> str:
    """Single rates, by method and size."""
    rows = [
        (p["method"], f"{p['rows']:,}", percent(p["mean"], 2), _lowest(p), percent(p["lowest_5_events"]),
         percent(p["lowest_1_events"]), f"{p['mean_width']:.4f}")
        for p in found["points"]
    ]  # fmt: skip
    head = (
        "interval",
        "rows",
        "mean coverage",
        "lowest, ≥ 10 events",
        "≥ 5 events",
        "≥ 1 event",
        "mean width",
    )
    return table(head, rows)


def _lowest(p: Point) -> str:
    return f"{percent(p['lowest'])} (at {percent(p['lowest_at'], 2)})"


def dips(found: Point) -> str:
    """Wilson's deepest dips over all sizes."""
    d = found["dips"]
    rows = [(percent(p["coverage"], 2), p["rows"], percent(p["rate"], 2)) for p in d["lowest"]]
    first, last = d["sizes"]
    return (
        table(("coverage", "rows", "base rate"), rows)
        + f"\n\nOver every number of rows from {first} to {last:,}: {d['sizes_with_a_point_below_93']} sizes have a "
        f"base rate below 93 %, {d['sizes_with_a_point_below_92']} below 92 %; the lowest mean over base rates is "
        f"{percent(d['lowest_mean'], 2)}."
    )


def gaps(found: Point) -> str:
    """Coverage and width by metric."""
    rows = []
    for (metric, kind), points in by_metric(found["points"]).items():
        covers = [p["coverage"] for p in points]
        ratios = width_ratios(points)
        missed = sum(c < TARGET for c in covers)
        wald = sum(p["wald_coverage"] < TARGET for p in points)
        rows.append((f"`{metric}`", KIND_NAMES[kind], len(points), percent(min(covers)), percent(fmean(covers)), missed,
                     wald, f"{fmean(ratios):.3f}" if ratios else "–", len(ratios)))  # fmt: skip
    every = judged(found["points"])
    ratios = width_ratios(every)
    covers = [p["coverage"] for p in every]
    rows.append(("all", "", len(every), percent(min(covers)), percent(fmean(covers)), sum(c < TARGET for c in covers),
                 sum(p["wald_coverage"] < TARGET for p in every),
                 f"{fmean(ratios):.3f} (median {median(ratios):.3f})", len(ratios)))  # fmt: skip
    head = (
        "number",
        "over",
        "points",
        "lowest",
        "mean",
        "below 93.5 %",
        "Wald below 93.5 %",
        "width / Wald's",
        "at points",
    )
    return table(head, rows)


def misses(found: Point) -> str:
    """Every point below the target, worst first."""
    below = sorted(
        (p for p in judged(found["points"]) if p["coverage"] < TARGET), key=lambda p: p["coverage"]
    )
    rows = [_missed(p) for p in below]
    again = [p for p in judged(found["points"]) if p.get("first") is not None]
    said = (
        f"{len(again)} of {len(judged(found['points'])):,} points fell below 93.5 % in the first draws and were drawn "
        f"anew, five times as often; {len(below)} stayed below. {_unjudged(found)}" + _not_run(found)
    )
    return said + ("\n\n" + table(MISS_HEAD, rows) if rows else "")


MISS_HEAD = (
    "number",
    "over",
    "K",
    "smallest",
    "base rate",
    "ties",
    "coverage",
    "draws",
    "truth below / above",
    "Wald's",
)


def _unjudged(found: Point) -> str:
    few = [p for p in found["points"] if not judged([p])]
    drawn = [p for p in few if p["defined"]]
    held = sum(p["coverage"] * p["defined"] for p in drawn)
    draws = sum(p["defined"] for p in drawn)
    return (
        f"At {len(few)} more points the number has a value in fewer than {ENOUGH_DRAWS} draws (too few groups with ten "
        f"positives), at {len(few) - len(drawn)} of them in none"
        + (f"; over all {draws:,} such draws the intervals cover {percent(held / draws)}." if draws else ".")
    )


def _not_run(found: Point) -> str:
    every = sum(len(KINDS[w.kind]) for kind in KINDS for w in worlds(kind))
    left = every - len(found["points"])
    return f" Not run yet: {left} of {every:,} points (`--part gaps --resume`)." if left else ""


def _missed(p: Point) -> tuple[object, ...]:
    sides = f"{percent(p['too_high'])} / {percent(p['too_low'])}"
    place = (p["strata"], f"{p['smallest']:,}", p["rate"], "yes" if p["tied"] else "no")
    covers = (percent(p["coverage"], 2), f"{p['defined']:,}", sides, percent(p["wald_coverage"]))
    return (f"`{p['metric']}`", KIND_NAMES[p["kind"]], *place, *covers)


def where(found: Point) -> str:
    """Lowest coverage by K, rows and base rate, over all numbers."""
    every = judged(found["points"])
    rows = []
    for name, key in (
        ("groups or classes", "strata"),
        ("rows of the smallest", "smallest"),
        ("base rate", "rate"),
        ("ties", "tied"),
    ):
        for value in sorted({p[key] for p in every}):
            here = [p for p in every if p[key] == value]
            covers = [p["coverage"] for p in here]
            shown = (
                {True: "yes", False: "no"}.get(value, f"{value:,}")
                if isinstance(value, bool)
                else f"{value:,}"
            )
            rows.append((name, shown, len(here), percent(min(covers)), percent(fmean(covers)),
                         f"{fmean(width_ratios(here)):.3f}"))  # fmt: skip
    return table(("", "", "points", "lowest", "mean", "width / Wald's"), rows)


def _spans(found: Point, key: str, ways: Mapping[str, str]) -> str:
    """Lowest and highest coverage over the designs: a line a number, a column a size and a way to read the rows."""
    points = found["points"]
    sizes = sorted({p[key] for p in points})
    rows = []
    for metric, group in dict.fromkeys((p["metric"], p["group"]) for p in points):
        here = [p for p in points if (p["metric"], p["group"]) == (metric, group)]
        spans = []
        for size, way in product(sizes, ways):
            covers = [p[way]["coverage"] for p in here if p[key] == size]
            spans.append(f"{percent(min(covers))} to {percent(max(covers))}")
        rows.append((f"`{metric}`" + (" of the smallest group" if group else ""), *spans))
    return table(("number", *(f"{n:,} {key}{shown}" for n, shown in product(sizes, ways.values()))), rows)


def clusters(found: Point) -> str:
    """Clustered rows, with and without `--cluster`."""
    return _spans(found, "persons", {"clustered": "", "iid": ", no `--cluster`"})


def weights(found: Point) -> str:
    """Weighted rows, and every design below the target."""
    below = [p for p in found["points"] if p["weighted"]["coverage"] < TARGET]
    said = "\n".join(
        f"- `{p['metric']}`{' of the smallest group' if p['group'] else ''}, {p['rows']:,} rows, "
        f"weights {p['weights']}, {'ties' if p['pattern'] == 'tied' else 'no ties'}: "
        f"{percent(p['weighted']['coverage'], 2)}"
        for p in sorted(below, key=lambda p: p["weighted"]["coverage"])
    )
    spans = _spans(found, "rows", {"weighted": ""})
    return f"{spans}\n\n" + (f"Below 93.5 %:\n\n{said}" if below else "No design is below 93.5 %.")


def tables(found: Mapping[str, Point]) -> dict[str, str]:
    """name -> table, of the parts that were run."""
    out: dict[str, str] = {}
    for part, shown in (
        ("rates", (rates, dips)),
        ("gaps", (gaps, where, misses)),
        ("clusters", (clusters,)),
        ("weights", (weights,)),
    ):
        if part in found:
            out |= {f.__name__: f(found[part]) for f in shown}
    return out
