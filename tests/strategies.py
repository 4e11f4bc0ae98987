"""Random prediction tables: what a frame holds, what is declared about it, and the same rows for the oracle.

Weights, losses and scores are multiples of 1/8 and 1/64: the fixed-point sums and the score bins of the audit
carry such values exactly, so that every number can be compared to 1e-12.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import pandas as pd
from hypothesis import strategies as st
from oracle_rows import MISSING, Row, Table
from oracle_scores import log_loss

GRID = 64  # scores and probabilities are multiples of 1/64

BINARY_LABELS: dict[str, tuple[list[str], list[Any]]] = {  # kind -> (label text, value in the frame)
    "words": (["cat", "dog"], ["cat", "dog"]),
    "strings": (["0", "1"], ["0", "1"]),
    "integers": (["0", "1"], [0, 1]),
    "floats": (["0", "1"], [0.0, 1.0]),
    "booleans": (["false", "true"], [False, True]),
    "decimals": (["-0.5", "1.5"], [-0.5, 1.5]),
}
GROUP_NAMES: dict[str, list[Any]] = {  # kind -> values in the frame
    "words": ["Asian", "Black", "White", "Other", "A & B", "back\\slash"],
    "integers": [1, 2, 3, 10, 20, 30],
    "booleans": [False, True],
    "strings": ["01", "1.0", "x y", " ", "true", "é"],
}


@dataclass(frozen=True, slots=True)
class Case:
    """Columns of a frame, the arguments of `fairaudit.audit`, and the same rows for the oracle."""

    columns: dict[str, list[Any]]
    roles: dict[str, Any]
    table: Table = field(repr=False)

    def frame(self) -> pd.DataFrame:
        """The columns as pandas; a column of integers with holes keeps its integers."""
        return pd.DataFrame({name: column(values) for name, values in self.columns.items()})


@dataclass(slots=True)
class Draft:
    """A table under construction, column by column."""

    dice: random.Random
    n: int
    labels: list[str]  # the classes
    spelling: dict[str, Any]  # label text -> value in the frame
    y_true: list[str] = field(default_factory=list)
    y_pred: list[str] = field(default_factory=list)
    groups: dict[str, list[str]] = field(default_factory=dict)
    columns: dict[str, list[Any]] = field(default_factory=dict)
    roles: dict[str, Any] = field(default_factory=dict)


def column(values: list[Any]) -> Any:
    """A pandas column of these values, None = missing, without turning integers into floats."""
    if None in values:
        return pd.Series(values, dtype=object)
    return pd.Series(values)


def group_text(value: Any) -> str:
    """The name of a group: the text of its value."""
    if value is None:
        return MISSING
    return str(value).lower() if isinstance(value, bool) else str(value)


# --- columns ------------------------------------------------------------------------------------------------


def add_labels(draft: Draft, never_true: str | None, never_predicted: str | None) -> None:
    """Skewed classes, each at least once; predictions right with a class-dependent chance."""
    dice = draft.dice
    share = [dice.random() ** 2 + 0.02 for _ in draft.labels]
    skill = {label: dice.choice([0.2, 0.5, 0.8, 0.95, 1.0]) for label in draft.labels}
    draft.y_true = (draft.labels + dice.choices(draft.labels, share, k=draft.n))[: draft.n]
    said = [label for label in draft.labels if label != never_predicted]
    for label in draft.y_true:
        right = label in said and dice.random() < skill[label]
        draft.y_pred.append(label if right else dice.choice(said + ([never_true] if never_true else [])))
    first = draft.y_true.index(said[0])
    draft.y_pred[first] = said[0]  # labels and predictions share a value
    if never_true:
        draft.y_pred[first - 1] = (
            never_true  # three labels stay three, or 0 and 1 might pass for a binary task
        )


def add_attribute(draft: Draft, name: str, values: list[Any], missing: float, empty_cells: float) -> None:
    """Skewed groups; some (class, group) cells hold no row at all."""
    dice = draft.dice
    pool = values + ([None] if missing else [])
    share = [dice.random() ** 2 + 0.02 for _ in values] + ([missing] if missing else [])
    banned = {(c, i) for c in draft.labels for i in range(len(pool)) if dice.random() < empty_cells}
    drawn = []
    for label in draft.y_true:
        allowed = [i for i in range(len(pool)) if (label, i) not in banned] or [0]
        drawn.append(pool[dice.choices(allowed, [share[i] for i in allowed])[0]])
    draft.columns[name] = drawn
    draft.groups[name] = [group_text(value) for value in drawn]


def add_probabilities(draft: Draft, labels: list[str]) -> list[dict[str, Fraction]]:
    """One column per label, multiples of 1/64 that sum to 1; the predicted label alone stands highest."""
    rows = []
    for predicted in draft.y_pred:
        counts = Counter(draft.dice.choices(labels, k=GRID))
        top = max(labels, key=lambda label: counts[label])
        counts[top], counts[predicted] = counts[predicted], counts[top]
        for label in labels:
            if label != predicted and counts[label] == counts[predicted]:
                counts[label] -= 1
                counts[predicted] += 1
        rows.append({label: Fraction(counts[label], GRID) for label in labels})
    for label in labels:
        draft.columns[f"prob_{label}"] = [float(row[label]) for row in rows]
    draft.roles["prob_prefix"] = "prob_"
    return rows


def add_scores(draft: Draft, positive: str, threshold: float, predict: bool) -> list[Fraction]:
    """A score column that knows something; `predict`: the labels follow from it, so y_pred is left out."""
    scores = []
    for label in draft.y_true:
        low, high = (0, 48) if label != positive else (16, GRID)
        scores.append(Fraction(draft.dice.randint(low, high), GRID))
    draft.columns["proba"] = [float(score) for score in scores]
    draft.roles |= {"y_score": "proba", "threshold": threshold}
    if predict:
        negative = next(label for label in draft.labels if label != positive)
        draft.y_pred = [positive if score >= threshold else negative for score in scores]
    return scores


def fractions(draft: Draft, name: str, role: str, most: int, unit: int) -> list[Fraction]:
    """A column of positive multiples of 1/unit."""
    values = [Fraction(draft.dice.randint(1, most), unit) for _ in range(draft.n)]
    draft.columns[name] = [float(value) for value in values]
    draft.roles[role] = name
    return values


# --- tables -------------------------------------------------------------------------------------------------


@st.composite
def cases(draw: st.DrawFn, classes: int, most_rows: int = 160, declared: bool = True) -> Case:
    """A table with this many classes; two classes have a positive one where it is `declared`."""
    draft, options = draw(drafts(classes, most_rows, declared))
    positive = options["positive"]
    scores = confidences = losses = None
    labels = draft.labels + ([options["never_true"]] if options["never_true"] else [])
    if options["scores"] == "probabilities":
        rows = add_probabilities(draft, labels)
        confidences = [row[said] for row, said in zip(rows, draft.y_pred, strict=True)]
        losses = [log_loss(row[true]) for row, true in zip(rows, draft.y_true, strict=True)]
        scores = [row[positive] for row in rows] if positive else None
    elif options["scores"] != "none" and positive:
        threshold = draw(st.sampled_from([0.5, 0.25, 0.40625]))
        scores = add_scores(draft, positive, threshold, options["scores"] == "scores only")
    weights = fractions(draft, "w", "weights", 40, 8) if draw(st.booleans()) else None
    if draw(st.booleans()):
        losses = fractions(draft, "ce", "loss", 400, 64)
    members = [draft.dice.random() < 0.5 for _ in range(draft.n)] if draw(st.booleans()) else None
    if members:
        draft.columns["in_train"] = list(members)
        draft.roles["member"] = "in_train"
    return finished(draft, options, weights, losses, scores, confidences, members)


@st.composite
def drafts(draw: st.DrawFn, classes: int, most_rows: int, declared: bool) -> tuple[Draft, dict[str, Any]]:
    """Labels and groups, and the options that the rest of the table follows."""
    kinds = sorted(BINARY_LABELS) if classes == 2 else ["words", "integers", "floats"]
    kind = draw(st.sampled_from(kinds)) if declared else "words"  # 0/1 might be taken for a declaration
    texts, values = BINARY_LABELS[kind] if classes == 2 else many_labels(kind, classes)
    options: dict[str, Any] = {
        "positive": texts[draw(st.integers(0, 1))] if classes == 2 and declared else None,
        "never_true": texts[-1] if classes > 2 and draw(st.booleans()) else None,
        "scores": draw(st.sampled_from(["none", "probabilities", "scores", "scores only"])),
        "min_events": draw(st.sampled_from([5, 6, 10, 20])),
        "cross": 1,
    }
    n = draw(st.integers(max(20, 2 * classes), most_rows))
    known = [text for text in texts if text != options["never_true"]]
    draft = Draft(random.Random(draw(st.integers(0, 2**32))), n, known, dict(zip(texts, values, strict=True)))
    never_predicted = known[-1] if draw(st.integers(0, 3)) == 0 else None
    add_labels(draft, options["never_true"], never_predicted)
    for index in range(draw(st.integers(1, 3))):
        names = GROUP_NAMES[draw(st.sampled_from(sorted(GROUP_NAMES)))]
        size = draw(st.integers(1, len(names)))
        missing = draw(st.sampled_from([0.0, 0.1, 1.0]))
        add_attribute(draft, "abc"[index], names[:size], missing, draw(st.sampled_from([0.0, 0.3])))
    options["cross"] = draw(st.integers(1, len(draft.groups)))
    options["agreement"] = draw(st.booleans()) and len(draft.groups) == 1
    return draft, options


def many_labels(kind: str, count: int) -> tuple[list[str], list[Any]]:
    """Label texts and their values in the frame for a multi-class task."""
    if kind == "words":
        words = [f"c{index:02d}" for index in range(count)]
        return words, list(words)
    texts = [str(index) for index in range(count)]
    return texts, [int(text) if kind == "integers" else float(text) for text in texts]


def finished(
    draft: Draft,
    options: dict[str, Any],
    weights: list[Fraction] | None,
    losses: list[Any] | None,
    scores: list[Fraction] | None,
    confidences: list[Fraction] | None,
    members: list[bool] | None,
) -> Case:
    """The frame, the roles and the oracle's table of a complete draft."""
    columns = {"y": [draft.spelling[label] for label in draft.y_true]}
    roles = draft.roles | {"y_true": "y", "sensitive": list(draft.groups), "cross": options["cross"]}
    if options["scores"] != "scores only" or "y_score" not in roles:
        columns["yhat"] = [draft.spelling[label] for label in draft.y_pred]
        roles["y_pred"] = "yhat"
    if options["positive"] is not None:
        roles["positive"] = options["positive"]
    agreement = agreement_of(draft) if options["agreement"] else {}
    if agreement:
        roles["agreement"] = agreement
    roles |= {"min_events": options["min_events"], "min_n": options["min_events"]}
    rows = tuple(
        Row(
            draft.y_true[i],
            draft.y_pred[i],
            {name: values[i] for name, values in draft.groups.items()},
            weights[i] if weights else Fraction(1),
            losses[i] if losses else None,
            scores[i] if scores else None,
            confidences[i] if confidences else None,
            members[i] if members else None,
        )
        for i in range(draft.n)
    )
    table = Table(
        rows,
        tuple(draft.groups),
        options["positive"],
        options["min_events"],
        options["cross"],
        agreement,
        weights is not None,
    )
    return Case(columns | draft.columns, roles, table)


def agreement_of(draft: Draft) -> dict[str, str]:
    """A map from every label to some group."""
    found = set(next(iter(draft.groups.values())))
    names = sorted(found - {MISSING}) or [MISSING]
    labels = sorted(set(draft.y_true) | set(draft.y_pred))
    return {label: names[index % len(names)] for index, label in enumerate(labels)}
