"""The pages: what is said, whatever the format."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pandas as pd
import pytest
from cases import binary, several

import fairaudit
from fairaudit.report import audit_page, comparison_page
from fairaudit.report.blocks import DOCUMENT, TERMINAL, Block, Command, Heading, Items, Sentence, Table
from fairaudit.report.flags import flags, told, unseen
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
