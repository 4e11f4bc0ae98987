"""The one error of the house, and the hint that goes with a wrong name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class FairauditError(Exception):
    """A problem the user can mend: one sentence with the rule, the fact and what to do.

    The command line prints it after `error: ` and exits with 2; it never shows a traceback for it.
    """


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` Did you mean 'x'?` for the known name nearest to `name`, or an empty string.

    >>> did_you_mean("gender", ["id", "gendre"])
    " Did you mean 'gendre'?"
    >>> did_you_mean("zzz", ["id"])
    ''
    """
    lower = {k.lower(): k for k in known}
    close = difflib.get_close_matches(name.lower(), list(lower), n=1, cutoff=0.6)
    return f" Did you mean '{lower[close[0]]}'?" if close else ""


def missing_column(name: str, columns: Iterable[str], where: str) -> FairauditError:
    """The error for a column that is not there, with the columns that are and the nearest one."""
    known = list(columns)
    shown = ", ".join(known[:20]) + (f", … {len(known) - 20} more" if len(known) > 20 else "")
    return FairauditError(f"no column '{name}' in {where} (columns: {shown}).{did_you_mean(name, known)}")
