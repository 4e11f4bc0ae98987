"""The fairness panel at each evaluation of any Trainer, for people with a training script of their own.

    trainer = Trainer(model=model, args=args, train_dataset=train, eval_dataset=val)
    trainer.add_callback(FairnessCallback(trainer, {"sex": sex_of_val}))

Then `eval_worst_group_accuracy`, `eval_eod_max`, … stand in the Trainer's own log (so TensorBoard, MLflow and the like
show them) and may be the `metric_for_best_model`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

import fairaudit
from fairaudit.errors import FairauditError

#: The catalogue's metrics that are logged: over all rows, over classes, and of each attribute (with the worst way).
OVERALL, BY_CLASS = ("accuracy",), ("f1_min", "recall_min", "f1_delta")
BY_ATTRIBUTE: Mapping[str, Callable[[Sequence[float]], float]] = {
    "worst_group_accuracy": min,
    "eod_max": max,
    "demographic_parity_difference": max,
    "equalized_odds_difference": max,
}


class FairnessCallback(TrainerCallback):
    """Adds the panel to what `trainer.evaluate()` finds on the trainer's own `eval_dataset`.

    `sensitive`: attribute → one value a row, in the order of that data set (None: missing). `labels`: the classes in
    the order of the model's outputs, else their numbers; `positive`: the positive one of two. `dataset`: which one,
    where `eval_dataset` is a dict. With several attributes a metric also stands as `eval_eod_max_sex` and so on, and
    without a name it is the worst of them. Undefined values (fewer than 10 rows) are NaN. `history` holds one panel
    an evaluation. The predictions are those that Trainer makes anyway; it costs no further pass over the rows.

    Evaluations of other data sets are left alone. Raises FairauditError where an attribute has not one value a row,
    and where the Trainer is told to evaluate in another order or in pieces.
    """

    def __init__(
        self,
        trainer: Trainer,
        sensitive: Mapping[str, Sequence[Any]],
        *,
        labels: Sequence[str] | None = None,
        positive: str | None = None,
        dataset: str | None = None,
    ) -> None:
        if not sensitive:
            raise FairauditError("a fairness panel needs a sensitive attribute: {'sex': [one value a row]}.")
        _check_order(trainer.args)
        self.history: list[dict[str, float]] = []
        self._sensitive = {name: list(values) for name, values in sensitive.items()}
        self._labels, self._positive, self._dataset = labels, positive, dataset
        self._found: dict[str, float] | None = None
        self._listening = False
        self._listen(trainer)

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Keep the panel of this evaluation in `history`."""
        if self._found is not None:
            self.history.append({"step": state.global_step, **self._found})
            self._found = None

    def _listen(self, trainer: Any) -> None:
        """Stand between the trainer and its own evaluation: callbacks are not shown the predictions."""
        evaluate, compute = trainer.evaluate, trainer.compute_metrics

        def evaluated(eval_dataset: Any = None, *args: Any, **kwargs: Any) -> Any:
            own = trainer.eval_dataset
            chosen = own if eval_dataset is None else eval_dataset
            named = isinstance(chosen, str) and chosen == self._dataset
            self._listening = named or (chosen is own and not isinstance(own, dict))
            try:
                return evaluate(eval_dataset, *args, **kwargs)
            finally:
                self._listening = False

        def computed(found: Any) -> dict[str, Any]:
            panel = self._panel(found) if self._listening else {}
            return {**panel, **(compute(found) if compute else {})}

        trainer.evaluate, trainer.compute_metrics = evaluated, computed

    def _panel(self, found: Any) -> dict[str, float]:
        predictions, targets = _first(found.predictions), _first(found.label_ids)
        predicted = predictions if predictions.ndim == 1 else predictions.argmax(axis=-1)
        self._found = panel(
            self._named(targets), self._named(predicted), self._sensitive, positive=self._positive
        )
        return self._found

    def _named(self, ids: Any) -> list[str]:
        return [str(i) if self._labels is None else self._labels[i] for i in ids.tolist()]


def panel(
    y_true: Sequence[str],
    y_pred: Sequence[str],
    sensitive: Mapping[str, Sequence[Any]],
    positive: str | None = None,
) -> dict[str, float]:
    """The panel of one set of predictions, from fairaudit's own audit; NaN where a metric is undefined.

    >>> panel(["a", "b"] * 20, ["a", "a"] * 20, {"sex": ["F"] * 20 + ["M"] * 20})["accuracy"]
    0.5
    """
    for name, values in sensitive.items():
        if len(values) != len(y_true):
            raise FairauditError(
                f"the attribute '{name}' has {len(values)} values and {len(y_true)} rows were evaluated; "
                "give one a row, in the order of the evaluation data."
            )
    columns = {n: [None if v is None else str(v) for v in values] for n, values in sensitive.items()}
    audited = fairaudit.audit(
        y_true=list(y_true), y_pred=list(y_pred), sensitive=columns, positive=positive, interval="none"
    )
    found = {m: _value(audited, m, "overall") for m in OVERALL}
    found |= {m: _value(audited, m, "class") for m in BY_CLASS}
    for metric, worst in BY_ATTRIBUTE.items():
        by_name = {name: _value(audited, metric, name) for name in columns}
        known = [v for v in by_name.values() if not math.isnan(v)]
        found[metric] = worst(known) if known else math.nan
        if len(by_name) > 1:
            found |= {f"{metric}_{name}": v for name, v in by_name.items()}
    return found


def _value(audited: fairaudit.Audit, metric: str, by: str) -> float:
    """NaN where the audit has no such number (some metrics need two classes) or says that it is undefined."""
    try:
        value = audited.estimate(metric, by=by).value
    except FairauditError:
        return math.nan
    return math.nan if value is None else float(value)


def _first(arrays: Any) -> Any:
    """Models with several outputs, or several labels: the first are the logits, or the classes."""
    return np.asarray(arrays[0] if isinstance(arrays, tuple) else arrays)


def _check_order(args: TrainingArguments) -> None:
    if args.batch_eval_metrics:
        raise FairauditError("a fairness panel needs all rows at once; turn batch_eval_metrics off.")
    if str(getattr(args, "train_sampling_strategy", "")) == "group_by_length":
        raise FairauditError(
            "group_by_length evaluates the rows in another order than the attributes have; choose another "
            "train_sampling_strategy."
        )
