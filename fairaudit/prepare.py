"""From a tally to views: classes in one form, attributes as groups, nothing decided about fairness yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fairaudit.cube import Cube, coded
from fairaudit.errors import FairauditError, did_you_mean
from fairaudit.labels import (
    OWN_SCORE,
    PREDICTED_NEGATIVE,
    PREDICTED_POSITIVE,
    SCORE_CLASS,
    canonical,
    default_positive,
    escape,
    is_number,
    join,
    ordered,
    text_of,
)
from fairaudit.reliance import check_agreement
from fairaudit.tallies.tally import Tally
from fairaudit.view import ALL_ROWS, Settings, View

PREDICTIONS = ("y_pred", "y_pred_before")
_MARKS = (PREDICTED_POSITIVE, PREDICTED_NEGATIVE)


@dataclass(frozen=True, slots=True)
class Naming:
    """The classes in label order, the positive one or None, and the name of every raw label."""

    classes: tuple[str, ...]
    positive: str | None
    names: Mapping[str, str]


def naming(tally: Tally) -> Naming:
    """The classes of a tally. Raises FairauditError for labels that cannot be what they are said to be."""
    cube = next(iter(tally.labels.values()))
    raw_true, raw_pred = (cube.labels[cube.axis(a)] for a in ("y_true", "y_pred"))
    raw_pred = tuple(p for a in cube.axes if a in PREDICTIONS for p in cube.labels[cube.axis(a)])
    declared = _declared(tally.description["positive"])
    probable = tuple(tally.description["prob_classes"])
    names = canonical({*raw_true, *raw_pred, *probable})
    truth = ordered({names[v] for v in raw_true})
    if declared is not None and all(is_number(n) for n in truth) and is_number(declared):
        declared = canonical([declared])[declared]
    if declared is not None and set(truth) <= {"true", "false"}:
        declared = declared.lower()
    if any(v in _MARKS for v in raw_pred):
        negative, positive = _of_score(truth, declared)
        names |= {PREDICTED_POSITIVE: positive, PREDICTED_NEGATIVE: negative}
    guessed = {names[v] for v in raw_pred}
    if not truth:
        raise FairauditError("no row has both a label and a prediction; there is nothing to audit.")
    scores = [g for g in guessed if is_number(g) and "." in g]
    if len(scores) > 20 + 2 * len(truth):
        raise FairauditError(
            f"{len(guessed)} different predictions for {len(truth)} classes look like scores; "
            "name that column with --y-score."
        )
    if not set(truth) & guessed:
        raise FairauditError(
            f"labels and predictions share no value (labels: {', '.join(truth[:6])}; predictions: "
            f"{', '.join(ordered(guessed)[:6])}); check that both columns use the same names for the classes."
        )
    classes = ordered({*truth, *guessed, *(names[p] for p in probable)})
    if declared is not None and declared not in classes:
        hint = did_you_mean(str(declared), classes)
        raise FairauditError(
            f"no class '{declared}' to be positive (classes: {', '.join(classes[:12])}).{hint}"
        )
    positive_ = declared if declared is not None else default_positive(classes)
    if positive_ is not None and positive_ not in classes:
        classes = ordered({*classes, positive_})
    return Naming(classes, positive_, names)


def _declared(positive: object) -> str | None:
    """The declared positive class as label text: True is `true`, 1.0 is `1`."""
    return None if positive is None else text_of(positive)


def _of_score(truth: Sequence[str], declared: str | None) -> tuple[str, str]:
    """(negative, positive) for predictions made from one score."""
    if len(truth) > 2:
        raise FairauditError(
            f"a score and a threshold decide between two classes, but the labels have {len(truth)}: "
            f"{', '.join(truth[:8])}; give --y-pred or --prob-prefix."
        )
    positive = declared if declared is not None else default_positive(truth)
    if positive is None:
        raise FairauditError(
            f"which class does the score speak for? Say --positive NAME (classes: {', '.join(truth)})."
        )
    if positive not in truth and len(truth) == 2:
        raise FairauditError(
            f"no class '{positive}' to be positive (classes: {', '.join(truth)}).{did_you_mean(positive, truth)}"
        )
    others = [t for t in truth if t != positive]
    return (others[0] if others else f"not {positive}"), positive


def views(tally: Tally, names: Naming, settings: Settings) -> list[View]:
    """The overall view, the view by class, then one for each attribute and intersection, in the order asked."""
    attributes = list(tally.labels)
    first = attributes[0]
    whole = _view("overall", (), tally.labels[first], tally.scores.get(first), tally, names, settings)
    by_class = View(
        "class", "class", whole.groups, whole.classes, whole.positive, whole.labels, None, settings
    )
    rest = [
        _view(join(a), a, tally.labels[a], tally.scores.get(a), tally, names, settings)
        for a in attributes
        if a
    ]
    agreement = tally.description["agreement"]
    if agreement:
        check_agreement(agreement, names.classes, [g for v in rest for g in v.groups])
    return [whole, by_class, *rest]


def _view(
    by: str, attributes: tuple[str, ...], labels: Cube, scores: Cube | None, tally: Tally, names: Naming,
    settings: Settings,
) -> View:  # fmt: skip
    cube = _grouped(labels, attributes)
    for axis in ("y_true", *(a for a in cube.axes if a in PREDICTIONS)):
        cube = cube.relabel(axis, names.names.__getitem__, also=names.classes)
    groups = cube.labels[0]
    scored, by_class = (_scored(c, attributes, names, groups) for c in _own_and_classes(scores))
    position = None if names.positive is None else names.classes.index(names.positive)
    agreement = tally.description["agreement"]
    kind = "attribute" if attributes else "overall"
    return View(
        kind, by, groups, names.classes, position, cube, scored, settings, agreement, class_scores=by_class
    )


def _own_and_classes(scores: Cube | None) -> tuple[Cube | None, Cube | None]:
    """The scores of the rows themselves, and those of classes against the rest."""
    if scores is None or SCORE_CLASS not in scores.axes:
        return scores, None
    return scores.where(SCORE_CLASS, OWN_SCORE), scores.only(SCORE_CLASS, lambda c: c != OWN_SCORE)


def _scored(
    scores: Cube | None, attributes: Sequence[str], names: Naming, groups: Sequence[str]
) -> Cube | None:
    if scores is None:
        return None
    cube = _grouped(scores, attributes)
    if "y_true" in cube.axes:
        cube = cube.relabel("y_true", names.names.__getitem__, also=names.classes)
    if SCORE_CLASS in cube.axes:
        cube = cube.relabel(SCORE_CLASS, names.names.__getitem__)
    return cube.relabel("group", str, also=groups)


def _grouped(cube: Cube, attributes: Sequence[str]) -> Cube:
    """The cube with the attributes' axes made one axis `group` (one group `(all)` without attributes)."""
    rest = [a for a in cube.axes if a in _OWN]
    summed = cube.keep([*attributes, *rest])
    size = len(attributes)
    if size == 1:
        return replace(summed, axes=("group", *rest))
    if not size:
        names: Sequence[str] = [ALL_ROWS]
        group = np.zeros(len(summed.codes), dtype=np.int64)
    else:
        at = summed.codes[:, :size]
        first = np.diff(at, axis=0, prepend=-1).any(axis=1)  # the cells stand in the order of their groups
        group, found = np.cumsum(first) - 1, at[first]
        parts = [
            np.array([escape(v) for v in summed.labels[i]], dtype=object)[found[:, i]] for i in range(size)
        ]
        names = [" & ".join(each) for each in zip(*parts, strict=True)]
    codes = np.column_stack([group, summed.codes[:, size:]])
    return coded(("group", *rest), (names, *summed.labels[size:]), codes, summed.measures)


_OWN = ("y_true", "y_pred", "y_pred_before", "member", "bucket", "correct", "score_bin", SCORE_CLASS)
