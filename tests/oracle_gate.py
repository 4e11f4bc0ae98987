"""An independent gate: rows in, naive loops, scipy's quantiles. Nothing of `fairaudit` is used here."""

from __future__ import annotations

from math import inf, nan, sqrt

from scipy.stats import beta, norm, studentized_range

LOWER_IS_BETTER = ("fpr", "fnr")


def counts(rows, metric, positive="1"):
    """{group: (hits, rows in the denominator)} of (group, y_true, y_pred) rows."""
    found = {}
    for group, y, p in rows:
        hits, n = found.get(group, (0, 0))
        if metric == "accuracy":
            inside, hit = True, y == p
        elif metric == "selection_rate":
            inside, hit = True, p == positive
        elif metric == "tpr":
            inside, hit = y == positive, p == positive
        elif metric == "fnr":
            inside, hit = y == positive, p != positive
        elif metric == "fpr":
            inside, hit = y != positive, p == positive
        elif metric == "ppv":
            inside, hit = p == positive, y == positive
        else:
            raise ValueError(metric)
        found[group] = (hits + (inside and hit), n + inside)
    return found


def clopper_pearson(x, n, tail):
    low = beta.ppf(tail, x, n - x + 1) if x > 0 else 0.0
    high = beta.isf(tail, x + 1, n - x) if x < n else 1.0
    return float(low), float(high)


def mover(first, second, tail):
    """Bounds of p1 − p2 from the Clopper–Pearson bounds of each (Zou & Donner 2008)."""
    (p1, l1, u1), (p2, l2, u2) = (side(s, tail) for s in (first, second))
    d = p1 - p2
    return d - sqrt((p1 - l1) ** 2 + (u2 - p2) ** 2), d + sqrt((u1 - p1) ** 2 + (p2 - l2) ** 2)


def mover_ratio(first, second, tail):
    """Bounds of p1 / p2 (Donner & Zou 2012): the roots at which the MOVER bound of p1 − R p2 is 0."""
    (p1, l1, u1), (p2, l2, u2) = (side(s, tail) for s in (first, second))

    def lower_end(r):  # lower MOVER bound of p1 − r p2
        return p1 - r * p2 - sqrt((p1 - l1) ** 2 + r * r * (u2 - p2) ** 2)

    def upper_end(r):
        return p1 - r * p2 + sqrt((u1 - p1) ** 2 + r * r * (p2 - l2) ** 2)

    low = 0.0 if l1 == 0 else _root(lower_end)
    high = inf if l2 == 0 else _root(upper_end)
    return low, high


def _root(f):
    """Where a decreasing function that starts above 0 crosses it."""
    top = 1.0
    while f(top) > 0:
        top *= 2
    bottom = 0.0
    for _ in range(200):
        middle = (bottom + top) / 2
        bottom, top = (middle, top) if f(middle) > 0 else (bottom, middle)
    return bottom


def side(pair, tail):
    x, n = pair
    return (x / n, *clopper_pearson(x, n, tail))


def tukey_tail(k, alpha):
    """The one-sided normal tail at which all ordered differences of k hold together."""
    return float(norm.sf(studentized_range.isf(alpha, k, 10**7) / sqrt(2)))


def strata(rows, metric, kind, limit, alpha=0.05, checks=1, least=10):
    """{group: (verdict, value, fail bound, pass bound)} of one check; bounds nan where it is not judged."""
    found = counts(rows, metric)
    usable = {g: c for g, c in found.items() if c[1] >= least}
    out = {}
    for g, c in found.items():
        if g not in usable:
            out[g] = ("inconclusive", c[0] / c[1] if c[1] else nan, nan, nan)
            continue
        if kind in ("min", "max"):
            numbers = _alone(c, alpha / checks / len(usable), alpha, kind)
        else:
            others = {h: d for h, d in usable.items() if h != g}
            if not others:
                out[g] = ("inconclusive", nan, nan, nan)
                continue
            numbers = _pairs(metric, kind, c, others.values(), len(usable), alpha / checks, alpha)
        value, fail_bound, pass_bound = numbers
        floor = kind in ("min", "min_ratio")
        fails = fail_bound < limit if floor else fail_bound > limit
        passes = pass_bound >= limit if floor else pass_bound <= limit
        out[g] = ("fail" if fails else "pass" if passes else "inconclusive", value, fail_bound, pass_bound)
    return out


def _alone(c, fail_tail, pass_tail, kind):
    far, own = clopper_pearson(*c, fail_tail), clopper_pearson(*c, pass_tail)
    return (c[0] / c[1], far[1], own[0]) if kind == "min" else (c[0] / c[1], far[0], own[1])


def _pairs(metric, kind, mine, others, size, alpha, own_tail):
    """The worse-off group against every other one."""
    pairs = size * (size - 1)
    tail = alpha / pairs  # a ratio is no range
    if kind == "max_difference":
        tail = min(alpha, max(tail, tukey_tail(size, alpha)))
    values, fails, passes = [], [], []
    for other in others:
        better, worse = (mine, other) if metric in LOWER_IS_BETTER else (other, mine)
        if kind == "max_difference":
            values.append(better[0] / better[1] - worse[0] / worse[1])
            fails.append(mover(better, worse, tail)[0])
            passes.append(mover(better, worse, own_tail)[1])
        else:
            a, b = worse[0] / worse[1], better[0] / better[1]
            values.append(a / b if b else nan)
            fails.append(mover_ratio(worse, better, tail)[1])
            passes.append(mover_ratio(worse, better, own_tail)[0])
    if kind == "max_difference":
        return max(values), max(fails), max(passes)
    known = [v for v in values if v == v]
    return (min(known) if known else nan), min(fails), min(passes)


def verdict(found):
    words = [v[0] for v in found.values()]
    return next(w for w in ("fail", "inconclusive", "pass") if w in words)
