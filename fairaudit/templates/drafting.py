"""A policy for predictions, from a template: every column named, every key explained, read back before it is given."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from fairaudit.columns import Inputs
from fairaudit.errors import FairauditError, did_you_mean
from fairaudit.gating import judged
from fairaudit.labels import MISSING, escape, is_number
from fairaudit.policy import Policy, Rule
from fairaudit.policy_file import parse_policy
from fairaudit.report.words import hidden, several
from fairaudit.templates.facts import Facts, data_keys, read
from fairaudit.templates.kinds import CLASS_AND_ATTRIBUTES, TEMPLATES, RuleDraft, Template
from fairaudit.templates.toml import commented, pair, toml
from fairaudit.view import Settings

#: As many groups of an attribute, and as many waivers, as a page can hold and be read.
MOST_GROUPS, MOST_WAIVERS = 40, 12
#: A numeric attribute with more groups than this was probably meant to be binned.
MANY_NUMBERS = 20
#: How long a suggested waiver holds.
WAIVED_DAYS = 90

_DATA = {
    "y_true": "the labels", "y_pred": "the predicted labels", "y_score": "the probability of the positive class",
    "threshold": "a score from here up predicts the positive class",
    "prob_prefix": "how the columns with one probability per class begin",
    "score_classes": "classes whose probabilities are scored against the rest", "weights": "the weight of each row",
    "loss": "the cross-entropy of each row", "member": "whether a row was trained on",
    "cluster": "what rows of one person share: they are not independent",
    "id": "what names a row; pairs it with the same row of --baseline", "positive": "the class that rates are about",
    "sensitive": "the sensitive attributes; their groups:", "split": "the rows that are judged",
    "bins": "groups made from a number", "agreement": "the group that each class agrees with",
    "with": "labels and attributes that lie in another file (from where the gate runs)",
    "on": "the column that both files share", "na": "texts that mean missing in sensitive columns",
    "missing_labels": "rows without label or prediction: \"error\" or \"drop\"",
    "max_groups": "attributes with more values are refused",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Draft:
    """A policy to be written. `small`: (rule, group, its denominator, about how many more rows would decide)."""

    text: str
    template: str
    rules: tuple[Rule, ...]
    detected: tuple[str, ...]
    small: tuple[tuple[str, str, int, int | None], ...]
    notes: tuple[str, ...]


def draft(
    data: Any, template: str, *, name: str = "fairaudit.toml", source: str = "the data", min_events: int = 10,
    seed: int = 0, today: date | None = None, **inputs: Any,
) -> Draft:  # fmt: skip
    """A commented policy for `data` from one of `TEMPLATES`, which a gate on the same data can read at once.

    `name`: the policy file's, `source`: what comments call the data; `inputs`: fields of `Inputs`. Raises
    FairauditError, one sentence, where there is no such template or it has no meaning for the data.
    """
    if template not in TEMPLATES:
        hint = did_you_mean(template, TEMPLATES)
        raise FairauditError(f"there is no template '{template}' (templates: {', '.join(TEMPLATES)}).{hint}")
    chosen = TEMPLATES[template]
    facts = read(data, Inputs(**inputs), chosen)
    body = [*_head(chosen, facts, source, name), *_stats(min_events, seed), *_rules(chosen, facts)]
    policy = _parsed("\n".join(body), name, chosen, today)
    small = tuple(_small(facts, policy, chosen))
    until = (today or date.today()) + timedelta(days=WAIVED_DAYS)
    text = "\n".join([*body, *_baseline(chosen, facts), *_waivers(chosen, facts, small, until, min_events)])
    _parsed(text, name, chosen, today)
    notes = tuple(_notes(facts))
    return Draft(
        text + "\n", template, policy.rules, tuple(facts.tally.description["detected"]), small, notes
    )


def _parsed(text: str, name: str, template: Template, today: date | None) -> Policy:
    try:
        return parse_policy(text, name, today=today)
    except FairauditError as error:
        raise FairauditError(f"template '{template.name}' does not fit this data: {error}") from error


def _head(template: Template, facts: Facts, source: str, name: str) -> Iterator[str]:
    rows = several(facts.tally.rows, "row")
    yield f"# A policy for `fairaudit gate`, from the template {template.name}."
    yield f"# Written by `fairaudit init` for {toml(source.encode('utf-8', 'replace').decode())} ({rows})."
    yield f"# What it asks, in words: fairaudit explain --policy {_plain(name)}"
    yield from (f"# {text}" for text in hidden(facts.tally.warnings))
    yield "#"
    yield from (f"# {line}" for line in template.about)
    yield "schema = 1"
    yield ""
    yield "# How predictions are read: all that was found is named, so that nothing is guessed later. A flag of"
    yield "# `fairaudit gate` overrules a line here."
    yield "[data]"
    for k, value in data_keys(facts).items():
        yield pair(k, value, _DATA[k] + (f"; {_classes(facts)}" if k == "positive" else ""))
        if k == "sensitive":
            yield from _groups(facts)
    if facts.other_id is not None:
        yield f"# {pair('id', facts.other_id, _DATA['id'])}"
    yield '# exclude_groups = ["ATTRIBUTE=GROUP"]  # groups that no rule judges; shown in every output'
    yield "# suppress_below = 10  # privacy: counts from 1 to 9 are hidden in every output"


def _plain(name: str) -> str:
    """A path as one word of a comment."""
    return "fairaudit.toml" if name == "-" else name if name.isprintable() and " " not in name else toml(name)


def _classes(facts: Facts) -> str:
    shown = ", ".join(f"{toml(c)} {several(n, 'row')}" for c, n in facts.classes[:8])
    return "classes: " + shown + (", …" if len(facts.classes) > 8 else "")


def _groups(facts: Facts) -> Iterator[str]:
    for attribute, groups in facts.sizes:
        shown = ", ".join(f"{toml(g)} {n:,}" for g, n in groups[:MOST_GROUPS])
        more = f" and {len(groups) - MOST_GROUPS} more" if len(groups) > MOST_GROUPS else ""
        yield f"#   {toml(attribute)}: {shown}{more}"
    if facts.naming.positive is None:
        yield f"# {_classes(facts)}"


def _stats(min_events: int, seed: int) -> Iterator[str]:
    yield ""
    yield "[stats]"
    yield pair("alpha", 0.05, "one-sided: how often a model at the limit may fail, or pass, by chance")
    yield pair("family", "rule", '"rule": alpha holds for each rule; "policy": for all rules together')
    yield pair("min_events", min_events, "strata with fewer rows in the denominator decide nothing")
    yield pair("on_inconclusive", "block", '"block": exit code 3; "warn": say so, and exit 0')
    yield pair("seed", seed, "of every draw, so that a verdict can be repeated")


def _rules(template: Template, facts: Facts) -> Iterator[str]:
    yield ""
    yield '# Each entry of `by` is one check; "a&b" crosses two attributes.'
    for rule in template.rules:
        yield from (f"# {line}" for line in rule.why)
        yield from _rule(rule, template, facts)
        yield ""


def _by(rule: RuleDraft, facts: Facts) -> list[str]:
    return [*(["class"] if rule.over == CLASS_AND_ATTRIBUTES else []), *facts.by]


def _rule(rule: RuleDraft, template: Template, facts: Facts) -> Iterator[str]:
    yield "[[rule]]"
    yield pair("id", rule.id)
    yield pair("metric", rule.metric, f"what it is: fairaudit explain {rule.metric}")
    yield pair("by", _by(rule, facts))
    yield pair(rule.kind, rule.limit, _LIMITS[rule.kind])
    for k, value in rule.more.items():
        yield pair(k, value, _MORE[k])
    unknown = [f"{escape(a)}={MISSING}" for a, groups in facts.sizes if MISSING in dict(groups)]
    if template.leaves_missing_out and unknown:
        yield pair("exclude_groups", unknown, "unknown category: counted apart (§ 5-301), not judged")
    yield pair("because", rule.because)


_LIMITS = {
    "min": "at least this much", "max": "at most this much",
    "max_difference": "how far apart two groups may lie", "min_ratio": "the smallest ratio of two groups",
}  # fmt: skip
_MORE = {
    "reference": 'compared with the best-off group; or "overall", "rest", "ATTRIBUTE=GROUP"',
    "severity": 'shown, never counted; "error" makes it count',
}


def _small(facts: Facts, policy: Policy, template: Template) -> Iterator[tuple[str, str, int, int | None]]:
    """The groups that this policy could not judge for lack of rows, each once a rule."""
    try:
        settings = Settings(min_events=policy.min_events, seed=policy.seed)
        verdict = judged(facts.tally, policy, facts.naming, settings)
    except FairauditError as error:
        raise FairauditError(f"template '{template.name}' does not fit this data: {error}") from error
    seen = set()
    for check in verdict.checks:
        for s in check.strata:
            group = f"{check.by}={s.group}"
            few = s.group is not None and s.n is not None and s.n < policy.min_events
            if few and check.by != "class" and (check.id, group) not in seen:
                seen.add((check.id, group))
                yield check.id, group, int(s.n or 0), s.rows_needed


def _baseline(template: Template, facts: Facts) -> Iterator[str]:
    yield "# Against the model in production (fairaudit gate … --baseline FILE): no group may be served worse."
    yield from commented(
        [
            "[[rule]]",
            pair("id", "no-group-worse"),
            pair("metric", template.watch),
            pair("by", list(facts.by)),
            pair("no_group_worse", 0.01, "by more than this"),
            pair("vs", "baseline"),
            pair("missing_baseline", "inconclusive", '"skip": no --baseline, no rule'),
            pair("because", "no levelling down"),
        ]
    )


def _waivers(
    template: Template, facts: Facts, small: Sequence[tuple[str, str, int, int | None]], until: date,
    min_events: int,
) -> Iterator[str]:  # fmt: skip
    """Suggestions for the groups that are too small; one as an example where none is."""
    yield ""
    yield "# A waiver takes a group (or, without `group`, a rule) out of the verdict until a day, and somebody answers"
    yield "# for it. Every output still shows it."
    shown = list(small[:MOST_WAIVERS])
    if not shown:
        attribute, groups = facts.sizes[0]
        yield "# No group is too small to be judged; this one is an example."
        yield from _waiver(template.rules[-1].id, f"{escape(attribute)}={groups[0][0]}", "why", "", until)
        return
    yield "# These groups have too few rows to be judged. More rows are better than a waiver."
    if all(r.more.get("severity") == "warn" for r in template.rules):
        yield '# While no rule counts (severity = "warn"), none of them needs one.'
    for rule, group, n, more in shown:
        reason = f"{several(n, 'row')} to judge by, fewer than {min_events}"
        why = f"about {more:,} more rows would decide" if more else ""
        yield from _waiver(rule, group, reason, why, until)
    if len(small) > len(shown):
        yield f"# … and {len(small) - len(shown)} more that a gate would name."


def _waiver(rule: str, group: str, reason: str, why: str, until: date) -> Iterator[str]:
    yield from commented(
        [
            "",
            "[[waiver]]",
            pair("rule", rule),
            pair("group", group, why),
            pair("owner", "name@example.org"),
            pair("reason", reason),
            pair("until", until),
        ]
    )


def _notes(facts: Facts) -> Iterator[str]:
    """What the user should know before the first gate."""
    yield from (text.rstrip(".") for text in hidden(facts.tally.warnings))
    for attribute, groups in facts.sizes:
        if len(groups) > MANY_NUMBERS and sum(is_number(g) for g, _ in groups) > MANY_NUMBERS:
            yield f"{attribute} has {len(groups)} numeric values; --bins {attribute}=EDGE,… makes groups of them"
        if len(groups) == 1:
            yield f"{attribute} has one group, so there is nothing to compare it with"
