"""Plans against simulation: so many rows decide about as often as they promise."""

from __future__ import annotations

import json

import numpy as np
import oracle_gate
import pytest
from typer.testing import CliRunner

import fairaudit
from fairaudit.errors import FairauditError
from fairaudit.power import Scenario, visible
from fairaudit_cli.main import app


def simulated(s, true, rows, draws=150):
    """How often an independent gate says `pass` and `fail` on so many rows a group."""
    rng = np.random.default_rng(0)
    rates = [s.rate] * (s.groups - 1) + [s.worse(true)]
    said = []
    for _ in range(draws):
        hits = rng.binomial(rows, rates)
        table = [
            (f"g{k}", "1", p)
            for k, x in enumerate(hits)
            for p, n in (("1", x), ("0", rows - x))
            for _ in range(n)
        ]
        said.append(
            oracle_gate.verdict(oracle_gate.strata(table, "selection_rate", s.kind, s.limit, s.alpha))
        )
    return said.count("pass") / draws, said.count("fail") / draws


@pytest.mark.parametrize(
    ("s", "true", "verdict"),
    [
        (Scenario("min", 0.7, 0.9, 3), 0.8, "pass"),
        (Scenario("min", 0.7, 0.9, 3), 0.55, "fail"),
        (Scenario("max", 0.3, 0.1, 2), 0.45, "fail"),
        (Scenario("min_ratio", 0.5, 0.6, 3), 1.0, "pass"),
        (Scenario("min_ratio", 0.8, 0.6, 3), 0.4, "fail"),
        (Scenario("max_difference", 0.2, 0.5, 2), 0.0, "pass"),
        (Scenario("max_difference", 0.1, 0.6, 4), 0.4, "fail"),
    ],
)
def test_the_rows_of_a_plan_decide_as_often_as_it_says(s, true, verdict):
    rows = s.rows(true)
    assert s.decision(true, rows) == verdict
    share = dict(zip(("pass", "fail"), simulated(s, true, rows), strict=True))[verdict]
    assert 0.65 <= share <= 0.99  # a group that is worse than several others has several chances to fail
    half = dict(zip(("pass", "fail"), simulated(s, true, rows // 2), strict=True))[verdict]
    assert half < share


def test_at_the_limit_no_number_of_rows_decides():
    assert Scenario("min", 0.8, 0.9, 2).rows(0.8) is None


def test_the_nearest_value_is_the_edge_of_what_the_rows_show():
    s = Scenario("min_ratio", 0.8, 0.5, 2)
    for verdict in ("pass", "fail"):
        edge = s.nearest(2000, verdict)
        assert s.decision(edge, 2000) == verdict
        assert s.decision((edge + 0.8) / 2, 2000) == "inconclusive"
    assert Scenario("min_ratio", 0.8, 0.5, 2).nearest(20, "pass") is None


@pytest.mark.parametrize(
    "broken",
    [("most", 0.8, 0.5, 2), ("min", 1.5, 0.5, 2), ("min", 0.5, 0.0, 2), ("min_ratio", 0.5, 0.5, 1),
     ("min", 0.5, 0.5, 0), ("min", 0.5, 0.5, 2, 2.0)],
)  # fmt: skip
def test_a_scenario_without_a_meaning_is_refused(broken):
    with pytest.raises(FairauditError):
        Scenario(*broken)


def test_a_gap_of_the_visible_size_is_flagged_about_as_often_as_promised():
    rng = np.random.default_rng(1)
    sizes = {"a": 1500, "b": 300}

    def audit(rates):
        g = np.repeat(list(sizes), list(sizes.values()))
        p = (rng.random(len(g)) < np.repeat([rates[k] for k in sizes], list(sizes.values()))).astype(int)
        return fairaudit.audit(y_true=np.arange(len(g)) % 2, y_pred=p, sensitive={"g": g})

    gap = next(v for v in visible(audit({"a": 0.4, "b": 0.4}), "selection_rate") if v.group == "b").gap
    assert 0.05 < gap < 0.15
    flagged = sum(
        audit({"a": 0.4, "b": 0.4 + gap}).estimate("demographic_parity_difference", "g").interval.low > 0
        for _ in range(60)
    )
    assert 36 <= flagged <= 58
    needed = next(
        v for v in visible(audit({"a": 0.4, "b": 0.4}), "selection_rate", gap) if v.group == "b"
    ).needed
    assert 220 <= needed <= 400


def run(*arguments):
    return CliRunner().invoke(app, ["plan", *arguments], catch_exceptions=True)


def test_the_command_plans_without_data():
    done = run("--rate", "0.3", "--groups", "4", "--min-ratio", "0.8", "--rows", "500", "--json")
    record = json.loads(done.stdout)
    assert record["kind"] == "min_ratio"
    assert [p["verdict"] for p in record["plan"]] == ["pass"] * 4 + ["fail"] * 4
    rows = [p["rows"] for p in record["plan"]]
    assert rows[0] < rows[3]
    assert rows[4] > rows[7]
    assert record["given"]["pass"] is None


@pytest.mark.parametrize(
    "arguments", [(), ("--rate", "0.3"), ("--rate", "0.3", "--min", "0.2", "--max", "0.4"), ("--min", "0.2")]
)
def test_a_plan_from_nothing_is_one_sentence(arguments):
    done = run(*arguments)
    assert isinstance(done.exception, FairauditError)
    assert "--rate and one limit" in str(done.exception)
