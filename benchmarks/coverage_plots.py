"""The figures of docs/coverage.md: Okabe & Ito's colours, which the colour-blind tell apart; titles say the finding."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

import coverage_rates
import matplotlib as mpl
import numpy as np
from coverage_tables import TARGET, by_metric, judged, percent, width_ratios

from fairaudit.store import replacing

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

BLUE, ORANGE, GREEN, PURPLE, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#777777"
OF_STRATA = {2: (BLUE, "o"), 3: (ORANGE, "s"), 8: (GREEN, "^"), 12: (PURPLE, "D")}
CURVES = (30, 200, 2_000)
Found = Mapping[str, Any]


def draw(found: Mapping[str, Found], folder: Path) -> None:
    """Every figure whose results are there, as PNG into the folder."""
    for part, figure in (("rates", rates), ("gaps", gaps), ("gaps", widths), ("clusters", clusters)):
        if part in found:
            name = "width" if figure is widths else part
            drawn = figure(found[part])
            with replacing(folder / f"coverage_{name}.png") as path:
                drawn.savefig(path, format="png", dpi=110, metadata={"Software": None})
            plt.close(drawn)


def _lines(ax: Axes, target: float, upright: bool = False) -> None:
    line = ax.axvline if upright else ax.axhline
    line(0.95, color=GREY, lw=1, zorder=0)
    line(target, color=GREY, lw=1, ls="--", zorder=0)


def rates(found: Found) -> Figure:
    """Exact coverage of a rate's interval by base rate."""
    figure, axes = plt.subplots(1, len(CURVES), figsize=(10, 3.4), sharey=True, layout="constrained")
    for ax, rows in zip(axes, CURVES, strict=True):
        curve = coverage_rates.curves(rows)
        x = curve["rate"]
        ax.plot(x, curve["clopper-pearson"], color=ORANGE, lw=0.8, label="Clopper–Pearson (on request)")
        ax.plot(x, curve["wilson"], color=BLUE, lw=0.8, label="Wilson (the report's)")
        _lines(ax, 0.92)
        if coverage_rates.EVENTS / rows > x[0]:
            ax.axvspan(0, coverage_rates.EVENTS / rows, color=GREY, alpha=0.15, lw=0)
        ax.set(title=f"{rows:,} rows", xlabel="base rate", ylim=(0.85, 1.0), xlim=(0, 0.5))
    axes[0].set_ylabel("coverage, exact")
    axes[0].legend(loc="lower right", fontsize=8)
    lowest = found["dips"]["lowest"][0]["coverage"]
    figure.suptitle(
        f"Wilson covers 95 % on average, and never below {percent(lowest)} where ten events are expected (not shaded)",
        fontsize=11,
    )
    return figure


def gaps(found: Found) -> Figure:
    """Coverage of every point, one panel a number, by rows and K."""
    panels = by_metric(found["points"])
    across = 4
    down = -(-len(panels) // across)
    figure, axes = plt.subplots(
        down, across, figsize=(11, 2.3 * down), sharex=True, sharey=True, layout="constrained"
    )
    sizes = sorted({p["smallest"] for p in found["points"]})
    for ax, ((metric, kind), points) in zip(axes.flat, panels.items(), strict=False):
        for k, (strata, (colour, mark)) in enumerate(OF_STRATA.items()):
            here = [p for p in points if p["strata"] == strata]
            x = [sizes.index(p["smallest"]) + 0.18 * (k - 1.5) for p in here]
            ax.plot(
                x, [p["coverage"] for p in here], mark, color=colour, ms=3, alpha=0.7, label=f"K = {strata}"
            )
        _lines(ax, TARGET)
        ax.set_title(f"{metric}\n({_over(kind)})", fontsize=8)
        ax.set_xticks(range(len(sizes)), [f"{n:,}" for n in sizes], fontsize=7)
    for ax in list(axes.flat)[len(panels) :]:
        ax.axis("off")
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, ncols=len(labels), fontsize=8, loc="outside lower right")
    figure.supxlabel("rows of the smallest group or class", fontsize=9)
    figure.supylabel("coverage of 95 % intervals (line: 95 %, dashed: 93.5 %)", fontsize=9)
    every = judged(found["points"])
    below = sum(p["coverage"] < TARGET for p in every)
    lowest = percent(min(p["coverage"] for p in every))
    said = "no point is below 93.5 %" if not below else f"{below} below 93.5 %"
    figure.suptitle(
        f"{len(every):,} points of gaps, ratios, minima and maxima: {said} (lowest {lowest})", fontsize=11
    )
    return figure


def _over(kind: str) -> str:
    from coverage_tables import KIND_NAMES

    return f"over {KIND_NAMES[kind]}"


def widths(found: Found) -> Figure:
    """Our width by Bonferroni–Wald's, where that covers too."""
    panels = {k: width_ratios(v) for k, v in by_metric(found["points"]).items()}
    panels = {k: v for k, v in panels.items() if v}
    figure, ax = plt.subplots(figsize=(8, 0.32 * len(panels) + 1.6), layout="constrained")
    rng = np.random.default_rng(0)
    for row, ratios in enumerate(panels.values()):
        y = row + rng.uniform(-0.25, 0.25, len(ratios))
        ax.plot(ratios, y, "o", color=BLUE, ms=2.5, alpha=0.4)
        ax.plot(fmean(ratios), row, "|", color=ORANGE, ms=16, mew=2.5)
    ax.axvline(1, color=GREY, lw=1)
    ax.set_yticks(range(len(panels)), [f"{m} ({_over(k)})" for m, k in panels], fontsize=8)
    ax.invert_yaxis()
    ax.set_xscale("log")
    ax.set_xticks([0.7, 1, 1.5, 2, 3, 5], ["0.7", "1", "1.5", "2", "3", "5"])
    ax.xaxis.set_minor_locator(NullLocator())
    figure.supxlabel(
        "mean width by Bonferroni–Wald's, where that covers 93.5 % (bar: mean over points)", fontsize=9
    )
    overall = fmean(width_ratios(found["points"]))
    narrower = "narrower than" if overall < 1 else "wider than"
    figure.suptitle(f"On average {percent(abs(1 - overall))} {narrower} Bonferroni–Wald", fontsize=11)
    return figure


def clusters(found: Found) -> Figure:
    """With and without `--cluster`, a line a point."""
    points = sorted(found["points"], key=lambda p: (p["metric"], p["group"] or "", p["persons"]))
    names = list(dict.fromkeys((p["metric"], p["group"]) for p in points))
    figure, axes = plt.subplots(
        1, 2, figsize=(10, 0.34 * len(names) + 1.5), sharey=True, layout="constrained"
    )
    for ax, persons in zip(axes, sorted({p["persons"] for p in points}), strict=True):
        for p in points:
            if p["persons"] == persons:
                y = names.index((p["metric"], p["group"]))
                filled = p["group_of"] == "person"
                face = {"mfc": None if filled else "white"}
                ax.plot(p["iid"]["coverage"], y + 0.15, "s", color=ORANGE, ms=4, **face)
                ax.plot(p["clustered"]["coverage"], y - 0.15, "o", color=BLUE, ms=4, **face)
        _lines(ax, TARGET, upright=True)
        ax.set(title=f"{persons:,} persons", xlabel="coverage of 95 % intervals")
    shown = [m + (" (smallest group)" if g else "") for m, g in names]
    axes[0].set_yticks(range(len(names)), shown, fontsize=8)
    axes[0].invert_yaxis()
    axes[0].plot([], [], "o", color=BLUE, label="with --cluster")
    axes[0].plot([], [], "s", color=ORANGE, label="rows taken as independent")
    axes[0].plot([], [], "o", color=GREY, mfc="white", label="hollow: groups cross within a person")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, ncols=3, fontsize=8, loc="outside lower center")
    lowest = min(p["clustered"]["coverage"] for p in points)
    iid = min(p["iid"]["coverage"] for p in points)
    figure.suptitle(
        f"Several rows a person: with --cluster at least {percent(lowest)}, without as low as {percent(iid)}",
        fontsize=11,
    )
    return figure
