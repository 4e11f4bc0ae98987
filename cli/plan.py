"""`fairaudit plan`: how many rows a rule needs, and the smallest gap that given rows could show."""

from __future__ import annotations

import json as json_
from typing import Annotated, Any

import typer

from fairaudit.errors import FairauditError
from fairaudit_cli import output
from fairaudit_cli.inputs import reads_predictions

FORMATS = ("json", "md", "text")
_RULE = "Without data: a rule"


def _rule(name: str, text: str) -> Any:
    return typer.Option(name, help=text, rich_help_panel=_RULE)


@reads_predictions
def plan(
    options: dict[str, Any],
    preds: Annotated[
        list[str] | None, typer.Argument(help="Predictions; none for a plan from rates.")
    ] = None,
    metric: Annotated[str, typer.Option(help="The rate, where there are predictions.")] = "selection_rate",
    gap: Annotated[float | None, typer.Option(help="Also the rows to show a gap of this size.")] = None,
    power: Annotated[float, typer.Option(help="The chance that the rows decide.")] = 0.8,
    alpha: Annotated[float, _rule("--alpha", "One-sided error of the rule.")] = 0.05,
    rate: Annotated[float | None, _rule("--rate", "Rate of the groups that are not worse off.")] = None,
    groups: Annotated[int, _rule("--groups", "How many groups.")] = 2,
    rows: Annotated[int | None, _rule("--rows", "What so many rows a group could show.")] = None,
    min_ratio: Annotated[float | None, _rule("--min-ratio", "The limit of a rule.")] = None,
    max_difference: Annotated[float | None, _rule("--max-difference", "The limit of a rule.")] = None,
    min_: Annotated[float | None, _rule("--min", "The limit of a rule.")] = None,
    max_: Annotated[float | None, _rule("--max", "The limit of a rule.")] = None,
    out: output.Output = None,
    json: output.Json = False,
) -> None:
    """Rows a group that a rule needs to pass or fail; or, with predictions, the gaps that they could show."""
    wanted = output.targets(out, FORMATS, [*(preds or ()), options["with_file"]])
    limits = {"min_ratio": min_ratio, "max_difference": max_difference, "min": min_, "max": max_}
    asked = [(kind, limit) for kind, limit in limits.items() if limit is not None]
    if preds and (asked or rate is not None or rows is not None):
        raise FairauditError(
            "a plan is made from predictions or from --rate and a limit, not both; leave one out."
        )
    if not preds and (len(asked) != 1 or rate is None):
        raise FairauditError(
            "a plan without predictions needs --rate and one limit (--min-ratio, --max-difference, --min or --max), "
            "as in: fairaudit plan --rate 0.3 --groups 4 --min-ratio 0.8."
        )
    import fairaudit
    from fairaudit import power as plans
    from fairaudit.report import markdown, plan_page, text
    from fairaudit.report.blocks import TERMINAL
    from fairaudit.report.words import hidden

    if preds:
        audit = fairaudit.audit(preds, **options)
        found = plans.visible(audit, metric, gap, power)
        record = plans.visible_record(found, metric, gap, power)
        page = plan_page.visible(found, metric, gap, power, TERMINAL, preds[0], hidden(audit.warnings))
    else:
        record = plans.scenario_record(plans.Scenario(*asked[0], rate or 0.0, groups, alpha, power), rows)
        page = plan_page.scenario(record)
    printed = json_.dumps(record, indent=1, ensure_ascii=False) + "\n"
    writers = {
        "json": lambda: printed,
        "md": lambda: markdown.page(page),
        "text": lambda: text.plain(text.lines(page)),
    }
    output.write_all(wanted, writers)
    if json:
        output.show(printed)
        return
    from fairaudit_cli.terminal import print_page

    print_page(page)
