"""What each command loads: nothing that it does not need. Times are the benchmarks' business."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import typer
from cases import binary

from fairaudit_cli import main

#: Only where they are asked for: a repair, a figure, a dataframe, a cluster.
HEAVY = {"torch", "transformers", "peft", "accelerate", "sklearn", "fairlearn", "scipy.stats", "scipy.optimize",
         "matplotlib", "pandas", "pyarrow", "polars", "narwhals", "pyspark", "dask"}  # fmt: skip
#: What is dear beside numpy: the terminal's markup, the conversion of flags, the whole of scipy's special functions.
DEAR = {"rich", "pydantic", "scipy.special"}
POLICY = """schema = 1
[data]
y_true = "label"
y_pred = "pred"
positive = "1"
sensitive = ["sex"]
[[rule]]
id = "found"
metric = "tpr"
by = ["sex"]
max_difference = 0.2
"""
#: The exit code, then every module; at the end, because a command may load as it prints.
RUN = """
import sys
from fairaudit_cli.main import main
try:
    main()
except SystemExit as stop:
    code = stop.code
"""
TELL = "print(code, *sorted(sys.modules), file=sys.stderr)"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("startup")
    table = binary()
    table.to_csv(found / "preds.csv", index=False)
    table.assign(score=[(i % 97) / 97 for i in range(len(table))]).drop(columns="pred").to_csv(
        found / "scores.csv", index=False
    )
    (found / "fairaudit.toml").write_text(POLICY, encoding="utf-8")
    return found


def loaded(folder: Path, *arguments: str, code: str = RUN + TELL) -> tuple[int, set[str]]:
    """The exit code of a command in a process of its own, and the modules it ended with."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    exit_code, *modules = done.stderr.splitlines()[-1].split()
    return int(exit_code), set(modules)


@pytest.mark.parametrize(
    ("arguments", "code", "absent"),
    [
        ("--help", 0, DEAR | {"numpy", "duckdb", "fairaudit_cli.report"}),
        ("--version", 0, DEAR | {"numpy", "duckdb", "fairaudit_cli.report"}),
        ("report --help", 0, {"numpy", "duckdb", "fairaudit_cli.gate", "fairaudit_mitigate"}),
        ("mitigate --help", 0, {"numpy", "duckdb", "fairaudit_cli.report"}),
        ("schema audit", 0, DEAR | {"numpy", "duckdb", "jsonschema"}),
        ("explain eod", 0, DEAR | {"duckdb", "jsonschema"}),
        ("explain --policy fairaudit.toml", 0, DEAR | {"duckdb"}),
        ("plan --rate 0.3 --groups 4 --min-ratio 0.8", 0, {"duckdb", "jsonschema", "rich"}),
        ("report preds.csv -s sex", 0, DEAR | {"jsonschema", "fairaudit.report.gate_page", "fairaudit.comparing"}),
        ("report scores.csv -s sex --json", 0, DEAR | {"jsonschema", "fairaudit.report"}),
        ("report preds.csv -s sex --seed 1", 0, DEAR - {"pydantic"}),
        ("report preds.csv -s sex -o md:report.md", 0, DEAR | {"jsonschema", "fairaudit.report.gate_page"}),
        ("gate preds.csv", 1, DEAR | {"fairaudit.report.junit", "xml"}),
    ],
)  # fmt: skip
def test_a_command_loads_only_its_own(folder: Path, arguments: str, code: int, absent: set[str]) -> None:
    found, modules = loaded(folder, *arguments.split())
    assert found == code
    assert modules & (HEAVY | absent) == set()


def test_the_package_alone_loads_nothing(folder: Path) -> None:
    code, modules = loaded(folder, code=f"import sys, fairaudit; code = 0; {TELL}")
    assert code == 0
    assert modules & (HEAVY | DEAR | {"numpy", "duckdb", "jsonschema", "typer"}) == set()
    assert {m for m in modules if m.startswith("fairaudit")} == {"fairaudit"}


GROUP = typer.main.get_command(main.app)
CONTEXT = typer.Context(GROUP)


@pytest.mark.parametrize("name", GROUP.list_commands(CONTEXT))
def test_the_help_says_what_the_docstring_says(name: str) -> None:
    command = GROUP.get_command(CONTEXT, name)
    assert main.summary(name) == " ".join(command.help.split("\n\n")[0].split())
    assert main.summary(name)


def test_a_program_without_sources_still_has_its_help(monkeypatch: pytest.MonkeyPatch) -> None:
    told = main.summary("schema")
    monkeypatch.setattr("importlib.machinery.SourceFileLoader.get_source", lambda self, name: None)
    assert main.summary("schema") == told


def test_commands_without_a_file_are_not_listed(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(main, "COMMANDS", ("schema", "nowhere", "report"))
    assert main.run(["--help"]) == 0
    listed = [line.split()[0] for line in capfd.readouterr().out.partition("Commands:\n")[2].splitlines()
              if line[2:3].strip()]  # fmt: skip
    assert listed == ["schema", "report"]
    assert main.run(["nowhere"]) == 2
    assert capfd.readouterr().err == "error: No such command 'nowhere'. See fairaudit --help.\n"


def test_no_command_at_all_shows_the_help(capfd: pytest.CaptureFixture[str]) -> None:
    assert main.run([]) == 2
    out, err = capfd.readouterr()
    assert "Commands:" in out
    assert err == "error: a command is needed; `fairaudit --help` lists them.\n"


def test_a_misspelt_command_is_recognised(capfd: pytest.CaptureFixture[str]) -> None:
    assert main.run(["reprot"]) == 2
    assert capfd.readouterr().err == (
        "error: No such command 'reprot'. Did you mean 'report'? See fairaudit --help.\n"
    )


def test_the_special_functions_are_scipys(folder: Path) -> None:
    """Also for who loads scipy afterwards: one set of functions, and all of the package."""
    code = (
        "import sys, fairaudit.special as ours; ours.load_alone(); ours.ndtr;"
        "alone = 'scipy.special' not in sys.modules;"
        "import scipy.special as theirs, scipy.stats;"
        "same = all(getattr(ours, n) is getattr(theirs, n) for n in ('betaincinv', 'ndtr', 'stdtr', 'stdtrit'));"
        "whole = abs(scipy.stats.norm.cdf(1.0) - theirs.ndtr(1.0)) < 1e-12 and theirs.expit(0.0) == 0.5;"
        f"code = int(not (alone and same and whole)); {TELL}"
    )
    assert loaded(folder, code=code)[0] == 0


def test_in_somebody_elses_process_the_package_gives_them(folder: Path) -> None:
    code = f"import sys, fairaudit.special as ours; code = int(abs(ours.ndtr(0.0) - 0.5) > 1e-12); {TELL}"
    found, modules = loaded(folder, code=code)
    assert found == 0
    assert "scipy.special" in modules


#: A scipy whose compiled functions cannot be had without the package.
ELSEWHERE = """
import importlib.abc, sys
class Elsewhere(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == "scipy.special._ufuncs" and not hasattr(sys.modules["scipy.special"], "__file__"):
            raise ImportError(name)
sys.meta_path.insert(0, Elsewhere())
"""


@pytest.mark.parametrize(
    "before",
    [
        "import scipy.special",
        "import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()",
        ELSEWHERE,
    ],
    ids=["loaded before", "several threads", "another layout"],
)
def test_where_they_cannot_be_had_alone_the_package_gives_them(folder: Path, before: str) -> None:
    ask = "import sys, fairaudit.special as ours; ours.load_alone(); code = int(abs(ours.ndtr(0.0) - 0.5) > 1e-12)"
    code = f"{before}\n{ask}; {TELL}"
    found, modules = loaded(folder, code=code)
    assert found == 0
    assert "scipy.special" in modules
