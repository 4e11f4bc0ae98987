"""Every card of one audit by the name of its format, made when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fairaudit.card import cyclonedx, huggingface, ll144, ll144_page
from fairaudit.card.facts import FORBIDDEN, Names, Source, gaps, left_out
from fairaudit.document import document
from fairaudit.errors import FairauditError, did_you_mean

FORMATS = ("hf", "ll144", "cyclonedx")
SCHEMA, VERSION = "fairaudit.card", "1.0"
Writers = Mapping[str, Callable[[], str]]


def check_format(name: str) -> None:
    """Raise FairauditError, with the nearest name, for a format that does not exist."""
    if name not in FORMATS:
        raise FairauditError(
            f"there is no card format '{name}' (formats: {', '.join(FORMATS)}).{did_you_mean(name, FORMATS)}"
        )


def check_rate(scoring_rate: bool) -> None:
    """Raise FairauditError where the scoring rate is asked for, which no audit can know."""
    if scoring_rate:
        raise FairauditError(
            "an audit keeps counts of decisions and not the scores, so the share above the sample's median is unknown; "
            "write that (1 above the median, else 0) into a column, and audit it with --y-pred COLUMN --positive 1."
        )


def writers(source: Source, names: Names, asked: Mapping[str, Any]) -> Writers:
    """Format -> its text, and FORMAT.json -> the same as JSON. `asked`: the fields of `ll144.Filing`."""

    def as_json(make: Callable[[], dict[str, Any]]) -> str:
        return document(SCHEMA, VERSION, make())

    return {
        "hf": lambda: huggingface.card(source, names),
        "hf.json": lambda: as_json(lambda: _facts(source, names)),
        "ll144": lambda: ll144_page.card(source, names, ll144.filing(**asked)),
        "ll144.json": lambda: as_json(lambda: ll144.content(source, names, ll144.filing(**asked))),
        "cyclonedx": lambda: cyclonedx.card(source, names),
        "cyclonedx.json": lambda: cyclonedx.card(source, names),
    }


def _facts(source: Source, names: Names) -> dict[str, Any]:
    """The metadata of a model card, and what it says of gaps, as plain values."""
    told = [
        {
            "metric": g.estimate.metric,
            "by": g.estimate.by,
            "shown": g.shown,
            "smallest": g.smallest,
            "says": g.sentence,
        }
        for g in gaps(source.audit)
    ]
    return {"metadata": huggingface.metadata(source, names), "gaps": told, "left_out": list(left_out(source.audit)),
            "audit_sha256": source.audit.content_sha256}  # fmt: skip


__all__ = ["FORBIDDEN", "FORMATS", "check_format", "check_rate", "writers"]
