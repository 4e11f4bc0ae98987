"""A CycloneDX 1.6 bill of materials with one component: the model, its numbers and what is known of its gaps.

Schema: http://cyclonedx.org/schema/bom-1.6.schema.json (`modelCard.quantitativeAnalysis.performanceMetrics`,
`modelCard.considerations.fairnessAssessments`). The same audit gives the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from fairaudit.card.facts import Gap, Names, Source, gaps, left_out, meaning, rows
from fairaudit.estimate import Estimate
from fairaudit.report.words import hidden

SCHEMA = "http://cyclonedx.org/schema/bom-1.6.schema.json"
#: Which end of a gap is worse off; of selection rates that depends on what a positive prediction brings.
_WORSE_END = {"tpr": "lowest", "fpr": "highest"}
_WORSE_OF = {
    "equal_opportunity_difference": "lowest",
    "predictive_parity_difference": "lowest",
    "f1_delta": "lowest",
}


def card(source: Source, names: Names) -> str:
    """The bill of materials as JSON text."""
    return json.dumps(bom(source, names), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def bom(source: Source, names: Names) -> dict[str, Any]:
    """The bill of materials; its component may be copied into another one."""
    tool = {"type": "application", "name": "fairaudit-toolkit", "version": source.version}
    return {
        "$schema": SCHEMA, "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
        "metadata": {"timestamp": source.time, "tools": {"components": [tool]}},
        "components": [{
            "type": "machine-learning-model", "bom-ref": "model", "name": names.model,
            "modelCard": _model_card(source, names),
        }],
    }  # fmt: skip


def _model_card(source: Source, names: Names) -> dict[str, Any]:
    a = source.audit
    data = {"type": "dataset", "name": names.dataset, "description": f"rows audited: {rows(a)}"}
    return {
        "modelParameters": {"task": names.task, "datasets": [data]},
        "quantitativeAnalysis": {"performanceMetrics": [_metric(e) for e in a.estimates if e.value is not None]},
        "considerations": {
            "technicalLimitations": [
                *hidden(a.warnings), meaning(a), *(f"Left out of minima, maxima and gaps: {s}" for s in left_out(a))
            ],
            "fairnessAssessments": [_assessment(g) for g in gaps(a)],
        },
        "properties": list(_properties(source, names)),
    }  # fmt: skip


def _properties(source: Source, names: Names) -> Iterator[dict[str, str]]:
    a = source.audit
    yield {"name": "fairaudit:content_sha256", "value": a.content_sha256}
    yield {"name": "fairaudit:level", "value": f"{a.settings.level:g}"}
    yield {"name": "fairaudit:min_events", "value": str(a.settings.min_events)}
    if names.command:
        yield {"name": "fairaudit:command", "value": names.command}


def _metric(e: Estimate) -> dict[str, Any]:
    """One number; its slice names the group, the class, or the groups that it is taken over."""
    found: dict[str, Any] = {"type": e.metric, "value": _text(e.value)}
    if (where := _slice(e)) is not None:
        found["slice"] = where
    if e.interval is not None:
        found["confidenceInterval"] = {
            "lowerBound": _text(e.interval.low),
            "upperBound": _text(e.interval.high),
        }
    return found


def _slice(e: Estimate) -> str | None:
    if e.by == "overall":
        return None
    parts = [f"{e.by}={e.group}"] if e.group is not None else []
    parts += [f"class={e.class_}"] if e.class_ is not None else []
    if not parts:
        parts = ["over classes" if e.by == "class" else f"over groups of {e.by}"]
    small = f" ({e.n} rows, too few to be compared)" if e.status == "small" else ""
    return ", ".join(parts) + small


def _text(value: float | None) -> str:
    return f"{value:.6g}"


def _assessment(gap: Gap) -> dict[str, str]:
    return {
        "groupAtRisk": _at_risk(gap),
        "harms": gap.sentence,
        "mitigationStrategy": "none recorded in this audit",
    }


def _at_risk(gap: Gap) -> str:
    """Who stands at the worse end of a gap that is shown; else the attribute whose groups were compared."""
    e, at = gap.estimate, gap.estimate.at or {}
    if not gap.shown:
        return f"groups of {e.by}: none singled out"
    if "group" in at:
        return f"{e.by}={at['group']} (stands apart from all other groups together)"
    end = _WORSE_END.get(at.get("rate", ""), _WORSE_OF.get(e.metric))
    if end is not None and end in at:
        return f"{e.by}={at[end]}"
    if "lowest" in at:
        ends = f"{e.by}={at['lowest']} (lowest) or {e.by}={at['highest']} (highest)"
        return f"{ends}: a positive prediction may help or harm"
    return f"groups of {e.by}"
