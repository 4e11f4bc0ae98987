"""Published numbers beside one's own: a table of results matched by the names of data set, model and method."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from fairaudit.errors import FairauditError
from fairaudit.published import KEYS, Printed, read_published
from fairaudit_mitigate.sweeping.plan import Plan
from fairaudit_mitigate.sweeping.summary import Summary


def check_published(path: str | Path, plan: Plan) -> None:
    """Raise FairauditError, before anything is trained, for a file that has nothing to set beside the plan's runs."""
    theirs = [row.key[:3] for row in read_published(str(path)).rows]
    ours = [(d, m, run.name) for run in plan.runs for d in run.data for m in run.models]
    if not {_key(*names) for names in theirs} & {_key(*names) for names in ours}:
        raise FairauditError(
            f"no row of '{path}' has the data set, model and method of a run of the plan (there: "
            f"{' · '.join(theirs[0])}; here: {' · '.join(ours[0])}); use the same names."
        )


def with_published(summary: Summary, path: str | Path) -> Summary:
    """The table with the published numbers of `path` (CSV, as `fairaudit explain --check-table` reads it).

    Names are compared without regard to case, blanks and signs: `Fair-FFT` is `fair-fft` is `FairFFT`. Raises
    FairauditError where no row of the file is a row of the table.
    """
    found: dict[tuple[str, ...], dict[str, Printed]] = {}
    for row in read_published(str(path)).rows:
        names = dict(zip(KEYS, row.key, strict=True))
        found.setdefault(_key(names["dataset"], names["model"], names["method"]), {}).update(row.numbers)
    ours = {
        _key(line.data, line.model, line.run): (line.data, line.model, line.run) for line in summary.lines
    }
    matched = {ours[key]: numbers for key, numbers in found.items() if key in ours}
    if not matched:
        mine = " · ".join(next(iter(ours.values()), ("nothing",)))
        theirs = " · ".join(next(iter(found), ("nothing",)))
        raise FairauditError(
            f"no row of '{path}' has the data set, model and method of a row of this sweep (there: {theirs}; "
            f"here: {mine}); use the same names."
        )
    return replace(summary, published=matched)


def _key(*names: str) -> tuple[str, ...]:
    return tuple("".join(c for c in name.casefold() if c.isalnum()) for name in names)
