"""The method `threshold`: equal to fairlearn, the same answer for the same row, and every refusal in one sentence."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression

import fairaudit
from fairaudit.errors import FairauditError
from fairaudit_cli.main import run
from fairaudit_mitigate.thresholds import adjust, apply_rule
from fairaudit_mitigate.thresholds.fitting import CONSTRAINTS, OBJECTIVES, OF_EQUALIZED_ODDS, Aim, fit_groups
from fairaudit_mitigate.thresholds.rule import Cut, GroupRule, Rule, cut_of, decide, draws, read_rule
from fairaudit_mitigate.thresholds.scored import Named

fairlearn = pytest.importorskip("fairlearn.postprocessing")
BOTH = [(c, o) for c in CONSTRAINTS for o in (OF_EQUALIZED_ODDS if c == CONSTRAINTS[0] else OBJECTIVES)]


def table(n: int = 1200, seed: int = 0) -> pd.DataFrame:
    """Scores that serve men better than women; a third of the rows are val, a third test."""
    draw = np.random.default_rng(seed)
    sex, label = draw.integers(0, 2, n), draw.integers(0, 2, n)
    score = 1 / (1 + np.exp(-((2 * label - 1) * np.where(sex, 1.5, 0.5) + (sex - 0.5) + draw.normal(size=n))))
    return pd.DataFrame(
        {
            "id": [f"r{i}" for i in range(n)],
            "split": np.array(["train", "val", "test"])[np.arange(n) % 3],
            "label": label,
            "sex": np.where(sex, "M", "F"),
            "race": np.array(["a", "b", "c"])[draw.integers(0, 3, n)],
            "proba": score.round(3),  # ties
            "note": [f'a "quoted", text {i}' for i in range(n)],
        }
    )


def saved(folder: Path, frame: pd.DataFrame | None = None, name: str = "p.csv") -> Path:
    frame, path = table() if frame is None else frame, folder / name
    frame.to_parquet(path, index=False) if name.endswith("parquet") else frame.to_csv(path, index=False)
    return path


def fairlearns(scores: np.ndarray, y: np.ndarray, groups: np.ndarray, constraint: str, objective: str) -> Any:
    identity = LinearRegression()
    identity.coef_, identity.intercept_, identity.n_features_in_ = np.ones(1), 0.0, 1
    return fairlearn.ThresholdOptimizer(
        estimator=identity, constraints=constraint, objective=objective, prefit=True, predict_method="predict"
    ).fit(scores[:, None], y, sensitive_features=groups)


@pytest.mark.parametrize(("constraint", "objective"), BOTH)
def test_the_rule_is_fairlearns_to_the_bit(constraint: str, objective: str) -> None:
    frame = table(400)
    scores, y, sex = frame["proba"].to_numpy(), frame["label"].to_numpy(), frame["sex"].to_numpy()
    groups = [(s,) for s in sex]
    found = fit_groups(scores, y == 1, groups, Aim(constraint, objective))
    rule = Rule(found, ("sex",), "proba", "1", "0", constraint, objective)
    theirs = fairlearns(scores, y, sex, constraint, objective)
    probabilities = theirs._pmf_predict(scores[:, None], sensitive_features=sex)[:, 1]
    assert rule.probabilities(scores, groups).tolist() == probabilities.tolist()
    # with their draws our decisions are theirs
    predicted = theirs.predict(scores[:, None], sensitive_features=sex, random_state=7)
    uniform = np.random.RandomState(7).rand(len(scores))
    assert decide(rule.probabilities(scores, groups), uniform).astype(int).tolist() == predicted.tolist()


def test_draws_by_id_have_fairlearns_expectation_and_are_uniform() -> None:
    ids = [f"row {i}" for i in range(40_000)]
    uniform = draws(ids, 3)
    assert np.histogram(uniform, 10, (0, 1))[0] / 40_000 == pytest.approx([0.1] * 10, abs=0.006)
    assert uniform.min() >= 0
    assert uniform.max() < 1
    assert draws(ids[::-1], 3).tolist() == uniform[::-1].tolist()
    assert (draws(ids, 4) != uniform).all()
    assert decide(np.full(40_000, 0.3), uniform).mean() == pytest.approx(0.3, abs=0.01)
    assert not decide(np.zeros(40_000), uniform).any()
    assert decide(np.ones(40_000), uniform).all()


def rates(frame: pd.DataFrame, column: str) -> dict[tuple[str, int], float]:
    judged = frame[frame["split"] == "test"]
    return {k: float((g[column].astype(int) == 1).mean()) for k, g in judged.groupby(["sex", "label"])}  # type: ignore[misc]


def test_the_gap_closes_on_rows_that_were_not_fitted(tmp_path: Path) -> None:
    said: list[str] = []
    done = adjust(saved(tmp_path, table(6000)), out=tmp_path / "out", sensitive=["sex"], voice=voice(said))
    gap = "equalized_odds_difference"
    before, after = (a.estimate(gap, by="sex").value for a in (done.proof.before, done.proof.after))
    assert before is not None
    assert after is not None
    assert before > 0.2 > 0.08 > after
    frame = pd.read_csv(tmp_path / "out/adjusted.csv")
    found = rates(frame, "y_pred")
    gaps = [abs(found["F", y] - found["M", y]) for y in (0, 1)]
    assert max(gaps) == pytest.approx(after, abs=1e-12)
    frame["plain"] = frame["proba"] >= 0.5
    plain = rates(frame, "plain")
    assert max(abs(plain["F", y] - plain["M", y]) for y in (0, 1)) == pytest.approx(before, abs=1e-12)
    assert any("thresholds for 2 groups of sex, fitted to 2,000 rows" in s for s in said)


def voice(said: list[str]) -> Any:
    from fairaudit_mitigate import Voice

    return Voice(said.append)


def test_the_folder_holds_rule_rows_and_proof(tmp_path: Path) -> None:
    frame = table()
    done = adjust(saved(tmp_path, frame), out=tmp_path / "out", sensitive=["sex"])
    out = tmp_path / "out"
    assert {p.name for p in out.iterdir()} == {
        "rule.json", "adjusted.csv", "predictions_before.parquet", "predictions_after.parquet", "audit_before.json",
        "audit_after.json", "comparison.md", "manifest.json",
    }  # fmt: skip
    adjusted = pd.read_csv(out / "adjusted.csv")
    pd.testing.assert_frame_equal(adjusted.drop(columns="y_pred"), frame)
    assert read_rule(out / "rule.json") == done.rule
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["results"]["rows_fitted"] == manifest["results"]["rows_judged"] == 400
    before, after = (pd.read_parquet(out / f"predictions_{w}.parquet") for w in ("before", "after"))
    test = frame[frame["split"] == "test"]
    assert before["id"].tolist() == after["id"].tolist() == test["id"].tolist()
    assert (before["y_pred"] == "1").tolist() == (test["proba"] >= 0.5).tolist()
    assert after["y_pred"].tolist() == adjusted["y_pred"][frame["split"] == "test"].astype(str).tolist()
    again = fairaudit.audit(
        out / "predictions_after.parquet", sensitive=["sex"], positive="1", y_pred="y_pred"
    )
    assert again.estimate("accuracy").value == done.proof.after.estimate("accuracy").value
    assert done.comparison.change("accuracy").after == done.proof.after.estimate("accuracy")
    auc = [a.estimate("roc_auc").value for a in (done.proof.before, done.proof.after)]
    assert auc[0] == auc[1]


@pytest.mark.parametrize("name", ["p.csv", "p.parquet", "p.csv.gz", "p.tsv"])
def test_a_rule_gives_a_row_the_same_answer_anywhere(name: str, tmp_path: Path) -> None:
    frame = table()
    if name == "p.tsv":
        frame.to_csv(tmp_path / name, sep="\t", index=False)
    else:
        saved(tmp_path, frame, name)
    adjust(tmp_path / name, out=tmp_path / "out", sensitive=["sex"])
    shuffled = frame.drop(columns="label").sample(300, random_state=1)
    apply_rule(
        tmp_path / "out/rule.json", saved(tmp_path, shuffled, "new.csv"), out=tmp_path / "new_adjusted.csv"
    )
    ending = name.removeprefix("p")
    whole = pd.read_parquet(tmp_path / f"out/adjusted{ending}") if "parquet" in name else pd.read_csv(
        tmp_path / f"out/adjusted{ending}", sep="\t" if "tsv" in name else ","
    )  # fmt: skip
    wanted = whole.set_index("id")["y_pred"].astype(int)
    found = pd.read_csv(tmp_path / "new_adjusted.csv").set_index("id")["y_pred"]
    assert found.tolist() == wanted.loc[found.index].tolist()


def test_without_a_split_column_halves_by_id_are_used_and_said(tmp_path: Path) -> None:
    said: list[str] = []
    frame = table().drop(columns="split")
    done = adjust(saved(tmp_path, frame), out=tmp_path / "out", sensitive=["sex"], voice=voice(said))
    judged = pd.read_parquet(tmp_path / "out/predictions_after.parquet")["id"]
    assert 500 < len(judged) < 700
    assert any("has no split column: the rule is fitted to" in s for s in said)
    fitted = frame[~frame["id"].isin(judged)]
    groups = [(s,) for s in fitted["sex"]]
    scores, y = fitted["proba"].to_numpy(), fitted["label"].to_numpy()
    assert done.rule.groups == fit_groups(scores, y == 1, groups, Aim())


@pytest.mark.parametrize("name", ["p.csv", "p.parquet"])
def test_clusters_stay_together_and_rows_without_one_are_none(name: str, tmp_path: Path) -> None:
    frame = table().drop(columns="split")
    frame["person"] = [None if i % 2 else f"p{i // 8}" for i in range(len(frame))]
    path = saved(tmp_path, frame, name)
    adjust(path, out=tmp_path / "out", sensitive=["sex"], columns=Named(cluster="person"))
    judged = frame["id"].isin(pd.read_parquet(tmp_path / "out/predictions_after.parquet")["id"])
    assert set(judged.groupby(frame["person"]).nunique()) == {1}
    alone = judged[frame["person"].isna()]
    assert 0.4 < alone.mean() < 0.6  # neither all fitted nor all judged
    adjust(saved(tmp_path, frame.drop(columns="person")), out=tmp_path / "ids", sensitive=["sex"])
    by_id = pd.read_parquet(tmp_path / "ids/predictions_after.parquet")["id"]
    assert (alone == frame["id"].isin(by_id)[alone.index]).all()


def test_predictions_before_may_be_named_and_attributes_are_crossed(tmp_path: Path) -> None:
    frame = table(4000).assign(pred=lambda t: np.where(t["proba"] > 0.9, "yes", "no"))
    frame["label"] = np.where(frame["label"] == 1, "yes", "no")
    done = adjust(saved(tmp_path, frame), out=tmp_path / "out", sensitive=["sex", "race"])
    assert list(done.rule.groups) == [(s, r) for s in "FM" for r in "abc"]
    before = pd.read_parquet(tmp_path / "out/predictions_before.parquet")["y_pred"]
    assert before.tolist() == frame["pred"][frame["split"] == "test"].tolist()
    assert set(pd.read_csv(tmp_path / "out/adjusted.csv")["pred"]) == {"yes", "no"}
    assert "y_pred" not in pd.read_csv(tmp_path / "out/adjusted.csv")


def test_columns_of_probabilities_are_scores_and_missing_values_a_group(tmp_path: Path) -> None:
    frame = table(3000).rename(columns={"proba": "prob_1"})
    frame["prob_0"] = 1 - frame["prob_1"]
    frame.loc[np.arange(0, 3000, 7), "sex"] = None
    done = adjust(saved(tmp_path, frame, "p.parquet"), out=tmp_path / "out", sensitive=["sex"])
    assert list(done.rule.groups) == [("F",), ("M",), ("(missing)",)]
    assert done.rule.y_score == "prob_1"
    groups = {g["group"] for g in done.proof.after.content()["groups"]}
    assert groups == {"F", "M", "(missing)"}


CUTS = st.one_of(
    st.floats(allow_nan=False).map(Cut), st.floats(allow_nan=False).map(lambda t: Cut(t, above=False))
)
SHARES = st.floats(0, 1)
RULES = st.builds(GroupRule, SHARES, CUTS, SHARES, CUTS, SHARES, SHARES, st.integers(0, 9), st.integers(0, 9))


@settings(max_examples=50)
@given(st.dictionaries(st.tuples(st.text(), st.text()), RULES, max_size=4), st.integers(0, 9))
def test_a_rule_comes_back_from_json_with_the_same_answers(groups: dict[Any, GroupRule], seed: int) -> None:
    import tempfile

    rule = Rule(groups, ("sex", "race"), "p", "1", "0", "equalized_odds", "accuracy_score", seed)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "r.json").write_text(rule.to_json(), encoding="utf-8")
        again = read_rule(Path(folder) / "r.json")
    scores = np.array([-1e300, 0.0, 0.2, 1.0, 1e300])
    for group in groups:
        names = [group] * len(scores)
        assert again.probabilities(scores, names).tolist() == rule.probabilities(scores, names).tolist()
    assert (again.seed, again.sensitive, list(again.groups)) == (seed, ("sex", "race"), list(groups))


def test_cuts_in_words() -> None:
    words = ["everybody", "nobody", "nobody", "everybody", {"above": 0.2}, {"below": 0.2}]
    cuts = [Cut(-np.inf), Cut(np.inf), Cut(-np.inf, False), Cut(np.inf, False), Cut(0.2), Cut(0.2, False)]
    assert [c.to_json() for c in cuts] == words
    scores = np.array([0.1, 0.3])
    assert [cut_of(w).chosen(scores).tolist() for w in words] == [c.chosen(scores).tolist() for c in cuts]


ONE_ROW = table().iloc[[1]].assign(id="x", sex="X")  # a val row


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda t: t.assign(label=t.index % 3), {}, "divide two classes, and .* has 3 \\(0, 1, 2\\)"),
        (lambda t: t.assign(prob_a=0.2, prob_b=0.3, prob_c=0.5).drop(columns="proba"), {}, "has probabilities of 3"),
        (lambda t: t.assign(pred=t["label"]).drop(columns="proba"), {}, "unclear where it stands"),
        (lambda t: t.drop(columns="proba"), {}, "no prediction column found"),
        (lambda t: pd.concat([t, ONE_ROW]), {}, "one class in sex=X \\(1 row\\)"),
        (lambda t: pd.concat([t, ONE_ROW.assign(split="test")]), {}, "no thresholds for sex=X \\(1 row\\)"),
        (lambda t: t[t["split"] != "val"], {}, "has no val rows \\(it holds: test, train\\)"),
        (lambda t: t[t["split"] != "test"], {}, "has no test rows"),
        (lambda t: t.assign(proba=["x", *t["proba"][1:]]), {"columns": Named(y_score="proba")}, "no finite number"),
        (lambda t: t.assign(proba=t["proba"] * 3), {"columns": Named(y_score="proba")}, "are no probabilities"),
        (lambda t: t.assign(id=1), {"columns": Named(id="id")}, "repeats or lacks values"),
        (lambda t: t.assign(label=np.where(t["label"] == 1, "cat", "dog")), {}, "unclear which class is positive"),
        (lambda t: t, {"positive": "7"}, "no class '7'"),
        (lambda t: t, {"sensitive": ["gender"]}, "no column 'gender'"),
        (lambda t: t, {"sensitive": []}, "name the attribute .* with -s"),
        (lambda t: t, {"constraint": "equal_odds"}, "no constraint 'equal_odds'.*Did you mean 'equalized_odds'"),
        (lambda t: t, {"objective": "selection_rate"}, "no objective 'selection_rate' of equalized_odds"),
        (lambda t: t, {"new_groups": "drop"}, "--new-groups is error or keep"),
    ],
)  # fmt: skip
def test_what_has_no_meaning_is_refused_in_one_sentence(
    change: Any, options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = saved(tmp_path, change(table()))
    with pytest.raises(FairauditError, match=message):
        adjust(path, out=tmp_path / "out", **({"sensitive": ["sex"]} | options))
    assert {p.name for p in tmp_path.iterdir()} == {"p.csv"}


@pytest.mark.parametrize("split", ["val", "test"])
def test_groups_without_a_threshold_may_keep_their_predictions(split: str, tmp_path: Path) -> None:
    said: list[str] = []
    frame = pd.concat([table(), ONE_ROW.assign(split=split, proba=0.9)])
    adjust(
        saved(tmp_path, frame), out=tmp_path / "out", sensitive=["sex"], new_groups="keep", voice=voice(said)
    )
    assert pd.read_csv(tmp_path / "out/adjusted.csv").set_index("id").loc["x", "y_pred"] == 1
    assert "without a threshold, predictions kept: sex=X (1 row)." in said
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert manifest["results"]["groups_kept"] == {"X": 1}


def test_all_rows_in_one_group_have_a_rule_that_changes_no_gap(tmp_path: Path) -> None:
    done = adjust(saved(tmp_path, table().assign(sex="F")), out=tmp_path / "out", sensitive=["sex"])
    assert list(done.rule.groups) == [("F",)]


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "it is no JSON"), ('{"schema": "fairaudit.audit"}', "KeyError"), ("[]", "TypeError")],
)
def test_what_is_no_rule_is_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text(text, encoding="utf-8")
    with pytest.raises(FairauditError, match=f"is not a rule .*{message}"):
        read_rule(tmp_path / "r.json")


def test_a_rule_with_a_probability_above_one_is_refused(tmp_path: Path) -> None:
    adjust(saved(tmp_path), out=tmp_path / "out", sensitive=["sex"])
    whole = json.loads((tmp_path / "out/rule.json").read_text())
    whole["groups"][0]["p0"] = 1.2
    (tmp_path / "r.json").write_text(json.dumps(whole), encoding="utf-8")
    with pytest.raises(FairauditError, match=r"1.2 is not a number from 0 to 1"):
        read_rule(tmp_path / "r.json")


def test_the_command_fits_shows_and_applies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = saved(tmp_path), tmp_path / "out"
    fit = [
        "mitigate",
        "--method",
        "threshold",
        str(path),
        "-s",
        "sex",
        "--y-score",
        "proba",
        "--y-true",
        "label",
    ]
    assert run([*fit, "--out", str(out), "--json", "-o", f"md:{tmp_path / 'c.md'}"]) == 0
    found = capsys.readouterr()
    assert json.loads(found.out)["schema"] == "fairaudit.comparison"
    assert "400 rows" in found.err
    assert (tmp_path / "c.md").read_text() == (out / "comparison.md").read_text()
    new = saved(tmp_path, table().drop(columns=["label", "split"]), "new.csv")
    use = ["mitigate", str(new), "--method", "threshold", "--rule", str(out / "rule.json")]
    assert run([*use, "--out", str(tmp_path / "adjusted.csv")]) == 0
    both = [
        pd.read_csv(p).set_index("id")["y_pred"] for p in (tmp_path / "adjusted.csv", out / "adjusted.csv")
    ]
    assert both[0].equals(both[1])
    assert run([*use, "--out", str(tmp_path / "folder")]) == 2
    assert run([*use, "--out", str(new)]) == 2
    assert run([*fit, "--out", str(out)]) == 2
    assert "exists" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["m"], "mitigate needs MODEL and DATA"),
        (["m", "d", "--method", "threshold"], "works on one file of predictions"),
        (["p.csv", "--method", "threshold", "--lr", "1"], "--lr is not read by --method threshold"),
        (["p.csv", "--method", "threshold", "--policy", "x"], "--policy is not read by --method threshold"),
        (
            ["p.csv", "--method", "threshold", "--rule", "r", "-s", "sex"],
            "--sensitive is not read with --rule",
        ),
        (["m", "d", "--constraint", "equalized_odds"], "--constraint is of --method threshold only"),
    ],
)
def test_flags_that_are_not_read_are_refused(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["mitigate", *arguments, "--out", str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err


def test_no_torch_is_loaded(tmp_path: Path) -> None:
    arguments = ["mitigate", str(saved(tmp_path)), "--method", "threshold", "-s", "sex"]
    code = (
        "import sys; from fairaudit_cli.main import run; "
        f"c = run({[*arguments, '--out', str(tmp_path / 'out')]!r});"
        "print(c, 'torch' in sys.modules, 'transformers' in sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1] == "0 False False"
