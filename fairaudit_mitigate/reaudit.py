"""The only door from mitigation to the audit: which calls are made, on which columns."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fairaudit
from fairaudit.columns import Inputs, Roles
from fairaudit.errors import FairauditError, did_you_mean
from fairaudit.labels import split_by
from fairaudit.policy import Policy

#: The numbers of the paper's section 5.
PANEL = (
    "accuracy", "f1_min", "f1_median", "recall_min", "f1_delta", "eod_max", "eod_macro", "worst_group_accuracy",
    "loss_variance",
)  # fmt: skip
ROLES = {"y_true": "y_true", "y_pred": "y_pred", "prob_prefix": "prob_", "loss": "loss"}


@dataclass(frozen=True, slots=True)
class Found:
    """What an audit of the model says: its sensitive columns, positive class, the attributes it flagged.

    `flagged` holds one tuple a flag, in the audit's order: several names where the flag is on a crossing.
    """

    sensitive: tuple[str, ...]
    positive: str | None
    flagged: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Proof:
    """The audits of the same rows before and after, and their paired comparison."""

    before: fairaudit.Audit
    after: fairaudit.Audit
    comparison: fairaudit.Comparison


def prove(
    audited: fairaudit.Audit,
    before: Path,
    after: Path,
    sensitive: Sequence[str],
    positive: str | None,
    cluster: str | None,
) -> Proof:
    """Audit the predictions after and compare them, paired by id, with those before, whose audit is `audited`."""
    roles = roles_of(sensitive, positive, cluster)
    return Proof(audited, fairaudit.audit(after, **roles), fairaudit.compare(before, after, id="id", **roles))


def audit_of(
    predictions: Path, sensitive: Sequence[str], positive: str | None, cluster: str | None
) -> fairaudit.Audit:
    """The audit of one file; also tells, before anything is trained, whether the roles can be audited."""
    return fairaudit.audit(predictions, **roles_of(sensitive, positive, cluster))


def prove_as(before: Path, after: Path, roles: Mapping[str, Any]) -> Proof:
    """Both audits and the comparison, paired by id, of files whose columns have these roles."""
    comparison = fairaudit.compare(before, after, id="id", **roles)
    return Proof(fairaudit.audit(before, **roles), fairaudit.audit(after, **roles), comparison)


def roles_in(path: Path, inputs: Inputs) -> Roles:
    """The columns that a report of this file would read, and as what."""
    from fairaudit.reading.table import reading, resolved_roles

    with reading(str(path), inputs) as source:
        return resolved_roles(source, inputs)


def roles_of(sensitive: Sequence[str], positive: str | None, cluster: str | None) -> dict[str, Any]:
    """What the columns of a mitigation's predictions are, as keywords of `fairaudit.audit`."""
    return {**ROLES, "sensitive": list(sensitive), "positive": positive, "cluster": cluster}


def policy_of(path: str | Path) -> Policy:
    """The policy in a file. Raises FairauditError, as `FILE:LINE: sentence`, where it is none."""
    from fairaudit.policy_file import read_policy

    return read_policy(path)


def verdict_of(predictions: Path, policy: Policy, baseline: Path | None = None) -> fairaudit.Verdict:
    """The verdict on one file; with a `baseline`, paired by id."""
    return fairaudit.gate(predictions, policy, baseline=baseline)


def metric_of(table: object, metric: str, attributes: Sequence[str], positive: str | None = None) -> float:
    """A metric of a predictions table: by the first attribute that has it, else by class, else overall."""
    found = fairaudit.audit(table, **roles_of(attributes, positive, None), split="all")
    for by in (*attributes, "class", "overall"):
        try:
            value = found.estimate(metric, by=by).value
        except FairauditError:
            continue
        return math.nan if value is None else float(value)
    raise FairauditError(
        f"no metric '{metric}' in an audit of the validation rows; `fairaudit explain` lists them."
    )


def panel_of(table: object, attributes: Sequence[str], positive: str | None = None) -> dict[str, float]:
    """The panel of a predictions table as flat numbers, `metric/by` (over everything: `metric`); undefined: NaN."""
    found = fairaudit.audit(table, **roles_of(attributes, positive, None), split="all")
    panel = {}
    for metric in PANEL:
        for by in ("overall", "class", *attributes):
            try:
                value = found.estimate(metric, by=by).value
            except FairauditError:
                continue
            name = metric if by == "overall" else f"{metric}/{by}"
            panel[name] = math.nan if value is None else float(value)
    return panel


def better_direction(metric: str) -> int:
    """1 where a higher value of the metric is better, -1 where a lower one is."""
    if metric in ("accuracy", "worst_group_accuracy"):
        return 1
    from fairaudit.catalogue import BY_ID

    if metric not in BY_ID:
        raise FairauditError(f"no metric '{metric}' to select by.{did_you_mean(metric, BY_ID)}")
    if not BY_ID[metric].better:
        raise FairauditError(
            f"neither high nor low values of '{metric}' are better; select by another metric."
        )
    return -1 if BY_ID[metric].better == "lower" else 1


def read_findings(path: str | Path) -> Found:
    """The columns and flags of an audit file. Raises FairauditError where it is not one."""
    try:
        whole = json.loads(Path(path).read_text(encoding="utf-8"))
        content = whole["content"]
        sensitive = tuple(content["data"]["columns"].get("sensitive") or ())
        flags = [split_by(str(flag.get("by"))) for flag in content["flags"]]
    except (OSError, UnicodeDecodeError) as error:
        raise FairauditError(f"cannot read the audit '{path}': {error}.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FairauditError(
            f"'{path}' is not an audit; write one with `fairaudit report … -o json:{path}`."
        ) from error
    flagged = tuple(dict.fromkeys(by for by in flags if set(by) <= set(sensitive)))
    return Found(sensitive, content.get("positive"), flagged)
