"""Before beside after: paired intervals against resampled rows, and who is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import fairaudit
from fairaudit import FairauditError


def table(rows: int = 1200, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One model, and a second that mends a third of its errors."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, rows)
    before = np.where(rng.random(rows) < 0.8, y, 1 - y)
    after = np.where(rng.random(rows) < 0.67, before, y)
    first = pd.DataFrame(
        {"id": range(rows), "y_true": y, "y_pred": before, "sex": rng.choice(["F", "M"], rows)}
    )
    return first, first.assign(y_pred=after)


def resampled(
    first: pd.DataFrame, second: pd.DataFrame, rows: pd.Series, draws: int = 2000
) -> tuple[float, float]:
    """Percentile interval of the change of a share over resampled rows."""
    gain = ((second.y_pred == second.y_true).astype(int) - (first.y_pred == first.y_true))[rows].to_numpy()
    rng = np.random.default_rng(1)
    means = gain[rng.integers(0, len(gain), (draws, len(gain)))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def test_paired_changes_agree_with_resampled_rows() -> None:
    first, second = table()
    found = fairaudit.compare(first, second, sensitive=["sex"])
    cases = [
        (("accuracy", "overall", None), first.id >= 0),
        (("accuracy", "sex", "F"), first.sex == "F"),
        (("tpr", "sex", "M"), (first.sex == "M") & (first.y_true == 1)),
    ]
    for key, rows in cases:
        change = found.change(*key)
        low, high = resampled(first, second, rows)
        assert change.interval is not None
        assert change.interval.method == "paired-mover"
        assert (change.interval.low, change.interval.high) == pytest.approx((low, high), abs=0.006)


def test_rows_are_matched_by_id_in_any_order_and_the_overlap_is_said() -> None:
    first, second = table()
    shuffled = second.sample(frac=0.5, random_state=3)
    found = fairaudit.compare(first, shuffled, id="id", sensitive=["sex"])
    assert dict(found.rows) == {"before": 1200, "after": 600, "matched": 600}
    kept = first.id.isin(shuffled.id)
    change = found.change("accuracy").change
    right = [(f.y_pred == f.y_true)[kept].mean() for f in (first, second)]
    assert change == pytest.approx(right[1] - right[0])


def test_the_same_predictions_change_nothing_and_accuse_nobody() -> None:
    first, _ = table()
    found = fairaudit.compare(first, first, sensitive=["sex"])
    assert found.worse == ()
    assert {c.change for c in found.changes if c.change is not None} == {0.0}


def test_a_group_made_worse_is_named_and_one_that_only_wobbled_is_not() -> None:
    first, _ = table()
    rng = np.random.default_rng(5)
    hurt = (first.sex == "M") & (rng.random(len(first)) < 0.2)
    second = first.assign(y_pred=np.where(hurt, 1 - first.y_true, first.y_pred))
    slip = first.index[(first.sex == "F") & (first.y_pred == first.y_true)][0]
    second.loc[slip, "y_pred"] = 1 - second.loc[slip, "y_true"]
    found = fairaudit.compare(first, second, sensitive=["sex"])
    assert {c.group for c in found.worse} == {"M"}
    assert any(c.group == "F" and c.metric == "accuracy" for c in found.lower)


def test_many_equal_groups_are_not_accused_by_chance() -> None:
    """Ten groups, two models equally good: naming any would be noise (Holm keeps it under 5 %)."""
    named = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        y = rng.integers(0, 2, 1000)
        preds = [np.where(rng.random(1000) < 0.8, y, 1 - y) for _ in range(2)]
        frame = pd.DataFrame({"id": range(1000), "y_true": y, "g": rng.integers(0, 10, 1000).astype(str)})
        found = fairaudit.compare(
            frame.assign(y_pred=preds[0]), frame.assign(y_pred=preds[1]), sensitive=["g"]
        )
        named += bool(found.worse)
    assert named <= 4


def test_what_only_one_side_has_is_listed_as_undefined() -> None:
    first, second = table()
    third = second.assign(y_pred=["2", *second.y_pred.astype(str)[1:]])
    found = fairaudit.compare(first, third, sensitive=["sex"])
    keys = {(c.metric, c.by, c.group, c.class_) for c in found.changes}
    assert ("recall", "class", None, "2") in keys
    assert all(c.reason for c in found.changes if c.status == "undefined")


def test_two_audits_are_compared_without_pairing(tmp_path: Path) -> None:
    first, second = table()
    audits = [fairaudit.audit(f, sensitive=["sex"]) for f in (first, second)]
    for name, a in zip("ab", audits, strict=True):
        (tmp_path / f"{name}.json").write_text(a.to_json())
    found = fairaudit.compare(tmp_path / "a.json", tmp_path / "b.json")
    paired = fairaudit.compare(first, second, sensitive=["sex"])
    wide, narrow = (c.change("accuracy").interval for c in (found, paired))
    assert not found.paired
    assert wide is not None
    assert narrow is not None
    assert wide.high - wide.low > narrow.high - narrow.low


def test_what_cannot_be_compared_is_refused() -> None:
    first, second = table()
    one = fairaudit.audit(first, sensitive=["sex"])
    cases = [
        ((first, pd.concat([second, second])), {}, "each row once"),
        ((first, second.assign(id=second.id + 9999)), {}, "nothing to compare"),
        ((first, second.assign(y_true=1 - second.y_true)), {}, "different labels"),
        ((first, second.assign(sex="F")), {"sensitive": ["sex"]}, "different values of 'sex'"),
        ((first.drop(columns="id"), second.drop(columns="id")), {}, "--id"),
        ((first, second), {"id": "nr"}, "no column 'nr'"),
        ((one, first), {}, "not one of each"),
        ((one, fairaudit.audit(first, sensitive=["sex"], level=0.9)), {}, "different settings"),
        ((one, one), {"sensitive": ["sex"]}, "as they are"),
    ]
    for sides, options, text in cases:
        with pytest.raises(FairauditError, match=text):
            fairaudit.compare(*sides, **options)
