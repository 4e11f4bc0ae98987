"""`fairaudit init`: the policy it writes is one that `fairaudit gate` reads on the same data at once."""

from __future__ import annotations

import random
import re
import shlex
import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from test_templates import uncommented

import fairaudit
from fairaudit.errors import FairauditError
from fairaudit.policy_file import parse_policy, read_policy
from fairaudit.templates import TEMPLATES, draft
from fairaudit_cli.main import run

DAY = date(2026, 11, 23)
BINARY = ("four-fifths", "equal-opportunity", "ll144")


def compas(rows: int = 600) -> pd.DataFrame:
    """Labels and 0/1 predictions under COMPAS' names; one group of four rows, and some rows of unknown race."""
    dice = random.Random(1)
    records = []
    for i in range(rows):
        race = "Native" if i < 4 else dice.choice(["African-American", "Caucasian", None])
        y = int(dice.random() < 0.45)
        guess = y if dice.random() < 0.7 else 1 - y
        records.append({"id": f"r{i}", "sex": "FM"[i % 2], "race": race, "age": 18 + i % 50, "label_value": y,
                        "score": guess, "person": i // 3, "w": 1 + i % 3, "split": "test" if i % 4 else "train",
                        "risk": min(0.99, max(0.01, 0.2 + 0.5 * guess + dice.random() / 5))})  # fmt: skip
    return pd.DataFrame(records)


def several(rows: int = 600) -> pd.DataFrame:
    """Three classes, one probability each, losses and memberships."""
    dice = random.Random(2)
    records: list[dict[str, Any]] = []
    for i in range(rows):
        y = dice.choice("abc")
        p = {c: dice.random() + 2 * (c == y) for c in "abc"}
        records.append({"label": y, "sex": "FM"[i % 2], "loss": dice.random(), "member": i % 2,
                        **{f"prob_{c}": v / sum(p.values()) for c, v in p.items()}})  # fmt: skip
    return pd.DataFrame(records)


def init(folder: Path, frame: pd.DataFrame, *flags: str, name: str = "preds.csv") -> tuple[int, Path]:
    frame.to_csv(folder / name, index=False)
    policy = folder / "fairaudit.toml"
    return run(["init", str(folder / name), "--out", str(policy), *flags]), policy


PERSON = ("--weights", "w", "--cluster", "person", "--id", "id")
READ = {
    "compas": (compas, ("--split", "all")),
    "split": (compas, ()),
    "split named": (compas, ("--split", "split=train", "-s", "sex")),
    "weights, clusters, ids": (compas, PERSON),
    "scores": (compas, ("--y-score", "risk", "--threshold", "0.4")),
    "bins": (compas, ("-s", "age", "-s", "sex", "--bins", "age=25,40.5", "--na", "unknown", "--cross", "2")),
    "positive": (compas, ("--positive", "0", "--max-groups", "2000", "--missing-labels", "drop")),
}


@pytest.mark.parametrize(
    ("case", "template"),
    [(c, t) for c in READ for t in TEMPLATES if c in ("compas", "scores") or t == "paper-panel"],
)
def test_the_gate_reads_what_init_writes(case: str, template: str, tmp_path: Path) -> None:
    make, flags = READ[case]
    code, policy = init(tmp_path, make(), "--template", template, *flags)
    assert code == 0
    verdict = fairaudit.gate(tmp_path / "preds.csv", policy)
    assert verdict.exit_code in (0, 1, 3)
    assert verdict.data["detected"] == [], "something is left to be guessed"
    text = policy.read_text(encoding="utf-8")
    again = fairaudit.gate(tmp_path / "preds.csv", parse_policy(uncommented(text), "p.toml"))
    assert len(again.checks) > len(verdict.checks)
    assert again.waivers


def test_the_rows_are_read_as_init_read_them(tmp_path: Path) -> None:
    """What the flags said stands under [data], under the names that the gate knows."""
    flags = (
        *PERSON,
        "-s",
        "sex",
        "-s",
        "age",
        "--bins",
        "age=25,40.5",
        "--na",
        "x",
        "--na",
        "y",
        "--split",
        "train",
    )
    code, policy = init(tmp_path, compas(), "--template", "four-fifths", *flags)
    assert code == 0
    assert tomllib.loads(policy.read_text(encoding="utf-8"))["data"] == {
        "y_true": "label_value", "y_pred": "score", "weights": "w", "cluster": "person", "id": "id", "positive": "1",
        "sensitive": ["sex", "age"], "split": "split=train", "bins": {"age": [25, 40.5]}, "na": ["x", "y"],
    }  # fmt: skip


@pytest.mark.parametrize("flags", [(), ("--split", "all"), ("--positive", "b")], ids=str)
def test_several_classes(flags: tuple[str, ...], tmp_path: Path) -> None:
    code, policy = init(tmp_path, several(), "--template", "paper-panel", *flags)
    assert code == 0
    data = tomllib.loads(policy.read_text(encoding="utf-8"))["data"]
    assert data["prob_prefix"] == "prob_"
    assert (data["loss"], data["member"], data.get("positive")) == (
        "loss",
        "member",
        "b" if "b" in flags else None,
    )
    verdict = fairaudit.gate(tmp_path / "preds.csv", policy)
    assert verdict.exit_code in (0, 1, 3)
    assert verdict.data["detected"] == []


def test_one_of_several_classes_may_be_named(tmp_path: Path) -> None:
    code, policy = init(tmp_path, several(), "--template", "four-fifths", "--positive", "b")
    assert code == 0
    verdict = fairaudit.gate(tmp_path / "preds.csv", policy)
    frame = several()
    top = frame[["prob_a", "prob_b", "prob_c"]].idxmax(axis=1) == "prob_b"
    rates = top.groupby(frame["sex"]).mean()
    assert {s.group: s.rate for s in verdict.checks[0].strata} == pytest.approx(rates.to_dict())


def test_labels_in_another_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = compas()
    frame[["id", "label_value", "sex"]].to_csv(tmp_path / "labels.csv", index=False)
    monkeypatch.chdir(tmp_path)
    code, _ = init(
        tmp_path, frame[["id", "score"]], "--template", "four-fifths", "--with", "labels.csv", "--on", "id"
    )
    assert code == 0
    verdict = fairaudit.gate("preds.csv", "fairaudit.toml")
    assert verdict.data["rows"] == 600
    assert verdict.data["detected"] == []


@pytest.mark.parametrize("template", BINARY)
def test_comments_count_the_rows_of_groups_and_classes(template: str, tmp_path: Path) -> None:
    _, policy = init(tmp_path, compas(), "--template", template, "--split", "all")
    text, frame = policy.read_text(encoding="utf-8"), compas()
    for attribute in ("sex", "race"):
        counts = frame[attribute].fillna("(missing)").value_counts()
        (line,) = re.findall(rf'^#   "{attribute}": (.*)$', text, re.MULTILINE)
        assert sorted(line.split(", ")) == sorted(f'"{g}" {n}' for g, n in counts.items())
    ones = int(frame["label_value"].sum())
    assert f'classes: "0" {600 - ones} rows, "1" {ones} rows' in text


def test_groups_too_small_to_be_judged_are_suggested_for_waivers() -> None:
    frame = compas()
    made = draft(frame, "equal-opportunity", today=DAY, split="all", sensitive=("race",))
    positives = int(frame.query("race == 'Native'")["label_value"].sum())
    assert [(rule, group, n) for rule, group, n, _ in made.small] == [
        ("equal-opportunity", "race=Native", positives)
    ]
    (waiver,) = parse_policy(uncommented(made.text), "p.toml", today=DAY).waivers
    assert (waiver.rule, waiver.group, waiver.until) == (
        "equal-opportunity",
        "race=Native",
        date(2027, 2, 21),
    )
    assert f"{positives} " in waiver.reason
    assert "fewer than 10" in waiver.reason
    assert draft(frame, "equal-opportunity", split="all", sensitive=("sex",)).small == ()
    assert draft(frame, "four-fifths", min_events=5, split="all", sensitive=("race",)).small[0][2] == 4


def test_many_small_groups_are_cut_short() -> None:
    frame = pd.DataFrame(
        {"label": [0, 1] * 100, "pred": [1, 0, 0, 1] * 50, "sex": [f"g{i // 2}" for i in range(200)]}
    )
    text = draft(frame, "four-fifths", today=DAY).text
    assert " and 60 more\n" in text
    assert text.count("[[waiver]]") == 12
    assert "# … and 88 more that a gate would name." in text


def test_ll144_says_that_the_law_has_no_threshold(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, policy = init(tmp_path, compas(), "--template", "ll144", "--split", "all")
    text = policy.read_text(encoding="utf-8")
    assert "THE LAW SETS NO THRESHOLD" in text
    (rule,) = read_policy(policy).rules
    assert (rule.metric, rule.kind, rule.severity) == ("selection_rate", "min_ratio", "warn")
    assert rule.by == ("sex", "race", "sex&race")
    assert rule.exclude_groups == ("race=(missing)",)
    assert "5-301" in rule.because
    verdict = fairaudit.gate(tmp_path / "preds.csv", policy)
    assert verdict.exit_code == 0
    assert {s.group for s in verdict.checks[1].strata} == {"African-American", "Caucasian", "Native"}


@pytest.mark.parametrize(
    ("sensitive", "crossed"),
    [
        (("race", "age", "gender"), "race&gender"),
        (("a", "b"), "a&b"),
        (("a", "b", "c"), None),
        (("sex",), None),
    ],
)
def test_ll144_crosses_sex_and_race(sensitive: tuple[str, ...], crossed: str | None) -> None:
    frame = pd.DataFrame(
        {"label": [0, 1] * 40, "pred": [1, 0, 0, 1] * 20} | {s: list("xy") * 40 for s in sensitive}
    )
    (rule,) = draft(frame, "ll144", sensitive=sensitive).rules
    assert rule.by == (*sensitive, *([crossed] if crossed else []))


def test_every_template_says_whose_rule_it_is() -> None:
    sources = {"four-fifths": "29 CFR 1607.4(D)", "equal-opportunity": "Hardt", "ll144": "Local Law 144",
               "paper-panel": "2410.17358"}  # fmt: skip
    for name, template in TEMPLATES.items():
        assert all(sources[name] in rule.because for rule in template.rules)
    panel = {(r.metric, r.kind) for r in TEMPLATES["paper-panel"].rules}
    assert panel == {("f1_min", "min"), ("recall_min", "min"), ("f1_delta", "max"), ("eod_max", "max"),
                     ("worst_group_accuracy", "min")}  # fmt: skip


def test_what_is_said_ends_with_a_command_that_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    compas().to_csv(tmp_path / "my preds.csv", index=False)
    assert run(["init", "my preds.csv", "--template", "equal-opportunity", "--out", "a b.toml"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith(
        "wrote a b.toml from the template equal-opportunity\n  rule equal-opportunity: tpr by "
    )
    assert "found by name: y_true, y_pred, split, sensitive" in out
    assert "race=Native" in out
    assert err == ""
    last = out.splitlines()[-1]
    assert last.startswith("next: fairaudit gate ")
    assert run(shlex.split(last)[2:]) in (0, 1, 3)


def test_the_policy_on_standard_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, policy = init(tmp_path, compas(), "--template", "four-fifths", "--out", "-")
    out, err = capsys.readouterr()
    assert code == 0
    assert not policy.exists()
    assert parse_policy(out, "p.toml").rules[0].id == "four-fifths"
    assert "next: fairaudit gate" in err


def test_a_file_that_is_there_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "fairaudit.toml").write_text("mine", encoding="utf-8")
    code, policy = init(tmp_path, compas(), "--template", "four-fifths")
    assert code == 2
    assert policy.read_text(encoding="utf-8") == "mine"
    assert "is there already; --force replaces it" in capsys.readouterr().err
    code, _ = init(tmp_path, compas(), "--template", "four-fifths", "--force")
    assert code == 0
    assert read_policy(policy).rules


@pytest.mark.parametrize(
    ("frame", "flags", "sentence"),
    [
        (compas, ("--template", "four-fifth"), "no template 'four-fifth' (templates: four-fifths, "),
        (compas, (), "Missing option '--template'"),
        (compas, ("--template", "ll144", "--level", "0.9"), "--level is for reports"),
        (compas, ("--template", "ll144", "--min-events", "2"), "at least 5, not 2"),
        (compas, ("--template", "ll144", "-s", "sx"), "no column 'sx'"),
        (several, ("--template", "four-fifths"), "have 3 (a, b, c); take --template paper-panel"),
        (lambda: compas().drop(columns=["sex", "race"]), ("--template", "paper-panel"), "no sensitive attribute found"),
        (lambda: pd.DataFrame({"label": ["cat", "dog"] * 20, "pred": ["dog", "cat"] * 20, "sex": list("FM") * 20}),
         ("--template", "equal-opportunity"), "which of cat, dog it is; name it with --positive"),
        (lambda: compas().drop(columns="score"), ("--template", "four-fifths"), "no prediction column found"),
    ],
    ids=["name", "none", "level", "events", "column", "classes", "attribute", "positive", "prediction"],
)  # fmt: skip
def test_what_makes_no_sense_is_one_sentence(
    frame: Any, flags: tuple[str, ...], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, policy = init(tmp_path, frame(), *flags)
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert err.startswith("error: ")
    assert sentence in err
    assert not policy.exists()


def test_an_attribute_of_one_group_or_of_numbers_is_noted() -> None:
    frame = compas().assign(sex="F")
    notes = draft(frame, "four-fifths", split="all", sensitive=("sex", "age")).notes
    assert "sex has one group, so there is nothing to compare it with" in notes
    assert any(n.startswith("age has 50 numeric values; --bins age=EDGE") for n in notes)


def test_a_name_of_fairaudit_itself_is_refused() -> None:
    frame = pd.DataFrame({"label": [0, 1] * 20, "pred": [0, 1] * 20, "class": list("ab") * 20})
    with pytest.raises(FairauditError, match="a name fairaudit uses itself"):
        draft(frame, "four-fifths", sensitive=("class",))
