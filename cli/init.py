"""`fairaudit init`: a commented policy from a template and the columns at hand."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fairaudit.errors import FairauditError
from fairaudit_cli import output
from fairaudit_cli.inputs import Preds, reads_predictions

if TYPE_CHECKING:
    from fairaudit.templates import Draft

#: Flags of a report that have no place in a policy.
_NOT_HERE = {"level": 0.95, "min_n": 30, "interval": "wilson"}


@reads_predictions
def init(
    preds: Preds,
    template: Annotated[
        str, typer.Option(metavar="NAME", help="four-fifths, equal-opportunity, ll144 or paper-panel.")
    ],
    options: dict[str, Any],
    out: Annotated[
        str, typer.Option(metavar="FILE", help="The policy to write; - for standard output.")
    ] = "fairaudit.toml",
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Write a commented policy for `fairaudit gate` from a template and the columns found."""
    for flag, default in _NOT_HERE.items():
        if options.pop(flag) != default:
            name = f"--{flag.replace('_', '-')}"
            raise FairauditError(
                f"{name} is for reports; a policy has alpha and min_events under [stats], edit them there."
            )
    if out != "-":
        output.spare([*preds, options["with_file"]], Path(out))
    if out != "-" and Path(out).is_file() and not force:
        raise FairauditError(f"{out} is there already; --force replaces it, --out names another file.")
    from fairaudit.store import write_text
    from fairaudit.templates import draft

    source = preds[0] + (f" and {len(preds) - 1} more" if len(preds) > 1 else "")
    made = draft(preds, template, name=out, source=source, **options)
    if out == "-":
        output.show(made.text)
        sys.stderr.write(_told(made, "the policy", preds, "fairaudit.toml"))
        return
    write_text(out, made.text)
    output.show(_told(made, out, preds, out))


def _told(made: Draft, written: str, preds: Sequence[str], policy: str) -> str:
    """What was written, what to look at, and the command to run next."""
    lines = [f"wrote {written} from the template {made.template}"]
    lines += [f"  rule {r.id}: {r.metric} by {', '.join(r.by)}, {r.kind} = {r.limit:g}" for r in made.rules]
    if made.detected:
        lines.append(f"  found by name: {', '.join(made.detected)}; check them under [data]")
    if made.small:
        groups = list(dict.fromkeys(group for _, group, _, _ in made.small))
        shown = ", ".join(groups[:3]) + (f" and {len(groups) - 3} more" if len(groups) > 3 else "")
        lines.append(f"  too few rows to be judged: {shown}; the file suggests waivers")
    lines += [f"  note: {note}" for note in made.notes]
    command = shlex.join(["fairaudit", "gate", *preds, "--policy", policy])
    return "\n".join([*lines, f"next: {command}", ""])
