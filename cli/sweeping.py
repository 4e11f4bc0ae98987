"""What `fairaudit sweep` shows, and its exit code: the numbers are fairaudit_mitigate's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fairaudit.document import document
from fairaudit.errors import FairauditError, did_you_mean
from fairaudit.report import text
from fairaudit.report.blocks import Block

if TYPE_CHECKING:
    from fairaudit_mitigate.sweeping.plan import Plan
    from fairaudit_mitigate.voice import Voice

TABLES = ("md", "csv", "latex")
FORMATS = ("json", *TABLES, "tests", "text")
DONE, NOTHING, INCOMPLETE = 0, 2, 3


@dataclass(frozen=True, slots=True)
class Shown:
    """What a sweep came to: a page, the texts of its formats, the exit code."""

    page: list[Block]
    writers: Mapping[str, Callable[[], str]]
    exit_code: int


def check(table: str | None) -> None:
    """Raise FairauditError for a form of table that there is not."""
    if table is not None and table not in TABLES:
        raise FairauditError(f"--table is {', '.join(TABLES)}, not '{table}'.{did_you_mean(table, TABLES)}")


def read(path: str, data: Sequence[str] | None, models: Sequence[str] | None) -> Plan:
    """The plan, with other places for its data sets and models where they are given."""
    from fairaudit_mitigate.sweeping.plan import moved
    from fairaudit_mitigate.sweeping.plan_file import read_plan

    return moved(read_plan(path), data or (), models or ())


def listed(plan: Plan, out: str, only: str, search: int, voice: Voice) -> str:
    """The cells, one a line, with what is there of each; of a search, what it is over."""
    if search:
        from fairaudit_mitigate.sweeping.search import spaces

        found = [s for s in spaces(plan) if only in str(s.base)]
        return "".join(f"{s}: {search} trials\n" for s in found)
    from fairaudit_mitigate.sweeping.sweep import listing

    cells = listing(plan, out, only, voice)
    missing = sum(state == "to run" for _, state in cells)
    lines = [f"{cell.key}  {cell}  {state}" for cell, state in cells]
    later = "" if plan.tune is None else "; what validation chooses then runs over the other seeds"
    return "\n".join([*lines, f"{len(cells)} cells, {missing} to run{later}"]) + "\n"


def run(
    plan: Plan, out: str, voice: Voice, beside: str | None, draws: int, plots: str | None, **how: Any
) -> Shown:
    """Run the sweep and put what it found into words. `draws`: of the paired bootstrap, 0 for none."""
    from fairaudit_mitigate.sweeping import page, tables
    from fairaudit_mitigate.sweeping.beside import check_published, with_published
    from fairaudit_mitigate.sweeping.bootstrap import bootstrap, too_few
    from fairaudit_mitigate.sweeping.drawing import draw
    from fairaudit_mitigate.sweeping.significance import default_family, t_tests
    from fairaudit_mitigate.sweeping.summary import summarise
    from fairaudit_mitigate.sweeping.sweep import sweep

    if beside is not None:
        check_published(beside, plan)
    results = sweep(plan, out, voice=voice, **how)
    summary = summarise(results)
    if beside is not None:
        summary = with_published(summary, beside)
    tests = t_tests(summary, plan.family or default_family(summary))
    drawn = bootstrap(summary, results, draws) if draws else None
    if drawn and (warning := too_few(len(drawn), draws)):
        voice.say(warning)
    for path in draw(results, summary, plots) if plots else ():
        voice.say(f"wrote {path}")
    code, told = _exit_code(results), [*page.chosen(summary), *page.notes(summary, tests, drawn)]
    blocks = page.page(results, summary, tests, drawn)
    every = [*(("t", t) for t in tests), *(("bootstrap", t) for t in drawn or ())]
    writers: dict[str, Callable[[], str]] = {
        "json": lambda: document(
            page.SCHEMA, page.VERSION, page.content(results, summary, tests, drawn), exit_code=code
        ),
        "text": lambda: text.plain(text.lines(blocks)),
        "md": lambda: "\n".join([tables.markdown(summary, tests), *told, ""]),
        "csv": lambda: tables.comma(summary, tests),
        "latex": lambda: "".join([tables.latex(summary, tests), *(f"% {note}\n" for note in told)]),
        "tests": lambda: tables.differences(every),
    }
    return Shown(blocks, writers, code)


def _exit_code(results: Any) -> int:
    if not results.failed:
        return DONE
    return NOTHING if len(results.failed) == len(results.entries) else INCOMPLETE
