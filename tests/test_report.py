"""The pages: what is said, whatever the format."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
from cases import binary, several

import fairaudit
from fairaudit.power import Visible
from fairaudit.report import audit_page, comparison_page
from fairaudit.report.blocks import DOCUMENT, TERMINAL, Block, Command, Heading, Items, Sentence, Table
from fairaudit.report.flags import _reach, flags, told, unseen
from fairaudit.report.verdict import verdict
from fairaudit.report.words import number, signed, where_attained, with_interval

FLAGGED = fairaudit.audit(binary(), sensitive=["sex"])
EVEN = fairaudit.audit(binary(gap=0.0, seed=3), sensitive=["sex"])


def words(blocks: list[Block]) -> Iterator[str]:
    """Every text of a page."""
    for b in blocks:
        if isinstance(b, Heading | Sentence):
            yield b.text
        elif isinstance(b, Items):
            yield from b.sentences
        elif isinstance(b, Command):
            yield b.line
        elif isinstance(b, Table):
            yield from (c.text for row in b.rows for c in row)
        else:
            yield from (text for row in b.rows for text in row)


def section(blocks: list[Block], title: str) -> list[Block]:
    """The blocks under a heading."""
    start = next(i for i, b in enumerate(blocks) if isinstance(b, Heading) and title in b.text)
    stop = next((i for i in range(start + 1, len(blocks)) if isinstance(blocks[i], Heading)), len(blocks))
    return blocks[start + 1 : stop]


def test_a_flag_says_what_who_how_much_and_at_least() -> None:
    flag = next(f for f in flags(FLAGGED) if "eod_max" in f.metrics)
    low = FLAGGED.estimate("eod_max", by="sex").interval
    tpr = {g: FLAGGED.estimate("tpr", by="sex", group=g).value for g in "FM"}
    said = told(flag)
    assert low is not None
    assert set(flag.metrics) >= {"equal_opportunity_difference", "eod_max"}
    assert said.startswith("sex: ")
    assert f"{100 * flag.value:.1f} points, at least {100 * flag.low:.1f}" in said
    assert f"lowest for sex=F ({100 * (tpr['F'] or 0):.1f} %)" in said
    assert f"highest for sex=M ({100 * (tpr['M'] or 0):.1f} %)" in said
    assert flag.low <= low.low


def test_every_flag_of_the_audit_is_told_once() -> None:
    names = [(m, f.by) for f in flags(FLAGGED) for m in f.metrics]
    assert sorted(names) == sorted((f["metric"], f["by"]) for f in FLAGGED.flags)


def test_the_order_is_worst_last_on_a_terminal_and_first_in_a_document() -> None:
    terminal, document = (
        section(audit_page.page(FLAGGED, limits), "Gaps") for limits in (TERMINAL, DOCUMENT)
    )
    assert isinstance(terminal[0], Table)
    assert isinstance(document[0], Table)
    assert terminal[0].rows == document[0].rows[::-1]
    titles = [b.text for b in audit_page.page(FLAGGED, TERMINAL) if isinstance(b, Heading)]
    assert titles[-1].startswith("Next: ")
    assert titles[-2].startswith("Flags: ")
    assert titles[-3] == "The worst"
    titles = [b.text for b in audit_page.page(FLAGGED, DOCUMENT) if isinstance(b, Heading)]
    assert titles[1] == "The worst"


def test_the_next_command_knows_where_the_audit_is() -> None:
    saved = audit_page.page(FLAGGED, TERMINAL, saved="out/a.json")
    assert saved[-1] == Command(
        "fairaudit mitigate MODEL DATA --method fairlora --audit out/a.json --out repaired"
    )
    assert not any("-o json:" in w for w in words(saved))
    assert any("-o json:audit.json" in w for w in words(audit_page.page(FLAGGED, TERMINAL)))


def test_nothing_flagged_is_not_called_fair() -> None:
    page = audit_page.page(EVEN, TERMINAL)
    said = " ".join(words(page)).lower()
    assert "no gap between groups above 0" in said
    assert "that does not say that there is none" in said
    assert not re.search(r"\b(fair|unbiased|no bias|bias-free)\b", said.replace("fairaudit", ""))
    assert not any(isinstance(b, Command) for b in page)
    bound = EVEN.estimate("eod_max", by="sex").interval
    assert bound is not None
    assert any(f"{100 * bound.high:.1f} in eod_max" in line for line in unseen(EVEN))


def test_what_could_have_been_seen_would_have_been_flagged() -> None:
    """The bound that `unseen` promises: a gap that large, on as many rows, is a flag."""
    bound = EVEN.estimate("eod_max", by="sex").interval
    assert bound is not None
    wide = fairaudit.audit(binary(gap=min(0.89, bound.high + 0.1), seed=3), sensitive=["sex"])
    gap = wide.estimate("eod_max", by="sex")
    assert gap.value is not None
    assert gap.value >= bound.high
    assert any(f["metric"] == "eod_max" for f in wide.flags)


def test_no_attribute() -> None:
    page = list(words(audit_page.page(fairaudit.audit(binary()[["label", "pred"]]), TERMINAL)))
    assert any("no gap between groups was looked for" in w for w in page)
    assert any("-s COLUMN" in w for w in page)


def test_undefined_and_small_are_said_with_reasons() -> None:
    frame = pd.concat([binary(), pd.DataFrame({"label": [0] * 12, "pred": [0] * 12, "sex": ["X"] * 12})])
    page = audit_page.page(fairaudit.audit(frame, sensitive=["sex"]), TERMINAL)
    said = list(words(page))
    assert "tpr undefined for X: no rows of the positive class" in said
    assert "12 small" in said
    assert any(w.startswith("sex=X: left out of minima, maxima and gaps: tpr undefined") for w in said)


def test_a_constant_model_is_called_one() -> None:
    page = audit_page.page(fairaudit.audit(binary().assign(pred=1), sensitive=["sex"]), TERMINAL)
    assert "every row is predicted as class 1" in list(words(page))
    assert "precision undefined for 0: no rows predicted as this class" in list(words(page))


def test_rows_left_out_and_dropped_are_said() -> None:
    frame = binary().assign(split=["test"] * 300 + ["train"] * 100)
    frame.loc[0, "label"] = None
    page = " ".join(
        words(audit_page.page(fairaudit.audit(frame, sensitive=["sex"], missing_labels="drop"), TERMINAL))
    )
    assert "299 where split is test; 100 others left out" in page
    assert "1 without label or prediction dropped" in page


def test_wide_audits_are_cut_and_say_so() -> None:
    page = audit_page.page(fairaudit.audit(several(4000, 40, 50), sensitive=["country"]), TERMINAL)
    tables = [b for b in page if isinstance(b, Table)]
    assert all(len(t.rows) <= 2 * TERMINAL.gaps for t in tables)
    assert any("40 groups with higher accuracy" in t.left_out for t in tables)
    assert any("30 classes with higher F1" in t.left_out for t in tables)


def test_many_attributes_are_cut_to_those_with_the_clearest_gaps() -> None:
    frame = binary().assign(
        **{f"noise{i}": [f"g{(j * (i + 3)) // 7 % 2}" for j in range(400)] for i in range(5)}
    )
    found = fairaudit.audit(frame, sensitive=[*(f"noise{i}" for i in range(5)), "sex"], cross=2)
    page = audit_page.page(found, TERMINAL)
    titles = [b.text for b in page if isinstance(b, Heading)]
    assert "By sex" in titles
    assert sum(t.startswith("By ") for t in titles) == 1 + TERMINAL.views
    assert any("15 other attributes or intersections" in w for w in words(page))
    assert sum(len(b.sentences) for b in page if isinstance(b, Items)) < 40


@pytest.mark.parametrize(
    ("metric", "value", "shown"),
    [("tpr", 0.0, "0"), ("tpr", 0.0004, "0.0"), ("tpr", 1.0, "100"), ("tpr", 0.9999, "100.0"),
     ("eod_max", 0.1236, "12.4"),
     ("demographic_parity_ratio", 0.5, "0.500"), ("loss", 1.0, "1.000"), ("membership_advantage", -0.05, "−5.0")],
)  # fmt: skip
def test_number(metric: str, value: float, shown: str) -> None:
    assert number(metric, value) == shown


def test_signed() -> None:
    assert [signed("tpr", v) for v in (0.1, -0.1, 0.0)] == ["+10.0", "−10.0", "0"]


def test_where_attained() -> None:
    assert where_attained(FLAGGED.estimate("equalized_odds_difference", by="sex")) == "F → M (tpr)"
    assert where_attained(FLAGGED.estimate("worst_group_accuracy", by="sex")) == "F (class 1)"
    assert where_attained(FLAGGED.estimate("recall_min", by="class")) == "class 1"


def test_with_interval_marks_the_small() -> None:
    found = fairaudit.audit(binary(12), sensitive=["sex"])
    assert with_interval(found.estimate("tpr", by="sex", group="F")).endswith("]*")


# --- comparisons ---------------------------------------------------------------------------------------------


def compared(before: float, after: float, miss_all: float = 0.0) -> fairaudit.Comparison:
    """Two models on the same rows; the second misses everybody `miss_all` more often."""
    one, two = binary(2000, before), binary(2000, after, seed=1)
    lost = [i % 100 < 100 * miss_all for i in range(2000)]
    two["pred"] = [1 - y if gone else p for y, p, gone in zip(two["label"], two["pred"], lost, strict=True)]
    return fairaudit.compare(one, two, id="id", sensitive=["sex"])


def test_a_repair_that_helps() -> None:
    found = verdict(compared(0.4, 0.0))
    assert found.levelling_down == ""
    assert found.worse == ()
    assert any(s.startswith("eod_max by sex fell: ") for s in found.sentences)
    assert any(s.startswith("worst_group_accuracy by sex rose: ") for s in found.sentences)
    assert any(s.startswith("Accuracy over rows rose: ") for s in found.sentences)
    said = " ".join(words(comparison_page.page(compared(0.4, 0.0), TERMINAL, "before", "after")))
    assert "No group is shown to be worse off" in said
    assert not re.search(r"\bfair\b", said)


def test_levelling_down_is_visible() -> None:
    comparison = compared(0.2, 0.0, miss_all=0.4)
    found = verdict(comparison)
    assert "LEVELLING DOWN" in found.levelling_down
    assert "every group" in found.levelling_down
    assert {w.split(":")[0] for w in found.worse} == {"sex=M", "sex=F"}
    page = comparison_page.page(comparison, TERMINAL, "before", "after")
    assert isinstance(page[-1], Sentence)
    assert page[-1].tone == "bad"
    groups = section(page, "Accuracy by sex")[0]
    assert isinstance(groups, Table)
    assert [row[-1].text for row in groups.rows] == ["worse", "worse"]


def test_a_change_within_noise_is_called_that() -> None:
    found = verdict(compared(0.2, 0.2))
    assert all("within noise" in s for s in found.sentences if s.startswith(("eod_max", "Accuracy")))
    assert found.levelling_down == ""


def test_the_worst_group_comes_first_and_every_worse_one_is_named() -> None:
    comparison = compared(0.0, 0.4)
    page = comparison_page.page(comparison, TERMINAL, "a.parquet", "b.parquet")
    cells = section(page, "Share of a class found")[0]
    assert isinstance(cells, Table)
    assert cells.rows[0][0].text == "F, class 1"
    named = [b for b in section(page, "Made worse") if isinstance(b, Items)]
    assert {s.split(":")[0] for s in named[0].sentences} == {f"{x.by}={x.group}" for x in comparison.worse}
    assert page[0] == Heading("fairaudit compare: a.parquet → b.parquet", 1)


def test_unpaired_audits_say_so() -> None:
    page = comparison_page.page(fairaudit.compare(FLAGGED, EVEN), TERMINAL, "before", "after")
    assert any("not paired" in w for w in words(page))


def scored(classes: int = 2, groups: int = 3) -> pd.DataFrame:
    """Rows whose scores say less about some groups than about others."""
    rng = np.random.default_rng(5)
    y, g = rng.integers(0, classes, 1500), rng.integers(0, groups, 1500)
    if classes == 2:
        score = np.clip(0.3 + 0.4 * y + rng.normal(0, 0.1 + 0.3 * g / groups), 0.01, 0.99)
        return pd.DataFrame({"label": y, "score": score, "race": [f"g{k:02}" for k in g]})
    p = rng.dirichlet(np.ones(classes), 1500) + 0.7 * np.eye(classes)[y]
    probabilities = {f"prob_{c}": p[:, c] / p.sum(axis=1) for c in range(classes)}
    return pd.DataFrame({"label": y, **probabilities, "race": [f"g{k:02}" for k in g]})


def table(blocks: list[Block], title: str) -> dict[str, dict[str, str]]:
    """A table as texts: group -> column -> entry."""
    found = next(b for b in section(blocks, title) if isinstance(b, Table))
    names = [c.name for c in found.columns]
    return {row[0].text: {n: c.text for n, c in zip(names, row, strict=True)} for row in found.rows}


def test_scores_of_groups_have_a_table() -> None:
    audit = fairaudit.audit(scored(), sensitive=["race"], positive="1")
    found = table(audit_page.page(audit, TERMINAL), "Scores by race")
    assert list(found) == ["g00", "g01", "g02"]  # the worst last
    for group, row in found.items():
        assert set(row) == {"race", "rows", "roc_auc", "ece", "brier"}
        for metric in ("roc_auc", "ece", "brier"):
            assert row[metric] == with_interval(audit.estimate(metric, by="race", group=group))
            assert "[" in row[metric]
    assert "roc_auc" not in table(audit_page.page(audit, TERMINAL), "By race")["g00"]
    unscored = [b.text for b in audit_page.page(FLAGGED, TERMINAL) if isinstance(b, Heading)]
    assert not any("Scores" in t for t in unscored)


def test_scores_of_many_groups_are_cut_to_the_worst() -> None:
    audit = fairaudit.audit(scored(groups=30), sensitive=["race"], positive="1")
    area = {f"g{k:02}": audit.estimate("roc_auc", by="race", group=f"g{k:02}").value or 0 for k in range(30)}
    for limits, most in ((TERMINAL, TERMINAL.groups), (DOCUMENT, 20)):
        assert set(table(audit_page.page(audit, limits), "Scores by race")) == set(
            sorted(area, key=area.__getitem__)[:most]
        )


def test_scores_of_a_task_with_several_classes_are_by_group_too() -> None:
    audit = fairaudit.audit(
        scored(classes=3), sensitive=["race"], score_classes=("all",), prob_prefix="prob_"
    )
    page = audit_page.page(audit, TERMINAL)
    assert {"roc_auc_macro", "ece", "brier"} >= set(table(page, "Scores by race")["g00"]) - {"race", "rows"}
    assert table(page, "Scores by race")["g00"]["roc_auc_macro"]
    assert list(table(page, "Scores by class, each against the rest")["0"]) == [
        "class",
        "roc_auc",
        "ece",
        "brier",
    ]


@pytest.mark.parametrize(
    "metrics",
    [("roc_auc", "brier"), ("fnr", "tnr"), ("ece_mass",), ("npv", "accuracy_to_overall", "tpr", "fnr", "fpr"),
     ("eod_max", "fnr")],
)  # fmt: skip
def test_whatever_is_asked_stands_in_the_tables(metrics: tuple[str, ...]) -> None:
    audit = fairaudit.audit(scored(), sensitive=["race"], positive="1", metrics=metrics)
    by_group = [m for m in metrics if any(e.metric == m and e.group is not None for e in audit.estimates)]
    for limits in (TERMINAL, DOCUMENT):
        page = audit_page.page(audit, limits)
        for group, row in table(page, "By race").items():
            assert [c for c in row if c not in ("race", "rows", "positives", "negatives")] == by_group
            for metric in by_group:
                assert row[metric] == with_interval(audit.estimate(metric, by="race", group=group))
            if "fnr" in metrics:
                assert row["positives"] == str(audit.estimate("fnr", by="race", group=group).n)
        over_all = [e.metric for e in audit.estimates if e.by == "overall"]
        assert not over_all or set(table(page, "All rows")) == set(over_all)


def test_a_table_by_a_rate_that_should_be_low_ends_with_the_highest() -> None:
    audit = fairaudit.audit(scored(), sensitive=["race"], positive="1", metrics=("fnr",))
    found = list(table(audit_page.page(audit, TERMINAL), "By race"))
    assert found == sorted(found, key=lambda g: audit.estimate("fnr", by="race", group=g).value or 0)


@pytest.mark.parametrize("classes", [2, 3])
def test_gaps_of_cells_that_are_asked_for_are_shown(classes: int) -> None:
    frame = scored(classes)
    audit = fairaudit.audit(
        frame, sensitive=["race"], metrics=("eod",), **({"positive": "1"} if classes == 2 else {})
    )
    page = audit_page.page(audit, DOCUMENT)
    shown = {
        c.text
        for b in section(page, "Each class in race")
        if isinstance(b, Table)
        for row in b.rows
        for c in row
    }
    assert {with_interval(e) for e in audit.estimates} <= shown


def test_nothing_asked_by_group_is_no_empty_table() -> None:
    audit = fairaudit.audit(scored(), sensitive=["race"], positive="1", metrics=("eod_max",))
    assert not any(isinstance(b, Heading) and b.text == "By race" for b in audit_page.page(audit, TERMINAL))


def test_the_list_of_gaps_says_what_it_is() -> None:
    for limits, order in ((TERMINAL, "largest last"), (DOCUMENT, "largest first")):
        found = section(audit_page.page(FLAGGED, limits), "Flags: ")
        at = next(i for i, b in enumerate(found) if isinstance(b, Items) and b.tone == "bad")
        assert found[at - 1] == Sentence(f"Gaps above 0, {order}:")


def test_gaps_that_print_alike_are_one_number() -> None:
    same = [Visible("g", name, 100, 0.5, gap, None) for name, gap in (("g03", 0.0401), ("g27", 0.0404))]
    assert "a gap in tpr of 4.0 (g03, g27) points" in _reach(same, "g", "tpr")
    other = [*same, Visible("g", "g30", 90, 0.5, 0.06, None)]
    assert "a gap in tpr of 4.0 (g03) to 6.0 (g30) points" in _reach(other, "g", "tpr")
