"""`fairaudit card`: an audit as a section of a model card, a Local Law 144 summary, or a bill of materials."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from fairaudit_cli import output

FORMATS = ("hf", "ll144", "cyclonedx")
_LL144 = "Local Law 144"

Text = str | None


def _option(name: str, text: str, value: str = "TEXT", panel: str | None = _LL144) -> Any:
    return typer.Option(name, metavar=value, help=text, rich_help_panel=panel)


def card(
    audit: Annotated[
        str, typer.Argument(help="The JSON file of an audit (fairaudit report -o json:audit.json).")
    ],
    format_: Annotated[str, _option("--format", "hf, ll144 or cyclonedx.", "FORMAT", None)] = "hf",
    model_name: Annotated[
        str, _option("--model-name", "What the card calls the model.", panel=None)
    ] = "model",
    dataset_name: Annotated[
        str, _option("--dataset-name", "What the card calls the data.", panel=None)
    ] = "evaluation data",
    task: Annotated[
        str, _option("--task", "The task's type, as image-classification.", panel=None)
    ] = "classification",
    audit_date: Annotated[Text, _option("--audit-date", "Day of the bias audit.", "DAY")] = None,
    data_source: Annotated[Text, _option("--data-source", "Source and explanation of the data.")] = None,
    distribution_date: Annotated[
        Text, _option("--distribution-date", "Day the tool came into use.", "DAY")
    ] = None,
    sex: Annotated[Text, _option("--sex", "The attribute with the sex categories.", "COL")] = None,
    race: Annotated[
        Text, _option("--race", "The attribute with the race/ethnicity categories.", "COL")
    ] = None,
    exclude_below: Annotated[
        float | None,
        _option("--exclude-below", "Leave smaller categories out of the ratios (at most 2).", "PERCENT"),
    ] = None,
    justification: Annotated[Text, _option("--justification", "Why they are left out.")] = None,
    scoring_rate: Annotated[
        bool, _option("--scoring-rate", "No audit knows it: says what to do.", "")
    ] = False,
    out: output.Output = None,
    json: output.Json = False,
) -> None:
    """Say what an audit shows and what it could have shown, in a form that others ask for."""
    from fairaudit import card as cards
    from fairaudit.card import writing

    wanted = output.targets(out, FORMATS, [audit])
    writing.check_format(format_)
    writing.check_rate(scoring_rate)
    source = cards.read(audit)
    from fairaudit_cli.reproducing import reproducing

    names = cards.Names(model_name, dataset_name, task, reproducing(source.audit))
    asked = {"audit_date": audit_date, "data_source": data_source, "distribution_date": distribution_date, "sex": sex,
             "race": race, "exclude_below": exclude_below, "justification": justification}  # fmt: skip
    shown = writing.writers(source, names, asked)
    text = shown[f"{format_}.json" if json else format_]()
    output.write_all(wanted, shown)
    output.show(text)
