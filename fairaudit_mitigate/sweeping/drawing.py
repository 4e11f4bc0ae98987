"""The figures of a sweep as PNG files: metric against rank and λ, radar, loss variance, Pareto front."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairaudit.store import replacing
from fairaudit_mitigate.sweeping import figures
from fairaudit_mitigate.sweeping.figures import PENALTY, RANK, Curves, Spot
from fairaudit_mitigate.sweeping.results import Results
from fairaudit_mitigate.sweeping.summary import COSTS, Measure, Summary
from fairaudit_mitigate.sweeping.tables import head

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Okabe and Ito: told apart also by people who do not see all colours.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7F7F7F")
_MARKERS = "osD^vPX*"
_AXES = {RANK: "rank of LoRA", PENALTY: "λ"}
Style = Mapping[str, tuple[str, str]]


def draw(results: Results, summary: Summary, folder: str | Path) -> tuple[Path, ...]:
    """Write every figure that the sweep has numbers for, `KIND-DATA-MODEL.png`; returns the files.

    Raises FairauditError where the folder cannot be written.
    """
    written = []
    for data, model in figures.places(summary):
        for kind, figure in _figures(results, summary, data, model):
            path = Path(folder) / f"{kind}-{_slug(data)}-{_slug(model)}.png"
            figure.suptitle(f"{data} · {model}", fontsize=11)
            with replacing(path) as temporary:
                figure.savefig(temporary, format="png", dpi=150)
            written.append(path)
    return tuple(written)


def _figures(results: Results, summary: Summary, data: str, model: str) -> Iterator[tuple[str, Figure]]:
    style = _style([line.run for line in summary.lines])
    shown = [m for m in summary.measures if m.metric not in COSTS]
    for setting in (RANK, PENALTY):
        lines = figures.curves(results, shown, setting, data, model)
        if lines:
            yield setting, curve_figure(lines, _AXES[setting], style)
    axes, runs = figures.radar(summary, data, model)
    if len(axes) > 2 and len(runs) > 1:
        yield "radar", radar_figure(axes, runs, style)
    bars = figures.variances(summary, data, model)
    if bars:
        yield "loss-variance", variance_figure(bars, style)
    front = figures.pareto(results, summary, data, model)
    if front is not None and len(front[2]) > 1:
        yield "pareto", pareto_figure(*front, style)


def curve_figure(curves: Curves, axis: str, style: Style) -> Figure:
    """A panel a measure: means over seeds with a band of one standard deviation, the setting on a log axis."""
    wide = min(3, len(curves))
    figure = _figure(3.4 * wide, 2.7 * math.ceil(len(curves) / wide) + 0.6)
    for n, (measure, runs) in enumerate(curves.items()):
        ax = figure.add_subplot(math.ceil(len(curves) / wide), wide, n + 1)
        values = sorted({p.x for points in runs.values() for p in points})
        for run, points in runs.items():
            colour, marker = style[run]
            x, y = [p.x for p in points], [_scale(measure) * p.mean for p in points]
            sd = [0 if math.isnan(p.sd) else _scale(measure) * p.sd for p in points]
            ax.plot(x, y, color=colour, marker=marker, markersize=4, linewidth=1.2, label=run)
            low, high = ([a + turn * b for a, b in zip(y, sd, strict=True)] for turn in (-1, 1))
            ax.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
        _log_axis(ax, values)
        ax.set_xlabel(axis, fontsize=8)
        ax.set_title(_named(measure, list(curves)), fontsize=9)
        ax.grid(alpha=0.25)
    _legend(figure)
    return figure


def radar_figure(axes: Sequence[Measure], runs: Mapping[str, Sequence[float]], style: Style) -> Figure:
    """One polygon a run; outside is better. The measures are scaled from the worst run (0) to the best (1)."""
    figure = _figure(6.2, 5.4)
    ax: Any = figure.add_subplot(projection="polar")
    angles = [2 * math.pi * k / len(axes) for k in range(len(axes))]
    for run, values in runs.items():
        colour, marker = style[run]
        ax.plot(
            [*angles, angles[0]], [*values, values[0]], color=colour, marker=marker, markersize=4, label=run
        )
        ax.fill([*angles, angles[0]], [*values, values[0]], color=colour, alpha=0.07)
    ax.set_xticks(angles, [head(m, axes) for m in axes], fontsize=8)
    ax.tick_params(axis="x", pad=12)
    ax.set_yticks([0, 0.5, 1], ["", "", ""])
    ax.set_ylim(-0.12, 1.05)
    ax.set_theta_zero_location("N")
    ax.set_title("inner ring: the worst run, outer ring: the best", fontsize=8, color="#555555", pad=14)
    _legend(figure)
    return figure


def variance_figure(bars: Mapping[Measure, Mapping[str, Sequence[float]]], style: Style) -> Figure:
    """A panel a grouping: a bar a run (the mean), a dot a seed."""
    figure = _figure(max(4.2, 0.9 * max(map(len, bars.values())) + 1) * len(bars), 3.4)
    for n, (measure, runs) in enumerate(bars.items()):
        ax = figure.add_subplot(1, len(bars), n + 1)
        for k, (run, values) in enumerate(runs.items()):
            known = [v for v in values if not math.isnan(v)]
            ax.bar(k, sum(known) / len(known) if known else 0, color=style[run][0], alpha=0.65)
            ax.plot([k] * len(known), known, "o", color="black", markersize=3, alpha=0.7)
        ax.set_xticks(range(len(runs)), list(runs), rotation=30, ha="right", fontsize=8)
        ax.set_title(f"variance of the losses by {measure.by}", fontsize=9)
        ax.grid(axis="y", alpha=0.25)
        ax.set_axisbelow(True)
    return figure


def pareto_figure(accuracy: Measure, fair: Measure, spots: Sequence[Spot], style: Style) -> Figure:
    """Every combination of settings; those that nothing beats in both are ringed and joined."""
    figure = _figure(5.6, 4.4)
    ax = figure.add_subplot()
    one, other = _scale(accuracy), _scale(fair)
    for run in dict.fromkeys(s.run for s in spots):
        mine = [s for s in spots if s.run == run]
        colour, marker = style[run]
        ax.plot(
            [one * s.x for s in mine],
            [other * s.y for s in mine],
            marker,
            color=colour,
            label=run,
            markersize=6,
        )
    front = sorted((s for s in spots if s.front), key=lambda s: s.x)
    ring: dict[str, Any] = {"color": "#444444", "linewidth": 0.9, "markerfacecolor": "none", "markersize": 11}
    ax.plot([one * s.x for s in front], [other * s.y for s in front], "--o", zorder=0, **ring)
    middle = (max(s.x for s in spots) + min(s.x for s in spots)) / 2
    for s in _apart(front, spots):
        inward: dict[str, Any] = {"xytext": (-7, 5), "ha": "right"} if s.x > middle else {"xytext": (7, 5)}
        ax.annotate(
            s.label, (one * s.x, other * s.y), textcoords="offset points", fontsize=7, **inward
        )  # no label runs over the frame
    ax.set_xlabel(_named(accuracy, [accuracy]), fontsize=9)
    better = "higher" if fair.better > 0 else "lower"
    ax.set_ylabel(f"{_named(fair, [fair])}, {better} is fairer", fontsize=9)
    if fair.better < 0:
        ax.invert_yaxis()
    ax.margins(0.12)
    ax.grid(alpha=0.25)
    _legend(figure)
    return figure


def _apart(some: Sequence[Spot], every: Sequence[Spot]) -> list[Spot]:
    """Those that can be labelled without one label on another: a fifteenth of the range apart."""
    wide = max(s.x for s in every) - min(s.x for s in every) or 1.0
    high = max(s.y for s in every) - min(s.y for s in every) or 1.0
    kept: list[Spot] = []
    for s in some:
        if all(max(abs(s.x - k.x) / wide, abs(s.y - k.y) / high) > 1 / 15 for k in kept):
            kept.append(s)
    return kept


def _figure(width: float, height: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)  # never a window
    return figure


def _legend(figure: Figure) -> None:
    """One legend for all panels, below them."""
    found: dict[str, Any] = {}
    for ax in figure.axes:
        handles, labels = ax.get_legend_handles_labels()
        found |= dict(zip(labels, handles, strict=True))
    figure.legend(
        list(found.values()), list(found), loc="outside lower center", ncols=min(4, len(found)), fontsize=8,
        frameon=False,
    )  # fmt: skip


def _log_axis(ax: Any, values: Sequence[float]) -> None:
    """A log axis with a tick at each value; linear around 0 where λ = 0 is among them."""
    if min(values) > 0:
        ax.set_xscale("log")
    else:
        ax.set_xscale("symlog", linthresh=min((v for v in values if v > 0), default=1.0))
    some = values if len(values) < 10 else values[:: math.ceil(len(values) / 9)]
    ax.set_xticks(some, [f"{v:g}" for v in some], fontsize=7)
    ax.xaxis.minorticks_off()
    ax.tick_params(axis="y", labelsize=7)


def _style(runs: Sequence[str]) -> Style:
    """A colour and a marker for each run, the same in every figure."""
    names = list(dict.fromkeys(runs))
    return {r: (_COLOURS[k % len(_COLOURS)], _MARKERS[k % len(_MARKERS)]) for k, r in enumerate(names)}


def _scale(measure: Measure) -> float:
    return 100.0 if measure.percent else 1.0


def _named(measure: Measure, every: Sequence[Measure]) -> str:
    return head(measure, every) + (", %" if measure.percent else "")


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "x"
