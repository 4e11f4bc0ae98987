"""`fairaudit mitigate`: repair a model, prove the repair on held-out rows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fairaudit_cli import progress


def _list(asked: bool) -> None:
    if asked:
        from fairaudit_mitigate.methods import list_methods

        typer.echo(list_methods())
        raise typer.Exit


def mitigate(
    model: Annotated[str, typer.Argument(help="Transformers folder or hub id.")],
    data: Annotated[Path, typer.Argument(help="Folder with metadata.csv, or a Parquet, CSV or TSV file.")],
    out: Annotated[Path, typer.Option("--out", help="New folder for the artefact and the evidence.")],
    method: Annotated[str, typer.Option(help="See --list.")] = "fairlora",
    sensitive: Annotated[
        list[str] | None, typer.Option("--sensitive", "-s", help="Sensitive column; may be repeated.")
    ] = None,
    groups: Annotated[str | None, typer.Option(help="class, cell, or an attribute.")] = None,
    penalty: Annotated[float, typer.Option(help="λ, the weight of the fairness penalty.")] = 0.1,
    reduction: Annotated[str, typer.Option(help="Penalty over groups: sum (the paper) or mean.")] = "sum",
    rank: Annotated[int, typer.Option(help="Rank of LoRA.")] = 8,
    alpha: Annotated[int, typer.Option(help="Alpha of LoRA.")] = 16,
    targets: Annotated[str, typer.Option(help="Modules for LoRA, names or ends, with commas.")] = "",
    lr: Annotated[float | None, typer.Option(help="Learning rate; default by method.")] = None,
    epochs: Annotated[float, typer.Option(help="Passes over the train rows.")] = 4,
    max_steps: Annotated[int | None, typer.Option(help="Stop after this many steps.")] = None,
    batch_size: Annotated[int, typer.Option(help="Rows a micro-batch.")] = 64,
    accumulate: Annotated[int, typer.Option(help="Micro-batches a step.")] = 1,
    select: Annotated[
        str, typer.Option(help="Validation metric for the best step.")
    ] = "worst_group_accuracy",
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    audit: Annotated[Path | None, typer.Option(help="Audit that supplies columns and the flag.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Go on where the audit flags nothing.")] = False,
    merge: Annotated[bool, typer.Option("--merge", help="Also write the merged model.")] = False,
    new_head: Annotated[bool, typer.Option("--new-head", help="Replace the head by a fresh one.")] = False,
    positive: Annotated[str | None, typer.Option(help="Positive class.")] = None,
    y_true: Annotated[str | None, typer.Option(help="Label column.")] = None,
    image: Annotated[str | None, typer.Option(help="Column of image bytes or paths.")] = None,
    text: Annotated[str | None, typer.Option(help="Column of texts.")] = None,
    id: Annotated[str | None, typer.Option("--id", help="Column that names a row.")] = None,  # noqa: A002
    split_column: Annotated[str | None, typer.Option(help="Column of train, val, test.")] = None,
    cluster: Annotated[str | None, typer.Option(help="Column whose rows belong together.")] = None,
    image_size: Annotated[int | None, typer.Option(help="Side of the images, in pixels.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, mps.")] = "auto",
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16.")] = "auto",
    list_: Annotated[bool, typer.Option("--list", callback=_list, is_eager=True, help="Explain.")] = False,
) -> None:
    """Fine-tune for fairness, keep the best validation step, re-audit the saved model on the test rows."""
    from fairaudit.report import text as plain
    from fairaudit_mitigate import Columns
    from fairaudit_mitigate import mitigate as run

    wanted = tuple(t.strip() for t in targets.split(",") if t.strip())
    columns = Columns(y_true, image, text, id, split_column, cluster)
    with progress.voice() as voice:
        done = run(
            model, data, out=out, method=method, sensitive=sensitive or (), columns=columns, audit=audit,
            positive=positive, image_size=image_size, new_head=new_head, merge=merge, force=force, dtype=dtype,
            device=device, voice=voice, groups=groups, penalty=penalty, reduction=reduction, rank=rank, lr=lr,
            alpha=alpha, targets=wanted, epochs=epochs, max_steps=max_steps, batch_size=batch_size, seed=seed,
            accumulate=accumulate, select=select,
        )  # fmt: skip
    typer.echo(plain.comparison(done.comparison))
    progress.say(f"everything is in {done.out}")
