"""What a verdict says beside its checks: warnings, and what is withheld so that nobody is exposed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from fairaudit.labels import split_by
from fairaudit.policy import Policy, Waiver
from fairaudit.strata import names, names_of
from fairaudit.verdict import PASS, Check, Verdict
from fairaudit.view import View

Warnings = Iterator[dict[str, str]]


def skipped(policy: Policy, baseline: object) -> frozenset[str]:
    """The rules passed over because there is no baseline, as they ask; none where nothing else would count.

    A check that did not run is not a pass: a policy that only asks about changes is inconclusive without a baseline.
    """
    asked = [
        r for r in policy.rules if r.versus_baseline and baseline is None and r.missing_baseline == "skip"
    ]
    if policy.counted and all(r in asked for r in policy.counted):
        return frozenset()
    return frozenset(r.id for r in asked)


def warnings(
    policy: Policy, checks: Sequence[Check], baseline: Mapping[str, Any] | None, absent: Sequence[str] = ()
) -> Warnings:
    """What a reader of the verdict must know, each with a code. `baseline`: what it is, or None.

    `absent`: excluded groups that the data has not.
    """
    if not any(c.counts for c in checks):
        message = "no check counts: every rule is waived, skipped or of severity warn"
        yield {"code": "nothing_counts", "message": message}
    for rule in sorted(skipped(policy, baseline)):
        yield {"code": "skipped", "message": f"rule '{rule}' was skipped: there is no baseline"}
    for name in absent:
        yield {"code": "idle_exclusion", "message": f"exclude_groups names {name}, which is not in the data"}
    for waiver in policy.waivers:
        yield from _idle(waiver, [c for c in checks if c.id == waiver.rule])
    if baseline is None:
        return
    matched, rows, now = (baseline.get(k) for k in ("matched", "rows", "rows_after"))
    if matched is not None and not matched == rows == now:
        message = (
            f"only {matched} rows have an id that is in the baseline ({rows} rows) and in the data ({now})"
        )
        yield {"code": "unmatched", "message": message}


def _idle(waiver: Waiver, checks: Sequence[Check]) -> Warnings:
    """A waiver that waives nothing today."""
    attributes = {a for c in checks if c.by not in ("overall", "class") for a in split_by(c.by)}
    wanted = None if waiver.group is None else names_of(waiver.group, attributes)
    mine = [
        s for c in checks for s in c.strata
        if s.waived and (wanted is None or (s.group is not None and names(c.by, s.group) == wanted))
    ]  # fmt: skip
    who = waiver.group or "the whole rule"
    if checks and wanted is not None and not mine:
        message = f"the waiver of {who} under '{waiver.rule}' is about a group that is not in the data"
        yield {"code": "idle_waiver", "message": message}
    elif mine and all(s.verdict == PASS for s in mine):
        message = f"the waiver of {who} under '{waiver.rule}' is not needed today: it passes"
        yield {"code": "idle_waiver", "message": message}


def suppressed(
    verdict: Verdict,
    views: Mapping[str, View],
    below: int,
    baseline: Sequence[Mapping[str, View]] = (),
    joint: Mapping[str, View] | None = None,
) -> Verdict:
    """The verdict without the numbers of groups whose counts are too small to be shown, or would reveal one.

    `baseline`: the views of the model before (and of both on shared rows), `joint`: their joint tables: they show too.
    Where a count is small over all rows, every number goes: whatever were left would reveal it.
    """
    from fairaudit.redaction import redacted
    from fairaudit.suppression import hidden

    shown = {c.by for c in verdict.checks}
    every = [v for v in views.values() if v.kind == "attribute" and v.by in shown]
    keys = {(v.by, g): (split_by(v.by), _parts(v.by, g)) for v in every for g in v.groups}
    counts: dict[tuple[str, ...], dict[tuple[str, ...], Any]] = {}
    for view in every:
        tables = [_atoms(view), *(_atoms(b[view.by]) for b in baseline if view.by in b)]
        tables += [_transitions(joint[view.by])] if joint and view.by in joint else []
        width = [len(next(iter(t.values()))) for t in tables]
        counts[split_by(view.by)] = {
            _parts(view.by, g): np.concatenate(
                [t.get(g, np.zeros(w)) for t, w in zip(tables, width, strict=True)]
            )
            for g in dict.fromkeys(g for t in tables for g in t)
        }
    hide = hidden(counts, below) if counts else frozenset()
    named = {name for name, key in keys.items() if key in hide}
    whole = np.concatenate([sum(_atoms(v["overall"]).values()) for v in (views, *baseline)])
    if ((whole > 0) & (whole < below)).any():
        named |= {*keys, ("overall", ""), *(("class", c) for c in views["overall"].classes)}
    return redacted(verdict, frozenset(named))


def _atoms(view: View) -> dict[str, Any]:
    """group -> the counts that every number is made of: rows of each class found, missed, and called so falsely."""
    c = view.rows
    table = np.concatenate([c.correct, c.support - c.correct, c.predicted - c.correct], axis=-1)
    return dict(zip(view.groups, table, strict=True))


def _transitions(joint: View) -> dict[str, Any]:
    """group -> of each class, the rows that the new model lost and gained: the bounds of a paired change show them."""
    g, y, old, new = (
        joint.labels.codes[:, joint.labels.axis(a)] for a in ("group", "y_true", "y_pred_before", "y_pred")
    )
    mass = joint.labels.real("count")
    classes = len(joint.classes)
    sides = [(old == y) & (new != y), (old != y) & (new == y)]
    table = np.stack(
        [np.bincount(g[s] * classes + y[s], mass[s], len(joint.groups) * classes) for s in sides]
    )
    return dict(
        zip(
            joint.groups,
            table.reshape(2, len(joint.groups), classes).transpose(1, 0, 2).reshape(-1, 2 * classes),
            strict=True,
        )
    )


def _parts(by: str, group: str) -> tuple[str, ...]:
    own = dict(names(by, group))
    return tuple(own[a] for a in split_by(by))
