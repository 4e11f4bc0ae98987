"""Random verdicts, with names that break careless writers: what a gate could have found, never what it computed.

Consistent as a gate's are: a check is as bad as its worst stratum that is not waived, a verdict as its worst check
that counts. The rules are written out here a second time, so that they do not lean on `fairaudit.verdict`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from fairaudit.policy import KINDS
from fairaudit.verdict import Check, Stratum, Verdict

VERDICTS = ("pass", "fail", "inconclusive")
METRICS = ("selection_rate", "tpr", "fnr", "roc_auc", "f1_macro", "loss_variance", "demographic_parity_ratio")
NASTY = (
    "]]>", "::", "::error file=x::y", "a\nb", "a\r\nb", "%0A", "%", "100 %", "\x1b[31m", "\x00", "\x0b", "\ufffe",
    "\ud800", "\u2028", "\x85", "😀", "👩\u200d💻", "\u202eabc", '"', "'", "&", "&amp;", "<", "<!--", "a,b", "a:b",
    "\\", "A & B", "A\\& B", "é", "", " ", "(missing)", "x" * 300, "../..", "{}", "{0}", "##[error]", "//",
)  # fmt: skip
PATHS = (
    "fairaudit.toml",
    "./fairaudit.toml",
    "ci/a b.toml",
    "/etc/x.toml",
    "C:\\ci\\x.toml",
    "a:b",
    "é,:%.toml",
    "",
)

text = st.one_of(st.sampled_from(NASTY), st.text(max_size=8), st.sampled_from(["Asian", "White", "F"]))
words = text.filter(bool)
days = st.sampled_from(["2027-03-31", "2026-12-01"])
shares = st.one_of(st.none(), st.sampled_from([0.0, 1.0, 0.5, 0.79999]), st.floats(-1, 2))
counts = st.one_of(st.none(), st.integers(0, 10**6))


def strata() -> st.SearchStrategy[Stratum]:
    """A line of a check; a hidden one may still carry its numbers, which no channel may show."""
    return st.builds(
        Stratum,
        group=st.one_of(st.none(), text),
        verdict=st.sampled_from(VERDICTS),
        class_=st.one_of(st.none(), st.none(), text),
        value=st.one_of(shares, st.just(float("inf")), st.just(float("nan"))),
        rate=shares,
        n=counts,
        baseline=shares,
        baseline_n=counts,
        against=st.one_of(st.none(), text),
        of=st.one_of(st.none(), st.none(), st.sampled_from(["tpr", "fpr"])),
        fail_bound=shares,
        pass_bound=shares,
        reason=st.one_of(st.none(), text),
        rows_needed=counts,
        waived=st.one_of(st.none(), st.none(), days),
        hidden=st.sampled_from([False, False, True]),
    )


@st.composite
def checks(draw: st.DrawFn) -> Check:
    """A check of any kind whose verdict follows from its strata."""
    found = tuple(draw(st.lists(strata(), max_size=4)))
    waived = draw(st.one_of(st.none(), st.none(), st.none(), days))
    judged = [s.verdict for s in found if s.waived is None]
    verdict = "waived" if waived or (found and not judged) else worst(judged, "inconclusive")
    return Check(
        id=draw(words),
        by=draw(st.one_of(st.sampled_from(["race", "sex", "race&sex", "overall", "class"]), words)),
        metric=draw(st.sampled_from(METRICS)),
        kind=draw(st.sampled_from(KINDS)),
        limit=draw(st.sampled_from([0.0, 0.05, 0.8, 1.0])),
        at_least=draw(st.booleans()),
        reference=draw(st.one_of(st.none(), st.sampled_from(["highest", "overall", "rest"]), text)),
        verdict=verdict,
        strata=found,
        severity=draw(st.sampled_from(["error", "error", "warn"])),
        because=draw(text),
        line=draw(st.integers(0, 400)),
        reason=draw(st.one_of(st.none(), text)) if verdict == "inconclusive" else None,
        excluded=tuple(draw(st.lists(text, max_size=2))),
        waived=waived,
        form=draw(st.sampled_from(["", "", *KINDS])),
    )


def worst(verdicts: Sequence[str], of_nothing: str) -> str:
    """fail before inconclusive before pass."""
    return next((v for v in ("fail", "inconclusive", "pass") if v in verdicts), of_nothing)


def verdict_of(found: Sequence[Check], waivers: Sequence[dict[str, Any]] = (), **stats: Any) -> Verdict:
    """The verdict of these checks: the worst of those that count, pass where none does."""
    counted = [c.verdict for c in found if c.severity == "error" and c.verdict != "waived"]
    told = {"alpha": 0.05, "family": "rule", "min_events": 10, "on_inconclusive": "block", "seed": 0}
    policy = {"name": stats.pop("name", "fairaudit.toml"), "sha256": ""}
    return Verdict(
        worst(counted, "pass"), tuple(found), policy, {"rows": 100}, None,
        {**told, "suppress_below": 0, **stats}, tuple(waivers),
    )  # fmt: skip


def waiver_of(check: Check, group: str | None, reason: str, owner: str) -> dict[str, Any]:
    """A waiver as it stands in a verdict."""
    name = None if group is None else f"{check.by}={group}"
    return {"rule": check.id, "group": name, "owner": owner, "reason": reason, "until": "2027-03-31"}


def warnings() -> st.SearchStrategy[dict[str, str]]:
    """What a verdict says beside its checks."""
    skipped = st.builds(
        lambda rule: {"code": "skipped", "message": f"rule '{rule}' was skipped: there is no baseline"}, words
    )
    codes = st.sampled_from(["idle_waiver", "nothing_counts", "unmatched", "suppressed", "later"])
    return st.one_of(skipped, st.builds(lambda c, m: {"code": c, "message": m}, codes, text))


@st.composite
def verdicts(draw: st.DrawFn) -> Verdict:
    """Up to 14 checks, so that more than ten annotations occur, with waivers for what is waived."""
    few = draw(st.lists(checks(), max_size=5))
    found = few * 3 if len(few) > 3 and draw(st.booleans()) else few  # the same check twice is legal too
    waivers = [waiver_of(c, None, draw(text), draw(text)) for c in few if c.waived]
    waivers += [waiver_of(c, s.group, draw(text), draw(text)) for c in few for s in c.strata if s.waived]
    name = draw(st.one_of(st.sampled_from(PATHS), text))
    made = verdict_of(found, waivers, name=name, on_inconclusive=draw(st.sampled_from(["block", "warn"])))
    return replace(made, warnings=tuple(draw(st.lists(warnings(), max_size=3))))


# --- a check of each verdict, as four-fifths rules give them ---
ASIAN = Stratum(
    "Asian", "fail", value=0.6192, rate=0.1234, n=1203, against="White", fail_bound=0.7351, pass_bound=0.51
)
SMALL = Stratum(
    "Native American", "inconclusive", value=0.5, rate=0.1, n=9, against="White",
    reason="9 rows, fewer than 10", rows_needed=120,
)  # fmt: skip
WHITE = Stratum(
    "White", "pass", value=1.0, rate=0.1993, n=5000, against="Asian", fail_bound=1.0, pass_bound=0.95
)
RULE = Check(
    "four-fifths", "race", "selection_rate", "min_ratio", 0.8, True, "highest", "fail", (ASIAN, SMALL, WHITE),
    because="29 CFR 1607.4(D)", line=12,
)  # fmt: skip
PASSED = replace(RULE, verdict="pass", strata=(WHITE,))
OPEN = replace(RULE, verdict="inconclusive", strata=(SMALL, WHITE))
WAIVED = replace(RULE, verdict="waived", waived="2027-03-31")
WAIVER = waiver_of(RULE, None, "17 rows; collection plan 112", "risk@example.org")


def warn(check: Check) -> Check:
    """The same rule, of severity `warn`."""
    return replace(check, severity="warn")
