"""An error that only the data shows points at the key of the policy that is wrong; a baseline without ids is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from cases import binary

import fairaudit
from fairaudit.errors import FairauditError
from fairaudit.policy_file import parse_policy

POLICY = """schema = 1
[data]
y_true = "label"
positive = 1
id = "id"
split = "all"
[[rule]]
id = "r"
metric = "selection_rate"
by = ["sex"]
max_difference = 0.9
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    binary().to_csv("withid.csv", index=False)
    binary().drop(columns="id").to_csv("noid.csv", index=False)


def refused(text: str, data: str = "noid.csv", **inputs: object) -> str:
    with pytest.raises(FairauditError) as caught:
        fairaudit.gate(data, parse_policy(text, "p.toml"), **inputs)
    return str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "begins"),
    [
        ('"label"', '"lable"', "p.toml:3: [data]: no column 'lable' in noid.csv"),
        ("positive = 1", 'positive = "yes"', "p.toml:4: [data]: no class 'yes' to be positive"),
        ('"all"', '"fold=val"', "p.toml:6: [data]: no column 'fold'"),
        ('"sex"', '"sxe"', "p.toml:10: rule 'r': no column 'sxe' in noid.csv"),
        ("0.9\n", '0.9\nreference = "sex=Q"\n', "p.toml:12: rule 'r': there is no group 'sex=Q' in the data"),
        ("0.9\n", '0.9\ngroups = ["sex=Q"]\n', "p.toml:12: rule 'r': there is no group 'sex=Q' in the data"),
        ("0.9\n", '0.9\nclass = "cat"\n', "p.toml:12: rule 'r': there is no class 'cat'"),
        ("selection_rate", "ece", "p.toml:9: rule 'r': ece cannot be computed from this data, which has no scores"),
    ],
)  # fmt: skip
def test_an_error_points_at_the_key(old: str, new: str, begins: str) -> None:
    said = refused(
        POLICY.replace(old, new).replace("max_difference", "min" if new == "ece" else "max_difference")
    )
    assert said.startswith(begins)


def test_what_was_given_otherwise_is_not_the_policys_fault() -> None:
    assert refused(POLICY, y_true="gone").startswith("no column 'gone' in noid.csv")
    assert refused(POLICY, positive="yes").startswith("no class 'yes'")


def test_a_group_of_one_letter_suggests_no_other() -> None:
    with_groups = POLICY.replace("0.9\n", '0.9\ngroups = ["sex={}"]\n')
    assert "Did you mean" not in refused(with_groups.format("Q"))
    assert refused(with_groups.format(binary()["sex"].iloc[0].lower())).endswith("?")


CHANGE = POLICY + '[[rule]]\nid = "n"\nmetric = "accuracy"\nby = "sex"\nvs = "baseline"\nmax_decrease = 0.5\n'


@pytest.mark.parametrize(
    ("data", "before", "lacking"),
    [("noid.csv", "withid.csv", "noid.csv"), ("withid.csv", "noid.csv", "noid.csv")],
)
def test_an_id_that_one_side_lacks(data: str, before: str, lacking: str) -> None:
    for text in (CHANGE, CHANGE.replace('id = "id"\n', "", 1)):
        verdict = fairaudit.gate(data, parse_policy(text, "p.toml"), baseline=before)
        assert verdict.baseline is not None
        assert not verdict.baseline["paired"]
        assert verdict.baseline["reason"] == f"there is no column 'id' in {lacking}"
        assert [w["code"] for w in verdict.warnings] == ["unpaired"]
    assert refused(CHANGE, data, baseline=before, id="id").startswith(f"no column 'id' in {lacking}")


def test_rows_that_never_had_an_id_are_two_samples_without_a_warning() -> None:
    text = CHANGE.replace('id = "id"\n', "", 1)
    verdict = fairaudit.gate("noid.csv", parse_policy(text, "p.toml"), baseline="noid.csv")
    assert verdict.baseline is not None
    assert "reason" not in verdict.baseline
    assert verdict.warnings == ()


def test_a_baseline_that_no_rule_uses_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("the baseline was read")

    monkeypatch.setattr("fairaudit.gating.load", never)
    verdict = fairaudit.gate("noid.csv", parse_policy(POLICY, "p.toml"), baseline="withid.csv")
    assert [w["code"] for w in verdict.warnings] == ["unused_baseline"]
    assert refused(POLICY, baseline="gone.csv") == "no such file: gone.csv; check the path."
