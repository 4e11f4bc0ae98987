"""`fairaudit report`, as a user runs it."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from cases import binary

import fairaudit
from fairaudit.schema import check
from fairaudit_cli.main import run

SHARED = Path(__file__).parents[2] / "shared" / "data" / "tabular"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with one file of predictions."""
    monkeypatch.chdir(tmp_path)
    binary().to_csv("preds.csv", index=False)
    return tmp_path


def report(capfd: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Standard output of a report that succeeds."""
    assert run(["report", *arguments]) == 0
    return capfd.readouterr().out


def content(capfd: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    """The content of `--json`."""
    found: dict[str, Any] = json.loads(report(capfd, *arguments, "--json"))["content"]
    return found


def test_it_prints_a_report_that_fits_and_ends_with_the_next_command(
    capfd: pytest.CaptureFixture[str],
) -> None:
    shown = report(capfd, "preds.csv", "-s", "sex", "-s", "race")
    assert max(map(len, shown.splitlines())) <= 80
    assert "\x1b" not in shown
    assert shown.rstrip().splitlines()[-2:] == [
        "    fairaudit mitigate MODEL DATA --method fairlora --audit audit.json \\",
        "      --out repaired",
    ]


def test_json_is_the_audit_and_follows_the_schema(capfd: pytest.CaptureFixture[str]) -> None:
    written = json.loads(report(capfd, "preds.csv", "-s", "sex", "--json"))
    check(written, "audit")
    assert written["content"] == fairaudit.audit("preds.csv", sensitive=["sex"]).content()


def test_outputs_go_to_new_folders_and_say_so(capfd: pytest.CaptureFixture[str]) -> None:
    assert (
        run(
            [
                "report",
                "preds.csv",
                "-s",
                "sex",
                "-o",
                "json:out/a.json",
                "-o",
                "md:out/b/a.md",
                "-o",
                "text:a.txt",
            ]
        )
        == 0
    )
    out, err = capfd.readouterr()
    assert Path("a.txt").read_text(encoding="utf-8") == out
    assert Path("out/b/a.md").read_text(encoding="utf-8").startswith("# fairaudit report: preds.csv")
    assert fairaudit.Audit.from_json(Path("out/a.json").read_text(encoding="utf-8")).positive == "1"
    assert "--audit out/a.json" in out
    assert err.splitlines() == ["wrote out/a.json", "wrote out/b/a.md", "wrote a.txt"]
    assert not list(Path().rglob("*.part"))


def test_an_output_replaces_the_file_that_was_there(capfd: pytest.CaptureFixture[str]) -> None:
    Path("a.json").write_text("old", encoding="utf-8")
    report(capfd, "preds.csv", "-s", "sex", "-o", "json:a.json")
    assert json.loads(Path("a.json").read_text(encoding="utf-8"))["schema"] == "fairaudit.audit"


def test_an_output_may_be_a_device(capfd: pytest.CaptureFixture[str]) -> None:
    report(capfd, "preds.csv", "-s", "sex", "-o", "json:/dev/null")
    assert Path("/dev/null").is_char_device()


def test_what_was_found_is_said_with_the_command_that_pins_it(capfd: pytest.CaptureFixture[str]) -> None:
    shown = report(capfd, "preds.csv")
    assert "Found by name, not named by you: y_true = label, y_pred = pred, sensitive =" in shown
    command = "fairaudit report preds.csv --y-true label --y-pred pred --positive 1 -s sex -s race"
    assert command in " ".join(shown.replace("\\\n", " ").split())
    assert run(["report", "preds.csv", "--json"]) == 0
    assert (
        "found by name: y_true, y_pred, sensitive, positive; to pin: fairaudit report"
        in capfd.readouterr().err
    )


FRAME = binary().assign(
    score=[0.125 * (i % 9) for i in range(400)], w=1.5, person=[i // 2 for i in range(400)],
    fold=["test x", "test x", "train", "train"] * 100, age=[i % 70 for i in range(400)],
    member=[1, 0, 0, 0] * 100, loss=0.5,
)  # fmt: skip
EVERYTHING = (
    "-s sex -s race -s age --bins age=-5,0.5,40 --weights w --cluster person --split 'fold=test x' --positive 0 "
    "--na Asian --agreement 0=F,1=M --min-n 5 --min-events 7 --level 0.9 --max-groups 99 --missing-labels drop"
)
PINNED = {
    "predictions": (FRAME[["label", "pred", "sex"]], ""),
    "score": (FRAME[["label", "score", "sex", "race"]], "--threshold 0.25 --cross 2"),
    "probabilities": (FRAME[["label", "sex"]].assign(prob_0=0.25, prob_1=0.75), "--seed 7"),
    "named prefix": (FRAME[["label", "sex"]].assign(q0=0.25, q1=0.75), "--prob-prefix q"),
    "names with spaces": (FRAME[["label", "pred", "sex"]].rename(columns={"sex": "my sex's"}), "-s \"my sex's\""),
    "everything": (FRAME.drop(columns="score"), EVERYTHING),
    "all rows": (FRAME[["label", "pred", "sex"]].assign(split=["test", "val"] * 200), "--split all"),
    "test rows": (FRAME[["label", "pred", "sex"]].assign(split=["test", "val"] * 200), ""),
}  # fmt: skip


@pytest.mark.parametrize("case", PINNED)
def test_the_pinned_command_reads_the_same_and_detects_nothing(
    case: str, capfd: pytest.CaptureFixture[str]
) -> None:
    frame, flags = PINNED[case]
    frame.to_csv("p q.csv", index=False)
    assert run(["report", "p q.csv", *shlex.split(flags), "--json"]) == 0
    out, err = capfd.readouterr()
    before = json.loads(out)["content"]
    command = err.split("to pin: ")[1]
    after = content(capfd, *shlex.split(command)[2:])
    assert after["data"].pop("detected") == []
    assert before["data"].pop("detected") != []
    assert after == before


def test_every_input_flag_reaches_the_audit(capfd: pytest.CaptureFixture[str]) -> None:
    FRAME.rename(columns={"label": "yt", "pred": "yp", "loss": "l", "member": "m"}).to_csv(
        "p.csv", index=False
    )
    flags = (
        "--y-true yt --y-pred yp --y-score score -s sex -s age --bins age=20,40 --cross 2 --weights w --loss l "
        "--member m --cluster person --split fold=train --agreement 1=F --positive 1 --level 0.9 --min-events 6 "
        "--min-n 40 --seed 3 --interval clopper-pearson"
    )
    found = content(capfd, "p.csv", *flags.split())
    assert found["data"]["columns"] == {
        "y_true": "yt", "y_pred": "yp", "y_score": "score", "weights": "w", "loss": "l", "member": "m",
        "cluster": "person", "split": "fold", "sensitive": ["sex", "age"],
    }  # fmt: skip
    assert found["data"]["rows"] == 200
    assert found["settings"] == {"level": 0.9, "min_events": 6, "min_n": 40, "interval": "clopper-pearson"}
    assert found["seed"] == 3
    assert {e["by"] for e in found["estimates"]} == {"overall", "class", "sex", "age", "sex&age"}
    assert {"loss_variance", "roc_auc", "membership_advantage", "sensitive_accuracy"} <= {
        e["metric"] for e in found["estimates"]
    }


def test_labels_in_another_file(capfd: pytest.CaptureFixture[str]) -> None:
    binary()[["id", "pred"]].to_csv("only.csv", index=False)
    binary().drop(columns="pred").sample(frac=1, random_state=0).to_parquet("labels.parquet")
    found = content(capfd, "only.csv", "--with", "labels.parquet", "--on", "id", "-s", "sex", "-s", "race")
    assert found == content(capfd, "preds.csv", "-s", "sex", "-s", "race")


def test_several_files(capfd: pytest.CaptureFixture[str]) -> None:
    binary()[:150].to_csv("one.csv", index=False)
    binary()[150:].to_csv("two.csv", index=False)
    assert content(capfd, "two.csv", "one.csv", "-s", "sex") == content(capfd, "preds.csv", "-s", "sex")


def test_colour_only_on_a_terminal(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = report(capfd, "preds.csv", "-s", "sex")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    coloured = report(capfd, "preds.csv", "-s", "sex")
    monkeypatch.setenv("NO_COLOR", "1")
    assert report(capfd, "preds.csv", "-s", "sex") == plain
    assert "\x1b[" in coloured


@pytest.mark.skipif(not SHARED.exists(), reason="no ../shared/data here")
@pytest.mark.parametrize("model", ["lightgbm", "fairgbm", "group_threshold", "constant"])
def test_real_predictions(model: str, capfd: pytest.CaptureFixture[str]) -> None:
    flags = [
        "--with",
        str(SHARED / "ACSIncome.test.parquet"),
        "--on",
        "index",
        "--y-true",
        "PINCP",
        "-s",
        "SEX",
        "-s",
        "RAC1P",
    ]
    path = SHARED / f"acsincome_pred_{model}.parquet"
    shown = report(capfd, str(path), *flags, "-o", "json:a.json")
    assert "332,900 (every row)" in shown
    assert "SEX (2 groups), RAC1P (9 groups)" in shown
    assert ("every row is predicted as class 1" in shown) == (model == "constant")
    saved = fairaudit.Audit.from_json(Path("a.json").read_text(encoding="utf-8"))
    labels, predictions = (
        pd.read_parquet(p).reset_index().set_index("index")[column]
        for p, column in ((SHARED / "ACSIncome.test.parquet", "PINCP"), (path, "predictions"))
    )
    right = (predictions.astype(int).reindex(labels.index) == labels.astype(int)).mean()
    assert saved.estimate("accuracy").value == pytest.approx(right, abs=1e-12)
