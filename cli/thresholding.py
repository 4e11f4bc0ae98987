"""`fairaudit mitigate PREDICTIONS --method threshold`: fit a rule and prove it, or apply one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairaudit.errors import FairauditError
from fairaudit.report import comparison_page, markdown, text
from fairaudit.report.blocks import DOCUMENT, TERMINAL
from fairaudit_cli import output, progress

if TYPE_CHECKING:
    from fairaudit_mitigate.thresholds import Adjustment

FORMATS = ("json", "md", "text")
METHOD = "threshold"


def run(
    predictions: str,
    data: str | None,
    out: str,
    thresholds: Mapping[str, Any],
    options: Mapping[str, Any],
    positive: str | None,
    seed: int,
    outputs: list[str] | None,
    as_json: bool,
) -> None:
    """Do it, and show the comparison of the judged rows."""
    if data is not None:
        raise FairauditError(
            "--method threshold works on one file of predictions, not on a model and data; write one with "
            "`fairaudit predict` first."
        )
    from fairaudit_mitigate.thresholds import adjust, apply_rule
    from fairaudit_mitigate.thresholds.scored import Named

    asked = options["columns"]
    columns = Named(
        asked.y_true, thresholds["y_score"], thresholds["y_pred"], asked.id, asked.split, asked.cluster,
        thresholds["threshold"],
    )  # fmt: skip
    if thresholds["rule"] is not None:
        output.spare([predictions, thresholds["rule"]], Path(out))
        with progress.voice() as voice:
            apply_rule(
                thresholds["rule"], predictions, out=out, columns=columns,
                new_groups=thresholds["new_groups"], voice=voice,
            )  # fmt: skip
        progress.say(f"wrote {out}")
        return
    wanted = output.targets(outputs, FORMATS, [predictions])
    with progress.voice() as voice:
        done = adjust(
            predictions, out=out, sensitive=options["sensitive"], constraint=thresholds["constraint"],
            objective=thresholds["objective"], positive=positive, columns=columns,
            new_groups=thresholds["new_groups"], seed=seed, voice=voice,
        )  # fmt: skip
    _show(done, wanted, as_json)


def _show(done: Adjustment, wanted: output.Targets, as_json: bool) -> None:
    output.write_all(wanted, _writers(done))
    if as_json:
        output.show(done.comparison.to_json())
    else:
        from fairaudit_cli.terminal import print_page

        print_page(comparison_page.page(done.comparison, TERMINAL, "before", METHOD))
    progress.say(f"everything is in {done.out}")


def _writers(done: Adjustment) -> dict[str, Callable[[], str]]:
    def page(limits: Any) -> Any:
        return comparison_page.page(done.comparison, limits, "before", METHOD)

    return {
        "json": done.comparison.to_json,
        "md": lambda: markdown.page(page(DOCUMENT)),
        "text": lambda: text.plain(text.lines(page(TERMINAL))),
    }
