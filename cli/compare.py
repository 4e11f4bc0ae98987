"""`fairaudit compare`: before beside after, and who was made worse."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from fairaudit_cli import output
from fairaudit_cli.inputs import reads_predictions

FORMATS = ("json", "md", "text")


@reads_predictions
def compare(
    before: Annotated[str, typer.Argument(help="Predictions, or an audit (JSON), before.")],
    after: Annotated[str, typer.Argument(help="The same of the model after.")],
    options: dict[str, Any],
    out: output.Output = None,
    json: output.Json = False,
) -> None:
    """The change of every estimate with its interval. Predictions are paired by --id; audits are not paired."""
    wanted = output.targets(out, FORMATS, [before, after, options["with_file"]])
    import fairaudit

    comparison = fairaudit.compare(before, after, **options)
    from fairaudit.report import comparison_page, markdown, text
    from fairaudit.report.blocks import TERMINAL

    names = (
        (Path(before).name, Path(after).name) if Path(before).name != Path(after).name else (before, after)
    )
    writers = {
        "json": comparison.to_json,
        "md": lambda: markdown.comparison(comparison, *names),
        "text": lambda: text.comparison(comparison, *names),
    }
    output.write_all(wanted, writers)
    if json:
        output.show(comparison.to_json())
        return
    from fairaudit_cli.terminal import print_page

    print_page(comparison_page.page(comparison, TERMINAL, *names))
