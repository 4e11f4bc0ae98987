"""Plans: rows that a rule needs before it can decide, and the smallest gap that given rows could show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from math import ceil, sqrt
from typing import Any

import numpy as np

from fairaudit import contrasts
from fairaudit.auditing import Audit
from fairaudit.errors import FairauditError, did_you_mean
from fairaudit.estimate import Estimate
from fairaudit.intervals import Shares, critical, rows_behind
from fairaudit.judging import Limit
from fairaudit.planning import POWER
from fairaudit.rates import RATES
from fairaudit.simultaneous import tukey
from fairaudit.strata import Members

Array = np.ndarray[Any, Any]
KINDS = ("min", "max", "max_difference", "min_ratio")
FEWEST, MOST_ROWS = 5, 1e9


@dataclass(frozen=True, slots=True)
class Scenario:
    """`groups` equal groups, of which one may be worse off, under a rule of `kind` and `limit`.

    `rate`: of the other groups. `alpha`: one-sided, of the rule. `power`: the chance that the rows decide.
    """

    kind: str
    limit: float
    rate: float
    groups: int
    alpha: float = 0.05
    power: float = POWER

    def __post_init__(self) -> None:
        """Refuse values without a meaning."""
        if self.kind not in KINDS:
            raise FairauditError(
                f"there is no rule kind '{self.kind}' to plan.{did_you_mean(self.kind, KINDS)}"
            )
        inside = {"--rate": self.rate, "--alpha": self.alpha, "--power": self.power}
        for name, value in inside.items():
            if not 0 < value < 1:
                raise FairauditError(f"{name} must lie inside (0, 1), not {value:g}.")
        if not 0 < self.limit < 1 and not (self.kind == "min_ratio" and self.limit == 1):
            raise FairauditError(
                f"the limit of a {self.kind} plan must lie inside (0, 1), not {self.limit:g}."
            )
        reached = {"min": self.rate > self.limit, "max": self.rate < self.limit}.get(self.kind, True)
        if not reached:
            side = "above" if self.kind == "min" else "below"
            raise FairauditError(
                f"with --rate {self.rate:g} the other groups do not keep a {self.kind} of {self.limit:g} themselves; "
                f"give a rate {side} it."
            )
        if self.groups < (2 if self.kind in ("max_difference", "min_ratio") else 1):
            raise FairauditError(
                f"a {self.kind} plan needs at least two groups, not {self.groups}; say --groups."
            )

    def worse(self, true: float) -> float | None:
        """The rate of the worse-off group where the number the limit is about is `true`; None where there is none."""
        if self.kind in ("min", "max"):
            return true if 0 <= true <= 1 else None
        found = self.rate * true if self.kind == "min_ratio" else self.rate - true
        return found if 0 <= found <= 1 else None

    def decision(self, true: float, rows: float) -> str:
        """`pass`, `fail` or `inconclusive`: what so many rows a group say with the power asked for."""
        worse = self.worse(true)
        if worse is None:
            return "inconclusive"
        limit = Limit(self.limit, self.kind in ("min", "min_ratio"))
        rates = np.array([self.rate] * (self.groups - 1) + [worse])
        found = self._contrasts(rates, rows)
        values, used = found.value, np.ones(len(found.value), bool)
        near = np.isclose(values, values[limit.worst(values)], atol=1e-9)
        chances = int((near & (found.stratum == self.groups - 1)).sum())
        far = found.bounds(found.critical(self.alpha, used) + _any_slack(self.power, chances), 1.0, None)
        if limit.beyond(limit.near(*far)):
            return "fail"
        # all must pass at once, so the chance of missing is shared by those that are as near to the limit as the worst
        slack = critical((1 - self.power) / max(int(near.sum()), 1))
        own = found.bounds(found.own(self.alpha) + slack, 1.0, None)
        return "pass" if limit.inside(limit.out(*own)) else "inconclusive"

    def _contrasts(self, rates: Array, rows: float) -> contrasts.Contrasts:
        m = len(rates)
        n = np.full(m, float(rows))
        places = tuple((f"group {k + 1}", None) for k in range(m))
        members = Members(places, rates, n, n, rates * n, n, np.ones(m, bool), (None,) * m, Shares(rates, n))
        if self.kind in ("min", "max"):
            return contrasts.single(members)
        return contrasts.all_pairs(members, quotient=self.kind == "min_ratio", lower_is_better=False)

    def _extremes(self) -> tuple[float, float]:
        """The best and the worst that the number the limit is about can be."""
        ends = {
            "min": (1.0, 0.0),
            "max": (0.0, 1.0),
            "min_ratio": (1.0, 0.0),
            "max_difference": (0.0, self.rate),
        }
        return ends[self.kind]

    def rows(self, true: float) -> int | None:
        """Rows a group (in the denominator) after which the rule decides; None where no number of rows would."""
        if self.decision(true, MOST_ROWS) == "inconclusive":
            return None
        low, high = float(FEWEST), MOST_ROWS
        if self.decision(true, low) != "inconclusive":
            return FEWEST
        while high - low > max(1.0, low * 1e-3):
            middle = sqrt(low * high)
            low, high = (middle, high) if self.decision(true, middle) == "inconclusive" else (low, middle)
        return ceil(high)

    def nearest(self, rows: float, verdict: str) -> float | None:
        """The value nearest to the limit of which so many rows a group would say `pass` (or `fail`); None if none."""
        best, worst = self._extremes()
        end = best if verdict == "pass" else worst
        if self.decision(end, rows) != verdict:
            return None
        inside, outside = end, self.limit
        for _ in range(40):
            middle = (inside + outside) / 2
            inside, outside = (
                (middle, outside) if self.decision(middle, rows) == verdict else (inside, middle)
            )
        return inside

    def candidates(self) -> tuple[float, ...]:
        """True values worth a line: the best, some on the way to the limit, and some beyond it."""
        best, worst = self._extremes()
        inside = [self.limit + (best - self.limit) * f for f in (1, 0.75, 0.5, 0.25)]
        beyond = [self.limit + (worst - self.limit) * f for f in (0.0625, 0.125, 0.25, 0.5)]
        return tuple(round(v, 6) for v in (*inside, *beyond) if self.worse(v) is not None)


@lru_cache(maxsize=64)
def _any_slack(power: float, chances: int) -> float:
    """t with P(some e_i > −t) = power, for so many e_i = (u + v_i)/√2 that share half of their noise.

    A group that is worse than several others has as many chances to fail. One chance: the normal quantile.
    """
    from fairaudit.special import ndtr

    if chances <= 1:
        return critical(1 - power)
    u = np.linspace(-8.0, 8.0, 1601)
    density = np.exp(-u * u / 2) / sqrt(2 * np.pi) * (u[1] - u[0])
    low, high = -8.0, 8.0
    for _ in range(50):
        t = (low + high) / 2
        none = float(np.sum(density * ndtr(-sqrt(2) * t - u) ** chances))
        low, high = (t, high) if 1 - none < power else (low, t)
    return high


@dataclass(frozen=True, slots=True)
class Visible:
    """One group's rows (in the denominator) and rate, and the smallest gap to the largest other group they could show.

    `gap`: None where even the largest possible gap could stay unseen. `needed`: rows for a gap of the size asked.
    """

    by: str
    group: str
    rows: int
    rate: float | None
    gap: float | None
    needed: int | None


def visible(audit: Audit, metric: str, gap: float | None = None, power: float = POWER) -> list[Visible]:
    """For each group of each attribute, the smallest gap in a rate that its rows would show with this power.

    Δ = (z + z_β) √(p̄(1 − p̄)(1/n + 1/n_h)) with p̄ the rate of all rows, n_h the largest other group, and z the
    simultaneous critical value of the report's intervals (Tukey over the groups that can be judged): normal theory.
    `gap`: a size, for the rows that each group would need to show it. Rows are effective rows where weighted.
    """
    if metric not in RATES:
        raise FairauditError(
            f"a plan needs a rate ({', '.join(RATES)}), not '{metric}'.{did_you_mean(metric, RATES)}"
        )
    if gap is not None and not 0 < gap < 1:
        raise FairauditError(f"--gap must lie inside (0, 1), not {gap:g}: 0.05 is five points.")
    if not 0 < power < 1:
        raise FairauditError(f"--power must lie inside (0, 1), not {power:g}.")
    if not audit.groups:
        raise FairauditError(
            "no sensitive attribute is named or found, so there are no groups to plan; say -s COL."
        )
    apart = not (audit.data["weighted"] or audit.data["clustered"])
    out = []
    for by in dict.fromkeys(str(g["attribute"]) for g in audit.groups):
        found = [e for e in audit.estimates if (e.metric, e.by) == (metric, by) and e.class_ is None]
        if not found:
            raise FairauditError(
                f"this audit has no {metric} by {by}: it needs two classes with a positive one; say --positive or "
                "--metric accuracy."
            )
        rows = [_effective(e, apart) for e in found]
        pooled = _pooled([(e.value, e.n) for e in found])
        judged = max(sum(e.n >= audit.settings.min_events for e in found), 2)
        reach = tukey(judged, round(audit.settings.level, 12)) + critical(1 - power)
        largest, second = (*sorted(range(len(rows)), key=lambda k: -rows[k])[:2], None)[:2]
        for k, e in enumerate(found):
            at = second if k == largest else largest
            other = 0.0 if at is None else rows[at]
            out.append(Visible(by, str(e.group), e.n, e.value, *_seen(pooled, rows[k], other, reach, gap)))
    return out


def _effective(e: Estimate, apart: bool) -> float:
    """The rows a rate is worth: its own where every row counts once and stands apart."""
    if apart:
        return float(e.n)
    return 0.0 if e.interval is None or e.value is None else rows_behind(e.value, e.interval)


def _pooled(found: Sequence[tuple[float | None, int]]) -> float:
    total = sum(n for v, n in found if v is not None)
    hits = sum(v * n for v, n in found if v is not None)
    # half a row each way: a rate of 0 or 1 says that changes are rare, not that they cannot be
    return (hits + 0.5) / (total + 1)


def _seen(
    p: float, n: float, other: float, reach: float, gap: float | None
) -> tuple[float | None, int | None]:
    """(smallest gap, rows needed for `gap`)."""
    if other == 0:
        return None, None
    unit = reach * reach * p * (1 - p)
    delta = sqrt(unit * (1 / max(n, 1) + 1 / other)) if n else None
    if delta is not None and delta > max(p, 1 - p):
        delta = None
    needed = None
    if gap is not None:
        left = gap * gap / unit - 1 / other
        needed = ceil(1 / left) if left > 0 else None
    return delta, needed


def scenario_record(s: Scenario, rows: int | None) -> dict[str, Any]:
    """A plan as plain values: what was asked, a line for each true value, and what `rows` rows a group could show."""
    lines = []
    for true in s.candidates():
        needed = s.rows(true)
        lines.append(
            {"true": true, "rows": needed, "verdict": None if needed is None else s.decision(true, needed)}
        )
    given = None if rows is None else {"rows": rows, **{v: s.nearest(rows, v) for v in ("pass", "fail")}}
    return {**asdict(s), "plan": lines, "given": given}


def visible_record(found: Sequence[Visible], metric: str, gap: float | None, power: float) -> dict[str, Any]:
    """The smallest gaps as plain values."""
    return {"metric": metric, "gap": gap, "power": power, "groups": [asdict(v) for v in found]}
