"""Every number of the panel equals the oracle on random tables; what is undefined or small is said to be."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from typing import Any

import pytest
import strategies
from hypothesis import HealthCheck, given, settings
from oracle import panel
from oracle_rows import Key, Number

import fairaudit

EXACT = 1e-12
ROUNDED = 1e-9  # per-row logarithms pass through fixed-point sums
SIMULATED = 0.02  # an expectation that the audit may estimate by drawing tables
RANDOM_TABLES = settings(
    derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def close(value: float | None, expected: Fraction | float | None, tolerance: float) -> bool:
    """Equal within an absolute and relative tolerance; None equals None only."""
    if value is None or expected is None:
        return value is None and expected is None
    return math.isclose(value, float(expected), rel_tol=tolerance, abs_tol=tolerance)


def stand(entry: dict[str, Any]) -> Key:
    """The place of one estimate of the JSON."""
    return Key(entry["metric"], entry["by"], entry["group"], entry["class"])


def wrong(entry: dict[str, Any], number: Number) -> list[str]:
    """What this estimate gets wrong about the oracle's number."""
    tolerance = ROUNDED if number.rounded else EXACT
    found = []
    if not close(entry["value"], number.value, tolerance):
        found.append(f"value {entry['value']} is not {number.value and float(number.value)}")
    if number.value is None:
        if entry["status"] != "undefined" or not entry["reason"] or entry["interval"] is not None:
            found.append(f"undefined needs status and reason: {entry['status']}, {entry['reason']}")
    elif number.status is not None and entry["status"] != number.status:
        found.append(f"status {entry['status']} is not {number.status}")
    if number.denominator is not None and not (
        close(entry["numerator"], number.numerator, EXACT)
        and close(entry["denominator"], number.denominator, EXACT)
    ):
        counts = f"{entry['numerator']}/{entry['denominator']}"
        found.append(f"counts {counts} are not {number.numerator}/{number.denominator}")
    return found + wrong_place(entry, number) + wrong_reference(entry, number) + wrong_interval(entry)


def wrong_place(entry: dict[str, Any], number: Number) -> list[str]:
    """`at` must name a stratum that attains the value."""
    if not number.at:
        return []
    at = entry["at"] or {}
    place = (at.get("group"), at.get("class"))
    return [] if place in number.at else [f"at {place} is not one of {sorted(number.at, key=str)}"]


def wrong_reference(entry: dict[str, Any], number: Number) -> list[str]:
    """Companions, exact or simulated."""
    given_ = entry["reference"] or {}
    tolerance = ROUNDED if number.rounded else EXACT
    exact = {name: (value, tolerance) for name, value in number.reference.items()}
    drawn = {name: (value, SIMULATED) for name, value in number.expectation.items()}
    return [
        f"reference {name} {given_.get(name)} is not {value and float(value)}"
        for name, (value, allowed) in (exact | drawn).items()
        if not close(given_.get(name), value, allowed)
    ]


def wrong_interval(entry: dict[str, Any]) -> list[str]:
    """An interval contains its estimate and is ordered."""
    interval, value = entry["interval"], entry["value"]
    if interval is None or value is None:
        return []
    low, high = interval["low"], interval["high"]
    inside = low - EXACT <= value <= high + EXACT
    return [] if inside and interval["level"] == 0.95 else [f"interval {interval} does not hold {value}"]


def mismatches(audit: fairaudit.Audit, case: strategies.Case) -> list[str]:
    """Every disagreement between the audit and the oracle, in words."""
    expected = panel(case.table)
    entries = json.loads(audit.to_json())["content"]["estimates"]
    given_ = {stand(entry): entry for entry in entries}
    found = [] if len(given_) == len(entries) else ["two estimates stand in the same place"]
    for key, number in expected.items():
        if key not in given_:
            found.append(f"{key}: absent, expected {number}")
        else:
            found += [f"{key}: {text}" for text in wrong(given_[key], number)]
    unknown = [key for key, entry in given_.items() if key not in expected and entry["value"] is not None]
    return found + [f"{key}: not in the oracle" for key in unknown]


def check(case: strategies.Case) -> None:
    """Audit the frame and compare."""
    found = mismatches(fairaudit.audit(case.frame(), **case.roles), case)
    assert not found, "\n".join(found[:40])


@settings(RANDOM_TABLES, max_examples=30)
@given(case=strategies.cases(2))
def test_binary_tables(case: strategies.Case) -> None:
    check(case)


@settings(RANDOM_TABLES, max_examples=10)
@given(case=strategies.cases(2, declared=False))
def test_two_classes_without_a_positive_one(case: strategies.Case) -> None:
    check(case)


@settings(RANDOM_TABLES, max_examples=30)
@given(case=strategies.cases(3))
def test_three_classes(case: strategies.Case) -> None:
    check(case)


@settings(RANDOM_TABLES, max_examples=6)
@given(case=strategies.cases(40, 500))
def test_forty_classes(case: strategies.Case) -> None:
    check(case)


@settings(RANDOM_TABLES, max_examples=4)
@given(case=strategies.cases(3))
def test_estimate_is_the_entry_of_the_json(case: strategies.Case) -> None:
    audit = fairaudit.audit(case.frame(), **case.roles)
    for entry in json.loads(audit.to_json())["content"]["estimates"]:
        estimate = audit.estimate(
            entry["metric"], by=entry["by"], group=entry["group"], class_=entry["class"]
        )
        assert (estimate.value, estimate.status, estimate.reason) == (
            entry["value"],
            entry["status"],
            entry["reason"],
        )
        assert (estimate.n, estimate.numerator, estimate.denominator) == (
            entry["n"],
            entry["numerator"],
            entry["denominator"],
        )
        interval = entry["interval"]
        assert (estimate.interval is None) == (interval is None)
        if estimate.interval is not None:
            assert (estimate.interval.low, estimate.interval.high) == (interval["low"], interval["high"])


def test_a_group_without_positives_is_undefined_not_zero() -> None:
    frame = {"y": [1] * 20 + [0] * 40, "p": [1] * 15 + [0] * 5 + [1] * 10 + [0] * 30}
    groups = ["with"] * 40 + ["without"] * 20  # `without` holds negatives only
    frame = strategies.pd.DataFrame(frame | {"s": groups})
    audit = fairaudit.audit(frame, y_true="y", y_pred="p", sensitive=["s"], positive="1")
    tpr = audit.estimate("tpr", by="s", group="without")
    assert (tpr.value, tpr.status, tpr.interval) == (None, "undefined", None)
    assert tpr.reason
    difference = audit.estimate(
        "equal_opportunity_difference", by="s"
    )  # one group is left: nothing to compare
    assert (difference.value, difference.status) == (None, "undefined")
    eod_max = audit.estimate("eod_max", by="s")
    assert (eod_max.value, eod_max.status) == (None, "undefined")


@pytest.mark.parametrize(("events", "status"), [(9, "small"), (10, "ok")])
def test_small_strata_keep_their_value_and_leave_the_gap(events: int, status: str) -> None:
    y = [1] * 40 + [0] * 40 + [1] * events + [0] * 40
    p = [1] * 20 + [0] * 60 + [1] * events + [0] * 40
    frame = strategies.pd.DataFrame({"y": y, "p": p, "s": ["a"] * 80 + ["b"] * (events + 40)})
    audit = fairaudit.audit(frame, y_true="y", y_pred="p", sensitive=["s"], positive="1")
    tpr = audit.estimate("tpr", by="s", group="b")
    assert (tpr.value, tpr.status) == (1.0, status)
    assert audit.estimate("eod", by="s", group="b", class_="1").status == status
    gap = audit.estimate("equal_opportunity_difference", by="s").value
    assert gap == (0.5 if status == "ok" else None)


def test_min_n_labels_a_group_small_and_changes_no_number() -> None:
    frame = strategies.pd.DataFrame({"y": [0, 1] * 50, "p": [0, 1, 1, 1] * 25, "s": ["a"] * 76 + ["b"] * 24})
    roles = {"y_true": "y", "y_pred": "p", "sensitive": ["s"], "positive": "1"}
    strict = json.loads(fairaudit.audit(frame, **roles, min_n=30).to_json())["content"]
    lenient = json.loads(fairaudit.audit(frame, **roles, min_n=10).to_json())["content"]
    assert any(w["code"] == "small_group" and "s=b" in w["message"] for w in strict["warnings"])
    assert not any(w["code"] == "small_group" for w in lenient["warnings"])
    values = [[entry["value"] for entry in content["estimates"]] for content in (strict, lenient)]
    assert values[0] == values[1]
