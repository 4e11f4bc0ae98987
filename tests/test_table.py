"""One scan turns rows into cubes: which rows, which groups, which sums."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from cases import binary

from fairaudit.columns import Inputs
from fairaudit.errors import FairauditError
from fairaudit.reading.table import attribute_sets, tabulate

FRAME = binary(80)


def test_counts_of_every_attribute_from_one_scan() -> None:
    tally = tabulate(FRAME, Inputs(sensitive=("sex", "race"), cross=2))
    assert list(tally.labels) == [("sex",), ("race",), ("sex", "race")]
    assert all(int(c.measures["count"].sum()) == 80 for c in tally.labels.values())
    expected = FRAME.groupby(["sex", "label", "pred"]).size()
    cube = tally.labels[("sex",)]
    for (s, y, p), n in expected.items():
        cell = cube.where("sex", s).where("y_true", str(y)).where("y_pred", str(p))
        assert int(cell.measures["count"].sum()) == n


def test_attribute_sets() -> None:
    sets = attribute_sets(("a", "b", "c"), Inputs(cross=2))
    assert sets == (("a",), ("b",), ("c",), ("a", "b"), ("a", "c"), ("b", "c"))
    assert attribute_sets(("a", "b"), Inputs(cross=2, sets=(("b", "a"),))) == (("b", "a"),)
    assert attribute_sets((), Inputs()) == ((),)


def test_missing_groups_are_a_group_and_tokens_join_them() -> None:
    cube = tabulate(FRAME, Inputs(sensitive=("race",))).labels[("race",)]
    assert cube.labels[0] == ("Asian", "Black", "(missing)")
    cube = tabulate(FRAME, Inputs(sensitive=("race",), na=("Black",))).labels[("race",)]
    assert cube.labels[0] == ("Asian", "(missing)")


def test_rows_without_label_are_refused_or_dropped_and_counted() -> None:
    frame = FRAME.assign(label=[None, *FRAME["label"][1:]], pred=[*FRAME["pred"][:-1], None])
    with pytest.raises(FairauditError, match="2 rows have no label"):
        tabulate(frame, Inputs(sensitive=("sex",)))
    tally = tabulate(frame, Inputs(sensitive=("sex",), missing_labels="drop"))
    assert (tally.rows, tally.left_out["dropped"]) == (78, 2)


def test_split_uses_test_rows_and_counts_the_others() -> None:
    frame = FRAME.assign(split=["train"] * 50 + ["test"] * 30)
    tally = tabulate(frame, Inputs(sensitive=("sex",)))
    assert (tally.rows, tally.left_out["split"]) == (30, 50)
    assert tabulate(frame, Inputs(sensitive=("sex",), split="all")).rows == 80
    assert tabulate(frame, Inputs(sensitive=("sex",), split="train")).rows == 50


def test_bins_are_half_open_and_open_ended() -> None:
    frame = pd.DataFrame(
        {"label": [1, 0] * 4, "pred": [1, 0] * 4, "age": [-1, 0, 24.9, 25, 39, 40, 99, None]}
    )
    cube = tabulate(frame, Inputs(sensitive=("age",), bins={"age": (0, 25, 40)})).labels[("age",)]
    counts = dict(zip(cube.labels[0], cube.dense("count", ("age",)).astype(int).tolist(), strict=True))
    assert counts == {"< 0": 1, "[0, 25)": 2, "[25, 40)": 2, ">= 40": 2, "(missing)": 1}


def test_weights_and_losses_are_sums_of_fixed_point() -> None:
    rng = np.random.default_rng(0)
    frame = FRAME.assign(w=rng.random(80), loss=rng.random(80))
    cube = tabulate(frame, Inputs(sensitive=("sex",), weights="w", loss="loss")).labels[("sex",)]
    assert cube.real("w").sum() == pytest.approx(frame["w"].sum(), abs=1e-12)
    assert cube.real("w2").sum() == pytest.approx((frame["w"] ** 2).sum(), abs=1e-12)
    assert cube.real("loss").sum() == pytest.approx((frame["w"] * frame["loss"]).sum(), abs=1e-12)


def test_a_score_at_the_threshold_is_positive() -> None:
    frame = pd.DataFrame({"label": [1, 0, 1, 0], "score": [0.5, 0.49, 0.7, 0.2]})
    cube = tabulate(frame, Inputs()).labels[()]
    assert sorted(cube.dense("count", ("y_pred",)).tolist()) == [2, 2]


def test_clusters_become_buckets() -> None:
    cube = tabulate(FRAME.assign(person=range(80)), Inputs(sensitive=("sex",), cluster="person")).labels[
        ("sex",)
    ]
    assert "bucket" in cube.axes
    assert all(len(b) == 2 for b in cube.labels[cube.axis("bucket")])
