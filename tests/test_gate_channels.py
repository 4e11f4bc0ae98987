"""The machine channels of a verdict: each is parsed by somebody else's parser, valid by its official schema, and
alarms exactly where the exit code does."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pandas as pd
import pytest
from channel_readers import read_github, read_gitlab, read_junit, read_sarif
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from verdicts import (
    ASIAN,
    OPEN,
    PASSED,
    RULE,
    SMALL,
    WAIVED,
    WAIVER,
    WHITE,
    verdict_of,
    verdicts,
    waiver_of,
    warn,
)

from fairaudit.gating import gate
from fairaudit.policy import Policy, Rule
from fairaudit.report import github, gitlab, junit, sarif
from fairaudit.report.gate_asides import remarks
from fairaudit.report.gate_words import findings
from fairaudit.verdict import Check, Stratum, Verdict

CHANNELS: dict[str, Callable[[Verdict], str]] = {
    "junit": junit.render, "sarif": sarif.render, "code scanning": sarif.render_code_scanning,
    "github": github.render, "gitlab": gitlab.render,
}  # fmt: skip
many = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
some = settings(many, max_examples=70)


def alarms(verdict: Verdict) -> dict[str, bool]:
    """Whether each channel says that the release stops, from its text alone."""
    renderers = (sarif.render, sarif.render_code_scanning)
    results, uploaded = (read_sarif(r(verdict))["runs"][0]["results"] for r in renderers)
    return {
        "junit": int(read_junit(junit.render(verdict)).attrib["failures"]) > 0,
        "sarif": any(_sarif_stops(r) for r in results),
        "code scanning": any(_sarif_stops(r) for r in uploaded),
        "github": any(level == "error" for level, _, _ in read_github(github.render(verdict))),
        "gitlab": any(e["severity"] in ("blocker", "critical", "major") for e in read_gitlab(gitlab.render(verdict))),
    }  # fmt: skip


def _sarif_stops(result: dict[str, Any]) -> bool:
    shown = "suppressions" not in result
    return shown and (
        result["level"] == "error" or (result["kind"] == "open" and result["properties"]["stops"])
    )


# --- every verdict ----------------------------------------------------------------------------------------------
@many
@given(verdicts())
def test_every_channel_is_valid_and_alarms_exactly_where_the_exit_code_does(verdict: Verdict) -> None:
    assert alarms(verdict) == dict.fromkeys(CHANNELS, verdict.exit_code != 0)


@some
@given(verdicts())
def test_what_passed_is_in_no_list_of_problems_and_every_check_is_in_the_full_ones(verdict: Verdict) -> None:
    entries = sum(
        1 + (c.verdict != "waived") * sum(s.waived is not None for s in c.strata) for c in verdict.checks
    )
    passed = sum(c.verdict == "pass" for c in verdict.checks)
    results = read_sarif(sarif.render(verdict))["runs"][0]["results"]
    waived = [r for r in results if "suppressions" in r]
    told = len(verdict.warnings)
    skipped = sum(w["code"] == "skipped" for w in verdict.warnings)
    assert len(read_junit(junit.render(verdict))[0].findall("testcase")) == entries + skipped
    assert len(results) == entries
    assert [r["kind"] for r in results].count("pass") == passed
    assert len(read_gitlab(gitlab.render(verdict))) == entries - passed + told
    assert len(read_github(github.render(verdict))) == min(entries - passed + told, 10)
    uploaded = read_sarif(sarif.render_code_scanning(verdict))["runs"][0]["results"]
    assert len(uploaded) == entries - passed - len(waived)


@some
@given(verdicts(), st.data())
def test_hidden_numbers_change_nothing(verdict: Verdict, data: st.DataObject) -> None:
    """Whatever a hidden stratum's numbers are, every channel says the same: so it says nothing of them."""
    number = st.floats(-2, 2)

    def other(s: Stratum) -> Stratum:
        if not s.hidden:
            return s
        fields = ("value", "rate", "baseline", "fail_bound", "pass_bound", "numerator", "denominator")
        numbers = {k: data.draw(number) for k in fields}
        rows = {k: data.draw(st.integers(1, 99)) for k in ("n", "baseline_n", "rows_needed")}
        return replace(s, reason="7 rows", against="Other", **numbers, **rows)

    checks = tuple(replace(c, strata=tuple(other(s) for s in c.strata)) for c in verdict.checks)
    for render in CHANNELS.values():
        assert render(verdict) == render(replace(verdict, checks=checks))


@some
@given(verdicts())
def test_sentences_are_one_line_and_reach_every_channel_whole(verdict: Verdict) -> None:
    told = {f.key: f for f in findings(verdict)}
    assert all(
        f.sentence.isprintable() and f.title.isprintable() and f.why.isprintable() for f in told.values()
    )
    for r in read_sarif(sarif.render(verdict))["runs"][0]["results"]:
        assert r["message"]["text"] == told[r["partialFingerprints"]["fairauditFinding/v1"]].sentence
    beside = {r.key: r for r in remarks(verdict)}
    assert all(r.sentence.isprintable() and r.title.isprintable() for r in beside.values())
    for e in read_gitlab(gitlab.render(verdict)):
        assert e["description"] == {**told, **beside}[e["fingerprint"]].sentence
    messages = [
        m for _, p, m in read_github(github.render(verdict)) if p["title"] != "fairaudit: more findings"
    ]
    assert set(messages) <= {f.sentence for f in (*told.values(), *beside.values())}
    cases = read_junit(junit.render(verdict))[0].findall("testcase")
    for case, f in zip(cases[: len(told)], told.values(), strict=True):
        assert case.get("name") == f.title
        if f.outcome.junit == "failure":
            assert case.find("failure").get("message") == f.sentence  # type: ignore[union-attr]


# --- one verdict of each kind -----------------------------------------------------------------------------------
# DESIGN §6, once more by hand: JUnit element, SARIF kind and level, annotation, GitLab severity, exit code
@pytest.mark.parametrize(
    ("check", "block", "expected"),
    [
        (PASSED, True, ("", "pass", "none", "", "", 0)),
        (RULE, True, ("failure", "fail", "error", "error", "critical", 1)),
        (RULE, False, ("failure", "fail", "error", "error", "critical", 1)),
        (OPEN, True, ("failure", "open", "none", "error", "major", 3)),
        (OPEN, False, ("skipped", "open", "none", "warning", "info", 0)),
        (WAIVED, True, ("skipped", "fail", "none", "notice", "info", 0)),
        (warn(RULE), True, ("skipped", "fail", "warning", "warning", "minor", 0)),
        (warn(OPEN), True, ("skipped", "open", "none", "warning", "info", 0)),
        (warn(PASSED), True, ("", "pass", "none", "", "", 0)),
    ],
)
def test_the_mapping(check: Check, block: bool, expected: tuple[Any, ...]) -> None:
    verdict = verdict_of([check], [WAIVER], on_inconclusive="block" if block else "warn")
    (case,) = read_junit(junit.render(verdict))[0].findall("testcase")
    (result,) = read_sarif(sarif.render(verdict))["runs"][0]["results"]
    levels = [level for level, _, _ in read_github(github.render(verdict))]
    severities = [e["severity"] for e in read_gitlab(gitlab.render(verdict))]
    elements = [e.tag for e in case if e.tag != "system-out"]
    found = ("".join(elements), result["kind"], result["level"], "".join(levels), "".join(severities))
    assert (*found, verdict.exit_code) == expected


def test_failures_say_whether_they_failed_or_were_inconclusive() -> None:
    root = read_junit(junit.render(verdict_of([RULE, OPEN])))
    assert [e.get("type") for e in root.iter("failure")] == ["fail", "inconclusive"]
    assert [c.get("classname") for c in root.iter("testcase")] == ["fairaudit.four-fifths"] * 2
    assert [c.get("name") for c in root.iter("testcase")] == ["four-fifths by race"] * 2
    body = next(root.iter("failure")).text or ""
    assert "because: 29 CFR 1607.4(D)" in body
    assert [s for s in ("Asian", "Native American", "White") if f"race={s}: " in body] == [
        "Asian", "Native American", "White",
    ]  # fmt: skip


def test_a_waived_stratum_is_an_entry_of_its_own() -> None:
    check = replace(RULE, strata=(ASIAN, replace(SMALL, waived="2027-03-31"), WHITE))
    verdict = verdict_of([check], [waiver_of(RULE, "Native American", "17 rows.", "risk@example.org")])
    told = "waived until 2027-03-31: 17 rows (risk@example.org)"
    _, skipped = read_junit(junit.render(verdict))[0].findall("testcase")
    assert skipped.get("name") == "four-fifths by race: race=Native American"
    assert skipped[0].attrib == {"message": told}
    first, second = read_sarif(sarif.render(verdict))["runs"][0]["results"]
    assert "suppressions" not in first
    assert second["suppressions"] == [{"kind": "external", "justification": told}]
    assert [level for level, _, _ in read_github(github.render(verdict))] == ["error", "notice"]
    assert [e["severity"] for e in read_gitlab(gitlab.render(verdict))] == ["critical", "info"]


def test_nothing_but_waived_strata_waives_a_check() -> None:
    strata = (replace(SMALL, waived="2027-03-31"), replace(ASIAN, waived="2026-12-01"))
    check = replace(RULE, verdict="waived", strata=strata)
    owner = "risk@example.org"
    waivers = [waiver_of(RULE, "Native American", "a", owner), waiver_of(RULE, "Asian", "b", owner)]
    (case,) = read_junit(junit.render(verdict_of([check], waivers)))[0].findall("testcase")
    assert case[0].get("message") == "waived until 2026-12-01: a (risk@example.org), b (risk@example.org)"


def test_code_scanning_gets_no_pass_and_no_waiver() -> None:
    verdict = verdict_of([PASSED, WAIVED, OPEN], [WAIVER])
    full, uploaded = (read_sarif(r(verdict))["runs"][0] for r in (sarif.render, sarif.render_code_scanning))
    assert [r["kind"] for r in full["results"]] == ["pass", "fail", "open"]
    assert [r["kind"] for r in uploaded["results"]] == ["open"]
    assert full["tool"] == uploaded["tool"]


def test_fingerprints_outlive_numbers_but_not_names() -> None:
    def prints(*checks: Check) -> list[str]:
        verdict = verdict_of(checks)
        found = [e["fingerprint"] for e in read_gitlab(gitlab.render(verdict))]
        results = read_sarif(sarif.render(verdict))["runs"][0]["results"]
        assert found == [r["partialFingerprints"]["fairauditFinding/v1"] for r in results]
        return found

    before = prints(RULE)
    assert prints(replace(RULE, line=40, limit=0.7, strata=(replace(ASIAN, value=0.5),))) == before
    assert prints(OPEN) == before
    assert prints(replace(RULE, by="sex")) != before
    assert prints(replace(RULE, id="other")) != before
    assert prints(replace(RULE, by="sex"), RULE)[1:] == before


@pytest.mark.parametrize(
    ("name", "uri"),
    [
        ("fairaudit.toml", "fairaudit.toml"),
        ("./ci/fair audit.toml", "ci/fair%20audit.toml"),
        ("../x.toml", "../x.toml"),
        ("/etc/x.toml", "file:///etc/x.toml"),
        ("C:\\ci\\x.toml", "file:///C:/ci/x.toml"),
        ("a:b", "a%3Ab"),
        ("100%.toml", "100%25.toml"),
        ("é?#.toml", "%C3%A9%3F%23.toml"),
    ],
)
def test_the_location_is_a_uri_reference(name: str, uri: str) -> None:
    (result,) = read_sarif(sarif.render(verdict_of([RULE], name=name)))["runs"][0]["results"]
    place = result["locations"][0]["physicalLocation"]
    assert place == {"artifactLocation": {"uri": uri}, "region": {"startLine": 12}}
    assert Path(unquote(uri)).name == name.replace("\\", "/").rsplit("/", 1)[-1]


def test_annotations_are_ten_at_most_worst_first() -> None:
    checks = [replace(warn(RULE), by="w"), *(replace(OPEN, by=f"o{k}") for k in range(8)), WAIVED, RULE]
    found = read_github(github.render(verdict_of(checks, [WAIVER])))
    assert len(found) == 10
    assert found[0][1] == {"file": "fairaudit.toml", "line": "12", "title": "fairaudit: four-fifths by race"}
    assert [level for level, _, _ in found] == ["error"] * 9 + ["warning"]
    assert found[-1][2] == "1 more warning and 1 more notice; the log of this step lists every check."
    alike = read_github(github.render(verdict_of([replace(RULE, by=f"o{k}") for k in range(12)])))
    assert alike[-1][0] == "error"
    assert alike[-1][2].startswith("3 more checks that stop the release; the log")
    exactly = read_github(github.render(verdict_of([replace(RULE, by=f"o{k}") for k in range(10)])))
    assert exactly[-1][1]["title"] == "fairaudit: four-fifths by o9"


def test_annotations_are_escaped_as_the_runner_unescapes() -> None:
    check = replace(RULE, id="a::b,c%0A\n", strata=(replace(ASIAN, group="x::error::%25\r\n"),))
    text = github.render(verdict_of([check], name="p,q:r.toml"))
    assert text.startswith(
        "::error file=p%2Cq%3Ar.toml,line=12,title=fairaudit%3A a%3A%3Ab%2Cc%250A\\n by race::"
    )
    assert "race=x::error::%2525\\r\\n: " in text
    assert text.count("\n") == 1


def test_what_passed_is_silent() -> None:
    verdict = verdict_of([PASSED])
    assert (github.render(verdict), json.loads(gitlab.render(verdict))) == ("", [])


def test_no_channel_praises() -> None:
    verdict = verdict_of([PASSED, RULE, OPEN, WAIVED, warn(RULE)], [WAIVER])
    for render in CHANNELS.values():
        assert not re.search(r"\b(compliant|compliance|fair|unbiased|bias)\b", render(verdict), re.IGNORECASE)


def test_a_hidden_stratum_has_a_name_and_no_data() -> None:
    check = replace(RULE, strata=(replace(ASIAN, hidden=True, reason="4 rows"),))
    (result,) = read_sarif(sarif.render(verdict_of([check])))["runs"][0]["results"]
    assert result["properties"]["strata"] == [{"group": "Asian", "verdict": "fail", "hidden": True}]


SKIPPED = {"code": "skipped", "message": "rule 'nobody pays' was skipped: there is no baseline"}
IDLE = {"code": "idle_waiver", "message": "the waiver of race=A under 'r' is not needed today: it passes"}


def test_warnings_reach_every_channel_and_alarm_in_none() -> None:
    verdict = replace(verdict_of([PASSED]), warnings=(IDLE, SKIPPED))
    assert alarms(verdict) == dict.fromkeys(CHANNELS, False)
    (suite,) = read_junit(junit.render(verdict))
    passed, skipped = suite.findall("testcase")
    assert (skipped.get("classname"), skipped.get("name")) == ("fairaudit.nobody pays", "nobody pays")
    assert [e.tag for e in passed] == ["system-out"]
    assert skipped[0].attrib == {"message": f"{SKIPPED['message']}."}
    assert suite.findtext("system-out") == f"warning: {IDLE['message']}."
    for render in (sarif.render, sarif.render_code_scanning):
        (invocation,) = read_sarif(render(verdict))["runs"][0]["invocations"]
        told = [(n["level"], n["message"]["text"]) for n in invocation["toolExecutionNotifications"]]
        assert told == [("note", f"{IDLE['message']}."), ("warning", f"{SKIPPED['message']}.")]
    found = read_github(github.render(verdict))
    assert [(level, message) for level, _, message in found] == [
        ("warning", f"{SKIPPED['message']}."), ("notice", f"{IDLE['message']}."),
    ]  # fmt: skip
    entries = read_gitlab(gitlab.render(verdict))
    assert [(e["severity"], e["check_name"]) for e in entries] == [
        ("info", "idle_waiver"), ("info", "nobody pays"),
    ]  # fmt: skip


def test_warnings_share_the_ten_annotations() -> None:
    checks = [replace(RULE, by=f"o{k}") for k in range(9)]
    found = read_github(github.render(replace(verdict_of(checks), warnings=(IDLE, SKIPPED))))
    assert [level for level, _, _ in found] == ["error"] * 9 + ["warning"]
    assert found[-1][2] == "1 more warning and 1 more notice; the log of this step lists every check."


def test_a_warning_keeps_its_fingerprint_when_only_numbers_change() -> None:
    def keys(*messages: tuple[str, str]) -> list[str]:
        told = tuple({"code": c, "message": m} for c, m in messages)
        return [r.key for r in remarks(replace(verdict_of([PASSED]), warnings=told))]

    assert keys(("unmatched", "10 of 12 rows")) == keys(("unmatched", "9 of 12 rows"))
    assert len({*keys(("idle_waiver", "of A"), ("idle_waiver", "of B"), ("x", "1"), ("x", "1"))}) == 4


def test_the_rule_that_a_gate_skipped_is_known_by_name() -> None:
    rule = Rule("a 'b' was skipped", "accuracy", ("overall",), "no_group_worse", 0.1, missing_baseline="skip")
    verdict = gate(
        pd.DataFrame({"y": [0, 1] * 20, "p": [0, 1] * 20}),
        Policy(
            "p.toml",
            (rule, Rule("other", "accuracy", ("overall",), "min", 0.5)),
            data={"y_true": "y", "y_pred": "p", "positive": "1"},
        ),
    )
    assert [r.rule for r in remarks(verdict) if r.code == "skipped"] == ["a 'b' was skipped"]
