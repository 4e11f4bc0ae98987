"""Roles are found by common names, refused when ambiguous, and named ones are never overruled."""

from __future__ import annotations

import pytest

from fairaudit.columns import Inputs, Roles, positive_column, resolve
from fairaudit.errors import FairauditError


def found(columns: str, hard: str = "", **inputs: object) -> Roles:
    """The roles of columns given as words; `hard`: score columns that hold only 0 and 1."""
    names = columns.split()
    fits = {c: {"y_score", "loss", "member"} | ({"hard"} if c in hard.split() else set()) for c in names}
    return resolve(Inputs(**inputs), names, fits, "preds.csv")  # type: ignore[arg-type]


def test_a_name_without_fitting_values_is_not_a_role() -> None:
    fits = {"score": set(), "member": set(), "loss": set()}
    roles = resolve(Inputs(), ["label", "pred", "score", "member", "loss"], fits, "preds.csv")
    assert (roles.y_score, roles.member, roles.loss) == (None, None, None)


def test_bins_of_a_column_that_is_no_attribute_are_refused() -> None:
    with pytest.raises(FairauditError, match="add -s age"):
        found("label pred age", bins={"age": (0.0, 1.0)})


@pytest.mark.parametrize("name", ["class", "overall", "bucket", "y_pred"])
def test_names_of_the_audits_own_are_refused(name: str) -> None:
    with pytest.raises(FairauditError, match="rename"):
        found(f"label out {name}", y_true="label", y_pred="out", sensitive=(name,))


@pytest.mark.parametrize("name", ["label", "y_true", "target", "Label", "GROUND_TRUTH", "y"])
def test_common_names_of_labels(name: str) -> None:
    assert found(f"id {name} pred").y_true == name


def test_what_was_found_is_listed() -> None:
    roles = found("id label pred sex score split")
    assert (roles.y_true, roles.y_pred, roles.y_score, roles.sensitive) == (
        "label",
        "pred",
        "score",
        ("sex",),
    )
    assert roles.split == ("split", "test")
    assert set(roles.detected) == {"y_true", "y_pred", "y_score", "split", "sensitive"}


def test_what_was_named_is_not_found() -> None:
    roles = found("a b label pred sex", y_true="a", y_pred="b", sensitive=("sex",))
    assert (roles.y_true, roles.y_pred, roles.detected) == ("a", "b", ())


def test_hard_scores_are_predictions() -> None:
    roles = found("label_value score race", hard="score")
    assert (roles.y_pred, roles.y_score) == ("score", None)


def test_a_named_score_asks_for_its_own_threshold() -> None:
    roles = found("label pred score", y_score="score")
    assert (roles.y_pred, roles.y_score) == (None, "score")


def test_probabilities_by_prefix() -> None:
    roles = found("label prob_a prob_b loss")
    assert roles.probabilities == (("a", "prob_a"), ("b", "prob_b"))
    assert "probabilities" in roles.detected
    assert found("label q_a q_b", prob_prefix="q_").probabilities == (("a", "q_a"), ("b", "q_b"))


def test_one_probability_column_is_not_a_family() -> None:
    with pytest.raises(FairauditError, match="no prediction column"):
        found("label prob_a")


@pytest.mark.parametrize(
    ("split", "rows"),
    [(None, ("split", "test")), ("val", ("split", "val")), ("all", None), ("fold=3", ("fold", "3"))],
)
def test_split(split: str | None, rows: tuple[str, str] | None) -> None:
    assert found("label pred split fold", split=split).split == rows


@pytest.mark.parametrize(
    ("columns", "inputs", "message"),
    [
        ("label target pred", {}, "2 columns could be y_true: label, target"),
        ("label pred", {"y_true": "lable"}, "no column 'lable' in preds.csv .* Did you mean 'label'"),
        ("label pred", {"weights": "pred", "y_pred": "pred"}, "two roles"),
        ("label pred sex", {"sensitive": ("sex", "sex")}, "two roles"),
        ("label pred sex", {"cross": 2}, "--cross 2 needs 2 sensitive attributes, but there are 1"),
    ],
)
def test_refusals(columns: str, inputs: dict[str, object], message: str) -> None:
    with pytest.raises(FairauditError, match=message):
        found(columns, **inputs)


def test_positive_column() -> None:
    assert positive_column(found("label prob_0 prob_1"), None) == "prob_1"
    assert positive_column(found("label prob_a prob_b"), None) is None
    assert positive_column(found("label prob_a prob_b"), "a") == "prob_a"
    assert positive_column(found("label prob_a prob_b prob_c"), "a") is None
    assert positive_column(found("label score pred"), None) == "score"
