"""The page of a verdict: what stands in its tables, facts and last section."""

from __future__ import annotations

from dataclasses import replace

from verdicts import ASIAN, RULE, SMALL, WHITE, verdict_of, waiver_of

from fairaudit.report import gate_page, markdown, text
from fairaudit.report.blocks import TERMINAL, Facts, Items, Sentence, Table
from fairaudit.verdict import Check, Stratum, Verdict

DATA = {
    "rows": 100, "left_out": 3, "columns": {"y_true": "y", "y_score": "s", "weights": "w", "cluster": "who"},
    "detected": [], "positive": "1", "threshold": None, "split": None,
}  # fmt: skip


def page_of(*checks: Check, waivers: tuple[dict[str, object], ...] = (), **data: object) -> Verdict:
    return replace(verdict_of(checks, waivers), data={**DATA, **data})


def table(check: Check) -> tuple[list[str], dict[str, list[str]]]:
    """Column names, and the cells of each row by its first."""
    (found,) = [b for b in gate_page.page(page_of(check), TERMINAL) if isinstance(b, Table)]
    return [c.name for c in found.columns], {r[0].text: [c.text for c in r] for r in found.rows}


def items(verdict: Verdict) -> list[str]:
    return [s for b in gate_page.page(verdict, TERMINAL) if isinstance(b, Items) for s in b.sentences]


def test_the_best_off_and_the_small_are_compared_with_nobody() -> None:
    best = replace(WHITE, against=None, reason="best off")
    columns, rows = table(replace(RULE, strata=(ASIAN, SMALL, best)))
    assert columns == ["stratum", "verdict", "rows", "rate", "ratio [bounds]", "against"]
    assert rows["White"] == ["White", "pass", "5,000", "19.9 %", "best off", ""]
    assert rows["Native American"] == ["Native American", "inconclusive", "9", "10.0 %", "–", ""]
    assert rows["Asian"] == ["Asian", "fail", "1,203", "12.3 %", "0.62 [0.51, 0.74]", "White"]
    assert list(rows) == ["White", "Native American", "Asian"]  # a terminal ends with the worst


def test_numbers_of_a_row_share_their_decimals() -> None:
    near = replace(ASIAN, value=0.75, pass_bound=0.7, fail_bound=0.803)
    assert table(replace(RULE, strata=(near,)))[1]["Asian"][4] == "0.750 [0.700, 0.803]"
    gap = replace(RULE, kind="max_difference", at_least=False, limit=0.1)
    low = replace(ASIAN, value=0.0, fail_bound=-0.0001, pass_bound=0.042)
    assert table(replace(gap, strata=(low,)))[1]["Asian"][4] == "0.0 points [0.0, 4.2]"


def test_changes_say_which_side_is_limited() -> None:
    changed = Stratum("A", "pass", value=-0.05, rate=0.9, baseline=0.85, fail_bound=-0.07, pass_bound=-0.02)
    for kind, name in (
        ("no_group_worse", "worse by"),
        ("max_increase", "increase"),
        ("max_decrease", "decrease"),
    ):
        columns, rows = table(Check("r", "race", "tpr", kind, 0.02, False, None, "pass", (changed,)))
        assert columns[-1] == f"{name} [bounds]"
        assert rows["A"][-1] == "−5.0 points [−7.0, −2.0]"


def test_a_rate_that_is_not_the_metric_is_named() -> None:
    cell = Stratum("A", "pass", "3", value=0.01, rate=0.9, of="recall", pass_bound=0.02)
    eod = Check("r", "race", "eod_max", "max", 0.1, False, "rest", "pass", (cell,), form="max_difference")
    columns, rows = table(eod)
    assert columns[3] == "recall"
    assert list(rows) == ["A, class 3"]
    both = tuple(replace(cell, class_=None, of=of) for of in ("tpr", "fpr"))
    columns, rows = table(replace(eod, metric="equalized_odds_difference", strata=both))
    assert columns[3] == "rate"
    assert set(rows) == {"A, tpr", "A, fpr"}


def test_a_withheld_comparison_says_why() -> None:
    why = "compared with White, whose numbers are hidden"
    bare = replace(ASIAN, value=None, fail_bound=None, pass_bound=None, reason=why)
    for judged in ("pass", "fail"):
        told = items(page_of(replace(RULE, strata=(replace(bare, verdict=judged),))))
        assert f"{judged}: race=Asian: selection_rate 12.3 %; {why} (1,203 rows)" in told


def test_waived_strata_show_owner_and_reason() -> None:
    check = replace(RULE, strata=(replace(ASIAN, waived="2027-03-31"), WHITE), verdict="pass")
    verdict = page_of(check, waivers=(waiver_of(RULE, "Asian", "17 rows", "risk@x.org"),))
    assert items(verdict) == [
        "race=Asian: waived until 2027-03-31: 17 rows (risk@x.org)",
        "1 group waived: race=Asian until 2027-03-31 (risk@x.org: 17 rows)",
    ]
    for shown in (text.verdict(verdict), markdown.verdict(verdict)):
        assert "17 rows (risk@x.org)" in shown
        assert "1 group waived: race=Asian until 2027-03-31" in shown


def test_facts_show_threshold_split_weights_and_clusters() -> None:
    split = {"column": "part", "value": "test"}
    (facts,) = [
        b
        for b in gate_page.page(page_of(RULE, threshold=0.35, split=split), TERMINAL)
        if isinstance(b, Facts)
    ]
    told = dict(facts.rows)
    assert told["columns"] == (
        "y_true y, y_score s, weights w, cluster who, positive class 1, positive from a score of 0.35"
    )
    assert told["data"] == "100 rows, part=test (3 others left out)"
    assert "from a score" not in text.verdict(page_of(RULE))


def test_a_folded_table_keeps_the_verdict_beside_the_name() -> None:
    other = "a group with quite a long name"
    wide = replace(ASIAN, group="another group with a long name", against=other, waived="2027-03-31")
    lines = text.verdict(page_of(replace(RULE, strata=(wide,), verdict="waived"))).splitlines()
    assert max(map(len, lines)) <= 80
    assert any("another group" in row and "waived (fail)" in row for row in lines)


def test_strata_left_out_are_less_far_out() -> None:
    strata = tuple(replace(ASIAN, group=f"g{k}", value=0.5 + k / 100) for k in range(14))
    shown = text.verdict(page_of(replace(RULE, strata=strata)))
    assert "… and 4 more strata, less far out" in shown
    assert "g9 " in shown
    assert "g10 " not in shown


def test_a_check_without_strata_begins_its_reason_with_a_capital() -> None:
    verdict = page_of(replace(RULE, strata=(), verdict="inconclusive", reason="there is no baseline"))
    assert "four-fifths by race: inconclusive. There is no baseline." in items(verdict)
    said = [b.text for b in gate_page.page(verdict, TERMINAL) if isinstance(b, Sentence)]
    assert "Not judged: there is no baseline." in said
