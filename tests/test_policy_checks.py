"""What a rule may ask for, and how attributes and groups are named."""

from __future__ import annotations

import pytest
from policies import parse, refused

from fairaudit.catalogue import BY_ID
from fairaudit.policy_checks import ELSEWHERE, over_groups


def test_metrics_over_groups() -> None:
    """By hand, against the catalogue: what has no number for a single group."""
    families = [f"{p}_{s}" for p in ("demographic_parity", "equalized_odds", "equal_opportunity", "predictive_parity")
                for s in ("difference", "ratio")]  # fmt: skip
    assert {m for m in BY_ID if over_groups(m)} == {
        *families, "f1_min", "f1_median", "recall_min", "f1_delta", "eod_max", "eod_macro", "worst_group_accuracy",
        "loss_variance", "sensitive_accuracy", "sensitive_leakage",
    }  # fmt: skip
    assert set(ELSEWHERE.values()) <= set(BY_ID)


RULE = 'schema = 1\n[[rule]]\nid = "r"\nmetric = "{}"\nby = {}\n{} = {}\n'


@pytest.mark.parametrize("metric", BY_ID)
def test_each_metric_can_be_asked_for(metric: str) -> None:
    """In one of its places and with a limit on its own side; the other side of a gap or minimum is refused."""
    own = BY_ID[metric]
    by = {"overall": '"overall"', "class": '"class"', "attribute": '"race"'}[own.where[0]]
    side, other = ("max", "min") if own.better == "lower" else ("min", "max")
    rule = parse(RULE.format(metric, by, side, 0.5)).rules[0]
    assert (rule.metric, rule.kind, rule.limit) == (metric, side, 0.5)
    text = RULE.format(metric, by, other, 0.5)
    if (over_groups(metric) or metric == "eod") and own.better:
        assert f"write {side} = 0.5" in refused(text)
    else:
        assert parse(text).rules[0].kind == other


@pytest.mark.parametrize(
    ("by", "found"),
    [
        ('"race"', ("race",)),
        ('["a & b", "b"]', ("a&b", "b")),
        (r"'a\&b & c'", (r"a\&b&c",)),
        (r"'a\&b'", (r"a\&b",)),
        ('["b&a&c"]', ("b&a&c",)),
        ('" odd name"', (" odd name",)),
    ],
)
def test_by(by: str, found: tuple[str, ...]) -> None:
    assert parse(RULE.format("accuracy", by, "min", 0.5)).rules[0].by == found


@pytest.mark.parametrize(
    ("by", "group", "found"),
    [
        ('"race"', "race = A", "race= A"),  # a group may begin with a blank
        ('"race"', "race=a=b & c", "race=a=b & c"),
        ('"race&sex"', "sex&race=F&A", "race&sex=A & F"),
        ('"race & sex"', "race & sex=A & F", "race&sex=A & F"),
        ('"race&sex"', r"race&sex=a\&b & F", r"race&sex=a\&b & F"),
        ('"x=y"', "x=y=A", "x=y=A"),
    ],
)  # fmt: skip
def test_the_group_of_a_waiver(by: str, group: str, found: str) -> None:
    waiver = f"[[waiver]]\nrule = 'r'\ngroup = '{group}'\nowner = 'o'\nreason = 'x'\nuntil = 2030-01-01\n"
    assert parse(RULE.format("accuracy", by, "min", 0.5) + waiver).waivers[0].group == found


@pytest.mark.parametrize(("value", "label"), [("1", "1"), ("true", "true"), ("'yes'", "yes"), ("-1", "-1")])
def test_classes_become_text(value: str, label: str) -> None:
    text = (
        f"schema = 1\ndata.positive = {value}\n[[rule]]\nid = 'r'\nmetric = 'recall'\nby = 'class'\nmin = 0\n"
    )
    policy = parse(f"{text}class = {value}\n")
    assert (policy.data["positive"], policy.rules[0].class_) == (label, label)
