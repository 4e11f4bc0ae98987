"""`fairaudit`: the commands, and the one place where errors become a sentence and an exit code."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from inspect import cleandoc
from typing import Annotated, Any

import typer
import typer.main
from typer.core import TyperGroup

from fairaudit.errors import FairauditError, did_you_mean
from fairaudit.special import load_alone
from fairaudit_cli.flags import without_conversion

#: In the order of the help. A command is the function of this name in the file of this name, imported when called.
COMMANDS = ("report", "gate", "compare", "plan", "init", "tabulate", "merge", "predict", "mitigate", "sweep",
            "demo", "card", "explain", "schema", "doctor")  # fmt: skip
#: What the extra `mitigate` brings.
EXTRA = ("accelerate", "fairlearn", "peft", "PIL", "safetensors", "sklearn", "torch", "transformers")
DONE, ERROR, INTERRUPTED = 0, 2, 130


class Commands(TyperGroup):
    """The group of every command: it knows their names and first sentences without importing them."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The commands whose file is there, in the order of COMMANDS."""
        return present()

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of this name, its file imported now; None where there is none."""
        if cmd_name not in self.commands and cmd_name in present():
            alone = typer.Typer(add_completion=False)
            function = _function(cmd_name)
            alone.command(cmd_name)(function)
            self.commands[cmd_name] = without_conversion(typer.main.get_command(alone), function)
        return self.commands.get(cmd_name)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Each command with the first paragraph of its docstring."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary(name)) for name in present()])


def present() -> list[str]:
    """The names in COMMANDS that have a file."""
    return [name for name in COMMANDS if find_spec(f"fairaudit_cli.{name}") is not None]


def _function(name: str) -> Callable[..., Any]:
    found: Callable[..., Any] = getattr(import_module(f"fairaudit_cli.{name}"), name)
    return found


def summary(name: str) -> str:
    """The first paragraph of a command's docstring, read from its source: importing all of them takes longer."""
    spec = find_spec(f"fairaudit_cli.{name}")
    source = getattr(spec.loader, "get_source", lambda _: None)(spec.name) if spec else None
    found = re.search(rf'^def {name}\(.*?"""(.+?)"""', source or "", re.DOTALL | re.MULTILINE)
    text = found[1] if found else _function(name).__doc__ or ""  # a frozen program has no source
    return " ".join(cleandoc(text).split("\n\n")[0].split())


# Without markup the list of commands is plain text and rich stays unloaded; a command's own help has its panels.
app = typer.Typer(cls=Commands, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


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


def main() -> None:
    """Run the command line and exit."""
    load_alone()
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
        group = without_conversion(typer.main.get_command(app), _fairaudit)
        code = group.main(args=list(arguments) or ["--help"], prog_name="fairaudit", standalone_mode=False)
        if not arguments:
            return _fail("a command is needed; `fairaudit --help` lists them.", ERROR)
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
        import traceback

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
    """A usage error as one sentence."""
    said = " ".join(str(error.format_message()).split()).rstrip(".")  # type: ignore[attr-defined]
    context = getattr(error, "ctx", None)
    hint = ""
    if said.startswith("No such command"):
        hint = did_you_mean(said.split("'")[1] if "'" in said else "", present())
        said = said.split(". Did you mean")[0]
    return f"{said}.{hint} See {context.command_path if context is not None else 'fairaudit'} --help."


def _fail(sentence: str, code: int) -> int:
    with contextlib.suppress(OSError):
        sys.stderr.write(f"error: {sentence}\n")
    return code


if __name__ == "__main__":  # python -m fairaudit_cli.main: what torchrun can start
    main()
