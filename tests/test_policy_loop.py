"""A policy brought to the predictions of a mitigation: columns, classes, groups, and the rule that is added."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from fairaudit.errors import FairauditError
from fairaudit.policy_file import parse_policy
from fairaudit.verdict import Check, Verdict
from fairaudit_mitigate import Columns, policy_loop
from fairaudit_mitigate.data import Rows

RULE = '[[rule]]\nid = "floor"\nmetric = "accuracy"\nby = "sex"\nmin = 0.05\n'


def policy_of(rules: str) -> Any:
    return parse_policy(f"schema = 1\n{rules}", "p.toml")


def test_classes_speak_the_models_names() -> None:
    """Labels 0 and 1 that are positions of the model's outputs: a rule's class and the agreement move along."""
    rule = '[[rule]]\nid = "r"\nmetric = "recall"\nby = "class"\nclass = "1"\nmin = 0.5\n'
    data = '[data]\ny_pred = "decision"\nsplit = "holdout=1"\nagreement = {0 = "land", 1 = "water"}\nmax_groups = 7\n'
    names = {"0": "landbird", "1": "waterbird"}
    court = policy_loop.court_of(
        policy_of(data + rule), names, ("landbird", "waterbird"), ("place",), None, "who", print
    )
    assert court.policy.rules[0].class_ == "waterbird"
    assert court.policy.data == {
        "y_true": "y_true", "y_pred": "y_pred", "prob_prefix": "prob_", "loss": "loss", "sensitive": ["place"],
        "positive": None, "cluster": "who", "id": "id", "max_groups": 7,
        "agreement": {"landbird": "land", "waterbird": "water"},
    }  # fmt: skip
    assert court.policy.sha256 == policy_of(data + rule).sha256


def test_a_score_needs_two_classes_and_a_positive_one() -> None:
    policy = policy_of('[data]\ny_score = "p"\n' + RULE)
    with pytest.raises(FairauditError, match="the model has 3"):
        policy_loop.court_of(policy, {}, ("a", "b", "c"), (), "a", None, print)
    with pytest.raises(FairauditError, match="which class does the score speak for"):
        policy_loop.court_of(policy, {}, ("a", "b"), (), None, None, print)
    assert (
        policy_loop.court_of(policy, {}, ("no", "yes"), (), None, None, print).policy.data["y_score"]
        == "prob_yes"
    )


def test_what_is_given_beats_the_policy() -> None:
    policy = policy_of('[data]\nsensitive = ["race", "sex"]\npositive = "1"\ncluster = "person"\n' + RULE)
    taken = policy_loop.supplied(policy, (), None, Columns())
    assert taken == (("race", "sex"), "1", Columns(cluster="person"))
    given = policy_loop.supplied(policy, ("sex",), "0", Columns(cluster="image"))
    assert given == (("sex",), "0", Columns(cluster="image"))


def verdict_of(*checks: tuple[str, str, str]) -> Verdict:
    """A verdict with these checks: severity, verdict, by."""
    plain = Check("r", "", "accuracy", "min", 0.5, True, None, "", ())
    made = tuple(replace(plain, severity=s, verdict=v, by=b) for s, v, b in checks)
    return Verdict("fail", made, {}, {}, None, {"on_inconclusive": "block"})


def test_the_groups_of_training_are_those_of_the_first_failure() -> None:
    beside = (
        ("warn", "fail", "age"),
        ("error", "pass", "age"),
        ("error", "waived", "age"),
        ("error", "fail", "overall"),
    )
    soft, by_class, crossing = (
        ("error", "inconclusive", "race"),
        ("error", "fail", "class"),
        ("error", "fail", r"a\&b&sex"),
    )
    assert policy_loop.groups_of(verdict_of(*beside, soft, crossing, by_class)) == r"class&a\&b&sex"
    assert policy_loop.groups_of(verdict_of(soft, by_class, crossing)) == "class"
    assert policy_loop.groups_of(verdict_of(*beside, soft)) == "class&race"
    assert policy_loop.groups_of(verdict_of(*beside)) is None


def test_bins_and_missing_values_replace_what_was_read() -> None:
    policy = policy_of('[data]\nna = ["?", "n/a"]\n[data.bins]\nage = [25, 40]\n' + RULE)
    read = {
        "age": ("24.9", "25", "40", "nan", "?", None, "-1e3"),
        "sex": ("F", "?", "", "n/a", None, "nan", "M"),
    }
    rows = Rows(Path("d.csv"), "text", ("",) * 7, tuple("abcdefg"), ("0",) * 7, sensitive=read)
    found = policy_loop.grouped(rows, policy).sensitive
    assert found["age"] == ("< 25", "[25, 40)", ">= 40", None, None, None, "< 25")
    assert found["sex"] == ("F", None, "", None, None, "nan", "M")
    with pytest.raises(FairauditError, match="column 'age' must hold numbers, but has 'old'"):
        policy_loop.grouped(replace(rows, sensitive={"age": ("old",) * 7}), policy)


def test_the_rule_that_is_added_gives_way() -> None:
    """A policy with a rule of its own keeps it alone; an id that is taken is not taken twice."""
    own = policy_of('[[rule]]\nid = "mine"\nby = "sex"\nno_group_worse = 0.1\nvs = "baseline"\n')
    assert policy_loop._with_aside(own, ("sex",)) is own
    named = policy_of(RULE.replace("floor", "no-group-worse"))
    assert [r.id for r in policy_loop._with_aside(named, ()).rules] == ["no-group-worse", "no-group-worse-2"]
    whole = policy_of(RULE.replace("sex", "overall"))
    assert policy_loop._with_aside(whole, ()) is whole
    assert policy_loop._with_aside(whole, ("a&b",)).rules[-1].by == (r"a\&b",)
