"""What the trainer takes up where training goes on from a checkpoint: the objective's memory, the order of the rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from fairaudit.errors import FairauditError


class TakeUpMemory(TrainerCallback):
    """Where training goes on from a checkpoint: hands what the objective remembered then to `load`.

    Raises FairauditError where the groups of the checkpoint are not `names`, in their order.
    """

    def __init__(self, load: Callable[[Mapping[str, Tensor]], None], names: Sequence[str]) -> None:
        self._load, self._names = load, list(names)

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Read it from the trainer's state, where `FairnessTrainer` put it."""
        saved: Any = state.stateful_callbacks
        if type(self).__name__ in saved:
            kept = saved[type(self).__name__]["attributes"]
            if kept["names"] != self._names:
                raise FairauditError(
                    f"the checkpoint has the groups {', '.join(kept['names'])} and this run "
                    f"{', '.join(self._names)}; resume with the same groups in the same order."
                )
            memory = torch.tensor(kept["memory"], dtype=torch.float64).reshape(
                len(kept["memory"]), len(self._names)
            )
            self._load({"memory": memory})


class FollowEpochs(TrainerCallback):
    """Tells the order of the rows which epoch begins.

    Trainer does too, but on several ranks accelerate puts more wrappers around the sampler than Trainer looks through,
    and most of all where training is taken up inside an epoch. On one process this repeats what Trainer said.
    """

    def on_epoch_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """The epoch that begins, or is taken up, told to every sampler inside the loader."""
        holder = kwargs["train_dataloader"]
        while holder is not None:
            sampler: Any = getattr(holder, "sampler", None)
            if hasattr(sampler, "set_epoch"):
                sampler.set_epoch(int(state.epoch or 0))
            holder = getattr(holder, "batch_sampler", None)
