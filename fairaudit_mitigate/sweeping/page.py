"""The page of a sweep: what ran, what failed, the table, what validation chose, how many differences are real."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from fairaudit.report.blocks import Block, Cell, Column, Facts, Heading, Items, Sentence, Table
from fairaudit_mitigate.methods.method import TERMS
from fairaudit_mitigate.settings import Settings
from fairaudit_mitigate.sweeping.results import Results
from fairaudit_mitigate.sweeping.significance import Contrast, line_of
from fairaudit_mitigate.sweeping.summary import Line, Summary
from fairaudit_mitigate.sweeping.tables import BETTER, PUBLISHED, WORSE, head, marks, published, value

SCHEMA, VERSION = "fairaudit.sweep", "1.0"
#: Settings that a line of the table may differ in, and how they are called.
_TOLD = {"rank": "rank", "penalty": "λ", "lr": "lr"}


def page(
    results: Results, summary: Summary, tests: Sequence[Contrast], drawn: Sequence[Contrast] | None = None
) -> list[Block]:
    """All of it, as blocks for a terminal or a document."""
    blocks: list[Block] = [Heading("Sweep", 1), Facts(_facts(results))]
    for data in dict.fromkeys(line.data for line in summary.lines):
        lines = [line for line in summary.lines if line.data == data]
        blocks += [Heading(data), _table(lines, summary, tests)]
    blocks += [Sentence(note) for note in notes(summary, tests, drawn)]
    if results.failed:
        blocks += [Heading("Failed"), Items(tuple(f"{e.contest.run}: {e.cell}: {e.record and e.record.reason}"
                                                  for e in results.failed), "bad")]  # fmt: skip
    return blocks


def notes(summary: Summary, tests: Sequence[Contrast], drawn: Sequence[Contrast] | None = None) -> list[str]:
    """The lines under a table: how many differences are real, or why nothing was tested. `drawn`: by bootstrap."""
    found = [line_of(tests, summary.reference, "paired t over seeds")]
    if drawn is not None:
        found.append(line_of(drawn, summary.reference, "paired bootstrap over rows and seeds"))
    if marks(tests):
        found.append(f"{BETTER} and {WORSE}: really better and worse than {summary.reference} by the t-test.")
    return found


def content(
    results: Results, summary: Summary, tests: Sequence[Contrast], drawn: Sequence[Contrast] | None = None
) -> dict[str, Any]:
    """What `--json` shows: cells, table, tests."""
    table = [
        {
            "data": line.data, "model": line.model, "run": line.run, "settings": _settings(line),
            "seeds": list(line.seeds), "cells": list(line.cells), "failed": line.failed, "missing": line.missing,
            "metrics": [
                {"metric": m.metric, "by": m.by or None, "mean": _plain(line.mean(k)), "sd": _plain(line.sd(k)),
                 "values": [_plain(v) for v in line.values[k]], "best": summary.best(line, k)}
                for k, m in enumerate(summary.measures)
            ],
        }
        for line in summary.lines
    ]  # fmt: skip
    return {
        "plan": results.plan.name,
        "select": results.plan.select,
        "reference": summary.reference,
        "cells": [
            {"cell": e.cell.key, "data": e.contest.data, "model": e.contest.model, "run": e.contest.run,
             "final": e.final, "status": e.status, "reason": e.record.reason if e.record else None}
            for e in results.entries
        ],
        "table": table,
        "tests": [test_record(t) for t in tests],
        "bootstrap": None if drawn is None else [test_record(t) for t in drawn],
        "conclusion": notes(summary, tests, drawn),
    }  # fmt: skip


def test_record(t: Contrast) -> dict[str, Any]:
    """A test as JSON has it."""
    return {
        "data": t.data, "model": t.model, "run": t.run, "metric": t.measure.metric, "by": t.measure.by or None,
        "difference": _plain(t.difference), "p": _plain(t.p), "p_holm": _plain(t.adjusted), "real": t.real,
        "low": _plain(t.low),
        "high": _plain(t.high),
        "seeds": t.seeds,
        "reason": t.reason or None,
    }  # fmt: skip


def _facts(results: Results) -> tuple[tuple[str, str], ...]:
    done = sum(e.status == "done" for e in results.entries)
    chosen = f"{results.plan.select}, on validation rows"
    tuned = (
        ""
        if results.plan.tune is None
        else f"; {', '.join(results.plan.tune.over)} with seed {results.plan.tune.seed}"
    )
    counts = f"{done} done, {len(results.failed)} failed, {len(results.missing)} missing"
    return (("plan", results.plan.name), ("cells", counts), ("chosen by", chosen + tuned))


def _table(lines: Sequence[Line], summary: Summary, tests: Sequence[Contrast]) -> Table:
    marked = marks(tests)
    models = len({line.model for line in lines}) > 1
    columns = [*([Column("model")] if models else []), Column("method")]
    columns += [Column(head(m, summary.measures), right=True) for m in summary.measures]
    rows = []
    for line in lines:
        cells = [*([Cell(line.model)] if models else []), Cell(line.run)]
        for k, measure in enumerate(summary.measures):
            mark = marked.get((line.data, line.model, line.run, measure), "")
            tone = "strong" if summary.best(line, k) else ""
            cells.append(Cell(value(line, k, measure) + (f" {mark}" if mark else ""), tone))
        rows.append((*cells, Cell(chosen_of(line)), Cell(str(len(line.seeds)))))
        if (line.data, line.model, line.run) in summary.published:
            names = [*([Cell("")] if models else []), Cell(f"{line.run}{PUBLISHED}", "dim")]
            said = [Cell(published(summary, line, m), "dim") for m in summary.measures]
            rows.append((*names, *said, Cell(""), Cell("")))
    return Table(
        (*columns, Column("chosen"), Column("seeds", right=True)), tuple(rows), keys=2 if models else 1
    )


def chosen(summary: Summary) -> list[str]:
    """The settings of every line, as one note: for tables that have no column for them. Nothing to tell: none."""
    places = {(line.data, line.model) for line in summary.lines}
    told = [
        (line.run if len(places) == 1 else f"{line.data} · {line.model} · {line.run}", chosen_of(line))
        for line in summary.lines
    ]
    shown = "; ".join(f"{name}: {settings}" for name, settings in told if settings)
    return [f"Settings: {shown}."] if shown else []


def chosen_of(line: Line) -> str:
    """The settings of a line that plans vary: rank, λ, learning rate; terms and epochs where they are no default."""
    found = _settings(line)
    told = [f"{shown} {found[k]:g}" for k, shown in _TOLD.items() if found.get(k) is not None]
    own, unread = line.settings.spec.terms, line.settings.unread()
    terms = [k for k in TERMS if k not in (*_TOLD, *unread) and found[k] != getattr(own, k)]
    epochs = [] if found["epochs"] == Settings().epochs or "epochs" in unread else ["epochs"]
    return ", ".join([*told, *(f"{k} {found[k]}" for k in (*terms, *epochs))])


def _settings(line: Line) -> dict[str, Any]:
    found = {k: v for k, v in asdict(line.settings).items() if k != "seed"}
    spec = line.settings.spec
    if not spec.penalises:
        found["penalty"] = None
    if not spec.trains_by_steps:
        found["lr"] = None
    if not spec.adapts:
        found["rank"] = None
    plain: dict[str, Any] = json.loads(json.dumps(found, default=list))
    return plain


def _plain(number: float) -> float | None:
    return None if math.isnan(number) else number
