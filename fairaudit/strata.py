"""What a rule is judged on: the numbers of one metric, stratum by stratum, with bounds at any tail."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Any

import numpy as np

from fairaudit.catalogue import BY_ID, CATALOGUE, SCORES_OF_CLASSES
from fairaudit.classwise import (
    f1_family,
    f1_macro_family,
    precision_family,
    recall_family,
    recall_macro_family,
)
from fairaudit.disparity import LACKS
from fairaudit.errors import FairauditError
from fairaudit.estimate import Estimate
from fairaudit.intervals import Bounded, Shares, exact
from fairaudit.labels import split_by, split_groups
from fairaudit.rates import RATES, Family, family, recalls
from fairaudit.view import Counts, View

Array = np.ndarray[Any, Any]
Numbers = tuple[Array, Array]
#: What a metric needs beside labels and predictions, and how the data gets it.
_SCORES = ("scores", "name their column (y_score), or one column per class (prob_CLASS)")
_LOSSES = ("losses", "name their column (loss), or the probabilities (prob_CLASS) that they follow from")
_LACKS: Mapping[str, tuple[str, str]] = {
    "roc_auc": ("scores of a binary task", _SCORES[1]),
    "sensitive_leakage": (
        "use for it beside an agreement of classes and groups",
        "ask for sensitive_accuracy",
    ),
    "loss": _LOSSES,
    "loss_variance": _LOSSES,
    "sensitive_accuracy": ("map from classes to groups", "give it as agreement under [data], or --agreement"),
    "membership_advantage": ("marks of rows trained on", "name their column (member)"),
}
#: z -> the bounds of every stratum, for metrics that are not shares.
At = Callable[[float], Numbers]


@dataclass(frozen=True, slots=True, eq=False)
class Members:
    """Strata and their numbers, all (m,) in one order.

    `places`: (group, class) of each. `rows`: in the denominator; `total`: of the whole group. `reasons`: why a
    stratum is not `evaluable`. `shares` (proportions: exact bounds) or `at` (anything else: the bounds of the
    metric's own interval). `joint`: one number over strata, whose interval is already simultaneous.
    """

    places: tuple[tuple[str | None, str | None], ...]
    value: Array
    rows: Array
    total: Array
    numerator: Array
    denominator: Array
    evaluable: Array
    reasons: tuple[str | None, ...]
    shares: Shares | None = None
    at: At | None = None
    joint: bool = False

    @property
    def df(self) -> Array | float:
        """Degrees of freedom behind the bounds; metrics with their own interval bring their own."""
        return inf if self.shares is None else self.shares.df

    def bounds(self, index: Array, z: Array | float, growth: Array | float = 1.0) -> Bounded:
        """Bounds of the members at these positions, at one critical value or one each.

        `growth`: (m,) or one number: as if there were so many times the rows.
        """
        grown = np.broadcast_to(np.asarray(growth, float), self.value.shape)
        if self.shares is None:
            return self._own_bounds(index, z, grown)
        if isinstance(z, np.ndarray):
            return _grown(self.shares, grown).take_pairs(index, z, exact)
        return _grown(self.shares, grown).bounded(z, exact).take(index)

    def _own_bounds(self, index: Array, z: Array | float, growth: Array) -> Bounded:
        assert self.at is not None
        low, high = self.at(float(np.max(z)) if np.size(z) else 1.0)
        scale = np.sqrt(growth)
        found = Bounded(self.value, self.value - (self.value - low) / scale,
                        self.value + (high - self.value) / scale)  # fmt: skip
        return found.take(index)

    def take(self, index: Array) -> Members:
        """The members at these positions."""
        places = tuple(self.places[i] for i in index)
        reasons = tuple(self.reasons[i] for i in index)
        value, rows, total, numerator, denominator, evaluable = (
            a[index]
            for a in (self.value, self.rows, self.total, self.numerator, self.denominator, self.evaluable)
        )
        return Members(
            places, value, rows, total, numerator, denominator, evaluable, reasons,
            None if self.shares is None else self.shares.take(index),
            None if self.at is None else _taken(self.at, index), self.joint,
        )  # fmt: skip


def _taken(at: At, index: Array) -> At:
    def chosen(z: float) -> Numbers:
        low, high = at(z)
        return low[index], high[index]

    return chosen


def _grown(shares: Shares, growth: Array) -> Shares:
    parts = shares.parts
    if parts is not None:
        parts = replace(parts, size=parts.size * growth[:, None])
    return replace(shares, size=shares.size * growth, parts=parts)


def of_metric(view: View, metric: str, class_: str | None = None) -> Members:
    """The members of a metric in a view. Raises FairauditError where it does not stand there."""
    at = _class_at(view, class_)
    if metric in RATES and view.kind != "class" and (at is not None or metric == "accuracy"):
        return _rates(view, metric, at or 0)
    if metric in ("tpr", "recall") and view.kind == "attribute":
        cells = tuple((g, c) for g in view.groups for c in view.classes)
        return _only(_of_family(view, recalls(view), cells, "no rows of this class in this group"), class_)
    if view.kind == "class" and metric in ("f1", "recall", "precision"):
        return _only(_by_class(view, metric), class_)
    if metric in ("f1_macro", "recall_macro") and view.kind != "class":
        found = f1_macro_family(view) if metric == "f1_macro" else recall_macro_family(view)
        return _of_family(view, found, _places(view), "no rows")
    return _only(_of_estimates(view, metric, class_), class_)


def _class_at(view: View, class_: str | None) -> int | None:
    if class_ is None:
        return view.positive if view.binary or view.positive is not None else None
    if class_ not in view.classes:
        raise FairauditError(f"there is no class '{class_}' (classes: {', '.join(view.classes[:12])}).")
    return view.classes.index(class_)


def _places(view: View) -> tuple[tuple[str | None, str | None], ...]:
    return tuple((g, None) for g in view.groups) if view.kind == "attribute" else ((None, None),)


def _rates(view: View, metric: str, at: int) -> Members:
    found = family(view, lambda c: RATES[metric](c, at))
    return _of_family(view, found, _places(view), LACKS[metric])


def _by_class(view: View, metric: str) -> Members:
    places = tuple((None, c) for c in view.classes)
    if metric != "f1":
        found = recall_family(view) if metric == "recall" else precision_family(view)
        lack = "no rows of this class" if metric == "recall" else "no rows predicted as this class"
        return _of_family(view, found, places, lack)
    return _of_family(view, f1_family(view), places, "class in neither labels nor predictions")


def _of_family(
    view: View, found: Family, places: Sequence[tuple[str | None, str | None]], lack: str
) -> Members:
    total = view.rows.total()
    at = {g: k for k, g in enumerate(view.groups)}
    own = np.array([total[at[g]] if g is not None else total.sum() for g, _ in places])
    evaluable = np.zeros(len(places), bool)
    evaluable[found.evaluable] = True
    reasons = tuple(why_not(view.settings.min_events, int(n), lack) for n in found.rows)
    return Members(
        tuple(places), found.shares.value, found.rows, own, found.numerator, found.denominator, evaluable,
        reasons, found.shares,
    )  # fmt: skip


def why_not(least: int, rows: int, lack: str) -> str | None:
    """Why a stratum of so many rows is not judged, if it is not."""
    if rows >= least:
        return None
    if rows == 0:
        return lack
    return f"{rows} {'row' if rows == 1 else 'rows'}, fewer than {least}"


def _of_estimates(view: View, metric: str, class_: str | None) -> Members:
    """Members of any other metric of the catalogue, from its own estimates and intervals."""
    defined = [m for m in CATALOGUE if m.id == metric and view.kind in m.where and m.needs(view)]
    if not defined:
        raise FairauditError(_stands_not(view, metric))
    compute = defined[0 if class_ is None else -1].compute  # the last speaks of classes, where one does
    found = list(compute(view, metric))
    if metric in SCORES_OF_CLASSES and class_ is not None and all(e.class_ != class_ for e in found):
        raise FairauditError(
            f"{metric} of class '{class_}' was not counted; ask for it with score_classes under [data], "
            "or --score-classes."
        )
    memo: dict[float, Numbers] = {}

    def at(z: float) -> Numbers:
        if z not in memo:
            from fairaudit.special import ndtr

            level = 1 - 2 * float(ndtr(-z))
            memo[z] = _ends(
                list(compute(replace(view, settings=replace(view.settings, level=level)), metric))
            )
        return memo[z]

    joint = view.kind != "overall" and found[0].group is None and found[0].class_ is None
    value = _numbers([e.value for e in found])
    low, _ = _ends(found)
    usable = np.isfinite(value) & np.isfinite(low) & np.array([e.status == "ok" for e in found])
    whole = dict(zip(view.groups, view.rows.total(), strict=True))
    rows = _numbers([e.n for e in found])
    return Members(
        tuple((e.group, e.class_) for e in found), value, rows,
        _numbers([whole.get(str(e.group), e.n) for e in found]), _numbers([e.numerator for e in found]),
        _numbers([e.denominator for e in found]), usable,
        tuple(_reason(e) for e in found), at=at, joint=joint,
    )  # fmt: skip


def _reason(e: Estimate) -> str | None:
    if e.status == "ok" and e.interval is None:
        return "no interval can be computed from these rows"
    return None if e.status == "ok" else (e.reason or e.status).partition(": left out")[0]


def _stands_not(view: View, metric: str) -> str:
    kinds = sorted({k for m in CATALOGUE if m.id == metric for k in m.where})
    if view.kind not in kinds:
        places = {"overall": "over all rows (overall)", "class": "by class", "attribute": "by an attribute"}
        return f"{metric} does not stand by '{view.by}', only {' and '.join(places[k] for k in kinds)}."
    if view.positive is None:
        return f'{metric} needs a positive class; name it (positive = "…" under [data], or --positive).'
    needs, remedy = _LACKS.get(metric, _SCORES)
    return f"{metric} cannot be computed from this data, which has no {needs}; {remedy}."


def _numbers(values: Sequence[float | None]) -> Array:
    return np.array([np.nan if v is None else float(v) for v in values])


def _ends(found: Sequence[Estimate]) -> Numbers:
    low = [None if e.interval is None else e.interval.low for e in found]
    high = [None if e.interval is None else e.interval.high for e in found]
    return _numbers(low), _numbers(high)


def _only(members: Members, class_: str | None) -> Members:
    if class_ is None:
        return members
    return members.take(np.array([k for k, (_, c) in enumerate(members.places) if c in (None, class_)], int))


def contrast(view: View, metric: str, class_: str | None = None) -> Members:
    """(2m,): a rate of each stratum, then of the same in all the other groups together, in the same order.

    `eod` and multi-class `tpr` speak of class × group cells. Raises FairauditError for what is not a rate.
    """
    at = _class_at(view, class_)
    if metric in ("eod", "recall") or (metric == "tpr" and at is None):
        classes = list(range(len(view.classes))) if class_ is None else [view.classes.index(class_)]
    elif metric in RATES and (at is not None or metric == "accuracy"):
        classes = []
    else:
        raise FairauditError(
            f"a reference to the rest needs a rate, which {metric} is not; name a group instead."
        )

    def pair(c: Counts) -> Numbers:
        sides = [c, c.rest()]
        if classes:
            both = [(s.correct[..., classes], s.support[..., classes]) for s in sides]
        else:
            both = [tuple(x[..., None] for x in RATES[metric](s, at or 0)) for s in sides]  # type: ignore[misc]
        return tuple(np.stack([s[k] for s in both], axis=-3) for k in (0, 1))  # type: ignore[return-value]

    found = family(view, pair)
    of: list[str | None] = [view.classes[c] for c in classes] or [None]
    places = [(g, c) for g in view.groups for c in of]
    return _of_family(view, found, places * 2, "no such rows")


def better(metric: str) -> str:
    """`higher`, `lower` or `` : which way is better for a metric."""
    return "higher" if metric == "recall" else BY_ID[metric].better


#: Attribute and group, for each attribute of a name: `race&sex=Asian & F` in any order of the two.
Names = frozenset[tuple[str, str]]


def names(by: str, group: str) -> Names:
    """What a group of a view is called, whatever the order of its attributes.

    >>> names("race&sex", "Asian & F") == names("sex&race", "F & Asian")
    True
    """
    attributes = split_by(by)
    parts = split_groups(group) if len(attributes) > 1 else (group,)
    return frozenset(zip(attributes, parts, strict=False))


def names_of(text: str, attributes: Collection[str] = ()) -> Names:
    """What a policy calls a group: `race=Asian`, `race&sex=Asian & F`.

    `attributes`: those there are, which settles where the name ends when it holds an `=` itself.

    >>> names_of("a=b=x", ["a=b"]), names_of("a=b=x")
    (frozenset({('a=b', 'x')}), frozenset({('a', 'b=x')}))
    """
    for at in (k for k, letter in enumerate(text) if letter == "="):
        if set(split_by(text[:at])) <= set(attributes):
            return names(text[:at], text[at + 1 :])
    by, _, group = text.partition("=")
    return names(by, group)
