"""A gate's verdict in plain words, one sentence a check and one a stratum; every channel says the same.

What comes from data or policy (groups, rule ids, reasons) goes through `clean`, so a sentence is one line without
control characters whatever a group is called. A hidden stratum (`suppress_below`) is named, never described.
Nothing here says that a model is fair: a check that passes is inside its limit, no more.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

from fairaudit.catalogue import BY_ID
from fairaudit.judging import OPEN
from fairaudit.labels import split_by
from fairaudit.report.gate_numbers import amount, best_off, form, judged, own, rate_name, writer
from fairaudit.report.words import clean, listed, several
from fairaudit.strata import names, names_of
from fairaudit.verdict import FAIL, INCONCLUSIVE, PASS, WAIVED, Check, Outcome, Stratum, Verdict, outcome

#: What a change amounts to in the direction that a rule limits, and when it went the other way.
_CHANGES = {
    "max_increase": ("an increase of {}", "no increase ({})"),
    "max_decrease": ("a decrease of {}", "no decrease ({})"),
    "no_group_worse": ("worse by {}", "not worse ({})"),
}
#: Which way a positive number goes, told where a negative one stands beside it.
_SIGNS = {"max_increase": "an increase", "max_decrease": "a decrease", "no_group_worse": "worse"}
_SIDES = {"rest": "all other groups together", "overall": "all rows", "highest": "every other group"}
#: How a check that does not stop a release says so.
_ASIDE = {
    "noted": ' (severity = "warn": it does not count)',
    "open": ' (on_inconclusive = "warn": it does not stop)',
}
_MOST_NAMED = 5
Write = Callable[[float], str]


@dataclass(frozen=True, slots=True)
class Finding:
    """One entry of a channel: a check, or a waived stratum of a check that is not waived itself.

    `title`: rule and place; `sentence`: what was found; `why`: of a waiver, the skip message. `key`: hexadecimal,
    unique in a verdict, the same in every run as long as rule, attribute, group and class are.
    """

    check: Check
    stratum: Stratum | None
    outcome: Outcome
    title: str
    sentence: str
    why: str
    key: str


def findings(verdict: Verdict) -> tuple[Finding, ...]:
    """Every check in the policy's order, each followed by its waived strata (unless it is waived whole)."""
    out: list[Finding] = []
    seen: dict[str, int] = {}
    for check in verdict.checks:
        waived = [] if check.verdict == WAIVED else [s for s in check.strata if s.waived]
        for s in (None, *waived):
            plain = key(check, s)
            seen[plain] = seen.get(plain, 0) + 1
            again = plain if seen[plain] == 1 else _digest([plain, seen[plain]])
            out.append(_finding(verdict, check, s, again))
    return tuple(out)


def _finding(verdict: Verdict, check: Check, s: Stratum | None, unique: str) -> Finding:
    if s is None:
        why = waiver(check, None, verdict) if check.verdict == WAIVED else ""
        return Finding(
            check, None, outcome(check, verdict), title(check), check_sentence(check, verdict), why, unique
        )
    # a waived stratum is shown as a waived check is, by the same mapping
    mapped = outcome(replace(check, verdict=WAIVED), verdict)
    why = waiver(check, s, verdict)
    name = f"{title(check)}: {place(check, s)}"
    return Finding(check, s, mapped, name, f"{name}: {why}.", why, unique)


def key(check: Check, stratum: Stratum | None = None) -> str:
    """A fingerprint of rule, attribute, group and class: 64 hexadecimal digits."""
    at = [] if stratum is None else [stratum.group, stratum.class_, stratum.of]
    return _digest([check.id, check.by, *at])


def _digest(parts: list[object]) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def encodable(text: str) -> str:
    r"""The same with lone surrogates spelt out: a file is UTF-8, which has none.

    >>> encodable("a\ud800")
    'a\\ud800'
    """
    return text.encode("utf-8", "backslashreplace").decode()


def title(check: Check) -> str:
    """`four-fifths by race`."""
    return f"{clean(check.id)} by {clean(check.by)}"


def place(check: Check, s: Stratum) -> str:
    """Which rows a stratum holds: `race=Asian`, `race=Asian, class 3`, `class 3`, `all rows`.

    Of a check that judges several rates, with the rate: `race=Asian, tpr`.
    """
    names = [] if s.group is None else [f"{clean(check.by)}={clean(s.group)}"]
    names += [] if s.class_ is None else [f"class {clean(s.class_)}"]
    return ", ".join([*(names or ["all rows"]), *([s.of] if s.of else [])])


def asked(check: Check) -> str:
    """What the rule asks: `selection_rate at least 0.80 of every other group's`."""
    metric, limit = clean(check.metric), amount(check, check.limit)
    side = "at least" if check.at_least else "at most"
    whose = _side(check.reference)
    if check.kind == "min_ratio":
        worse = " (the lower by the higher)" if _lower_is_better(check.metric) else ""
        return f"ratio of {metric} to that of {whose} {side} {limit}{worse}"
    if check.kind == "max_difference":
        return f"{metric} {side} {limit} from that of {whose}"
    if check.kind == "no_group_worse":
        return f"{metric} of no group worse than in the baseline by more than {limit}"
    if check.kind in _CHANGES:
        turn = "increase" if check.kind == "max_increase" else "decrease"
        return f"{turn} of {metric} since the baseline {side} {limit}"
    return f"{metric} {side} {limit}"


def _side(reference: str | None) -> str:
    return _SIDES.get(reference or "highest", clean(reference or ""))


def stratum_sentence(check: Check, s: Stratum) -> str:
    """One stratum against the limit, without a full stop.

    `race=Asian: selection_rate 12.3 % is 0.62 of race=White; at most 0.74 with confidence, the limit is 0.80`.
    """
    if s.hidden:
        mixed = any(x.of != s.of for x in check.strata)  # a single rate needs no name
        return (
            f"{place(check, s if mixed else replace(s, of=None))}: its numbers are withheld (suppress_below)"
        )
    # the rate it is about stands in the fact
    where = place(check, replace(s, of=None))
    said = _bounds(check, s)
    write = writer(check, s.value, *(b for _, b in said))
    return f"{where}: " + "; ".join([_fact(check, s, write), *_grounds(check, s, said, write)])


def _fact(check: Check, s: Stratum, write: Write) -> str:
    """The number of the stratum, and what it is compared with; of one that is not judged, its own number only."""
    metric = clean(rate_name(check, s))
    rate = f"{metric} {own(metric, s.rate)}" if s.rate is not None and isfinite(s.rate) else metric
    if best_off(s):
        return f"{rate}, the best off"
    kind = form(check)
    was = (
        f" ({own(metric, s.baseline)} in the baseline)" if kind in _CHANGES and s.baseline is not None else ""
    )
    if s.value is None or not isfinite(s.value) or (kind not in ("min", "max") and not judged(s)):
        return rate + was if rate != metric else f"{metric} has no value"
    if kind == "min_ratio":
        # where lower is better the ratio is the other's rate by the group's own
        if _lower_is_better(metric):
            return f"{rate}, of which that of {_against(check, s)} is {write(s.value)}"
        return f"{rate} is {write(s.value)} of {_against(check, s)}"
    if kind == "max_difference":
        return f"{rate}, {write(s.value)} from {_against(check, s)}"
    if kind in _CHANGES:
        return f"{rate}{was}, {_CHANGES[kind][s.value <= 0].format(write(s.value))}"
    return f"{metric} {write(s.value)}"


def _lower_is_better(metric: str) -> bool:
    return metric in BY_ID and BY_ID[metric].better == "lower"


def _against(check: Check, s: Stratum) -> str:
    if check.reference in ("rest", "overall"):
        return _SIDES[check.reference]
    return "the reference" if s.against is None else f"{clean(check.by)}={clean(s.against)}"


def _bounds(check: Check, s: Stratum) -> list[tuple[str, float]]:
    """The bounds that the verdict rests on, each with its word: `at most`, `at least`."""
    if best_off(s):
        return []
    nearest, farthest = ("at most", "at least") if check.at_least else ("at least", "at most")
    near = [] if s.fail_bound is None else [(nearest, s.fail_bound)]
    far = [] if s.pass_bound is None else [(farthest, s.pass_bound)]
    return {FAIL: near, PASS: far}.get(s.verdict, sorted([*far, *near]))  # at least, then at most


def _grounds(check: Check, s: Stratum, said: list[tuple[str, float]], write: Write) -> list[str]:
    """What the verdict rests on: the bound that decided, or why none did and what would."""
    out = []
    if said:
        sign = _SIGNS.get(form(check)) if min(s.value or 0.0, *(b for _, b in said)) < 0 else None
        known = " and ".join(f"{word} {write(b)}" for word, b in said) + " with confidence"
        out.append(f"{known}{f' (positive: {sign})' if sign else ''}, the limit is {write(check.limit)}")
    if s.reason and s.reason != OPEN and not best_off(s):
        out.append(sentence(s.reason))
    if s.rows_needed:
        out.append(f"about {several(s.rows_needed, 'more row')} of {_rows_of(check, s)} would decide")
    return out


def _rows_of(check: Check, s: Stratum) -> str:
    """Whose rows: the group's (rows are collected by group, not by class)."""
    return place(check, replace(s, class_=None if s.group is not None else s.class_, of=None))


def line(check: Check, s: Stratum) -> str:
    """One stratum in a list, with its verdict and rows: `fail: race=Asian: … (1,203 rows)`."""
    word = f"waived until {clean(s.waived)}, else {s.verdict}" if s.waived else s.verdict
    # a reason may begin with the rows already
    told = s.n is None or s.hidden or (s.reason or "").startswith((f"{s.n} row", "no row"))
    rows = "" if told or s.n is None else f" ({several(s.n, 'row')})"
    return f"{word}: {stratum_sentence(check, s)}{rows}"


def lines(check: Check) -> tuple[str, ...]:
    """A check in full: what it asks and why, every stratum, and what the policy leaves out."""
    head = [f"asked: {asked(check)}"]
    head += [f"because: {clean(check.because)}"] if check.because else []
    head += [f"reason: {clean(check.reason)}"] if check.reason else []
    tail = [f"left out by the policy: {', '.join(map(clean, check.excluded))}"] if check.excluded else []
    return (*head, *(line(check, s) for s in check.strata), *tail)


def check_sentence(check: Check, verdict: Verdict) -> str:
    """A check in one sentence (and, for what the policy leaves out, a second).

    `four-fifths by race: fail. race=Asian: selection_rate 12.3 % is 0.62 of race=White; at most 0.74 with
    confidence, the limit is 0.80.`
    """
    left = (
        f" Left out by the policy: {listed(map(clean, check.excluded), _MOST_NAMED)}."
        if check.excluded
        else ""
    )
    if check.verdict == WAIVED:
        return f"{title(check)}: {waiver(check, None, verdict)}.{left}"
    aside = _ASIDE.get(outcome(check, verdict).name, "")
    return f"{title(check)}: {check.verdict}{aside}. {_found(check)}.{left}"


def _found(check: Check) -> str:
    judged = [s for s in check.strata if not s.waived]
    if check.verdict == PASS:
        return _inside(check, judged)
    chosen = sorted((s for s in judged if s.verdict == check.verdict), key=lambda s: _rank(check, s))
    if check.reason or not chosen:
        return capital(sentence(check.reason)) if check.reason else f"Nothing was judged ({asked(check)})"
    others, (one, many) = len(chosen) - 1, _noun(check)
    verb = {FAIL: ("fails", "fail"), INCONCLUSIVE: ("is inconclusive", "are inconclusive")}[check.verdict]
    more = f"; {several(others, 'other ' + one, 'other ' + many)} {verb[others != 1]} too" if others else ""
    return stratum_sentence(check, chosen[0]) + more


def _inside(check: Check, judged: list[Stratum]) -> str:
    one, many = _noun(check)
    who = {0: "", 1: f"The only {one} is "}.get(len(judged), f"All {several(len(judged), one, many)} are ")
    if check.by == "overall" or not judged:
        return f"Inside the limit: {asked(check)}"
    return f"{who}inside the limit: {asked(check)}"


def _noun(check: Check) -> tuple[str, str]:
    """What the strata of a check are."""
    if check.by == "class":
        return "class", "classes"
    if any(s.class_ is not None or s.of is not None for s in check.strata):
        return "stratum", "strata"
    return "group", "groups"


def _rank(check: Check, s: Stratum) -> float:
    """Worst first; strata whose value is hidden, missing or not judged come last, in their own order."""
    if s.hidden or s.value is None or not isfinite(s.value) or not judged(s):
        return float("inf")
    return s.value if check.at_least else -s.value


def waiver(check: Check, s: Stratum | None, verdict: Verdict) -> str:
    """`waived until 2027-03-31: 17 rows; collection plan 112 (risk@example.org)`; None: of the whole check."""
    until = check.waived if s is None else s.waived
    until = until or min((x.waived for x in check.strata if x.waived), default=None)
    found = granted(check, s, verdict)
    reasons = dict.fromkeys(sentence(w.get("reason", "")) + _by_whom(w.get("owner")) for w in found)
    day = f" until {clean(str(until))}" if until else ""
    return f"waived{day}" + (f": {listed(reasons, _MOST_NAMED)}" if reasons else "")


def granted(check: Check, s: Stratum | None, verdict: Verdict) -> list[Mapping[str, Any]]:
    """The waivers of a stratum (None: of the whole check, or of its strata where each is waived by itself)."""
    mine = [w for w in verdict.waivers if w.get("rule") == check.id]
    whole = [w for w in mine if w.get("group") is None]
    groups = {x.group for x in (check.strata if s is None else (s,)) if x.group is not None}
    return whole or [w for w in mine if any(_names(w["group"], check.by, g) for g in groups)]


def _names(waiver: str, by: str, group: str) -> bool:
    """Whether a waiver's `sex&race=F & Asian` is this group, whatever the order of its attributes."""
    return waiver == f"{by}={group}" or names_of(waiver, split_by(by)) == names(by, group)


def _by_whom(owner: object) -> str:
    return f" ({clean(str(owner))})" if owner else ""


def capital(text: str) -> str:
    """As a sentence begins, unless with a name.

    >>> capital("there is none"), capital("race=A is alone")
    ('There is none', 'race=A is alone')
    """
    first = text.partition(" ")[0]
    return text if "=" in first or "_" in first else text[:1].upper() + text[1:]


def sentence(text: object) -> str:
    """Somebody's words as a part of a sentence."""
    return clean(str(text)).strip().rstrip(".") or "no reason given"
