"""`fairaudit merge`: the counts of several files as those of all their rows together."""

from __future__ import annotations

from typing import Annotated

import typer

from fairaudit_cli import tallies


def merge(
    files: Annotated[
        list[str], typer.Argument(metavar="TALLY...", help="Tallies, or patterns such as 'days/*.tally'.")
    ],
    allow_repeats: Annotated[
        bool, typer.Option("--allow-repeats", help="Add files with the same counts: they are other rows.")
    ] = False,
    out: tallies.Out = None,
    json: tallies.Json = False,
) -> None:
    """Add tallies up: exactly, in any order; an audit of the sum is that of all the rows."""
    path = tallies.target(out, files)
    from fairaudit.tallies.inputs import tally_files
    from fairaudit.tallies.reading import read_tally
    from fairaudit.tallies.tally import added

    found = [(name, read_tally(name)) for item in files for name in tally_files(item)]
    hide = f"fairaudit tabulate {path} --suppress-below 11 -o public.tally hides cells of fewer rows"
    tallies.write(added(found, allow_repeats), path, json, hide)
