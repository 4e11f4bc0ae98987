"""`fairaudit predict`: a model and data in, the predictions file that `report` reads out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fairaudit_cli import progress


def predict(
    model: Annotated[str, typer.Argument(help="Transformers folder, hub id, or PEFT adapter folder.")],
    data: Annotated[Path, typer.Argument(help="Folder with metadata.csv, or a Parquet, CSV or TSV file.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where to write the predictions (.parquet).")],
    sensitive: Annotated[
        list[str] | None, typer.Option("--sensitive", "-s", help="Sensitive column; may be repeated.")
    ] = None,
    split: Annotated[str, typer.Option(help="Only the rows of this split.")] = "all",
    y_true: Annotated[str | None, typer.Option(help="Label column.")] = None,
    image: Annotated[str | None, typer.Option(help="Column of image bytes or paths.")] = None,
    text: Annotated[str | None, typer.Option(help="Column of texts.")] = None,
    id: Annotated[str | None, typer.Option("--id", help="Column that names a row.")] = None,  # noqa: A002
    split_column: Annotated[str | None, typer.Option(help="Column of train, val, test.")] = None,
    cluster: Annotated[str | None, typer.Option(help="Column whose rows belong together.")] = None,
    image_size: Annotated[int | None, typer.Option(help="Side of the images, in pixels.")] = None,
    base: Annotated[str | None, typer.Option(help="Base model of an adapter, if it moved.")] = None,
    batch_size: Annotated[int, typer.Option(help="Rows a forward pass.")] = 64,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, mps.")] = "auto",
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16.")] = "auto",
) -> None:
    """Predict with an image or text classifier: labels, probabilities, losses and sensitive columns."""
    from fairaudit_mitigate import Columns, Hardware
    from fairaudit_mitigate import predict as run

    with progress.voice() as voice:
        frame = run(
            model,
            data,
            out=out,
            split=split,
            sensitive=sensitive or (),
            columns=Columns(y_true, image, text, id, split_column, cluster),
            hardware=Hardware(batch_size, device, dtype),
            image_size=image_size,
            base=base,
            voice=voice,
        )
    accuracy = (frame["y_true"] == frame["y_pred"]).mean()
    typer.echo(f"{len(frame)} predictions in {out} (accuracy over rows {accuracy:.3f})")
    flags = "".join(f" -s {name}" for name in sensitive or ())
    progress.say(f"next: fairaudit report {out}{flags}")
