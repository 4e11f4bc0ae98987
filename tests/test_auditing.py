"""The audit as a value: what can be left out, how it is written, and what many groups and cells do to it."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from cases import binary, several

import fairaudit
from fairaudit import document, view
from fairaudit.auditing import Audit
from fairaudit.catalogue import BY_ID
from fairaudit.labels import join_groups
from fairaudit.report import markdown, text
from fairaudit.schema import check

Key = tuple[str, str, str | None, str | None]


def values(a: Audit) -> dict[Key, tuple[Any, ...]]:
    """Everything about each estimate but its interval and what is drawn."""
    return {
        (e.metric, e.by, e.group, e.class_): (
            e.value,
            e.n,
            e.numerator,
            e.denominator,
            e.status,
            e.reason,
            e.at,
        )
        for e in a.estimates
    }


def crossed(rows: int, values_each: int, skew: float, seed: int = 0) -> pd.DataFrame:
    """Three attributes with so many values each; most of their intersections are empty."""
    dice = np.random.default_rng(seed)
    frame = pd.DataFrame({
        k: np.minimum((dice.pareto(skew, rows) * 5).astype(int), values_each - 1).astype(str) for k in "abc"
    })  # fmt: skip
    frame["label"] = dice.integers(0, 2, rows)
    frame["pred"] = np.where(dice.random(rows) < 0.8, frame["label"], 1 - frame["label"])
    return frame


@pytest.mark.parametrize("frame", [binary(), several(600, 4, 3)], ids=["binary", "several classes"])
def test_without_intervals_the_values_are_the_same_and_nothing_else_is_said(frame: pd.DataFrame) -> None:
    asked = {"y_true": "label", "y_pred": "pred", "sensitive": [c for c in ("sex", "country") if c in frame]}
    full, bare = fairaudit.audit(frame, **asked), fairaudit.audit(frame, **asked, interval="none")
    assert values(bare) == values(full)
    assert any(e.interval for e in full.estimates)
    assert not any(e.interval for e in bare.estimates)
    assert full.flags
    assert (bare.flags, bare.stands_out) == ((), ())
    assert [w["code"] for w in bare.warnings if w not in full.warnings] == ["no_intervals"]
    for page in (text.audit(bare), markdown.audit(bare)):
        assert "Flags: not looked for" in page
        assert "[" not in page.partition("All rows")[2].partition("Gaps between")[0]


def test_without_intervals_scores_and_losses_have_none_either() -> None:
    frame = binary()
    frame["score"] = np.where(frame["pred"] == 1, 0.8, 0.3)
    frame["loss"] = np.arange(len(frame)) % 7 / 7
    bare = fairaudit.audit(
        frame, y_true="label", y_score="score", loss="loss", sensitive=["sex"], interval="none"
    )
    assert {"roc_auc", "ece", "brier", "loss", "loss_variance"} <= {e.metric for e in bare.estimates}
    assert not any(e.interval for e in bare.estimates)


def test_only_the_metrics_asked_for_are_computed_and_they_are_the_same() -> None:
    full = fairaudit.audit(binary(), sensitive=["sex"])
    some = fairaudit.audit(binary(), sensitive=["sex"], metrics=("accuracy", "f1_macro", "eod_max"))
    mine = [e for e in full.estimates if e.metric in ("accuracy", "f1_macro", "eod_max")]
    assert list(some.estimates) == mine
    assert [f["metric"] for f in some.flags] == ["eod_max"]
    assert some.content()["settings"]["metrics"] == ["accuracy", "f1_macro", "eod_max"]
    assert "metrics" not in full.content()["settings"]


@pytest.mark.parametrize("metric", sorted(BY_ID))
def test_a_page_of_one_metric_is_a_page(metric: str) -> None:
    for interval in ("wilson", "none"):
        found = fairaudit.audit(binary(60), sensitive=["sex"], metrics=[metric], interval=interval)
        assert "rows" in text.audit(found)


def test_an_unknown_metric_is_one_sentence_with_the_nearest() -> None:
    with pytest.raises(fairaudit.FairauditError, match=r"no metric 'acuracy'.*Did you mean 'accuracy'"):
        fairaudit.audit(binary(), sensitive=["sex"], metrics=["acuracy"])


@pytest.mark.parametrize("part", [1, 3, 5_000])
def test_a_document_has_a_line_for_each_estimate_and_the_checksum_of_its_definition(
    part: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(document, "_PART", part)
    found = fairaudit.audit(binary(), sensitive=["sex"], interval="none", metrics=["accuracy", "tpr"])
    written = found.to_json()
    whole = json.loads(written)
    check(whole, "audit")
    assert whole["content"] == json.loads(json.dumps(found.content()))
    assert sum(line.startswith('   {"metric": ') for line in written.splitlines()) == len(found.estimates)
    plain = json.dumps(whole["content"], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert whole["content_sha256"] == hashlib.sha256(plain.encode()).hexdigest() == found.content_sha256
    assert Audit.from_json(written).content() == found.content()
    short = json.loads(found.to_json(indent=None))
    assert (short["content"], short["content_sha256"]) == (whole["content"], whole["content_sha256"])


def test_lines_are_json_whatever_is_nested() -> None:
    for value in (
        {}, {"a": None}, {"a": [], "b": {}, "c": [1, 2]}, {"content": {"rules": [{"x": [{"y": 1}]}, {"x": []}]}},
        {"content": {"a": {"b": {"c": 1}}}, "run": {"t": "\u2028"}},
    ):  # fmt: skip
        assert json.loads("".join(document._lines(value, 1))) == value
    assert document.sha256_of({}) == hashlib.sha256(b"{}").hexdigest()


def test_strata_too_many_to_list_are_counted_and_change_no_other_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    frame = crossed(4_000, 12, 1.2)
    asked: dict[str, Any] = {"y_true": "label", "y_pred": "pred", "sensitive": ["a", "b"], "cross": 2}
    full = fairaudit.audit(frame, **asked)
    monkeypatch.setattr(view, "MOST_LISTED_GROUPS", 50)
    monkeypatch.setattr(view, "MOST_LISTED_CELLS", 10)
    short = fairaudit.audit(frame, **asked)
    sizes = frame.groupby(["a", "b"]).size()
    kept = {join_groups(g) for g, n in sizes.items() if n >= 10}
    assert {g["group"] for g in short.groups if g["attribute"] == "a&b"} == kept
    listed = [e for e in full.estimates if e.by != "a&b" or e.group is None or e.group in kept]
    listed = [e for e in listed if not (e.by == "a&b" and e.metric == "eod" and e.n < 10)]
    assert list(short.estimates) == listed
    said = [w["message"] for w in short.warnings if w["code"] == "unlisted"]
    assert said[0].startswith(f"a&b: {len(sizes) - len(kept)} of {len(sizes)} groups have fewer than 10 rows")
    assert not [w for w in full.warnings if w["code"] == "unlisted"]
    assert not [
        w for w in short.warnings if w["code"] == "small_group" and w["message"].startswith("a&b=0 & 11")
    ]


def test_a_hundred_thousand_rows_in_a_million_intersections() -> None:
    frame = crossed(100_000, 100, 0.8)
    found = fairaudit.audit(
        frame, y_true="label", y_pred="pred", sensitive=["a", "b", "c"], cross=3, interval="none",
        metrics=["accuracy", "worst_group_accuracy"],
    )  # fmt: skip
    right = (frame["label"] == frame["pred"]).groupby([frame[k] for k in "abc"]).agg(["sum", "size"])
    assert len(right) > view.MOST_LISTED_GROUPS  # of the million, and more than are listed
    mine = {e.group: (e.numerator, e.denominator) for e in found.estimates if e.by == "a&b&c" and e.group}
    assert mine == {" & ".join(g): (hit, n) for g, hit, n in right.itertuples() if n >= 10}
    said = next(w["message"] for w in found.warnings if w["code"] == "unlisted" and "groups" in w["message"])
    assert said.startswith(f"a&b&c: {len(right) - len(mine)} of {len(right)} groups have fewer than 10 rows")


def test_thousands_of_small_groups_do_not_drown_a_page() -> None:
    dice = np.random.default_rng(0)
    group = [f"postcode {g}" for g in dice.integers(0, 3_000, 20_000)]
    y = dice.integers(0, 2, 20_000)
    found = fairaudit.audit(
        y_true=y, y_pred=y ^ (dice.random(20_000) < 0.1), sensitive={"area": group}, max_groups=3_000
    )
    small = [w for w in found.warnings if w["code"] == "small_group"]
    assert len(small) > 2_900  # the document has them all
    page = text.audit(found)
    assert f"{len(small):,} small groups: area=postcode 0 has" in page
    assert page.count("\n") < 150


def test_crossed_names_are_escaped_one_by_one() -> None:
    frame = binary(80).assign(sex=["A & B", r"x\y"] * 40, race=["r", "&"] * 40)
    found = fairaudit.audit(frame, y_true="label", y_pred="pred", sensitive=["sex", "race"], cross=2)
    names = {g["group"]: g["n"] for g in found.groups if g["attribute"] == "sex&race"}
    assert names == {join_groups(["A & B", "r"]): 40, join_groups([r"x\y", "&"]): 40}
