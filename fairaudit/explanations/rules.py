"""One rule of a policy, in words: what it asks of whom, and what makes it pass, fail or stay open."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from fairaudit.catalogue import BY_ID
from fairaudit.errors import FairauditError, did_you_mean
from fairaudit.explanations.entries import OPEN, explain, is_known
from fairaudit.policy import Policy, Rule

if TYPE_CHECKING:
    from fairaudit.templates.kinds import RuleDraft

_WARN = "warn: it is judged and shown, and never changes the verdict or the exit code"
_REFERENCES = {"overall": "all rows", "rest": "all other groups together"}
_BY = {"overall": "over all rows", "class": "for each class"}
_KINDS = {
    "min": "is at least {limit}",
    "max": "is at most {limit}",
    "max_increase": "rises by at most {limit} against the baseline",
    "max_decrease": "falls by at most {limit} against the baseline",
    "no_group_worse": "gets worse by at most {limit} against the baseline",
}


def of_rule(policy: Policy, name: str) -> tuple[tuple[str, str], ...]:
    """The rule as named sentences, in reading order. Raises FairauditError, with the nearest id, for no such rule."""
    rule = next((r for r in policy.rules if r.id == name), None)
    if rule is None:
        known = [r.id for r in policy.rules]
        raise FairauditError(
            f"{policy.name} has no rule '{name}' (rules: {', '.join(known)}).{did_you_mean(name, known)}"
        )
    return tuple(_told(policy, rule))


def _told(policy: Policy, rule: Rule) -> Iterator[tuple[str, str]]:
    about = explain(rule.metric)
    yield "asks", asks(rule)
    yield "metric", f"{rule.metric}: {about.definition} ({about.formula})"
    if rule.class_ is not None:
        yield "class", f"about class {rule.class_} only"
    yield "checks", f"{len(rule.by)}: {', '.join(rule.by)}"
    if rule.groups:
        yield "groups", f"only {', '.join(rule.groups)}"
    left = tuple(dict.fromkeys((*rule.exclude_groups, *policy.exclude_groups)))
    if left:
        yield "left out", f"{', '.join(left)}: nothing is judged about them, and every output lists them"
    kind = explain(rule.kind)
    yield "passes when", f"{kind.passes}; here the limit is {rule.limit:g}"
    yield "fails when", _fails(policy, rule, kind.fails)
    yield "inconclusive when", _open(policy, rule)
    yield from _standing(policy, rule)
    yield "misleads", " ".join(x for x in (kind.misleads, about.misleads) if x)


def of_template(name: str) -> tuple[str, tuple[tuple[str, str], ...]] | None:
    """The template that has a rule (or is itself) of this name, and the rule as named sentences; None for other names.

    >>> template, told = of_template("impact-ratio")
    >>> template, dict(told)["severity"]
    ('ll144', 'warn: it is judged and shown, and never changes the verdict or the exit code')
    """
    if is_known(name):
        return None
    from fairaudit.templates.kinds import TEMPLATES

    for t in TEMPLATES.values():
        mine = [d for d in t.rules if t.name == name or d.id == name]
        if mine:
            drafts = [_told_draft(d) for d in mine]
            rules = (
                drafts[0]
                if len(mine) == 1
                else [(d.id, dict(x)["asks"]) for d, x in zip(mine, drafts, strict=True)]
            )
            return t.name, (
                *rules,
                ("template", " ".join(t.about)),
                *_next(t.name, mine[0].id if len(mine) == 1 else "RULE"),
            )
    return None


def _told_draft(draft: RuleDraft) -> list[tuple[str, str]]:
    """What a template's rule says before there is data."""
    rule = Rule(draft.id, draft.metric, ("each sensitive attribute",), draft.kind, draft.limit)
    about, kind = explain(rule.metric), explain(rule.kind)
    told = [
        ("asks", asks(rule)),
        ("why", " ".join(draft.why)),
        ("metric", f"{rule.metric}: {about.definition} ({about.formula})"),
        ("passes when", f"{kind.passes}; the template's limit is {rule.limit:g}"),
        ("fails when", kind.fails),
        ("inconclusive when", OPEN),
        ("misleads", " ".join(x for x in (kind.misleads, about.misleads) if x)),
        ("because", draft.because),
    ]
    return [*told, ("severity", _WARN)] if draft.more.get("severity") == "warn" else told


def _next(template: str, rule: str) -> Iterator[tuple[str, str]]:
    yield "write it", f"fairaudit init PREDICTIONS --template {template}"
    yield "your own", f"fairaudit explain {rule} --policy FILE explains the rule as it stands in a policy"


def asks(rule: Rule) -> str:
    """What a rule asks for, as one sentence.

    >>> asks(Rule("r", "tpr", ("sex",), "min", 0.7))
    'tpr is at least 0.7 for each group of sex.'
    >>> asks(Rule("r", "fpr", ("sex", "race"), "max_difference", 0.1))
    'no two groups of sex and no two groups of race are farther apart in fpr than 0.1.'
    """
    limit = f"{rule.limit:g}"
    if rule.kind in _KINDS:
        return f"{rule.metric} {_KINDS[rule.kind].format(limit=limit)} {' and '.join(_place(rule))}."
    if rule.reference == "highest":
        pairs = [f"two groups of {by}" if by != "class" else "two classes" for by in rule.by]
        if rule.kind == "max_difference":
            return f"no {' and no '.join(pairs)} are farther apart in {rule.metric} than {limit}."
        return f"of any {' or '.join(pairs)}, the lower {rule.metric} is at least {limit} times the higher."
    whom = f"{rule.metric} of {_REFERENCES.get(rule.reference, rule.reference)}"
    each = f"{rule.metric} {' and '.join(_place(rule))}"
    if rule.kind == "max_difference":
        return f"{each} differs from {whom} by at most {limit}."
    low, high = (whom, each) if BY_ID[rule.metric].better == "lower" else (each, whom)
    return f"{low} is at least {limit} times {high}."


def _place(rule: Rule) -> list[str]:
    """Where the numbers of a rule stand: one over all rows, one a class, one a group, or one over the groups."""
    from fairaudit.policy_checks import over_groups

    words = _BY | ({"class": "over the classes"} if over_groups(rule.metric) else {})
    group = "over the groups of {}" if over_groups(rule.metric) else "for each group of {}"
    return [words.get(by, group.format(by)) for by in rule.by]


def _fails(policy: Policy, rule: Rule, fails: str) -> str:
    shared = f", shared by its {len(rule.by)} checks" if len(rule.by) > 1 else ""
    alone = (
        "spread over all rules that count (family = policy)"
        if policy.family == "policy"
        else "for this rule alone"
    )
    return f"{fails}; alpha = {policy.alpha:g} is one-sided, {alone}{shared}"


def _open(policy: Policy, rule: Rule) -> str:
    blocks = "stops the release (exit code 3)"
    then = (
        blocks if policy.on_inconclusive == "block" else "is shown and lets the release through (exit code 0)"
    )
    said = f"{OPEN}; fewer than {policy.min_events} rows in a denominator are too few"
    if rule.versus_baseline:
        without = "it is skipped" if rule.missing_baseline == "skip" else "it is inconclusive"
        said += f"; without a baseline {without}"
    return said + ("" if rule.severity != "error" else f". An inconclusive verdict {then}")


def _standing(policy: Policy, rule: Rule) -> Iterator[tuple[str, str]]:
    if rule.severity != "error":
        yield (
            "severity",
            _WARN,
        )
    for w in policy.waivers:
        if w.rule == rule.id:
            whom = "the whole rule" if w.group is None else w.group
            yield "waived", f"{whom} until {w.until.isoformat()}, {w.owner}: {w.reason}"
    if rule.because:
        yield "because", rule.because
    if rule.line:
        yield "stands in", f"{policy.name}:{rule.line}"
