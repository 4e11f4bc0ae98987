"""The loop under a policy: whether to repair, which groups to compare, and whether the repair is good enough.

A policy's `[data]` speaks of the user's own prediction files. What a mitigation writes has columns of its own, so the
policy is brought to those: who is judged and by which limits stays, where it stands in a file does not.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairaudit.errors import FairauditError
from fairaudit.labels import default_positive, escape, is_number, join, split_by, text_of
from fairaudit.policy import Policy, Rule
from fairaudit.verdict import FAIL, INCONCLUSIVE, Verdict
from fairaudit_mitigate.data import Columns, Rows
from fairaudit_mitigate.groups import CLASS
from fairaudit_mitigate.reaudit import roles_of, verdict_of

if TYPE_CHECKING:
    from fairaudit_mitigate.voice import Say

OVERALL = "overall"
#: What is asked of every repair, though only shown: accuracy of no group worse by more than two points.
ASIDE, ASIDE_MARGIN = "no-group-worse", 0.02
_WHY = "added by mitigate, the policy has no such rule: shown, never counted"


def check_usable(policy: Policy, force: bool) -> None:
    """Raise FairauditError for a policy that no mitigation could be held against; nothing is loaded yet."""
    if "weights" in policy.data:
        raise FairauditError(
            f"{policy.name}: [data] weighs rows by '{policy.data['weights']}', which the predictions of a mitigation "
            "do not hold; take weights out, or judge your own predictions with `fairaudit gate`."
        )
    waived = {w.rule for w in policy.waivers if w.group is None}
    counted = [r for r in policy.rules if r.severity == "error" and r.id not in waived]
    if counted and all(r.versus_baseline for r in counted) and not force:
        raise FairauditError(
            f"{policy.name}: every rule that counts compares with a baseline, and the model before has none, so "
            "nothing says whether to repair it; add a rule with a limit of its own, or give --force."
        )


def attributes(policy: Policy) -> tuple[str, ...]:
    """The attributes that the rules speak of, each once, in the order in which they are first written."""
    names = [n for r in policy.rules for by in r.by if by not in (OVERALL, CLASS) for n in split_by(by)]
    return tuple(dict.fromkeys(names))


def supplied(
    policy: Policy, sensitive: tuple[str, ...], positive: str | None, columns: Columns
) -> tuple[tuple[str, ...], str | None, Columns]:
    """Sensitive columns, positive class and cluster column: those given, else the policy's.

    Raises FairauditError where the columns given lack one that a rule speaks of.
    """
    data = policy.data
    lacking = [a for a in attributes(policy) if sensitive and a not in sensitive]
    if lacking:
        raise FairauditError(
            f"{policy.name} judges '{lacking[0]}', which is not among the sensitive columns given "
            f"({', '.join(sensitive)}); add -s {lacking[0]}, or give none and the policy's are taken."
        )
    chosen = sensitive or tuple(data.get("sensitive", ())) or attributes(policy)
    return (
        chosen,
        positive or data.get("positive"),
        replace(columns, cluster=columns.cluster or data.get("cluster")),
    )


def grouped(rows: Rows, policy: Policy) -> Rows:
    """The rows with the policy's groups: bins in place of numbers, its words for a missing value as missing.

    So training, predictions and audits speak of the groups that the policy judges. Raises FairauditError where
    an attribute with bins is not a number.
    """
    bins, na = policy.data.get("bins", {}), set(policy.data.get("na", ()))
    found = {
        name: tuple(None if v is None or v in na else _binned(name, v, bins.get(name)) for v in values)
        for name, values in rows.sensitive.items()
    }
    return replace(rows, sensitive=found)


def _binned(name: str, value: str, edges: Sequence[float] | None) -> str | None:
    """The bin of a value, named as a report names it: `< 25`, `[25, 40)`, `>= 40`."""
    if edges is None:
        return value
    if value.lower() == "nan":
        return None
    if not is_number(value):
        raise FairauditError(
            f"column '{name}' must hold numbers, but has '{value}'; mend it or take its bins out."
        )
    at, shown = bisect_right(edges, float(value)), [text_of(float(e)) for e in edges]
    if at == 0:
        return f"< {shown[0]}"
    return f">= {shown[-1]}" if at == len(edges) else f"[{shown[at - 1]}, {shown[at]})"


@dataclass(frozen=True, slots=True)
class Court:
    """The policy, about the prediction files of this mitigation. `sensitive`: their attributes."""

    policy: Policy
    sensitive: tuple[str, ...]

    def before(self, predictions: Path) -> Verdict:
        """The verdict on the model before. Rules against a baseline are skipped: it is the baseline."""
        rules = (replace(r, missing_baseline="skip") if r.versus_baseline else r for r in self.policy.rules)
        return verdict_of(predictions, replace(self.policy, rules=tuple(rules)))

    def after(self, before: Path, after: Path) -> Verdict:
        """The verdict on the model after, row by row against the model before."""
        return verdict_of(after, _with_aside(self.policy, self.sensitive), before)

    def rehearse(self, before: Path) -> None:
        """Judge the model before against itself: a rule without meaning is found before anything is trained."""
        self.after(before, before)


def court_of(
    policy: Policy,
    names: Mapping[str, str],
    classes: Sequence[str],
    sensitive: Sequence[str],
    positive: str | None,
    cluster: str | None,
    say: Say,
) -> Court:
    """The policy brought to the columns of a mitigation. `names`: of the classes in the data -> in the model.

    A policy that judges a score at a threshold goes on doing so, on the probability of the positive class.
    Raises FairauditError where that needs two classes, or a positive class that nobody named.
    """
    roles: dict[str, Any] = roles_of(sensitive, positive, cluster) | {"id": "id"}
    if _by_score(policy):
        column, threshold = _score(policy, classes, positive), policy.data.get("threshold", 0.5)
        roles |= {"y_score": column, "threshold": threshold, "y_pred": None, "prob_prefix": None}
        roles["positive"] = column.removeprefix("prob_")
        if threshold != 0.5:
            say(
                f"verdicts judge {column} at the threshold {threshold:g}; audits and comparison, the likeliest class."
            )
    if "max_groups" in policy.data:
        roles["max_groups"] = policy.data["max_groups"]
    agreement = policy.data.get("agreement", {})
    data = roles | {"agreement": {names.get(c, c): g for c, g in agreement.items()}}
    rules = (
        replace(r, class_=None if r.class_ is None else names.get(r.class_, r.class_)) for r in policy.rules
    )
    return Court(replace(policy, data=data, rules=tuple(rules)), tuple(sensitive))


def _by_score(policy: Policy) -> bool:
    """Whether the policy's own files are judged by a score and a threshold, as `fairaudit gate` would read them."""
    data = policy.data
    return "y_pred" not in data and ("y_score" in data or ("threshold" in data and "prob_prefix" not in data))


def _score(policy: Policy, classes: Sequence[str], positive: str | None) -> str:
    """The column of the probability of the positive class."""
    if len(classes) != 2:
        raise FairauditError(
            f"{policy.name}: [data] decides by a score and a threshold between two classes, but the model has "
            f"{len(classes)}; take y_score and threshold out, and its likeliest class is judged."
        )
    chosen = positive or default_positive(classes)
    if chosen is None:
        raise FairauditError(
            f"{policy.name}: which class does the score speak for? Say positive in [data], or --positive "
            f"({', '.join(classes)})."
        )
    return f"prob_{chosen}"


def _with_aside(policy: Policy, sensitive: Sequence[str]) -> Policy:
    """The policy with a rule of severity `warn` that no group gets worse, where it has none."""
    by = attributes(policy) or tuple(sensitive)
    if not by or any(r.kind == "no_group_worse" for r in policy.rules):
        return policy
    taken = {r.id for r in policy.rules}
    name = next(n for n in (ASIDE, *(f"{ASIDE}-{k}" for k in range(2, len(taken) + 3))) if n not in taken)
    rule = Rule(
        name,
        "accuracy",
        tuple(escape(a) for a in by),
        "no_group_worse",
        ASIDE_MARGIN,
        severity="warn",
        because=_WHY,
    )
    return replace(policy, rules=(*policy.rules, rule))


def groups_of(verdict: Verdict) -> str | None:
    """The groups to compare in training: the class crossed with the attributes of the first rule that fails.

    Where none fails, of the first that is inconclusive. A rule by class gives the classes; rules on all rows give None.
    """
    for word in (FAIL, INCONCLUSIVE):
        for check in verdict.checks:
            if check.counts and check.verdict == word and check.by != OVERALL:
                return CLASS if check.by == CLASS else join((CLASS, *split_by(check.by)))
    return None
