"""The one SQL query of a scan: keys, checks and measures of every grouping set, written for DuckDB."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from fairaudit.columns import Inputs, Roles, positive_column
from fairaudit.cube import FIXED
from fairaudit.errors import FairauditError
from fairaudit.labels import PREDICTED_NEGATIVE, PREDICTED_POSITIVE, is_number, text_of
from fairaudit.source import Source, literal, quote

#: Score bins: 512 per power of two of m = min(p, 1 − p) down to 2⁻⁶⁰, mirrored at ½. Every step (compare with
#: a power of two, multiply by one, floor) is exact in IEEE arithmetic, so all engines agree on every bin.
OCTAVES, PER_OCTAVE = 60, 512
HALF = OCTAVES * PER_OCTAVE
CALIBRATION_BINS = 15
#: Between the parts of a message raised inside the scan: nothing a column's name or value would hold.
SEPARATOR = "\x1f"


@dataclass(frozen=True, slots=True)
class GroupingSet:
    """One table of the scan: its kind (`labels` or `scores`), attributes, axes and the measures it keeps."""

    kind: str
    attributes: tuple[str, ...]
    axes: tuple[str, ...]
    measures: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Query:
    """The SQL, and how to read its rows: mask, keys, count, then two integers per measure (high, low).

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
    inner: dict[str, str] = {f"a{i}": _attribute(s, inputs) for i, s in enumerate(roles.sensitive)}
    names = {f"a{i}": s for i, s in enumerate(roles.sensitive)}
    inner["y_true"] = quote(roles.y_true)
    score, top_label = _scores(roles, inputs, inner)
    if roles.y_pred is not None:
        inner["y_pred"] = quote(roles.y_pred)
    _losses(roles, inner)
    if roles.weights is not None:
        inner["w"] = _number(roles.weights, "weight", "{x} BETWEEN 1e-6 AND 1e6", strict=True)
    if roles.member is not None:
        inner["member"] = _member(roles.member)
    if roles.cluster is not None:
        inner["bucket"] = _bucket(roles.cluster)
    if inputs.id is not None:
        inner["id"] = f"CAST({quote(inputs.id)} AS VARCHAR)"
    outer, sums = _outer(inner, score, top_label)
    sets = _sets(roles, attribute_sets, outer, score, top_label)
    return _assembled(source, inner, outer, sums, sets, names, _description(roles, inputs, top_label))


def _description(roles: Roles, inputs: Inputs, top_label: bool) -> dict[str, Any]:
    return {
        "columns": roles.columns() | {"sensitive": list(roles.sensitive)},
        "probabilities": [c for _, c in roles.probabilities],
        "prob_classes": [c for c, _ in roles.probabilities],
        "detected": list(roles.detected),
        "positive": inputs.positive,
        "split": None if roles.split is None else {"column": roles.split[0], "value": roles.split[1]},
        "threshold": inputs.threshold if roles.y_pred is None and roles.y_score is not None else None,
        "agreement": dict(inputs.agreement),
        "top_label": top_label,
        "clustered": roles.cluster is not None,
        "weighted": roles.weights is not None,
        "cross": inputs.cross,
        "bins": {k: list(v) for k, v in inputs.bins.items()},
        "na": sorted(inputs.na),
        "missing_labels": inputs.missing_labels,
    }


def _attribute(name: str, inputs: Inputs) -> str:
    edges = inputs.bins.get(name)
    if edges is None:
        return quote(name)
    raw = quote(name)
    x = f"TRY_CAST({raw} AS DOUBLE)"
    shown = [str(text_of(float(e))) for e in edges]
    bad = _fail("number", name, f"{raw}::VARCHAR")
    missing = "".join(f" OR {raw}::VARCHAR = {literal(n)}" for n in inputs.na)
    cases = [f"WHEN {raw} IS NULL OR isnan({x}){missing} THEN NULL WHEN {x} IS NULL THEN {bad}"]
    cases.append(f"WHEN {x} < {float(edges[0])!r} THEN {literal('< ' + shown[0])}")
    for (low, high), top in zip(pairwise(shown), edges[1:], strict=True):
        cases.append(f"WHEN {x} < {float(top)!r} THEN {literal(f'[{low}, {high})')}")
    return f"CASE {' '.join(cases)} ELSE {literal('>= ' + shown[-1])} END"


def _fail(rule: str, column: str, value: str) -> str:
    """SQL that stops the scan with a marked message, `table` turns it into a sentence. `value`: an expression."""
    head = SEPARATOR.join(("fairaudit", rule, column, ""))
    return f"error({literal(head)} || {value})"


def _number(name: str, rule: str, test: str | None = None, strict: bool = False) -> str:
    """A column as DOUBLE, checked row by row; NULL stays NULL unless `strict`."""
    raw = quote(name)
    x = f"TRY_CAST({raw} AS DOUBLE)"
    null = _fail("missing", name, f"coalesce({raw}::VARCHAR, '')") if strict else "NULL"
    bad = _fail("number", name, f"{raw}::VARCHAR")
    cases = f"CASE WHEN {raw} IS NULL THEN {null} WHEN {x} IS NULL THEN {bad}"
    if test is not None:
        worse = _fail(rule, name, f"{raw}::VARCHAR")
        cases += f" WHEN NOT ({test.format(x=x)}) THEN {worse}"
    return f"{cases} ELSE {x} END"


def _scores(roles: Roles, inputs: Inputs, inner: dict[str, str]) -> tuple[str | None, bool]:
    """Adds score and prediction expressions; returns the score's name, and whether it is a top-label one."""
    strict = inputs.missing_labels == "error"
    unit = "{x} >= 0 AND {x} <= 1"
    if roles.probabilities:
        values = ", ".join(_number(c, "score", unit, strict=True) for _, c in roles.probabilities)
        inner["probs"] = f"[{values}]"
    column = positive_column(roles, inputs.positive)
    if column is not None:
        inner["score"] = _number(column, "score", unit, strict)
    if roles.y_pred is None and roles.y_score is not None:
        yes, no = literal(PREDICTED_POSITIVE), literal(PREDICTED_NEGATIVE)
        s = inner["score"]
        inner["y_pred"] = (
            f"CASE WHEN ({s}) >= {inputs.threshold!r} THEN {yes} WHEN ({s}) IS NOT NULL THEN {no} END"
        )
    return (
        ("score", False) if column is not None else ("score", True) if roles.probabilities else (None, False)
    )


def _losses(roles: Roles, inner: dict[str, str]) -> None:
    if roles.loss is not None:
        inner["loss"] = _number(roles.loss, "loss", "{x} BETWEEN 0 AND 1e6", strict=True)
    if roles.probabilities:
        inner["label_text"] = f"CAST({quote(roles.y_true)} AS VARCHAR)"


def matched(label: str, classes: Sequence[str]) -> tuple[str, str]:
    """(label, list of class names) as SQL of one type, so that `1.0`, `1` and 1 are one class, and True is true."""
    if all(is_number(c) for c in classes):
        return f"TRY_CAST({label} AS DOUBLE)", "[" + ", ".join(repr(float(c)) for c in classes) + "]"
    if all(c.lower() in ("true", "false") for c in classes):
        return f"lower({label})", "[" + ", ".join(literal(c.lower()) for c in classes) + "]"
    return label, "[" + ", ".join(literal(c) for c in classes) + "]"


def _member(name: str) -> str:
    text = f"lower(CAST({quote(name)} AS VARCHAR))"
    bad = _fail("member", name, f"coalesce({text}, '(missing)')")
    yes, no = "('1', '1.0', 'true')", "('0', '0.0', 'false')"
    return f"CASE WHEN {text} IN {yes} THEN '1' WHEN {text} IN {no} THEN '0' ELSE {bad} END"


def _bucket(name: str) -> str:
    raw = quote(name)
    missing = _fail("missing", name, f"coalesce({raw}::VARCHAR, '')")
    return f"CASE WHEN {raw} IS NULL THEN {missing} ELSE right(md5(CAST({raw} AS VARCHAR)), 2) END"


def _outer(
    inner: dict[str, str], score: str | None, top_label: bool
) -> tuple[dict[str, str], dict[str, str]]:
    """Key expressions over the inner columns, and the per-row value of each measure."""
    keys = {k: k for k in inner if k not in ("probs", "score", "loss", "label_text", "w", "id")}
    weight = "w" if "w" in inner else "1.0"
    sums = {"w": "w", "w2": "w * w"} if "w" in inner else {}
    s = "score"
    if "probs" in inner:
        keys.setdefault("y_pred", "top")
        s = "confidence" if top_label else "score"
    if "loss" in inner or "label_text" in inner:
        loss = "loss" if "loss" in inner else "row_loss"
        sums |= {"loss": f"{weight} * {loss}", "loss2": f"{weight} * {loss} * {loss}"}
    if score is not None:
        if top_label:
            keys["correct"] = "hit"
        keys["score_bin"] = score_bin(s)
        keys["conf_bin"] = f"least(floor({s} * {CALIBRATION_BINS}), {CALIBRATION_BINS - 1})::INTEGER"
        sums |= {"score": f"{weight} * {s}", "score2": f"{weight} * {s} * {s}"}
    return keys, sums


def score_bin(s: str) -> str:
    """The bin of a probability expression on the fixed grid, an integer symmetric about `HALF`, increasing in p."""
    m = f"least({s}, 1 - {s})"
    cases = []
    for power in range(1, OCTAVES + 1):
        base = (OCTAVES - power) * PER_OCTAVE
        cases.append(
            f"WHEN {m} >= {2.0**-power!r} THEN {base} + floor(({m} * {2.0**power!r} - 1) * {PER_OCTAVE})"
        )
    fold = f"CASE {' '.join(cases)} ELSE floor({m} * {2.0**OCTAVES!r} * {PER_OCTAVE}) - {PER_OCTAVE} END"
    return f"(CASE WHEN {s} <= 0.5 THEN {fold} ELSE {2 * HALF} - ({fold}) END)::INTEGER"


def _sets(
    roles: Roles,
    attribute_sets: Sequence[tuple[str, ...]],
    keys: Mapping[str, str],
    score: str | None,
    top: bool,
) -> tuple[GroupingSet, ...]:
    extra = tuple(k for k in ("member", "bucket") if k in keys)
    weights = ("w", "w2") if roles.weights is not None else ()
    losses = ("loss", "loss2") if roles.loss is not None or roles.probabilities else ()
    sets = [
        GroupingSet("labels", a, (*a, "y_true", "y_pred", *extra), (*weights, *losses))
        for a in attribute_sets
    ]
    if score is not None:
        outcome = "correct" if top else "y_true"
        axes = (outcome, "score_bin", "conf_bin", *(k for k in extra if k == "bucket"))
        kept = (*weights, "score", "score2")
        sets += [GroupingSet("scores", a, (*a, *axes), kept) for a in attribute_sets]
    return tuple(sets)


def _assembled(
    source: Source,
    inner: Mapping[str, str],
    keys: Mapping[str, str],
    sums: Mapping[str, str],
    sets: tuple[GroupingSet, ...],
    names: Mapping[str, str],
    description: Mapping[str, Any],
) -> Query:
    column = {shown: k for k, shown in names.items()}
    order = list(keys)
    body = f"SELECT {', '.join(f'{e} AS {k}' for k, e in inner.items())} FROM {source.sql}"
    if "probs" in inner:
        body = _with_probabilities(body, description["prob_classes"], source.where, "score" in inner)
    rows = f"SELECT {', '.join([*(f'{e} AS k_{k}' for k, e in keys.items()), *(['id'] if 'id' in inner else [])])}"
    rows += "".join(f", CAST(round(({e}) * {float(FIXED)!r}) AS HUGEINT) AS m_{m}" for m, e in sums.items())
    rows += f" FROM ({body})"
    totals = "".join(f", sum(m_{m}) // {FIXED}, sum(m_{m}) % {FIXED}" for m in sums)
    grouped = ", ".join("(" + ", ".join(f"k_{column.get(a, a)}" for a in s.axes) + ")" for s in sets)
    every = ", ".join(f"k_{k}" for k in order)
    mask = f"grouping({every})" if len(sets) > 1 else "0"
    shown = (
        every if len(sets) > 1 else ", ".join(f"k_{k}" if _in(k, sets[0], names) else "NULL" for k in order)
    )
    sql = f"SELECT {mask}, {shown}, count(*){totals} FROM ({rows}) GROUP BY GROUPING SETS ({grouped})"
    by_mask = {_mask(order, s, names) if len(sets) > 1 else 0: s for s in sets}
    if len(by_mask) != len(sets):
        raise FairauditError("two sensitive attributes are the same column; name each once.")
    return Query(
        sql,
        rows,
        {names.get(k, k): 1 + i for i, k in enumerate(order)},
        tuple(sums),
        sets,
        by_mask,
        description,
    )


def _in(key: str, grouping: GroupingSet, names: Mapping[str, str]) -> bool:
    return names.get(key, key) in grouping.axes


def _mask(order: Sequence[str], grouping: GroupingSet, names: Mapping[str, str]) -> int:
    """SQL's GROUPING(): one bit a key, the first the highest, set where the key is not in the set."""
    return sum((not _in(k, grouping, names)) << (len(order) - 1 - i) for i, k in enumerate(order))


def _with_probabilities(body: str, classes: Sequence[str], where: str, scored: bool) -> str:
    """Adds the most probable class, its probability, whether it is right and the row's loss.

    A `score` waits for the confidence, so that the check of the sum is made whatever else is asked.
    """
    names = "[" + ", ".join(literal(c) for c in classes) + "]"
    bad = _fail("sum", where, "list_sum(probs)::VARCHAR")
    top = f"CASE WHEN abs(list_sum(probs) - 1) > 0.001 THEN {bad} ELSE list_max(probs) END"
    body = f"SELECT *, {top} AS confidence FROM ({body})"
    body = f"SELECT *, {names}[list_position(probs, confidence)] AS top FROM ({body})"
    if scored:
        body = f"SELECT * REPLACE (CASE WHEN confidence >= 0 THEN score END AS score) FROM ({body})"
    unknown = _fail("class", ", ".join(classes[:8]), "label_text")
    label, labels = matched("label_text", classes)
    at = f"list_position({labels}, {label})"
    p_true = f"CASE WHEN label_text IS NOT NULL AND {at} IS NULL THEN {unknown} ELSE probs[{at}] END"
    hit = f"({at} = list_position(probs, confidence))::INTEGER"
    return f"SELECT *, -ln(greatest({p_true}, 1e-15)) AS row_loss, {hit} AS hit FROM ({body})"
