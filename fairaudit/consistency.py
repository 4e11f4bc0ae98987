"""Does a published table of results agree with itself? Rules that the numbers of *any* classifier obey.

Notation: every row has one class and gets one prediction; TP_c, FP_c, FN_c are shares of all rows; A = Σ_c TP_c is the
accuracy and E = 1 − A the error; F_c = 2 TP_c / (2 TP_c + FP_c + FN_c); F_min and F_max = F_min + ΔF1 are the smallest
and the largest of them.

**Two classes: the two F1 scores alone determine the accuracy.** What is wrongly called a was b, so FP_a = FN_b and
FP_b = FN_a, and for both classes FP_c + FN_c = E. Hence F_c = 2 TP_c / (2 TP_c + E), TP_c = (E/2) F_c / (1 − F_c), and

    1 − E = TP_a + TP_b = (E/2) (1/(1 − F_a) + 1/(1 − F_b)) − E      ⇒      E = 2 d_a d_b / (d_a + d_b),   d = 1 − F:

the error is the **harmonic mean of the two F1 deficits**, whatever the share of the classes and the recalls. These two
then follow: with the recall r_a the share of class a is TP_a / r_a (`implied_share`), a constant of the test set.

**Means over seeds.** E is concave in (d_a, d_b), so the mean accuracy of several seeds lies at or *above* the accuracy
implied by mean F1 scores. The gap is the mean of 2 (d_b δ_a − d_a δ_b)² / ((d_a + d_b)² (d_a + d_b + δ_a + δ_b)), δ the
deviations of the seeds, exactly; to second order 2 Var(d_b δ_a − d_a δ_b) / (d_a + d_b)³. The printed standard
deviations of F_min and ΔF1 give that variance up to their covariance; that of the accuracy gives the covariance (to
first order δE = −p δF − q δΔ), and without it the worst covariance is taken.

**Any number of classes.** Σ_c FP_c = Σ_c FN_c = E, so A = Σ 2 TP_c / Σ (2 TP_c + FP_c + FN_c) is a mediant of the F_c:
F_min ≤ A ≤ F_max. A is a mean of the recalls weighted by the classes: recall_min ≤ A; and a cell is a part of its
class: worst_group_accuracy ≤ recall_min. As recall_c = TP_c / (TP_c + FN_c) ≥ TP_c / (TP_c + FP_c + FN_c) =
F_c / (2 − F_c): recall_min ≥ F_min / (2 − F_min), which is convex. So all of them also hold for means over seeds.

**Sensitive accuracy.** P(m(Ŷ) = S) ≤ P(m(Y) = S) + P(Ŷ ≠ Y), which is ½ + E where the test set is balanced.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import inf
from types import MappingProxyType

from fairaudit.published import Printed, PublishedRow, PublishedTable

#: Points of percent that a number may be off beyond its rounding.
TOLERANCE = 0.05
CONSISTENT, INCONSISTENT, INCONCLUSIVE = "consistent", "inconsistent", "inconclusive"
NOT_CHECKABLE = "not checkable"
#: Data sets whose number of classes, and whose share of P(m(Y) = S) in the published test split, are facts.
KNOWN: Mapping[str, tuple[int, float | None]] = MappingProxyType(
    {"waterbirds": (2, 0.5), "geode": (40, None), "fgvcaircraft": (100, None), "aircraft": (100, None)}
)


@dataclass(frozen=True, slots=True)
class Check:
    """One rule on one row: what is printed, and between which bounds the row's other numbers allow it (shares).

    `implied`: the one value that they allow, where there is one. `reason`: why it is not checkable or inconclusive.
    """

    rule: str
    metric: str
    status: str
    reported: float | None = None
    low: float | None = None
    high: float | None = None
    implied: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Checked:
    """A row with its checks; `implied_share`: of the class with the lower F1, if it also has the lower recall."""

    row: PublishedRow
    checks: tuple[Check, ...]
    implied_share: float | None = None

    @property
    def status(self) -> str:
        """The worst of its checks; not checkable where none could be made."""
        found = {c.status for c in self.checks}
        return next(s for s in (INCONSISTENT, INCONCLUSIVE, CONSISTENT, NOT_CHECKABLE) if s in found)


def check_table(table: PublishedTable, tolerance: float = TOLERANCE) -> tuple[Checked, ...]:
    """Every rule on every row; `tolerance` in points of percent."""
    return tuple(check_row(row, tolerance / 100) for row in table.rows)


def check_row(row: PublishedRow, tolerance: float = TOLERANCE / 100) -> Checked:
    """Every rule on one row; `tolerance` as a share."""
    checks = [*_ranges(row), *(c for rule in RULES for c in (rule(row, tolerance),))]
    return Checked(row, tuple(checks), _implied_share(row))


def implied_accuracy(f1_min: float, f1_delta: float) -> float:
    """The accuracy of a classifier of two classes: 1 − the harmonic mean of 1 − F_a and 1 − F_b.

    >>> round(implied_accuracy(0.7274, 0.1928), 4)
    0.8765
    """
    a, b = 1 - f1_min, 1 - f1_min - f1_delta
    return 1 - (2 * a * b / (a + b) if min(a, b) > 0 else 0.0)


def averaging_gap(row: PublishedRow) -> float:
    """By how much a mean accuracy over seeds may lie above the one implied by mean F1 scores.

    To second order, widened by 1 + 2 sd/(1 − F1 max) for the orders that are left out: spreads that are large beside
    the distance to 1 leave a row inconclusive rather than wrongly inconsistent.
    """
    f1, gap = row.numbers["f1_min"], row.numbers["f1_delta"]
    a, b = 1 - f1.value, 1 - f1.value - gap.value
    if not f1.spread or not gap.spread or b <= 0:
        return 0.0 if b <= 0 else _gap_of(a, b, f1.spread or 0.0, gap.spread or 0.0, 0.0)
    most = f1.spread * gap.spread
    p, q = 2 * (a * a + b * b) / (a + b) ** 2, 2 * (a / (a + b)) ** 2
    accuracy = row.numbers["accuracy"]
    candidates = [-most, most]
    if accuracy.spread is not None:
        told = [accuracy.spread + side * accuracy.spread_half for side in (-1, 0, 1)]
        both = [(t * t - (p * f1.spread) ** 2 - (q * gap.spread) ** 2) / (2 * p * q) for t in told]
        candidates = [min(most, max(-most, c)) for c in both]
    return (1 + 2 * f1.spread / b) * max(_gap_of(a, b, f1.spread, gap.spread, c) for c in candidates)


def _gap_of(a: float, b: float, f1: float, gap: float, covariance: float) -> float:
    """2 Var(b δ_a − a δ_b) / (a + b)³ with δ_a = −δF and δ_b = −δF − δΔ."""
    variance = ((a - b) * f1) ** 2 + (a * gap) ** 2 + 2 * (a - b) * a * covariance
    return 2 * max(0.0, variance) / (a + b) ** 3


def _two_classes(row: PublishedRow, tolerance: float) -> Check:
    rule = "accuracy from two F1"
    if (lacks := _lacking(row, rule, "accuracy", "f1_min", "f1_delta")) is not None:
        return lacks
    classes = classes_of(row)
    if classes is None:
        why = "how many classes the task has is not known; add a column `classes`"
        return Check(rule, "accuracy", NOT_CHECKABLE, reason=why)
    if classes > 2:
        why = f"with {classes} classes two F1 scores do not determine the accuracy"
        return Check(rule, "accuracy", NOT_CHECKABLE, reason=why)
    f1, gap, printed = (row.numbers[m] for m in ("f1_min", "f1_delta", "accuracy"))
    low = implied_accuracy(f1.low, gap.low)
    high = implied_accuracy(min(1.0, f1.high), min(gap.high, 1 - min(1.0, f1.high)))
    found = _between(rule, "accuracy", printed, (low, high), tolerance, implied_accuracy(f1.value, gap.value))
    above = averaging_gap(row)
    if (
        found.status == INCONSISTENT
        and low - tolerance <= printed.high
        and printed.low <= high + tolerance + above
    ):
        why = f"averaging over seeds may raise it by up to {100 * above:.2f} points"
        return Check(rule, "accuracy", INCONCLUSIVE, printed.value, low, high, found.implied, why)
    return found


def _largest_f1(row: PublishedRow, tolerance: float) -> Check:
    rule = "largest F1 ≤ 1"
    if (lacks := _lacking(row, rule, "f1_delta", "f1_min")) is not None:
        return lacks
    return _between(
        rule, "f1_delta", row.numbers["f1_delta"], (0.0, 1 - row.numbers["f1_min"].low), tolerance
    )


def _within_f1(row: PublishedRow, tolerance: float) -> Check:
    rule = "accuracy in F1 range"
    if (lacks := _lacking(row, rule, "accuracy", "f1_min", "f1_delta")) is not None:
        return lacks
    f1, gap = row.numbers["f1_min"], row.numbers["f1_delta"]
    return _between(rule, "accuracy", row.numbers["accuracy"], (f1.low, f1.high + gap.high), tolerance)


def _recall_below(row: PublishedRow, tolerance: float) -> Check:
    rule = "recall ≤ accuracy"
    return _lacking(row, rule, "recall_min", "accuracy") or _between(
        rule, "recall_min", row.numbers["recall_min"], (0.0, row.numbers["accuracy"].high), tolerance
    )


def _recall_above(row: PublishedRow, tolerance: float) -> Check:
    rule = "recall ≥ F1/(2 − F1)"
    if (lacks := _lacking(row, rule, "recall_min", "f1_min")) is not None:
        return lacks
    f1 = row.numbers["f1_min"].low
    return _between(rule, "recall_min", row.numbers["recall_min"], (f1 / (2 - f1), 1.0), tolerance)


def _worst_cell(row: PublishedRow, tolerance: float) -> Check:
    rule = "worst cell ≤ recall"
    return _lacking(row, rule, "worst_group_accuracy", "recall_min") or _between(
        rule, "worst_group_accuracy", row.numbers["worst_group_accuracy"],
        (0.0, row.numbers["recall_min"].high), tolerance,
    )  # fmt: skip


def _sensitive(row: PublishedRow, tolerance: float) -> Check:
    rule = "sensitive accuracy"
    if (lacks := _lacking(row, rule, "sensitive_accuracy", "accuracy")) is not None:
        return lacks
    perfect = perfect_of(row)
    if perfect is None:
        why = "P(m(Y) = S) on the test rows is not known (50 where they are balanced); add a column `perfect`"
        return Check(rule, "sensitive_accuracy", NOT_CHECKABLE, reason=why)
    error = 1 - row.numbers["accuracy"].low
    return _between(
        rule, "sensitive_accuracy", row.numbers["sensitive_accuracy"], (0.0, perfect + error), tolerance
    )


#: The rules, in the order in which they are shown.
RULES: tuple[Callable[[PublishedRow, float], Check], ...] = (
    _two_classes, _within_f1, _largest_f1, _recall_below, _recall_above, _worst_cell, _sensitive,
)  # fmt: skip


def _ranges(row: PublishedRow) -> Iterator[Check]:
    """Only the numbers that lie outside their metric's bounds: inside is no evidence worth a line."""
    from fairaudit.catalogue import CATALOGUE

    bounds = {m.id: (m.low, m.high) for m in CATALOGUE}
    for metric, printed in row.numbers.items():
        low, high = bounds[metric]
        found = _between(f"range of {metric}", metric, printed, (low, high), 0.0)
        if found.status == INCONSISTENT:
            yield found


def _between(
    rule: str, metric: str, printed: Printed, bounds: tuple[float, float], tolerance: float,
    implied: float | None = None,
) -> Check:  # fmt: skip
    low, high = bounds
    # A hair beyond the bounds is the arithmetic of binary fractions, not a contradiction.
    inside = low - tolerance - 1e-12 <= printed.high and printed.low <= high + tolerance + 1e-12
    status = CONSISTENT if inside else INCONSISTENT
    shown = (low if low > -inf else None, high if high < inf else None)
    return Check(rule, metric, status, printed.value, *shown, implied)


def _lacking(row: PublishedRow, rule: str, *metrics: str) -> Check | None:
    """Not checkable for want of a number, or None."""
    absent = [m for m in metrics if m not in row.numbers]
    if not absent:
        return None
    return Check(rule, metrics[0], NOT_CHECKABLE, reason=f"{' and '.join(absent)} not reported")


def classes_of(row: PublishedRow) -> int | None:
    """How many classes the task has: as told, else as known of the data set."""
    return row.classes if row.classes is not None else _known(row)[0]


def perfect_of(row: PublishedRow) -> float | None:
    """The sensitive accuracy of a perfect classifier: as told, else as known of the data set."""
    return row.perfect if row.perfect is not None else _known(row)[1]


def _known(row: PublishedRow) -> tuple[int | None, float | None]:
    return KNOWN.get(re.sub(r"[^a-z0-9]", "", row.key[0].lower()), (None, None))


def _implied_share(row: PublishedRow) -> float | None:
    """TP_a / recall_min with TP_a = (E/2) F_a / (1 − F_a), a the class with the lower F1."""
    if not {"f1_min", "f1_delta", "recall_min"} <= set(row.numbers) or classes_of(row) != 2:
        return None
    f1, gap, recall = (row.numbers[m].value for m in ("f1_min", "f1_delta", "recall_min"))
    if not 0 < f1 < 1 or recall <= 0:
        return None
    share = (1 - implied_accuracy(f1, gap)) / 2 * f1 / (1 - f1) / recall
    return share if share <= 1 else None
