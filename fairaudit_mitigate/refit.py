"""The method `dfr` as a task: features of the val rows, the layer fitted to one half, chosen on the other."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from fairaudit_mitigate import meter
from fairaudit_mitigate.adapter import Adaptation
from fairaudit_mitigate.data import VALIDATION, Rows
from fairaudit_mitigate.device import pick_device
from fairaudit_mitigate.fit import Fitted, selector_of
from fairaudit_mitigate.groups import CELL, CLASS, Groups, group_rows
from fairaudit_mitigate.halves import cut, keys_of
from fairaudit_mitigate.inputs import Encoded
from fairaudit_mitigate.keeping import Best
from fairaudit_mitigate.last_layer import LastLayer, features_of, last_layer, with_new_weights
from fairaudit_mitigate.predictions import target_ids
from fairaudit_mitigate.reweighting import (
    SUBSETS,
    Layer,
    Regularisation,
    balanced_subsets,
    candidates,
    fit_layer,
)
from fairaudit_mitigate.task import Task

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[np.float64]


def refit(task: Task) -> Fitted:
    """The model with its last layer fitted again; one record a candidate in `history`, the best one in `best`.

    `best.step` is the number of the candidate, from 1; its metrics are those of the half that chose. Raises
    FairauditError where a group or a class has too few rows, or the head has no last linear layer.
    """
    classifier, cost = task.classifier, meter.start(pick_device(task.hardware.device))
    layer = last_layer(classifier.model, len(classifier.labels))
    val = task.rows.of_split(VALIDATION)
    to_fit, to_choose = cut(keys_of(val))
    first, second = val.take(to_fit), val.take(to_choose)
    every = group_rows(task.settings.groups or (CELL if val.sensitive else CLASS), val.y_true, val.sensitive)
    groups = Groups(every.ids[to_fit], every.names)  # a group of val that the half lacks is still one
    subsets = balanced_subsets(groups, task.settings.seed)
    features = _features(task, layer, first)
    linear = layer.of(classifier.model)
    task.voice.say(_told(task, layer, groups, len(subsets[0]), (len(first), len(second))))
    targets = np.array(target_ids(first.y_true, classifier.labels, str(first.source)), dtype=np.int64)
    fits = [
        (
            how,
            fit_layer(
                features, targets, subsets, len(classifier.labels), how, with_bias=linear.bias is not None
            ),
        )
        for how in candidates(len(classifier.labels))
    ]
    best, chosen, history = _choose(task, second, fits, _features(task, layer, second))
    model, adaptation = _written(task, layer, chosen)
    return Fitted(model, adaptation, groups, best, tuple(history), cost.seconds(), cost.peak())


def _features(task: Task, layer: LastLayer, rows: Rows) -> Array:
    classifier = task.classifier
    targets = target_ids(rows.y_true, classifier.labels, str(rows.source))
    data = Encoded(rows.inputs, rows.ids, classifier.preprocessor, targets, cache_bytes=0)
    found: Array = features_of(classifier, layer, data, task.hardware, task.voice).double().numpy()
    return found


def _choose(
    task: Task, rows: Rows, fits: list[tuple[Regularisation, Layer]], features: Array
) -> tuple[Best, Layer, list[dict[str, object]]]:
    """The candidate that is best on these rows, by the selection metric and then by accuracy; the first of equals."""
    selector = selector_of(replace(task, rows=rows))
    best, chosen, history = Best(), fits[0][1], []
    for step, (how, layer) in enumerate(fits, start=1):
        metrics = selector.metrics(layer.logits(features))
        history.append(
            {"step": step, "regularisation": how.kind, "strength": how.strength, "validation": metrics}
        )
        score = selector.score(metrics)
        key = (-math.inf if math.isnan(score) else score, metrics["accuracy"])
        if best.metrics is None or key > best.key:
            best, chosen = Best(key, step, metrics), layer
    how, score = fits[best.step - 1][0], (best.metrics or {})[selector.metric]
    task.voice.say(
        f"best on the other half: {how.kind.upper()} of strength {how.strength:g} ({selector.metric} {score:.3f})."
    )
    if math.isnan(score):
        task.voice.say(f"{selector.metric} is undefined there (too few rows a cell): accuracy chose.")
    return best, chosen, history


def _written(task: Task, layer: LastLayer, chosen: Layer) -> tuple[object, Adaptation]:
    import torch

    weight = torch.from_numpy(chosen.weight)
    bias = None if chosen.bias is None else torch.from_numpy(chosen.bias)
    total = sum(p.numel() for p in task.classifier.model.parameters())
    trained = weight.numel() + (0 if bias is None else bias.numel())
    model = with_new_weights(task.classifier.model, layer, weight, bias, task.classifier.fresh_modules)
    return model, Adaptation((), (layer.head,), trained, total)


def _told(task: Task, layer: LastLayer, groups: Groups, size: int, rows: tuple[int, int]) -> str:
    linear = layer.of(task.classifier.model)
    return (
        f"{task.settings.method}: the layer '{layer.name}' ({linear.in_features} to {linear.out_features}) is fitted "
        f"to {rows[0]} of the val rows ({SUBSETS} draws of {size // len(groups.names)} rows from each of "
        f"{len(groups.names)} groups); the other {rows[1]} choose its regularisation."
    )
