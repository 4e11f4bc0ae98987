"""`fairaudit report`: who is served worse, by how much, and how sure we are."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fairaudit_cli import output
from fairaudit_cli.inputs import Preds, reads_predictions
from fairaudit_cli.pinning import pinned

if TYPE_CHECKING:
    from fairaudit import Audit

FORMATS = ("json", "md", "text")


@reads_predictions
def report(
    preds: Preds,
    options: dict[str, Any],
    metric: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this metric; may be repeated.")
    ] = None,
    out: output.Output = None,
    json: output.Json = False,
) -> None:
    """Audit predictions: groups, gaps, intervals, and what to do next. Findings never change the exit code."""
    wanted = output.targets(out, FORMATS, [*preds, options["with_file"]])
    import fairaudit

    audit = fairaudit.audit(preds, **options, metrics=metric or ())
    source = preds[0] + (f" and {len(preds) - 1} more" if len(preds) > 1 else "")
    command = pinned(
        "report", preds, options | {"positive": audit.positive, "metric": metric or ()}, audit.data
    )
    saved = next((str(path) for name, path in wanted if name == "json"), None)
    if wanted:
        output.write_all(wanted, _writers(audit, source, command, saved))
    if json:
        if audit.data["detected"]:
            sys.stderr.write(f"found by name: {', '.join(audit.data['detected'])}; to pin: {command}\n")
        output.show(audit.to_json())
        return
    from fairaudit.report import audit_page
    from fairaudit.report.blocks import TERMINAL
    from fairaudit_cli.terminal import print_page

    print_page(audit_page.page(audit, TERMINAL, source, command, saved))


def _writers(audit: Audit, source: str, command: str, saved: str | None) -> dict[str, Callable[[], str]]:
    from fairaudit.report import markdown, text

    told = (audit, source, command, saved)
    return {"json": audit.to_json, "md": lambda: markdown.audit(*told), "text": lambda: text.audit(*told)}
