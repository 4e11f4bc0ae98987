"""The flags of `mitigate` that only the method `threshold` reads, and those it does not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer

from fairaudit.errors import FairauditError
from fairaudit_cli.flags import with_flags

_PANEL = "Thresholds (--method threshold)"
#: What else that method reads.
_ALSO = {"model", "data", "out", "method", "positive", "sensitive", "y_true", "id_", "split_column", "cluster", "seed",
         "outputs", "json"}  # fmt: skip
#: What applying a rule reads.
_OF_RULE = {"model", "out", "method", "rule", "id_", "y_score", "y_pred", "threshold", "new_groups"}


def _in(text: str, metavar: str | None = None, flag: str | None = None) -> Any:
    names = (flag,) if flag else ()
    return typer.Option(*names, metavar=metavar, help=text, rich_help_panel=_PANEL)


def _flags(
    y_score: Annotated[str | None, _in("Probability of the positive class.", "COL")] = None,
    y_pred: Annotated[str | None, _in("Predictions before.", "COL")] = None,
    threshold: Annotated[float, _in("Without these: scores from here up are positive.", "P")] = 0.5,
    constraint: Annotated[str, _in("What is to be equal, in fairlearn's words.", "NAME")] = "equalized_odds",
    objective: Annotated[str, _in("What is to be as high as that allows.", "NAME")] = "accuracy_score",
    new_groups: Annotated[
        str, _in("Groups without a threshold: stop, or keep predictions.", "error|keep")
    ] = "error",
    rule: Annotated[str | None, _in("Apply this rule.json; --out is then a file.", "FILE")] = None,
) -> None:
    """Only its signature is used."""


def sets_thresholds(command: Callable[..., None]) -> Callable[..., None]:
    """The command with these flags after its own, given to it as the mapping `thresholds`."""
    return with_flags(command, _flags, dict, "thresholds")


def check_flags(ctx: typer.Context, method: str, thresholds: Mapping[str, Any]) -> None:
    """Raise FairauditError for a flag on the command line that this method does not read."""
    stated = {
        p.name: p.opts[0]
        for p in ctx.command.params
        if p.name
        and (source := ctx.get_parameter_source(p.name)) is not None
        and source.name == "COMMANDLINE"
    }
    ours = set(thresholds)
    if method != "threshold":
        strange, why = [n for n in stated if n in ours], "of --method threshold only"
    elif thresholds["rule"] is not None:
        strange, why = (
            [n for n in stated if n not in _OF_RULE],
            "not read with --rule, which holds what was fitted",
        )
    else:
        strange, why = [n for n in stated if n not in ours | _ALSO], "not read by --method threshold"
    if strange:
        raise FairauditError(f"{stated[strange[0]]} is {why}; leave it out.")
