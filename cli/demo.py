"""`fairaudit demo`: the whole loop offline, on data drawn on the spot and a small model that is shipped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fairaudit_cli import output, progress

if TYPE_CHECKING:
    from fairaudit import Audit

FORMATS = ("json", "md", "text")


def demo(
    seed: Annotated[int, typer.Option(min=0, help="Seed of the data and of the training.")] = 0,
    out: Annotated[Path, typer.Option(metavar="DIR", help="New folder for everything written.")] = Path(
        "demo-out"
    ),
    outputs: output.Output = None,
    json: output.Json = False,
) -> None:
    """Report a model that learnt a shortcut, repair it with LoRA and with FairLoRA, audit both. About a minute."""
    wanted = output.targets(outputs, FORMATS)
    from fairaudit.report import audit_page, markdown, text
    from fairaudit.report.blocks import TERMINAL
    from fairaudit_cli.terminal import print_page
    from fairaudit_mitigate import demo as loop
    from fairaudit_mitigate import demo_page

    def show(audit: Audit) -> None:
        if not json:
            saved = str(out / "audit_before.json")
            print_page(audit_page.page(audit, TERMINAL, "the shipped model, before any repair", saved=saved))

    with progress.voice() as voice:
        done = loop.run(out, seed, voice=voice, flagged=show)
    blocks = demo_page.page(done)
    writers = {
        "json": lambda: demo_page.to_json(done),
        "md": lambda: markdown.page(blocks),
        "text": lambda: text.plain(text.lines(blocks)),
    }
    output.write_all(wanted, writers)
    if json:
        output.show(demo_page.to_json(done))
    else:
        print_page(blocks)
    progress.say(f"everything is in {done.out}")
