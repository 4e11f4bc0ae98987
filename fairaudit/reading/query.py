"""The one SQL query of a scan: keys, checks and measures of every grouping set, in the dialect of its engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from fairaudit.columns import Inputs, Roles, positive_column
from fairaudit.errors import FairauditError
from fairaudit.labels import PREDICTED_NEGATIVE, PREDICTED_POSITIVE, SCORE_CLASS, text_of
from fairaudit.reading.asked import Asked, is_top_label
from fairaudit.reading.dialect import Dialect
from fairaudit.reading.grid import with_bins
from fairaudit.reading.probabilities import with_classes, with_probabilities
from fairaudit.reading.source import Source

#: The key that says why a row is not counted (NULL: it is): `split` or `zero_weight`.
LEFT_OUT = "left_out"
#: The key that says whether a row stands for itself, where it is repeated for its probabilities of classes.
OWN = "fairaudit_own"
#: Inner columns that are no keys of cells.
_NO_KEYS = ("probs", "given_score", "score", "loss", "label_text", "w", "id")


@dataclass(frozen=True, slots=True)
class GroupingSet:
    """One table of the scan: its kind (`labels` or `scores`), attributes, axes and the measures it keeps.

    `parts`: the tables of these kinds that are this one (kind `both`) summed over some axes.
    """

    kind: str
    attributes: tuple[str, ...]
    axes: tuple[str, ...]
    measures: tuple[str, ...]
    parts: tuple[GroupingSet, ...] = ()


@dataclass(frozen=True, slots=True)
class Query:
    """The SQL, and how to read its rows: mask, keys, count, then two integers per measure (whole, fraction).

    `rows`: the relation behind it, one row an example: `id` (where asked), `k_KEY` and `m_MEASURE` columns.
    """

    sql: str
    rows: str
    keys: Mapping[str, int]
    measures: tuple[str, ...]
    sets: tuple[GroupingSet, ...]
    by_mask: Mapping[int, GroupingSet]
    description: Mapping[str, Any]


def build(source: Source, roles: Roles, inputs: Inputs, attribute_sets: Sequence[tuple[str, ...]]) -> Query:
    """The query of one scan. Raises FairauditError where an input cannot be turned into SQL."""
    q = Asked(roles, inputs, source.engine.dialect, source.where)
    inner: dict[str, str] = {f"a{i}": _attribute(q, s) for i, s in enumerate(roles.sensitive)}
    names = {f"a{i}": s for i, s in enumerate(roles.sensitive)}
    inner["y_true"] = q.d.quote(roles.y_true)
    _scores(q, inner)
    if roles.y_pred is not None:
        inner["y_pred"] = q.d.quote(roles.y_pred)
    if roles.loss is not None:
        inner["loss"] = _number(q, roles.loss, "loss", "{x} BETWEEN 0 AND 1e6", strict=True)
    if roles.probabilities:
        inner["label_text"] = q.d.text(q.d.quote(roles.y_true))
    if roles.weights is not None:
        inner["w"] = _number(q, roles.weights, "weight", "{x} BETWEEN 1e-6 AND 1e6", strict=True)
    if roles.member is not None:
        inner["member"] = _member(q, roles.member)
    if roles.cluster is not None:
        inner["bucket"] = _bucket(q, roles.cluster)
    if inputs.id is not None:
        inner["id"] = q.d.text(q.d.quote(inputs.id))
    outer, sums = _outer(q, inner)
    sets = _sets(q, attribute_sets, outer)
    return _assembled(q, _body(q, source.sql, inner), outer, sums, sets, names)


def description(roles: Roles, inputs: Inputs) -> dict[str, Any]:
    """How rows are read, as a tally keeps it."""
    return {
        "score_classes": list(roles.score_classes),
        "columns": roles.columns() | {"sensitive": list(roles.sensitive)},
        "probabilities": [c for _, c in roles.probabilities],
        "prob_classes": [c for c, _ in roles.probabilities],
        "detected": list(roles.detected),
        "positive": inputs.positive,
        "split": None if roles.split is None else {"column": roles.split[0], "value": roles.split[1]},
        "threshold": inputs.cut if roles.y_pred is None and roles.y_score is not None else None,
        "agreement": dict(inputs.agreement),
        "top_label": is_top_label(roles, inputs),
        "clustered": roles.cluster is not None,
        "weighted": roles.weights is not None,
        "cross": inputs.cross,
        "bins": {k: list(v) for k, v in inputs.bins.items()},
        "na": sorted(inputs.na),
        "missing_labels": inputs.missing_labels,
    }


def left_out(roles: Roles, d: Dialect) -> str | None:
    """Why a row is not counted, NULL where it is; None where every row is."""
    cases = []
    if roles.split is not None:
        column, value = roles.split
        cases.append(f"WHEN {d.text(d.quote(column))} IS DISTINCT FROM {d.literal(value)} THEN 'split'")
    if roles.weights is not None:
        cases.append(f"WHEN {d.number(d.quote(roles.weights))} IS NOT DISTINCT FROM 0 THEN 'zero_weight'")
    return f"CASE {' '.join(cases)} END" if cases else None


def _body(q: Asked, relation: str, inner: Mapping[str, str]) -> str:
    """The rows with every inner expression, NULL (and unchecked) in the rows that are not counted."""
    why = left_out(q.roles, q.d)
    if why is None:
        return f"SELECT {', '.join(f'{e} AS {k}' for k, e in inner.items())} FROM {relation}"
    marked = f"SELECT *, {why} AS fairaudit_{LEFT_OUT} FROM {relation}"
    shown = [f"CASE WHEN fairaudit_{LEFT_OUT} IS NULL THEN {e} END AS {k}" for k, e in inner.items()]
    return f"SELECT fairaudit_{LEFT_OUT} AS {LEFT_OUT}, {', '.join(shown)} FROM ({marked}) marked"


def _attribute(q: Asked, name: str) -> str:
    edges = q.inputs.bins.get(name)
    raw = q.d.quote(name)
    if edges is None:
        return raw
    x = q.d.number(raw)
    shown = [str(text_of(float(e))) for e in edges]
    bad = q.fail("number", name, q.d.text(raw))
    missing = "".join(f" OR {q.d.text(raw)} = {q.d.literal(n)}" for n in q.inputs.na)
    cases = [f"WHEN {raw} IS NULL OR isnan({x}){missing} THEN NULL WHEN {x} IS NULL THEN {bad}"]
    cases.append(f"WHEN {x} < {q.d.real(float(edges[0]))} THEN {q.d.literal('< ' + shown[0])}")
    for (low, high), top in zip(pairwise(shown), edges[1:], strict=True):
        cases.append(f"WHEN {x} < {q.d.real(float(top))} THEN {q.d.literal(f'[{low}, {high})')}")
    return f"CASE {' '.join(cases)} ELSE {q.d.literal('>= ' + shown[-1])} END"


def _number(q: Asked, name: str, rule: str, test: str, strict: bool) -> str:
    """A column as DOUBLE, checked row by row; NULL stays NULL unless `strict`."""
    raw = q.d.quote(name)
    x = q.d.number(raw)
    null = q.fail("missing", name, f"coalesce({q.d.text(raw)}, '')") if strict else "NULL"
    cases = (
        f"CASE WHEN {raw} IS NULL THEN {null} WHEN {x} IS NULL THEN {q.fail('number', name, q.d.text(raw))}"
    )
    cases += f" WHEN NOT ({test.format(x=x)}) THEN {q.fail(rule, name, q.d.text(raw))}"
    return f"{cases} ELSE {x} END"


def _scores(q: Asked, inner: dict[str, str]) -> None:
    """Adds the expressions of probabilities, score and a prediction made from it."""
    roles, unit = q.roles, "{x} >= 0 AND {x} <= 1"
    if roles.probabilities:
        inner["probs"] = q.d.array(
            [_number(q, c, "score", unit, strict=True) for _, c in roles.probabilities]
        )
    column = positive_column(roles, q.inputs.positive)
    if column is not None:
        name = "given_score" if roles.probabilities else "score"
        inner[name] = _number(q, column, "score", unit, strict=q.inputs.missing_labels == "error")


def _member(q: Asked, name: str) -> str:
    text = f"lower({q.d.text(q.d.quote(name))})"
    bad = q.fail("member", name, f"coalesce({text}, '(missing)')")
    yes, no = "('1', '1.0', 'true')", "('0', '0.0', 'false')"
    return f"CASE WHEN {text} IN {yes} THEN '1' WHEN {text} IN {no} THEN '0' ELSE {bad} END"


def _bucket(q: Asked, name: str) -> str:
    raw = q.d.quote(name)
    missing = q.fail("missing", name, f"coalesce({q.d.text(raw)}, '')")
    return f"CASE WHEN {raw} IS NULL THEN {missing} ELSE {q.d.bucket(q.d.text(raw))} END"


def _outer(q: Asked, inner: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Key expressions over the inner columns, and the exact integer of each measure in a row."""
    keys = {LEFT_OUT: LEFT_OUT} if left_out(q.roles, q.d) else {}
    keys |= {k: k for k in inner if k not in _NO_KEYS}
    weighted = "w" in inner
    weight = "w * " if weighted else ""
    sums = {"w": q.d.fixed("w", False), "w2": q.d.fixed("w * w", False)} if weighted else {}
    if q.thresholded:
        yes, no = q.d.literal(PREDICTED_POSITIVE), q.d.literal(PREDICTED_NEGATIVE)
        over = f"score >= {q.d.real(q.inputs.cut)}"
        keys["y_pred"] = f"CASE WHEN {over} THEN {yes} WHEN score IS NOT NULL THEN {no} END"
        keys["over_cut"] = over
    if "probs" in inner:
        keys.setdefault("y_pred", "top")
    if "loss" in inner or "probs" in inner:
        loss = "loss" if "loss" in inner else "row_loss"
        sums["loss"] = q.d.fixed(f"{weight}{loss}", False)
        sums["loss2"] = q.d.fixed(f"{weight}{loss} * {loss}", False)
    if q.by_class:
        keys |= {OWN: f"{SCORE_CLASS} = 0", SCORE_CLASS: SCORE_CLASS}
    if q.scored:
        if q.top_label:
            keys["correct"] = "class_hit" if q.by_class else "hit"
        keys["score_bin"] = "score_bin"
        sums["place"] = q.d.fixed(f"{weight}place", not weighted)
        sums["place2"] = q.d.fixed(f"{weight}place * place", not weighted)
    return keys, sums


def _sets(
    q: Asked, attribute_sets: Sequence[tuple[str, ...]], keys: Mapping[str, str]
) -> tuple[GroupingSet, ...]:
    extra = tuple(k for k in ("member", "bucket") if k in keys)
    weights = ("w", "w2") if q.roles.weights is not None else ()
    losses = ("loss", "loss2") if q.roles.loss is not None or q.roles.probabilities else ()
    sets = [
        GroupingSet("labels", a, (*a, "y_true", "y_pred", *extra), (*weights, *losses))
        for a in attribute_sets
    ]
    if not q.scored:
        return tuple(sets)
    outcome = "correct" if q.top_label else "y_true"
    spoken = (SCORE_CLASS,) if q.by_class else ()
    axes = (*spoken, outcome, "score_bin", *(k for k in extra if k == "bucket"))
    kept = (*weights, "place", "place2")
    scores = [GroupingSet("scores", a, (*a, *axes), kept) for a in attribute_sets]
    if not q.thresholded or losses or "member" in extra:
        return (*sets, *scores)
    # a prediction made from the score hardly divides its cells: one table for both, keyed by a boolean and no text
    return tuple(
        GroupingSet("both", labels.attributes, (*own.axes, "over_cut"), kept, (labels, own))
        for labels, own in zip(sets, scores, strict=True)
    )


def _assembled(
    q: Asked,
    body: str,
    keys: Mapping[str, str],
    sums: Mapping[str, str],
    sets: tuple[GroupingSet, ...],
    names: Mapping[str, str],
) -> Query:
    column = {shown: k for k, shown in names.items()}
    order = [k for k in keys if not all(_bit(k, s, names) for s in sets)]
    if q.roles.probabilities:
        body = with_probabilities(q, body, "given_score" if not q.top_label else None)
    score = "confidence" if q.top_label else "score"
    if q.by_class:
        body, score = with_classes(q, body, score), "class_score"
    if q.scored:
        body = with_bins(body, score, q.d)
    own = ["id"] if q.inputs.id is not None else []
    rows = f"SELECT {', '.join([*(f'{e} AS k_{k}' for k, e in keys.items()), *own])}"
    rows += "".join(f", {e} AS m_{m}" for m, e in sums.items()) + f" FROM ({body}) counted"
    totals = [part(f"m_{m}") for m in sums for part in (q.d.whole, q.d.fraction)]
    every = [f"k_{k}" for k in order]
    grouped = [[f"k_{k}" for k in order if not _bit(k, s, names)] for s in sets]
    if len(sets) > 1:
        by = f"GROUPING SETS ({', '.join('(' + ', '.join(g) + ')' for g in grouped)})"
        shown, by_mask = [q.d.mask(every), *every], {_mask(order, s, names): s for s in sets}
    else:
        by, by_mask = ", ".join(grouped[0]), {0: sets[0]}
        shown = ["0", *(k if k in grouped[0] else "NULL" for k in every)]
    sql = f"SELECT {numbered([*shown, 'count(*)', *totals])} FROM ({rows}) examples GROUP BY {by}"
    if len(by_mask) != len(sets) or len(column) != len(names):
        raise FairauditError("two sensitive attributes are the same column; name each once.")
    places = {names.get(k, k): 1 + i for i, k in enumerate(order)}
    if q.by_class:
        rows = f"SELECT * FROM ({rows}) repeated WHERE k_{OWN}"
    return Query(sql, rows, places, tuple(sums), sets, by_mask, description(q.roles, q.inputs))


def numbered(expressions: Sequence[str]) -> str:
    """A list of SELECT whose columns have names of their own, as engines need that give columns by name."""
    return ", ".join(f"{e} AS c{i}" for i, e in enumerate(expressions))


def _bit(key: str, grouping: GroupingSet, names: Mapping[str, str]) -> bool:
    """A bit of SQL's GROUPING(): whether the key is not in the set."""
    if key in (LEFT_OUT, OWN):
        return key == OWN and grouping.kind == "scores"
    return names.get(key, key) not in grouping.axes


def _mask(order: Sequence[str], grouping: GroupingSet, names: Mapping[str, str]) -> int:
    """SQL's GROUPING(): one bit a key, the first the highest, set where the key is not in the set."""
    return sum(_bit(k, grouping, names) << (len(order) - 1 - i) for i, k in enumerate(order))
