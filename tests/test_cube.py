"""Adding cubes is adding data sets: by label, in any order, and exactly."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairaudit.cube import FIXED, Cube, cube_of
from fairaudit.errors import FairauditError

ROWS = st.lists(
    st.tuples(st.sampled_from("abcde"), st.sampled_from(["1", "2", "10"]), st.floats(0, 1)), max_size=30
)


def cube(rows: list[tuple[str, str, float]]) -> Cube:
    """Count and a fixed-point sum by two axes."""
    columns = [[r[0] for r in rows], [r[1] for r in rows]]
    measures = {"count": [1] * len(rows), "w": [round(r[2] * FIXED) for r in rows]}
    return cube_of(("group", "y"), columns, measures)


def same(a: Cube, b: Cube) -> bool:
    """Equal in axes, labels, cells and measures, to the bit."""
    return (
        (a.axes, a.labels) == (b.axes, b.labels)
        and np.array_equal(a.codes, b.codes)
        and all(a.measures[m].tolist() == b.measures[m].tolist() for m in a.measures)
    )


@given(ROWS, ROWS, ROWS)
def test_addition_is_that_of_data_sets(x: list, y: list, z: list) -> None:  # type: ignore[type-arg]
    one, two, three = cube(x), cube(y), cube(z)
    assert same(one + two, two + one)
    assert same((one + two) + three, one + (two + three))
    assert same(one + two + three, cube(z + x + y))
    assert same(one + cube([]), one)


@given(ROWS)
def test_keep_and_dense_agree(rows: list) -> None:  # type: ignore[type-arg]
    found = cube(rows)
    grid = found.dense("count", ("y", "group"))
    assert grid.sum() == len(rows)
    assert np.array_equal(grid.sum(axis=1), found.keep(("y",)).dense("count", ("y",)))
    assert np.array_equal(found.dense("w", ("group",)), found.keep(("group",)).dense("w", ("group",)))


def test_a_group_absent_from_one_shard_keeps_its_name() -> None:
    whole = cube([("a", "1", 1.0)]) + cube([("b", "10", 0.5), ("b", "2", 0.5)])
    assert whole.labels == (("a", "b"), ("1", "2", "10"))
    assert whole.dense("count", ("group", "y")).tolist() == [[1, 0, 0], [0, 1, 1]]


def test_only_cells_with_rows_are_kept() -> None:
    rows = [(str(i), str(i), 1.0) for i in range(2000)]
    assert len(cube(rows).codes) == 2000  # not four million


def test_sums_are_exact_where_floats_are_not() -> None:
    found = cube([("a", "1", 0.1)] * 10)
    assert found.real("w")[0] == pytest.approx(1.0, abs=1e-15)
    whole, fraction = found.measures["w"][0].tolist()
    assert whole * FIXED + fraction == 10 * round(0.1 * FIXED)


def test_relabel_adds_up_what_falls_together() -> None:
    found = cube([("a", "1", 1.0), ("a", "2", 1.0)]).relabel("y", lambda v: "x", also=["z"])
    assert found.labels[1] == ("x", "z")
    assert found.dense("count", ("y",)).tolist() == [2, 0]


def test_where_takes_one_label() -> None:
    found = cube([("a", "1", 1.0), ("b", "1", 1.0)])
    assert found.where("group", "b").dense("count", ("y",)).tolist() == [1]
    assert len(found.where("group", "nobody").codes) == 0


def test_cubes_of_other_shapes_are_not_added() -> None:
    with pytest.raises(FairauditError, match="cannot be added"):
        cube([("a", "1", 1.0)]) + cube([("a", "1", 1.0)]).keep(("y",))


def test_a_cube_can_be_sent() -> None:
    found = cube([("a", "1", 0.5)])
    assert same(pickle.loads(pickle.dumps(found)), found)
