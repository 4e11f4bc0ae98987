"""One probability per class: the most probable class, the row's loss, and the score of each class, as SQL."""

from __future__ import annotations

from collections.abc import Sequence

from fairaudit.labels import SCORE_CLASS, is_number
from fairaudit.reading.asked import Asked
from fairaudit.reading.dialect import Dialect
from fairaudit.reading.surprise import with_surprise


def with_probabilities(q: Asked, body: str, score: str | None) -> str:
    """Adds the most probable class, its probability, whether it is right and the row's loss.

    The `score` waits for the confidence, so that the check of the sum is made whatever else is asked.
    """
    d, classes = q.d, [c for c, _ in q.roles.probabilities]
    total = d.total("probs")
    bad = q.fail("sum", q.where, d.text(total))
    top = f"CASE WHEN abs({total} - 1) > 0.001 THEN {bad} ELSE {d.largest('probs')} END"
    body = f"SELECT *, {top} AS confidence FROM ({body}) probable"
    names, first = d.array([d.literal(c) for c in classes]), d.position("probs", "confidence")
    unknown = q.fail("class", ", ".join(classes[:8]), "label_text")
    label, labels = matched("label_text", classes, d)
    at = d.position(labels, label)
    absent = f"label_text IS NOT NULL AND coalesce({at}, 0) = 0"
    p_true = f"CASE WHEN {absent} THEN {unknown} ELSE {d.item('probs', at)} END"
    hit = d.integer(f"{at} = {first}")
    known = f", {at} AS label_at" if q.by_class else ""
    more = "" if score is None else f", CASE WHEN confidence >= 0 THEN {score} END AS score"
    body = (
        f"SELECT *, {d.item(names, first)} AS top, greatest({p_true}, {d.real(1e-15)}) AS p_true, "
        f"{hit} AS hit{known}{more} FROM ({body}) labelled"
    )
    return with_surprise(body, "p_true", "row_loss", d)


def with_classes(q: Asked, body: str, score: str) -> str:
    """Each row once for itself and once for each class asked for, with its probability and whether it is the label."""
    d, classes = q.d, [c for c, _ in q.roles.probabilities]
    asked = d.array(["0", *(str(classes.index(c) + 1) for c in q.roles.score_classes)])
    body = f"SELECT *, {d.each(asked)} AS {SCORE_CLASS} FROM ({body}) single"
    own = f"CASE WHEN {SCORE_CLASS} = 0 THEN"
    return (
        f"SELECT *, {own} {score} ELSE {d.item('probs', SCORE_CLASS)} END AS class_score, "
        f"{own} hit ELSE {d.integer(f'label_at = {SCORE_CLASS}')} END AS class_hit FROM ({body}) repeated"
    )


def matched(label: str, classes: Sequence[str], d: Dialect) -> tuple[str, str]:
    """(label, list of class names) as SQL of one type, so that `1.0`, `1` and 1 are one class, and True is true."""
    if all(is_number(c) for c in classes):
        return d.number(label), d.array([d.real(float(c)) for c in classes])
    if all(c.lower() in ("true", "false") for c in classes):
        return f"lower({label})", d.array([d.literal(c.lower()) for c in classes])
    return label, d.array([d.literal(c) for c in classes])
