"""What is kept of a training run as it goes: the best step on validation, the records, the pace of it all."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from fairaudit.errors import FairauditError
from fairaudit_mitigate.voice import Voice

#: What Trainer adds to the metrics of an evaluation and differs from run to run.
_TIMINGS = ("runtime", "samples_per_second", "steps_per_second", "model_preparation_time", "epoch")
VALIDATION = "validation"


@dataclass(slots=True)
class Best:
    """The best step so far on validation: its score, its metrics, and a copy of what was trained."""

    key: tuple[float, float] = (-math.inf, -math.inf)
    step: int = 0
    metrics: Mapping[str, float] | None = None
    state: dict[str, Tensor] | None = None


class KeepBest(TrainerCallback):
    """After each evaluation keeps a copy of what was trained, where (`score`, accuracy) is a new best.

    In memory: an adapter is small. A score that is undefined (NaN) never wins over one that is defined.
    `records` gets one entry an evaluation.
    """

    def __init__(
        self,
        score: Callable[[Mapping[str, float]], float],
        records: list[dict[str, object]],
        best: Best | None = None,
    ) -> None:
        self.best = best or Best()
        self.records = records
        self._score = score

    @property
    def stale(self) -> int:
        """How many evaluations there were since the best one."""
        return sum(VALIDATION in r and int(str(r["step"])) > self.best.step for r in self.records)

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Compare and keep. Raises FairauditError for a validation loss that is not finite."""
        found = {k.removeprefix("eval_"): v for k, v in kwargs["metrics"].items()}
        metrics = {k: v for k, v in found.items() if k not in _TIMINGS}
        if not math.isfinite(metrics.get("loss", 0.0)):
            raise FairauditError(
                f"the validation loss is not finite at step {state.global_step}; lower --lr."
            )
        self.records.append({"step": state.global_step, VALIDATION: metrics})
        score = self._score(metrics)
        key = (-math.inf if math.isnan(score) else score, metrics["accuracy"])
        if state.global_step and (self.best.state is None or key > self.best.key):
            self.best = Best(key, state.global_step, metrics, snapshot(kwargs["model"]))


class Pace(TrainerCallback):
    """When there is an evaluation, when a checkpoint, and when it is enough.

    Trainer's own strategies act at the end of a step *or* of an epoch; a checkpoint of the last step of an
    epoch would then stand before that epoch's evaluation, and a run that resumes from it would miss it. Here
    everything is due at the end of a step, the evaluation first. `every`: steps between evaluations (None: an
    epoch); `save_every`: steps between checkpoints (None: each evaluation, 0: never); `patience`: evaluations
    without a new best after which training ends. The last step has both.
    """

    def __init__(
        self, keeper: KeepBest, every: int | None, save_every: int | None, patience: int | None
    ) -> None:
        self._keeper, self._every, self._save_every, self._patience = keeper, every, save_every, patience
        self._steps = every or 1

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Count the steps of an epoch."""
        batches = len(kwargs["train_dataloader"])
        self._steps = self._every or max(1, math.ceil(batches / args.gradient_accumulation_steps))

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """What is due after this step."""
        step, last = state.global_step, state.global_step >= state.max_steps
        control.should_evaluate = last or step % self._steps == 0
        if self._save_every is None:
            control.should_save = control.should_evaluate
        elif self._save_every:
            control.should_save = last or step % self._save_every == 0

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """End where there was no new best for long enough; the checkpoint then says that it is the last."""
        if self._patience and state.global_step and self._keeper.stale >= self._patience:
            control.should_training_stop = True
            control.should_save = self._save_every != 0


class ShowProgress(TrainerCallback):
    """Tells the voice after each step."""

    def __init__(self, voice: Voice, task: str) -> None:
        self._voice, self._task = voice, task

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """One step more."""
        self._voice.progress(self._task, state.global_step, state.max_steps)


def snapshot(model: Any) -> dict[str, Tensor]:
    """A copy on the CPU of everything training changes: parameters with gradient, and buffers."""
    trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
    return {n: t.detach().cpu().clone().contiguous() for n, t in (*trained.items(), *model.named_buffers())}


def restore(model: Any, state: Mapping[str, Tensor]) -> None:
    """Put a snapshot back into the model it came from."""
    places = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    with torch.no_grad():
        for name, value in state.items():
            places[name].copy_(value)
