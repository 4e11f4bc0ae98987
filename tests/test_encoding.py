"""From the columns of a table to inputs: against scikit-learn's scaler and one-hot encoder, and the rules for gaps."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from fairaudit.errors import FairauditError
from fairaudit_mitigate.encoding import Encoding, fitted
from fairaudit_mitigate.features import Features, read_features

HERE = Path("t.csv")


def features(columns: dict[str, list[object]], *categorical: str) -> Features:
    return read_features(pa.table(columns), list(columns), categorical, HERE)


def test_amounts_and_codes_are_as_scikit_learn_makes_them() -> None:
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    r = np.random.default_rng(0)
    number, town = r.normal(3, 50, 200), r.choice(["Oslo", "Rome", "Bern"], 200)
    found = features(
        {"x": number.tolist(), "town": town.tolist(), "code": r.integers(0, 5, 200).tolist()}, "code"
    )
    train, rest = found.take(range(150)), found.take(range(150, 200))
    encoding = fitted(train)
    scaler = preprocessing.StandardScaler().fit(number[:150, None])
    onehot = preprocessing.OneHotEncoder(sparse_output=False).fit(town[:150, None])
    wanted = np.hstack([scaler.transform(number[150:, None]), onehot.transform(town[150:, None])])
    assert np.allclose(encoding.matrix(rest)[:, :4], wanted, atol=1e-6)
    assert encoding.width == 9


def test_a_missing_amount_becomes_the_mean_and_is_told() -> None:
    encoding = fitted(features({"x": [0.0, 4.0, None]}))
    assert encoding.matrix(features({"x": [4.0, None]})).tolist() == [[1.0, 0.0], [0.0, 1.0]]


def test_an_amount_missing_only_later_becomes_the_mean() -> None:
    encoding = fitted(features({"x": [0.0, 4.0]}))
    assert encoding.matrix(features({"x": [None, 0.0]})).tolist() == [[0.0], [-1.0]]


def test_texts_that_training_lacked_give_nothing_and_missing_ones_are_a_text_where_it_had_them() -> None:
    encoding = fitted(features({"t": ["b", "a", None]}))
    wanted = [[1, 0, 0], [0, 0, 1], [0, 0, 0]]
    assert encoding.matrix(features({"t": ["a", None, "zzz"]})).tolist() == wanted
    without = fitted(features({"t": ["b", "a"]}))
    assert without.matrix(features({"t": [None, "b"]})).tolist() == [[0, 0], [0, 1]]


def test_what_never_varies_is_left_out_and_said() -> None:
    said: list[str] = []
    found = fitted(
        features({"x": [1.0, 2.0], "same": [7, 7], "one": ["u", "u"], "none": [None, None]}), said.append
    )
    assert found.names == ("x",)
    assert said == ["left out, the same in all train rows: same, none, one."]


def test_a_constant_with_gaps_keeps_the_gaps() -> None:
    encoding = fitted(features({"x": [7.0, None, 7.0]}))
    assert encoding.matrix(features({"x": [7.0, None]})).tolist() == [[0, 0], [0, 1]]


def test_rounding_is_no_variation() -> None:
    noisy = [1e9 + 0.1 + 0.2, 1e9 + 0.3, 1e9 + 0.30000000000000004]
    assert fitted(features({"x": noisy, "y": [1, 2, 3]})).names == ("y",)


def test_it_survives_json() -> None:
    encoding = fitted(features({"x": [0.1, 0.7, None], "t": ["b", "a", None]}))
    assert Encoding.from_json(json.loads(json.dumps(encoding.to_json()))) == encoding


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"x": [1.0, 1.0]}, "no feature varies"),
        ({"x": [1e308, -1e308, 1e308]}, "too large to be standardised"),
    ],
)
def test_nothing_to_learn_from(columns: dict[str, list[object]], message: str) -> None:
    with pytest.raises(FairauditError, match=message):
        fitted(features(columns))


def test_a_later_value_beyond_float32_is_refused() -> None:
    with pytest.raises(FairauditError, match="too far from the train rows"):
        fitted(features({"x": [0.0, 1.0]})).matrix(features({"x": [1e300]}))


def test_texts_where_training_had_numbers_are_refused() -> None:
    with pytest.raises(FairauditError, match="held numbers in training and holds texts now"):
        fitted(features({"x": [0.0, 1.0]})).matrix(features({"x": ["low", "high"]}))


def test_numbers_written_as_text_are_numbers_and_booleans_too() -> None:
    found = features({"x": ["1", " 2.5", ""], "b": [True, None, False], "words": ["1", "two", "3"]})
    assert set(found.amounts) == {"x", "b"}
    assert found.amounts["x"][:2].tolist() == [1.0, 2.5]
    assert np.isnan(found.amounts["x"][2])
    assert found.texts["words"].values == ("1", "3", "two")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1.0, float("inf"), float("-inf")], r"2 infinite values \(first in row 1\)"),
        ([b"x", b"y", b"z"], "holds binary"),
        ([[1], [2], [3]], "holds list"),
        ([f"w{i}" for i in range(101)], "101 different texts .*--categorical"),
    ],
)
def test_what_is_no_feature(values: list[object], message: str) -> None:
    with pytest.raises(FairauditError, match=message):
        features({"x": values})
