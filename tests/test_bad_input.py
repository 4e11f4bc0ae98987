"""Every kind of bad input is one sentence on stderr and exit code 2; nothing is written, no traceback is shown."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from fairaudit_cli.main import run

ROWS = "label,pred,sex,age,score\n" + "1,1,F,20,0.9\n1,0,M,40,0.2\n0,0,F,60,0.1\n0,1,M,30,0.8\n" * 15


@pytest.fixture
def preds(tmp_path: Path) -> Path:
    """A good file, to be spoilt."""
    path = tmp_path / "preds.csv"
    path.write_text(ROWS, encoding="utf-8")
    return path


def text(content: str, name: str = "bad.csv") -> Callable[[Path], str]:
    """Writes a file and names it."""

    def write(folder: Path) -> str:
        (folder / name).write_text(content, encoding="utf-8")
        return name

    return write


def raw(content: bytes, name: str = "bad.csv") -> Callable[[Path], str]:
    """Writes a file of bytes and names it."""

    def write(folder: Path) -> str:
        (folder / name).write_bytes(content)
        return name

    return write


def folder_named_csv(folder: Path) -> str:
    """A folder where a file is expected."""
    (folder / "bad.csv").mkdir()
    return "bad.csv"


def ten_thousand_groups(folder: Path) -> str:
    """An identifier given as an attribute."""
    rows = "".join(f"1,{i % 2},person {i}\n0,0,person {i}\n" for i in range(10_000))
    return text("y_true,y_pred,who\n" + rows)(folder)


def missing(folder: Path) -> str:
    """No file at all."""
    return "nowhere.csv"


FILES: dict[str, tuple[Callable[[Path], str], list[str], list[str]]] = {
    "missing file": (missing, [], ["no such file: nowhere.csv"]),
    "empty file": (text(""), [], ["bad.csv is empty"]),
    "only spaces": (text(" \n \n"), [], ["bad.csv is empty"]),
    "header only": (text("label,pred\n"), [], ["header but no rows"]),
    "duplicate column names": (text("label,pred,label\n1,1,1\n"), [], ["two columns named 'label'"]),
    "ragged": (text("label,pred\n1,1\n1,1,1\n0,1\n"), [], ["line 3", "3 values", "2 columns"]),
    "binary named csv": (raw(bytes(range(256)) * 40), [], ["not text"]),
    "parquet named csv": (raw(b"PAR1" + b"x" * 100), [], ["not text"]),
    "csv named parquet": (text(ROWS, "bad.parquet"), [], ["bad.parquet", "cannot be read as a table"]),
    "gzip that is none": (text(ROWS, "bad.csv.gz"), [], ["bad.csv.gz cannot be read"]),
    "UTF-16": (raw(ROWS.encode("utf-16")), [], ["UTF-16", "save it as UTF-8"]),
    "Latin-1": (raw("label,pred,sex\n1,1,m\xe4nnlich\n".encode("latin-1")), [], ["not UTF-8"]),
    "folder named csv": (folder_named_csv, [], ["holds no file of predictions"]),
    "unknown ending": (text(ROWS, "bad.xlsx"), [], [".csv, .tsv, .jsonl or .parquet"]),
    "broken JSON": (text('{"label": 1, "pred": 1}\n{"label": ', "bad.jsonl"), [], ["bad.jsonl"]),
    "no prediction column": (text("label,sex\n1,F\n0,M\n"), [], ["no prediction column", "--y-pred"]),
    "no label column": (text("pred,sex\n1,F\n0,M\n"), [], ["no label column", "--y-true"]),
    "two label columns": (text("label,target,pred\n1,1,1\n"), [], ["label, target", "--y-true NAME"]),
    "no shared value": (text("label,pred\ncat,0\ndog,1\n"), [], ["share no value", "cat", "0"]),
    "score above one": (text("label,score\n1,0.5\n0,1.5\n"), [], ["[0, 1]", "1.5"]),
    "score below zero": (text("label,score\n1,0.5\n0,-0.1\n"), [], ["[0, 1]", "-0.1"]),
    "score is text": (text("label,score\n1,0.5\n0,high\n"), ["--y-score", "score"], ["must hold numbers", "high"]),
    "missing label": (text("label,pred\n1,1\n,1\n0,0\n"), [], ["1 rows have no label", "--missing-labels drop"]),
    "missing prediction": (text("label,pred\n1,1\n1,\n0,0\n"), [], ["no prediction", "--missing-labels drop"]),
    "probabilities do not sum to one": (
        text("label,prob_a,prob_b\na,0.7,0.3\nb,0.7,0.7\n"), [], ["sum to one", "1.4"]),
    "a class without probability": (
        text("label,prob_a,prob_b\na,0.7,0.3\nc,0.5,0.5\n"), [], ["'c'", "a, b"]),
    "scores named as predictions": (
        text("label,s\n" + "".join(f"{i % 2},0.{i:03d}\n" for i in range(1, 90))), ["--y-pred", "s"],
        ["look like scores", "--y-score"]),
    "negative weight": (text("label,pred,w\n1,1,1\n0,0,-2\n"), ["--weights", "w"], ["1e-6 to 1e6", "-2"]),
    "ten thousand groups": (ten_thousand_groups, ["-s", "who"], ["10000 values", "--max-groups 10000"]),
    "split without test rows": (text("label,pred,split\n1,1,train\n0,0,val\n"), [], ["no rows 'test'", "train, val"]),
    "score for three classes": (
        text("label,score\na,0.5\nb,0.1\nc,0.2\n"), ["--y-score", "score"], ["between two classes", "3"]),
}  # fmt: skip

FLAGS: dict[str, tuple[list[str], list[str]]] = {
    "unknown column, with a suggestion": (["-s", "sez"], ["no column 'sez' in preds.csv", "Did you mean 'sex'?"]),
    "one column in two roles": (["--y-true", "label", "-s", "label"], ["two roles", "--y-true", "--sensitive"]),
    "unknown positive class": (["--y-pred", "pred", "--positive", "yes"], ["no class 'yes'", "0, 1"]),
    "threshold": (["--threshold", "1"], ["--threshold", "(0, 1)"]),
    "cross": (["-s", "sex", "--cross", "2"], ["--cross 2", "needs 2 sensitive attributes"]),
    "cross of nothing": (["-s", "sex", "--cross", "0"], ["--cross must be at least 1"]),
    "level": (["--level", "95"], ["--level", "(0, 1)", "95"]),
    "level zero": (["--level", "0"], ["--level", "(0, 1)"]),
    "min-events": (["--min-events", "2"], ["--min-events", "at least 5"]),
    "min-n": (["--min-n", "0"], ["--min-n"]),
    "bins that fall": (["-s", "age", "--bins", "age=40,20"], ["--bins age", "increase"]),
    "bins without edges": (["-s", "age", "--bins", "age"], ["--bins", "age=0,25,40,60"]),
    "bins of words": (["-s", "sex", "--bins", "sex=1,2"], ["must hold numbers", "'F'"]),
    "agreement": (["-s", "sex", "--agreement", "1:F"], ["--agreement", "1:F"]),
    "agreement with an unknown group": (["-s", "sex", "--agreement", "1=X"], ["no group 'X'"]),
    "missing-labels": (["--missing-labels", "ignore"], ["'error' or 'drop'", "ignore"]),
    "split": (["--split", "test"], ["--split test needs a column 'split'"]),
    "prob-prefix": (["--prob-prefix", "p"], ["--prob-prefix p", "one per class"]),
    "with without on": (["--with", "other.csv"], ["--with FILE and --on COLUMN"]),
    "with a missing file": (["--with", "other.csv", "--on", "label"], ["no such file: other.csv"]),
    "join on a repeated key": (["--with", "preds.csv", "--on", "sex"], ["must name each row once"]),
    "unknown option": (["--sensitiv", "sex"], ["No such option", "report --help"]),
    "a number that is none": (["--cross", "two"], ["--cross", "integer", "report --help"]),
    "unknown output format": (["-o", "pdf:a.pdf"], ["no output format 'pdf'", "json, md, text"]),
    "output without format": (["-o", "a.json"], ["FORMAT:PATH", "a.json"]),
    "output under a file": (["-s", "sex", "-o", "json:preds.csv/a.json"], ["cannot write 'preds.csv/a.json'"]),
    "output is a folder": (["-s", "sex", "-o", "json:."], ["it is a folder"]),
    "one output twice": (["-o", "json:a", "-o", "md:a"], ["twice"]),
}  # fmt: skip


def refused(capfd: pytest.CaptureFixture[str], arguments: list[str], parts: list[str], folder: Path) -> str:
    """Run; expect exit 2, one sentence with these parts, an empty stdout and an unchanged folder."""
    before = sorted(folder.rglob("*"))
    assert run(arguments) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1, err
    assert "Traceback" not in err
    assert all(part in err for part in parts), err
    assert sorted(folder.rglob("*")) == before
    return err


@pytest.mark.parametrize("case", FILES)
def test_bad_file(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    spoil, flags, parts = FILES[case]
    name = spoil(tmp_path)
    refused(capfd, ["report", name, *flags, "-o", "json:out/a.json"], parts, tmp_path)


@pytest.mark.parametrize("case", FLAGS)
def test_bad_flag(
    case: str, preds: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(preds.parent)
    flags, parts = FLAGS[case]
    refused(capfd, ["report", "preds.csv", *flags], parts, preds.parent)


def test_files_of_two_kinds(
    preds: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(preds.parent)
    Path("more.tsv").write_text(ROWS.replace(",", "\t"), encoding="utf-8")
    refused(capfd, ["report", "preds.csv", "more.tsv"], [".csv, .tsv"], preds.parent)


def test_files_with_other_columns(
    preds: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(preds.parent)
    Path("more.csv").write_text(ROWS.replace("age", "years"), encoding="utf-8")
    refused(
        capfd,
        ["report", "preds.csv", "more.csv"],
        ["more.csv has other columns than preds.csv"],
        preds.parent,
    )


def test_columns_of_a_dataframe_twice() -> None:
    import fairaudit

    frame = pd.DataFrame([[1, 1, 0]], columns=["label", "pred", "pred"])
    with pytest.raises(fairaudit.FairauditError, match="two columns named 'pred'"):
        fairaudit.audit(frame)


COMPARE: dict[str, tuple[str, list[str], list[str]]] = {
    "no id": ("label,pred\n1,1\n0,0\n", [], ["--id"]),
    "unknown id": ("label,pred\n1,1\n0,0\n", ["--id", "row"], ["no column 'row'"]),
    "ids that repeat": ("id,label,pred\na,1,1\na,0,0\n", [], ["must name each row once", "2 rows and 1 ids"]),
    "labels that differ": ("id,label,pred\na,1,1\nb,1,1\n", [], ["1 rows have different labels", "id b"]),
    "no shared row": ("id,label,pred\nx,1,1\ny,0,0\n", [], ["nothing to compare"]),
}


@pytest.mark.parametrize("case", COMPARE)
def test_bad_comparison(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    content, flags, parts = COMPARE[case]
    Path("before.csv").write_text("id,label,pred\na,1,1\nb,0,0\n", encoding="utf-8")
    Path("after.csv").write_text(content, encoding="utf-8")
    refused(capfd, ["compare", "before.csv", "after.csv", *flags, "-o", "md:c.md"], parts, tmp_path)


def test_an_audit_against_predictions(
    preds: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(preds.parent)
    assert run(["report", "preds.csv", "-s", "sex", "--y-pred", "pred", "-o", "json:a.json"]) == 0
    capfd.readouterr()
    refused(capfd, ["compare", "a.json", "preds.csv"], ["not one of each"], preds.parent)


def test_a_truncated_audit(
    preds: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(preds.parent)
    assert run(["report", "preds.csv", "-s", "sex", "--y-pred", "pred", "-o", "json:a.json"]) == 0
    whole = Path("a.json").read_text(encoding="utf-8")
    Path("a.json").write_text(whole[: len(whole) // 2], encoding="utf-8")
    capfd.readouterr()
    refused(capfd, ["compare", "a.json", "a.json"], ["not a fairaudit.audit file"], preds.parent)


def test_several_outputs_are_all_written_or_none(
    preds: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(preds.parent)
    flags = ["--y-pred", "pred", "-s", "sex", "-o", "json:a.json", "-o", "md:preds.csv/a.md"]
    refused(capfd, ["report", "preds.csv", *flags], ["cannot write"], preds.parent)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_full_disk(preds: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(preds.parent)
    flags = ["--y-pred", "pred", "-s", "sex", "-o", "md:a.md", "-o", "json:/dev/full"]
    refused(
        capfd, ["report", "preds.csv", *flags], ["cannot write '/dev/full'", "No space left"], preds.parent
    )
    assert Path("/dev/full").is_char_device()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_full_standard_output(preds: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*FAIRAUDIT, "report", str(preds), "--y-pred", "pred", "-s", "sex"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr.startswith("error: cannot write to standard output: No space left")
    assert done.stderr.count("\n") == 1


FAIRAUDIT = (sys.executable, "-c", "from fairaudit_cli.main import main; main()")


def test_interrupt_is_exit_130(tmp_path: Path) -> None:
    """Ctrl-C while rows are read: 130, one sentence, nothing left in the folder for temporary files."""
    spool = tmp_path / "spool"
    spool.mkdir()
    waiting = subprocess.Popen(
        [*FAIRAUDIT, "report", "-", "-o", "json:a.json"], cwd=tmp_path, env=os.environ | {"TMPDIR": str(spool)},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert waiting.stdin is not None
    waiting.stdin.write(b"label,pred\n1,1\n0,0\n")
    waiting.stdin.flush()
    for _ in range(600):  # until it waits for the rest of the rows
        if any(spool.iterdir()) or waiting.poll() is not None:
            break
        time.sleep(0.05)
    waiting.send_signal(signal.SIGINT)
    out, err = waiting.communicate(timeout=60)
    assert waiting.returncode == 130
    assert out == b""
    assert err.decode().startswith("error: interrupted")
    assert b"Traceback" not in err
    assert [p.name for p in tmp_path.iterdir()] == ["spool"]
    assert not any(spool.iterdir())


def test_a_reader_that_leaves_is_no_error(preds: Path) -> None:
    main = "from fairaudit_cli.main import main; main()"
    piped = f'set -o pipefail; "$0" -c "{main}" report {preds} --y-pred pred -s sex | head -1'
    done = subprocess.run(["bash", "-c", piped, sys.executable], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("fairaudit report")
    assert done.stderr == ""


def test_an_unexpected_fault_is_one_sentence(
    preds: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("float division by zero")

    monkeypatch.setattr("fairaudit.auditing.audit", broken)
    err = refused(capfd, ["report", str(preds)], ["ZeroDivisionError", "FAIRAUDIT_DEBUG=1"], preds.parent)
    assert "fault of fairaudit" in err
    monkeypatch.setenv("FAIRAUDIT_DEBUG", "1")
    assert run(["report", str(preds)]) == 2
    assert "Traceback" in capfd.readouterr().err


@pytest.mark.parametrize("arguments", [["reprot", "a.csv"], ["report"], ["schema", "audits"]])
def test_bad_usage(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    refused(capfd, arguments, [], tmp_path)
