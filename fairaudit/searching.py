"""Which groups stand out when many are looked at: p-values against the rest, labelled by Holm and by false discoveries.

Labels only: no verdict and no interval depends on them (DESIGN §4.3).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fairaudit import contrasts
from fairaudit.catalogue import BY_ID
from fairaudit.errors import FairauditError
from fairaudit.intervals import criticals
from fairaudit.strata import contrast
from fairaudit.view import NO_INTERVALS, View

Array = np.ndarray[Any, Any]
#: The rates that are searched, where they have a `…_to_overall`.
SEARCHED = ("accuracy", "selection_rate", "tpr", "fpr")
#: With two groups there is one difference and no search.
FEWEST_GROUPS = 3
_STEPS, _FARTHEST = 40, 40.0


def holm(p: Sequence[float], alpha: float) -> list[bool]:
    """Holm 1979: with probability 1 − α none of those marked is there by chance.

    >>> holm([0.001, 0.02, 0.04], 0.05)
    [True, True, True]
    >>> holm([0.001, 0.03, 0.04], 0.05)
    [True, False, False]
    """
    marked, order = [False] * len(p), sorted(range(len(p)), key=lambda k: p[k])
    for rank, k in enumerate(order):
        if p[k] > alpha / (len(p) - rank):
            break
        marked[k] = True
    return marked


def benjamini_hochberg(p: Sequence[float], alpha: float) -> list[bool]:
    """Benjamini & Hochberg 1995: of those marked, a share of at most α is there by chance, on average.

    >>> benjamini_hochberg([0.001, 0.03, 0.04], 0.05)
    [True, True, True]
    """
    order = sorted(range(len(p)), key=lambda k: p[k])
    kept = max((rank + 1 for rank, k in enumerate(order) if p[k] <= alpha * (rank + 1) / len(p)), default=0)
    marked = [False] * len(p)
    for k in order[:kept]:
        marked[k] = True
    return marked


def stands_out(views: Sequence[View]) -> list[dict[str, Any]]:
    """The groups whose rate differs from that of all others beyond what so many looks find by chance.

    Over every group with enough rows of every attribute of three groups or more, and every rate of `SEARCHED`: `p`,
    two-sided; `holm` and `fdr`: whether it is marked at the level of the audit. Those marked by neither are left out.
    Nothing where no intervals are asked for: these are tests.
    """
    if views[0].settings.interval == NO_INTERVALS:
        return []
    found = [record for view in views if view.kind == "attribute" for record in _of_view(view)]
    if not found:
        return []
    alpha = 1 - views[0].settings.level
    p = [record["p"] for record in found]
    for record, one, other in zip(found, holm(p, alpha), benjamini_hochberg(p, alpha), strict=True):
        record |= {"holm": one, "fdr": other}
    marked = [record for record in found if record["holm"] or record["fdr"]]
    return sorted(marked, key=lambda r: (not r["holm"], r["p"], r["by"], r["metric"], r["group"]))


def _of_view(view: View) -> list[dict[str, Any]]:
    if len(view.groups) < FEWEST_GROUPS:
        return []
    out = []
    asked = view.settings.metrics
    for metric in SEARCHED:
        if asked and not {metric, f"{metric}_to_overall"} & set(asked):
            continue
        if not BY_ID[f"{metric}_to_overall"].needs(view):
            continue
        try:
            whole = contrast(view, metric)
        except FairauditError:  # several classes and none of them positive: the rate is about cells
            continue
        if len(whole.value) != 2 * len(view.groups):
            continue
        found = contrasts.to_rest(whole, quotient=False, lower_is_better=False, of_all=True)
        size = len(view.groups)
        p = _p_values(found, 1 - view.settings.level)
        for k, group in enumerate(view.groups):
            if found.usable[k]:
                value = float(found.value[k])
                both = min(1.0, 2 * float(min(p[k], p[k + size])))
                out.append({"metric": metric, "by": view.by, "group": group, "value": value, "p": both})
    return out


def _p_values(found: contrasts.Contrasts, alpha: float) -> Array:
    """One-sided p of each contrast being at most 0: the tail at which its lower bound touches 0 (by bisection).

    1 where it is above alpha / 2 or the contrast is not usable: no rule marks those, and there may be thousands.
    """
    out = np.ones(len(found.value))
    usual = np.broadcast_to(criticals(alpha / 2, found.df), out.shape)
    with np.errstate(invalid="ignore"):
        above = np.flatnonzero(found.usable & (found.value > 0))
    likely = above[found.bounds(usual, 1.0, above)[0] > 0] if len(above) else above
    low, high = np.zeros(len(out)), np.full(len(out), _FARTHEST)
    for _ in range(_STEPS if len(likely) else 0):
        middle = (low + high) / 2
        beyond = found.bounds(middle, 1.0, likely)[0] > 0
        low[likely] = np.where(beyond, middle[likely], low[likely])
        high[likely] = np.where(beyond, high[likely], middle[likely])
    if isinstance(found.df, np.ndarray):
        from fairaudit.special import stdtr

        out[likely] = stdtr(found.df[likely], -low[likely])
    else:
        from fairaudit.special import ndtr

        out[likely] = ndtr(-low[likely])
    return out
