"""`fairaudit report`: who is served worse, by how much, and how sure we are."""

from __future__ import annotations

import sys
from typing import Any

from fairaudit_cli import output
from fairaudit_cli.inputs import Preds, reads_predictions
from fairaudit_cli.pinning import pinned

FORMATS = ("json", "md", "text")


@reads_predictions
def report(
    preds: Preds,
    options: dict[str, Any],
    out: output.Output = None,
    json: output.Json = False,
) -> None:
    """Audit predictions: groups, gaps, intervals, and what to do next. Findings never change the exit code."""
    wanted = output.targets(out, FORMATS, [*preds, options["with_file"]])
    import fairaudit

    audit = fairaudit.audit(preds, **options)
    from fairaudit.report import audit_page, markdown, text
    from fairaudit.report.blocks import TERMINAL

    source = preds[0] + (f" and {len(preds) - 1} more" if len(preds) > 1 else "")
    command = pinned("report", preds, options | {"positive": audit.positive}, audit.data)
    saved = next((str(path) for name, path in wanted if name == "json"), None)
    told = (audit, source, command, saved)
    writers = {"json": audit.to_json, "md": lambda: markdown.audit(*told), "text": lambda: text.audit(*told)}
    output.write_all(wanted, writers)
    if json:
        if audit.data["detected"]:
            sys.stderr.write(f"found by name: {', '.join(audit.data['detected'])}; to pin: {command}\n")
        output.show(audit.to_json())
        return
    from fairaudit_cli.terminal import print_page

    print_page(audit_page.page(audit, TERMINAL, source, command, saved))
