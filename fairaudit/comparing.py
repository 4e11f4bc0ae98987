"""Before beside after: the change of every estimate, with an interval, and who was made worse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np

from fairaudit.auditing import Audit, audit_tally, resolved
from fairaudit.catalogue import BY_ID
from fairaudit.columns import Inputs
from fairaudit.document import document, sha256_of
from fairaudit.errors import FairauditError
from fairaudit.estimate import Estimate
from fairaudit.intervals import Bounded, Interval, clipped, difference
from fairaudit.pairing import Pair, correlation, joint_views, pair
from fairaudit.prepare import naming
from fairaudit.reading.table import tabulate
from fairaudit.reading.texts import check_foreign
from fairaudit.tallies.inputs import is_counted
from fairaudit.view import Settings

SCHEMA, SCHEMA_VERSION = "fairaudit.comparison", "1.0"
#: What a group would notice: the numbers by which it is said to be better or worse off.
FELT = ("accuracy", "tpr", "tnr")


@dataclass(frozen=True, slots=True)
class Change:
    """One estimate before and after. `change` = after − before, null with a reason where either is undefined.

    `worse`, `better`: the whole interval lies on one side of 0 (for metrics that have a better side).
    """

    metric: str
    by: str
    group: str | None
    class_: str | None
    before: Estimate
    after: Estimate
    change: float | None
    interval: Interval | None
    status: str
    reason: str | None
    worse: bool
    better: bool

    def to_dict(self) -> dict[str, Any]:
        """The change as it stands in a comparison file."""
        i = self.interval
        interval = None if i is None else {"low": i.low, "high": i.high, "level": i.level, "method": i.method}
        return {
            "metric": self.metric, "by": self.by, "group": self.group, "class": self.class_,
            "before": self.before.value, "after": self.after.value, "change": self.change, "interval": interval,
            "n_before": self.before.n, "n_after": self.after.n, "status": self.status, "reason": self.reason,
            "worse": self.worse, "better": self.better,
        }  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Two audits and the change of every estimate they share.

    `paired`: the rows were matched by id, so both models are judged on the same rows. `rows`: counts
    (`before`, `after`, `matched` when paired). `changes`: in the order of the audits.
    """

    before: Audit
    after: Audit
    paired: bool
    rows: Mapping[str, int]
    changes: tuple[Change, ...]

    def change(
        self, metric: str, by: str = "overall", group: str | None = None, class_: str | None = None
    ) -> Change:
        """One change. Raises FairauditError where there is none."""
        for c in self.changes:
            if (c.metric, c.by, c.group, c.class_) == (metric, by, group, class_):
                return c
        raise FairauditError(
            f"no change of {metric} by '{by}', group {group!r}, class {class_!r} in this comparison."
        )

    def _felt(self) -> list[Change]:
        felt = [c for c in self.changes if c.group is not None and c.metric in FELT]
        return [c for c in felt if c.change is not None and c.interval is not None and c.status == "ok"]

    @property
    def worse(self) -> tuple[Change, ...]:
        """Groups (and their cells) made worse beyond noise, by Holm's rule over all that a group would notice.

        Among many groups some fall by chance; a group is named here only if its fall is more than that.
        """
        felt = sorted(self._felt(), key=_p_value)
        alpha = 1 - self.before.settings.level
        kept = 0
        while kept < len(felt) and _p_value(felt[kept]) <= alpha / (len(felt) - kept):
            kept += 1
        named = {id(c) for c in felt[:kept] if (c.change or 0.0) < 0}
        return tuple(c for c in self.changes if id(c) in named)

    @property
    def lower(self) -> tuple[Change, ...]:
        """Groups whose number fell, but within noise (or on too few rows to say)."""
        worse = {id(c) for c in self.worse}
        fell = [c for c in self.changes if c.group is not None and c.metric in FELT and (c.change or 0.0) < 0]
        return tuple(c for c in fell if id(c) not in worse)

    def content(self) -> dict[str, Any]:
        """The part of the comparison file that depends only on the inputs."""
        return {
            "paired": self.paired, "rows": dict(self.rows),
            "before": self.before.content_sha256, "after": self.after.content_sha256,
            "changes": [c.to_dict() for c in self.changes],
            "worse": [c.to_dict() for c in self.worse], "lower": [c.to_dict() for c in self.lower],
        }  # fmt: skip

    @property
    def content_sha256(self) -> str:
        """The checksum of `content`."""
        return sha256_of(self.content())

    def to_json(self, indent: int | None = 1) -> str:
        """The comparison as JSON text."""
        return document(SCHEMA, SCHEMA_VERSION, self.content(), indent=indent)


def _p_value(c: Change) -> float:
    """Two-sided p of no change, from the side of the interval that faces 0 (exact where it just touches 0)."""
    assert c.interval is not None
    assert c.change is not None
    reach = c.change - c.interval.low if c.change > 0 else c.interval.high - c.change
    if reach <= 0 or c.change == 0:
        return 1.0
    z = NormalDist().inv_cdf((1 + c.interval.level) / 2)
    return 2 * NormalDist().cdf(-abs(c.change) / reach * z)


def compare(
    before: Any,
    after: Any,
    *,
    level: float = 0.95,
    min_events: int = 10,
    min_n: int = 30,
    seed: int = 0,
    interval: str = "wilson",
    **inputs: Any,
) -> Comparison:
    """The change of every estimate from `before` to `after`.

    Two audits (`Audit`, or paths of `audit.json`), or tallies: unpaired. Two sets of predictions (paths or dataframes):
    paired by `id`, with the same options as `audit`. Intervals of a change come from both intervals by MOVER;
    when paired, rates, F1 and macro means with their correlation over the shared rows (Newcombe 1998b, method 10);
    gaps, minima and scores as if the two were independent: wider when both models err on the same rows, as they
    mostly do, but not when a gap changes sides. Raises FairauditError where the two cannot be compared.
    """
    audits = [as_audit(x) for x in (before, after)]
    settings = Settings(level, min_events, min_n, seed, interval)
    sensitive = inputs.pop("sensitive", ())
    _, given = resolved(before, sensitive, inputs)
    if audits[0] is not None and audits[1] is not None:
        if given != Inputs() or settings not in (Settings(), audits[0].settings):
            raise FairauditError(
                "two audits are compared as they are; options are for comparing predictions."
            )
        return _unpaired(audits[0], audits[1])
    if any(a is not None for a in audits):
        raise FairauditError(
            "compare two audits or two sets of predictions, not one of each; audit the other one first."
        )
    if is_counted(before) or is_counted(after):
        return _unpaired(*(audit_tally(tabulate(x, given), settings) for x in (before, after)))
    return _paired(pair(before, after, given), settings)


def as_audit(x: Any) -> Audit | None:
    """The audit that is given, as a value or as the path of `audit.json`; None for anything else."""
    if isinstance(x, Audit):
        return x
    if isinstance(x, str | Path) and str(x).endswith(".json") and Path(x).is_file():
        text = Path(x).read_text(encoding="utf-8", errors="replace")
        if '"fairaudit.audit"' in text:
            return Audit.from_json(text)
        check_foreign(str(x))
    return None


def _unpaired(before: Audit, after: Audit) -> Comparison:
    if before.classes != after.classes or before.positive != after.positive:
        raise FairauditError(
            f"the audits speak of different classes ({', '.join(before.classes)}; positive {before.positive}) and "
            f"({', '.join(after.classes)}; positive {after.positive}); audit both with the same --positive."
        )
    if before.settings != after.settings:
        raise FairauditError(
            f"the audits were made with different settings ({before.settings}; {after.settings}); audit both alike."
        )
    rows = {"before": int(before.data["rows"]), "after": int(after.data["rows"])}
    return Comparison(before, after, False, rows, _changes(before, after, {}))


def _paired(found: Pair, settings: Settings) -> Comparison:
    names = naming(found.joint)  # of both models' predictions: one positive class, one list of classes
    before, after = (audit_tally(t, settings, names) for t in (found.before, found.after))
    joint = joint_views(found.joint, names, settings)
    return Comparison(before, after, True, found.rows, _changes(before, after, joint))


def _changes(before: Audit, after: Audit, joint: Mapping[str, Any]) -> tuple[Change, ...]:
    matching = {(e.metric, e.by, e.group, e.class_): e for e in after.estimates}
    out = []
    for e in before.estimates:
        other = matching.get((e.metric, e.by, e.group, e.class_))
        if other is None:
            out.append(_one_sided(e, "before"))
        else:
            view = joint.get(e.by)
            known = view is not None and (e.class_ is None or e.class_ in view.classes)
            corr = correlation(view, e.metric, e.group, e.class_) if view is not None and known else None
            out.append(_change(e, other, corr))
    mine = {(e.metric, e.by, e.group, e.class_) for e in before.estimates}
    out += [_one_sided(e, "after") for k, e in matching.items() if k not in mine]
    if all(c.status == "undefined" for c in out):
        raise FairauditError("the two audits have no estimate in common; audit both with the same columns.")
    return tuple(out)


def _one_sided(e: Estimate, name: str) -> Change:
    """The change of a number that only one side has (a group or class the other has not)."""
    none = Estimate(e.metric, e.by, None, 0, e.group, e.class_, status="undefined", reason="not in this one")
    before, after = (e, none) if name == "before" else (none, e)
    key = (e.metric, e.by, e.group, e.class_)
    return Change(*key, before, after, None, None, "undefined", f"only {name}", False, False)


def _change(before: Estimate, after: Estimate, corr: float | None) -> Change:
    key = (before.metric, before.by, before.group, before.class_)
    for e, name in ((before, "before"), (after, "after")):
        if e.value is None:
            return Change(
                *key, before, after, None, None, "undefined", f"undefined {name}: {e.reason}", False, False
            )
    assert before.value is not None
    assert after.value is not None
    small = next((e for e in (before, after) if e.status != "ok"), None)
    status, reason = ("ok", None) if small is None else (small.status, small.reason)
    change = after.value - before.value
    interval = None
    if before.interval is not None and after.interval is not None:
        sides = [Bounded(*(np.array(v) for v in (e.value, e.interval.low, e.interval.high)))
                 for e in (after, before) if e.interval is not None]  # fmt: skip
        low, high = difference(sides[0], sides[1], corr or 0.0)
        method = "mover" if corr is None else "paired-mover"
        interval = clipped(change, float(low), float(high), before.interval.level, method)
    better = BY_ID[before.metric].better if before.metric in BY_ID else ""
    up, down = interval is not None and interval.low > 0, interval is not None and interval.high < 0
    worse, gained = (down, up) if better == "higher" else (up, down) if better == "lower" else (False, False)
    return Change(*key, before, after, change, interval, status, reason, worse, gained)
