"""A gate's verdict as GitHub annotations: workflow commands that a step prints, one line each.

The escaping is that of GitHub's own toolkit (`@actions/core`, `command.ts`): `%`, CR and LF everywhere, `:` and
`,` in properties too. GitHub keeps 10 annotations of a level from one step and drops the others without a word;
this prints at most 10 in all, the worst first, and says what it left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from fairaudit.report.gate_asides import remarks
from fairaudit.report.gate_words import findings
from fairaudit.report.words import clean, count
from fairaudit.verdict import Verdict

MOST = 10
_WORST_FIRST = ("error", "warning", "notice")
_SEVERITIES = ("blocker", "critical", "major", "minor", "info", "")
_LEFT_OUT = {
    "error": ("check that stops the release", "checks that stop the release"),
    "warning": ("warning", "warnings"),
    "notice": ("notice", "notices"),
}


@dataclass(frozen=True, slots=True)
class _Annotation:
    """`severity` orders what is of one level: a failure stands before what is only undecided."""

    level: str
    severity: str
    line: int
    title: str
    sentence: str


def render(verdict: Verdict) -> str:
    """Annotations, one a line; nothing at all where every check passed, nothing is waived and nothing is remarked."""
    found = [
        _Annotation(f.outcome.annotation, f.outcome.severity, f.check.line, f.title, f.sentence)
        for f in findings(verdict)
        if f.outcome.annotation
    ]
    found += [_Annotation(r.level, "", 0, r.title, r.sentence) for r in remarks(verdict)]
    found.sort(key=lambda a: (_WORST_FIRST.index(a.level), _SEVERITIES.index(a.severity)))
    shown, rest = (found, []) if len(found) <= MOST else (found[: MOST - 1], found[MOST - 1 :])
    policy = clean(str(verdict.policy.get("name", "")).removeprefix("./"))
    out = [_annotation(a, policy) for a in shown]
    if rest:
        out.append(_left_out(rest, policy))
    return "".join(f"{a}\n" for a in out)


def _annotation(a: _Annotation, policy: str) -> str:
    where = {"file": policy, **({"line": str(a.line)} if a.line else {})}
    return _command(a.level, {**where, "title": f"fairaudit: {a.title}"}, a.sentence)


def _left_out(rest: Sequence[_Annotation], policy: str) -> str:
    """The last annotation, of the level of the worst one that it stands for."""
    counts = Counter(a.level for a in rest)
    parts = [f"{count(n)} more {_LEFT_OUT[a][n != 1]}" for a in _WORST_FIRST if (n := counts[a])]
    text = f"{' and '.join(parts)}; the log of this step lists every check."
    return _command(rest[0].level, {"file": policy, "title": "fairaudit: more findings"}, text)


def _command(level: str, properties: dict[str, str], message: str) -> str:
    told = ",".join(f"{k}={_property(v)}" for k, v in properties.items() if v)
    return f"::{level} {told}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
