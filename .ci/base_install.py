"""Check an installation without extras: it is the installed one, has no torch, and audits a file."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import fairaudit

ROWS = "label,prediction,sex\n" + "1,1,F\n1,0,F\n0,0,F\n0,1,F\n1,1,M\n1,1,M\n0,0,M\n0,0,M\n" * 20


def main() -> None:
    """Fail with a sentence unless the base installation works on its own."""
    assert Path(fairaudit.__file__).is_relative_to(sys.prefix), f"imported from {fairaudit.__file__}"
    assert importlib.util.find_spec("torch") is None, "the base installation brought torch along"
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder, "preds.csv")
        table.write_text(ROWS, encoding="utf-8")
        command = [str(Path(sys.prefix, "bin", "fairaudit")), "report", str(table)]
        roles = ["--y-true", "label", "--y-pred", "prediction", "--positive", "1", "-s", "sex", "--json"]
        run = subprocess.run([*command, *roles], cwd=folder, capture_output=True, text=True, check=False)
    assert run.returncode == 0, f"fairaudit report ended with {run.returncode}: {run.stderr}"
    content = json.loads(run.stdout)["content"]
    assert content["data"]["rows"] == 160, content["data"]
    print(f"fairaudit {fairaudit.__version__}: {len(content['estimates'])} estimates, without torch")


main()
