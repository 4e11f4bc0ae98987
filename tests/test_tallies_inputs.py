"""Flags and counted rows: what can be applied gives the audit of the rows, what cannot is refused in one sentence."""

from __future__ import annotations

import random
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from cases import binary

import fairaudit
from fairaudit import Inputs
from fairaudit.errors import FairauditError
from fairaudit.policy_file import parse_policy
from fairaudit.tallies.hiding import suppressed
from fairaudit.templates import draft


def rows() -> pd.DataFrame:
    """Predictions with every other column that a flag can name."""
    dice = random.Random(1)
    frame = binary(240).drop(columns="id")
    score = [min(0.999, max(0.001, 0.7 * y + 0.3 * dice.random() - 0.1)) for y in frame["label"]]
    return frame.assign(
        points=score, person=[i // 2 for i in range(240)], age=[20 + i % 60 for i in range(240)],
        part=["a", "b", "b"] * 80, mass=[1.0, 2.0] * 120,
    )  # fmt: skip


FRAME = rows()
WIDE: dict[str, Any] = {"y_true": "label", "y_pred": "pred", "sensitive": ("sex", "race", "age"), "cross": 3,
                        "bins": {"age": (0.0, 40.0, 60.0)}}  # fmt: skip


def tally(path: Path, frame: pd.DataFrame = FRAME, **how: Any) -> str:
    """The path of a tally counted so."""
    fairaudit.write_tally(fairaudit.tabulate(frame, Inputs(**how)), path / "day1.tally")
    return str(path / "day1.tally")


@pytest.mark.parametrize(
    ("how", "asked"),
    [
        (WIDE, {}),
        (WIDE, {"sensitive": ["sex"]}),
        (WIDE, {"sensitive": ["race", "sex"], "cross": 2}),
        (WIDE, {"sensitive": ["age", "sex", "race"], "cross": 3}),
        (WIDE, {"sensitive": ["age"], "bins": {"age": (0.0, 40.0, 60.0)}}),
        (WIDE, {"positive": "0"}),
        (WIDE, {"sensitive": ["sex"], "agreement": {"0": "F", "1": "M"}}),
        (WIDE, {"y_true": "label", "y_pred": "pred"}),
        (WIDE, {"missing_labels": "drop", "min_events": 5, "min_n": 60, "level": 0.9, "seed": 3}),
        ({"sensitive": ("sex",)}, {}),
        ({}, {"sensitive": ["sex", "race"], "y_true": "label"}),
        ({"y_true": "label", "y_score": "points", "threshold": 0.4, "sensitive": ("sex",)}, {"threshold": 0.4}),
        ({"y_true": "label", "y_score": "points", "sensitive": ("sex",)}, {"positive": "0"}),
        ({"y_true": "label", "y_score": "points", "y_pred": "pred", "sensitive": ("sex",)}, {"threshold": 0.7}),
        ({"sensitive": ("sex",), "weights": "mass", "cluster": "person"}, {"weights": "mass", "cluster": "person"}),
        ({"sensitive": ("sex",), "split": "part=b"}, {"split": "part=b"}),
        ({"sensitive": ("sex",)}, {"split": "all"}),
        ({"sensitive": ("race",), "na": ("Black",)}, {"na": ("Black",)}),
    ],
)  # fmt: skip
def test_flags_that_counts_can_follow(how: dict[str, Any], asked: dict[str, Any], tmp_path: Path) -> None:
    """Counted so and then asked so is read so and asked so; what the second does not say, the first does."""
    narrow = {"sensitive": how.get("sensitive", ()), **how, **asked}
    if "sensitive" in asked:  # an unasked intersection of what is left
        narrow["cross"] = asked.get("cross", 1)
        narrow["bins"] = {k: v for k, v in narrow.get("bins", {}).items() if k in asked["sensitive"]}
    expected = fairaudit.audit(FRAME, **narrow)
    assert fairaudit.audit(tally(tmp_path, **how), **asked).content() == expected.content()


def test_what_was_found_by_name_stays_said(tmp_path: Path) -> None:
    found = fairaudit.audit(tally(tmp_path)).data["detected"]
    assert found == fairaudit.audit(FRAME).data["detected"] == ["y_true", "y_pred", "sensitive", "positive"]


@pytest.mark.parametrize(
    ("how", "asked", "said"),
    [
        (WIDE, {"y_true": "lab"}, "--y-true 'lab', but .*day1.tally was counted with 'label'; tabulate the rows again"),
        (WIDE, {"y_score": "points"}, "--y-score 'points', but .* was counted without"),
        (WIDE, {"weights": "mass"}, "--weights 'mass', but .* without"),
        (WIDE, {"cluster": "person"}, "--cluster 'person', but .* without"),
        ({}, {"y_pred": "prod"}, "--y-pred 'prod', but .* with 'pred'"),
        ({"y_true": "label", "y_score": "points"}, {"threshold": 0.7},
         "--threshold 0.7, but .* counted with 0.5; tabulate the rows again with --threshold 0.7"),
        (WIDE, {"prob_prefix": "p_"}, "--prob-prefix 'p_', but .* without"),
        (WIDE, {"split": "part=a"}, "--split 'part=a', but .* over all rows"),
        ({"split": "part=a"}, {"split": "part=b"}, "--split 'part=b', but .* with 'a'"),
        ({"split": "part=a"}, {"split": "all"}, "--split 'all', but .* with 'a'"),
        (WIDE, {"bins": {"age": (0.0, 50.0)}}, "--bins age=0,50, but .* with age=0,40,60"),
        ({}, {"bins": {"age": (0.0, 50.0)}}, "--bins age=0,50, but .* without"),
        (WIDE, {"na": ("x",)}, "--na 'x', but .* without"),
        ({}, {"cross": 2}, "--cross 2, but .* with 1"),
        (WIDE, {"sensitive": ["sex"], "cross": 2}, "--cross 2 needs 2 sensitive attributes"),
        (WIDE, {"sensitive": ["sox"]}, r"no attribute 'sox' in .*\(attributes: sex, race, age\).*Did you mean 'sex'"),
        (WIDE, {"sets": (("sex", "colour"),)}, "no attribute 'colour'"),
        (WIDE, {"id": "id"}, "--id names rows, but .* counts, not rows"),
        (WIDE, {"with_file": "labels.csv", "on": "id"}, "--with joins rows, but .* counts, not rows"),
        (WIDE, {"max_groups": 2}, "attribute 'race' has 3 values .* more than --max-groups 2"),
        ({"sensitive": ("sex", "race")}, {"sets": (("sex", "race"),)}, r"does not hold sex&race .*holds sex, race"),
        (WIDE, {"positive": "cat"}, "no class 'cat'"),
    ],
)  # fmt: skip
def test_flags_that_counts_cannot_follow(
    how: dict[str, Any], asked: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(FairauditError, match=said) as caught:
        fairaudit.audit(tally(tmp_path, **how), **asked)
    assert "\n" not in str(caught.value)


def two_probabilities() -> pd.DataFrame:
    return FRAME[["label", "sex"]].assign(
        label=FRAME["label"].map({0: "cat", 1: "dog"}), p_cat=1 - FRAME["points"], p_dog=FRAME["points"]
    )


def test_a_positive_class_of_which_the_scores_do_not_speak(tmp_path: Path) -> None:
    how: dict[str, Any] = {"y_true": "label", "prob_prefix": "p_", "sensitive": ("sex",)}
    frame = two_probabilities()
    path = tally(tmp_path, frame, **how, positive="dog")
    assert (
        fairaudit.audit(path, positive="dog").content()
        == fairaudit.audit(frame, **how, positive="dog").content()
    )
    with pytest.raises(FairauditError, match=r"--positive cat, but the scores .* counted with 'dog'"):
        fairaudit.audit(path, positive="cat")
    with pytest.raises(FairauditError, match=r"--positive cat, but the scores .* counted without one"):
        fairaudit.audit(tally(tmp_path, frame, **how), positive="cat")


def test_what_is_counted_and_what_is_not(tmp_path: Path) -> None:
    path = tally(tmp_path)
    FRAME.to_csv(tmp_path / "day2.csv", index=False)
    for mixed in ([path, str(tmp_path / "day2.csv")], [str(tmp_path / "day2.csv"), path], [path, "-"]):
        with pytest.raises(FairauditError, match="tallies and rows are not read together"):
            fairaudit.audit(mixed)
    with pytest.raises(FairauditError, match=r"no file matches '.*x\*.tally'"):
        fairaudit.audit(str(tmp_path / "x*.tally"))
    with pytest.raises(FairauditError, match="no such file"):
        fairaudit.audit(str(tmp_path / "day9.tally"))
    with pytest.raises(FairauditError, match="counted twice"):
        fairaudit.audit([path, path])
    assert fairaudit.audit(fairaudit.read_tally(path)).content() == fairaudit.audit(path).content()
    assert fairaudit.audit(str(tmp_path / "*.tally")).content() == fairaudit.audit(path).content()


# --- gates, comparisons, policies ---------------------------------------------------------------------------

POLICY = """
schema = 1
[data]
y_true = "label"
y_pred = "pred"
positive = "1"
{data}
[[rule]]
id = "rule"
metric = "tpr"
by = {by}
max_difference = 0.9
{rule}
"""


def policy(by: str = '["sex"]', data: str = "", rule: str = "") -> Any:
    return parse_policy(POLICY.format(by=by, data=data, rule=rule), "p.toml", today=date(2027, 1, 1))


@pytest.mark.parametrize("by", ['["sex"]', '["overall"]', '["race & sex", "race"]', '["race&sex"]'])
def test_a_gate_on_a_tally_is_the_gate_on_its_rows(by: str, tmp_path: Path) -> None:
    limit = "min = 0.1" if "overall" in by else "max_difference = 0.9"
    text = POLICY.format(by=by, data="", rule="").replace("max_difference = 0.9", limit)
    asked = parse_policy(text, "p.toml")
    path = tally(tmp_path, **WIDE)
    assert fairaudit.gate(path, asked).content() == fairaudit.gate(FRAME, asked).content()


def test_a_baseline_that_is_a_tally_is_another_sample(tmp_path: Path) -> None:
    asked = parse_policy(
        POLICY.format(by='["sex"]', data='id = "id"', rule="").replace(
            "max_difference = 0.9", 'vs = "baseline"\nmax_decrease = 0.5'
        ),
        "p.toml",
    )
    frame = binary(240)
    path = tally(tmp_path, frame, **WIDE | {"sensitive": ("sex",), "cross": 1, "bins": {}})
    both = fairaudit.gate(path, asked, baseline=path)
    assert both.content()["baseline"]["paired"] is False
    mixed = fairaudit.gate(frame, asked, baseline=path)
    assert any(w["code"] == "unpaired" and "counts, not rows" in w["message"] for w in mixed.warnings)
    with pytest.raises(FairauditError, match="counts, not rows"):
        fairaudit.gate(frame, asked, baseline=path, id="id")


@pytest.mark.parametrize(
    ("data", "by", "said"),
    [
        ('y_score = "points"', '["sex"]', "p.toml:.*--y-score 'points', but"),
        ("threshold = 0.5", '["sex"]', None),
        ('cluster = "person"', '["sex"]', "--cluster 'person', but"),
        ("", '["colour"]', "no attribute 'colour'"),
        ("", '["sex&race"]', "does not hold sex&race"),
    ],
)
def test_a_policy_must_fit_the_tally(data: str, by: str, said: str | None, tmp_path: Path) -> None:
    path = tally(tmp_path, y_true="label", y_pred="pred", sensitive=("sex", "race"))
    if said is None:
        assert fairaudit.gate(path, policy(by, data)).checks
        return
    with pytest.raises(FairauditError, match=said):
        fairaudit.gate(path, policy(by, data))


def test_a_policy_that_writes_the_default_threshold_means_it(tmp_path: Path) -> None:
    path = tally(tmp_path, y_true="label", y_score="points", threshold=0.7, sensitive=("sex",))
    text = POLICY.format(by='["sex"]', data="", rule="").replace('y_pred = "pred"', "threshold = 0.5")
    with pytest.raises(FairauditError, match=r"--threshold 0\.5, but .*was counted with 0\.7"):
        fairaudit.gate(path, parse_policy(text, "p.toml"))


def test_comparing_tallies_is_comparing_their_audits(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    how: dict[str, Any] = {"y_true": "label", "y_pred": "pred", "sensitive": ("sex",)}
    one, two = tally(tmp_path, **how), tally(tmp_path / "b", binary(200, gap=0.0, seed=1), **how)
    audits = [fairaudit.audit(p) for p in (one, two)]
    expected = fairaudit.compare(*audits).content()
    assert fairaudit.compare(one, two).content() == expected
    assert fairaudit.compare(one, binary(200, gap=0.0, seed=1), **how).paired is False
    with pytest.raises(FairauditError, match="--id names rows"):
        fairaudit.compare(one, two, id="id")


def test_a_policy_from_a_tally_reads_it(tmp_path: Path) -> None:
    path = tally(tmp_path, **WIDE | {"sensitive": ("sex", "race", "age")})
    for template in ("four-fifths", "equal-opportunity", "ll144", "paper-panel"):
        made = draft(path, template, today=date(2027, 1, 1))
        asked = parse_policy(made.text, "p.toml", today=date(2027, 1, 1))
        assert fairaudit.gate(path, asked).checks
        assert fairaudit.gate(FRAME, asked).checks
    with pytest.raises(FairauditError, match="no sensitive attribute"):
        draft(tally(tmp_path, FRAME[["label", "pred"]]), "four-fifths")


# --- hidden cells -------------------------------------------------------------------------------------------


def hidden(path: Path, below: int) -> str:
    whole = fairaudit.tabulate(
        FRAME, Inputs(y_true="label", y_pred="pred", sensitive=("sex", "race"), cross=2)
    )
    fairaudit.write_tally(suppressed(whole, below), path / "public.tally")
    return str(path / "public.tally")


def test_reports_on_hidden_cells_say_so(tmp_path: Path) -> None:
    path = hidden(tmp_path, 5)
    audit = fairaudit.audit(path)
    assert next(w["message"] for w in audit.warnings if w["code"] == "hidden_cells").startswith(
        "counts below 5 are"
    )
    assert fairaudit.audit(path, sensitive=["sex"]).warnings[0]["code"] == "hidden_cells"


def test_no_gate_passes_on_counts_that_are_hidden(tmp_path: Path) -> None:
    path = hidden(tmp_path, 5)
    with pytest.raises(FairauditError, match="the tally hides small ones"):
        fairaudit.gate(path, policy())
    limit = 'vs = "baseline"\nmax_decrease = 0.5'
    text = POLICY.format(by='["sex"]', data="", rule="").replace("max_difference = 0.9", limit)
    saved = tmp_path / "public.json"
    saved.write_text(fairaudit.audit(path).to_json())
    for baseline in (path, saved):
        with pytest.raises(FairauditError, match=r"the baseline.* hides small ones"):
            fairaudit.gate(FRAME, parse_policy(text, "p.toml"), baseline=baseline)


def test_a_gate_takes_a_tally_that_had_nothing_to_hide(tmp_path: Path) -> None:
    large = pd.DataFrame(
        {"label": [0, 1] * 400, "pred": [0, 1, 1, 0] * 200, "sex": ["F", "M", "M", "F"] * 200}
    )
    whole = fairaudit.tabulate(large, Inputs(y_true="label", y_pred="pred", sensitive=("sex",)))
    assert not suppressed(whole, 5).warnings
    assert fairaudit.gate(suppressed(whole, 5), policy()).checks


def test_hidden_tables_are_not_summed_into_others(tmp_path: Path) -> None:
    tally_ = fairaudit.tabulate(FRAME, Inputs(y_true="label", y_pred="pred", sets=(("sex", "race"),),
                                              sensitive=("sex", "race")))  # fmt: skip
    assert fairaudit.audit(tally_, sets=(("sex",),)).content()["groups"]  # a sum of what is there
    with pytest.raises(FairauditError, match="does not hold sex"):
        fairaudit.audit(suppressed(tally_, 3), sets=(("sex",),))


def test_a_threshold_that_is_said_is_meant(tmp_path: Path) -> None:
    path = tally(tmp_path, y_true="label", y_score="points", threshold=0.7, sensitive=("sex",))
    assert fairaudit.audit(path).data["threshold"] == 0.7
    with pytest.raises(FairauditError, match=r"--threshold 0\.5, but"):
        fairaudit.audit(path, threshold=0.5)
