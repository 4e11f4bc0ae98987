"""Which differences between runs are real: paired t over seeds, paired bootstrap over rows, Holm over one family."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fairaudit_mitigate.sweeping.summary import COSTS, Line, Measure, Summary

ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class Contrast:
    """One difference from the reference. `p`: NaN where there is no test, with the `reason`; `adjusted`: Holm's.

    `low`, `high`: the 95 % interval of the difference.
    """

    data: str
    model: str
    run: str
    measure: Measure
    difference: float
    p: float
    adjusted: float = math.nan
    reason: str = ""
    seeds: int = 0
    low: float = math.nan
    high: float = math.nan

    @property
    def real(self) -> bool:
        """Whether it is real at 5 % over the whole family."""
        return self.adjusted < ALPHA


def default_family(summary: Summary) -> tuple[str, ...]:
    """The metrics tested where the plan names none: those with a better direction, without the costs."""
    return tuple(dict.fromkeys(m.metric for m in summary.measures if m.better and m.metric not in COSTS))


def t_tests(summary: Summary, family: Sequence[str]) -> tuple[Contrast, ...]:
    """Paired two-sided t-tests over the seeds both runs have, Holm over all of them.

    The family: every run but the reference × every measure of these metrics × every data set and model.
    """
    found = [
        _t_test(line, rival, k, measure)
        for line in summary.lines
        if (rival := summary.rival(line)) is not None
        for k, measure in enumerate(summary.measures)
        if measure.metric in family
    ]
    return adjusted(found)


def adjusted(tests: Sequence[Contrast]) -> tuple[Contrast, ...]:
    """The tests with Holm's p-values. A test without a p-value still counts in the size of the family."""
    return tuple(replace(t, adjusted=p) for t, p in zip(tests, holm([t.p for t in tests]), strict=True))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down p-values: the i-th smallest times (m - i), made monotone, at most 1; NaN stays NaN.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    m, largest = len(p_values), 0.0
    found = [math.nan] * m
    known = sorted((p, k) for k, p in enumerate(p_values) if not math.isnan(p))
    for rank, (p, k) in enumerate(known):
        largest = max(largest, min(1.0, (m - rank) * p))
        found[k] = largest
    return found


def paired_t(one: Sequence[float], other: Sequence[float]) -> tuple[float, str]:
    """The two-sided p-value of a paired t-test; NaN with a reason where there is none.

    t = d̄ √n / s on n - 1 degrees of freedom, d = one - other. All differences 0: p = 1. All the same but not 0:
    undefined, for there is no spread to hold them against.
    """
    from scipy.special import stdtr

    d = np.subtract(one, other)
    if len(d) < 2:
        return math.nan, "one seed"
    if np.isnan(d).any():
        return math.nan, "undefined for a seed"
    spread = float(d.std(ddof=1))
    if spread <= 1e-12 * max(1.0, float(np.abs(d).max())):
        return (1.0, "") if not d.any() else (math.nan, "the same difference in every seed")
    t = abs(float(d.mean())) * math.sqrt(len(d)) / spread
    return 2 * float(stdtr(len(d) - 1, -t)), ""


def _t_test(line: Line, rival: Line, k: int, measure: Measure) -> Contrast:
    mine = dict(zip(line.seeds, line.values[k], strict=True))
    theirs = dict(zip(rival.seeds, rival.values[k], strict=True))
    shared = [s for s in mine if s in theirs]
    one, other = [mine[s] for s in shared], [theirs[s] for s in shared]
    p, reason = paired_t(one, other)
    difference = float(np.mean(np.subtract(one, other))) if shared else math.nan
    return Contrast(line.data, line.model, line.run, measure, difference, p, math.nan, reason, len(shared))


def line_of(tests: Sequence[Contrast], reference: str, how: str) -> str:
    """The one line that says how many differences are real."""
    if not tests:
        return f"Nothing is compared with {reference}."
    known = [t for t in tests if not math.isnan(t.p)]
    if not known:
        reasons = ", ".join(sorted({t.reason for t in tests}))
        return f"No test of the differences from {reference}: {reasons}."
    real = [t for t in known if t.real]
    good = sum(t.measure.better * t.difference > 0 for t in real)
    bad = sum(t.measure.better * t.difference < 0 for t in real)
    changed = len(real) - good - bad
    aside = f", {changed} changed without a better direction" if changed else ""
    silent = "" if len(known) == len(tests) else f"; {len(tests) - len(known)} without a test"
    return (
        f"{len(real)} of {len(tests)} differences from {reference} are real at {100 * ALPHA:g} % ({good} better, "
        f"{bad} worse{aside}; {how}, Holm over {len(tests)} tests{silent})."
    )
