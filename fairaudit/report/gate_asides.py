"""What a verdict says beside its checks, for every channel: warnings, and who is waived until when."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from dataclasses import dataclass

from fairaudit.report.gate_words import granted, place, sentence, title
from fairaudit.report.words import clean, several
from fairaudit.verdict import WAIVED, Check, Stratum, Verdict

#: Codes of warnings that take something away from what was judged; any other is for information.
_GRAVE = ("skipped", "nothing_counts", "unmatched")
_SKIPPED = re.compile(r"rule '(.*)' was skipped", re.DOTALL)
#: Codes whose message says whom it is about: the message is then a part of the key.
_NAMED = ("skipped", "idle_waiver", "idle_exclusion")
_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Remark:
    """A warning of a verdict. It never stops a release.

    `level`: `warning` or `notice`. `rule`: that was skipped, else empty. `key`: hexadecimal, unique in a verdict,
    the same in every run as long as code, rule and group are.
    """

    code: str
    level: str
    rule: str
    title: str
    sentence: str
    key: str


def remarks(verdict: Verdict) -> tuple[Remark, ...]:
    """Every warning, in the verdict's order."""
    out: list[Remark] = []
    seen: Counter[str] = Counter()
    for w in verdict.warnings:
        code, message = w["code"], w["message"]
        found = _SKIPPED.match(message) if code == "skipped" else None
        rule = found[1] if found else ""
        name = f"rule {clean(rule)} skipped" if rule else clean(code).replace("_", " ")
        about = _digest(["warning", code, message if code in _NAMED else ""])
        seen[about] += 1
        key = about if seen[about] == 1 else _digest([about, seen[about]])
        level = "warning" if code in _GRAVE else "notice"
        out.append(Remark(code, level, rule, name, f"{clean(message).rstrip('.')}.", key))
    return tuple(out)


def _digest(parts: list[object]) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def waived(verdict: Verdict) -> list[str]:
    """`2 groups waived: race=C until 2099-01-01 (owner: reason); …`, and the same of whole checks; nothing, if none."""
    whole = [c for c in verdict.checks if c.verdict == WAIVED and c.waived]
    some = [(c, s) for c in verdict.checks if not c.waived for s in c.strata if s.waived]
    groups = {(c.id, c.by, s.group): (c, s) for c, s in some}
    several_rules = len({c.id for c, _ in some}) > 1
    out = []
    if whole:
        entries = [f"{title(c)} {_until(c, None, verdict)}" for c in whole]
        out.append(f"{several(len(whole), 'check')} waived: {_told(entries)}")
    if groups:
        entries = [
            place(c, Stratum(s.group, s.verdict))
            + (f" under {clean(c.id)}" if several_rules else "")
            + f" {_until(c, s, verdict)}"
            for c, s in groups.values()
        ]
        names = {(by, group) for _, by, group in groups}
        out.append(f"{several(len(names), 'group')} waived: {_told(entries)}")
    return out


def _told(entries: list[str]) -> str:
    more = [f"and {len(entries) - _MOST_NAMED} more"] if len(entries) > _MOST_NAMED else []
    return "; ".join([*entries[:_MOST_NAMED], *more])


def _until(check: Check, s: Stratum | None, verdict: Verdict) -> str:
    """`until 2099-01-01 (owner: reason)`."""
    day = check.waived if s is None else s.waived
    by = [
        f"{clean(str(w['owner']))}: {sentence(w.get('reason', ''))}"
        if w.get("owner")
        else sentence(w.get("reason", ""))
        for w in granted(check, s, verdict)
    ]
    return f"until {clean(str(day))}" + (f" ({', '.join(dict.fromkeys(by))})" if by else "")
