"""`fairaudit schema`: the JSON Schemas of what fairaudit reads and writes."""

from __future__ import annotations

from typing import Annotated

import typer

from fairaudit_cli import output


def schema(
    name: Annotated[str, typer.Argument(help="audit, comparison, policy, tally or verdict.")],
) -> None:
    """Print the JSON Schema (2020-12) of a result file or of a policy."""
    from fairaudit.schema import schema_text

    output.show(schema_text(name))
