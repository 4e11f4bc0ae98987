"""The verdict's own rules: worst first, exit codes, what counts, and the one mapping of channels (DESIGN §6)."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pandas as pd
import pytest

import fairaudit
from fairaudit.errors import FairauditError
from fairaudit.judging import Limit
from fairaudit.policy import Policy, Rule
from fairaudit.schema import check
from fairaudit.verdict import FAIL, INCONCLUSIVE, PASS, WAIVED, Check, Stratum, Verdict, outcome, worst

STATS = {
    "alpha": 0.05,
    "family": "rule",
    "min_events": 10,
    "on_inconclusive": "block",
    "seed": 0,
    "suppress_below": 0,
}


def a_check(verdict, severity="error"):
    return Check("r", "race", "tpr", "min", 0.8, True, None, verdict, (Stratum("a", verdict),), severity)


def a_verdict(word, checks=(), on_inconclusive="block"):
    stats = STATS | {"on_inconclusive": on_inconclusive}
    return Verdict(word, tuple(checks), {"name": "p.toml", "sha256": ""}, {}, None, stats)


def test_fail_is_worse_than_inconclusive_is_worse_than_pass():
    for words in itertools.product((PASS, INCONCLUSIVE, FAIL), repeat=3):
        expected = FAIL if FAIL in words else INCONCLUSIVE if INCONCLUSIVE in words else PASS
        assert worst(words) == expected
    assert worst([]) == INCONCLUSIVE  # a check that did not run is not a pass


@pytest.mark.parametrize(
    ("word", "asked", "code"),
    [(PASS, "block", 0), (PASS, "warn", 0), (FAIL, "block", 1), (FAIL, "warn", 1), (INCONCLUSIVE, "block", 3),
     (INCONCLUSIVE, "warn", 0)],
)  # fmt: skip
def test_exit_codes(word, asked, code):
    assert a_verdict(word, on_inconclusive=asked).exit_code == code


def test_what_counts():
    assert [a_check(v).counts for v in (PASS, FAIL, INCONCLUSIVE, WAIVED)] == [True, True, True, False]
    assert not any(a_check(v, "warn").counts for v in (PASS, FAIL, INCONCLUSIVE, WAIVED))


#: DESIGN §6, by hand: (verdict, severity, on_inconclusive) -> name, stops, JUnit, SARIF kind and level, GitHub, GitLab.
MAPPING = {
    (PASS, "error", "block"): ("passed", False, "", "pass", "none", "", ""),
    (FAIL, "error", "block"): ("failed", True, "failure", "fail", "error", "error", "critical"),
    (INCONCLUSIVE, "error", "block"): ("blocked", True, "failure", "open", "none", "error", "major"),
    (INCONCLUSIVE, "error", "warn"): ("open", False, "skipped", "open", "none", "warning", "info"),
    (WAIVED, "error", "block"): ("waived", False, "skipped", "fail", "none", "notice", "info"),
    (WAIVED, "warn", "block"): ("waived", False, "skipped", "fail", "none", "notice", "info"),
    (FAIL, "warn", "block"): ("noted", False, "skipped", "fail", "warning", "warning", "minor"),
    (INCONCLUSIVE, "warn", "block"): ("noted", False, "skipped", "open", "none", "warning", "info"),
    (PASS, "warn", "warn"): ("passed", False, "", "pass", "none", "", ""),
}


@pytest.mark.parametrize("case", list(MAPPING))
def test_one_mapping_for_all_channels(case):
    word, severity, asked = case
    found = outcome(a_check(word, severity), a_verdict(INCONCLUSIVE, on_inconclusive=asked))
    assert tuple(getattr(found, k) for k in found.__dataclass_fields__) == MAPPING[case]


def test_the_exit_code_is_not_0_exactly_where_a_check_stops():
    words = (PASS, FAIL, INCONCLUSIVE, WAIVED)
    kinds = [(w, s) for w in words for s in ("error", "warn")]
    for pair in itertools.product(kinds, repeat=2):
        for asked in ("block", "warn"):
            checks = [a_check(*k) for k in pair]
            counted = [c.verdict for c in checks if c.counts]
            v = a_verdict(worst(counted) if counted else PASS, checks, asked)
            assert (v.exit_code != 0) == any(outcome(c, v).stops for c in checks)


@pytest.mark.parametrize(
    ("at_least", "bound", "beyond", "inside"),
    [(True, 0.5, False, True), (True, 0.49, True, False), (True, 0.51, False, True),
     (False, 0.5, False, True), (False, 0.51, True, False), (False, 0.49, False, True)],
)  # fmt: skip
def test_a_limit_includes_itself(at_least, bound, beyond, inside):
    limit = Limit(0.5, at_least)
    assert (limit.beyond(bound), limit.inside(bound)) == (beyond, inside)


def test_the_document_says_what_the_verdict_says():
    whole = json.loads(a_verdict(FAIL, [a_check(FAIL), a_check(PASS, "warn")]).to_json())
    assert whole["exit_code"] == 1
    assert [r["verdict"] for r in whole["content"]["rules"]] == [FAIL, PASS]
    assert whole["content"]["rules"][0]["strata"][0]["group"] == "a"


def test_a_real_verdict_follows_the_schema_and_another_document_does_not():
    rng = np.random.default_rng(0)
    y, p, sex = rng.integers(0, 2, 200), rng.integers(0, 2, 200), rng.choice(["F", "M"], 200)
    rule = Rule("a", "tpr", ("sex",), "min_ratio", 0.8)
    policy = Policy("p.toml", (rule,), sha256="0" * 64)
    verdict = fairaudit.gate(pd.DataFrame({"y_true": y, "y_pred": p, "sex": sex}), policy)
    check(json.loads(verdict.to_json()), "verdict")
    with pytest.raises(FairauditError):
        check({"schema": "fairaudit.audit"}, "verdict")
