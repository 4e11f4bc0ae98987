"""The flags of the commands that read a data set and run a model on it, declared once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer

from fairaudit_cli.flags import with_flags

_ROLES, _RUN = "Columns", "Running"


def _column(flag: str, text: str) -> Any:
    return typer.Option(flag, metavar="COL", help=text, rich_help_panel=_ROLES)


def _run(text: str, metavar: str | None = None) -> Any:
    return typer.Option(metavar=metavar, help=text, rich_help_panel=_RUN)


def _flags(
    sensitive: Annotated[
        list[str] | None,
        typer.Option("--sensitive", "-s", metavar="COL", help="Sensitive attribute; may be repeated."),
    ] = None,
    y_true: Annotated[str | None, _column("--y-true", "Labels.")] = None,
    image: Annotated[str | None, _column("--image", "Image bytes, or paths.")] = None,
    text: Annotated[str | None, _column("--text", "Texts.")] = None,
    id_: Annotated[str | None, _column("--id", "What names a row.")] = None,
    split_column: Annotated[str | None, _column("--split-column", "train, val or test.")] = None,
    cluster: Annotated[str | None, _column("--cluster", "What rows of one person or image share.")] = None,
    layout: Annotated[
        str | None,
        typer.Option("--layout", metavar="NAME", help="Of a published folder.", rich_help_panel=_ROLES),
    ] = None,
    feature: Annotated[
        list[str] | None, _column("--feature", "Column of numbers that the model reads; may be repeated.")
    ] = None,
    categorical: Annotated[
        list[str] | None, _column("--categorical", "Feature that is codes, no amounts; may be repeated.")
    ] = None,
    use_sensitive: Annotated[
        bool, typer.Option("--use-sensitive", help="Let the model read them.", rich_help_panel=_ROLES)
    ] = False,
    image_size: Annotated[int | None, _run("Side of the images, in pixels.")] = None,
    batch_size: Annotated[int, _run("Rows a forward pass.")] = 64,
    device: Annotated[str, _run("Where to compute.", "auto|cpu|cuda|mps")] = "auto",
    dtype: Annotated[str, _run("Numbers to compute with.", "auto|float32|bfloat16")] = "auto",
) -> None:
    """Only its signature is used."""


def reads_data(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the shared flags after its own, given to it as the mapping `options`."""
    return with_flags(command, _flags, options)


def options(flags: Mapping[str, Any]) -> dict[str, Any]:
    """The flags as keywords: `sensitive`, `columns`, `image_size`, `batch_size`, `device`, `dtype`."""
    from fairaudit_mitigate import Columns

    roles = ("y_true", "image", "text", "id_", "split_column", "cluster", "layout")
    listed = {k: tuple(flags[k] or ()) for k in ("sensitive", "feature", "categorical")}
    rest = {k: v for k, v in flags.items() if k not in (*roles, *listed, "use_sensitive")}
    numbers = {"features": listed["feature"], "categorical": listed["categorical"]}
    named: dict[str, Any] = {**numbers, "use_sensitive": flags["use_sensitive"]}
    return {
        "sensitive": listed["sensitive"],
        "columns": Columns(*(flags[r] for r in roles), **named),
        **rest,
    }
