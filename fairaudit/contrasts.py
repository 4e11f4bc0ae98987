"""What a limit is held against: single numbers, differences, ratios and changes of strata, with their bounds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np

from fairaudit.intervals import Bounded, Shares, critical, criticals, difference, exact, ratio
from fairaudit.simultaneous import tukey
from fairaudit.strata import Members

Array = np.ndarray[Any, Any]
Ends = tuple[Array, Array]
#: (critical value or values, growth, which contrasts or None for all) -> (low, high).
Bounds = Callable[["Array | float", "Array | float", "Array | None"], Ends]


@dataclass(frozen=True, slots=True, eq=False)
class Contrasts:
    """Numbers held against one limit, all (n,).

    `stratum`: which stratum each speaks for; `against`: the stratum it is compared with, −1 for none. `usable`: both
    sides are evaluable. `bounds(z, growth, index)`: (low, high) at one-sided critical values (one, or one for each of
    all contrasts), as if each stratum had `growth` times its rows; of all contrasts, or of those at `index`. `df`: of
    the bounds. `pairs_of`: how many independent strata all pairs are formed of (0: not all pairs), for Tukey's range
    instead of Bonferroni. `joint`: the bounds are simultaneous already. `reasons`: of each stratum, why the other
    side is not usable.
    """

    stratum: Array
    against: Array
    value: Array
    usable: Array
    bounds: Bounds
    df: Array | float = inf
    pairs_of: int = 0
    joint: bool = False
    reasons: tuple[str | None, ...] = ()

    def of_stratum(self) -> Callable[[int], Array]:
        """stratum -> the positions of its contrasts, in order."""
        order = np.argsort(self.stratum, kind="stable")
        ends = np.searchsorted(self.stratum[order], np.arange(self.stratum.max(initial=-1) + 2))
        return lambda s: order[ends[s] : ends[s + 1]] if s + 1 < len(ends) else order[:0]

    def critical(self, tail: float, used: Array) -> Array | float:
        """The value(s) at which all the used bounds hold together with error `tail`: one-sided, single-step."""
        if self.joint:
            return critical(tail / 2)
        z = self._each(tail / max(int(used.sum()), 1))
        if self.pairs_of > 1 and not isinstance(z, np.ndarray):
            # the largest of all ordered differences is the range, so Tukey's quantile at 1 − tail is one-sided here;
            # not so for ratios, p_i − L p_j, whose largest is no range
            return max(critical(tail), min(z, tukey(self.pairs_of, round(1 - tail, 12))))
        return z

    def own(self, tail: float) -> Array | float:
        """The value(s) for each bound by itself."""
        return critical(tail / 2) if self.joint else self._each(tail)

    def _each(self, tail: float) -> Array | float:
        return criticals(tail, self.df) if isinstance(self.df, np.ndarray) else critical(tail, self.df)


def _at(values: Array | float, index: Array | None) -> Array | float:
    return values[index] if isinstance(values, np.ndarray) and index is not None else values


def _at_all(values: Array, index: Array | None) -> Array:
    return values if index is None else np.asarray(values[index])


def single(members: Members) -> Contrasts:
    """Each stratum by itself."""
    every = np.arange(len(members.value))

    def bounds(z: Array | float, growth: Array | float, index: Array | None) -> Ends:
        at = every if index is None else index
        found = members.bounds(at, _at(z, index), growth)
        return found.low, found.high

    return Contrasts(every, np.full(len(every), -1), members.value, members.evaluable, bounds, members.df,
                     joint=members.joint)  # fmt: skip


def _paired_df(members: Members, i: Array, j: Array) -> Array | float:
    return np.minimum(members.df[i], members.df[j]) if isinstance(members.df, np.ndarray) else members.df


def _correlation(members: Members, i: Array, j: Array) -> Array | float:
    shares = members.shares
    return 0.0 if shares is None or shares.corr is None else shares.corr[i, j]


def all_pairs(members: Members, quotient: bool, lower_is_better: bool) -> Contrasts:
    """Every stratum against every other of the same class, in both directions, each laid to the worse-off stratum.

    Differences better − worse, or quotients lower / higher: of all pairs their extreme is max − min, or min / max.
    """
    # cells are compared within their class; strata that are classes with each other
    classes = np.array([c if g is not None and c is not None else "" for g, c in members.places])
    worse, other = np.nonzero((classes[:, None] == classes[None, :]) & ~np.eye(len(classes), dtype=bool))
    # a quotient is low / high: the worse-off is above the line where higher is better, below it otherwise
    first, second = (worse, other) if quotient != lower_is_better else (other, worse)
    independent = members.shares is None or members.shares.corr is None
    one_class = len(set(classes.tolist())) == 1
    size = int(members.evaluable.sum()) if independent and one_class and not members.joint else 0
    return _between(members, first, second, worse, other, quotient, 0 if quotient else size)


def to_group(members: Members, reference: int | Array, quotient: bool, lower_is_better: bool) -> Contrasts:
    """Every stratum against one; absolute differences (both signs), or quotients that are low for the worse-off."""
    every = np.arange(len(members.value))
    at = np.broadcast_to(reference, every.shape)
    stratum, other = every[every != at], at[every != at]
    if not quotient:
        stratum, other = np.concatenate([stratum, stratum]), np.concatenate([other, other])
        half = len(stratum) // 2
        first = np.concatenate([stratum[:half], other[half:]])
        second = np.concatenate([other[:half], stratum[half:]])
        return _between(members, first, second, stratum, other, False)
    first, second = (other, stratum) if lower_is_better else (stratum, other)
    return _between(members, first, second, stratum, other, True)


def _between(
    members: Members, i: Array, j: Array, stratum: Array, other: Array, quotient: bool, pairs_of: int = 0
) -> Contrasts:
    """v_i − v_j or v_i / v_j."""
    with np.errstate(divide="ignore", invalid="ignore"):
        value = members.value[i] / members.value[j] if quotient else members.value[i] - members.value[j]
    corr = _correlation(members, i, j)

    def bounds(z: Array | float, growth: Array | float, index: Array | None) -> Ends:
        z = _at(z, index)
        first, second = (members.bounds(_at_all(k, index), z, growth) for k in (i, j))
        return ratio(first, second) if quotient else difference(first, second, _at(corr, index))

    usable = members.evaluable[i] & members.evaluable[j]
    df = _paired_df(members, i, j)
    return Contrasts(stratum, other, value, usable, bounds, df, pairs_of)


def to_rest(whole: Members, quotient: bool, lower_is_better: bool, of_all: bool) -> Contrasts:
    """Every stratum against all the other groups (`strata.contrast`: the second half of `whole`), or against all rows.

    All rows contain the group: p_g − p = (1 − π)(p_g − p_rest), and p_g / p = r / (π r + 1 − π) with r = p_g / p_rest
    and π the group's share of the denominators; both are monotone, so bounds go through.
    """
    size = len(whole.value) // 2
    mine = np.arange(size)
    with np.errstate(invalid="ignore"):
        share = whole.denominator[:size] / (whole.denominator[:size] + whole.denominator[size:])
    found = _with_rest(whole, mine, mine + size, quotient, lower_is_better)
    if not of_all:
        return found
    pi = share[found.stratum]

    def through(r: Array, pi: Array) -> Array:
        if not quotient:
            out = (1 - pi) * r
        elif lower_is_better:  # r = p_rest / p_g, and p / p_g = π + (1 − π) r
            out = pi + (1 - pi) * r
        else:
            with np.errstate(invalid="ignore", divide="ignore"):
                out = np.where(np.isinf(r), 1 / pi, r / (pi * r + 1 - pi))
        return np.asarray(out)

    def bounds(z: Array | float, growth: Array | float, index: Array | None) -> Ends:
        low, high = found.bounds(z, growth, index)
        mine = pi if index is None else pi[index]
        return through(low, mine), through(high, mine)

    return Contrasts(found.stratum, found.against, through(found.value, pi), found.usable, bounds, found.df)


def _with_rest(whole: Members, mine: Array, rest: Array, quotient: bool, lower_is_better: bool) -> Contrasts:
    if quotient:
        i, j = (rest, mine) if lower_is_better else (mine, rest)
        stratum = mine
    else:
        i, j, stratum = (
            np.concatenate([mine, rest]),
            np.concatenate([rest, mine]),
            np.concatenate([mine, mine]),
        )
    found = _between(whole, i, j, stratum, np.full(len(stratum), -1), quotient)

    def bounds(z: Array | float, growth: Array | float, index: Array | None) -> Ends:
        # the rest does not grow with the group alone
        both = np.concatenate([growth, np.ones(len(mine))]) if isinstance(growth, np.ndarray) else growth
        return found.bounds(z, both, index)

    return Contrasts(stratum, found.against, found.value, found.usable, bounds, found.df)


def change(before: Members, after: Members, moved: tuple[Shares, Shares] | None, decrease: bool) -> Contrasts:
    """after − before of each stratum (before − after for a decrease).

    `moved`: on the same rows, the shares of hits lost and gained: the change is their difference, with MOVER on the
    exact bounds of both. (MOVER with an estimated correlation has width 0 where two models happen to agree.) Else
    the two sides are independent samples. A number over groups is judged by the far ends of both intervals: MOVER
    takes an estimate for unbiased, and an estimated gap is biased up.
    """
    every = np.arange(len(after.value))
    value = before.value - after.value if decrease else after.value - before.value
    df = np.minimum(before.df, after.df)
    sides = (before, after)
    bounds = (
        _moved_bounds(moved, decrease) if moved is not None else _two_samples(sides, decrease, after.joint)
    )
    usable = before.evaluable & after.evaluable
    reasons = tuple(None if r is None else f"in the baseline: {r}" for r in before.reasons)
    return Contrasts(every, np.full(len(every), -1), value, usable, bounds,
                     df if df.ndim else float(df), joint=after.joint, reasons=reasons)  # fmt: skip


def _moved_bounds(moved: tuple[Shares, Shares], decrease: bool) -> Bounds:
    lost, gained = moved
    first, second = (lost, gained) if decrease else (gained, lost)
    with np.errstate(
        divide="ignore", invalid="ignore"
    ):  # two kinds of one draw: the more of one, the less of the other
        odds = [s.value / (1 - s.value) for s in (first, second)]
        rho = -np.sqrt(np.clip(np.nan_to_num(odds[0] * odds[1], posinf=1.0), 0.0, 1.0))

    def bounds(z: Array | float, growth: Array | float, index: Array | None) -> Ends:
        at = np.arange(len(rho)) if index is None else index
        grown = np.broadcast_to(np.asarray(growth, float), rho.shape)[at]
        mine = _at(z, index)
        ends = [Bounded(s.value[at], *exact(s.value[at], s.size[at] * grown, mine)) for s in (first, second)]
        return difference(ends[0], ends[1], rho[at])

    return bounds


def _two_samples(sides: tuple[Members, Members], decrease: bool, joint: bool) -> Bounds:
    before, after = sides

    def bounds(z: Array | float, growth: Array | float, index: Array | None) -> Ends:
        at = np.arange(len(after.value)) if index is None else index
        mine = _halved(z) if joint else _at(z, index)
        old, new = before.bounds(at, mine, 1.0), after.bounds(at, mine, growth)
        first, second = (old, new) if decrease else (new, old)
        if joint:
            return first.low - second.high, first.high - second.low
        return difference(first, second)

    return bounds


def _halved(z: Array | float) -> float:
    """The critical value at half the tail: two intervals hold together with what one would."""
    from fairaudit.special import ndtr

    return critical(float(ndtr(-np.max(z))) / 2)
