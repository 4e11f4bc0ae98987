"""How many rows would decide, and the smallest difference that given rows could show."""

from __future__ import annotations

from dataclasses import replace
from math import ceil
from typing import Any

import numpy as np

from fairaudit.contrasts import Contrasts
from fairaudit.intervals import critical
from fairaudit.judging import OPEN, Judged, Part, judge, place_name
from fairaudit.verdict import INCONCLUSIVE, Stratum

Array = np.ndarray[Any, Any]
#: Power of every plan: the chance that the rows asked for decide, if the rates stay as they are.
POWER = 0.8
#: The most rows, times those there are, that a plan looks for; and the most strata of a part that get one.
MOST, MOST_STRATA = 100.0, 40
#: Rows that a plan for a small stratum may reach for, however few it has.
FAR = 5000.0
#: A stratum too small to plan from its own rate is planned from one pulled to the mean as if by this many rows.
SHRINK = 10.0
_HOPELESS = f"the value is at the limit or nearly: even {MOST:.0f} times the rows would not decide"


def planned(
    part: Part, found: Judged, fail_tail: float, pass_tail: float, power: float = POWER
) -> list[Stratum]:
    """The judged strata, the open ones with about how many more rows would decide them (with this power)."""
    out, left = [], MOST_STRATA
    for s, place in zip(found.strata, found.places, strict=True):
        if s.verdict != INCONCLUSIVE or left == 0:
            out.append(s)
            continue
        left -= 1
        tails = (fail_tail, pass_tail, power)
        if s.reason == OPEN:
            rows, reason = _more(part, found, place, tails)
            out.append(replace(s, rows_needed=rows, reason=reason))
        elif part.members.reasons[place]:
            out.append(_with_rows(part, s, place, tails))
        else:
            out.append(s)
    return out


Tails = tuple[float, float, float]


def _more(part: Part, found: Judged, s: int, tails: Tails) -> tuple[int | None, str]:
    """More rows of the group that would decide if its value stays; or of whom else, in the reason."""
    contrasts = found.contrasts
    usable = np.flatnonzero((contrasts.stratum == s) & contrasts.usable)
    if (factor := _factor(part, contrasts, found.used, usable, tails, [s])) is not None:
        return ceil((factor - 1) * float(part.members.total[s])), OPEN
    values = contrasts.value[usable]
    other = int(contrasts.against[usable[part.limit.worst(values)]]) if np.isfinite(values).any() else -1
    if other < 0:  # alone, against the baseline, or against all the others together
        factor = _factor(part, contrasts, found.used, usable, tails, None)
        return (
            None,
            _HOPELESS if factor is None else f"about {factor:.1f} times the rows of every group would decide",
        )
    # the group it is compared with may be the one that is too small
    if (factor := _factor(part, contrasts, found.used, usable, tails, [other])) is not None:
        more = ceil((factor - 1) * float(part.members.total[other]))
        name = f"{part.by}={place_name(part.members.places[other])}"
        return None, f"about {more:,} more rows of {name}, which it is compared with, would decide"
    everybody = sorted({s, *contrasts.against[usable].tolist()} - {-1})
    if (factor := _factor(part, contrasts, found.used, usable, tails, everybody)) is not None:
        return None, f"about {factor:.1f} times the rows of every group would decide"
    return None, _HOPELESS


def _factor(
    part: Part,
    contrasts: Contrasts,
    used: Array,
    usable: Array,
    tails: Tails,
    growing: list[int] | None,
    most: float = MOST,
) -> float | None:
    """By how much the rows of these strata (None: all) must grow until a bound of `usable`, less the power's share,
    decides; None where even `most` times the rows do not.
    """
    fail_tail, pass_tail, power = tails
    slack = critical(1 - power)
    near, own = contrasts.critical(fail_tail, used) + slack, contrasts.own(pass_tail) + slack
    limit = part.limit

    def decided(growth: float) -> bool:
        grown: Array | float = growth
        if growing is not None:
            grown = np.ones(part.size)
            grown[growing] = growth
        far, mine = (contrasts.bounds(z, grown, usable) for z in (near, own))
        return limit.beyond(limit.near(*far)) or limit.inside(limit.out(*mine))

    if not decided(most):
        return None
    low, high = 1.0, most
    while high / low > 1.03:
        middle = float(np.sqrt(low * high))
        low, high = (low, middle) if decided(middle) else (middle, high)
    return high


def _with_rows(part: Part, s: Stratum, place: int, tails: Tails) -> Stratum:
    """A stratum that is too small, with what would decide it, or at least let it be judged."""
    needed = _small(part, place, tails)
    rows, total = float(part.members.rows[place]), float(part.members.total[place])
    if needed is not None or rows >= part.least:
        return replace(s, rows_needed=needed)
    share = rows / total if rows else 1.0
    more = ceil((part.least - rows) / share)
    return replace(s, reason=f"{s.reason}; at least {more} more would be needed to be judged at all")


def _small(part: Part, s: int, tails: Tails) -> int | None:
    """More rows for a stratum that is too small to be judged: as if its rate were near that of the others."""
    members = part.members
    if members.shares is None or not members.evaluable.any() or members.rows[s] == 0:
        return None
    shares, rows = members.shares, float(members.rows[s])
    others = np.flatnonzero(members.evaluable[: part.size])
    if not len(others):
        return None
    mean = float(np.average(shares.value[others], weights=members.rows[others]))
    value, evaluable = shares.value.copy(), members.evaluable.copy()
    value[s] = (rows * shares.value[s] + SHRINK * mean) / (rows + SHRINK)
    evaluable[s] = True
    guess = replace(members, value=value, evaluable=evaluable, shares=replace(shares, value=value))
    as_if = replace(part, members=guess)
    found = judge(as_if, tails[0], tails[1])
    usable = np.flatnonzero((found.contrasts.stratum == s) & found.contrasts.usable)
    if not len(usable):
        return None
    most = max(MOST, FAR / rows)
    factor = _factor(as_if, found.contrasts, found.contrasts.usable, usable, tails, [s], most)
    if factor is None:
        return None
    least = max(factor, part.least / rows)  # and enough to be judged at all
    return ceil((least - 1) * float(members.total[s]))
