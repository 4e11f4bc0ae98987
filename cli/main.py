"""`fairaudit`: the commands, and the one place where errors become a sentence and an exit code."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Annotated

import typer
import typer.main

from fairaudit.errors import FairauditError, did_you_mean

#: In the order of the help. A command is the function of this name in the file of this name.
COMMANDS = ("report", "gate", "compare", "plan", "init", "tabulate", "merge", "predict", "mitigate", "sweep",
            "demo", "card", "explain", "schema", "doctor")  # fmt: skip
#: What the extra `mitigate` brings.
EXTRA = ("accelerate", "fairlearn", "peft", "PIL", "safetensors", "sklearn", "torch", "transformers")
DONE, ERROR, INTERRUPTED = 0, 2, 130

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


def _version(asked: bool) -> None:
    if asked:
        from fairaudit import __version__

        typer.echo(f"fairaudit {__version__}")
        raise typer.Exit


@app.callback()
def _fairaudit(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Audit a classifier for fairness with error bars, repair it, and prove the repair."""


for _name in COMMANDS:
    if find_spec(f"fairaudit_cli.{_name}") is not None:
        app.command(_name)(getattr(import_module(f"fairaudit_cli.{_name}"), _name))


def main() -> None:
    """Run the command line and exit."""
    with contextlib.suppress(
        AttributeError, ValueError
    ):  # a terminal without UTF-8 shows `?`, it does not fail
        sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
        sys.stderr.reconfigure(errors="replace")  # type: ignore[union-attr]
    raise SystemExit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command and return the exit code.

    Every failure is one sentence on stderr; only the environment's FAIRAUDIT_DEBUG=1 adds the traceback.
    """
    try:
        group = typer.main.get_command(app)
        code = group.main(args=list(arguments), prog_name="fairaudit", standalone_mode=False)
        if code == INTERRUPTED:  # typer has turned Ctrl-C into this
            raise KeyboardInterrupt
        return code if isinstance(code, int) else DONE
    except KeyboardInterrupt:
        return _fail("interrupted; nothing half-written is left.", INTERRUPTED)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else ERROR
    except Exception as error:
        return _failed(error)


def _failed(error: Exception) -> int:
    """The sentence of an exception, and its exit code."""
    if type(error).__name__ == "Abort":
        return _fail("interrupted; nothing half-written is left.", INTERRUPTED)
    if os.environ.get("FAIRAUDIT_DEBUG"):
        traceback.print_exception(error, file=sys.stderr)
    if isinstance(error, FairauditError):
        return _fail(str(error), ERROR)
    if hasattr(error, "format_message"):  # typer's usage errors
        return _fail(_usage(error), ERROR)
    if isinstance(error, ModuleNotFoundError) and error.name in EXTRA:
        sentence = (
            f"this command needs {error.name}; install the extra: pip install 'fairaudit-toolkit[mitigate]'."
        )
        return _fail(sentence, ERROR)
    if isinstance(error, OSError):
        where = f" '{error.filename}'" if error.filename else ""
        return _fail(f"the system refused{where}: {error.strerror or error}; mend that and run again.", ERROR)
    said = str(error).strip().split("\n")[0] or "no message"
    return _fail(
        f"unexpected {type(error).__name__}: {said}; this is a fault of fairaudit, FAIRAUDIT_DEBUG=1 shows where.",
        ERROR,
    )


def _usage(error: Exception) -> str:
    """A usage error as one sentence; an empty one means that help was shown."""
    said = " ".join(str(error.format_message()).split()).rstrip(".")  # type: ignore[attr-defined]
    context = getattr(error, "ctx", None)
    hint = ""
    if said.startswith("No such command"):
        hint = did_you_mean(said.split("'")[1] if "'" in said else "", COMMANDS)
        said = said.split(". Did you mean")[0]
    if not said:
        return "a command is needed; `fairaudit --help` lists them."
    return f"{said}.{hint} See {context.command_path if context is not None else 'fairaudit'} --help."


def _fail(sentence: str, code: int) -> int:
    with contextlib.suppress(OSError):
        sys.stderr.write(f"error: {sentence}\n")
    return code
