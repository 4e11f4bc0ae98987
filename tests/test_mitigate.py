"""The commands `predict` and `mitigate`: exit codes, what goes to which stream, what is left behind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("peft")

import models

from fairaudit_cli.main import run


def test_predict_then_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, data = models.save_model("vit", tmp_path / "m"), models.save_images(tmp_path / "d")
    out = str(tmp_path / "p.parquet")
    assert run(["predict", str(model), str(data), "-o", out, "-s", "place"]) == 0
    found = capsys.readouterr()
    assert found.out.startswith(f"120 predictions in {out}")
    assert f"next: fairaudit report {out} -s place" in found.err
    assert run(["report", out, "-s", "place", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["content"]["data"]["rows"] == 40


def test_mitigate_from_a_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, data = models.save_model("vit", tmp_path / "m"), models.save_images(tmp_path / "d")
    out = tmp_path / "out"
    options = [
        "--epochs",
        "4",
        "--batch-size",
        "20",
        "--lr",
        "0.02",
        "-s",
        "place",
        "-o",
        f"md:{tmp_path / 'c.md'}",
    ]
    assert run(["mitigate", str(model), str(data), "--out", str(out), *options]) == 0
    found = capsys.readouterr()
    assert "accuracy by place, worst group first" in found.out.lower()
    assert "LoRA on 12 modules" in found.err
    assert (tmp_path / "c.md").read_text() == (out / "comparison.md").read_text()
    assert run(["predict", str(out / "adapter"), str(data), "-o", str(tmp_path / "p.parquet")]) == 0


def test_list_explains_the_methods(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["mitigate", "--list"]) == 0
    found = capsys.readouterr().out
    from fairaudit_mitigate.methods import METHODS

    paragraphs = dict(p.split("\n", 1) for p in found.strip().split("\n\n"))
    assert list(paragraphs) == list(METHODS)
    assert all(m.about in paragraphs[name] and m.needs in paragraphs[name] for name, m in METHODS.items())
    assert "--lr 0.001, --penalty 0.1" in paragraphs["fairlora"]
    assert "--penalty" not in paragraphs["lora"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--method", "fairlaro"], "Did you mean 'fairlora'"),
        (["--out", "."], "exists"),
        (["-o", "pdf:x"], "no output format 'pdf'"),
        (["--device", "gpu7"], "no device 'gpu7'"),
    ],
)
def test_bad_options_are_one_sentence(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, data = models.save_model("bert", tmp_path / "m"), models.save_texts(tmp_path / "d.csv")
    given = ["mitigate", str(model), str(data), "-s", "sex", "--epochs", "1", "--out", str(tmp_path / "out")]
    assert run([*given, *arguments]) == 2
    found = capsys.readouterr()
    last = found.err.strip().splitlines()[-1]
    assert last.startswith("error: ")
    assert message in last
    assert found.out == ""
    assert not (tmp_path / "out").exists()


def test_an_interrupt_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:

    def interrupted(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr("fairaudit_mitigate.fit.fit", interrupted)
    model, data = models.save_model("bert", tmp_path / "m"), models.save_texts(tmp_path / "d.csv")
    assert run(["mitigate", str(model), str(data), "-s", "sex", "--out", str(tmp_path / "out")]) == 130
    assert "Traceback" not in capsys.readouterr().err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["d.csv", "m"]


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    """A limit on the size of files stands in for the disk: the weights do not fit."""
    resource = pytest.importorskip("resource")

    def small() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (8_000, 8_000))

    model, data = models.save_model("vit", tmp_path / "m"), models.save_images(tmp_path / "d", n=20)
    code = "import signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); from fairaudit_cli.main import run; "
    code += "sys.exit(run(sys.argv[1:]))"
    given = [
        "mitigate",
        str(model),
        str(data),
        "--method",
        "fft",
        "--max-steps",
        "1",
        "--out",
        str(tmp_path / "out"),
    ]
    done = subprocess.run(
        [sys.executable, "-c", code, *given], preexec_fn=small, capture_output=True, text=True, check=False
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.strip().splitlines()[-1].startswith("error: cannot write")
    assert "Traceback" not in done.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["d", "m"]


def test_importing_the_package_does_not_import_torch() -> None:
    code = "import sys, fairaudit_mitigate; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
