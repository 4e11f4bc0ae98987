"""Finished sweeps without any training: cells with the test numbers that a test wants."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from fairaudit_mitigate.settings import Settings
from fairaudit_mitigate.sweeping.cells import Cell, Record, Shelf
from fairaudit_mitigate.sweeping.plan import Plan, contests
from fairaudit_mitigate.sweeping.plan_file import parse_plan
from fairaudit_mitigate.sweeping.results import Entry, Results

#: (metric, by) -> value
Numbers = Mapping[tuple[str, str], float | None]


def finished(
    folder: Path, text: str, numbers: Callable[[str, str, Settings], Numbers],
    score: Callable[[str, Settings], float] = lambda run, settings: 0.5, failed: tuple[str, ...] = (),
) -> Results:  # fmt: skip
    """The sweep of a plan (without [tune]) with these test numbers (model, run, settings) and validation scores."""
    plan = parse_plan(text, "plan.toml", folder)
    shelf = Shelf(folder / "s")
    return Results(plan, shelf, tuple(_entries(plan, shelf, numbers, score, failed)))


def _entries(
    plan: Plan, shelf: Shelf, numbers: Callable[[str, str, Settings], Numbers],
    score: Callable[[str, Settings], float], failed: tuple[str, ...],
) -> Iterator[Entry]:  # fmt: skip
    for contest in contests(plan):
        for settings in contest.finals(contest.candidates[0]):
            cell = Cell(
                contest.data,
                contest.model,
                settings,
                "auto",
                {"of": [contest.data, contest.model, contest.run]},
            )
            if contest.run in failed:
                record = Record(cell.key, "failed", "the loss is not finite")
            else:
                record = Record(
                    cell.key, "done", score=(score(contest.run, settings),), select="accuracy", seconds=14.0, ready=4.0,
                    peak_memory=2**30,
                )  # fmt: skip
                _write(shelf.audit(cell.key, "test"), numbers(contest.model, contest.run, settings))
            shelf.keep(record)
            yield Entry(contest, cell, record, final=True)


def _write(path: Path, numbers: Numbers) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    estimates = [
        {"metric": metric, "by": by, "group": None, "class": None, "value": value, "interval": None, "n": 100,
         "status": "ok", "reason": None}
        for (metric, by), value in numbers.items()
    ]  # fmt: skip
    path.write_text(json.dumps({"content": {"estimates": estimates}}))
