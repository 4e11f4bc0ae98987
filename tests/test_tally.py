"""Tallies add up to the tally of all rows, and only where they were counted alike."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import strategies
from cases import binary
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_merge_property import audit_of, content, scan, shards

import fairaudit
from fairaudit import Inputs, Tally
from fairaudit.errors import FairauditError
from fairaudit.tallies.tally import added

RANDOM_TABLES = settings(derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
anything = st.one_of(
    strategies.cases(2, 60), strategies.cases(2, 60, declared=False), strategies.cases(3, 60)
)


@settings(RANDOM_TABLES, max_examples=6)
@given(case=anything, seed=st.integers(0, 2**32), count=st.integers(2, 5))
def test_files_of_any_parts_are_the_audit_of_the_whole(
    case: strategies.Case, seed: int, count: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    whole = content(audit_of(scan(case.frame(), case.roles), case.roles))
    folder, dice = tmp_path_factory.mktemp("parts"), random.Random(seed)
    paths = [folder / f"{i}.tally" for i in range(count)]
    written = [fairaudit.write_tally(scan(part, case.roles), path)
               for part, path in zip(shards(case.frame(), dice, count), paths, strict=False)]  # fmt: skip
    paths = dice.sample(paths[: len(written)], len(written))
    if len({t.sources for t in written}) < len(written):
        return  # tiny parts may hold the same counts; that they are refused is tested below
    merged = fairaudit.write_tally(fairaudit.merge(*paths), folder / "all.tally")
    assert content(audit_of(merged, case.roles)) == whole
    assert content(fairaudit.audit(str(folder / "all.tally"), **_judging(case.roles))) == whole
    assert content(fairaudit.audit([str(p) for p in paths], **_judging(case.roles))) == whole


def _judging(roles: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in roles.items() if k in ("level", "min_events", "min_n", "seed")}


FRAME = binary(120)
ALIKE: dict[str, Any] = {"y_true": "label", "y_pred": "pred", "sensitive": ("sex",)}


def tally(frame: pd.DataFrame = FRAME, **more: Any) -> Tally:
    return fairaudit.tabulate(frame, Inputs(**{**ALIKE, **more}))


def enriched() -> pd.DataFrame:
    """Every role that a column can play."""
    dice = random.Random(0)
    return FRAME.assign(
        points=[dice.random() for _ in range(120)], w=1.5, c=range(120), m=[0, 1] * 60, part=["a", "b"] * 60,
        age=range(120), nats=0.1,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        ({"sensitive": ("sex",)}, {"sensitive": ("race",)}, "with attributes race, .* with attributes sex"),
        ({"sensitive": ()}, {"sensitive": ("race",), "y_true": "label"}, "without attributes|with attributes"),
        ({"sensitive": ("sex", "race")}, {"sensitive": ("sex", "race"), "cross": 2}, "intersections of up to 2"),
        ({}, {"weights": "w"}, "with weights, .* without weights"),
        ({}, {"cluster": "c"}, "with clusters"),
        ({}, {"loss": "nats"}, "with losses"),
        ({}, {"member": "m"}, "with marks of members"),
        ({}, {"y_score": "points", "y_pred": None}, "without predicted labels"),
        ({"y_score": "points"}, {}, "without scores"),
        ({}, {"positive": "1"}, "with positive class 1, .* without positive class"),
        ({"positive": "0"}, {"positive": "1"}, "with positive class 1, .* with positive class 0"),
        ({"split": "part=a"}, {"split": "part=b"}, "over the rows of split 'b', .* of split 'a'"),
        ({}, {"split": "part=b"}, "split 'b', .* over all rows"),
        ({}, {"na": ("F",)}, "with --na 'F', .* without --na"),
        ({}, {"missing_labels": "drop"}, "with --missing-labels drop"),
        ({}, {"agreement": {"0": "F", "1": "M"}}, "with agreement 0=F, 1=M"),
        ({"sensitive": ("age",), "bins": {"age": (0, 50)}}, {"sensitive": ("age",), "bins": {"age": (0, 60)}},
         "with bins age=0,60, .* with bins age=0,50"),
        ({"y_pred": None, "y_score": "points"}, {"y_pred": None, "y_score": "points", "threshold": 0.75},
         "with threshold 0.75, .* with threshold 0.5"),
    ],
)  # fmt: skip
def test_what_was_counted_in_another_way_is_named(
    one: dict[str, Any], other: dict[str, Any], said: str
) -> None:
    frame = enriched()
    frames = [frame, frame] if one.get("sensitive") != () else [frame.drop(columns=["sex", "race"]), frame]
    parts = [(f"{n}.tally", tally(f, **how)) for n, f, how in zip("ab", frames, (one, other), strict=True)]
    with pytest.raises(FairauditError, match=rf"^b.tally was counted .*{said}.*; tabulate both alike\.$"):
        added(parts)
    with pytest.raises(FairauditError, match=r"^the other was counted"):
        _ = parts[0][1] + parts[1][1]


def test_names_of_columns_may_differ_and_both_are_shown() -> None:
    one, two = FRAME[:70], FRAME[70:].rename(columns={"label": "y", "pred": "yhat"})
    parts = [tally(one), tally(two, y_true="y", y_pred="yhat")]
    for merged in (parts[0] + parts[1], parts[1] + parts[0]):
        assert merged.description["columns"]["y_true"] == "label | y"
        assert merged.description["columns"]["y_pred"] == "pred | yhat"
    again = parts[0] + (parts[1] + parts[0])
    assert again.description["columns"]["y_true"] == "label | y"
    numbers = [fairaudit.audit_tally(t).to_frame() for t in (parts[0] + parts[1], tally())]
    pd.testing.assert_frame_equal(*numbers)


def test_attributes_in_another_order_are_the_same_tables() -> None:
    one = tally(FRAME[:50], sensitive=("sex", "race"), cross=2)
    two = tally(FRAME[50:], sensitive=("race", "sex"), cross=2)
    sums = [one + two, two + one]
    assert [list(t.labels) for t in sums] == [[("race",), ("sex",), ("race", "sex")]] * 2
    whole = fairaudit.audit_tally(tally(sensitive=("race", "sex"), cross=2))
    for merged in sums:
        assert fairaudit.audit_tally(merged).content_sha256 == whole.content_sha256


def test_what_was_found_by_name_in_one_is_said_of_the_sum() -> None:
    named, found = tally(FRAME[:50]), fairaudit.tabulate(FRAME[50:].drop(columns="race"), Inputs())
    merged = named + found
    assert merged.description["detected"] == ["sensitive", "y_pred", "y_true"]
    assert (found + named).description == merged.description


def test_reasons_of_left_out_rows_are_added_whoever_has_them() -> None:
    one, two = (
        replace(tally(), left_out={"dropped": 2}),
        replace(tally(), left_out={"dropped": 1, "unmatched": 5}),
    )
    assert (one + two).left_out == (two + one).left_out == {"dropped": 3, "unmatched": 5}


def test_rows_are_not_counted_twice(tmp_path: Path) -> None:
    paths = [tmp_path / f"{n}.tally" for n in "abc"]
    for path, part in zip(paths, (FRAME[:40], FRAME[40:80], FRAME[80:]), strict=True):
        fairaudit.write_tally(tally(part), path)
    both = tmp_path / "both.tally"
    fairaudit.write_tally(fairaudit.merge(*paths[:2]), both)
    for given_ in ([paths[0], paths[0]], [both, paths[1]], [paths[0], paths[2], both]):
        with pytest.raises(FairauditError, match="would be counted twice"):
            fairaudit.merge(*given_)
    assert fairaudit.merge(both, paths[2]).rows == 120
    twice = [("a", fairaudit.read_tally(paths[0]))] * 2
    assert added(twice, repeats=True).rows == 80


def test_one_tally_alone_and_none() -> None:
    one = tally()
    assert fairaudit.merge(one) is one
    with pytest.raises(FairauditError, match="nothing to merge"):
        fairaudit.merge()
