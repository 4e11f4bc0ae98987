"""What a release is compared with: another model's predictions (row by row where it can be), or a saved audit."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from fairaudit.auditing import Audit
from fairaudit.columns import Inputs
from fairaudit.comparing import as_audit
from fairaudit.errors import FairauditError
from fairaudit.estimate import Estimate
from fairaudit.intervals import Shares, rows_behind
from fairaudit.labels import split_by
from fairaudit.pairing import joint_views, moved, pair, unpaired
from fairaudit.prepare import Naming, naming, views
from fairaudit.rates import RATES
from fairaudit.reading.paths import check_path
from fairaudit.reading.table import tabulate
from fairaudit.strata import Members, names, of_metric
from fairaudit.tallies.tally import Tally
from fairaudit.view import Settings, View

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Baseline:
    """The numbers before, and how they hang together with those after.

    `before`, `after`: view name -> view of each model (`after` on the matched rows; empty when it is all rows).
    `joint`: view name -> joint table, where rows are paired. `audit`: instead of rows. `about`: for the verdict.
    """

    before: Mapping[str, View]
    after: Mapping[str, View]
    joint: Mapping[str, View]
    audit: Audit | None
    about: Mapping[str, Any]

    @property
    def aside(self) -> dict[str, str] | None:
        """The warning that rows could have been paired, and were not."""
        why = self.about.get("reason")
        return (
            {"code": "unpaired", "message": f"rows are not paired with the baseline: {why}"} if why else None
        )

    def members(
        self, view: View, metric: str, class_: str | None, like: Members, gone: Collection[str] = ()
    ) -> Members:
        """The members of a metric before, in the order of `like`; a stratum that was not there is not evaluable.

        `gone`: groups that the policy leaves out.
        """
        if self.audit is not None:
            found = _of_audit(self.audit, view, metric, class_)
            if found.joint and gone:
                raise FairauditError(
                    f"{metric} of the baseline audit is about all groups, also those left out; give its predictions."
                )
        elif view.by in self.before:
            found = of_metric(self.before[view.by].without(gone), metric, class_)
        else:
            raise FairauditError(
                f"the baseline has no '{view.by}'; audit or tabulate it with the same columns."
            )
        return _aligned(found, like.places)

    def moved(
        self, view: View, metric: str, class_: str | None, like: Members
    ) -> tuple[Shares, Shares] | None:
        """The shares of hits lost and gained, where rows are paired and the metric's denominator is the labels'."""
        return moved(self.joint[view.by], metric, class_, like.places) if self.joint else None


def check_there(given: Any) -> None:
    """Refuse a baseline that is not there, without reading its rows."""
    if isinstance(given, str | Path) and str(given) != "-":
        check_path(str(given))


def check_whole(tally: Tally, name: str) -> None:
    """Refuse a tally that lacks counts. `name`: what it is, for the message."""
    check_shown([w["code"] for w in tally.warnings], name)


def check_shown(codes: Iterable[str], name: str) -> None:
    """Refuse what was made without the small counts: errors are often few, so it would pass what its rows do not."""
    if "hidden_cells" in codes:
        raise FairauditError(
            f"a gate needs every count, and {name} hides small ones (--suppress-below): gate the counts before they "
            "are hidden, or let the policy hide them in the verdict ([data] suppress_below)."
        )


def load(
    given: Any, data: Any, inputs: Inputs, names: Naming, settings: Settings, strict: bool = True
) -> Baseline:
    """The baseline of a gate. Raises FairauditError where it cannot be compared with the data.

    `strict`: an id that is named must be in both; else rows without it are two samples, and `about` has the reason.
    """
    audit = as_audit(given)
    if audit is not None:
        check_shown([w["code"] for w in audit.warnings], "the baseline audit")
        if audit.classes != names.classes or audit.positive != names.positive:
            raise FairauditError(
                f"the baseline audit is about classes {', '.join(audit.classes)} (positive {audit.positive}), the data "
                f"about {', '.join(names.classes)} (positive {names.positive}); audit the baseline anew."
            )
        about = {
            "kind": "audit",
            "paired": False,
            "rows": audit.data["rows"],
            "content_sha256": audit.content_sha256,
        }
        return Baseline({}, {}, {}, audit, about)
    apart = None if strict and inputs.id is not None else unpaired(given, data, inputs)
    if apart is None:
        found = pair(given, data, inputs)
        known = naming(found.joint)
        before, after = ({v.by: v for v in views(t, known, settings)} for t in (found.before, found.after))
        about = {
            "kind": "predictions",
            "paired": True,
            "rows": found.rows["before"],
            "rows_after": found.rows["after"],
            "matched": found.rows["matched"],
        }
        return Baseline(before, after, joint_views(found.joint, known, settings), None, about)
    tally = tabulate(given, replace(inputs, id=None))
    check_whole(tally, "the baseline")
    known = naming(tally)
    if known.positive != names.positive:
        raise FairauditError(
            f"the positive class is {names.positive} in the data and {known.positive} in the baseline; name it "
            "with --positive."
        )
    old = {v.by: v for v in views(tally, known, settings)}
    about = {"kind": "predictions", "paired": False, "rows": tally.rows}
    return Baseline(old, {}, {}, None, {**about, "reason": apart} if apart else about)


def _aligned(found: Members, places: Sequence[tuple[str | None, str | None]]) -> Members:
    at = {p: k for k, p in enumerate(found.places)}
    index = np.array([at.get(p, -1) for p in places], dtype=int)
    out = found.take(np.maximum(index, 0))
    there = index >= 0
    blank = np.where(there, 1.0, np.nan)
    return replace(
        out, value=out.value * blank, rows=np.where(there, out.rows, 0), evaluable=out.evaluable & there,
        reasons=tuple(r if ok else "no such group" for r, ok in zip(out.reasons, there, strict=True)),
    )  # fmt: skip


def _of_audit(audit: Audit, view: View, metric: str, class_: str | None) -> Members:
    """Members from a saved audit: rates with the effective size that their interval shows, the rest by scaling."""
    cells = metric == "recall" and view.kind == "attribute"  # an audit calls them tpr
    called = "tpr" if cells else metric
    same = {e.by for e in audit.estimates if set(split_by(e.by)) == set(split_by(view.by))}
    found = [e for e in audit.estimates if e.metric == called and e.by in same]
    if cells or (class_ is not None and any(e.class_ is not None for e in found)):
        found = [e for e in found if e.class_ is not None and class_ in (None, e.class_)]
    elif class_ not in (None, audit.positive) and metric in RATES and metric != "accuracy":
        raise FairauditError(
            f"the baseline audit has {metric} of class '{audit.positive}' only, not of '{class_}'; give the baseline's "
            "predictions, or an audit with that class positive."
        )
    if not found:
        raise FairauditError(
            f"the baseline audit has no {metric} by '{view.by}'; audit the baseline with the same options."
        )
    least = max(audit.settings.min_events, view.settings.min_events)
    value = np.array([np.nan if e.value is None else e.value for e in found])
    rows = np.array([float(e.n) for e in found])
    usable = np.array([e.interval is not None and e.status == "ok" and e.n >= least for e in found])
    reasons = tuple(
        None if ok else (e.reason or f"{e.n} rows, fewer than {least}")
        for e, ok in zip(found, usable, strict=True)
    )
    numbers = [np.array([np.nan if x is None else x for x in (getattr(e, k) for e in found)], float)
               for k in ("numerator", "denominator")]  # fmt: skip
    shares = None
    if metric in (*RATES, "recall", "precision"):
        shares = Shares(value, np.array([_rows(e) for e in found]))
    joint = view.kind != "overall" and found[0].group is None and found[0].class_ is None
    own = {names(view.by, g): g for g in view.groups} if view.kind == "attribute" else {}
    places = tuple(
        (None if e.group is None else own.get(names(e.by, e.group), e.group), e.class_) for e in found
    )
    return Members(
        places, value, rows, rows, numbers[0], numbers[1], usable, reasons, shares, _scaled(found), joint
    )


def _rows(e: Estimate) -> float:
    return 0.0 if e.interval is None or e.value is None else rows_behind(e.value, e.interval)


def _z(level: float) -> float:
    from statistics import NormalDist

    return NormalDist().inv_cdf((1 + level) / 2)


def _scaled(found: Sequence[Estimate]) -> Any:
    """z -> bounds: each side of the saved interval, stretched by z over the z it was made with."""
    value = np.array([np.nan if e.value is None else e.value for e in found])
    ends = [
        np.array([np.nan if e.interval is None else getattr(e.interval, k) for e in found])
        for k in ("low", "high")
    ]
    made = np.array([1.0 if e.interval is None else _z(e.interval.level) for e in found])

    def at(z: float) -> tuple[Array, Array]:
        return value - (value - ends[0]) * z / made, value + (ends[1] - value) * z / made

    return at
