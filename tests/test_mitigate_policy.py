"""The loop under a policy: gate, repair where it does not pass, gate again; what is shown, written and returned."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("peft")

import models
import pandas as pd

import fairaudit
from fairaudit.errors import FairauditError
from fairaudit_cli.main import run
from fairaudit_mitigate import Mitigation, Voice, mitigate

LOOSE = '[[rule]]\nid = "floor"\nmetric = "accuracy"\nby = "sex"\nmin = 0.05\n'
TIGHT = '[[rule]]\nid = "floor"\nmetric = "accuracy"\nby = "sex"\nmin = 0.7\n'
WORSE = '[[rule]]\nid = "worse"\nmetric = "accuracy"\nby = "sex"\nvs = "baseline"\nmax_decrease = 0.4\n'
LEFT = {
    "audit_before.json", "manifest.json", "predictions_before.parquet", "verdict_before.json", "verdict_before.md",
}  # fmt: skip
REPAIRED = LEFT | {
    "adapter", "audit_after.json", "comparison.md", "history.jsonl", "predictions_after.parquet",
    "verdict_after.json", "verdict_after.md",
}  # fmt: skip
GOOD: Mapping[str, Any] = {"epochs": 6, "batch_size": 20, "lr": 2e-2, "rank": 4}
BRIEF: Mapping[str, Any] = {"max_steps": 1, "batch_size": 20, "lr": 1e-9, "rank": 4}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random model `m` and texts `d.csv`, both only read."""
    folder = tmp_path_factory.mktemp("loop")
    models.save_model("bert", folder / "m")
    models.save_texts(folder / "d.csv", n=80)
    return folder


@pytest.fixture
def loop(place: Path, tmp_path: Path) -> Callable[..., Mitigation]:
    """Run the loop with the rules given, into `tmp_path / "out"`."""

    def carried(rules: str, data: Path | None = None, **options: Any) -> Mitigation:
        policy = written(tmp_path / "fairaudit.toml", rules)
        return mitigate(place / "m", data or place / "d.csv", out=tmp_path / "out", policy=policy, **options)

    return carried


def written(path: Path, rules: str) -> Path:
    path.write_text(f"schema = 1\n{rules}", encoding="utf-8")
    return path


def refuse(what: str) -> Callable[..., Any]:
    def called(*_: Any, **__: Any) -> Any:
        pytest.fail(f"{what} must not run")

    return called


def lines(verdict: fairaudit.Verdict) -> list[tuple[Any, ...]]:
    """What a verdict rests on, without what it says of columns."""
    return [
        (c.id, c.by, c.verdict, s.group, s.class_, s.value, s.fail_bound, s.pass_bound, s.verdict)
        for c in verdict.checks
        for s in c.strata
    ]


def test_a_policy_that_passes_trains_nothing(
    loop: Callable[..., Mitigation], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fairaudit_mitigate.fit.fit", refuse("training"))
    said: list[str] = []
    done = loop(LOOSE + WORSE, voice=Voice(said.append))
    assert {p.name for p in (tmp_path / "out").iterdir()} == LEFT
    assert (done.repaired, done.exit_code, [v.verdict for v in done.verdicts]) == (False, 0, ["pass"])
    assert any("nothing to repair" in s for s in said)
    assert [w["code"] for w in done.verdicts[0].warnings] == ["skipped"]
    assert done.before.data["columns"]["sensitive"] == ["sex"]
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert manifest == done.manifest
    assert manifest["results"] == {"repaired": False}
    assert manifest["arguments"]["policy"] == str(tmp_path / "fairaudit.toml")
    for absent in ("after", "comparison"):
        with pytest.raises(FairauditError, match="nothing was repaired"):
            getattr(done, absent)


@pytest.fixture(scope="module")
def repaired(place: Path, tmp_path_factory: pytest.TempPathFactory) -> Mitigation:
    """A repair that works, under rules on groups, against the baseline, and on all rows."""
    out = tmp_path_factory.mktemp("repaired")
    policy = written(out / "p.toml", TIGHT + WORSE)
    return mitigate(place / "m", place / "d.csv", out=out / "out", policy=policy, **GOOD)


def test_a_policy_that_fails_repairs_and_is_judged_again(repaired: Mitigation) -> None:
    assert {p.name for p in repaired.out.iterdir()} == REPAIRED
    first, second = repaired.verdicts
    assert (first.verdict, second.verdict, repaired.exit_code) == ("fail", "pass", 0)
    assert first.baseline is None
    assert second.baseline is not None
    assert (second.baseline["paired"], second.baseline["matched"]) == (True, 80)
    aside = second.checks[-1]
    assert (aside.id, aside.by, aside.severity, aside.counts, aside.limit) == (
        "no-group-worse",
        "sex",
        "warn",
        False,
        0.02,
    )
    assert "added by mitigate" in aside.because
    assert "added by mitigate" in (repaired.out / "verdict_after.md").read_text()
    assert [c.id for c in first.checks] == ["floor"]
    assert repaired.manifest["arguments"]["settings"]["groups"] == "class&sex"
    assert next(iter(repaired.manifest["results"]["groups"])) == "class=0 & sex=F"
    assert repaired.after.estimate("accuracy").value > repaired.before.estimate("accuracy").value + 0.2  # type: ignore[operator]


def test_the_verdicts_are_those_of_the_gate_on_the_files(repaired: Mitigation, tmp_path: Path) -> None:
    """`fairaudit gate`, told the columns by hand, finds the same; the manifest ties the files to their content."""
    data = '[data]\ny_true = "y_true"\ny_pred = "y_pred"\nsensitive = "sex"\n'
    before, after = (repaired.out / f"predictions_{k}.parquet" for k in ("before", "after"))
    again = written(
        tmp_path / "p.toml", data + TIGHT + WORSE.replace("vs =", 'missing_baseline = "skip"\nvs =')
    )
    first, second = fairaudit.gate(before, again), fairaudit.gate(after, again, baseline=before)
    assert lines(first) == lines(repaired.verdicts[0])
    assert lines(second) == [r for r in lines(repaired.verdicts[1]) if r[0] != "no-group-worse"]
    for entry, verdict in zip(repaired.manifest["verdicts"], repaired.verdicts, strict=True):
        file = json.loads((repaired.out / entry["file"]).read_text())
        assert (file["content"]["verdict"], file["exit_code"]) == (entry["verdict"], entry["exit_code"])
        assert file["content_sha256"] == entry["content_sha256"] == verdict.content_sha256


def test_a_policy_chooses_nothing_but_the_groups(repaired: Mitigation, place: Path, tmp_path: Path) -> None:
    """The weights are those of the same repair without a policy: no test row has a say in selection."""
    mitigate(
        place / "m", place / "d.csv", out=tmp_path / "out", sensitive=["sex"], groups="class&sex", **GOOD
    )
    weights = "adapter/adapter_model.safetensors"
    assert (tmp_path / "out" / weights).read_bytes() == (repaired.out / weights).read_bytes()


def test_a_repair_that_fails_exits_with_the_second_verdict(loop: Callable[..., Mitigation]) -> None:
    done = loop(TIGHT, **BRIEF)
    assert (done.repaired, done.exit_code, [v.verdict for v in done.verdicts]) == (True, 1, ["fail", "fail"])


@pytest.mark.parametrize(("stance", "code"), [("block", 3), pytest.param("warn", 0, marks=pytest.mark.slow)])
def test_too_few_rows_are_repaired_too(stance: str, code: int, loop: Callable[..., Mitigation]) -> None:
    done = loop(f'[stats]\nmin_events = 50\non_inconclusive = "{stance}"\n' + LOOSE, **BRIEF)
    assert [v.verdict for v in done.verdicts] == ["inconclusive", "inconclusive"]
    assert (done.repaired, done.exit_code) == (True, code)
    assert done.manifest["arguments"]["settings"]["groups"] == "class&sex"


def test_an_edited_policy_is_not_resumed(
    loop: Callable[..., Mitigation], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("fairaudit_mitigate.mitigation.save", stop)
    with pytest.raises(KeyboardInterrupt):
        loop(TIGHT, **BRIEF)
    with pytest.raises(FairauditError, match="same inputs only: policy has other contents"):
        loop(f"{TIGHT}\n# edited\n", **BRIEF, resume=True)


@pytest.mark.slow
def test_force_repairs_what_passes(loop: Callable[..., Mitigation]) -> None:
    done = loop(LOOSE, force=True, **BRIEF)
    assert (done.repaired, [v.verdict for v in done.verdicts]) == (True, ["pass", "pass"])
    assert done.manifest["arguments"]["settings"]["groups"] is None


@pytest.mark.parametrize("threshold", [0.05, 0.95])
def test_a_threshold_is_held(threshold: float, loop: Callable[..., Mitigation], tmp_path: Path) -> None:
    """Counted by hand on the file: the share of rows whose probability of the positive class is that high."""
    data = f'[data]\ny_true = "income"\ny_score = "proba"\nthreshold = {threshold}\npositive = "0"\n'
    rule = '[[rule]]\nid = "rate"\nmetric = "selection_rate"\nby = "sex"\nmin = {}\n'
    rates = LOOSE if threshold < 0.5 else ""
    done = loop(data + rule.format(0.0) + rates, **BRIEF)
    frame = pd.read_parquet(tmp_path / "out/predictions_before.parquet")
    wanted = (frame["prob_0"] >= threshold).groupby(frame["sex"]).mean()
    found = {s.group: s.value for s in done.verdicts[0].checks[0].strata}
    assert found == pytest.approx(wanted.to_dict())
    assert set(found.values()) == {float(threshold < 0.5)}
    assert (done.verdicts[0].data["threshold"], done.verdicts[0].data["positive"]) == (threshold, "0")


BROKEN: dict[str, tuple[str, dict[str, Any], str]] = {
    "no policy": (LOOSE + "mim = 0.2\n", {}, r"fairaudit.toml:7: .* Did you mean"),
    "weights": ('[data]\nweights = "w"\n' + LOOSE, {}, "weighs rows by 'w'"),
    "only against a baseline": (WORSE, {}, "every rule that counts compares with a baseline"),
    "beside -s": (LOOSE, {"sensitive": ["split"]}, "judges 'sex', which is not among .* add -s sex"),
    "beside an audit": (LOOSE, {"audit": "a.json"}, "not both"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_policy_costs_nothing(
    case: str, loop: Callable[..., Mitigation], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("preparing.load", "preparing.read_rows", "mitigation.workplace"):
        monkeypatch.setattr(f"fairaudit_mitigate.{name}", refuse(name))
    rules, options, message = BROKEN[case]
    with pytest.raises(FairauditError, match=message) as caught:
        loop(rules, **options)
    assert "\n" not in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == ["fairaudit.toml"]


LATE: dict[str, tuple[str, str]] = {
    "attribute": (LOOSE.replace("sex", "sxe"), "no column 'sxe' .* Did you mean 'sex'"),
    "cluster": ('[data]\ncluster = "person"\n' + LOOSE, "no column 'person'"),
    "positive": ('[data]\npositive = "yes"\n' + LOOSE, "positive class 'yes' is not among"),
    "group": (LOOSE + 'groups = ["sex=X"]\n', r"fairaudit.toml:7: rule 'floor': there is no group 'sex=X'"),
    "group against a baseline": (
        TIGHT + WORSE + 'groups = ["sex=X"]\n',
        "rule 'worse': there is no group 'sex=X'",
    ),
}


@pytest.mark.parametrize("case", LATE)
def test_a_policy_about_other_data_is_found_before_training(
    case: str, loop: Callable[..., Mitigation], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fairaudit_mitigate.fit.fit", refuse("training"))
    with pytest.raises(FairauditError, match=LATE[case][1]):
        loop(LATE[case][0])
    assert [p.name for p in tmp_path.iterdir()] == ["fairaudit.toml"]


def test_bins_and_missing_values_are_the_policys(
    loop: Callable[..., Mitigation], place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An age in years is judged, written and penalised by bin, each named as a report of the raw ages names it."""
    frame = pd.read_csv(place / "d.csv", dtype=str)
    frame["age"] = [["20", "25", "39.5", "40", "?"][i % 5] for i in range(len(frame))]
    frame.to_csv(tmp_path / "aged.csv", index=False)
    seen: list[str] = []

    def stop(task: Any) -> Any:
        seen.extend([task.settings.groups, *sorted({str(v) for v in task.rows.sensitive["age"]})])
        raise FairauditError("far enough")

    monkeypatch.setattr("fairaudit_mitigate.fit.fit", stop)
    data = '[data]\nna = "?"\n[data.bins]\nage = [25, 40]\n[stats]\nmin_events = 5\n'
    with pytest.raises(FairauditError, match="far enough"):
        loop(data + TIGHT.replace("sex", "age"), data=tmp_path / "aged.csv")
    raw = frame.assign(y_true=frame["label"], y_pred=frame["label"]).drop(columns="label")
    audit = fairaudit.audit(raw, sensitive=["age"], bins={"age": (25, 40)}, na=("?",), split="all")
    groups = {g["group"] for g in audit.groups}
    assert seen == ["class&age", *sorted((groups - {"(missing)"}) | {"None"})]


def command(place: Path, folder: Path, rules: str, *more: str) -> list[str]:
    policy = written(folder / "p.toml", rules)
    return [
        "mitigate", str(place / "m"), str(place / "d.csv"), "--out", str(folder / "out"), "--policy", str(policy),
        "--max-steps", "1", "--lr", "1e-9", "--batch-size", "20", *more,
    ]  # fmt: skip


def test_the_command_says_that_nothing_is_to_be_repaired(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    md, js = tmp_path / "v.md", tmp_path / "v.json"
    assert (
        run(
            command(
                place, tmp_path, LOOSE, "-o", f"md:{md}", "-o", f"json:{js}", "-o", f"junit:{tmp_path / 'j'}"
            )
        )
        == 0
    )
    found = capsys.readouterr()
    assert "Verdict: PASS (exit code 0)" in found.out
    assert found.out.strip().endswith("Nothing to repair: the policy passes. --force repairs anyway.")
    assert not (tmp_path / "out/adapter").exists()
    assert "Nothing to repair" in md.read_text()
    whole = json.loads(js.read_text())
    assert (whole["comparison"], whole["verdict_after"]) == (None, None)
    assert whole["verdict_before"]["content"]["verdict"] == "pass"
    assert 'failures="0"' in (tmp_path / "j").read_text()


def test_the_command_shows_both_verdicts_and_exits_with_the_second(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, github = tmp_path / "v.txt", tmp_path / "g"
    more = [
        "--json",
        "-o",
        f"md:{tmp_path / 'v.md'}",
        "-o",
        f"text:{text}",
        "-o",
        f"github:{github}",
        "-o",
        f"sarif:{tmp_path / 's.json'}",
    ]
    assert run(command(place, tmp_path, TIGHT, *more)) == 1
    whole = json.loads(capsys.readouterr().out)
    assert [whole[k]["content"]["verdict"] for k in ("verdict_before", "verdict_after")] == ["fail", "fail"]
    assert whole["comparison"]["schema"] == "fairaudit.comparison"
    page = text.read_text()
    assert "\n\nfairaudit compare: " in page
    assert "\n\nfairaudit gate: fail" in page
    order = [
        page.index(s)
        for s in ("before the repair: fail", "no-group-worse by sex", "Verdict: FAIL (exit code 1)")
    ]
    assert order == sorted(order)
    assert [p.count("Bounds are one-sided") for p in (page, (tmp_path / "v.md").read_text())] == [1, 1]
    assert "::error" in github.read_text()
    assert json.loads((tmp_path / "s.json").read_text())["version"] == "2.1.0"


@pytest.mark.parametrize(
    ("more", "message"),
    [(["--policy", "nowhere.toml"], "there is no such file"), (["-o", "junit:x"], "")],
)
def test_the_command_refuses_before_anything_runs(
    more: list[str], message: str, place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("fairaudit_mitigate.preparing.load", refuse("load"))
    given = command(place, tmp_path, LOOSE)
    at = given.index("--policy")
    assert run([*given[:at], *given[at + 2 :], *more]) == 2
    found = capsys.readouterr()
    assert found.err.startswith("error: ")
    assert (message or "-o junit is the form of a verdict; give --policy FILE") in found.err
    assert found.out == ""
    assert [p.name for p in tmp_path.iterdir()] == ["p.toml"]
