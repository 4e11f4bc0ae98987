"""What fairaudit writes follows the schemas it ships."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from cases import binary, several
from jsonschema import Draft202012Validator

import fairaudit
from fairaudit.errors import FairauditError
from fairaudit.schema import check, schema_names, schema_text
from fairaudit.verdict import Check, Stratum, Verdict

FRAME = binary()
AUDITS: dict[str, dict[str, Any]] = {
    "binary": {"data": FRAME, "sensitive": ["sex", "race"], "cross": 2},
    "no attribute": {"data": FRAME[["label", "pred"]]},
    "many classes": {"data": several(600, 12, 8), "sensitive": ["country"]},
    "tiny, so undefined": {"data": FRAME[:6], "sensitive": ["sex"]},
    "scores, weights, clusters": {
        "data": FRAME.assign(score=0.25, w=1.5, person=range(400)).drop(columns="pred"),
        "sensitive": ["sex"], "weights": "w", "cluster": "person",
    },
    "agreement, split, member": {
        "data": FRAME.assign(split=["test", "val"] * 200, member=[1, 1, 0, 0] * 100),
        "sensitive": ["race"], "agreement": {"1": "Asian"}, "split": "all",
    },
}  # fmt: skip


def test_the_schemas_are_schemas() -> None:
    assert schema_names() == ("audit", "comparison", "policy", "tally", "verdict")
    for name in schema_names():
        Draft202012Validator.check_schema(json.loads(schema_text(name)))


@pytest.mark.parametrize("case", AUDITS)
def test_audits_follow_their_schema(case: str) -> None:
    written = json.loads(fairaudit.audit(**AUDITS[case]).to_json())
    check(written, "audit")
    statuses = {e["status"] for e in written["content"]["estimates"]}
    assert case != "tiny, so undefined" or {"small", "undefined"} <= statuses


@pytest.mark.parametrize("paired", [True, False])
def test_comparisons_follow_their_schema(paired: bool) -> None:
    after = binary(gap=0.0, seed=1).assign(label=FRAME["label"])
    if paired:
        found = fairaudit.compare(FRAME, after, id="id", sensitive=["sex"])
    else:
        found = fairaudit.compare(*(fairaudit.audit(d, sensitive=["sex"]) for d in (FRAME, after)))
    check(json.loads(found.to_json()), "comparison")


def verdict() -> Verdict:
    """One of everything that a verdict may hold."""
    strata = (
        Stratum("Asian", "fail", value=0.5, rate=0.4, n=90, numerator=36.0, denominator=90.0, against="White",
                fail_bound=0.7, pass_bound=0.4),
        Stratum("Black", "inconclusive", reason="8 rows, fewer than 10", rows_needed=40, hidden=True),
        Stratum(None, "pass", class_="1", value=0.9, waived="2099-01-01", of="tpr"),
    )  # fmt: skip
    checks = (
        Check("a", "race", "tpr", "min_ratio", 0.8, True, "highest", "fail", strata, because="law", line=3),
        Check(
            "b",
            "overall",
            "fnr",
            "max",
            1,
            False,
            None,
            "waived",
            (),
            "warn",
            reason="why",
            waived="2099-01-01",
        ),
    )
    stats = {"alpha": 0.05, "family": "rule", "min_events": 10, "on_inconclusive": "block", "seed": 0,
             "suppress_below": 0}  # fmt: skip
    waivers = ({"rule": "b", "group": None, "owner": "o", "reason": "r", "until": "2099-01-01"},)
    warnings = ({"code": "small_group", "message": "race=Black has 8 rows"},)
    return Verdict(
        "fail", checks, {"name": "p.toml", "sha256": "0" * 64}, {"rows": 98}, None, stats, waivers, warnings
    )


def test_verdicts_follow_their_schema() -> None:
    written = json.loads(verdict().to_json())
    check(written, "verdict")
    written["content"]["rules"][0]["strata"][0]["verdict"] = "failed"
    with pytest.raises(FairauditError, match="at content/rules/0/strata/0/verdict"):
        check(written, "verdict")


def test_the_schema_of_a_verdict_names_every_field() -> None:
    parts = json.loads(schema_text("verdict"))["$defs"]
    written = verdict().content()["rules"][0]
    for name, value in (("check", written), ("stratum", written["strata"][0])):
        assert set(parts[name]["properties"]) == set(parts[name]["required"]) == set(value)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("schema",), "other", "at schema"),
        (("content", "positive"), 1, "at content/positive"),
        (("content", "estimates", 0, "status"), "fine", "at content/estimates/0/status"),
        (("content", "estimates", 0, "value"), None, "at content/estimates/0/value"),
        (("content_sha256",), "abc", "at content_sha256"),
    ],
)
def test_other_documents_do_not(place: tuple[str | int, ...], value: object, message: str) -> None:
    document = copy.deepcopy(json.loads(fairaudit.audit(FRAME, sensitive=["sex"]).to_json()))
    inner = document
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    with pytest.raises(FairauditError, match=message):
        check(document, "audit")


def test_an_undefined_number_has_a_reason() -> None:
    document = json.loads(fairaudit.audit(FRAME[:6], sensitive=["sex"]).to_json())
    undefined = next(e for e in document["content"]["estimates"] if e["status"] == "undefined")
    assert undefined["value"] is None
    undefined["reason"] = None
    with pytest.raises(FairauditError, match="reason"):
        check(document, "audit")


def test_unknown_schema() -> None:
    with pytest.raises(FairauditError, match=r"no schema 'audits'.*Did you mean 'audit'"):
        schema_text("audits")
