"""The paper's tables: rows model × method, columns metrics; as Markdown, CSV and LaTeX."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence

from fairaudit_mitigate.sweeping.significance import Contrast
from fairaudit_mitigate.sweeping.summary import Line, Measure, Summary

BETTER, WORSE = "↑", "↓"
#: What stands behind the name of a run in the row of its published numbers.
PUBLISHED = ", published"
#: How the columns of the paper are called; any other by the metric's id.
_HEADS = {
    "accuracy": "accuracy", "f1_min": "F1 min", "recall_min": "recall min", "f1_delta": "ΔF1", "eod_max": "EOD max",
    "sensitive_accuracy": "sensitive acc.", "worst_group_accuracy": "worst cell", "loss_variance": "loss variance",
    "seconds": "seconds", "peak_memory": "peak GiB",
}  # fmt: skip


def head(measure: Measure, every: Sequence[Measure]) -> str:
    """The name of a column; with what it is by, where one metric stands in several."""
    name = _HEADS.get(measure.metric, measure.metric)
    several = sum(m.metric == measure.metric for m in every) > 1
    return f"{name} ({measure.by})" if several else name


def number(measure: Measure, value: float) -> str:
    """A value as the tables show it: shares in percent, a dash where there is none.

    >>> number(Measure("accuracy", "overall"), 0.97354)
    '97.35'
    """
    if math.isnan(value):
        return "–"
    if measure.percent:
        return f"{100 * value:.2f}"
    if measure.metric == "peak_memory":
        return f"{value / 2**30:.2f}"
    return f"{value:.0f}" if measure.metric == "seconds" else f"{value:.4f}"


def value(line: Line, k: int, measure: Measure) -> str:
    """mean ± sd over seeds; the bare value of one seed."""
    shown, sd = number(measure, line.mean(k)), line.sd(k)
    return shown if math.isnan(sd) or shown == "–" else f"{shown} ± {number(measure, sd)}"


def published(summary: Summary, line: Line, measure: Measure) -> str:
    """What a publication says of this place of the table; a dash where nothing."""
    found = summary.published.get((line.data, line.model, line.run), {}).get(measure.metric)
    if found is None:
        return "–"
    spread = "" if found.spread is None else f" ± {number(measure, found.spread)}"
    return number(measure, found.value) + spread


def marks(tests: Sequence[Contrast]) -> dict[tuple[str, str, str, Measure], str]:
    """The mark of each real difference: an arrow up for better than the reference, down for worse."""
    return {
        (t.data, t.model, t.run, t.measure): BETTER if t.measure.better * t.difference > 0 else WORSE
        for t in tests
        if t.real and t.measure.better
    }


def markdown(summary: Summary, tests: Sequence[Contrast]) -> str:
    """One table a data set; best in bold, ↑ and ↓ beside what really differs from the reference."""
    out: list[str] = []
    for data, lines in _by_data(summary).items():
        heads = ["model", "method", *(head(m, summary.measures) for m in summary.measures)]
        out += [
            f"**{_escaped(data)}**",
            "",
            _bar(heads),
            _bar(["---", "---", *("--:" for _ in summary.measures)]),
        ]
        out += [_bar(cells) for cells in _cells(lines, summary, marks(tests), lambda text: f"**{text}**")]
        out.append("")
    return "\n".join(out).rstrip("\n") + "\n"


def latex(summary: Summary, tests: Sequence[Contrast]) -> str:
    """One `tabular` a data set, with booktabs' rules; best in bold."""
    out: list[str] = []
    for data, lines in _by_data(summary).items():
        heads = ["Model", "Method", *(head(m, summary.measures) for m in summary.measures)]
        out += [f"% {data}", rf"\begin{{tabular}}{{ll{'r' * len(summary.measures)}}}", r"\toprule"]
        out += [_latex_row(heads), r"\midrule"]
        last = ""
        for cells in _cells(lines, summary, marks(tests), lambda text: rf"\textbf{{{text}}}"):
            out += [r"\midrule"] if last and cells[0] != last else []
            shown = ["" if cells[0] == last else cells[0], *cells[1:]]
            out, last = [*out, _latex_row(shown)], cells[0]
        out += [r"\bottomrule", r"\end{tabular}", ""]
    return "\n".join(out).rstrip("\n") + "\n"


_COLUMNS = (
    "dataset", "model", "method", "metric", "by", "mean", "spread", "seeds", "best", "difference", "p", "real",
    "published_mean", "published_spread",
)  # fmt: skip


def comma(summary: Summary, tests: Sequence[Contrast]) -> str:
    """CSV, one row for each line and measure, with unrounded numbers.

    `difference`, `p` (Holm's) and `real` are of the paired test against the reference.
    """
    by = {(t.data, t.model, t.run, t.measure): t for t in tests}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for line in summary.lines:
        name = (line.data, line.model, line.run)
        for k, m in enumerate(summary.measures):
            t, said = by.get((*name, m)), summary.published.get(name, {}).get(m.metric)
            own = (_exact(line.mean(k)), _exact(line.sd(k)), len(line.seeds), _bool(summary.best(line, k)))
            tested = ("", "", "") if t is None else (_exact(t.difference), _exact(t.adjusted), _bool(t.real))
            printed = ("", "") if said is None else (said.value, "" if said.spread is None else said.spread)
            writer.writerow((*name, m.metric, m.by, *own, *tested, *printed))
    return text.getvalue()


def differences(tests: Sequence[tuple[str, Contrast]]) -> str:
    """CSV, one row a test: how it was done, the difference, its interval where it has one, p and Holm's p."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("how", "dataset", "model", "method", "metric", "by", "difference", "low", "high", "p", "p_holm",
                     "real", "seeds", "reason"))  # fmt: skip
    for how, t in tests:
        numbers = [_exact(v) for v in (t.difference, t.low, t.high, t.p, t.adjusted)]
        named = (t.data, t.model, t.run, t.measure.metric, t.measure.by)
        writer.writerow((how, *named, *numbers, _bool(t.real), t.seeds, t.reason))
    return text.getvalue()


def _bool(value: bool) -> str:
    return str(value).lower()


FORMATS: Mapping[str, Callable[[Summary, Sequence[Contrast]], str]] = {
    "md": markdown,
    "csv": comma,
    "latex": latex,
}


def _by_data(summary: Summary) -> dict[str, list[Line]]:
    found: dict[str, list[Line]] = {}
    for line in summary.lines:
        found.setdefault(line.data, []).append(line)
    return found


def _cells(
    lines: Sequence[Line], summary: Summary, marked: Mapping[tuple[str, str, str, Measure], str],
    bold: Callable[[str], str],
) -> Iterator[list[str]]:  # fmt: skip
    for line in lines:
        cells = [line.model, line.run]
        for k, measure in enumerate(summary.measures):
            text = value(line, k, measure)
            mark = marked.get((line.data, line.model, line.run, measure), "")
            cells.append((bold(text) if summary.best(line, k) else text) + (f" {mark}" if mark else ""))
        yield cells
        if (line.data, line.model, line.run) in summary.published:
            yield [
                line.model,
                f"{line.run}{PUBLISHED}",
                *(published(summary, line, m) for m in summary.measures),
            ]


def _bar(cells: Sequence[str]) -> str:
    return f"| {' | '.join(_escaped(c) for c in cells)} |"


def _escaped(text: str) -> str:
    return text.replace("|", r"\|").replace("\n", " ")


_LATEX = {"&": r"\&", "%": r"\%", "#": r"\#", "_": r"\_", "±": r"$\pm$", "Δ": r"$\Delta$", "λ": r"$\lambda$",
          BETTER: r"$\uparrow$", WORSE: r"$\downarrow$", "–": "--", "·": r"$\cdot$"}  # fmt: skip


def _latex_row(cells: Sequence[str]) -> str:
    return " & ".join("".join(_LATEX.get(c, c) for c in cell) for cell in cells) + r" \\"


def _exact(number: float) -> str:
    return "" if math.isnan(number) else repr(number)
