"""`fairaudit explain`: nothing is left unexplained, and what is said agrees with what the audit does."""

from __future__ import annotations

import json
import random
from functools import lru_cache
from pathlib import Path
from typing import Any
from unittest import mock

import pandas as pd
import pytest

import fairaudit
from fairaudit.catalogue import CATALOGUE
from fairaudit.errors import FairauditError
from fairaudit.explanations import explain, of_rule, topics
from fairaudit.explanations.entries import INTERVALS, METRICS, every
from fairaudit.explanations.rules import asks
from fairaudit.policy import KINDS, Policy, Rule, Waiver
from fairaudit_cli.main import run

POLICY_WORDS = (
    "reference", "waiver", "family", "on_inconclusive", "suppress_below", "exclude_groups", "missing_baseline",
    "alpha", "severity", "because", "by", "vs", "groups",
)  # fmt: skip
WORDS = (
    "class", "sensitive attribute", "group", "intersection", "cell", "stratum", "rate", "disparity", "undefined",
    "estimate", "flag", "verdict", "pass", "fail", "inconclusive", "fail_bound", "pass_bound", "small", "evaluable",
    "simultaneous interval", "Holm", "min_events", "min_n", "panel", "interval", "baseline", "weights", "cluster",
)  # fmt: skip


def table(classes: int, rows: int = 300, seed: int = 0) -> pd.DataFrame:
    """Predictions with everything a metric may need: probabilities, weights, persons, members; one group is tiny."""
    dice = random.Random(seed)
    out: list[dict[str, Any]] = []
    for i in range(rows):
        y = dice.randrange(classes)
        raw = [dice.random() + (0.8 if c == y else 0.0) for c in range(classes)]
        record: dict[str, Any] = {
            "label": str(y),
            "w": 0.5 + dice.random(),
            "person": i // 3,
            "trained": i % 2,
        }
        record |= {f"prob_{c}": x / sum(raw) for c, x in enumerate(raw)}
        out.append(record | {"sex": ("F", "M", "X")[0 if i < 3 else 1 + i % 2]})
    return pd.DataFrame(out)


@lru_cache(maxsize=1)
def audits() -> tuple[fairaudit.Audit, ...]:
    """Audits that between them use every metric, and every way to make an interval."""
    found = []
    for classes, positive in ((2, "1"), (3, None)):
        whole = table(classes)
        for roles in ({}, {"weights": "w"}, {"cluster": "person"}, {"member": "trained"}):
            unused = [c for c in ("w", "person", "trained") if c not in roles.values()]
            frame = whole.drop(columns=unused)
            found.append(fairaudit.audit(frame, y_true="label", prob_prefix="prob_", sensitive=["sex"],
                                         positive=positive, **roles))  # fmt: skip
        for cluster in (None, "person"):
            frame = whole.drop(columns=["w", "trained"])
            mapped = {"0": "M", "1": "X"}
            found.append(fairaudit.audit(frame, y_true="label", prob_prefix="prob_", sensitive=["sex"],
                                         positive=positive, cluster=cluster, agreement=mapped))  # fmt: skip
    found.append(fairaudit.audit(table(3).drop(columns=["w", "person", "trained"]), y_true="label",
                                 prob_prefix="prob_", sensitive=["sex"], score_classes=("all",)))  # fmt: skip
    with mock.patch("fairaudit.classwise.MAX_CORRELATED", 2):  # as if there were thousands of classes
        found.append(fairaudit.audit(table(3).drop(columns=["person", "trained"]), y_true="label", weights="w",
                                     prob_prefix="prob_", sensitive=["sex"]))  # fmt: skip
    alone = table(2)  # of three groups only one has enough positives in it and outside it
    nth = (alone["label"] == "1").cumsum()
    alone["sex"] = "M"
    alone.loc[(alone["label"] == "1") & (nth <= 12), "sex"] = "F"
    alone.loc[(alone["label"] == "1") & (nth <= 6), "sex"] = "X"
    found.append(fairaudit.audit(alone.drop(columns=["w", "person", "trained"]), y_true="label", prob_prefix="prob_",
                                 positive="1", sensitive=["sex"]))  # fmt: skip
    return tuple(found)


def test_every_metric_of_the_catalogue_is_explained() -> None:
    known = every()
    for metric in CATALOGUE:
        e = known.get(metric.id)
        assert e is not None, f"{metric.id} is not explained"
        assert metric.meaning in e.definition
        assert metric.formula in e.formula
        assert metric.source in e.source
        assert (e.topic, e.better, e.low, e.high) == (METRICS, metric.better, metric.low, metric.high)
        assert set(metric.where) <= set(e.where)
        assert len(e.plain) > 30, f"{metric.id} has no plain words"
        assert len(e.misleads) > 30, f"{metric.id} does not say when it misleads"
        assert e.methods, f"{metric.id} does not say how its interval is made"


def test_nothing_is_explained_that_is_no_metric() -> None:
    ids = {m.id for m in CATALOGUE}
    assert {e.name for topic, entries in topics() if topic == METRICS for e in entries} == ids


@pytest.mark.parametrize("name", [*KINDS, *POLICY_WORDS, *WORDS])
def test_rules_and_words_are_explained(name: str) -> None:
    e = explain(name)
    assert e.definition
    assert e.plain
    assert (bool(e.passes), bool(e.fails), bool(e.open)) == (name in KINDS,) * 3
    assert bool(e.example) == (name in (*KINDS, *POLICY_WORDS))


def test_what_an_explanation_points_at_exists() -> None:
    known = every()
    for e in known.values():
        assert {*e.see, *e.methods} <= set(known), e.name
        assert e.name not in e.see
        assert all(known[m].topic == INTERVALS for m in e.methods)


def test_no_sentence_is_left_open() -> None:
    for e in every().values():
        for text in (e.plain, e.misleads):
            assert not text or text.endswith("."), e.name
            assert "  " not in text


def test_the_intervals_named_are_those_that_audits_have() -> None:
    seen: dict[str, set[str]] = {}
    for audit in audits():
        for e in audit.estimates:
            if e.interval is not None:
                seen.setdefault(e.metric, set()).add(e.interval.method)
    assert seen == {m.id: set(explain(m.id).methods) for m in CATALOGUE}


def test_values_lie_in_the_range_and_stand_where_it_is_said() -> None:
    for audit in audits():
        for e in audit.estimates:
            about = explain(e.metric)
            assert about.low is not None
            assert about.high is not None
            assert (e.by if e.by in ("overall", "class") else "attribute") in about.where
            if e.value is not None:
                assert about.low <= e.value <= about.high
            if e.status == "undefined":
                assert about.undefined, f"{e.metric} can be undefined: {e.reason}"


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (Rule("r", "tpr", ("sex",), "min", 0.7), "tpr is at least 0.7 for each group of sex."),
        (Rule("r", "accuracy", ("overall",), "max", 0.9), "accuracy is at most 0.9 over all rows."),
        (Rule("r", "eod_max", ("sex",), "max", 0.1), "eod_max is at most 0.1 over the groups of sex."),
        (Rule("r", "f1_min", ("class",), "min", 0.5), "f1_min is at least 0.5 over the classes."),
        (Rule("r", "tpr", ("sex",), "max_difference", 0.1), "no two groups of sex are farther apart in tpr than 0.1."),
        (Rule("r", "tpr", ("sex",), "max_difference", 0.1, "rest"),
         "tpr for each group of sex differs from tpr of all other groups together by at most 0.1."),
        (Rule("r", "selection_rate", ("sex", "a&b"), "min_ratio", 0.8),
         "of any two groups of sex or two groups of a&b, the lower selection_rate is at least 0.8 times the higher."),
        (Rule("r", "tpr", ("sex",), "min_ratio", 0.8, "sex=M"),
         "tpr for each group of sex is at least 0.8 times tpr of sex=M."),
        (Rule("r", "fnr", ("sex",), "min_ratio", 0.8, "sex=M"),
         "fnr of sex=M is at least 0.8 times fnr for each group of sex."),
        (Rule("r", "fnr", ("sex",), "max_increase", 0.01),
         "fnr rises by at most 0.01 against the baseline for each group of sex."),
        (Rule("r", "tpr", ("sex",), "max_decrease", 0.01),
         "tpr falls by at most 0.01 against the baseline for each group of sex."),
        (Rule("r", "tpr", ("sex",), "no_group_worse", 0.02),
         "tpr gets worse by at most 0.02 against the baseline for each group of sex."),
    ],
)  # fmt: skip
def test_a_rule_in_words(rule: Rule, said: str) -> None:
    assert asks(rule) == said
    told = dict(of_rule(Policy("p.toml", (rule,)), "r"))
    assert told["asks"] == said
    assert f"{rule.limit:g}" in told["passes when"]
    assert "alpha = 0.05" in told["fails when"]


def served(found: dict[str, float]) -> pd.DataFrame:
    """1,000 positives a group, of whom this share is found, and as many negatives, all left alone."""
    rows = [(s, 1, int(k < 1000 * share)) for s, share in found.items() for k in range(1000)]
    rows += [(s, 0, 0) for s in found for _ in range(1000)]
    return pd.DataFrame(rows, columns=["sex", "label", "pred"])


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (Rule("r", "tpr", ("sex",), "min", 0.8), {"F": 0.7, "M": 0.9}),
        (Rule("r", "fnr", ("sex",), "max", 0.2), {"F": 0.3, "M": 0.1}),
        (Rule("r", "tpr", ("sex",), "max_difference", 0.1), {"F": 0.2, "M": 0.0}),
        (Rule("r", "tpr", ("sex",), "max_difference", 0.1, "rest"), {"F": 0.2, "M": 0.2}),
        (Rule("r", "tpr", ("sex",), "max_difference", 0.1, "sex=M"), {"F": 0.2}),
        (Rule("r", "tpr", ("sex",), "min_ratio", 0.9), {"F": 0.7 / 0.9, "M": 1.0}),
        (Rule("r", "tpr", ("sex",), "min_ratio", 0.9, "sex=M"), {"F": 0.7 / 0.9}),
        (Rule("r", "fnr", ("sex",), "min_ratio", 0.9, "sex=M"), {"F": 0.1 / 0.3}),
        (Rule("r", "fnr", ("sex",), "max_increase", 0.01), {"F": 0.1, "M": -0.1}),
        (Rule("r", "tpr", ("sex",), "max_decrease", 0.01), {"F": 0.1, "M": -0.1}),
        (Rule("r", "tpr", ("sex",), "no_group_worse", 0.01), {"F": 0.1, "M": -0.1}),
        (Rule("r", "fnr", ("sex",), "no_group_worse", 0.01), {"F": 0.1, "M": -0.1}),
    ],
)
def test_the_gate_computes_what_the_formula_says(rule: Rule, expected: dict[str, float]) -> None:
    from fairaudit.gating import gate

    policy = Policy("p.toml", (rule,), data={"y_true": "label", "y_pred": "pred", "positive": "1"})
    before = served({"F": 0.8, "M": 0.8}) if rule.versus_baseline else None
    (check,) = gate(served({"F": 0.7, "M": 0.9}), policy, baseline=before).checks
    assert {s.group: s.value for s in check.strata} == pytest.approx(expected)
    assert check.verdict == "fail"


def test_the_words_of_a_rule_follow_the_policy() -> None:
    from datetime import date

    rule = Rule("r", "tpr", ("sex", "race"), "max_decrease", 0.01, exclude_groups=("sex=X",), line=7,
                missing_baseline="skip", because="a promise")  # fmt: skip
    waiver = Waiver("r", "sex=F", "me", "few rows", date(2099, 1, 2))
    other = Waiver("other", None, "you", "no", date(2099, 1, 2))
    policy = Policy("p.toml", (rule,), (waiver, other), alpha=0.01, min_events=20, family="policy",
                    on_inconclusive="warn", exclude_groups=("race=(missing)",))  # fmt: skip
    told = of_rule(policy, "r")
    said = dict(told)
    assert "alpha = 0.01" in said["fails when"]
    assert "family = policy" in said["fails when"]
    assert "its 2 checks" in said["fails when"]
    assert "fewer than 20 rows" in said["inconclusive when"]
    assert "without a baseline it is skipped" in said["inconclusive when"]
    assert "exit code 0" in said["inconclusive when"]
    assert said["left out"].startswith("sex=X, race=(missing)")
    assert [text for name, text in told if name == "waived"] == ["sex=F until 2099-01-02, me: few rows"]
    assert (said["because"], said["stands in"]) == ("a promise", "p.toml:7")


def test_a_rule_of_severity_warn_says_that_it_does_not_count() -> None:
    policy = Policy("p.toml", (Rule("r", "tpr", ("sex",), "min", 0.7, severity="warn"),))
    said = dict(of_rule(policy, "r"))
    assert "never changes the verdict" in said["severity"]
    assert "exit code" not in said["inconclusive when"]


def test_names_are_found_however_they_are_written() -> None:
    assert (
        explain("Simultaneous Interval")
        is explain("simultaneous-interval")
        is explain("simultaneous_interval")
    )
    with pytest.raises(FairauditError, match="Did you mean 'selection_rate'"):
        explain("selction rate".replace(" ", "_"))


POLICY = """
schema = 1
[[rule]]
id = "four-fifths"
metric = "selection_rate"
by = ["sex"]
min_ratio = 0.8
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with a policy."""
    monkeypatch.chdir(tmp_path)
    Path("p.toml").write_text(POLICY, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("arguments", [(), ("eod_max",), ("min_ratio",), ("simultaneous", "interval"),
                                       ("--policy", "p.toml"), ("four-fifths", "--policy", "p.toml")])  # fmt: skip
def test_the_page_fits_a_terminal_and_all_formats_are_written(
    arguments: tuple[str, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["explain", *arguments, "-o", "md:a.md", "-o", "json:a.json", "-o", "text:a.txt"]) == 0
    shown = capfd.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    assert Path("a.txt").read_text(encoding="utf-8") == shown
    assert Path("a.md").read_text(encoding="utf-8").startswith("# ")
    assert run(["explain", *arguments, "--json"]) == 0
    written = json.loads(capfd.readouterr().out)
    assert written["content"] == json.loads(Path("a.json").read_text(encoding="utf-8"))["content"]


def test_the_list_has_every_name(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "--json"]) == 0
    listed = json.loads(capfd.readouterr().out)["content"]["topics"]
    assert {e["name"] for entries in listed.values() for e in entries} == set(every())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["eodmax"], "Did you mean 'eod_max'"),
        (["min_rato"], "Did you mean 'min_ratio'"),
        (["\x1b[31m"], "nothing to explain"),
        (["nothing", "of", "this", "kind"], "nothing to explain"),
        (["tpr", "-o", "html:a.html"], "no output format 'html'"),
        (["tpr", "-o", "md"], "FORMAT:PATH"),
        (["tpr", "-o", "md:a", "-o", "json:a"], "twice"),
        (["tpr", "-o", "md:."], "folder"),
        (["four-fifth", "--policy", "p.toml"], "Did you mean 'four-fifths'"),
        (["four-fifths", "--policy", "absent.toml"], "no such file"),
        (["four-fifths", "--policy", "."], "folder"),
        (["--policy", "broken.toml"], "broken.toml:"),
        (["tpr", "--polcy", "p.toml"], "No such option"),
    ],
)
def test_a_wrong_call_is_one_sentence_and_writes_nothing(
    arguments: list[str], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    Path("broken.toml").write_text("schema = 1\n[[rule]\n", encoding="utf-8")
    before = sorted(Path().iterdir())
    assert run(["explain", *arguments]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert len(err.splitlines()) == 1
    assert said in err
    assert sorted(Path().iterdir()) == before
