"""Two models on the same rows: the joint table of their predictions, and how their numbers move together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Any

import numpy as np

from fairaudit.columns import Inputs, Roles, with_sensitive
from fairaudit.cube import Cube, coded
from fairaudit.errors import FairauditError, missing_column
from fairaudit.intervals import Shares
from fairaudit.prepare import Naming, views
from fairaudit.rates import family
from fairaudit.reading.cells import integers, key, labelled
from fairaudit.reading.dialect import DUCKDB, quote
from fairaudit.reading.engine import Duck, duck
from fairaudit.reading.query import Query, numbered
from fairaudit.reading.source import Source
from fairaudit.reading.table import attribute_sets, on_spark, opened, resolved_roles, scan, selected
from fairaudit.tallies.inputs import is_counted
from fairaudit.tallies.tally import Tally
from fairaudit.view import Settings, View

Array = np.ndarray[Any, Any]
Indicator = Callable[[Array, Array, int], Array]
_SPARK = "rows are matched by an id in DuckDB, not on Spark"


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """The tallies of both models on the rows they share, the joint table, and the counts of rows.

    `joint`: attributes -> cube (attribute…, y_true, y_pred_before, y_pred[, bucket]).
    """

    before: Tally
    after: Tally
    joint: Tally
    rows: Mapping[str, int]


def pair(before: Any, after: Any, inputs: Inputs) -> Pair:
    """Read two sets of predictions and match their rows by `inputs.id`.

    Raises FairauditError for a repeated id, no shared row, or a row whose label differs.
    """
    if is_counted(before) or is_counted(after):
        raise FairauditError("a tally holds counts, not rows that an id could match; leave --id out.")
    if on_spark(before, inputs) or on_spark(after, inputs):
        raise FairauditError(
            f"{_SPARK}; leave the engine out, or audit each on Spark and compare the two audits."
        )
    with duck(inputs) as engine:
        keyed = replace(inputs, id=inputs.id or "id")  # so that a dataframe shows its id
        sides = [opened(d, keyed, engine, v) for d, v in ((before, "before"), (after, "after"))]
        sides = [replace(s, where=f"{s.where} ({name})") if s.where == "the dataframe" else s
                 for s, name in zip(sides, ("before", "after"), strict=True)]  # fmt: skip
        inputs = replace(inputs, id=_key(sides, inputs.id))
        first = resolved_roles(sides[0], inputs)
        inputs = with_sensitive(inputs, first.sensitive)
        roles = [first, resolved_roles(sides[1], inputs)]
        shared, rows = _shared(sides, roles, inputs)
        whole = [replace(r, split=None) for r in roles]
        (tally_before, query_before), (tally_after, query_after) = (
            scan(s, r, inputs) for s, r in zip(shared, whole, strict=True)
        )
        joint = _joint(engine, query_before, query_after, first, inputs, tally_before)
        return Pair(tally_before, tally_after, joint, rows)


def unpaired(before: Any, after: Any, inputs: Inputs) -> str | None:
    """Why the rows of two sets cannot be matched; None where both have the id, empty where neither was to have one."""
    held = [is_counted(d) for d in (before, after)]
    if any(held):
        return "" if all(held) and inputs.id is None else "a tally holds counts, not rows"
    if on_spark(before, inputs) or on_spark(after, inputs):
        return _SPARK
    name = inputs.id or "id"
    with duck(inputs) as engine:
        sides = [opened(d, inputs, engine, v) for d, v in ((before, "baseline"), (after, "data"))]
    roles = ("the baseline", "the data")
    lacking = [r if s.where == "the dataframe" else s.where for s, r in zip(sides, roles, strict=True)
               if name not in s.columns]  # fmt: skip
    if not lacking:
        return None
    return f"there is no column '{name}' in {' and '.join(lacking)}" if inputs.id or len(lacking) == 1 else ""


def _key(sides: list[Source], asked: str | None) -> str:
    if asked is None:
        if all("id" in s.columns for s in sides):
            return "id"
        raise FairauditError("rows of two files are matched by an id; name its column with --id.")
    for s in sides:
        if asked not in s.columns:
            raise missing_column(asked, s.columns, s.where)
    return asked


def _shared(sides: list[Source], roles: list[Roles], inputs: Inputs) -> tuple[list[Source], dict[str, int]]:
    """Both sides cut down to the rows whose id is in both, and the counts."""
    row_id = quote(inputs.id or "id")
    chosen = []
    rows: dict[str, int] = {}
    for s, r, name in zip(sides, roles, ("before", "after"), strict=True):
        with s.speaking():
            chosen.append(selected(s, r))
            sql = f"SELECT count(*), count(DISTINCT CAST({row_id} AS VARCHAR)) FROM {chosen[-1].sql}"
            n, distinct = s.rows(sql)[0]
        if n != distinct:
            raise FairauditError(
                f"column '{inputs.id}' must name each row once, but {s.where} has {n} rows and {distinct} ids; "
                "remove repeats or name another column with --id."
            )
        rows[name] = int(n)
    one, two = chosen
    match = f"CAST(l.{row_id} AS VARCHAR) = CAST(r.{row_id} AS VARCHAR)"
    y = [quote(r.y_true) for r in roles]
    differ = f"count(*) FILTER (WHERE {_different(f'l.{y[0]}', f'r.{y[1]}')})"
    example = f"min(CAST(l.{row_id} AS VARCHAR)) FILTER (WHERE {_different(f'l.{y[0]}', f'r.{y[1]}')})"
    with one.speaking():
        matched, unlike, which = one.rows(
            f"SELECT count(*), {differ}, {example} FROM {one.sql} l JOIN {two.sql} r ON {match}"
        )[0]
    if matched == 0:
        raise FairauditError(
            f"no '{inputs.id}' is in both {one.where} and {two.where}; nothing to compare row by row."
        )
    if unlike:
        raise FairauditError(
            f"{unlike} rows have different labels in the two files (first: {inputs.id} {which}); a paired comparison "
            "needs the same rows with the same labels."
        )
    for column in roles[0].sensitive:
        _same_groups(one, two, column, match)
    cut = [
        replace(a, sql=f"(SELECT l.* FROM {a.sql} l SEMI JOIN {b.sql} r ON {match})")
        for a, b in ((one, two), (two, one))
    ]
    return cut, rows | {"matched": int(matched)}


def _same_groups(one: Source, two: Source, column: str, match: str) -> None:
    name = quote(column)
    differ = f"CAST(l.{name} AS VARCHAR) IS DISTINCT FROM CAST(r.{name} AS VARCHAR)"
    n = one.rows(f"SELECT count(*) FROM {one.sql} l JOIN {two.sql} r ON {match} WHERE {differ}")[0][0]
    if n:
        raise FairauditError(
            f"{n} rows have different values of '{column}' in the two files; a paired comparison needs the same groups."
        )


def _different(left: str, right: str) -> str:
    """Labels differ: as numbers where both are written as such, else as text."""
    left, right = (f"CAST({side} AS VARCHAR)" for side in (left, right))
    number = f"TRY_CAST({left} AS DOUBLE) = TRY_CAST({right} AS DOUBLE)"
    text = f"lower({left}) IS NOT DISTINCT FROM lower({right})"
    return f"NOT coalesce({number}, {text})"


def _joint(engine: Duck, before: Query, after: Query, roles: Roles, inputs: Inputs, tally: Tally) -> Tally:
    """The joint table: one GROUP BY of the matched rows."""
    bucket = ("bucket",) if "bucket" in before.keys else ()
    names = [m for m in ("w", "w2") if m in before.measures]
    sums = [f(f"l.m_{m}") for m in names for f in (DUCKDB.whole, DUCKDB.fraction)]
    by = [*(f"l.k_a{i}" for i in range(len(roles.sensitive))), "l.k_y_true", "l.k_y_pred", "r.k_y_pred"]
    by += [f"l.k_{b}" for b in bucket]
    matched = f"({before.rows}) l JOIN ({after.rows}) r ON l.id = r.id"
    sql = f"SELECT {numbered([*by, 'count(*)', *sums])} FROM {matched} GROUP BY {', '.join(by)}"
    columns = engine.columns(sql)
    axes = (*roles.sensitive, "y_true", "y_pred_before", "y_pred", *bucket)
    count, *parts = (integers(c) for c in columns[len(axes) :])
    measures = {m: np.stack(parts[2 * i : 2 * i + 2], axis=1) for i, m in enumerate(names)} | {"count": count}
    keys = {a: key(c) for a, c in zip(axes, columns, strict=False)}
    whole, _ = labelled(axes, keys, measures, roles, replace(inputs, missing_labels="drop"))
    rest = axes[len(roles.sensitive) :]
    sets = attribute_sets(roles.sensitive, inputs)
    return Tally({a: whole.keep((*a, *rest)) for a in sets}, {}, tally.description)


def joint_views(joint: Tally, names: Naming, settings: Settings) -> dict[str, View]:
    """The joint table of each view, by its name."""
    return {v.by: v for v in views(joint, names, settings)}


#: Numerator and denominator of a rate as indicators of a cell (y, p) for a class c.
_INDICATORS: Mapping[str, tuple[Indicator, Indicator]] = {
    "accuracy": (lambda y, p, _c: y == p, lambda y, _p, _c: y == y),
    "selection_rate": (lambda _y, p, c: p == c, lambda y, _p, _c: y == y),
    "tpr": (lambda y, p, c: (y == c) & (p == c), lambda y, _p, c: y == c),
    "fnr": (lambda y, p, c: (y == c) & (p != c), lambda y, _p, c: y == c),
    "fpr": (lambda y, p, c: (y != c) & (p == c), lambda y, _p, c: y != c),
    "tnr": (lambda y, p, c: (y != c) & (p != c), lambda y, _p, c: y != c),
    "ppv": (lambda y, p, c: (y == c) & (p == c), lambda _y, p, c: p == c),
    "npv": (lambda y, p, c: (y != c) & (p != c), lambda _y, p, c: p != c),
    "recall": (lambda y, p, c: (y == c) & (p == c), lambda y, _p, c: y == c),
    "precision": (lambda y, p, c: (y == c) & (p == c), lambda _y, p, c: p == c),
}


#: Means over classes of these; above so many classes their correlation is not worth its cost.
_MACRO = {"f1_macro": "f1", "recall_macro": "recall"}
MAX_MACRO_CLASSES = 50


def correlation(view: View, metric: str, group: str | None, class_: str | None) -> float | None:
    """The correlation of a rate (or F1) before and after, from its influence on the joint cells; None for others.

    The influence of a cell on num/den is (1[num] − p·1[den]) / Σden; errors of the two models are then sums over
    the same rows, so their covariance is Σ mass·i_before·i_after (over buckets of clusters where there are any).
    """
    class_at = view.positive if class_ is None else view.classes.index(class_)
    macro = metric in _MACRO and len(view.classes) <= MAX_MACRO_CLASSES
    if not macro and (metric not in (*_INDICATORS, "f1") or (class_at is None and metric != "accuracy")):
        return None
    g, y, before, after, mass, squares, bucket = _cells(view.labels)
    inside = np.ones(len(y), bool) if group is None else g == view.groups.index(group)
    if macro:
        present = sorted(set(y[inside].tolist()))
        every = [
            [_influence(_MACRO[metric], inside, y, p, mass, c) for c in present] for p in (before, after)
        ]
        parts = [np.sum(e, axis=0) for e in every]
    else:
        parts = [_influence(metric, inside, y, p, mass, class_at or 0) for p in (before, after)]
    if bucket is None:
        cov, *var = (
            float((squares * a * b).sum())
            for a, b in ((parts[0], parts[1]), (parts[0],) * 2, (parts[1],) * 2)
        )
    else:
        sums = [np.bincount(bucket, mass * i) for i in parts]
        cov, *var = (float(a @ b) for a, b in ((sums[0], sums[1]), (sums[0],) * 2, (sums[1],) * 2))
    scale = float(np.sqrt(var[0] * var[1]))
    return float(np.clip(cov / scale, -1.0, 1.0)) if scale > 0 else 0.0


def _cells(cube: Cube) -> tuple[Array, Array, Array, Array, Array, Array, Array | None]:
    codes = [cube.codes[:, cube.axis(a)] for a in ("group", "y_true", "y_pred_before", "y_pred")]
    weighted = "w" in cube.measures
    mass, squares = cube.real("w" if weighted else "count"), cube.real("w2" if weighted else "count")
    bucket = cube.codes[:, cube.axis("bucket")] if "bucket" in cube.axes else None
    return (*codes, mass, squares, bucket)  # type: ignore[return-value]


def _influence(metric: str, inside: Array, y: Array, p: Array, mass: Array, c: int) -> Array:
    if metric == "f1":
        both, either = (y == c) & (p == c) & inside, ((y == c).astype(float) + (p == c)) * inside
        up, down = 2.0 * both, either
    else:
        numerator, denominator = _INDICATORS[metric]
        up, down = (np.asarray(f(y, p, c) & inside, float) for f in (numerator, denominator))
    total = float((mass * down).sum())
    if total == 0:
        return np.zeros(len(y))
    rate = float((mass * up).sum()) / total
    return np.asarray((up - rate * down) / total)


#: Rates whose denominator is known before anything is predicted: a change is then hits lost and hits gained.
OF_LABELS = ("accuracy", "selection_rate", "tpr", "fnr", "fpr", "tnr", "recall")
_MOVES = ("gained", "lost", "same")
Places = Sequence[tuple[str | None, str | None]]


def moved(view: View, metric: str, class_: str | None, places: Places) -> tuple[Shares, Shares] | None:
    """The shares of each stratum's denominator that lost and that gained a hit; None for other metrics.

    `view`: a joint view; `places`: (group, class) of each stratum, `class_`: the class of a binary rate (else the
    positive one). A change is gained − lost, and both are known exactly however alike the two models are.
    """
    if metric not in OF_LABELS:
        return None
    found = {}
    for c in dict.fromkeys(c for _, c in places):
        name = c if c is not None else class_
        at = view.positive if name is None else view.classes.index(name)
        found[c] = _moves(view, metric, at or 0)
    at_group = {g: k for k, g in enumerate(view.groups)}
    strata = [(c, at_group[g] if g is not None else 0) for g, c in places]
    sides = []
    for side in ("lost", "gained"):
        chosen = [found[c][side].take(np.array([k])) for c, k in strata]
        df = [float(np.asarray(s.df).ravel()[0]) for s in chosen]
        value, size = (np.concatenate([getattr(s, name) for s in chosen]) for name in ("value", "size"))
        sides.append(Shares(value, size, df=np.array(df) if np.isfinite(df).all() else inf))
    return sides[0], sides[1]


def _moves(view: View, metric: str, at: int) -> dict[str, Shares]:
    """Hits lost and gained in each group, as shares of the rows in the denominator."""
    cube = view.labels
    y, before, after = (cube.codes[:, cube.axis(a)] for a in ("y_true", "y_pred_before", "y_pred"))
    hit, inside = _INDICATORS[metric]
    keep = np.broadcast_to(inside(y, after, at), y.shape)
    was, is_ = hit(y, before, at)[keep], hit(y, after, at)[keep]
    move = np.where(was & ~is_, "lost", np.where(is_ & ~was, "gained", "same"))
    rest = [a for a in ("bucket",) if a in cube.axes]
    at_moves = np.searchsorted(_MOVES, move)
    columns = [cube.codes[keep, cube.axis("group")], np.full(len(move), _MOVES.index("same")), at_moves]
    columns += [cube.codes[keep, cube.axis(a)] for a in rest]
    labels = [view.groups, _MOVES, _MOVES, *(cube.labels[cube.axis(a)] for a in rest)]
    measures = {m: v[keep] for m, v in cube.measures.items()}
    table = coded(("group", "y_true", "y_pred", *rest), labels, np.column_stack(columns), measures)
    moves = replace(view, classes=_MOVES, labels=table, scores=None, positive=None)
    return {kind: _share_of(moves, k) for k, kind in enumerate(_MOVES[:2])}


def _share_of(moves: View, at: int) -> Shares:
    return family(moves, lambda c: (c.predicted[..., at], c.total())).shares
