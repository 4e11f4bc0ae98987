"""Scores of each class against the rest, from one column of probabilities per class, against loops over rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

import fairaudit
from fairaudit import FairauditError
from fairaudit.columns import Inputs
from fairaudit.prepare import naming, views
from fairaudit.reading.table import tabulate
from fairaudit.strata import of_metric
from fairaudit.tallies.tally import merge
from fairaudit.view import Settings
from fairaudit_cli.pinning import pinned
from fairaudit_cli.reproducing import reproducing

Array = np.ndarray[Any, Any]
CLASSES = ("cat", "cow", "dog", "eel")
ROLES: dict[str, Any] = {"y_true": "y", "prob_prefix": "prob_", "sensitive": ("g",)}
METRICS = ("roc_auc", "ece", "brier")


def drawn(seed: int, n: int = 3_000, sharp: float = 2.0) -> pd.DataFrame:
    """Rows whose probabilities know something of the label; group `few` has no `eel`, group `one` only `cat`."""
    rng = np.random.default_rng(seed)
    z = rng.normal(0, sharp, (n, len(CLASSES)))
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    blunt = np.exp(z / 2) / np.exp(z / 2).sum(axis=1, keepdims=True)
    at = (blunt.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    group = rng.choice(["many", "some", "few", "one"], n, p=[0.6, 0.25, 0.1, 0.05])
    at = np.where(group == "one", 0, np.where((group == "few") & (at == 3), 1, at))
    frame = pd.DataFrame({"y": np.array(CLASSES)[at], "g": group, "w": rng.choice([0.5, 1.0, 3.0], n),
                          "person": rng.integers(0, 300, n), "split": rng.choice(["test", "train"], n)})  # fmt: skip
    return frame.assign(**{f"prob_{c}": p[:, i] for i, c in enumerate(CLASSES)})


def audited(frame: pd.DataFrame, **more: Any) -> fairaudit.Audit:
    unused = [c for c in ("w", "person", "split") if not any(str(v).startswith(c) for v in more.values())]
    kept = frame.drop(columns=unused, errors="ignore")
    return fairaudit.audit(kept, **{**ROLES, "score_classes": ("all",)} | more)


def loops(y: Array, p: Array, w: Array) -> dict[str, float]:
    """ECE of 15 equal-width bins and the Brier score, row by row."""
    bins: dict[int, list[float]] = {}
    square = 0.0
    for truth, score, weight in zip(y.tolist(), p.tolist(), w.tolist(), strict=True):
        cell = bins.setdefault(min(int(score * 15), 14), [0.0, 0.0])
        cell[0] += weight * truth
        cell[1] += weight * score
        square += weight * (score - truth) ** 2
    return {"ece": sum(abs(a - b) for a, b in bins.values()) / w.sum(), "brier": square / w.sum()}


@pytest.mark.parametrize("weighted", [False, True])
def test_numbers_are_those_of_the_rows(weighted: bool) -> None:
    frame = drawn(1)
    audit = audited(frame, **({"weights": "w"} if weighted else {}))
    for by, group, rows in [("overall", None, frame), *(("g", str(g), r) for g, r in frame.groupby("g"))]:
        weights = rows["w"].to_numpy() if weighted else np.ones(len(rows))
        areas = []
        for class_ in CLASSES:
            y, p = (rows["y"] == class_).to_numpy().astype(int), rows[f"prob_{class_}"].to_numpy()
            found = {m: audit.estimate(m, by, group, class_) for m in METRICS}
            for metric, value in loops(y, p, weights).items():
                assert found[metric].value == pytest.approx(value, abs=1e-9)
                assert found[metric].n == len(rows)
            area = found["roc_auc"]
            if y.min() == y.max():
                assert area.value is None
                assert area.reason == f"no rows of {'any other class' if y.min() else f'class {class_}'}"
                continue
            assert area.value is not None
            assert area.interval is not None
            assert area.reference is not None
            bound = area.reference["bound"]
            assert bound is not None
            exact = roc_auc_score(y, p, sample_weight=weights)
            assert abs(area.value - exact) <= bound + 1e-12 <= 1e-3
            assert area.interval.low < exact < area.interval.high
            areas.append(area.value)
        macro = audit.estimate("roc_auc_macro", by, group)
        assert macro.value == (pytest.approx(np.mean(areas)) if areas else None)


def test_the_mean_says_what_it_is_the_mean_of() -> None:
    audit = audited(drawn(2))
    few = audit.estimate("roc_auc_macro", "g", "few")
    assert few.reason is not None
    assert few.reason.startswith("without classes eel: no rows of it, or of others")
    one = audit.estimate("roc_auc_macro", "g", "one")
    assert (one.value, one.status, one.reason) == (
        None,
        "undefined",
        "no class with rows of it and of others",
    )
    whole = audit.estimate("roc_auc_macro")
    assert (whole.status, whole.reason) == ("ok", None)
    assert whole.interval is not None
    single = [audit.estimate("roc_auc", "overall", None, c).interval for c in CLASSES]
    assert whole.interval.low == pytest.approx(np.mean([i.low for i in single if i is not None]))


def test_the_interval_of_the_mean_holds() -> None:
    def mean(seed: int, n: int) -> fairaudit.Estimate:
        return audited(drawn(seed, n), metrics=("roc_auc_macro",)).estimate("roc_auc_macro")

    truth = mean(1_000, 40_000).value
    assert truth is not None
    found = [mean(seed, 300).interval for seed in range(40)]
    assert sum(i is not None and i.low <= truth <= i.high for i in found) >= 36  # 95 % or more of many


@pytest.mark.parametrize("more", [{}, {"weights": "w"}, {"cluster": "person"}, {"split": "split=test"},
                                  {"positive": "cat"}])  # fmt: skip
def test_the_other_numbers_stay_as_they_are(more: dict[str, Any]) -> None:
    frame = drawn(3)
    if "positive" in more:  # two classes: their scores are of the positive one
        frame = frame.assign(y=np.where(frame["y"] == "cat", "cat", "dog"), prob_dog=1 - frame["prob_cat"])
        frame = frame.drop(columns=["prob_cow", "prob_eel"])
    plain, asked = audited(frame, **more, score_classes=()), audited(frame, **more)
    rest = [e for e in asked.estimates
            if e.metric != "roc_auc_macro" and not (e.metric in METRICS and e.class_ is not None)]  # fmt: skip
    assert rest == list(plain.estimates)
    assert len(asked.estimates) > len(rest)
    assert asked.flags == plain.flags
    assert {k: v for k, v in asked.data.items() if k != "score_classes"} == plain.data


def test_a_binary_class_is_scored_as_its_probability_is() -> None:
    frame = drawn(4).drop(columns=["prob_cow", "prob_eel"])
    frame = frame.assign(y=np.where(frame["y"] == "cat", "cat", "dog"), prob_dog=1 - frame["prob_cat"])
    audit = audited(frame, positive="cat")
    for metric in METRICS:
        own, same = (audit.estimate(metric, "g", "some", c) for c in (None, "cat"))
        assert (own.value, own.interval, own.reference) == (same.value, same.interval, same.reference)
    mirrored = audit.estimate("roc_auc", "g", "some", "dog").value
    assert mirrored == pytest.approx(audit.estimate("roc_auc", "g", "some").value, abs=1e-4)


def test_only_the_classes_asked_for_are_scored() -> None:
    frame = drawn(5)
    some, every = audited(frame, score_classes=("dog", "cat")), audited(frame)
    classes = {e.class_ for e in some.estimates if e.metric == "brier"}
    assert classes == {None, "cat", "dog"}
    assert some.data["score_classes"] == ["cat", "dog"]
    for class_ in ("cat", "dog"):
        assert some.estimate("roc_auc", "g", "many", class_) == every.estimate("roc_auc", "g", "many", class_)


@pytest.mark.parametrize("seed", range(3))
def test_shards_add_up_to_the_whole(seed: int, tmp_path: Path) -> None:
    frame = drawn(seed, 900).drop(columns=["split"])
    how = Inputs(**ROLES, score_classes=("all",), weights="w", cluster="person", missing_labels="drop")
    frame.loc[frame.index % 50 == 7, "y"] = None
    whole = tabulate(frame, how)
    part = np.random.default_rng(seed).integers(0, 3, len(frame))
    files = []
    for k in range(3):
        path = tmp_path / f"{k}.tally"
        fairaudit.write_tally(tabulate(frame[part == k], how), path)
        files.append(path)
    merged = merge(*files)
    assert fairaudit.audit(merged).content_sha256 == fairaudit.audit(whole).content_sha256
    assert whole.left_out["dropped"] == 18
    assert whole.rows == 882


def test_tallies_counted_otherwise_are_not_added(tmp_path: Path) -> None:
    frame = drawn(6, 300)[["y", "g", *(f"prob_{c}" for c in CLASSES)]]
    some, every, none = (tabulate(frame, Inputs(**ROLES, score_classes=c)) for c in (("dog",), ("all",), ()))
    with pytest.raises(FairauditError, match="with scores of classes dog"):
        merge(some, every)
    with pytest.raises(FairauditError, match="without scores of classes"):
        merge(every, none)
    with pytest.raises(FairauditError, match=r"--score-classes 'eel', but .* with dog; tabulate"):
        fairaudit.audit(some, score_classes=("eel",))
    assert (
        fairaudit.audit(every, score_classes=("all",)).content_sha256 == fairaudit.audit(every).content_sha256
    )


@pytest.mark.parametrize(
    ("asked", "prefix", "said"),
    [
        (("dig",), "prob_", r"no column of probabilities for class 'dig' .*Did you mean 'dog'\?"),
        (("all",), None, "--score-classes needs one column of probabilities per class, and there are none"),
    ],
)
def test_what_cannot_be_scored_is_said(asked: tuple[str, ...], prefix: str | None, said: str) -> None:
    frame = drawn(7, 200)[["y", "g", *(f"prob_{c}" for c in CLASSES)]]
    if prefix is None:
        frame = frame[["y", "g"]].assign(y_pred=frame["y"])
    with pytest.raises(FairauditError, match=said):
        fairaudit.audit(frame, y_true="y", prob_prefix=prefix, sensitive=["g"], score_classes=asked)


def test_a_probability_that_is_none_is_refused_as_ever() -> None:
    frame = drawn(8, 200)
    frame.loc[3, "prob_cat"] = 0.9
    frame.loc[3, "prob_dog"] = 0.9
    with pytest.raises(FairauditError, match="sum"):
        audited(frame)


def test_rules_may_speak_of_one_class_or_of_all() -> None:
    frame = drawn(9)[["y", "g", *(f"prob_{c}" for c in CLASSES)]]
    tally = tabulate(frame, Inputs(**ROLES, score_classes=("all",)))
    whole, _, by_group = views(tally, naming(tally), Settings())
    audit = fairaudit.audit(tally)
    one = of_metric(by_group, "roc_auc", "dog")
    assert one.places == tuple((g, "dog") for g in by_group.groups)
    assert len(of_metric(whole, "roc_auc").places) == len(CLASSES)
    for metric, class_ in (("ece", None), ("ece", "dog"), ("roc_auc_macro", None)):
        found = of_metric(by_group, metric, class_)
        at = found.places.index(("many", class_))
        assert found.value[at] == audit.estimate(metric, "g", "many", class_).value
    alone = tabulate(frame, Inputs(**ROLES, score_classes=("cat",)))
    with pytest.raises(
        FairauditError, match="roc_auc of class 'dog' was not counted; ask for it with score_cl"
    ):
        of_metric(views(alone, naming(alone), Settings())[0], "roc_auc", "dog")


def test_a_policy_asks_for_its_classes(tmp_path: Path) -> None:
    frame = drawn(11)[["y", "g", *(f"prob_{c}" for c in CLASSES)]]
    policy = tmp_path / "fairaudit.toml"
    policy.write_text(
        'schema = 1\n[data]\ny_true = "y"\nprob_prefix = "prob_"\nsensitive = ["g"]\nscore_classes = "dog"\n'
        '[[rule]]\nid = "auc"\nmetric = "roc_auc"\nby = ["overall"]\nclass = "dog"\nmin = 0.6\n'
    )
    (check,) = fairaudit.gate(frame, policy).checks
    assert check.verdict == "pass"


def test_the_command_is_pinned_and_the_page_shows_a_table() -> None:
    from fairaudit.report import text

    audit = audited(drawn(10), score_classes=("dog", "eel"))
    assert "--score-classes dog --score-classes eel" in reproducing(audit)
    assert callable(pinned)
    page = text.audit(audit)
    assert page.count("Scores by class, each against the rest") == 1
    assert "Scores by class" not in text.audit(audited(drawn(10), score_classes=()))
    again = fairaudit.Audit.from_json(json.dumps(json.loads(audit.to_json())))
    assert again.estimates == audit.estimates
