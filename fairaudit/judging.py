"""Contrasts against a limit: pass, fail or inconclusive, stratum by stratum. The whole verdict rule is here.

DESIGN §4.3: a stratum fails if a *simultaneous* one-sided bound lies beyond the limit; it passes if its *own*
one-sided bounds all lie inside (an intersection–union test, so no correction); else it is inconclusive.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

import numpy as np

from fairaudit.contrasts import Contrasts, Ends
from fairaudit.strata import Members
from fairaudit.verdict import FAIL, INCONCLUSIVE, PASS, Stratum

Array = np.ndarray[Any, Any]
#: Why a stratum with enough rows is open.
OPEN = "the limit lies between the bounds"
#: Why a stratum is held against nobody.
BEST = "best off"


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

    def near(self, low: Array, high: Array) -> float:
        """Of bounds, the one nearest to the limit: what can fail."""
        return float(high.min() if self.at_least else low.max())

    def out(self, low: Array, high: Array) -> float:
        """Of bounds, the one farthest out: what must pass."""
        return float(low.min() if self.at_least else high.max())

    def worst(self, values: Array) -> int:
        """Where the value farthest out stands."""
        return int(np.nanargmin(values) if self.at_least else np.nanargmax(values))


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One rate of a check by `by`: its members, how they become contrasts, and the limit.

    `size`: the first so many members are the strata (the rest of a contrast follows them). `judged`: (size,) which
    strata count (waived ones do not); `shown`: which the rule is about (others only serve as references).
    `of`: the rate, where it is not the metric of the rule. `least`: rows a
    stratum needs to be judged. `quotient`: a ratio. `comparison`: with the best-off
    group. `absolute`: differences of both signs, so the largest is never below 0. `baseline`: the same strata before.
    """

    by: str
    members: Members
    build: Callable[[Members], Contrasts]
    limit: Limit
    size: int
    judged: Array
    shown: Array
    of: str | None = None
    least: int = 0
    quotient: bool = False
    comparison: bool = False
    absolute: bool = False
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


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """The strata of a part (`places`: their positions among its members), the contrasts, and which were judged."""

    strata: tuple[Stratum, ...]
    places: tuple[int, ...]
    contrasts: Contrasts
    used: Array


def judge(part: Part, fail_tail: float, pass_tail: float) -> Judged:
    """Pass, fail or inconclusive. `fail_tail`: error of all fails of the part together; `pass_tail`: of each pass."""
    contrasts = part.build(part.members)
    used = contrasts.usable & part.judged[contrasts.stratum]
    far = contrasts.bounds(contrasts.critical(fail_tail, used), 1.0, None)
    own = contrasts.bounds(contrasts.own(pass_tail), 1.0, None)
    places = tuple(np.flatnonzero(part.shown).tolist())
    mine = contrasts.of_stratum()
    strata = tuple(_stratum(part, contrasts, s, mine(s), far, own) for s in places)
    return Judged(strata, places, contrasts, used)


def _stratum(part: Part, contrasts: Contrasts, s: int, mine: Array, far: Ends, own: Ends) -> Stratum:
    """One stratum from its contrasts: the bound nearest to the limit can fail it, the one farthest out can pass it."""
    members, limit = part.members, part.limit
    usable = mine[contrasts.usable[mine]]
    shown = _shown(part, contrasts, s, usable if len(usable) else mine)
    if not members.evaluable[s] or not len(usable):
        theirs = contrasts.reasons[s] if contrasts.reasons else None
        reason = members.reasons[s] or theirs or "no other group with enough rows to compare with"
        return replace(shown, reason=reason)
    beyond, inside = limit.near(*(e[usable] for e in far)), limit.out(*(e[usable] for e in own))
    shown_beyond = max(beyond, 0.0) if part.absolute else beyond
    judged = replace(shown, fail_bound=_finite(shown_beyond), pass_bound=_finite(inside))
    if limit.beyond(beyond):
        return replace(judged, verdict=FAIL)
    if limit.inside(inside):
        unseen = [k for k in contrasts.against[mine].tolist() if k >= 0 and not members.evaluable[k]]
        if blind := [k for k in unseen if k < part.size and part.judged[k] and not part.shown[k]]:
            names = ", ".join(place_name(members.places[k]) or "" for k in blind)
            return replace(judged, reason=f"too few rows of {names} to compare with")
        return _best_off(part, replace(judged, verdict=PASS))
    return replace(judged, reason=OPEN)


def _best_off(part: Part, s: Stratum) -> Stratum:
    """A stratum that is better off than every other is compared with nobody: its ratio is 1, its difference 0."""
    if not part.comparison or s.value is None:
        return s
    alike = 1.0 if part.quotient else 0.0
    if s.value <= alike if part.quotient else s.value >= alike:
        return s
    closer = min if part.quotient else max
    ends = [alike if b is None else closer(b, alike) for b in (s.fail_bound, s.pass_bound)]
    return replace(s, value=alike, against=None, reason=BEST, fail_bound=ends[0], pass_bound=ends[1])


def _shown(part: Part, contrasts: Contrasts, s: int, mine: Array) -> Stratum:
    """The stratum's numbers, not judged yet. `mine`: the contrasts that its value is the worst of."""
    members = part.members
    values = contrasts.value[mine]
    at = mine[part.limit.worst(values)] if np.isfinite(values).any() else -1
    value = float(contrasts.value[at]) if at >= 0 else None
    other = int(contrasts.against[at]) if at >= 0 else -1
    group, class_ = members.places[s]
    old = part.baseline
    rate = _finite(float(members.value[s]))
    numerator, denominator = (_plain(float(a[s])) for a in (members.numerator, members.denominator))
    return Stratum(
        group, INCONCLUSIVE, class_, value=value, rate=rate if part.compares else None,
        n=int(members.rows[s]), numerator=numerator, denominator=denominator, of=part.of,
        against=None if other < 0 else place_name(members.places[other]),
        baseline=None if old is None else _finite(float(old.value[s])),
        baseline_n=None if old is None else int(old.rows[s]),
    )  # fmt: skip


def place_name(place: tuple[str | None, str | None]) -> str | None:
    """A group; a class where the strata are classes."""
    return place[0] if place[0] is not None else place[1]


def _plain(value: float) -> float | int | None:
    """Counts as whole numbers."""
    return None if not isfinite(value) else int(value) if value.is_integer() else value


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None
