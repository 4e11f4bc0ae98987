"""`fairaudit sweep`: many trainings from one plan, compared over seeds."""

from __future__ import annotations

from typing import Annotated

import typer

from fairaudit_cli import output, progress

Plan = Annotated[str, typer.Argument(help="TOML file: data sets, models, methods, ranks, λ, seeds.")]
Out = Annotated[str, typer.Option(metavar="DIR", help="Folder of the sweep; what is done in it is kept.")]
Only = Annotated[str, typer.Option(metavar="TEXT", help="Runs whose 'data · model · run' holds this text.")]
Data = Annotated[list[str] | None, typer.Option(metavar="NAME=PATH", help="Where a data set of the plan is.")]
Model = Annotated[list[str] | None, typer.Option(metavar="NAME=PATH", help="Where a model of the plan is.")]
Device = Annotated[str, typer.Option(metavar="auto|cpu|cuda|mps", help="Where to compute.")]
Plots = Annotated[str | None, typer.Option(metavar="DIR", help="Also draw the figures there.")]
Beside = Annotated[str | None, typer.Option(metavar="FILE", help="Published numbers (CSV) to set beside.")]
Draws = Annotated[int, typer.Option("--bootstrap", metavar="N", min=0, help="Paired bootstrap, N draws.")]
Search = Annotated[int, typer.Option(metavar="N", min=0, help="Optuna: N trials a run over λ, rank, lr.")]
Form = Annotated[str | None, typer.Option("--table", metavar="md|csv|latex", help="Print the paper's table.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="List the cells, run nothing.")]
NoRun = Annotated[bool, typer.Option("--no-run", help="Show what is there, run nothing.")]
Retry = Annotated[bool, typer.Option("--retry", help="Run failed cells again.")]


def sweep(
    plan: Plan,
    out: Out,
    table: Form = None,
    beside: Beside = None,
    plots: Plots = None,
    bootstrap: Draws = 0,
    search: Search = 0,
    only: Only = "",
    dry_run: DryRun = False,
    no_run: NoRun = False,
    retry: Retry = False,
    data: Data = None,
    model: Model = None,
    device: Device = "auto",
    outputs: output.Output = None,
    json: output.Json = False,
) -> None:
    """Train methods × ranks × λ × seeds from a plan, choose on validation, compare on test with tests over seeds.

    Finished cells are never run again: an interrupted sweep goes on. Exit code 3: some cells failed, 2: all did.
    """
    from fairaudit_cli import sweeping

    wanted = output.targets(outputs, sweeping.FORMATS, [plan, beside])
    sweeping.check(table)
    read = sweeping.read(plan, data, model)
    with progress.voice() as voice:
        if dry_run:
            output.show(sweeping.listed(read, out, only, search, voice))
            return
        how = {"only": only, "device": device, "retry": retry, "run": not no_run, "search": search}
        done = sweeping.run(read, out, voice, beside, bootstrap, plots, **how)
    output.write_all(wanted, done.writers)
    if json or table:
        output.show(done.writers["json" if json else str(table)]())
    else:
        from fairaudit_cli.terminal import print_page

        print_page(done.page)
    if not no_run:
        progress.say(f"results.parquet and every cell's predictions are in {out}")
    if done.exit_code:
        raise typer.Exit(done.exit_code)
