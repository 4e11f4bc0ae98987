"""The sentences of a gate's verdict, word by word."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from verdicts import ASIAN, OPEN, PASSED, RULE, SMALL, WAIVED, WAIVER, WHITE, verdict_of, waiver_of, warn

from fairaudit.report.gate_asides import waived
from fairaudit.report.gate_words import asked, capital, check_sentence, encodable, line, stratum_sentence
from fairaudit.verdict import Check, Stratum


def said(check: Check, **stats: Any) -> str:
    return check_sentence(check, verdict_of([check], [WAIVER], **stats))


def test_a_failing_ratio() -> None:
    assert said(replace(RULE, strata=(ASIAN, WHITE))) == (
        "four-fifths by race: fail. race=Asian: selection_rate 12.3 % is 0.62 of race=White; at most 0.74 with "
        "confidence, the limit is 0.80."
    )


def test_an_inconclusive_group() -> None:
    assert said(OPEN) == (
        "four-fifths by race: inconclusive. race=Native American: selection_rate 10.0 %; 9 rows, "
        "fewer than 10; about 120 more rows of race=Native American would decide."
    )
    assert "about 1 more row of" in said(replace(OPEN, strata=(replace(SMALL, rows_needed=1),)))
    assert said(OPEN, on_inconclusive="warn").startswith(
        'four-fifths by race: inconclusive (on_inconclusive = "warn": it does not stop). race='
    )
    between = replace(SMALL, reason="the limit lies between the bounds", fail_bound=0.9, pass_bound=0.4)
    assert "; at least 0.40 and at most 0.90 with confidence, the limit is 0.80; " in said(
        replace(OPEN, strata=(between,))
    )


def test_bounds_are_told_from_below_to_above() -> None:
    check = Check("r", "race", "fpr", "max", 0.2, False, None, "inconclusive", ())
    told = stratum_sentence(check, Stratum("A", "inconclusive", value=0.2, fail_bound=0.1, pass_bound=0.3))
    assert "; at least 10.0 % and at most 30.0 % with confidence, the limit is 20.0 %" in told


def test_passes_warnings_waivers_and_what_is_left_out() -> None:
    asks = "inside the limit: ratio of selection_rate to that of every other group at least 0.80."
    assert said(PASSED) == f"four-fifths by race: pass. The only group is {asks}"
    assert (
        said(replace(PASSED, strata=(WHITE, WHITE))) == f"four-fifths by race: pass. All 2 groups are {asks}"
    )
    assert said(warn(RULE)).startswith(
        'four-fifths by race: fail (severity = "warn": it does not count). race='
    )
    assert said(WAIVED) == (
        "four-fifths by race: waived until 2027-03-31: 17 rows; collection plan 112 (risk@example.org)."
    )
    assert said(replace(PASSED, excluded=("race=Other",))).endswith(" Left out by the policy: race=Other.")
    assert said(replace(OPEN, strata=(), reason="no baseline was given.")) == (
        "four-fifths by race: inconclusive. No baseline was given."
    )


def test_the_worst_stratum_is_named_and_the_others_are_counted() -> None:
    worse = replace(ASIAN, group="Black", value=0.4)
    assert "race=Black: " in said(replace(RULE, strata=(ASIAN, worse)))
    assert said(replace(RULE, strata=(ASIAN, worse))).endswith("0.80; 1 other group fails too.")
    assert said(replace(RULE, strata=(ASIAN, worse, ASIAN))).endswith("; 2 other groups fail too.")
    ceiling = replace(RULE, kind="max", at_least=False, limit=0.1)
    assert "race=Asian: " in said(replace(ceiling, strata=(worse, ASIAN)))
    waived = replace(worse, waived="2027-03-31")
    assert "race=Asian: " in said(replace(RULE, strata=(waived, ASIAN)))


POINTS = {"value": 0.021, "fail_bound": 0.015, "rate": 0.1, "baseline": 0.079}


@pytest.mark.parametrize(
    ("kind", "metric", "at_least", "limit", "numbers", "fact"),
    [
        ("min", "tpr", True, 0.7, {"value": 0.5, "fail_bound": 0.61},
         "race=A: tpr 50.0 %; at most 61.0 % with confidence, the limit is 70.0 %"),
        ("max", "fpr", False, 0.1, {"value": 0.5, "fail_bound": 0.4},
         "race=A: fpr 50.0 %; at least 40.0 % with confidence, the limit is 10.0 %"),
        ("min", "roc_auc", True, 0.7, {"value": 0.5, "fail_bound": 0.61},
         "race=A: roc_auc 0.500; at most 0.610 with confidence, the limit is 0.700"),
        ("max_difference", "tpr", False, 0.01, {**POINTS, "against": "B"},
         "race=A: tpr 10.0 %, 2.1 points from race=B; at least 1.5 points with confidence, the limit is 1.0 points"),
        ("max_increase", "fnr", False, 0.01, POINTS,
         "race=A: fnr 10.0 % (7.9 % in the baseline), an increase of 2.1 points; at least 1.5 points with confidence"),
        ("max_increase", "fnr", False, 0.01, {"value": -0.02, "fail_bound": -0.03},
         "race=A: fnr, no increase (−2.0 points); at least −3.0 points with confidence (positive: an increase)"),
        ("max_decrease", "tpr", False, 0.01, POINTS,
         "race=A: tpr 10.0 % (7.9 % in the baseline), a decrease of 2.1 points; at least 1.5 points with confidence"),
        ("no_group_worse", "tpr", False, 0.01, {"value": 0.021, "fail_bound": 0.015},
         "race=A: tpr, worse by 2.1 points; at least 1.5 points with confidence, the limit is 1.0 points"),
        ("min_ratio", "fnr", True, 0.8, {"value": 0.5, "rate": 0.2, "against": "B"},
         "race=A: fnr 20.0 %, of which that of race=B is 0.50"),
    ],
)  # fmt: skip
def test_every_kind_has_words(
    kind: str, metric: str, at_least: bool, limit: float, numbers: dict[str, Any], fact: str
) -> None:
    check = Check("r", "race", metric, kind, limit, at_least, "highest", "fail", ())
    whole = stratum_sentence(check, Stratum("A", "fail", **numbers))
    assert whole.removesuffix(", the limit is 1.0 points") == fact.removesuffix(", the limit is 1.0 points")
    assert (" at least " in asked(check)) == at_least
    assert (" at most " in asked(check)) == (not at_least and kind != "no_group_worse")


def test_a_limit_on_a_gap_is_told_pair_by_pair() -> None:
    check = Check(
        "r",
        "race",
        "demographic_parity_difference",
        "max",
        0.1,
        False,
        None,
        "fail",
        (),
        form="max_difference",
    )
    pair = Stratum("A", "fail", value=0.3, rate=0.2, against="B", of="selection_rate", fail_bound=0.2)
    assert asked(check) == "demographic_parity_difference at most 10.0 points"
    assert stratum_sentence(check, pair) == (
        "race=A: selection_rate 20.0 %, 30.0 points from race=B; at least 20.0 points with confidence, the limit is "
        "10.0 points"
    )


def test_references_have_names() -> None:
    check = replace(RULE, kind="max_difference", at_least=False, limit=0.05)
    for reference, name in (("rest", "all other groups together"), ("overall", "all rows")):
        assert f" points from {name};" in stratum_sentence(replace(check, reference=reference), ASIAN)
        assert asked(replace(check, reference=reference)) == (
            f"selection_rate at most 5.0 points from that of {name}"
        )
    assert asked(replace(check, reference="race=White")).endswith("from that of race=White")


def test_a_number_is_never_rounded_onto_the_limit() -> None:
    near = replace(ASIAN, value=0.7996, fail_bound=0.79996)
    told = stratum_sentence(RULE, near)
    assert "is 0.79960 of race=White; at most 0.79996 with confidence, the limit is 0.80000" in told
    assert "is 0.80 of" in stratum_sentence(RULE, replace(near, value=0.8, fail_bound=0.9))
    rate = Check("r", "race", "tpr", "min", 0.7, True, None, "fail", ())
    assert "tpr 69.97 %; at most 69.00 % with confidence, the limit is 70.00 %" in stratum_sentence(
        rate, Stratum("A", "fail", value=0.6997, fail_bound=0.69)
    )


def test_places_have_names() -> None:
    one = replace(RULE, by="overall", kind="min", strata=(Stratum(None, "pass", value=0.9, pass_bound=0.85),))
    assert stratum_sentence(one, one.strata[0]).startswith("all rows: selection_rate 90.0 %; at least 85.0 %")
    assert said(replace(one, verdict="pass")).startswith("four-fifths by overall: pass. Inside the limit: ")
    assert line(RULE, replace(ASIAN, class_="3")).startswith("fail: race=Asian, class 3: ")
    assert line(RULE, ASIAN).endswith(" (1,203 rows)")
    assert line(RULE, replace(ASIAN, group=None, class_="3", waived="2027-03-31")).startswith(
        "waived until 2027-03-31, else fail: class 3: "
    )
    assert stratum_sentence(RULE, replace(ASIAN, of="tpr")).startswith("race=Asian: tpr 12.3 % is ")


def test_hidden_strata_are_named_only() -> None:
    hidden = replace(ASIAN, hidden=True, reason="4 rows")
    assert line(RULE, hidden) == "fail: race=Asian: its numbers are withheld (suppress_below)"
    one = replace(hidden, of="tpr")
    assert line(replace(RULE, strata=(one,)), one).startswith("fail: race=Asian: its")
    both = replace(RULE, strata=(one, replace(one, of="fpr")))
    assert line(both, one).startswith("fail: race=Asian, tpr: its")


def test_lone_surrogates_are_spelt_out() -> None:
    assert encodable("a\ud800😀") == "a\\ud800😀"


def test_the_limit_is_written_whole() -> None:
    assert asked(replace(RULE, limit=0.8125)).endswith("at least 0.8125")
    assert asked(replace(RULE, kind="max", limit=0.0125)).endswith("at least 1.25 %")


def test_the_best_off_group_is_compared_with_nobody() -> None:
    best = replace(WHITE, value=1.0, against=None, reason="best off", rate=0.439)
    assert line(RULE, best) == "pass: race=White: selection_rate 43.9 %, the best off (5,000 rows)"
    gap = replace(RULE, kind="max_difference", at_least=False, limit=0.1)
    zero = replace(best, value=0.0, fail_bound=0.0, pass_bound=0.0)
    assert stratum_sentence(gap, zero) == "race=White: selection_rate 43.9 %, the best off"


def test_too_few_rows_are_compared_with_nobody_and_counted_once() -> None:
    told = "race=Native American: selection_rate 10.0 %; 9 rows, fewer than 10"
    assert line(RULE, replace(SMALL, rows_needed=None)) == f"inconclusive: {told}"
    changed = replace(RULE, kind="max_decrease", at_least=False)
    assert "selection_rate 10.0 % (20.0 % in the baseline); 9 rows" in line(
        changed, replace(SMALL, baseline=0.2)
    )
    floor = replace(RULE, kind="min", reference=None)
    assert "selection_rate 50.0 %; 9 rows" in line(floor, replace(SMALL, rate=None))


def test_a_gap_in_recall_stands_beside_recall() -> None:
    rest = Check("r", "race", "eod", "max", 0.1, False, "rest", "fail", (), form="max_difference")
    far = Stratum("A", "fail", "3", value=0.161, rate=0.923, fail_bound=0.12)
    assert stratum_sentence(rest, far).startswith(
        "race=A, class 3: recall 92.3 %, 16.1 points from all other groups together; at least 12.0 points"
    )
    assert " eod 92.3 %, " in stratum_sentence(replace(rest, reference="highest"), replace(far, against="B"))


def test_zero_has_no_sign() -> None:
    check = Check("r", "race", "tpr", "no_group_worse", 0.01, False, None, "pass", ())
    told = stratum_sentence(check, Stratum("A", "pass", value=-0.0001, rate=0.9, pass_bound=0.005))
    assert "not worse (0.0 points); at most 0.5 points with confidence (positive: worse), the limit" in told


def test_sentences_begin_with_a_capital_but_names_do_not() -> None:
    assert capital("no group is left") == "No group is left"
    assert capital("selection_rate by race is one number") == "selection_rate by race is one number"


def test_waivers_are_found_whatever_the_order_of_attributes() -> None:
    check = replace(RULE, by="sex&race", strata=(replace(ASIAN, group="F & Asian", waived="2027-03-31"),))
    mine = {**waiver_of(RULE, None, "few rows", "me"), "group": "race&sex=Asian & F"}
    other = {**mine, "group": "race&sex=White & F", "reason": "another"}
    verdict = verdict_of([check], [other, mine])
    assert waived(verdict) == ["1 group waived: sex&race=F & Asian until 2027-03-31 (me: few rows)"]


def test_waivers_are_counted_by_group_with_owner_and_reason() -> None:
    strata = (replace(ASIAN, waived="2027-03-31"), replace(SMALL, waived="2099-01-01"), WHITE)
    waivers = [
        waiver_of(RULE, "Asian", "new data.", "a@x"),
        waiver_of(RULE, "Native American", "17 rows", "b@x"),
    ]
    assert waived(verdict_of([replace(RULE, strata=strata)], waivers)) == [
        (
            "2 groups waived: race=Asian until 2027-03-31 (a@x: new data); "
            "race=Native American until 2099-01-01 (b@x: 17 rows)"
        ),
    ]
    assert waived(verdict_of([WAIVED], [WAIVER])) == [
        "1 check waived: four-fifths by race until 2027-03-31 (risk@example.org: 17 rows; collection plan 112)"
    ]
    twice = [replace(RULE, id=name, strata=strata[:1] * 2) for name in ("a", "b")]
    assert waived(verdict_of(twice)) == [
        "1 group waived: race=Asian under a until 2027-03-31; race=Asian under b until 2027-03-31"
    ]
    assert waived(verdict_of([RULE])) == []
