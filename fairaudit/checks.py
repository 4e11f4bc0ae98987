"""A rule over one view: which strata, held against what, with which limit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from fairaudit import contrasts
from fairaudit.baseline import Baseline
from fairaudit.contrasts import Contrasts
from fairaudit.errors import FairauditError, did_you_mean
from fairaudit.judging import Limit, Part
from fairaudit.labels import MISSING, split_by
from fairaudit.policy import Rule
from fairaudit.strata import Members, Names, better, contrast, names, names_of, of_metric
from fairaudit.view import View

Array = np.ndarray[Any, Any]
Build = Callable[[Members], Contrasts]
#: One number over groups -> the rates whose largest gap, or smallest ratio, it is.
_PAIRED: Mapping[str, tuple[str, ...]] = {
    "demographic_parity": ("selection_rate",),
    "equalized_odds": ("tpr", "fpr"),
    "equal_opportunity": ("tpr",),
    "predictive_parity": ("ppv",),
}
#: One number over strata -> what is judged instead, stratum by stratum: over classes, over groups.
_OVER: Mapping[str, tuple[str, str]] = {
    "f1_min": ("f1", "f1_macro"),
    "recall_min": ("recall", "recall_macro"),
    "f1_delta": ("f1", "f1_macro"),
    "worst_group_accuracy": ("", "recall"),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What one check asks, in terms of strata: `rates` judged together, `kind`, and whom they are compared with."""

    rates: tuple[str, ...]
    kind: str
    reference: str


def asked(rule: Rule, view: View) -> Asked:
    """A rule on one number over strata, taken apart: a gap at most L is every pair of groups at most L apart.

    >>> asked(Rule("r", "f1_min", ("class",), "min", 0.5), view) # doctest: +SKIP
    Asked(rates=('f1',), kind='min', reference='')
    """
    if rule.kind in ("max", "min") and view.kind != "overall":
        name, _, ending = rule.metric.rpartition("_")
        if name in _PAIRED:
            kind = "max_difference" if ending == "difference" else "min_ratio"
            return Asked(_PAIRED[name], kind, "highest")
        if rule.metric in ("eod", "eod_max"):
            return Asked(("eod",), "max_difference", "rest")
        if rule.metric in _OVER:
            rate = _OVER[rule.metric][0 if view.kind == "class" else 1]
            pairs = rule.metric == "f1_delta"
            return Asked((rate,), "max_difference" if pairs else "min", "highest" if pairs else "")
    return Asked(
        (rule.metric,), rule.kind, rule.reference if rule.kind in ("max_difference", "min_ratio") else ""
    )


def parts(
    rule: Rule,
    view: View,
    excluded: Sequence[Names],
    waived: Sequence[Names],
    baseline: Baseline | None,
) -> list[Part]:
    """The parts of a check, one for each rate it judges. Raises FairauditError where the rule has no meaning here."""
    what = asked(rule, view)
    _known_groups(rule, view)
    gone = [g for g in view.groups if _within(view, g, excluded)]  # with all their rows
    view = view.without(gone)
    if not view.groups:
        return []
    return [_part(rule, what, rate, view, gone, waived, baseline) for rate in what.rates]


def _known_groups(rule: Rule, view: View) -> None:
    """A group that a rule names must be there (a missing value need not be missing today)."""
    wanted = [*rule.groups, *rule.exclude_groups]
    if rule.reference not in ("highest", "overall", "rest"):
        wanted.append(rule.reference)
    if view.kind != "attribute":
        return
    known = {f"{view.by}={g}": names(view.by, g) for g in view.groups}
    for text in wanted:
        mine = names_of(text, split_by(view.by))
        attributes = {a for a, _ in mine}
        if not attributes <= {a for n in known.values() for a, _ in n}:
            continue  # it speaks of another check of this rule
        if not any(mine <= n for n in known.values()) and all(g != MISSING for _, g in mine):
            # a group of one letter is near to any other; only its name says what may have been meant
            hint = did_you_mean(text, known) if did_you_mean(text.partition("=")[2], view.groups) else ""
            raise FairauditError(
                f"there is no group '{text}' in the data (groups: {', '.join(list(known)[:8])}).{hint}"
            )


def _part(
    rule: Rule, what: Asked, rate: str, view: View, gone: Sequence[str], waived: Sequence[Names],
    baseline: Baseline | None,
) -> Part:  # fmt: skip
    versus = baseline is not None and rule.versus_baseline
    if versus and baseline is not None and baseline.after:
        view = baseline.after[view.by].without(gone)  # only the rows that both models have judged
    limit = Limit(rule.limit, what.kind in ("min", "min_ratio"))
    quotient = what.kind == "min_ratio"
    halves = what.reference in ("rest", "overall")
    members = contrast(view, rate, _class(rule, view)) if halves else of_metric(view, rate, rule.class_)
    if members.joint and rule.groups:
        raise FairauditError(
            f"{rate} is one number over groups, so `groups` means nothing; leave groups out instead."
        )
    size = len(members.value) // 2 if halves else len(members.value)
    judged = _judged(view, members, size, waived)
    old = None
    if versus and baseline is not None:
        old = baseline.members(view, rate, rule.class_, members, gone)
    build = _builder(what, rate, rule.class_, view, members, baseline, old)
    of = rate if rate != rule.metric else None
    if rate == "eod" and halves:
        of = "recall"  # what such a stratum has of its own
    return Part(
        view.by, members, build, limit, size, judged, _shown(rule, what, view, members, size), of,
        view.settings.min_events, quotient, what.reference == "highest",
        what.kind == "max_difference" and what.reference != "highest", old,
    )  # fmt: skip


def _class(rule: Rule, view: View) -> str | None:
    """`eod_max` of a binary task is about the positive class (FairLoRA eq. 2), unless the rule names one."""
    if rule.class_ is None and rule.metric == "eod_max" and view.binary and view.positive is not None:
        return view.classes[view.positive]
    return rule.class_


def _within(view: View, group: str | None, listed: Sequence[Names]) -> bool:
    return group is not None and view.kind == "attribute" and any(n <= names(view.by, group) for n in listed)


def _judged(view: View, members: Members, size: int, waived: Sequence[Names]) -> Array:
    own = [g for g, _ in members.places[:size]]
    open_ = [g is None or view.kind != "attribute" or names(view.by, g) not in waived for g in own]
    return np.array(open_, dtype=bool)


def _shown(rule: Rule, what: Asked, view: View, members: Members, size: int) -> Array:
    """The groups that the rule is about: those it names, and never the one that all are compared with."""
    only = [names_of(g, split_by(view.by)) for g in rule.groups]
    reference = (
        []
        if what.reference in ("", "highest", "overall", "rest")
        else [names_of(what.reference, split_by(view.by))]
    )
    own = [g for g, _ in members.places[:size]]
    return np.array(
        [(not only or _within(view, g, only)) and not _within(view, g, reference) for g in own], dtype=bool
    )


def _builder(
    what: Asked, rate: str, class_: str | None, view: View, members: Members, baseline: Baseline | None,
    old: Members | None,
) -> Build:  # fmt: skip
    way = better(rate)
    lower = way == "lower"
    quotient = what.kind == "min_ratio"
    if old is not None and baseline is not None:
        decrease = what.kind == "max_decrease" or (what.kind == "no_group_worse" and not lower)
        if what.kind == "no_group_worse" and not way:
            raise FairauditError(
                f"no_group_worse needs a metric with a better side, which {rate} has not; use accuracy."
            )
        moved = baseline.moved(view, rate, class_, members)
        return lambda m: contrasts.change(old, m, moved, decrease)
    if what.kind in ("min", "max"):
        return contrasts.single
    if members.joint or view.kind == "overall":
        raise FairauditError(
            f"{rate} by {view.by} is one number; a {what.kind} needs several to compare. Use min or max."
        )
    if what.reference == "highest":
        return partial(contrasts.all_pairs, quotient=quotient, lower_is_better=lower)
    if what.reference in ("rest", "overall"):
        return partial(
            contrasts.to_rest, quotient=quotient, lower_is_better=lower, of_all=what.reference == "overall"
        )
    return partial(contrasts.to_group, reference=_reference(what.reference, view, members), quotient=quotient,
                   lower_is_better=lower)  # fmt: skip


def _reference(text: str, view: View, members: Members) -> Array:
    """(m,): where the reference group stands for each stratum (of the same class, where strata are cells)."""
    wanted = names_of(text, split_by(view.by))
    found = {c: k for k, (g, c) in enumerate(members.places) if g is not None and names(view.by, g) == wanted}
    if not found:
        raise FairauditError(
            f"the reference '{text}' is no group by {view.by}, or it is excluded; name one that is judged."
        )
    return np.array([found[c] for _, c in members.places])
