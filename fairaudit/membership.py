"""Membership inference: how much better the model knows the rows it was trained on, by group."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fairaudit import intervals, simultaneous
from fairaudit.emit import group_places
from fairaudit.estimate import Estimate, undefined
from fairaudit.rates import family
from fairaudit.view import View


def advantage(view: View, metric: str) -> Iterator[Estimate]:
    """P(correct | member) − P(correct | non-member) of each group: the advantage of the gap attack.

    An attacker who calls every correctly classified row a member gains exactly this over guessing
    (Yeom et al. 2018). Undefined without rows of both kinds; `small` below `min_events` of either.
    """
    parts = [View(view.kind, view.by, view.groups, view.classes, view.positive, view.labels.where("member", m), None,
                  view.settings) for m in ("1", "0")]  # fmt: skip
    members, others = (family(v, lambda c: (c.correct.sum(axis=-1), c.total())) for v in parts)
    level = view.settings.level
    for g, place in enumerate(group_places(view)):
        rows = [int(f.rows[g]) for f in (members, others)]
        if min(rows) == 0:
            kind = "members" if rows[0] == 0 else "non-members"
            yield undefined(metric, view.by, f"no {kind}", sum(rows), **place)
            continue
        one = np.array([g])
        first, second = (simultaneous.single(f.shares.take(one), level) for f in (members, others))
        low, high = intervals.difference(first, second)
        value = float(first.value[0] - second.value[0])
        least = view.settings.min_events
        small = min(rows) < least
        yield Estimate(
            metric, view.by, value, sum(rows),
            interval=intervals.clipped(value, float(low[0]), float(high[0]), level, "newcombe"),
            status="small" if small else "ok",
            reason=f"{min(rows)} rows of one kind, fewer than {least}" if small else None, **place,
        )  # fmt: skip
