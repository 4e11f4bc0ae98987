"""Oracle of the numbers from losses, scores, members, and of reliance on the attribute."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction

from oracle_rows import (
    FEWEST_COMPARED,
    UNDEFINED,
    Key,
    Number,
    Real,
    Row,
    Table,
    classes_of,
    groups_of,
    in_group,
    is_correct,
    proportion,
    ratio,
    status_of,
    weight_of,
    where,
)

ECE_BINS = 15
SMALLEST_PROBABILITY = 1e-15
LARGEST_ENUMERATION = 90  # rows


def log_loss(probability: Fraction) -> float:
    """-ln of the probability of the true label, clipped."""
    return -math.log(max(float(probability), SMALLEST_PROBABILITY))


def mean_loss(rows: Sequence[Row]) -> Real:
    """Weighted mean of the row losses."""
    total = sum((row.weight * exact(row.loss) for row in rows), Fraction(0))
    return total / weight_of(rows)


def exact(number: Real) -> Fraction:
    """The same number as a fraction."""
    return Fraction(number)


def unbiased_variance(rows: Sequence[Row]) -> Fraction:
    """Sample variance of the row losses, divisor n - 1."""
    losses = [exact(row.loss) for row in rows]
    mean = sum(losses, Fraction(0)) / len(losses)
    return sum(((loss - mean) ** 2 for loss in losses), Fraction(0)) / (len(losses) - 1)


def loss_variance(table: Table, strata: Sequence[Sequence[Row]]) -> Number:
    """(1/G) sum (L_g - mean L)^2 over strata of at least min_events rows, with its bias-corrected value."""
    kept = [rows for rows in strata if len(rows) >= table.min_events]
    if len(kept) < FEWEST_COMPARED:
        return UNDEFINED
    count = len(kept)
    means = [mean_loss(rows) for rows in kept]
    centre = sum(means, Fraction(0)) / count
    value = sum(((mean - centre) ** 2 for mean in means), Fraction(0)) / count
    noise = sum((unbiased_variance(rows) / len(rows) for rows in kept), Fraction(0))
    corrected = value - Fraction(1, count) * (1 - Fraction(1, count)) * noise
    reference = {} if table.weighted else {"bias_corrected": corrected}
    return Number(value, "ok", reference=reference, rounded=is_rounded(table))


def is_rounded(table: Table) -> bool:
    """Losses that are logarithms, which fixed-point sums round."""
    return any(isinstance(row.loss, float) for row in table.rows)


def loss_numbers(table: Table, by: str) -> dict[Key, Number]:
    """Mean loss of every class (`by="class"`) or group of an attribute, and loss_variance over them."""
    if any(row.loss is None for row in table.rows):
        return {}
    strata: dict[Key, list[Row]] = {}
    if by == "class":
        for label in classes_of(table.rows):
            rows = where(table.rows, lambda row, c=label: row.y_true == c)
            strata[Key("loss", by, None, label)] = rows
    else:
        for group in groups_of(table.rows, by):
            strata[Key("loss", by, group)] = in_group(table.rows, by, group)
    means = {
        key: Number(mean_loss(rows), status_of(len(rows), table.min_events), rounded=is_rounded(table))
        for key, rows in strata.items()
    }
    return means | {Key("loss_variance", by): loss_variance(table, list(strata.values()))}


def overall_loss(table: Table) -> dict[Key, Number]:
    """Mean loss of all rows."""
    if any(row.loss is None for row in table.rows):
        return {}
    return {Key("loss", "overall"): Number(mean_loss(table.rows), rounded=is_rounded(table))}


def sensitive_accuracy(table: Table, by: str) -> Number:
    """P(m(Yhat) = S), beside P(m(Y) = S)."""
    hit = weight_of(where(table.rows, lambda row: table.agreement.get(row.y_pred) == row.groups[by]))
    perfect = weight_of(where(table.rows, lambda row: table.agreement.get(row.y_true) == row.groups[by]))
    total = weight_of(table.rows)
    return Number(hit / total, None, hit, total, reference={"perfect": perfect / total})


def leakage(table: Table, by: str, label_of: Callable[[Row], str]) -> Fraction:
    """Sum over labels of the largest group count, over n."""
    total = Fraction(0)
    for label in {label_of(row) for row in table.rows}:
        rows = where(table.rows, lambda row, c=label: label_of(row) == c)
        total += max(weight_of(in_group(rows, by, group)) for group in groups_of(rows, by))
    return total / weight_of(table.rows)


def sensitive_leakage(table: Table, by: str) -> Number:
    """sum_yhat max_s n(yhat, s) / n, beside the same from Y, the largest share, and its chance level."""
    groups = [in_group(table.rows, by, group) for group in groups_of(table.rows, by)]
    total = weight_of(table.rows)
    return Number(
        leakage(table, by, lambda row: row.y_pred),
        reference={
            "perfect": leakage(table, by, lambda row: row.y_true),
            "largest_group": max(weight_of(rows) for rows in groups) / total,
        },
        expectation=chance_leakage(table, [len(rows) for rows in groups]),
    )


def chance_leakage(table: Table, sizes: Sequence[int]) -> dict[str, Real | None]:
    """Expected leakage under independence with the same margins (exact, so only for small tables)."""
    if table.weighted or len(table.rows) > LARGEST_ENUMERATION:
        return {}
    labels = {row.y_pred for row in table.rows}
    drawn = [len(where(table.rows, lambda row, c=label: row.y_pred == c)) for label in labels]
    largest = sum((expected_largest(sizes, count) for count in drawn), Fraction(0))
    return {"independence": largest / len(table.rows)}


def expected_largest(sizes: Sequence[int], drawn: int) -> Fraction:
    """E max_s N_s when `drawn` rows are taken without replacement from groups of these sizes.

    With both margins fixed, independence makes each row of the table multivariate hypergeometric. The
    number of samples whose every N_s is at most m is the coefficient of x^drawn in
    prod_s sum_{j<=m} C(size_s, j) x^j.
    """
    samples = math.comb(sum(sizes), drawn)
    expectation = Fraction(0)
    for bound in range(drawn):  # E max = sum over m of P(max > m)
        ways = [1] + [0] * drawn
        for size in sizes:
            ways = [
                sum(ways[total - j] * math.comb(size, j) for j in range(min(bound, size, total) + 1))
                for total in range(drawn + 1)
            ]
        expectation += 1 - Fraction(ways[drawn], samples)
    return expectation


def reliance_numbers(table: Table, by: str) -> dict[Key, Number]:
    """sensitive_accuracy with a declared map, sensitive_leakage without."""
    if table.agreement:
        return {Key("sensitive_accuracy", by): sensitive_accuracy(table, by)}
    return {Key("sensitive_leakage", by): sensitive_leakage(table, by)}


def roc_auc(rows: Sequence[Row], positive: str) -> Fraction | None:
    """P(score of a positive > score of a negative), ties count one half."""
    yes = [row for row in rows if row.y_true == positive]
    no = [row for row in rows if row.y_true != positive]
    won = Fraction(0)
    for a in yes:
        for b in no:
            if a.score >= b.score:
                won += a.weight * b.weight * (Fraction(1) if a.score > b.score else Fraction(1, 2))
    return ratio(won, weight_of(yes) * weight_of(no))


def forecasts(rows: Sequence[Row], positive: str | None) -> list[tuple[Fraction, int, Fraction]]:
    """(probability, did it happen, weight): of the positive label, or (multi-class) of the predicted one."""
    if positive is None:
        return [(row.confidence, int(is_correct(row)), row.weight) for row in rows]
    return [(row.score, int(row.y_true == positive), row.weight) for row in rows]


def brier(rows: Sequence[Row], positive: str | None) -> Fraction | None:
    """Mean squared distance of probability and outcome."""
    parts = forecasts(rows, positive)
    total = sum((weight * (p - happened) ** 2 for p, happened, weight in parts), Fraction(0))
    return ratio(total, weight_of(rows))


def ece(rows: Sequence[Row], positive: str | None) -> Fraction | None:
    """sum_b share_b |mean probability_b - frequency_b| over 15 equal-width bins."""
    gaps = [Fraction(0)] * ECE_BINS
    for p, happened, weight in forecasts(rows, positive):
        gaps[min(int(p * ECE_BINS), ECE_BINS - 1)] += weight * (p - happened)
    return ratio(sum((abs(gap) for gap in gaps), Fraction(0)), weight_of(rows))


def ece_mass(rows: Sequence[Row], positive: str | None) -> Fraction | None:
    """The same over 15 bins of equal mass: rows with one probability stand together, where their middle stands."""
    parts = forecasts(rows, positive)
    total, below = weight_of(rows), Fraction(0)
    gaps = [Fraction(0)] * ECE_BINS
    for shared in sorted({p for p, _, _ in parts}):
        equal = [part for part in parts if part[0] == shared]
        mass = sum((weight for _, _, weight in equal), Fraction(0))
        gaps[int((below + mass / 2) * ECE_BINS / total)] += sum(w * (p - y) for p, y, w in equal)
        below += mass
    return ratio(sum((abs(gap) for gap in gaps), Fraction(0)), total)


def score_numbers(table: Table, by: str, group: str | None, rows: Sequence[Row]) -> dict[Key, Number]:
    """roc_auc (binary), ece and brier of these rows, where they carry probabilities."""
    if any((row.score if table.positive is not None else row.confidence) is None for row in rows):
        return {}
    status = None if group is None else status_of(len(rows), table.min_events)
    out = {
        Key("ece", by, group): Number(ece(rows, table.positive), status),
        Key("ece_mass", by, group): Number(ece_mass(rows, table.positive), status),
        Key("brier", by, group): Number(brier(rows, table.positive), status),
    }
    if table.positive is not None:
        area = roc_auc(rows, table.positive)
        out[Key("roc_auc", by, group)] = UNDEFINED if area is None else Number(area)
    return out


def membership_number(table: Table, rows: Sequence[Row]) -> Number:
    """P(correct | member) - P(correct | non-member)."""
    inside = [row for row in rows if row.member]
    outside = [row for row in rows if not row.member]
    a, b = proportion(inside, is_correct, 1).value, proportion(outside, is_correct, 1).value
    if a is None or b is None:
        return UNDEFINED
    return Number(a - b, status_of(min(len(inside), len(outside)), table.min_events))


def per_group_extras(table: Table, by: str) -> dict[Key, Number]:
    """Score numbers and membership advantage of every group."""
    out: dict[Key, Number] = {}
    for group in groups_of(table.rows, by):
        rows = in_group(table.rows, by, group)
        out |= score_numbers(table, by, group, rows)
        if all(row.member is not None for row in table.rows):
            out[Key("membership_advantage", by, group)] = membership_number(table, rows)
    return out
