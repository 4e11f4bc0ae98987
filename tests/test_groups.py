"""Groups: ids, names and order; missing values; unknown names."""

from __future__ import annotations

import pytest

from fairaudit.errors import FairauditError
from fairaudit_mitigate.groups import group_rows

Y = ["1", "0", "10", "1"]
SEX = {"sex": ("F", "M", None, "F"), "age": ("9", "10", "9", None)}


def test_classes_stand_in_label_order() -> None:
    groups = group_rows("class", Y, {})
    assert groups.names == ("class=0", "class=1", "class=10")
    assert groups.ids.tolist() == [1, 0, 2, 1]


def test_a_missing_attribute_has_no_group() -> None:
    groups = group_rows("sex", Y, SEX)
    assert groups.names == ("sex=F", "sex=M")
    assert groups.ids.tolist() == [0, 1, -1, 0]
    assert groups.counts() == {"sex=F": 2, "sex=M": 1}


def test_attributes_are_crossed() -> None:
    groups = group_rows("sex&age", Y, SEX)
    assert groups.names == ("sex=F & age=9", "sex=M & age=10")
    assert groups.ids.tolist() == [0, 1, -1, -1]


def test_names_are_escaped_and_the_class_crosses_too() -> None:
    groups = group_rows(r"class&a\&b", ["0", "1"], {"a&b": ("x", "y")})
    assert groups.names == ("class=0 & a&b=x", "class=1 & a&b=y")


def test_a_cell_crosses_the_class_with_every_attribute() -> None:
    groups = group_rows("cell", Y, {"sex": SEX["sex"]})
    assert groups.names == ("class=0 & sex=M", "class=1 & sex=F")
    assert groups.ids.tolist() == [1, 0, -1, 1]


def test_a_cell_needs_an_attribute() -> None:
    with pytest.raises(FairauditError, match="-s"):
        group_rows("cell", Y, {})


def test_an_unknown_attribute_gets_a_suggestion() -> None:
    with pytest.raises(FairauditError, match="Did you mean 'sex'"):
        group_rows("sexx", Y, SEX)


def test_one_class_is_no_idle_attribute() -> None:
    from fairaudit_mitigate.groups import undivided

    assert undivided("cell", ["1", "1"], {"sex": ["F", "M"]}) is None
    assert undivided("cell", ["0", "1"], {"sex": ["F", "F"], "age": ["x", "y"]}) == ("sex", "F")
