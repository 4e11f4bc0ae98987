"""The figures of docs/performance.md, in Okabe & Ito's colours, which the colour-blind tell apart."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl
from performance_targets import Found

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, PURPLE, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#777777"
FORMS = {"strings": (BLUE, "o"), "categoricals": (GREEN, "^"), "codes": (PURPLE, "D")}
NAMES = {
    "fairlearn": "fairlearn", "sklearn": "scikit-learn loop", "aif360": "AIF360", "aequitas": "aequitas",
    "pandas": "pandas by hand", "duckdb": "DuckDB GROUP BY", "fairaudit": "fairaudit",
    "fairaudit_panel": "fairaudit, whole panel\nwith intervals",
}  # fmt: skip


def draw(found: Mapping[str, Found], folder: Path) -> None:
    """Every figure whose results are there, as PNG into the folder."""
    for part, name, figure in (("peers", "performance_peers", peers), ("scan", "performance_scan", scan)):
        if part in found:
            drawn = figure(found[part])
            drawn.savefig(folder / f"{name}.png", format="png", dpi=110, metadata={"Software": None})
            plt.close(drawn)


def peers(found: Found) -> Figure:
    """Seconds by tool: three metrics of many classes, three rates of two."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.8), layout="constrained")
    for form, (colour, mark) in FORMS.items():
        _dots(left, found["labels"][form], colour, mark, form)
    left.legend(fontsize=8)
    _dots(right, found["binary"], BLUE, "o", "")
    rows = f"{found['rows']:,} rows"
    left.set_title(f"Accuracy, macro F1, macro recall by group\n40 classes × 6 groups, {rows}", fontsize=10)
    right.set_title(f"Selection rate, TPR, FPR by group\n2 classes × 6 groups, {rows}", fontsize=10)
    return figure


def _dots(ax: Axes, tools: Mapping[str, Found], colour: str, mark: str, label: str) -> None:
    known = [tool for tool in NAMES if "median" in tools.get(tool, {})]
    names = [NAMES[tool] for tool in known]
    middle = [tools[tool]["median"] for tool in known]
    spread = [[m - tools[t]["min"] for t, m in zip(known, middle, strict=True)],
              [tools[t]["max"] - m for t, m in zip(known, middle, strict=True)]]  # fmt: skip
    ax.errorbar(middle, names, xerr=spread, fmt=mark, color=colour, ms=5, lw=1, label=label)
    ax.set(xscale="log", xlabel="seconds, in process (median and range)")
    ax.grid(axis="x", color=GREY, alpha=0.3, lw=0.5)
    if not ax.yaxis_inverted():
        ax.invert_yaxis()


def scan(found: Found) -> Figure:
    """Seconds and memory of whole processes by the number of rows."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    scans = [s for s in found["scans"] if s["name"] != "CSV"]
    text = [s for s in found["scans"] if s["name"] == "CSV"]
    for who, name, colour, mark in (
        ("fairaudit", "fairaudit report, every interval", BLUE, "o"),
        ("floor", "DuckDB's bare GROUP BY", ORANGE, "s"),
    ):
        rows = [s["rows"] for s in scans]
        left.plot(
            rows, [s[who]["median"] for s in scans], color=colour, marker=mark, label=f"{name}, Parquet"
        )
        csv = {"color": colour, "marker": mark, "mfc": "none", "ls": "none", "label": f"{name}, CSV"}
        left.plot([s["rows"] for s in text], [s[who]["median"] for s in text], **csv)
        right.plot(rows, [s[who]["peak_mib"] for s in scans], color=colour, marker=mark, label=name)
    left.set(xscale="log", yscale="log", xlabel="rows", ylabel="seconds, whole process")
    right.set(xscale="log", xlabel="rows", ylabel="peak memory, MiB")
    right.set_ylim(0, 1.2 * max(s[who]["peak_mib"] for s in scans for who in ("fairaudit", "floor")))
    right.legend(fontsize=8, loc="lower right")
    left.legend(fontsize=8)
    first, last = scans[0], scans[-1]
    more = last["fairaudit"]["median"] - last["floor"]["median"]
    left.set_title(f"{more:+.1f} s over the scan alone at {last['rows']:,} rows", fontsize=10)
    grown = last["fairaudit"]["peak_mib"] / first["fairaudit"]["peak_mib"]
    right.set_title(
        f"{last['rows'] // first['rows']} times the rows, {grown:.1f} times the memory", fontsize=10
    )
    return figure
