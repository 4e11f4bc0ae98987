"""A gate's verdict as GitHub annotations: workflow commands that a step prints, one line each.

The escaping is that of GitHub's own toolkit (`@actions/core`, `command.ts`): `%`, CR and LF everywhere, `:` and
`,` in properties too. GitHub keeps 10 annotations of a level from one step and drops the others without a word;
this prints at most 10 in all, the worst first, and says what it left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from fairaudit.report.gate_words import Finding, findings
from fairaudit.report.words import clean, several
from fairaudit.verdict import Verdict

MOST = 10
_WORST_FIRST = ("error", "warning", "notice")
_SEVERITIES = ("blocker", "critical", "major", "minor", "info")
_LEFT_OUT = {
    "error": ("check that stops the release", "checks that stop the release"),
    "warning": ("warning", "warnings"),
    "notice": ("waiver", "waivers"),
}


def render(verdict: Verdict) -> str:
    """Annotations, one a line; nothing at all where every check passed and nothing is waived."""
    found = [f for f in findings(verdict) if f.outcome.annotation]
    found.sort(key=_badness)
    shown, rest = (found, []) if len(found) <= MOST else (found[: MOST - 1], found[MOST - 1 :])
    policy = clean(str(verdict.policy.get("name", "")).removeprefix("./"))
    out = [_annotation(f, policy) for f in shown]
    if rest:
        out.append(_left_out(rest, policy))
    return "".join(f"{a}\n" for a in out)


def _badness(f: Finding) -> tuple[int, int]:
    """The level, then a failure before what is only undecided; the policy's order decides the rest."""
    return _WORST_FIRST.index(f.outcome.annotation), _SEVERITIES.index(f.outcome.severity)


def _annotation(f: Finding, policy: str) -> str:
    where = {"file": policy, **({"line": str(f.check.line)} if f.check.line else {})}
    return _command(f.outcome.annotation, {**where, "title": f"fairaudit: {f.title}"}, f.sentence)


def _left_out(rest: Sequence[Finding], policy: str) -> str:
    """The last annotation, of the level of the worst one that it stands for."""
    counts = Counter(f.outcome.annotation for f in rest)
    parts = [several(counts[a], *_LEFT_OUT[a]) for a in _WORST_FIRST if counts[a]]
    text = f"{' and '.join(parts)} more; the log of this step lists every check."
    return _command(rest[0].outcome.annotation, {"file": policy, "title": "fairaudit: more findings"}, text)


def _command(level: str, properties: dict[str, str], message: str) -> str:
    told = ",".join(f"{k}={_property(v)}" for k, v in properties.items() if v)
    return f"::{level} {told}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
