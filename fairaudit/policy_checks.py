"""One `[[rule]]`: what the schema cannot say about it. Every refusal points at the key that would mend it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from typing import Any

from fairaudit.catalogue import BY_ID, CATALOGUE, SCORES_OF_CLASSES
from fairaudit.errors import did_you_mean
from fairaudit.labels import escape, split_by, text_of
from fairaudit.policy import KINDS, VERSUS_BASELINE, Rule
from fairaudit.policy_groups import CLASS, OVERALL, Spot, read_by, read_group
from fairaudit.rates import RATES
from fairaudit.toml_lines import cut, shown

_COMPARISONS = ("max_difference", "min_ratio")
#: What people call a metric elsewhere -> what it is called here.
ELSEWHERE: Mapping[str, str] = {
    "true_positive_rate": "tpr", "false_positive_rate": "fpr", "true_negative_rate": "tnr",
    "false_negative_rate": "fnr", "sensitivity": "tpr", "specificity": "tnr", "positive_predictive_value": "ppv",
    "negative_predictive_value": "npv", "positive_rate": "selection_rate", "f1_score": "f1_macro",
    "disparate_impact": "demographic_parity_ratio", "impact_ratio": "demographic_parity_ratio",
    "statistical_parity_difference": "demographic_parity_difference", "four_fifths": "demographic_parity_ratio",
    "demographic_parity": "demographic_parity_difference", "equalized_odds": "equalized_odds_difference",
    "equal_opportunity": "equal_opportunity_difference", "predictive_parity": "predictive_parity_difference",
    "auc": "roc_auc", "worst_group": "worst_group_accuracy", "balanced_accuracy": "recall_macro",
}  # fmt: skip
#: metric -> the kinds of view it stands in. Recall by attribute is that of each class and group.
PLACES: Mapping[str, frozenset[str]] = {
    id_: frozenset(k for m in CATALOGUE if m.id == id_ for k in m.where)
    | (frozenset({"attribute"}) if id_ == "recall" else frozenset())
    for id_ in BY_ID
}
_OF_A_CLASS = {*RATES, "f1", "recall", "precision", "eod", *SCORES_OF_CLASSES} - {"accuracy"}


def over_groups(metric: str) -> bool:
    """Whether a metric is already one number over all groups or classes, so that no group has its own."""
    own = metric in _OF_A_CLASS or metric.endswith("_to_overall")
    return "overall" not in PLACES[metric] and not own


def read_rule(
    table: Mapping[str, Any], spot: Spot, declared: Sequence[str], lines: Mapping[str, int]
) -> Rule:
    """A rule from its table, whose shape the schema has passed. `lines`: of its keys.

    Raises FairauditError for a rule that no data could make sense of.
    """
    kind = _kind(table, spot, lines)
    _check_company(table, kind, spot)
    metric = _metric(table, kind, spot)
    by = read_by(table["by"], declared, spot)
    _check_stands(metric, kind, by, spot)
    _check_limit(metric, kind, table[kind], spot)
    class_ = text_of(table.get("class"))
    if class_ is not None and metric not in _OF_A_CLASS:
        raise spot.error("class", f"{metric} is not about one class; take class out, or judge recall.")
    groups, excluded = (_groups(table, k, by, spot) for k in ("groups", "exclude_groups"))
    for n, group in enumerate(groups):
        if group in excluded:
            raise spot.error(
                ("groups", n), f"{shown(group)} stands in groups and in exclude_groups; keep one."
            )
    return Rule(
        id=table["id"], metric=metric, by=by, kind=kind, limit=float(table[kind]), class_=class_,
        reference=_reference(table, metric, by, spot), groups=groups, exclude_groups=excluded,
        missing_baseline=table.get("missing_baseline", "inconclusive"), severity=table.get("severity", "error"),
        because=table.get("because", ""), line=spot.place.line(*spot.path), lines=lines,
    )  # fmt: skip


def _kind(table: Mapping[str, Any], spot: Spot, lines: Mapping[str, int]) -> str:
    kinds = [k for k in KINDS if k in table]
    if not kinds:
        raise spot.error("id", f"it asks for nothing; add one of {', '.join(KINDS)}.")
    if len(kinds) > 1:
        first, second = sorted(kinds, key=lambda k: lines.get(k, 0))[:2]
        raise spot.error(
            second, f"a rule asks for one thing, not {first} and {second}; make two rules of it."
        )
    return kinds[0]


def _check_company(table: Mapping[str, Any], kind: str, spot: Spot) -> None:
    """Keys that go with some kinds only."""
    if "reference" in table and kind not in _COMPARISONS:
        raise spot.error("reference", f"reference goes with {' and '.join(_COMPARISONS)}, not with {kind}; "
                                      "take it out.")  # fmt: skip
    if "vs" in table and kind not in VERSUS_BASELINE:
        raise spot.error("vs", f"vs = \"baseline\" goes with {', '.join(VERSUS_BASELINE)}, not with {kind}; "
                               "take it out or change the limit.")  # fmt: skip
    if "vs" not in table and kind in ("max_increase", "max_decrease"):
        raise spot.error(kind, f'{kind} needs what to compare with; add vs = "baseline".')
    if "missing_baseline" in table and kind not in VERSUS_BASELINE:
        raise spot.error("missing_baseline", f"missing_baseline goes with {', '.join(VERSUS_BASELINE)}, not with "
                                             f"{kind}; take it out.")  # fmt: skip


def _metric(table: Mapping[str, Any], kind: str, spot: Spot) -> str:
    if "metric" not in table and kind != "no_group_worse":
        raise spot.error("id", 'it names no metric; add one, as metric = "selection_rate".')
    name: str = table.get("metric", "accuracy")
    if name in BY_ID:
        return name
    near = _nearest_metric(name)
    said = f"there is no metric {shown(name)}"
    known = f"; there are {', '.join((*RATES, 'f1', 'recall', 'roc_auc'))} and others (fairaudit explain)"
    raise spot.error("metric", f"{said}.{near}" if near else f"{said}{known}.")


def _nearest_metric(name: str) -> str:
    """What may have been meant: another house's word, `f1[1]` for a class, an abbreviation, a misspelling."""
    plain = name.lower().replace(" ", "_").replace("-", "_")
    base, bracket, class_ = plain.partition("[")
    if bracket and base in _OF_A_CLASS:
        return f' Did you mean metric = "{base}" with class = "{cut(class_.rstrip("]"))}"?'
    longer = min((m for m in BY_ID if len(plain) > 2 and m.startswith(plain)), key=len, default=None)
    found = ELSEWHERE.get(plain, longer)
    return f" Did you mean '{found}'?" if found else did_you_mean(name, BY_ID)


def _check_stands(metric: str, kind: str, by: Sequence[str], spot: Spot) -> None:
    """Whether a metric has numbers there, and as many as the rule compares."""
    if over_groups(metric) and kind in (*_COMPARISONS, "no_group_worse"):
        limit = "max" if _lower(metric) else "min"
        raise spot.error("metric", f"{metric} is one number over all groups, so {kind} has no groups to look at; "
                                   f"write {limit} = …, or name a rate as metric.")  # fmt: skip
    if kind == "no_group_worse" and not BY_ID[metric].better:
        raise spot.error(
            "metric", f"neither more nor less of {metric} is worse; use max_increase or max_decrease."
        )
    if kind == "min_ratio" and BY_ID[metric].low < 0:
        raise spot.error(kind, f"{metric} may be negative, where ratios mean nothing; use max_difference.")
    words = {"overall": "overall", "class": "class", "attribute": "an attribute"}
    for name in by:
        if name == OVERALL and kind in _COMPARISONS:
            raise spot.error(
                "by", f"'overall' is one group, so {kind} has nothing to compare; take it out of by."
            )
        if (name if name in words else "attribute") not in PLACES[metric]:
            kinds = " or ".join(words[k] for k in words if k in PLACES[metric])
            raise spot.error(
                "by", f"{metric} does not stand by {shown(name)}, only by {kinds}; change by or metric."
            )


def _lower(metric: str) -> bool:
    return BY_ID[metric].better == "lower"


def _check_limit(metric: str, kind: str, limit: float, spot: Spot) -> None:
    """The side of a limit, and whether the number could ever be there."""
    own, side = BY_ID[metric], kind
    if kind in ("min", "max") and own.better and (over_groups(metric) or metric == "eod"):
        side = "max" if _lower(metric) else "min"
    if side != kind:
        why = "the less the better" if side == "max" else "the more the better"
        raise spot.error(
            kind, f"of {metric} {why}, so {kind} would refuse good models; write {side} = {limit:g}."
        )
    what, low, high = metric, own.low, own.high
    if kind not in ("min", "max"):
        what, low, high = (
            ("changes" if kind in VERSUS_BASELINE else "differences") + f" of {metric}",
            0.0,
            high - low,
        )
    if kind == "min_ratio" or low <= limit <= high:
        return
    bounds = f"from {low:g} to {high:g}" if high < inf else f"from {low:g} up"
    percent = high < inf and 2 <= limit <= 100 * high
    remedy = f"; did you mean {limit / 100:g}?" if percent else "; write a number of that range."
    runs = "runs" if what == metric else "run"
    raise spot.error(kind, f"{kind} = {limit:g}, but {what} {runs} {bounds}{remedy}")


def _reference(table: Mapping[str, Any], metric: str, by: Sequence[str], spot: Spot) -> str:
    """Whom groups are compared with, in its one spelling."""
    text: str = table.get("reference", "highest")
    if text in ("overall", "rest") and metric not in {*RATES, "recall", "eod"}:
        raise spot.error("reference", f"reference = \"{text}\" needs a rate, which {metric} is not; write "
                                      '"highest" or one group.')  # fmt: skip
    if text in ("highest", "overall", "rest"):
        return text
    if "=" not in text:
        near = did_you_mean(text, ("highest", "overall", "rest"))
        said = f"reference is 'highest', 'overall', 'rest' or a group as {cut(by[0])}=NAME, not {shown(text)}"
        raise spot.error(
            "reference", f"{said}.{near}" if near else f"{said}; write {cut(by[0])}={cut(text)}."
        )
    found = read_group(text, "reference", [b for b in by if b != CLASS], spot)
    other = next((b for b in by if not found.startswith(f"{b}=")), None)
    if other is not None:
        said = f"{shown(text)} is no group of {shown(other)}, which stands in by too"
        raise spot.error("reference", f"{said}; give {shown(other)} a rule of its own.")
    return found


def _groups(table: Mapping[str, Any], key: str, by: Sequence[str], spot: Spot) -> tuple[str, ...]:
    """The groups of a filter: of an entry of `by`, or of one attribute of a crossing."""
    given = table.get(key, ())
    texts = [given] if isinstance(given, str) else list(given)
    wholes = [b for b in by if b not in (OVERALL, CLASS)]
    parts = [p for b in wholes if len(split_by(b)) > 1 for p in _parts(b) if p not in wholes]
    if texts and not wholes:
        raise spot.error(key, f"{key} names groups of attributes, but by names none; take it out.")
    return tuple(read_group(t, (key, n), [*wholes, *dict.fromkeys(parts)], spot) for n, t in enumerate(texts))


def _parts(by: str) -> tuple[str, ...]:
    """The attributes of a crossing, each as an entry of its own."""
    return tuple(escape(p) for p in split_by(by))
