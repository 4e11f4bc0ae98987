"""`fairaudit tabulate`: rows in, counts out, in a file that every other command reads as it reads rows."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from fairaudit.errors import FairauditError
from fairaudit_cli import tallies
from fairaudit_cli.inputs import Preds, reads_predictions

#: Flags that say how numbers are judged, not what is counted.
_JUDGING = ("level", "min_n", "min_events", "seed", "interval")


@reads_predictions
def tabulate(
    preds: Preds,
    options: dict[str, Any],
    stated: frozenset[str],
    suppress_below: Annotated[
        int | None,
        typer.Option(
            metavar="K", help="Hide cells of fewer rows, and what gives them away; it cannot be merged then."
        ),
    ] = None,
    out: tallies.Out = None,
    json: tallies.Json = False,
) -> None:
    """Count predictions into a small file of counts, without rows, which every command takes in their place."""
    for flag in sorted(stated & set(_JUDGING)):
        name = f"--{flag.replace('_', '-')}"
        raise FairauditError(f"{name} changes no count; give it to the command that reads the tally.")
    path = tallies.target(out, [*preds, options["with_file"]])
    import fairaudit

    inputs = fairaudit.Inputs(**{k: v for k, v in options.items() if k not in _JUDGING})
    tally = fairaudit.tabulate(preds, inputs)
    if suppress_below is not None:
        from fairaudit.tallies.hiding import suppressed

        tally = suppressed(tally, suppress_below)
    tallies.write(tally, path, json, "--suppress-below 11 hides cells of fewer rows")
