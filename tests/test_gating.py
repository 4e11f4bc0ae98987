"""The gate against an independent oracle, and the rules of DESIGN §4.3 one by one."""

from __future__ import annotations

import math
from datetime import date

import numpy as np
import oracle_gate
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fairaudit
from fairaudit.errors import FairauditError
from fairaudit.policy import Policy, Rule, Waiver

RATES = ("accuracy", "selection_rate", "tpr", "fpr", "fnr", "ppv")


def table(**groups):
    """A frame from {group: (tp, fp, fn, tn)}."""
    rows = []
    for g, cells in groups.items():
        for (y, p), n in zip(((1, 1), (0, 1), (1, 0), (0, 0)), cells, strict=True):
            rows += [(g, str(y), str(p))] * n
    return pd.DataFrame(rows, columns=["g", "y_true", "y_pred"])


def one(frame, rule, **policy):
    """The verdict of a policy of one rule."""
    return fairaudit.gate(frame, Policy("p.toml", (rule,), **policy), positive="1")


def by_group(check):
    return {s.group: s for s in check.strata}


cells = st.tuples(*[st.integers(0, 60)] * 4).filter(lambda c: sum(c) > 0)
tables = st.dictionaries(st.sampled_from("abcde"), cells, min_size=1, max_size=5).filter(
    lambda t: (
        any(c[0] + c[1] for c in t.values())
        and any(c[0] + c[2] for c in t.values())
        and any(c[1] + c[3] for c in t.values())
    )
)


@settings(max_examples=60, deadline=None)
@given(
    tables, st.sampled_from(RATES), st.sampled_from(["min", "max", "max_difference", "min_ratio"]),
    st.sampled_from([0.05, 0.1, 0.2, 0.5, 0.8, 0.9]), st.sampled_from([0.01, 0.05, 0.2]),
)  # fmt: skip
def test_every_line_equals_the_oracle(drawn, metric, kind, limit, alpha):
    frame = table(**drawn)
    check = one(frame, Rule("r", metric, ("g",), kind, limit), alpha=alpha).checks[0]
    rows = list(frame.itertuples(index=False, name=None))
    expected = oracle_gate.strata(rows, metric, kind, limit, alpha)
    assert set(by_group(check)) == set(expected)
    for group, s in by_group(check).items():
        word, value, fail_bound, pass_bound = expected[group]
        hits, n = oracle_gate.counts(rows, metric)[group]
        assert (s.n, s.denominator, s.numerator) == (n, n, hits)
        own = None if kind in ("min", "max") or n == 0 else pytest.approx(hits / n)
        assert s.rate == own  # a comparison says the group's own rate as well
        assert s.verdict == word, group
        if math.isnan(fail_bound):
            continue
        better_off = {"min_ratio": value > 1.0, "max_difference": value < 0.0}.get(kind, False)
        assert (s.reason == "best off") == (better_off and word == "pass")
        if s.reason == "best off":  # held against nobody
            alike, better = (1.0, min) if kind == "min_ratio" else (0.0, max)
            assert (s.against, s.value) == (None, alike)
            assert not math.isnan(value)
            assert better(value, alike) == alike != value
            fail_bound, pass_bound, value = better(fail_bound, alike), better(pass_bound, alike), alike
        for mine, theirs in ((s.fail_bound, fail_bound), (s.pass_bound, pass_bound)):
            assert (math.inf if mine is None else mine) == pytest.approx(theirs, abs=1e-6)
        if not math.isnan(value):
            assert s.value == pytest.approx(value, abs=1e-12)
    assert check.verdict == oracle_gate.verdict(expected)


@settings(max_examples=20, deadline=None)
@given(tables, tables, st.sampled_from(["accuracy", "tpr", "fnr"]), st.sampled_from([0.0, 0.05, 0.3]))
def test_a_change_against_an_unpaired_baseline_equals_the_oracle(before, after, metric, limit):
    rule = Rule("r", metric, ("g",), "max_increase", limit)
    old, new = (
        oracle_gate.counts(table(**t).itertuples(index=False, name=None), metric) for t in (before, after)
    )
    verdict = fairaudit.gate(table(**after), Policy("p", (rule,)), baseline=table(**before), positive="1")
    judged = [g for g in new if new[g][1] >= 10 and old.get(g, (0, 0))[1] >= 10]
    for s in verdict.checks[0].strata:
        if s.group not in judged:
            assert s.verdict == "inconclusive"
            continue
        far = oracle_gate.mover(new[s.group], old[s.group], 0.05 / len(judged))[0]
        own = oracle_gate.mover(new[s.group], old[s.group], 0.05)[1]
        assert s.fail_bound == pytest.approx(far, abs=1e-9)
        assert s.pass_bound == pytest.approx(own, abs=1e-9)
        rates = [x / n for x, n in (old[s.group], new[s.group])]
        assert (s.baseline, s.rate, s.baseline_n) == (
            pytest.approx(rates[0]),
            pytest.approx(rates[1]),
            old[s.group][1],
        )
        assert s.verdict == ("fail" if far > limit else "pass" if own <= limit else "inconclusive")


def test_a_bound_that_touches_the_limit_passes_and_does_not_fail():
    """Inside includes the limit; beyond does not: the bounds themselves are used as limits."""
    frame = table(a=(40, 10, 5, 45), b=(60, 20, 20, 100))
    for kind in ("min", "max"):
        found = by_group(one(frame, Rule("r", "accuracy", ("g",), kind, 0.5)).checks[0])
        for group, s in found.items():
            at_pass = by_group(one(frame, Rule("r", "accuracy", ("g",), kind, s.pass_bound)).checks[0])[group]
            at_fail = by_group(one(frame, Rule("r", "accuracy", ("g",), kind, s.fail_bound)).checks[0])[group]
            assert at_pass.verdict == "pass"
            assert at_fail.verdict == "inconclusive"
            step = 1e-9 if kind == "min" else -1e-9
            near = by_group(one(frame, Rule("r", "accuracy", ("g",), kind, s.pass_bound + step)).checks[0])[
                group
            ]
            past = by_group(one(frame, Rule("r", "accuracy", ("g",), kind, s.fail_bound + step)).checks[0])[
                group
            ]
            assert near.verdict == "inconclusive"
            assert past.verdict == "fail"


@pytest.mark.parametrize("size", [1, 2, 4, 9])
@pytest.mark.parametrize("kind", ["min", "max", "max_difference", "min_ratio"])
def test_a_few_people_never_fail_or_pass_a_rule(size, kind):
    for right in (0, size):
        frame = table(big=(400, 100, 100, 400), few=(right, 0, size - right, 0))
        check = one(frame, Rule("r", "tpr", ("g",), kind, 0.5)).checks[0]
        few = by_group(check)["few"]
        assert few.verdict == "inconclusive"
        assert f"{size} row" in few.reason
        assert few.fail_bound is None
        assert few.pass_bound is None
        assert check.verdict == "inconclusive" or by_group(check)["big"].verdict == "fail"
        assert few.rows_needed is None or few.rows_needed > 0


def test_a_group_without_positives_is_undefined_and_open():
    frame = table(a=(50, 10, 10, 50), none=(0, 10, 0, 50))
    s = by_group(one(frame, Rule("r", "tpr", ("g",), "min", 0.1)).checks[0])["none"]
    assert (s.verdict, s.value) == ("inconclusive", None)
    assert s.reason == "no rows of the positive class; at least 10 more would be needed to be judged at all"


def test_min_events_decides_who_is_judged():
    frame = table(a=(400, 0, 100, 0), b=(16, 0, 4, 0))
    rule = Rule("r", "tpr", ("g",), "min", 0.1)
    assert by_group(one(frame, rule, min_events=20).checks[0])["b"].verdict == "pass"
    assert by_group(one(frame, rule, min_events=21).checks[0])["b"].verdict == "inconclusive"


def test_alpha_is_shared_by_the_checks_of_a_rule_and_with_family_policy_by_rules():
    frame = table(a=(40, 10, 5, 45), b=(60, 20, 20, 100)).assign(h=lambda f: f["g"])
    rule, other = Rule("r", "accuracy", ("g", "h"), "min", 0.5), Rule("s", "accuracy", ("g",), "min", 0.5)
    waived = Rule("t", "accuracy", ("g",), "min", 0.5)
    warned = Rule("u", "accuracy", ("g",), "min", 0.5, severity="warn")
    waiver = Waiver("t", None, "me", "soon", date(2999, 1, 1))
    rows = list(frame[["g", "y_true", "y_pred"]].itertuples(index=False, name=None))
    for family, spread in (("rule", 1), ("policy", 2)):
        policy = Policy("p", (rule, other, waived, warned), (waiver,), family=family)
        checks = fairaudit.gate(frame, policy, positive="1").checks
        for check, share in zip(checks, (2 * spread, 2 * spread, spread), strict=False):
            expected = oracle_gate.strata(rows, "accuracy", "min", 0.5, checks=share)
            for s in check.strata:
                assert s.fail_bound == pytest.approx(expected[s.group][2], abs=1e-9)
                assert s.pass_bound == pytest.approx(expected[s.group][3], abs=1e-9)


def test_waivers_leave_a_group_out_of_the_verdict_but_not_out_of_sight():
    frame = table(a=(300, 50, 50, 300), b=(10, 40, 40, 10))
    rule = Rule("r", "accuracy", ("g",), "min", 0.5)
    waiver = Waiver("r", "g=b", "me", "soon", date(2999, 1, 1))
    assert one(frame, rule).exit_code == 1
    verdict = one(frame, rule, waivers=(waiver,))
    assert (verdict.exit_code, verdict.verdict) == (0, "pass")
    assert by_group(verdict.checks[0])["b"].verdict == "fail"
    assert by_group(verdict.checks[0])["b"].waived == "2999-01-01"
    whole = one(frame, rule, waivers=(Waiver("r", None, "me", "soon", date(2999, 1, 1)),))
    assert (whole.exit_code, whole.checks[0].verdict) == (0, "waived")
    assert [w["code"] for w in whole.warnings] == ["nothing_counts"]


def test_a_waived_group_costs_the_others_nothing():
    """With two groups of three waived, the third is judged as if alone: its fail bound is its own."""
    frame = table(a=(40, 10, 5, 45), b=(60, 20, 20, 100), c=(30, 30, 30, 30))
    waivers = tuple(Waiver("r", f"g={g}", "me", "soon", date(2999, 1, 1)) for g in "bc")
    s = by_group(one(frame, Rule("r", "accuracy", ("g",), "min", 0.5), waivers=waivers).checks[0])["a"]
    assert s.fail_bound == pytest.approx(oracle_gate.clopper_pearson(85, 100, 0.05)[1])


def test_warn_severity_never_counts():
    frame = table(a=(10, 40, 40, 10))
    verdict = one(frame, Rule("r", "accuracy", ("g",), "min", 0.9, severity="warn"))
    assert (verdict.verdict, verdict.exit_code, verdict.checks[0].verdict) == ("pass", 0, "fail")


@pytest.mark.parametrize(("asked", "code"), [("block", 3), ("warn", 0)])
def test_inconclusive_blocks_unless_the_policy_says_otherwise(asked, code):
    frame = table(a=(8, 2, 2, 8))
    verdict = one(frame, Rule("r", "accuracy", ("g",), "min", 0.8), on_inconclusive=asked)
    assert (verdict.verdict, verdict.exit_code) == ("inconclusive", code)


def test_excluded_groups_are_neither_judged_nor_compared_with():
    frame = table(a=(300, 50, 50, 300), b=(310, 50, 40, 300), c=(10, 290, 290, 10))
    rule = Rule("r", "tpr", ("g",), "min_ratio", 0.8)
    assert one(frame, rule).verdict == "fail"
    for verdict in (
        one(frame, rule, exclude_groups=("g=c",)),
        one(frame, Rule("r", "tpr", ("g",), "min_ratio", 0.8, exclude_groups=("g=c",))),
    ):
        assert verdict.verdict == "pass"
        assert verdict.checks[0].excluded == ("g=c",)
        assert set(by_group(verdict.checks[0])) == {"a", "b"}


def test_intersections_are_named_in_any_order():
    frame = table(a=(300, 50, 50, 300)).assign(h=lambda f: np.where(f.index % 2, "x", "y"))
    rules = (Rule("r", "accuracy", ("g&h",), "min", 0.1), Rule("s", "accuracy", ("h&g",), "min", 0.1))
    waiver = Waiver("s", "h&g=x & a", "me", "soon", date(2999, 1, 1))
    verdict = fairaudit.gate(frame, Policy("p", rules, (waiver,), exclude_groups=("h=y",)), positive="1")
    assert [c.by for c in verdict.checks] == ["g&h", "g&h"]
    assert [[(s.group, s.waived) for s in c.strata] for c in verdict.checks] == [
        [("a & x", None)], [("a & x", "2999-01-01")],
    ]  # fmt: skip


def test_one_number_over_groups_is_taken_apart():
    """demographic_parity_difference at most L is every pair of groups at most L apart: the same bounds."""
    frame = table(a=(40, 10, 5, 45), b=(60, 20, 20, 100), c=(10, 2, 30, 60))
    for metric, kind, rate, form in (
        ("demographic_parity_difference", "max", "selection_rate", "max_difference"),
        ("equal_opportunity_ratio", "min", "tpr", "min_ratio"),
        ("predictive_parity_difference", "max", "ppv", "max_difference"),
    ):
        whole = one(frame, Rule("r", metric, ("g",), kind, 0.5)).checks[0]
        apart = one(frame, Rule("r", rate, ("g",), form, 0.5)).checks[0]
        assert (whole.form, whole.reference) == (form, "highest")
        same = [(s.group, s.value, s.fail_bound, s.pass_bound, s.verdict) for s in apart.strata]
        assert [(s.group, s.value, s.fail_bound, s.pass_bound, s.verdict) for s in whole.strata] == same


def test_equalized_odds_judges_both_rates_at_half_the_error_each():
    frame = table(a=(40, 10, 5, 45), b=(60, 20, 20, 100))
    rows = list(frame.itertuples(index=False, name=None))
    strata = one(frame, Rule("r", "equalized_odds_difference", ("g",), "max", 0.5)).checks[0].strata
    assert {(s.group, s.of) for s in strata} == {(g, r) for g in "ab" for r in ("tpr", "fpr")}
    for s in strata:
        expected = oracle_gate.strata(rows, s.of, "max_difference", 0.5, checks=2)[s.group]
        better = s.reason == "best off"
        assert s.fail_bound == pytest.approx(max(expected[2], 0.0) if better else expected[2], abs=1e-9)
        assert s.pass_bound == pytest.approx(max(expected[3], 0.0) if better else expected[3], abs=1e-9)


@pytest.mark.parametrize("reference", ["rest", "overall"])
@pytest.mark.parametrize("kind", ["max_difference", "min_ratio"])
def test_against_the_rest_or_all_rows(reference, kind):
    frame = table(a=(40, 10, 5, 45), b=(60, 20, 20, 100), c=(10, 2, 30, 60))
    found = by_group(one(frame, Rule("r", "tpr", ("g",), kind, 0.5, reference)).checks[0])
    hits = oracle_gate.counts(frame.itertuples(index=False, name=None), "tpr")
    total = tuple(map(sum, zip(*hits.values(), strict=True)))
    for g, mine in hits.items():
        rest = (total[0] - mine[0], total[1] - mine[1])
        share = mine[1] / total[1]
        p, q, whole = (x / n for x, n in (mine, rest, total))
        other = q if reference == "rest" else whole
        if kind == "min_ratio":
            low, high = (
                oracle_gate.mover_ratio(mine, rest, 0.05)[0],
                oracle_gate.mover_ratio(mine, rest, 0.05 / 3)[1],
            )
            through = [r if reference == "rest" else r / (share * r + 1 - share) for r in (low, high)]
            assert found[g].value == pytest.approx(p / other)
            assert found[g].pass_bound == pytest.approx(through[0], abs=1e-6)
            assert found[g].fail_bound == pytest.approx(through[1], abs=1e-6)
        else:
            scale = 1.0 if reference == "rest" else 1 - share
            own, far = oracle_gate.mover(mine, rest, 0.05), oracle_gate.mover(mine, rest, 0.05 / 6)
            assert found[g].value == pytest.approx(abs(p - other))
            assert found[g].pass_bound == pytest.approx(scale * max(own[1], -own[0]), abs=1e-9)
            assert found[g].fail_bound == pytest.approx(max(0.0, scale * max(far[0], -far[1])), abs=1e-9)


def test_against_one_group():
    frame = table(a=(40, 10, 5, 45), b=(60, 20, 20, 100), c=(10, 2, 30, 60))
    check = one(frame, Rule("r", "tpr", ("g",), "min_ratio", 0.5, "g=a")).checks[0]
    assert [s.group for s in check.strata] == ["b", "c"]
    for s in check.strata:
        mine = {"b": (60, 80), "c": (10, 40)}[s.group]
        assert s.pass_bound == pytest.approx(oracle_gate.mover_ratio(mine, (40, 45), 0.05)[0], abs=1e-6)
        assert s.fail_bound == pytest.approx(oracle_gate.mover_ratio(mine, (40, 45), 0.025)[1], abs=1e-6)
        assert s.against == "a"
    # where lower is better, the worse-off has the higher rate and stands below the line
    fpr = by_group(one(frame, Rule("r", "fpr", ("g",), "min_ratio", 0.5, "g=a")).checks[0])["b"]
    assert fpr.value == pytest.approx((10 / 55) / (20 / 120))


def test_only_the_groups_a_rule_names_are_judged():
    frame = table(a=(40, 10, 5, 45), b=(60, 20, 20, 100), c=(10, 2, 30, 60))
    check = one(frame, Rule("r", "tpr", ("g",), "min_ratio", 0.5, groups=("g=c",))).checks[0]
    assert [s.group for s in check.strata] == ["c"]
    assert check.strata[0].against == "a"


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (Rule("r", "tpr", ("g",), "min_ratio", 0.8, "g=A"), "no group 'g=A'"),
        (Rule("r", "tpr", ("g",), "min", 0.8, groups=("g=zz",)), "no group 'g=zz'"),
        (Rule("r", "tpr", ("g",), "min", 0.8, class_="7"), "no class '7'"),
        (Rule("r", "f1", ("g",), "min", 0.8), "does not stand by 'g', only by class"),
        (Rule("r", "selection_rate", ("g",), "no_group_worse", 0.1), "a better side"),
        (Rule("r", "f1_median", ("g",), "max_difference", 0.1), "one number"),
        (Rule("r", "roc_auc", ("g",), "min", 0.7), "cannot be computed from this data"),
        (Rule("r", "accuracy", ("gg",), "min", 0.7), "no column 'gg'"),
    ],
)
def test_a_rule_without_a_meaning_is_one_sentence(rule, said):
    frame = table(a=(40, 10, 5, 45), b=(60, 20, 20, 100))
    with pytest.raises(FairauditError, match=said) as caught:
        fairaudit.gate(frame, Policy("p.toml", (rule,)), baseline=frame, positive="1")
    assert "\n" not in str(caught.value)


def test_a_missing_baseline():
    frame = table(a=(40, 10, 5, 45), b=(60, 20, 20, 100))
    other = Rule("s", "accuracy", ("g",), "min", 0.5)
    for asked, rules, code, n in (
        ("inconclusive", 1, 3, 1),
        ("skip", 2, 0, 1),
        ("inconclusive", 2, 3, 2),
        ("skip", 1, 3, 1),
    ):
        rule = Rule("r", "accuracy", ("g",), "max_decrease", 0.1, missing_baseline=asked)
        verdict = fairaudit.gate(frame, Policy("p", (rule, other)[:rules]), positive="1")
        assert (verdict.exit_code, len(verdict.checks)) == (code, n)  # nothing that ran is no pass
        assert [w["code"] for w in verdict.warnings] == (["skipped"] if (asked, rules) == ("skip", 2) else [])


def test_no_group_worse_looks_at_the_worse_side():
    before, after = table(a=(400, 50, 50, 400)), table(a=(300, 150, 150, 300))
    for metric, old, new, code in (("accuracy", before, after, 1), ("accuracy", after, before, 0),
                                   ("fpr", before, after, 1), ("fpr", after, before, 0)):  # fmt: skip
        rule = Rule("r", metric, ("g",), "no_group_worse", 0.02)
        assert fairaudit.gate(new, Policy("p", (rule,)), baseline=old, positive="1").exit_code == code


def test_pairing_by_id_narrows_a_change():
    """1 row in 50 differs: unpaired nothing can be said, paired the change is known to a point."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 2000).astype(str)
    before = pd.DataFrame(
        {"id": range(2000), "g": "a", "y_true": y, "y_pred": np.where(rng.random(2000) < 0.8, y, "x")}
    )
    before["y_pred"] = before["y_pred"].where(before["y_pred"] != "x", np.where(y == "1", "0", "1"))
    after = before.copy()
    after.loc[:19, "y_pred"] = after.loc[:19, "y_true"]
    rule = Rule("r", "accuracy", ("g",), "no_group_worse", 0.01)
    paired = fairaudit.gate(after, Policy("p", (rule,)), baseline=before, positive="1")
    alone = fairaudit.gate(after, Policy("p", (rule,)), baseline=before.drop(columns="id"), positive="1")
    assert (paired.verdict, alone.verdict) == ("pass", "inconclusive")
    assert paired.baseline["paired"]
    assert not alone.baseline["paired"]


def test_an_audit_as_baseline_is_nearly_the_rows_it_was_made_of():
    before, after = (
        table(a=(400, 50, 50, 400), b=(40, 5, 5, 40)),
        table(a=(380, 70, 50, 400), b=(41, 4, 5, 40)),
    )
    rule = Rule("r", "accuracy", ("g",), "max_decrease", 0.05)
    rows = fairaudit.gate(after, Policy("p", (rule,)), baseline=before, positive="1").checks[0]
    audit = fairaudit.audit(before, y_true="y_true", y_pred="y_pred", sensitive=["g"], positive="1")
    saved = fairaudit.gate(after, Policy("p", (rule,)), baseline=audit, positive="1").checks[0]
    for s, t in zip(rows.strata, saved.strata, strict=True):
        assert (s.verdict, s.baseline, s.value) == (t.verdict, t.baseline, t.value)
        assert s.fail_bound == pytest.approx(t.fail_bound, abs=1e-6)
        assert s.pass_bound == pytest.approx(t.pass_bound, abs=1e-6)


def test_the_rows_needed_decide_when_they_come():
    """Scaled up by what it asks for, an open stratum is decided (its value stays, so with more than even chance)."""
    frame = table(a=(43, 0, 7, 0), b=(400, 0, 100, 0))
    rule = Rule("r", "tpr", ("g",), "min", 0.8)
    s = by_group(one(frame, rule).checks[0])["a"]
    assert s.verdict == "inconclusive"
    times = 1 + s.rows_needed / 50
    more = table(a=(round(43 * times), 0, round(7 * times), 0), b=(400, 0, 100, 0))
    assert by_group(one(more, rule).checks[0])["a"].verdict == "pass"
    fewer = 1 + 0.3 * s.rows_needed / 50
    less = table(a=(round(43 * fewer), 0, round(7 * fewer), 0), b=(400, 0, 100, 0))
    assert by_group(one(less, rule).checks[0])["a"].verdict == "inconclusive"


def test_the_content_depends_on_rows_and_policy_alone():
    frame = table(a=(40, 10, 5, 45), b=(60, 20, 20, 100))
    rule = Rule("r", "tpr", ("g",), "min_ratio", 0.5)
    first, second = one(frame, rule), one(frame.sample(frac=1, random_state=0), rule)
    assert first.content_sha256 == second.content_sha256


def test_small_counts_are_hidden_and_cannot_be_worked_out():
    frame = table(a=(300, 50, 50, 300), b=(200, 20, 20, 200), c=(30, 12, 12, 30), d=(5, 1, 2, 20))
    rules = (
        Rule("r", "tpr", ("g",), "min_ratio", 0.5),
        Rule("s", "accuracy", ("overall",), "min", 0.5),
        Rule("t", "recall", ("class",), "min", 0.5),
    )
    plain = fairaudit.gate(frame, Policy("p", rules), positive="1")
    hidden = fairaudit.gate(frame, Policy("p", rules, suppress_below=10), positive="1")
    assert [s.group for s in hidden.checks[0].strata if s.hidden] == ["c", "d"]  # c, or d = all − a − b − c
    assert [s.verdict for c in hidden.checks for s in c.strata] == [
        s.verdict for c in plain.checks for s in c.strata
    ]
    assert hidden.exit_code == plain.exit_code
    assert not any(s.hidden for c in hidden.checks[1:] for s in c.strata)
    assert '"numerator": 5,' not in hidden.to_json()
    none = fairaudit.gate(table(a=(300, 3, 50, 300)), Policy("p", rules, suppress_below=10), positive="1")
    assert all(s.hidden for c in none.checks for s in c.strata)


def test_when_every_group_is_excluded_nothing_is_judged():
    frame = table(a=(40, 10, 5, 45), b=(60, 20, 20, 100))
    for kind in ("min", "min_ratio"):
        verdict = one(frame, Rule("r", "tpr", ("g",), kind, 0.5), exclude_groups=("g=a", "g=b", "g=z"))
        assert (verdict.verdict, verdict.checks[0].reason) == ("inconclusive", "no group is left to judge")
        assert [w["code"] for w in verdict.warnings] == ["idle_exclusion"]


def test_an_open_gap_to_the_rest_asks_for_rows_of_every_group():
    frame = table(a=(80, 0, 20, 0), b=(65, 0, 35, 0))
    s = by_group(one(frame, Rule("r", "eod_max", ("g",), "max", 0.05)).checks[0])["a"]
    assert s.verdict == "inconclusive"
    times = float(s.reason.split("about ")[1].split(" times")[0])
    more = table(
        a=(round(80 * times), 0, round(20 * times), 0), b=(round(65 * times), 0, round(35 * times), 0)
    )
    assert by_group(one(more, Rule("r", "eod_max", ("g",), "max", 0.05)).checks[0])["a"].verdict == "fail"


def test_two_people_are_told_how_many_more_would_be_needed():
    frame = table(a=(90, 0, 10, 0), b=(80, 0, 20, 0), c=(0, 0, 2, 0))
    s = by_group(one(frame, Rule("r", "tpr", ("g",), "min_ratio", 0.5)).checks[0])["c"]
    assert s.verdict == "inconclusive"
    assert s.rows_needed >= 8


def test_paired_changes_are_hits_lost_and_gained():
    """By hand, group by group: MOVER on the exact bounds of both shares, two kinds of one draw."""
    rng = np.random.default_rng(3)
    n = 600
    frame = pd.DataFrame(
        {"id": range(n), "g": rng.choice(list("abc"), n), "y_true": rng.choice(["0", "1"], n)}
    )
    before, after = (
        frame.assign(y_pred=np.where(rng.random(n) < p, frame["y_true"], "0")) for p in (0.8, 0.7)
    )
    for metric, inside, hit in (
        ("accuracy", lambda y: True, lambda y, p: y == p),
        ("tpr", lambda y: y == "1", lambda y, p: p == "1"),
        ("fnr", lambda y: y == "1", lambda y, p: p == "0"),
        ("selection_rate", lambda y: True, lambda y, p: p == "1"),
    ):
        rule = Rule("r", metric, ("g",), "max_decrease", 0.05)
        shuffled = before.sample(frac=1, random_state=0)
        for s in (
            fairaudit.gate(after, Policy("p", (rule,)), baseline=shuffled, positive="1").checks[0].strata
        ):
            rows = [
                (y, p, q)
                for g, y, p, q in zip(
                    frame["g"], frame["y_true"], before["y_pred"], after["y_pred"], strict=True
                )
                if g == s.group and inside(y)
            ]
            lost = sum(hit(y, p) and not hit(y, q) for y, p, q in rows)
            gained = sum(hit(y, q) and not hit(y, p) for y, p, q in rows)
            m = len(rows)
            a, b = lost / m, gained / m
            rho = -math.sqrt(a * b / ((1 - a) * (1 - b)))
            for tail, bound, upper in ((0.05, s.pass_bound, True), (0.05 / 3, s.fail_bound, False)):
                (la, ua), (lb, ub) = (oracle_gate.clopper_pearson(x, m, tail) for x in (lost, gained))
                x, y = (ua - a, b - lb) if upper else (a - la, ub - b)
                reach = math.sqrt(x * x + y * y - 2 * rho * x * y)
                assert bound == pytest.approx(a - b + (reach if upper else -reach), abs=1e-9)
            assert s.value == pytest.approx(a - b)


def test_two_models_that_agree_on_few_rows_have_not_shown_that_they_agree():
    frame = table(a=(20, 0, 0, 20)).assign(id=range(40))
    rule = Rule("r", "accuracy", ("g",), "no_group_worse", 0.01)
    s = fairaudit.gate(frame, Policy("p", (rule,)), baseline=frame, positive="1").checks[0].strata[0]
    assert (s.verdict, s.value) == ("inconclusive", 0.0)
    assert s.pass_bound == pytest.approx(1 - 0.05 ** (1 / 40), abs=1e-3)


def test_a_class_is_compared_with_the_same_class_before():
    before, after = table(a=(300, 10, 100, 300)), table(a=(300, 100, 100, 210))
    rule = Rule("r", "tpr", ("g",), "max_decrease", 0.05, class_="0")
    s = fairaudit.gate(after, Policy("p", (rule,)), baseline=before, positive="1").checks[0].strata[0]
    assert s.baseline == pytest.approx(300 / 310)
    assert s.rate == pytest.approx(210 / 310)
    audit = fairaudit.audit(before, y_true="y_true", y_pred="y_pred", sensitive=["g"], positive="1")
    with pytest.raises(FairauditError, match="of class '1' only"):
        fairaudit.gate(after, Policy("p", (rule,)), baseline=audit, positive="1")


def test_a_rule_about_a_class_judges_that_class_alone():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"g": rng.choice(["x", "y"], 600), "y_true": rng.choice(list("abc"), 600)})
    frame["y_pred"] = np.where(rng.random(600) < 0.8, frame["y_true"], "a")
    for kind, reference in (("min", "highest"), ("max_difference", "rest"), ("max_difference", "highest")):
        rule = Rule("r", "recall", ("g",), kind, 0.5, reference, class_="b")
        found = fairaudit.gate(frame, Policy("p", (rule,))).checks[0].strata
        assert [(s.group, s.class_) for s in found] == [("x", "b"), ("y", "b")]


def test_a_policy_over_all_rows_needs_no_attribute():
    frame = table(a=(40, 10, 5, 45)).assign(score=0.5, sex="F").rename(columns={"g": "race"})
    rules = (Rule("r", "accuracy", ("overall",), "min", 0.5), Rule("s", "recall", ("class",), "min", 0.5))
    assert fairaudit.gate(frame, Policy("p", rules), positive="1").verdict == "pass"


def test_what_is_left_out_is_left_out_of_the_rest_too():
    frame = table(a=(80, 0, 20, 0), b=(82, 0, 18, 0), c=(10, 0, 390, 0))
    without = frame[frame["g"] != "c"]
    for metric, kind, limit in (
        ("eod_max", "max", 0.5),
        ("f1_median", "min", 0.1),
        ("eod_macro", "max", 0.5),
    ):
        rule = Rule("r", metric, ("g",), kind, limit)
        left = one(frame, rule, exclude_groups=("g=c",)).checks[0].strata
        assert left == one(without, rule).checks[0].strata


def test_heavy_rows_without_a_hit_do_not_pass_a_ceiling():
    """10 hits among 190 rows of weight 1, none among 10 rows of weight 20: Kish's 36 rows decide, not 400."""
    frame = pd.DataFrame(
        {"g": "a", "y_true": "1", "y_pred": ["1"] * 10 + ["0"] * 190, "w": [1.0] * 190 + [20.0] * 10}
    )
    rule = Rule("r", "tpr", ("g",), "max", 0.05)
    s = fairaudit.gate(frame, Policy("p", (rule,)), positive="1", weights="w").checks[0].strata[0]
    kish = 390**2 / (190 + 10 * 400)
    assert s.verdict == "inconclusive"
    assert s.pass_bound == pytest.approx(
        oracle_gate.clopper_pearson(10 / 390 * kish, kish, 0.05)[1], abs=1e-9
    )


def test_clustered_rows_are_judged_by_persons():
    """Each person twice the same: as many persons, so nearly the bounds of single rows and half as many."""
    rng = np.random.default_rng(0)
    single = pd.DataFrame({"g": "a", "y_true": "1", "y_pred": rng.choice(["0", "1"], 2000), "p": range(2000)})
    double = pd.concat([single, single])
    rule = Rule("r", "tpr", ("g",), "min", 0.45)
    bounds = []
    for frame, cluster in ((single, None), (double, "p"), (double, None)):
        given = {} if cluster is None else {"cluster": cluster}
        bounds.append(
            fairaudit.gate(frame, Policy("p", (rule,)), positive="1", **given).checks[0].strata[0].pass_bound
        )
    reach = [single["y_pred"].eq("1").mean() - b for b in bounds]
    assert reach[1] == pytest.approx(reach[0], rel=0.15)
    assert reach[2] < 0.8 * reach[0]


def test_a_small_partner_outside_the_rule_keeps_a_group_from_passing():
    frame = table(a=(80, 0, 20, 0), b=(82, 0, 18, 0), tiny=(4, 0, 0, 0))
    rule = Rule("r", "tpr", ("g",), "min_ratio", 0.5, groups=("g=a",))
    s = one(frame, rule).checks[0].strata[0]
    assert (s.verdict, s.reason) == ("inconclusive", "too few rows of tiny to compare with")


def test_an_option_that_is_given_overrules_the_policy_even_at_its_default():
    frame = (
        table(a=(40, 0, 0, 40))
        .drop(columns="y_pred")
        .assign(p=lambda f: np.where(f["y_true"] == "1", 0.7, 0.1))
    )
    rule = Rule("r", "tpr", ("g",), "min", 0.5)
    policy = Policy("p", (rule,), data={"y_score": "p", "threshold": 0.9})
    assert fairaudit.gate(frame, policy, positive="1").verdict == "fail"
    assert fairaudit.gate(frame, policy, positive="1", threshold=0.5).verdict == "pass"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda r: Policy("p", (r,), on_inconclusive="Block"), "Did you mean 'block'"),
        (lambda r: Policy("p", (r,), alpha=5), "alpha must lie"),
        (lambda r: Policy("p", (r,), min_events=1), "at least 5"),
        (lambda r: Policy("p", (r,), family="all"), "family is rule or policy"),
        (lambda r: Policy("p", ()), "without a rule"),
        (lambda r: Policy("p", (r, r)), "same id"),
        (lambda r: Rule("r", "tpr", ("g",), "min", 0.5, severity="Error"), "Did you mean 'error'"),
        (lambda r: Rule("r", "tpr", ("g",), "least", 0.5), "the kind is"),
        (lambda r: Rule("r", "tpr", "g", "min", 0.5), "by is a tuple"),
        (lambda r: Rule("r", "tpr", ("g",), "min", math.nan), "must be a number"),
    ],
)
def test_a_policy_made_in_python_is_held_to_what_a_file_may_say(make, said):
    with pytest.raises(FairauditError, match=said):
        make(Rule("r", "tpr", ("g",), "min", 0.5))


def test_a_group_must_have_enough_rows_in_the_audit_too():
    before = table(a=(15, 0, 5, 0), b=(15, 0, 4, 0), c=(30, 0, 5, 0))
    after = table(a=(40, 0, 10, 0), b=(40, 0, 10, 0), c=(40, 0, 10, 0))
    rule = Rule("r", "tpr", ("g",), "max_decrease", 0.9)
    for made, asked in ((20, 10), (10, 20)):
        audit = fairaudit.audit(
            before, y_true="y_true", y_pred="y_pred", sensitive=["g"], positive="1", min_events=made
        )
        policy = Policy("p", (rule,), min_events=asked)
        found = by_group(fairaudit.gate(after, policy, baseline=audit, positive="1").checks[0])
        assert {g: s.verdict for g, s in found.items()} == {"a": "pass", "b": "inconclusive", "c": "pass"}
        assert found["b"].reason.startswith("in the baseline: ")


def test_an_audit_about_another_class_is_no_baseline():
    frame = table(a=(40, 10, 5, 45))
    audit = fairaudit.audit(frame, y_true="y_true", y_pred="y_pred", sensitive=["g"], positive="0")
    rule = Rule("r", "tpr", ("g",), "max_decrease", 0.1)
    with pytest.raises(FairauditError, match="positive 0"):
        fairaudit.gate(frame, Policy("p", (rule,)), baseline=audit, positive="1")


def test_a_change_is_about_the_rows_in_both_and_the_rest_about_all():
    frame = table(a=(60, 10, 10, 60)).assign(id=range(140))
    rules = (Rule("c", "accuracy", ("g",), "max_decrease", 0.1), Rule("n", "accuracy", ("g",), "min", 0.1))
    verdict = fairaudit.gate(frame, Policy("p", rules), baseline=frame.iloc[20:], positive="1")
    assert [c.strata[0].n for c in verdict.checks] == [120, 140]
    assert [w["code"] for w in verdict.warnings] == ["unmatched"]


def test_rows_of_a_person_are_one_draw_in_a_paired_change_too():
    """Every row twice, by the same person: the bounds of the single rows, not those of twice as many."""
    rng = np.random.default_rng(1)
    y = rng.choice(["0", "1"], 1500)
    single = pd.DataFrame({"id": range(1500), "person": range(1500), "g": "a", "y_true": y})
    before, after = (single.assign(y_pred=np.where(rng.random(1500) < p, y, "0")) for p in (0.9, 0.85))
    rule = Rule("r", "accuracy", ("g",), "max_decrease", 0.1)

    def bound(first, second, **how):
        return (
            fairaudit.gate(second, Policy("p", (rule,)), baseline=first, positive="1", **how)
            .checks[0]
            .strata[0]
            .pass_bound
        )

    twice = [pd.concat([f, f.assign(id=f["id"] + 9000)]) for f in (before, after)]
    plain, clustered, naive = bound(before, after), bound(*twice, cluster="person"), bound(*twice)
    fell = (before["y_pred"] == y).mean() - (after["y_pred"] == y).mean()
    assert clustered - fell == pytest.approx(plain - fell, rel=0.2)
    assert naive - fell < 0.8 * (plain - fell)


def test_standard_input_cannot_be_paired():
    rule = Rule("r", "accuracy", ("overall",), "max_decrease", 0.1)
    with pytest.raises(FairauditError, match="can be read once"):
        fairaudit.gate(["-"], Policy("p", (rule,)), baseline="old.csv")


def test_groups_that_tie_are_compared_with_each_other():
    frame = table(a=(80, 0, 20, 0), b=(160, 0, 40, 0))
    for kind, alike, limit in (("min_ratio", 1.0, 0.5), ("max_difference", 0.0, 0.5)):
        for s in one(frame, Rule("r", "tpr", ("g",), kind, limit)).checks[0].strata:
            assert (s.verdict, s.value, s.reason) == ("pass", alike, None)
            assert s.against is not None
