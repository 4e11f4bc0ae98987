"""How the numbers of a check are written: in one sentence or bracket all with the same decimals."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite

from fairaudit.judging import BEST, OPEN
from fairaudit.report.words import is_share
from fairaudit.verdict import Check, Stratum

#: The kinds whose limit is a difference, so counted in points where the metric is in percent.
_POINTS = ("max_difference", "max_increase", "max_decrease", "no_group_worse")
#: More decimals than usual that a number may get.
_MORE = 5


def form(check: Check) -> str:
    """The kind of number that the strata hold: a limit on a `…_difference` is judged pair by pair."""
    return check.form or check.kind


def rate_name(check: Check, s: Stratum) -> str:
    """What the rate of a stratum is a rate of: of a class found by one group and by the rest, it is recall."""
    if check.metric in ("eod", "eod_max"):
        # against the rest `eod` is the gap itself, and what stands beside it is what the gap is of
        return "recall" if check.reference in ("rest", "overall") else "eod"
    return s.of or check.metric


def best_off(s: Stratum) -> bool:
    """Whether a stratum is better off than every other, so that there is nobody to compare it with."""
    return s.reason == BEST


def judged(s: Stratum) -> bool:
    """Whether there was anything to judge it by: too few rows give a rate, and no comparison."""
    return not (s.fail_bound is None and s.pass_bound is None and s.reason not in (None, OPEN, BEST))


def own(metric: str, value: float) -> str:
    """A stratum's own rate.

    >>> own("tpr", 1.0), own("roc_auc", 0.5)
    ('100.0 %', '0.500')
    """
    return _plain(value, 3) if not is_share(metric) else f"{_plain(100 * value, 1)} %"


def amount(check: Check, value: float) -> str:
    """A number that the limit is about: `12.3 %`, `4.0 points` (a difference or change), `0.62` (a ratio)."""
    return writer(check, value)(value)


def writer(check: Check, *values: float | None) -> Callable[[float], str]:
    """How to write these numbers and the limit: as many decimals as the limit has, at least the usual ones.

    More where another number would be written like the limit and is not the limit: nothing is rounded onto it.
    """
    told = [v for v in values if v is not None and isfinite(v) and v != check.limit]

    def enough(more: int) -> bool:
        limit = _written(check, check.limit, more)
        return all(_written(check, v, more) != limit for v in told)

    exact = next((m for m in range(_MORE) if _exact(check, m)), 0)
    more = next((m for m in range(exact, _MORE) if enough(m)), _MORE)
    return lambda value: _written(check, value, more)


def bare(text: str) -> str:
    """A number without its unit."""
    return text.removesuffix(" %").removesuffix(" points")


def _unit(check: Check) -> tuple[int, int, str]:
    """Scale, usual decimals, and unit."""
    if form(check) == "min_ratio":
        return 1, 2, ""
    if not is_share(check.metric):
        return 1, 3, ""
    return 100, 1, " points" if form(check) in _POINTS else " %"


def _exact(check: Check, more: int) -> bool:
    scale, digits, _ = _unit(check)
    return abs(round(scale * check.limit, digits + more) - scale * check.limit) < 1e-9


def _written(check: Check, value: float, more: int) -> str:
    scale, digits, unit = _unit(check)
    return _plain(scale * value, digits + more) + unit


def _plain(value: float, digits: int) -> str:
    """A decimal with a real minus, and none before zero."""
    text = f"{value:.{digits}f}"
    return (text if text.strip("-0.") else text.removeprefix("-")).replace("-", "−")
