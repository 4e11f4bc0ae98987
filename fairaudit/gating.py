"""The gate: predictions and a policy in, a verdict out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from os.path import normpath
from pathlib import Path
from typing import Any

from fairaudit.asides import skipped, suppressed, warnings
from fairaudit.baseline import Baseline, check_there, check_whole, load
from fairaudit.checks import asked, parts
from fairaudit.columns import Inputs
from fairaudit.errors import FairauditError, did_you_mean
from fairaudit.judging import judge
from fairaudit.labels import MISSING, split_by
from fairaudit.planning import planned
from fairaudit.pointing import located, located_data
from fairaudit.policy import Policy, Rule, Waiver
from fairaudit.prepare import Naming, naming, views
from fairaudit.reading.table import tabulate
from fairaudit.strata import Names, names, names_of
from fairaudit.tallies.tally import Tally
from fairaudit.verdict import PASS, WAIVED, Check, Stratum, Verdict, worst
from fairaudit.view import Settings, View


def gate(data: Any, policy: Any, *, baseline: Any = None, **inputs: Any) -> Verdict:
    """Hold predictions against a policy: pass, fail or inconclusive, with the bounds behind every line.

    `data`: a path (or several), or a dataframe. `policy`: a `Policy`, or the path of a policy file. `baseline`: what
    rules with `vs = "baseline"` compare with: predictions (paired row by row when both have the `id`) or an audit.
    `inputs`: fields of `Inputs`, in place of those that the policy gives. Raises FairauditError, one sentence, for
    a policy, data or a combination of the two that has no meaning.
    """
    policy = _policy(policy)
    if baseline is not None and "-" in (
        [data] if isinstance(data, str) else data if isinstance(data, list) else []
    ):
        raise FairauditError(
            "standard input can be read once, and a baseline needs it twice; save it to a file first."
        )
    how = asked_inputs(policy, inputs)
    # an id of the policy pairs where it can, one that is asked for must
    strict = inputs.get("id") is not None
    settings = Settings(min_events=policy.min_events, seed=policy.seed)
    try:
        tally = tabulate(data, how if strict else replace(how, id=None))
        check_whole(tally, "the tally")
        known = naming(tally)
    except FairauditError as error:
        raise located_data(error, policy, [k for k, v in inputs.items() if v]) from error
    if baseline is None or any(r.versus_baseline for r in policy.rules):
        before = None if baseline is None else load(baseline, data, how, known, settings, strict)
        verdict = judged(tally, policy, known, settings, before)
        aside = None if before is None else before.aside
    else:
        check_there(baseline)  # its rows would be read for nothing
        verdict = judged(tally, policy, known, settings)
        aside = {"code": "unused_baseline", "message": "a baseline is given, but no rule compares with it"}
    return verdict if aside is None else replace(verdict, warnings=(*verdict.warnings, aside))


def _policy(given: Any) -> Policy:
    if isinstance(given, Policy):
        return given
    if isinstance(given, str | Path):
        from fairaudit.policy_file import read_policy

        return read_policy(given)
    raise FairauditError(f"a policy is a path or a Policy, not {type(given).__name__}.")


def asked_inputs(policy: Policy, given: Mapping[str, Any]) -> Inputs:
    """How the data is read: as the policy says, except for what is given otherwise; only attributes that rules need."""
    unknown = sorted(set(given) - set(Inputs.__dataclass_fields__))
    if unknown:
        raise FairauditError(
            f"there is no option '{unknown[0]}'.{did_you_mean(unknown[0], Inputs.__dataclass_fields__)}"
        )
    sets = attribute_sets(policy.rules)
    needed = tuple(dict.fromkeys(a for s in sets for a in s))
    merged = {**policy.data, **given}
    merged["bins"] = {k: v for k, v in merged.get("bins", {}).items() if k in needed}
    return Inputs(**{**merged, "sensitive": needed, "sets": sets or ((),), "cross": 1})


def attribute_sets(rules: Iterable[Rule]) -> tuple[tuple[str, ...], ...]:
    """The attributes and intersections that rules speak of, each once, in the order in which it is first written."""
    found: dict[frozenset[str], tuple[str, ...]] = {}
    for rule in rules:
        for by in rule.by:
            if by not in ("overall", "class"):
                found.setdefault(frozenset(split_by(by)), split_by(by))
    return tuple(found.values())


@dataclass(frozen=True, slots=True, eq=False)
class _Court:
    """What every check is judged with."""

    policy: Policy
    views: Mapping[str, View]
    baseline: Baseline | None
    spread: int
    plan: bool

    @property
    def attributes(self) -> frozenset[str]:
        return frozenset(a for v in self.views.values() if v.kind == "attribute" for a in split_by(v.by))

    def absent(self) -> list[str]:
        """Excluded groups that no row has; a missing value need not be missing today."""
        known = [names(v.by, g) for v in self.views.values() if v.kind == "attribute" for g in v.groups]
        asked = {text: names_of(text, self.attributes) for text in self.policy.exclude_groups}
        return [
            text for text, mine in asked.items()
            if not any(mine <= n for n in known) and all(g != MISSING for _, g in mine)
        ]  # fmt: skip

    def view(self, by: str) -> View:
        if by in ("overall", "class"):
            return self.views[by]
        wanted = frozenset(split_by(by))
        return next(
            v for v in self.views.values() if v.kind == "attribute" and frozenset(split_by(v.by)) == wanted
        )


def judged(
    tally: Tally,
    policy: Policy,
    known: Naming,
    settings: Settings,
    baseline: Baseline | None = None,
    plan: bool = True,
) -> Verdict:
    """The verdict on a tally: a pure function of counts, policy and baseline.

    `plan`: whether open strata say how many more rows would decide them.
    """
    every = {v.by: v for v in views(tally, known, settings)}
    court = _Court(
        policy, every, baseline, max(len(policy.counted), 1) if policy.family == "policy" else 1, plan
    )
    gone = skipped(policy, baseline)
    checks = tuple(_check(court, rule, by) for rule in policy.rules for by in rule.by if rule.id not in gone)
    counting = [c.verdict for c in checks if c.counts]
    about = None if baseline is None else baseline.about
    verdict = Verdict(
        worst(counting) if counting else PASS, checks, {"name": normpath(policy.name), "sha256": policy.sha256},
        _data(tally, known), about, _stats(policy), tuple(_waiver(w) for w in policy.waivers),
        (*warnings(policy, checks, about, court.absent()), *tally.warnings),
    )  # fmt: skip
    if not policy.suppress_below:
        return verdict
    old = () if baseline is None else tuple(v for v in (baseline.before, baseline.after) if v)
    joint = None if baseline is None else baseline.joint
    return suppressed(verdict, every, policy.suppress_below, old, joint)


def _check(court: _Court, rule: Rule, by: str) -> Check:
    policy = court.policy
    mine = [w for w in policy.waivers if w.rule == rule.id]
    missing = rule.versus_baseline and court.baseline is None
    try:
        view = court.view(by)
        excluded = [names_of(g, court.attributes) for g in (*policy.exclude_groups, *rule.exclude_groups)]
        strata: list[Stratum] = []
        if not missing:
            strata = _strata(court, rule, view, excluded, mine)
    except FairauditError as error:
        raise located(error, policy.name, rule) from error
    out = tuple(
        f"{view.by}={g}"
        for g in view.groups
        if view.kind == "attribute" and any(n <= names(view.by, g) for n in excluded)
    )
    reason = "there is no baseline to compare with (--baseline)" if missing else None
    if not missing and not strata:
        reason = "no group is left to judge"
    open_ = [s.verdict for s in strata if s.waived is None]
    verdict = worst(open_) if open_ or missing or not strata else WAIVED
    whole = next((w for w in mine if w.group is None), None)
    what = asked(rule, view)
    return Check(
        rule.id, view.by, rule.metric, rule.kind, rule.limit, what.kind in ("min", "min_ratio"),
        what.reference or None,
        WAIVED if whole else verdict, tuple(strata), rule.severity, rule.because, rule.line,
        reason, out, whole.until.isoformat() if whole else None, what.kind,
    )  # fmt: skip


def _strata(
    court: _Court, rule: Rule, view: View, excluded: Sequence[Names], waivers: Sequence[Waiver]
) -> list[Stratum]:
    waived = [None if w.group is None else names_of(w.group, court.attributes) for w in waivers]
    found = parts(rule, view, excluded, [w for w in waived if w is not None], court.baseline)
    alpha = court.policy.alpha
    fail_tail = alpha / len(rule.by) / court.spread / max(len(found), 1)
    out = []
    for part in found:
        result = judge(part, fail_tail, alpha)
        for s in planned(part, result, fail_tail, alpha) if court.plan else result.strata:
            own = names(view.by, s.group) if s.group is not None and view.kind == "attribute" else None
            until = next(
                (w.until for w, n in zip(waivers, waived, strict=True) if n is None or n == own), None
            )
            out.append(s if until is None else replace(s, waived=until.isoformat()))
    return out


def _data(tally: Tally, known: Naming) -> dict[str, Any]:
    about = tally.description
    return {
        "rows": tally.rows, "left_out": tally.left_out.get("split", 0),
        **{k: tally.left_out.get(k, 0) for k in ("dropped", "unmatched", "zero_weight")},
        "columns": about["columns"], "detected": about["detected"], "split": about["split"],
        "threshold": about["threshold"], "weighted": about["weighted"], "clustered": about["clustered"],
        "classes": list(known.classes), "positive": known.positive,
    }  # fmt: skip


def _stats(policy: Policy) -> dict[str, Any]:
    kept = ("alpha", "family", "min_events", "on_inconclusive", "seed", "suppress_below")
    return {k: getattr(policy, k) for k in kept}


def _waiver(w: Waiver) -> dict[str, Any]:
    return {
        "rule": w.rule,
        "group": w.group,
        "owner": w.owner,
        "reason": w.reason,
        "until": w.until.isoformat(),
    }
