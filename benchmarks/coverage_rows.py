"""Coverage where rows are not independent draws of equal weight: several rows a person, and weights.

Clusters: each person has own chances, beta distributed with the intra-cluster correlation `ICC`, so that intervals for
independent rows cover about 80 %. A group is of the person, or of the row (then the groups' errors are correlated).
Weights: 1 to 10, apart from the outcome or tied to it.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from itertools import product
from typing import Any

import numpy as np
from coverage_gaps import EPS
from scipy.special import betaincinv

from fairaudit.catalogue import BY_ID
from fairaudit.cube import FIXED, Cube, split
from fairaudit.view import ALL_ROWS, Settings, View

Array = np.ndarray[Any, Any]
BUCKETS = 256
PERSONS = (300, 2_000)
#: Rows a person: 2 to 14, 8 on average.
ROWS_A_PERSON = (2, 15)
ICC = 0.19
LEVELS = 4_096
SHARES = (0.5, 0.3, 0.2)
GROUPS = tuple(f"g{k}" for k in range(len(SHARES)))
CLASSES = ("0", "1")
#: Each group's chance that a row is right, whatever its class, and its share of positives.
RIGHT = {"tied": (0.8, 0.8, 0.8), "spread": (0.85, 0.8, 0.7)}
PREVALENCE = 0.4
ROWS = (300, 2_000, 10_000)
#: metric -> the kind of view it is computed in, and the group (a rate of the smallest group) or None.
MEASURED: dict[tuple[str, str | None], str] = {
    ("accuracy", None): "overall",
    ("selection_rate", None): "overall",
    ("accuracy", GROUPS[-1]): "attribute",
    ("tpr", GROUPS[-1]): "attribute",
    ("demographic_parity_difference", None): "attribute",
    ("equal_opportunity_difference", None): "attribute",
    ("equalized_odds_difference", None): "attribute",
    ("demographic_parity_ratio", None): "attribute",
    ("eod_max", None): "attribute",
    ("worst_group_accuracy", None): "attribute",
    ("f1_min", None): "class",
    ("f1_delta", None): "class",
    ("recall_min", None): "class",
}
Draw = tuple[Array, Array, Array, Array, Array]
"""Group, class, prediction, weight and bucket of each row."""


def view_of(kind: str, draw: Draw, weighted: bool, clustered: bool, seed: int = 0) -> View:
    """The view that an audit of these rows makes, from their non-empty cells."""
    group, y, p, w, bucket = draw
    one = kind != "attribute"
    columns = [np.zeros_like(group) if one else group, y, p] + ([bucket] if clustered else [])
    names: list[tuple[str, ...]] = [(ALL_ROWS,) if one else GROUPS, CLASSES, CLASSES]
    axes = ["group", "y_true", "y_pred"]
    if clustered:
        axes.append("bucket")
        names.append(tuple(f"{k:02x}" for k in range(BUCKETS)))
    shape = tuple(len(n) for n in names)
    flat = np.ravel_multi_index(tuple(columns), shape)
    size = int(np.prod(shape))
    count = np.bincount(flat, minlength=size)
    kept = np.flatnonzero(count)
    measures: dict[str, Array] = {"count": count[kept]}
    if weighted:
        for name, values in (("w", w), ("w2", w * w)):
            sums = np.bincount(flat, weights=values, minlength=size)[kept]
            measures[name] = split([int(v) * FIXED for v in sums])
    if clustered:  # as in an audit, only the buckets that hold rows have labels
        held = np.unique(kept % BUCKETS)
        names[-1] = tuple(names[-1][k] for k in held)
    codes = np.stack(np.unravel_index(kept, shape), axis=1)
    if clustered:
        codes[:, -1] = np.searchsorted(held, codes[:, -1])
    cube = Cube(tuple(axes), tuple(names), codes, measures)
    by = "s" if kind == "attribute" else kind
    return View(kind, by, names[0], CLASSES, 1, cube, None, Settings(seed=seed))


def buckets_of(ids: list[str]) -> Array:
    """The bucket of each person: the last two hex digits of the md5 of the id, as every engine computes it."""
    return np.array([int(hashlib.md5(i.encode()).hexdigest()[-2:], 16) for i in ids])


@lru_cache
def quantiles(mean: float) -> Array:
    """A person's chance at each of `LEVELS` equal levels: the beta's quantiles, with this mean exactly."""
    beta = (1 - ICC) / ICC
    found = betaincinv(mean * beta, (1 - mean) * beta, (np.arange(LEVELS) + 0.5) / LEVELS)
    return np.asarray(1 - (1 - found) * (1 - mean) / (1 - found).mean())


def clustered_rows(
    rng: np.random.Generator, persons: int, right: tuple[float, ...], first: int, of_person: bool
) -> Draw:
    """Rows of so many persons; ids go on from `first`, so that the buckets change from draw to draw.

    A person's chance of a right row is the beta's quantile, at that person's level, of the row's group.
    """
    rows = rng.integers(*ROWS_A_PERSON, persons)
    who = np.repeat(np.arange(persons), rows)
    group = rng.choice(len(SHARES), persons, p=SHARES)[who]
    if not of_person:
        group = rng.choice(len(SHARES), len(who), p=SHARES)
    beta, skill = (1 - ICC) / ICC, rng.integers(0, LEVELS, persons)
    chance = np.stack([quantiles(r) for r in right])[group, skill[who]]
    yes = rng.beta(PREVALENCE * beta, (1 - PREVALENCE) * beta, persons)
    y = (rng.random(len(who)) < yes[who]).astype(int)
    hit = rng.random(len(who)) < chance
    bucket = buckets_of([str(first + k) for k in range(persons)])
    return group, y, np.where(hit, y, 1 - y), np.ones(len(who)), bucket[who]


def weighted_rows(rng: np.random.Generator, rows: int, right: tuple[float, ...], tied: bool) -> Draw:
    """Independent rows with weights 1 to 10, uniform, or where a row is wrong the larger of two such."""
    group = rng.choice(len(SHARES), rows, p=SHARES)
    y = (rng.random(rows) < PREVALENCE).astype(int)
    hit = rng.random(rows) < np.array(right)[group]
    w, other = rng.integers(1, 11, (2, rows))
    w = np.where(hit | (not tied), w, np.maximum(w, other)).astype(float)
    return group, y, np.where(hit, y, 1 - y), w, np.zeros(rows, int)


def population(right: tuple[float, ...], wrong_weight: float = 1.0) -> Array:
    """P(group, class, prediction) up to a factor, a wrong row counted `wrong_weight` times a right one."""
    out = np.zeros((len(SHARES), 2, 2))
    for g, (share, r) in enumerate(zip(SHARES, right, strict=True)):
        for y, of_class in enumerate((1 - PREVALENCE, PREVALENCE)):
            out[g, y, y] = share * of_class * r
            out[g, y, 1 - y] = share * of_class * (1 - r) * wrong_weight
    return out


def truths(mass: Array) -> dict[tuple[str, str | None], float]:
    """The true values of `MEASURED`, from the definitions."""
    whole = mass.sum(0)
    hit = np.diagonal(mass, axis1=1, axis2=2)
    recall = hit / mass.sum(2)
    rest = (hit.sum(0) - hit) / (mass.sum(2).sum(0) - mass.sum(2))
    selected = mass[:, :, 1].sum(1) / mass.sum((1, 2))
    tpr, fpr = recall[:, 1], 1 - recall[:, 0]
    f1 = 2 * np.diag(whole) / (whole.sum(0) + whole.sum(1))
    last = len(SHARES) - 1
    return {
        ("accuracy", None): float(np.trace(whole) / whole.sum()),
        ("selection_rate", None): float(whole[:, 1].sum() / whole.sum()),
        ("accuracy", GROUPS[-1]): float(hit[last].sum() / mass[last].sum()),
        ("tpr", GROUPS[-1]): float(tpr[last]),
        ("demographic_parity_difference", None): float(np.ptp(selected)),
        ("equal_opportunity_difference", None): float(np.ptp(tpr)),
        ("equalized_odds_difference", None): float(max(np.ptp(tpr), np.ptp(fpr))),
        ("demographic_parity_ratio", None): float(selected.min() / selected.max()),
        ("eod_max", None): float(np.abs(tpr - rest[:, 1]).max()),
        ("worst_group_accuracy", None): float(recall.min()),
        ("f1_min", None): float(f1.min()),
        ("f1_delta", None): float(np.ptp(f1)),
        ("recall_min", None): float((np.diag(whole) / whole.sum(1)).min()),
    }


def bounds(views: dict[str, View], metric: str, group: str | None, kind: str) -> tuple[float, float]:
    """The interval that the audit prints."""
    entry = BY_ID[metric]
    for e in entry.compute(views[kind], metric):
        if e.group == group:
            return (e.interval.low, e.interval.high) if e.interval else (np.nan, np.nan)
    raise AssertionError(f"no {metric} of {group}")


def simulate(
    draw: Callable[[np.random.Generator, int], Draw],
    seed: list[int],
    sims: int,
    known: dict[tuple[str, str | None], float],
    beside: dict[str, tuple[bool, bool]],
) -> list[dict[str, Any]]:
    """Coverage of every number by every way of reading the rows (`beside`: name -> weighted, clustered)."""
    rng = np.random.default_rng(seed)
    held = {(name, m): np.zeros((3, sims)) for name in beside for m in MEASURED}
    for k in range(sims):
        rows = draw(rng, k)
        for name, (weighted, clustered) in beside.items():
            views = {
                v: view_of(v, rows, weighted, clustered, seed=k) for v in ("overall", "class", "attribute")
            }
            for m, kind in MEASURED.items():
                low, high = bounds(views, *m, kind)
                held[name, m][:, k] = low - EPS <= known[m] <= high + EPS, high - low, np.isfinite(low)
    out = []
    for m in MEASURED:
        found: dict[str, Any] = {"metric": m[0], "group": m[1], "truth": round(known[m], 6)}
        for name in beside:
            covers, width, defined = held[name, m]
            used = defined > 0
            found[name] = {
                "coverage": round(float(covers[used].mean()), 5),
                "width": round(float(width[used].mean()), 6),
                "defined": int(used.sum()),
            }
        out.append(found)
    return out


def clusters(sims: int) -> Iterator[dict[str, Any]]:
    """The records of clustered rows; `iid` is the same rows audited without `--cluster`."""
    beside = {"clustered": (False, True), "iid": (False, False)}
    for (pattern, right), of_person, persons in product(RIGHT.items(), (True, False), PERSONS):
        place = {"persons": persons, "pattern": pattern, "group_of": "person" if of_person else "row"}
        print(place, file=sys.stderr, flush=True)
        draw = partial(_clustered, persons, right, of_person)
        seed = [90, persons, len(pattern), int(of_person)]
        for r in simulate(draw, seed, sims, truths(population(right)), beside):
            yield {**place, **r}


def _clustered(
    persons: int, right: tuple[float, ...], of_person: bool, rng: np.random.Generator, k: int
) -> Draw:
    return clustered_rows(rng, persons, right, k * persons, of_person)


def weights(sims: int) -> Iterator[dict[str, Any]]:
    """The records of weighted rows, audited with `--weights`."""
    uniform = np.arange(1, 11)
    larger = np.maximum(*np.meshgrid(uniform, uniform)).mean() / uniform.mean()
    for (pattern, right), tied, rows in product(RIGHT.items(), (False, True), ROWS):
        place = {
            "rows": rows,
            "pattern": pattern,
            "weights": "tied to the outcome" if tied else "apart from the outcome",
        }
        print(place, file=sys.stderr, flush=True)
        known = truths(population(right, float(larger) if tied else 1.0))
        draw = partial(_weighted, rows, right, tied)
        seed = [91, rows, len(pattern), int(tied)]
        for r in simulate(draw, seed, sims, known, {"weighted": (True, False)}):
            yield {**place, **r}


def _weighted(rows: int, right: tuple[float, ...], tied: bool, rng: np.random.Generator, _: int) -> Draw:
    return weighted_rows(rng, rows, right, tied)
