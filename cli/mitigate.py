"""`fairaudit mitigate`: repair a model, prove the repair on held-out rows."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from fairaudit.errors import FairauditError
from fairaudit_cli import output, progress
from fairaudit_cli.data_inputs import reads_data
from fairaudit_cli.threshold_inputs import check_flags, sets_thresholds
from fairaudit_cli.training_inputs import trains


def _list(asked: bool) -> None:
    if asked:
        from fairaudit_mitigate.methods import list_methods

        typer.echo(list_methods())
        raise typer.Exit


@reads_data
@trains
@sets_thresholds
def mitigate(
    ctx: typer.Context,
    model: Annotated[str, typer.Argument(help="Transformers folder or hub id; threshold: predictions.")],
    out: Annotated[str, typer.Option(metavar="DIR", help="New folder for the artefact and the evidence.")],
    options: dict[str, Any],
    training: dict[str, Any],
    thresholds: dict[str, Any],
    data: Annotated[str | None, typer.Argument(help="Published folder, Parquet, CSV or TSV file.")] = None,
    method: Annotated[str, typer.Option(help="What to train and how; see --list.")] = "fairlora",
    positive: Annotated[str | None, typer.Option(metavar="CLASS", help="The positive class.")] = None,
    audit: Annotated[str | None, typer.Option(metavar="FILE", help="Audit: columns, class, flag.")] = None,
    policy: Annotated[str | None, typer.Option(metavar="FILE", help="Gate before and after by it.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Go on where nothing is to be repaired.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an unfinished run of --out.")] = False,
    merge: Annotated[bool, typer.Option("--merge", help="Also write the merged model.")] = False,
    new_head: Annotated[bool, typer.Option("--new-head", help="Put a fresh head on the model.")] = False,
    list_: Annotated[bool, typer.Option("--list", callback=_list, is_eager=True, help="Methods.")] = False,
    outputs: output.Output = None,
    json: output.Json = False,
) -> None:
    """Fine-tune for fairness, keep the best validation step, re-audit the saved model on the test rows.

    With a policy: nothing to repair where it passes; else the exit code is that of the verdict on the repaired model.
    """
    from fairaudit_cli import repairing

    check_flags(ctx, method, thresholds)
    if method == "threshold":
        from fairaudit_cli import thresholding

        thresholding.run(model, data, out, thresholds, options, positive, training["seed"], outputs, json)
        return
    if data is None:
        raise FairauditError("mitigate needs MODEL and DATA; only --method threshold works from one file.")
    wanted = output.targets(outputs, repairing.FORMATS, [data, audit, policy])
    repairing.check(wanted, policy)
    from fairaudit_mitigate import mitigate as run
    from fairaudit_mitigate import ranks

    with progress.voice() as voice, ranks.silent_unless_leading():
        done = run(
            model, data, out=out, method=method, positive=positive, audit=audit, policy=policy, force=force,
            resume=resume, merge=merge, new_head=new_head, voice=voice, **training, **options,
        )  # fmt: skip
    if not ranks.leads():
        raise typer.Exit(done.exit_code)
    output.write_all(wanted, repairing.writers(done, method))
    if json:
        output.show(repairing.to_json(done))
    else:
        from fairaudit.report.blocks import TERMINAL
        from fairaudit_cli.terminal import print_page

        print_page(repairing.page(done, method, TERMINAL))
    progress.say(f"everything is in {done.out}")
    if done.exit_code:
        raise typer.Exit(done.exit_code)
