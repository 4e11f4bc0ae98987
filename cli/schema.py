"""`fairaudit schema`: the JSON Schema of what fairaudit writes."""

from __future__ import annotations

from typing import Annotated

import typer

from fairaudit_cli import output


def schema(
    name: Annotated[str, typer.Argument(help="audit or comparison.")],
) -> None:
    """Print the JSON Schema (2020-12) of a result file."""
    from fairaudit.schema import schema_text

    output.show(schema_text(name))
