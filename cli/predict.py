"""`fairaudit predict`: a model and data in, the predictions file that `report` reads out."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from fairaudit_cli import output, progress
from fairaudit_cli.data_inputs import reads_data


@reads_data
def predict(
    model: Annotated[str, typer.Argument(help="Transformers folder, hub id, or PEFT adapter folder.")],
    data: Annotated[str, typer.Argument(help="Published folder, Parquet, CSV or TSV file.")],
    out: Annotated[
        str, typer.Option("--output", "-o", metavar="PATH", help="Predictions to write (.parquet).")
    ],
    options: dict[str, Any],
    split: Annotated[str, typer.Option(metavar="VALUE", help="Only the rows of this split.")] = "all",
    base: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Base of an adapter, if it moved.")
    ] = None,
    head: Annotated[
        str, typer.Option(metavar="linear|zero-shot", help="Head of a CLIP checkpoint.")
    ] = "linear",
    prompt: Annotated[str, typer.Option(help="What zero-shot says of a class.")] = "a photo of a {}",
    class_names: Annotated[str, typer.Option(metavar="NAME,…", help="Names of classes 0, 1, ….")] = "",
    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="Run the Python files of the checkpoint.")
    ] = False,
) -> None:
    """Predict with an image or text classifier: labels, probabilities, losses and sensitive columns."""
    output.spare([data], Path(out))
    from fairaudit_mitigate import Hardware
    from fairaudit_mitigate import predict as run

    hardware = Hardware(*(options.pop(k) for k in ("batch_size", "device", "dtype")))
    names = [name.strip() for name in class_names.split(",") if name.strip()]
    with progress.voice() as voice:
        frame = run(
            model, data, out=out, split=split, base=base, hardware=hardware, voice=voice, head=head, prompt=prompt,
            classes=names, trust_remote_code=trust_remote_code, **options,
        )  # fmt: skip
    accuracy = float((frame["y_true"] == frame["y_pred"]).mean())
    typer.echo(f"{len(frame)} predictions in {out}, accuracy over rows {100 * accuracy:.1f} %")
    command = ["fairaudit", "report", out, *(part for s in options["sensitive"] for part in ("-s", s))]
    progress.say(f"next: {shlex.join(command)}")
