"""What a metric sees: the counts of one attribute's groups, ready for arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from fairaudit.cube import Cube
from fairaudit.intervals import Parts, Shares

Array = np.ndarray[Any, Any]
T = TypeVar("T")
ALL_ROWS = "(all)"
MAX_CORRELATED = 2000
#: `Settings.interval` where values are asked for and nothing else.
NO_INTERVALS = "none"
#: The groups too many and too small to be listed one by one, together. No group has this name.
FOLDED = "\0(small groups)"
#: Where a view has more groups than this, or more groups × classes, those below `min_events` are not listed one by one.
MOST_LISTED_GROUPS, MOST_LISTED_CELLS = 20_000, 200_000


@dataclass(frozen=True, slots=True)
class Settings:
    """How numbers are judged. `min_events`: rows a denominator needs to enter a min, max or gap; `min_n`: rows
    under which a group is called small; `level`: of every interval; `seed`: of every draw; `interval`: of single
    shares, `wilson` or `clopper-pearson` (never covers less than it says; wider), or `none` for values without any
    interval. `metrics`: compute only these of the catalogue; all where there is none.
    """

    level: float = 0.95
    min_events: int = 10
    min_n: int = 30
    seed: int = 0
    interval: str = "wilson"
    metrics: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """Three marginals of the confusion table of each group; every rate is made of them.

    Each is (…, groups, classes): `support` rows with y_true = c, `predicted` rows with y_pred = c, `correct`
    rows with both. Leading axes (buckets) broadcast.
    """

    support: Array
    correct: Array
    predicted: Array

    def total(self) -> Array:
        """Rows of each group, (…, groups)."""
        out: Array = self.support.sum(axis=-1)
        return out

    def minus(self, part: Counts) -> Counts:
        """These counts without a part of them, as a jackknife needs."""
        return Counts(
            self.support - part.support, self.correct - part.correct, self.predicted - part.predicted
        )

    def rest(self) -> Counts:
        """For each group, the counts of all the other groups together."""
        return Counts(
            *(a.sum(axis=-2, keepdims=True) - a for a in (self.support, self.correct, self.predicted))
        )


@dataclass(frozen=True, eq=False)
class View:
    """The tables of one attribute (or of all rows): the only argument of every metric.

    `kind`: `overall`, `class` or `attribute`; `by`: the same, or the attribute's name. `groups`: its groups (one,
    `(all)`, without attribute). `labels`: cube (group, y_true, y_pred[, member][, bucket]) with one class axis order
    for both. `scores`: cube (group, y_true or correct, score_bin[, bucket]) or None. `positive`:
    position in `classes`. `class_scores`: cube (group, score_class, y_true or correct, score_bin[, bucket]) of
    probabilities of one class each, or None.
    `unfolded`: the view whose small groups stand together in the last group of this one (see `folded`), or None.
    """

    kind: str
    by: str
    groups: tuple[str, ...]
    classes: tuple[str, ...]
    positive: int | None
    labels: Cube
    scores: Cube | None
    settings: Settings
    agreement: Mapping[str, str] = field(default_factory=dict)
    class_scores: Cube | None = None
    unfolded: View | None = None
    memo: dict[Any, Any] = field(default_factory=dict, init=False, repr=False)

    def once(self, compute: Callable[[View], T]) -> T:
        """compute(view), kept for as long as the view lives: several metrics ask for the same families."""
        if compute not in self.memo:
            self.memo[compute] = compute(self)
        found: T = self.memo[compute]
        return found

    @property
    def binary(self) -> bool:
        """Two classes with a positive one (one class seen counts, when its positive is known)."""
        return self.positive is not None and len(self.classes) <= 2

    @property
    def mass_name(self) -> str:
        """The measure that counts rows: weights where there are any."""
        return "w" if "w" in self.labels.measures else "count"

    @cached_property
    def counts(self) -> Counts:
        """Weighted counts, (groups, classes)."""
        return self._counts(self.labels.real(self.mass_name))

    @cached_property
    def rows(self) -> Counts:
        """Row counts, whatever the weights."""
        return self._counts(self.labels.real("count")) if self.mass_name != "count" else self.counts

    @cached_property
    def squares(self) -> Counts:
        """Sums of squared weights (row counts where there are none): Kish's sizes come from them."""
        return self._counts(self.labels.real("w2")) if "w2" in self.labels.measures else self.rows

    @cached_property
    def by_bucket(self) -> Counts | None:
        """(buckets, groups, classes): the counts of each bucket of clusters; None if not clustered."""
        if "bucket" not in self.labels.axes:
            return None
        return self._counts(self.labels.real(self.mass_name), buckets=True)

    @cached_property
    def without_bucket(self) -> Counts | None:
        """(buckets, groups, classes): the counts with one bucket of clusters left out; None if not clustered."""
        return None if self.by_bucket is None else self.counts.minus(self.by_bucket)

    def _counts(self, mass: Array, buckets: bool = False) -> Counts:
        codes = self.labels.codes
        g, y, p = (codes[:, self.labels.axis(a)] for a in ("group", "y_true", "y_pred"))
        shape: tuple[int, ...] = (len(self.groups), len(self.classes))
        if buckets:
            at = self.labels.axis("bucket")
            shape = (len(self.labels.labels[at]), *shape)
            g = codes[:, at] * len(self.groups) + g
        hit = y == p
        return Counts(
            _grid(g, y, mass, shape), _grid(g[hit], y[hit], mass[hit], shape), _grid(g, p, mass, shape)
        )

    def without(self, groups: Collection[str]) -> View:
        """The view of the rows of all other groups."""
        if not set(groups) & set(self.groups):
            return self
        labels, scores, class_scores = (
            None if c is None else c.only("group", lambda g: g not in groups)
            for c in (self.labels, self.scores, self.class_scores)
        )
        assert labels is not None
        return replace(self, groups=labels.labels[0], labels=labels, scores=scores, class_scores=class_scores)

    @cached_property
    def judged(self) -> Counts:
        """Row counts by which a stratum may enter a minimum, maximum or gap: none of groups that were folded."""
        if self.unfolded is None:
            return self.rows
        kept = (np.arange(len(self.groups)) < len(self.groups) - 1)[:, None]
        return Counts(*(a * kept for a in (self.rows.support, self.rows.correct, self.rows.predicted)))

    @property
    def listed(self) -> int:
        """How many groups, from the first, are listed one by one."""
        return len(self.groups) - (self.unfolded is not None)

    @cached_property
    def listed_cells(self) -> Array | None:
        """(groups, classes): which of their cells are listed one by one; None for all."""
        if self.listed * len(self.classes) > MOST_LISTED_CELLS:
            return np.asarray(self.judged.support >= self.settings.min_events)
        if self.unfolded is None:
            return None
        kept = (np.arange(len(self.groups)) < self.listed)[:, None]
        return np.broadcast_to(kept, (len(self.groups), len(self.classes)))

    def folded(self) -> View:
        """The view with all groups below `min_events` made one, if there are very many groups.

        Those groups enter no minimum, maximum or gap and are not listed; they count in the rest and in totals. So what
        is computed follows the groups that have something to say, not every crossing that somebody stands in.
        """
        if len(self.groups) <= MOST_LISTED_GROUPS or "bucket" in self.labels.axes or self.agreement:
            return self
        size = np.bincount(self.labels.codes[:, self.labels.axis("group")], self.labels.real("count"))
        small = {g for g, n in zip(self.groups, size.tolist(), strict=True) if n < self.settings.min_events}
        if not small:
            return self
        labels, scores, class_scores = (
            None if c is None else _folded(c, small) for c in (self.labels, self.scores, self.class_scores)
        )
        assert labels is not None
        return replace(
            self,
            groups=labels.labels[0],
            labels=labels,
            scores=scores,
            class_scores=class_scores,
            unfolded=self,
        )

    @property
    def score_classes(self) -> tuple[str, ...]:
        """The classes whose probabilities are scored against the rest, in the order of `classes`."""
        if self.class_scores is None:
            return ()
        known = self.class_scores.labels[self.class_scores.axis("score_class")]
        return tuple(c for c in self.classes if c in known)

    def against_rest(self, class_: str) -> View:
        """The view whose score is the probability of one class, and whose positives are its rows."""
        assert self.class_scores is not None
        scores = self.class_scores.where("score_class", class_)
        return replace(self, positive=self.classes.index(class_), scores=scores, class_scores=None)

    @cached_property
    def cells(self) -> Cube:
        """The cube (group, y_true, y_pred), whatever other axes the labels have."""
        axes = ("group", "y_true", "y_pred")
        return self.labels if self.labels.axes == axes else self.labels.keep(axes)

    def confusion(self, measure: str) -> tuple[Array, Array, Array, Array]:
        """The non-empty (group, y_true, y_pred) cells and a measure on them, four (cells,) arrays."""
        codes = self.cells.codes
        return codes[:, 0], codes[:, 1], codes[:, 2], self.cells.real(measure)


def _folded(cube: Cube, small: Collection[str]) -> Cube:
    """The cube with these groups made one, `FOLDED`, the last."""
    kept = cube.only("group", lambda g: g not in small)
    rest = cube.only("group", small.__contains__).relabel("group", lambda _: FOLDED, also=[FOLDED])
    codes = rest.codes.copy()
    codes[:, 0] = len(kept.labels[0])
    measures = {m: np.concatenate([v, rest.measures[m]]) for m, v in kept.measures.items()}
    labels = ((*kept.labels[0], FOLDED), *kept.labels[1:])
    return Cube(cube.axes, labels, np.concatenate([kept.codes, codes]), measures)


def _grid(first: Array, second: Array, mass: Array, shape: Sequence[int]) -> Array:
    flat = first * shape[-1] + second
    return np.bincount(flat, weights=mass, minlength=int(np.prod(shape))).reshape(shape)


def divide(numerator: Array, denominator: Array) -> Array:
    """A rate, NaN where there is no denominator, clipped to [0, 1] against rounding."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.clip(np.where(denominator > 0, numerator / denominator, np.nan), 0.0, 1.0)


def jackknife(replicates: Array) -> Array:
    """Covariance (m, m) of estimates from delete-a-bucket replicates (buckets, m)."""
    buckets = len(replicates)
    centred = replicates - replicates.mean(axis=0)
    out: Array = (buckets - 1) / buckets * centred.T @ centred
    return out


def clustered(
    value: Array, replicates: Array, at_most: Array, held: Array, parts: Parts | None = None
) -> Shares:
    """Shares whose sizes and correlations come from a jackknife over buckets of clusters.

    `replicates`: (buckets, m), the estimate without each bucket; `held`: (m,), how many buckets hold rows of the
    stratum. size = p(1 − p)/V, judged by t with held − 1 degrees of freedom. Where V is 0 (p at 0 or 1, or all rows
    in one bucket) the buckets that hold it stand for the rows: clusters are then what was observed.
    """
    held = np.maximum(held, 1.0)
    replicates = np.nan_to_num(replicates)
    # leaving out a bucket without rows of the stratum changes nothing: only those that hold it make its variance
    var = (held - 1) / held * ((replicates - np.nan_to_num(value)) ** 2).sum(axis=0)
    bounded = np.where(held > 1, np.minimum(at_most, held), 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.where((var > 0) & (held > 1), value * (1 - value) / var, bounded)
    size = np.where(size > 0, size, bounded)
    df = np.maximum(held - 1, 1.0)
    if parts is not None:
        parts = parts.inflated(var)
    if len(value) > MAX_CORRELATED:  # the matrix would not fit; differences are then judged as if independent
        return Shares(value, size, None, df, parts=parts)
    with np.errstate(divide="ignore", invalid="ignore"):
        cov = jackknife(replicates)
        corr = cov / np.sqrt(np.outer(np.diag(cov), np.diag(cov)))
    # to twelve digits: in the last ones machines differ that multiply matrices in other orders
    corr = np.asarray(np.where(np.isfinite(corr), corr, 0.0), dtype=np.float64).round(12)
    np.fill_diagonal(corr, 1.0)
    return Shares(value, size, corr, df, parts=parts)
