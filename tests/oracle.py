"""The panel of DESIGN section 2, computed the slow way: one loop over rows for every number.

The oracle shares no code with `fairaudit`. It uses exact fractions and no arrays, so that each function can
be read beside its definition. `panel(table)` returns every number with what the definition fixes about it.
Counting stands in `oracle_rows`, the numbers from losses, scores and members in `oracle_scores`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import combinations
from statistics import median

from oracle_rows import (
    FEWEST_COMPARED,
    UNDEFINED,
    Key,
    Number,
    Row,
    Table,
    Test,
    classes_of,
    groups_of,
    in_group,
    is_correct,
    labels_of,
    proportion,
    ratio,
    status_of,
    weight_of,
    where,
)
from oracle_scores import (
    loss_numbers,
    membership_number,
    overall_loss,
    per_group_extras,
    reliance_numbers,
    score_numbers,
)


def recall(rows: Sequence[Row], label: str) -> Fraction | None:
    """P(Yhat = c | Y = c)."""
    of_class = where(rows, lambda row: row.y_true == label)
    return ratio(weight_of(where(of_class, is_correct)), weight_of(of_class))


def f1(rows: Sequence[Row], label: str) -> Fraction | None:
    """2TP / (2TP + FP + FN)."""
    tp = weight_of(where(rows, lambda row: row.y_true == label and row.y_pred == label))
    fp = weight_of(where(rows, lambda row: row.y_true != label and row.y_pred == label))
    fn = weight_of(where(rows, lambda row: row.y_true == label and row.y_pred != label))
    return ratio(2 * tp, 2 * tp + fp + fn)


def macro(rows: Sequence[Row], of_class: Callable[[Sequence[Row], str], Fraction | None]) -> Fraction | None:
    """Mean over the classes present in Y of these rows."""
    values = [of_class(rows, label) for label in classes_of(rows)]
    defined = [value for value in values if value is not None]
    return sum(defined, Fraction(0)) / len(defined) if defined else None


def class_numbers(table: Table) -> dict[Key, Number]:
    """f1, recall and precision of every class, and the four numbers over classes."""
    out: dict[Key, Number] = {}
    f1s: dict[str, Fraction] = {}
    recalls: dict[str, Fraction] = {}
    for label in labels_of(table.rows):
        of_class = [row for row in table.rows if row.y_true == label]
        predicted = [row for row in table.rows if row.y_pred == label]
        status = status_of(len(of_class), table.min_events)
        value = f1(table.rows, label)
        out[Key("f1", "class", None, label)] = Number(value, status)
        out[Key("recall", "class", None, label)] = proportion(of_class, is_correct, table.min_events)
        out[Key("precision", "class", None, label)] = proportion(predicted, is_correct, table.min_events)
        if status == "ok":
            f1s[label] = value
            recalls[label] = recall(table.rows, label)
    return out | four_numbers("class", f1s, recalls)


def four_numbers(by: str, f1s: dict[str, Fraction], recalls: dict[str, Fraction]) -> dict[Key, Number]:
    """f1_min, f1_median, recall_min, f1_delta over evaluable classes or groups (name -> value)."""
    names = ("f1_min", "f1_median", "recall_min", "f1_delta")
    if not f1s:
        return {Key(name, by): UNDEFINED for name in names}
    return {
        Key("f1_min", by): Number(min(f1s.values()), "ok", at=attained(by, f1s)),
        Key("f1_median", by): Number(median(f1s.values()), "ok"),
        Key("recall_min", by): Number(min(recalls.values()), "ok", at=attained(by, recalls)),
        Key("f1_delta", by): over([largest_gap(list(f1s.values()))], max),
    }


def attained(by: str, values: dict[str, Fraction]) -> frozenset[tuple[str | None, str | None]]:
    """Every name that attains the minimum, as (group, class)."""
    least = min(values.values())
    names = [name for name, value in values.items() if value == least]
    return frozenset((None, name) if by == "class" else (name, None) for name in names)


def group_numbers(table: Table, by: str) -> dict[Key, Number]:
    """accuracy, f1_macro and recall_macro of every group, and the four numbers over groups."""
    out: dict[Key, Number] = {}
    f1s: dict[str, Fraction] = {}
    recalls: dict[str, Fraction] = {}
    for group in groups_of(table.rows, by):
        rows = in_group(table.rows, by, group)
        status = status_of(len(rows), table.min_events)
        out[Key("accuracy", by, group)] = proportion(rows, is_correct, table.min_events)
        out[Key("f1_macro", by, group)] = Number(macro(rows, f1), status)
        out[Key("recall_macro", by, group)] = Number(macro(rows, recall), status)
        if status == "ok":
            f1s[group], recalls[group] = macro(rows, f1), macro(rows, recall)
    return out | four_numbers(by, f1s, recalls)


def eod(table: Table, by: str, label: str, group: str) -> Number:
    """|P(Yhat=c | Y=c, S=s) - P(Yhat=c | Y=c, S!=s)|; undefined when a side has no row."""
    of_class = [row for row in table.rows if row.y_true == label]
    inside = [row for row in of_class if row.groups[by] == group]
    outside = [row for row in of_class if row.groups[by] != group]
    a, b = recall(inside, label), recall(outside, label)
    if a is None or b is None:
        return UNDEFINED
    return Number(abs(a - b), status_of(min(len(inside), len(outside)), table.min_events))


def eod_numbers(table: Table, by: str) -> dict[Key, Number]:
    """eod of every cell, eod_max and eod_macro; with a positive class these two are about that class alone."""
    groups = groups_of(table.rows, by)
    labels = classes_of(table.rows)
    asked = labels if table.positive is None else [table.positive]
    cells = {(group, label): eod(table, by, label, group) for label in labels for group in groups}
    evaluable = {
        cell: number.value for cell, number in cells.items() if number.status == "ok" and cell[1] in asked
    }
    out = {Key("eod", by, group, label): number for (group, label), number in cells.items()}
    if not evaluable:
        out[Key("eod_max", by)] = UNDEFINED
    else:
        top = max(evaluable.values())
        at = frozenset(cell for cell, value in evaluable.items() if value == top)
        out[Key("eod_max", by)] = Number(top, "ok", at=at)
    return out | {Key("eod_macro", by): eod_macro(evaluable)}


def eod_macro(evaluable: dict[tuple[str, str], Fraction]) -> Number:
    """Mean over the classes that have an evaluable group of the largest eod of that class."""
    largest: dict[str, Fraction] = {}
    for (_, label), value in evaluable.items():
        largest[label] = max(value, largest.get(label, Fraction(0)))
    return Number(sum(largest.values(), Fraction(0)) / len(largest), "ok") if largest else UNDEFINED


def cell_numbers(table: Table, by: str) -> dict[Key, Number]:
    """worst_group_accuracy, and for multi-class tasks the tpr of every cell."""
    out: dict[Key, Number] = {}
    evaluable: dict[tuple[str, str], Fraction] = {}
    for group in groups_of(table.rows, by):
        for label in classes_of(table.rows):
            rows = [row for row in table.rows if row.groups[by] == group and row.y_true == label]
            number = proportion(rows, is_correct, table.min_events)
            if table.positive is None:
                out[Key("tpr", by, group, label)] = number
            if number.status == "ok":
                evaluable[group, label] = number.value
    if not evaluable:
        return out | {Key("worst_group_accuracy", by): UNDEFINED}
    worst = min(evaluable.values())
    at = frozenset(cell for cell, value in evaluable.items() if value == worst)
    return out | {Key("worst_group_accuracy", by): Number(worst, "ok", at=at)}


def binary_rates(positive: str) -> dict[str, tuple[Test, Test]]:
    """Rate -> (row counts in the denominator, row counts in the numerator too)."""

    def yes(row: Row) -> bool:
        return row.y_true == positive

    def said_yes(row: Row) -> bool:
        return row.y_pred == positive

    def no(row: Row) -> bool:
        return not yes(row)

    def said_no(row: Row) -> bool:
        return not said_yes(row)

    return {
        "selection_rate": (lambda row: True, said_yes),
        "tpr": (yes, said_yes),
        "fpr": (no, said_yes),
        "tnr": (no, said_no),
        "fnr": (yes, said_no),
        "ppv": (said_yes, yes),
        "npv": (said_no, no),
    }


def binary_numbers(table: Table, by: str) -> dict[Key, Number]:
    """Every rate of every group, and the conventional disparities."""
    if table.positive is None:
        return {}
    out: dict[Key, Number] = {}
    evaluable: dict[str, list[Fraction]] = {}
    for rate, (counted, hit) in binary_rates(table.positive).items():
        evaluable[rate] = []
        for group in groups_of(table.rows, by):
            stratum = where(in_group(table.rows, by, group), counted)
            number = out[Key(rate, by, group)] = proportion(stratum, hit, table.min_events)
            if number.status == "ok":
                evaluable[rate].append(number.value)
    named = {"demographic_parity": ["selection_rate"], "equal_opportunity": ["tpr"]}
    named |= {"predictive_parity": ["ppv"], "equalized_odds": ["tpr", "fpr"]}
    for name, rates in named.items():
        gaps = [largest_gap(evaluable[rate]) for rate in rates]
        ratios = [smallest_ratio(evaluable[rate]) for rate in rates]
        out[Key(f"{name}_difference", by)] = over(gaps, max)
        out[Key(f"{name}_ratio", by)] = over(ratios, min)
    return out


def largest_gap(values: Sequence[Fraction]) -> Fraction | None:
    """max - min; one group alone has no gap."""
    return max(values) - min(values) if len(values) >= FEWEST_COMPARED else None


def smallest_ratio(values: Sequence[Fraction]) -> Fraction | None:
    """min / max; undefined when max is 0 or there is one group alone."""
    return min(values) / max(values) if len(values) >= FEWEST_COMPARED and max(values) > 0 else None


def over(parts: Sequence[Fraction | None], choose: Callable[[Sequence[Fraction]], Fraction]) -> Number:
    """Extreme of the parts; undefined as soon as one part is undefined."""
    if any(part is None for part in parts):
        return UNDEFINED
    return Number(choose(parts), "ok")


def escaped(name: str) -> str:
    """`&` and the backslash stand behind a backslash inside the parts of an intersection."""
    return name.replace("\\", "\\\\").replace("&", "\\&")


def crossed(table: Table) -> Table:
    """The same rows with every intersection of up to `cross` attributes added as an attribute."""
    names = list(table.attributes)
    rows = [dict(row.groups) for row in table.rows]
    for size in range(2, table.cross + 1):
        for parts in combinations(table.attributes, size):
            name = "&".join(escaped(part) for part in parts)
            names.append(name)
            for groups in rows:
                groups[name] = " & ".join(escaped(groups[part]) for part in parts)
    copies = [
        Row(r.y_true, r.y_pred, groups, r.weight, r.loss, r.score, r.confidence, r.member)
        for r, groups in zip(table.rows, rows, strict=True)
    ]
    return Table(
        tuple(copies), tuple(names), table.positive, table.min_events, 1, table.agreement, table.weighted
    )


def to_overall_numbers(table: Table, by: str) -> dict[Key, Number]:
    """Rate of a group minus the rate of all rows; undefined when the group, or the rest, has no row for it."""
    rates: dict[str, tuple[Test, Test]] = {"accuracy": (lambda row: True, is_correct)}
    if table.positive is not None:
        named = binary_rates(table.positive)
        rates |= {rate: named[rate] for rate in ("selection_rate", "tpr", "fpr")}
    out: dict[Key, Number] = {}
    for rate, (counted, hit) in rates.items():
        rows = where(table.rows, counted)
        for group in groups_of(table.rows, by):
            inside = in_group(rows, by, group)
            sides = min(len(inside), len(rows) - len(inside))
            number = UNDEFINED
            if sides > 0:
                gap = proportion(inside, hit, 0).value - proportion(rows, hit, 0).value
                number = Number(gap, status_of(sides, table.min_events))
            out[Key(f"{rate}_to_overall", by, group)] = number
    return out


def overall_numbers(table: Table) -> dict[Key, Number]:
    """The same quantities over all rows; no min or gap runs over them, so they are small to nobody."""
    rows = table.rows
    out = {
        Key("accuracy", "overall"): proportion(rows, is_correct, 0),
        Key("f1_macro", "overall"): Number(macro(rows, f1)),
        Key("recall_macro", "overall"): Number(macro(rows, recall)),
    }
    if table.positive is not None:
        for rate, (counted, hit) in binary_rates(table.positive).items():
            out[Key(rate, "overall")] = proportion(where(rows, counted), hit, 0)
    out |= score_numbers(table, "overall", None, rows)
    if all(row.member is not None for row in rows):
        out[Key("membership_advantage", "overall")] = membership_number(table, rows)
    return {
        key: number if number.value is None else replace(number, status=None) for key, number in out.items()
    }


def panel(table: Table) -> dict[Key, Number]:
    """Every number of the panel, by where it stands in `content.estimates`."""
    table = crossed(table)
    out = overall_numbers(table)
    out |= class_numbers(table)
    out |= loss_numbers(table, "class") | overall_loss(table)
    for by in table.attributes:
        for part in (group_numbers, eod_numbers, cell_numbers, loss_numbers, reliance_numbers):
            out |= part(table, by)
        out |= binary_numbers(table, by) | to_overall_numbers(table, by)
        out |= per_group_extras(table, by)
    return out
