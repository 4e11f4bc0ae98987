"""F1, recall and precision by class, and the panel's minima, medians and gaps over classes and over groups."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from fairaudit import simultaneous
from fairaudit.emit import class_listing, each, group_listing, over, own_intervals, stratum_status, too_few
from fairaudit.estimate import Estimate, undefined
from fairaudit.intervals import Parts, Shares
from fairaudit.rates import Family, family
from fairaudit.resampling import Statistic, resampled
from fairaudit.view import MAX_CORRELATED, Array, Counts, View, clustered, divide

#: Where the table of the audit has more cells, resamples cost more than they add: influence functions take their place.
MAX_RESAMPLED_CELLS = 50_000


def f1_family(view: View) -> Family:
    """F1 of each class over all rows: 2TP / (2TP + FP + FN), with its influence-function variance.

    For counts the variance is F(1 − F)(2 − F)/D with D = 2TP + FP + FN, so D/(2 − F) rows stand behind it
    (Takahashi et al. 2022 derive the same by the delta method). Needs a view of one group.
    """
    c, sq, rows = view.counts, view.squares, view.rows
    correct, down = c.correct[0], (c.support + c.predicted)[0]
    value = divide(2 * correct, down)
    size = _f1_size(value, down, sq.correct[0], (sq.support + sq.predicted)[0])
    left = view.without_bucket
    if left is None:
        shares = Shares(value, size, _f1_correlations(view, value, down, size))
    else:
        replicates = divide(2 * left.correct[:, 0], (left.support + left.predicted)[:, 0])
        assert view.by_bucket is not None
        held = ((view.by_bucket.support + view.by_bucket.predicted)[:, 0] > 0).sum(axis=0)
        shares = clustered(value, np.where(np.isnan(replicates), value, replicates), size, held)
    seen = rows.support[0]
    evaluable = np.flatnonzero((seen >= view.settings.min_events) & np.isfinite(value))
    return Family(shares, 2 * correct, down, seen, evaluable)


def _f1_size(value: Array, down: Array, correct_sq: Array, down_sq: Array) -> Array:
    """Effective rows behind F1: F(1 − F) / Var, and D/(2 − F), Kish-scaled, where F is 0 or 1."""
    with np.errstate(divide="ignore", invalid="ignore"):
        var = (correct_sq * (2 - 2 * value) ** 2 + (down_sq - 2 * correct_sq) * value**2) / down**2
        edge = down**2 / down_sq / (2 - value)
        inner = value * (1 - value) / var
    out: Array = np.where((value > 0) & (value < 1), inner, edge)
    return out


def _f1_correlations(view: View, value: Array, down: Array, size: Array) -> Array | None:
    """corr(F_c, F_d) = (n_cd + n_dc) F_c F_d / (D_c D_d) / (se_c se_d): two classes share only their confusions."""
    if len(value) > MAX_CORRELATED:
        return None
    _, y, p, mass = view.confusion("w2" if "w2" in view.labels.measures else "count")
    classes = len(value)
    shared = np.bincount(y * classes + p, mass, classes**2).reshape(classes, classes)
    shared = shared + shared.T
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = value / down
        se = np.sqrt(value * (1 - value) / size)
        corr = shared * np.outer(slope, slope) / np.outer(se, se)
    corr = np.where(np.isfinite(corr), corr, 0.0)
    np.fill_diagonal(corr, 1.0)
    return np.clip(corr, -1.0, 1.0)


def _drawn(view: View) -> Shares:
    """The evaluable classes with max-T draws: resamples of the cells, or normals with the influences' correlations."""
    found = view.once(f1_family)
    shares = found.judged()
    if _is_resampled(view):
        return replace(shares, draws=_resampled(view, found))
    if shares.corr is None:
        return shares
    return replace(
        shares, draws=simultaneous.gaussian_draws(shares.corr, view.settings.seed, shares.least_df())
    )


def _is_resampled(view: View) -> bool:
    plain = "w" not in view.labels.measures and view.without_bucket is None
    return plain and len(view.cells.codes) <= MAX_RESAMPLED_CELLS


def _resampled(view: View, found: Family) -> Array:
    """Studentised errors (B, evaluable) of F1 over resamples of the rows.

    A class at F1 = 0 or 1 does not vary there; it gets independent normal errors instead, so that it still takes its
    share of the family's error.
    """
    _, y, p, mass = view.confusion("count")
    keep, seed = found.evaluable, view.settings.seed
    value, size = found.shares.value[keep], found.shares.size[keep]
    se = np.sqrt(value * (1 - value) / size)
    out = resampled(mass, f1_of_cells(y, p, keep), (seed, 0))
    noise = np.random.default_rng([seed, 6]).standard_normal(out.shape)
    return np.where(se > 0, (out - value) / np.where(se > 0, se, 1.0), noise)


def f1_of_cells(y: Array, p: Array, keep: Array) -> Statistic:
    """From counts of the (y_true, y_pred) cells, (k, cells), to F1 of the classes at `keep`, (k, m); 0 / 0 is 0.

    `y`, `p`: (cells,) class positions of each cell.
    """
    truth, guess = (np.argsort(axis, kind="stable") for axis in (y, p))
    starts = [np.flatnonzero(np.diff(axis[at], prepend=-1)) for axis, at in ((y, truth), (p, guess))]
    both = np.flatnonzero(y == p)
    classes = int(max(y.max(), p.max(), keep.max())) + 1

    def statistic(drawn: Array) -> Array:
        up, down = np.zeros((2, len(drawn), classes))
        up[:, y[both]] = 2 * drawn[:, both]
        for axis, at, start in ((y, truth, starts[0]), (p, guess, starts[1])):
            down[:, axis[at[start]]] += np.add.reduceat(drawn[:, at], start, axis=1)
        return np.divide(up, down, out=np.zeros_like(up), where=down > 0)[:, keep]

    return statistic


def f1(view: View, metric: str) -> Iterator[Estimate]:
    """F1 of each class over all rows."""
    method = "score-f1" if view.without_bucket is None else "score-jackknife"
    why = "class in neither labels nor predictions"
    yield from each(view, metric, view.once(f1_family), class_listing(view), why, share=False, method=method)


def recall(view: View, metric: str) -> Iterator[Estimate]:
    """Recall of each class over all rows."""
    yield from each(view, metric, view.once(recall_family), class_listing(view), "no rows of this class")


def precision(view: View, metric: str) -> Iterator[Estimate]:
    """Precision of each class over all rows."""
    yield from each(
        view, metric, precision_family(view), class_listing(view), "no rows predicted as this class"
    )


def recall_family(view: View) -> Family:
    """Recall of each class over all rows (a view of one group)."""
    return family(view, lambda c: (c.correct[..., 0, :], c.support[..., 0, :]))


def precision_family(view: View) -> Family:
    """Precision of each class over all rows (a view of one group)."""
    return family(view, lambda c: (c.correct[..., 0, :], c.predicted[..., 0, :]))


def f1_macro_family(view: View) -> Family:
    """`f1_macro` of each group: the mean over the classes present in that group's labels."""
    return _macro_family(view, recall_only=False)


def recall_macro_family(view: View) -> Family:
    """`recall_macro` of each group: the mean over the classes present in that group's labels."""
    return _macro_family(view, recall_only=True)


def _macro_family(view: View, recall_only: bool) -> Family:
    def shares_of(c: Counts) -> tuple[Array, Array]:
        return (c.correct, c.support) if recall_only else (2 * c.correct, c.support + c.predicted)

    c, sq = view.counts, view.squares
    present = c.support > 0
    up, down = shares_of(c)
    each_value = np.where(present, divide(up, down), 0.0)
    if recall_only:
        with np.errstate(divide="ignore", invalid="ignore"):
            size = np.where(present, c.support**2 / sq.support, 1.0)
    else:
        size = np.where(present, _f1_size(each_value, down, sq.correct, sq.support + sq.predicted), 1.0)
    value = _mean_present(each_value, present)
    parts = Parts(each_value, size, present, np.ones(len(value)))
    totals = view.rows.total()
    left = view.without_bucket
    if left is None:
        # an error lowers the F1 of two classes alike, so where none was seen the next would count twice
        twice = 1.0 if recall_only else float(np.sqrt(2))
        parts = parts.inflated(_macro_variance(view, each_value, down, present, recall_only), twice)
        shares = Shares(value, totals, parts=parts)
    else:
        assert view.by_bucket is not None
        replicates = _mean_present(divide(*shares_of(left)), left.support > 0)
        held = (view.by_bucket.total() > 0).sum(axis=0)
        replicates = np.where(np.isnan(replicates), value, replicates)
        shares = clustered(value, replicates, totals, held, parts)
    evaluable = np.flatnonzero((view.judged.total() >= view.settings.min_events) & np.isfinite(value))
    none = np.full(len(value), np.nan)
    return Family(shares, none, none, totals, evaluable)


def _mean_present(values: Array, present: Array) -> Array:
    held = np.where(present, np.nan_to_num(values), 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(present.any(-1), held.sum(-1) / present.sum(-1), np.nan))


def _macro_variance(view: View, value: Array, down: Array, present: Array, recall_only: bool) -> Array:
    """(groups,): the variance of a macro mean, from the influence of every cell of the group on it."""
    classes = np.maximum(present.sum(-1, keepdims=True), 1)
    whole = 1 if recall_only else 2
    with np.errstate(divide="ignore", invalid="ignore"):
        up = np.where(present, whole * (1 - value) / down / classes, 0.0)
        side = np.where(present, value / down / classes, 0.0)
    g, y, p, mass = view.confusion("w2" if "w2" in view.labels.measures else "count")
    off = side[g, y] + (0.0 if recall_only else side[g, p])
    influence = np.where(y == p, up[g, y], -off)
    return np.bincount(g, weights=mass * influence**2, minlength=len(view.groups))


def macro(view: View, metric: str) -> Iterator[Estimate]:
    """`f1_macro` or `recall_macro` of each group (of all rows in the overall view), absent classes listed."""
    found = view.once(f1_macro_family if metric == "f1_macro" else recall_macro_family)
    method = "score-influence" if view.without_bucket is None else "score-jackknife"
    where = group_listing(view)
    every, support = own_intervals(view, found, where, method), view.rows.support
    numbers = (a[where.at].tolist() for a in (np.arange(len(support)), found.shares.value, found.rows))
    for place, interval, g, value, rows in zip(where.places, every, *numbers, strict=True):
        if value != value:
            yield undefined(metric, view.by, "no rows", int(rows), **place)
            continue
        status, reason = stratum_status(view, rows)
        if status == "ok" and not support[g].all():
            absent = ", ".join(view.classes[c] for c in np.flatnonzero(support[g] == 0))
            reason = f"mean without classes that have no rows here: {absent}"
        yield Estimate(
            metric, view.by, value, int(rows), interval=interval, status=status, reason=reason, **place
        )


def panel(view: View, metric: str) -> Iterator[Estimate]:
    """`f1_min`, `f1_median`, `recall_min` or `f1_delta` (max − min) over evaluable classes or groups."""
    by_class, level = view.kind == "class", view.settings.level
    strata, key = ("classes", "class") if by_class else ("groups", "group")
    found = view.once(_PANEL[by_class, metric == "recall_min"])
    needed = 2 if metric == "f1_delta" else 1
    if len(found.evaluable) < needed:
        yield too_few(view, metric, len(found.evaluable), strata, needed)
        return
    v, names = found.shares.value[found.evaluable], view.classes if by_class else view.groups
    lowest, highest = (names[int(found.evaluable[k])] for k in (int(v.argmin()), int(v.argmax())))
    value, at, ends = {
        "f1_delta": (np.ptp(v), {"lowest": lowest, "highest": highest}, simultaneous.gap),
        "f1_median": (np.median(v), None, simultaneous.middle),
    }.get(metric, (v.min(), {key: lowest}, simultaneous.smallest))

    def bounds() -> tuple[float, float]:
        return ends(view.once(_drawn) if by_class and metric != "recall_min" else found.judged(), level)

    n = found.rows[found.evaluable].sum()
    yield over(view, metric, float(value), bounds, _panel_method(view, metric), n, at=at)


def _panel_method(view: View, metric: str) -> str:
    if view.kind != "class":
        return "simultaneous-influence" if view.without_bucket is None else "simultaneous-jackknife"
    if metric == "recall_min":
        return "simultaneous-jeffreys"
    if _is_resampled(view):
        return "simultaneous-bootstrap"
    return "simultaneous-bonferroni" if view.once(f1_family).shares.corr is None else "simultaneous-influence"


#: (over classes, recall rather than F1) -> the family whose minimum, median and gap are taken.
_PANEL = {
    (True, False): f1_family,
    (True, True): recall_family,
    (False, False): f1_macro_family,
    (False, True): recall_macro_family,
}
