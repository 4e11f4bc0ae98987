"""Contrasts against a limit: pass, fail or inconclusive, stratum by stratum. The whole verdict rule is here.

DESIGN §4.3: a stratum fails if a *simultaneous* one-sided bound lies beyond the limit; it passes if its *own*
one-sided bounds all lie inside (an intersection–union test, so no correction); else it is inconclusive.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil, isfinite
from typing import Any

import numpy as np

from fairaudit.contrasts import Contrasts
from fairaudit.intervals import critical
from fairaudit.strata import Members
from fairaudit.verdict import FAIL, INCONCLUSIVE, PASS, Stratum

Array = np.ndarray[Any, Any]
#: Fail tail, pass tail, and which contrasts are judged.
Plan = tuple[float, float, Array]
#: Power of the plan behind `rows_needed`, and the most rows (times those there are) it looks for.
POWER, MOST = 0.8, 100.0
#: A stratum too small to plan from its own rate is planned from one pulled to the mean as if by this many rows.
SHRINK = 10.0


@dataclass(frozen=True, slots=True)
class Limit:
    """`value` and the side: `at_least` for a floor, else a ceiling."""

    value: float
    at_least: bool

    def beyond(self, bound: float) -> bool:
        """Whether even this bound, the one nearest to the limit, breaks it."""
        return bound < self.value if self.at_least else bound > self.value

    def inside(self, bound: float) -> bool:
        """Whether even this bound, the one farthest out, keeps it."""
        return bound >= self.value if self.at_least else bound <= self.value

    def worst(self, values: Array) -> int:
        """Where the value farthest out stands."""
        return int(np.nanargmin(values) if self.at_least else np.nanargmax(values))

    def clipped(self, value: float, quotient: bool, comparison: bool) -> float:
        """A group against the best-off one is at most like itself: a ratio ends at 1, a difference at 0."""
        if not comparison or not isfinite(value):
            return value
        return min(value, 1.0) if quotient else max(value, 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One rate of a check by `by`: its members, how they become contrasts, and the limit.

    `size`: the first so many members are the strata (the rest of a contrast follows them). `judged`: (size,) which
    strata count (waived ones do not); `shown`: which the rule is about (others only serve as references).
    `of`: the rate, where it is not the metric of the rule. `quotient`: a ratio. `comparison`: with the best-off
    group, so a ratio ends at 1 and a difference at 0. `baseline`: the same strata before.
    """

    by: str
    members: Members
    build: Callable[[Members], Contrasts]
    limit: Limit
    size: int
    judged: Array
    shown: Array
    of: str | None = None
    quotient: bool = False
    comparison: bool = False
    baseline: Members | None = None

    @property
    def compares(self) -> bool:
        """Whether values are not the strata's own rates."""
        return (
            self.comparison
            or self.quotient
            or self.baseline is not None
            or self.size < len(self.members.value)
        )


def judge(part: Part, fail_tail: float, pass_tail: float) -> list[Stratum]:
    """The strata of a part. `fail_tail`: error of all fails of the part together; `pass_tail`: of each pass."""
    contrasts = part.build(part.members)
    used = contrasts.usable & part.judged[contrasts.stratum]
    far = contrasts.bounds(contrasts.critical(fail_tail, used), 1.0)
    own = contrasts.bounds(contrasts.own(pass_tail), 1.0)
    nearest = far[1] if part.limit.at_least else far[0]
    farthest = own[0] if part.limit.at_least else own[1]
    out = []
    for s in np.flatnonzero(part.shown).tolist():
        mine = np.flatnonzero(contrasts.stratum == s)
        out.append(_stratum(part, contrasts, s, mine, nearest, farthest, (fail_tail, pass_tail, used)))
    return out


def _stratum(
    part: Part, contrasts: Contrasts, s: int, mine: Array, nearest: Array, farthest: Array, plan: Plan
) -> Stratum:
    """One stratum from its contrasts: verdict, bounds, and what would decide where they do not."""
    members, limit = part.members, part.limit
    shown = _shown(part, contrasts, s, mine)
    usable = mine[contrasts.usable[mine]]
    if not members.evaluable[s] or not len(usable):
        theirs = contrasts.reasons[s] if contrasts.reasons else None
        reason = members.reasons[s] or theirs or "no other group with enough rows to compare with"
        needed = _small(part, s, plan) if members.reasons[s] else None
        return replace(shown, reason=reason, rows_needed=needed)
    beyond = float(nearest[usable].min() if limit.at_least else nearest[usable].max())
    inside = float(farthest[usable].min() if limit.at_least else farthest[usable].max())
    judged = replace(
        shown,
        fail_bound=_finite(limit.clipped(beyond, part.quotient, part.comparison)),
        pass_bound=_finite(limit.clipped(inside, part.quotient, part.comparison)),
    )
    if limit.beyond(beyond):
        return replace(judged, verdict=FAIL)
    if limit.inside(inside):
        return replace(judged, verdict=PASS)
    needed, reason = _more(part, contrasts, s, usable, plan)
    return replace(judged, reason=reason, rows_needed=needed)


def _shown(part: Part, contrasts: Contrasts, s: int, mine: Array) -> Stratum:
    """The stratum's numbers, not judged yet."""
    members = part.members
    values = contrasts.value[mine]
    at = mine[part.limit.worst(values)] if np.isfinite(values).any() else -1
    value = float(contrasts.value[at]) if at >= 0 else None
    if value is not None:
        value = part.limit.clipped(value, part.quotient, part.comparison)
    other = int(contrasts.against[at]) if at >= 0 else -1
    group, class_ = members.places[s]
    old = part.baseline
    rate = _finite(float(members.value[s]))
    numerator, denominator = (_plain(float(a[s])) for a in (members.numerator, members.denominator))
    return Stratum(
        group, INCONCLUSIVE, class_, value=value, rate=rate if part.compares else None,
        n=int(members.rows[s]), numerator=numerator, denominator=denominator, of=part.of,
        against=None if other < 0 else _name(members.places[other]),
        baseline=None if old is None else _finite(float(old.value[s])),
        baseline_n=None if old is None else int(old.rows[s]),
    )  # fmt: skip


def _name(place: tuple[str | None, str | None]) -> str | None:
    """A group; a class where the strata are classes."""
    return place[0] if place[0] is not None else place[1]


def _plain(value: float) -> float | int | None:
    """Counts as whole numbers."""
    return None if not isfinite(value) else int(value) if value.is_integer() else value


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None


def _more(part: Part, contrasts: Contrasts, s: int, usable: Array, plan: Plan) -> tuple[int | None, str]:
    """About how many more rows of the group would decide, with power 0.8 if its value stays; and why it is open."""
    reason = "the limit lies between the bounds"
    if (factor := _factor(part, contrasts, usable, plan, [s])) is not None:
        return ceil((factor - 1) * float(part.members.total[s])), reason
    others = sorted(set(contrasts.against[usable].tolist()) - {-1})
    for k in others:  # the group it is compared with may be the one that is too small
        if (factor := _factor(part, contrasts, usable, plan, [k])) is not None:
            more = ceil((factor - 1) * float(part.members.total[k]))
            name = f"{part.by}={_name(part.members.places[k])}"
            return (
                None,
                f"{reason}; about {more:,} more rows of {name}, which it is compared with, would decide",
            )
    if others and (factor := _factor(part, contrasts, usable, plan, [s, *others])) is not None:
        return None, f"{reason}; about {factor:.1f} times the rows of every group would decide"
    return None, f"{reason}, at the value or nearly: even {MOST:.0f} times the rows would not decide"


def _factor(part: Part, contrasts: Contrasts, usable: Array, plan: Plan, growing: list[int]) -> float | None:
    """By how much the rows of these strata must grow until a bound, less the power's share, decides."""
    fail_tail, pass_tail, used = plan
    slack = critical(1 - POWER)
    near, own = contrasts.critical(fail_tail, used) + slack, contrasts.own(pass_tail) + slack

    def decided(growth: float) -> bool:
        grown = np.ones(part.size)
        grown[growing] = growth
        far, mine = contrasts.bounds(near, grown), contrasts.bounds(own, grown)
        if part.limit.at_least:
            return part.limit.beyond(float(far[1][usable].min())) or part.limit.inside(
                float(mine[0][usable].min())
            )
        return part.limit.beyond(float(far[0][usable].max())) or part.limit.inside(
            float(mine[1][usable].max())
        )

    if not decided(MOST):
        return None
    low, high = 1.0, MOST
    while high / low > 1.01:
        middle = float(np.sqrt(low * high))
        low, high = (low, middle) if decided(middle) else (middle, high)
    return high


def _small(part: Part, s: int, plan: Plan) -> int | None:
    """More rows for a stratum that is too small to be judged: as if its rate were near that of the others."""
    members = part.members
    if members.shares is None or not members.evaluable.any() or members.rows[s] == 0:
        return None
    shares, rows = members.shares, float(members.rows[s])
    others = np.flatnonzero(members.evaluable[: part.size])
    mean = float(np.average(shares.value[others], weights=members.rows[others]))
    value, evaluable = shares.value.copy(), members.evaluable.copy()
    value[s] = (rows * shares.value[s] + SHRINK * mean) / (rows + SHRINK)
    evaluable[s] = True
    guess = replace(members, value=value, evaluable=evaluable, shares=replace(shares, value=value))
    contrasts = part.build(guess)
    usable = np.flatnonzero((contrasts.stratum == s) & contrasts.usable)
    if not len(usable):
        return None
    planned = replace(part, members=guess)
    factor = _factor(planned, contrasts, usable, (plan[0], plan[1], contrasts.usable), [s])
    return None if factor is None else ceil((factor - 1) * float(members.total[s]))
