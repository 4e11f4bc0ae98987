"""Training on Hugging Face's Trainer, with three ideas of its own: objective, group column, best step.

With one micro-batch on one process a step is one pass. With more, and an objective whose weights depend on the
losses of the step, a first pass without gradient collects the totals of the groups over the whole step (all
ranks), then the rows are back-propagated with the weights that follow from them (DESIGN §5): exact, where the
average of the micro-batches' penalties is not.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import Sampler
from transformers import (
    SchedulerType,
    Trainer,
    TrainingArguments,
)

from fairaudit.errors import FairauditError
from fairaudit_mitigate.first_pass import hold_frozen_norms, undisturbed
from fairaudit_mitigate.inputs import GROUPS, LABELS
from fairaudit_mitigate.objective import (
    Objective,
    Statistics,
    Step,
    batch_totals,
    one_pass,
    statistics,
    weighted,
)
from fairaudit_mitigate.objective_fair import FairLoss
from fairaudit_mitigate.outputs import logits_in
from fairaudit_mitigate.sampling import BalancedOrder
from fairaudit_mitigate.taking_up import FollowEpochs, TakeUpMemory

_STRANGE = re.compile(r"[^\w. /-]")


class FairnessTrainer(Trainer):
    """A Trainer whose batches may carry a group id and whose loss is an `objective`.

    `group_column`: the column of the batch with the ids (integers from 0, -1 = missing); it is kept by Trainer's
    column filter and never reaches the model. Without an objective the loss is the mean cross entropy. `group_names`
    name the groups in `history`, one record a step, and in the Trainer's own log. `sampler` draws the train rows in
    place of Trainer's shuffle. Everything else (optimiser, schedule, evaluation, integrations) is Trainer's, with
    Trainer's arguments. What the objective remembers is saved in Trainer's checkpoints and taken up from them.

    A run that is resumed inside an epoch goes on with the generators of its checkpoint: Trainer puts them back after it
    has fetched the batches of the first step, and by then the first pass is made, so here they are put back before it.

    Raises FairauditError where the names are not as many as the objective's groups or one process has several GPUs.
    """

    def __init__(
        self,
        *args: Any,
        objective: Objective | None = None,
        group_names: Sequence[str] = (),
        group_column: str = GROUPS,
        sampler: Sampler[int] | BalancedOrder | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.model_accepts_loss_kwargs = False
        self.loss_is_scaled_for_ga = False  # Trainer divides by the micro-batches of a step; _share undoes it
        self.label_names = self.label_names or [LABELS]
        self.criterion: Objective = objective or FairLoss(
            len(group_names)
        )  # Trainer's search owns `objective`
        self.group_names = tuple(group_names) or tuple(str(k) for k in range(self.criterion.n_groups))
        self.group_column = group_column
        self.history: list[dict[str, object]] = []
        self._check_names()
        self._check_one_device()
        self._taken_up: str | None = None  # the checkpoint whose generators are still to be put back
        self._sampler = sampler
        self.add_callback(FollowEpochs())
        self._memory = self.criterion.start()
        self._plan: Plan | None = None
        self._last: dict[str, object] = {}
        self.add_callback(TakeUpMemory(self.load_objective_state, self.group_names))

    def _check_names(self) -> None:
        if len(self.group_names) != self.criterion.n_groups:
            raise FairauditError(
                f"the objective has {self.criterion.n_groups} groups and {len(self.group_names)} are named; "
                "name each, in the order of the ids."
            )

    def _check_one_device(self) -> None:
        """DataParallel splits a batch, and with it the groups of the step, behind the objective's back."""
        if self.args.n_gpu > 1:
            raise FairauditError(
                f"one process would share {self.args.n_gpu} GPUs as DataParallel; start it with torchrun "
                "(one process a GPU), or show it one with CUDA_VISIBLE_DEVICES."
            )

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """Trainer's schedule; the linear one warms up from lr / (warm-up + 1), as a first step of 0 is none."""
        warmup = self.args.get_warmup_steps(num_training_steps)
        if self.lr_scheduler is None and self.args.lr_scheduler_type == SchedulerType.LINEAR and warmup:
            rise = partial(_warmed, warmup=warmup, total=num_training_steps)
            adjusted: Any = optimizer or self.optimizer
            self.lr_scheduler = LambdaLR(adjusted, rise)
            self._created_lr_scheduler = True
        return super().create_scheduler(num_training_steps, optimizer)

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        return super()._get_train_sampler(train_dataset) if self._sampler is None else self._sampler

    def _set_signature_columns_if_needed(self) -> None:
        super()._set_signature_columns_if_needed()
        columns: Any = self._signature_columns
        if self.group_column not in columns:
            columns.append(self.group_column)

    def _inner_training_loop(
        self,
        batch_size: int | None = None,
        args: TrainingArguments | None = None,
        resume_from_checkpoint: str | None = None,
        trial: Any = None,
        ignore_keys_for_eval: list[str] | None = None,
    ) -> Any:
        self._taken_up = resume_from_checkpoint
        return super()._inner_training_loop(
            batch_size, args, resume_from_checkpoint, trial, ignore_keys_for_eval
        )

    def _load_rng_state(self, checkpoint: str | None) -> None:
        self._taken_up = None
        super()._load_rng_state(checkpoint)

    def get_batch_samples(
        self, epoch_iterator: Iterator[Any], num_batches: int, device: torch.device
    ) -> tuple[list[Any], Any]:
        """The micro-batches of one step; where it has several, or several ranks, also how its rows are weighted."""
        if self._taken_up is not None:  # inside an epoch; at its beginning they are back already
            epoch_iterator = iter(list(islice(epoch_iterator, num_batches)))
            self._load_rng_state(self._taken_up)
        batches, items = super().get_batch_samples(epoch_iterator, num_batches, device)
        several = len(batches) > 1 or self.args.world_size > 1
        if self.args.world_size > 1:
            self._check_together()
        self._plan = self._planned(batches) if several and batches else None
        return batches, items

    def _check_together(self) -> None:
        """Trainer leaves the model without DDP, silently, where it was evaluated before training began."""
        kind = str(self.accelerator.distributed_type.value)
        if kind.startswith("MULTI_") and self.model_wrapped is self.model:
            raise FairauditError(
                "the ranks would train apart, each its own model: evaluate() was called before train(); "
                "use eval_on_start=True instead."
            )

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        """The objective of this batch (one pass), or its share of the step's (two passes); see Trainer."""
        groups = self._groups_in(inputs) if model.training else None
        losses, outputs = self._row_losses(model, inputs)
        if groups is None:
            loss = losses.mean()
        elif self._plan is None:
            loss, step, found = one_pass(self.criterion, losses, groups, self._memory)
            self._finish(step, found)
        else:
            loss = self._share(losses, groups, self._plan)
        return (loss, outputs) if return_outputs else loss

    def objective_state(self) -> dict[str, Tensor]:
        """What the objective remembers after the last step; empty where it remembers nothing."""
        return {"memory": self._memory.cpu().clone()} if self._memory.numel() else {}

    def load_objective_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on from a state. Raises FairauditError where it belongs to another objective or other groups."""
        fresh = self.criterion.start()
        found = state.get("memory", fresh.new_zeros(0, fresh.shape[1]))
        if found.shape != fresh.shape:
            raise FairauditError(
                f"the saved objective remembers {tuple(found.shape)} numbers and this one {tuple(fresh.shape)}; "
                "resume with the same method and groups."
            )
        self._memory = found.to(fresh)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Trainer's log; beside the training loss also what the last step did to the groups."""
        super().log({**logs, **in_words(self._last)} if "loss" in logs else logs, start_time)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        kept = {"names": list(self.group_names), "memory": self._memory.tolist()}
        self.state.stateful_callbacks[TakeUpMemory.__name__] = {"args": {}, "attributes": kept}  # type: ignore[index,call-overload]
        super()._save_checkpoint(model, trial)

    def _row_losses(self, model: Any, inputs: Mapping[str, Any]) -> tuple[Tensor, Any]:
        """Cross entropy of each row in float32 at least, the model's outputs."""
        if model.training:
            hold_frozen_norms(model)
        features = {k: v for k, v in inputs.items() if k not in (LABELS, self.group_column)}
        labels: Tensor = inputs[LABELS]
        logits = logits_in(model(**features))
        logits = logits if logits.dtype == torch.float64 else logits.float()
        losses = functional.cross_entropy(
            logits, labels, reduction="none", label_smoothing=self.args.label_smoothing_factor
        )
        return losses, {"logits": logits}

    def _groups_in(self, inputs: Mapping[str, Any]) -> Tensor:
        if self.group_column in inputs:
            groups: Tensor = inputs[self.group_column]
            return groups
        if self.criterion.needs_totals or self._memory.numel():
            raise FairauditError(
                f"the objective compares groups and the batches have no column '{self.group_column}' "
                f"(columns: {', '.join(inputs)}); keep it in the collator, or name it with group_column."
            )
        return torch.full_like(inputs[LABELS], -1)

    def _planned(self, batches: Sequence[dict[str, Any]]) -> Plan:
        """How the rows of a step with several micro-batches or ranks are weighted.

        An objective that needs the losses of the step gets them from a first pass without gradient, which leaves
        no trace. Any other only needs the counts, which cost nothing; it sees the losses when they are there.
        """
        if not self.criterion.needs_totals:
            counts = [self._counted(batch) for batch in batches]
            totals = self._over_ranks(counts)
            return Plan(self.criterion.step(totals, self._memory), totals[1].sum(), len(batches))
        self.model_wrapped.train()
        with undisturbed(self.model_wrapped, self.args.device), self.compute_loss_context_manager():
            parts = [self._forwarded(self._prepare_inputs(batch)) for batch in batches]
        totals = self._over_ranks(parts)
        step = self.criterion.step(totals, self._memory)
        self._finish(step, statistics(totals, step))
        return Plan(step, totals[1].sum(), 0)

    def _counted(self, batch: dict[str, Any]) -> Tensor:
        groups = self._groups_in(self._prepare_inputs(batch))
        return batch_totals(torch.zeros(len(groups), device=groups.device), groups, self.criterion.n_groups)

    def _forwarded(self, batch: dict[str, Any]) -> Tensor:
        losses, _ = self._row_losses(self.model_wrapped, batch)
        return batch_totals(losses, self._groups_in(batch), self.criterion.n_groups)

    def _over_ranks(self, parts: Sequence[Tensor]) -> Tensor:
        totals = torch.stack(list(parts)).sum(dim=0)
        if self.args.world_size == 1:
            return totals
        reduced: Tensor = self.accelerator.reduce(totals, reduction="sum")
        return reduced

    def _share(self, losses: Tensor, groups: Tensor, plan: Plan) -> Tensor:
        """This micro-batch's part of the step's objective, scaled so that Trainer's means undo it."""
        if plan.unseen:
            plan.seen.append(batch_totals(losses.detach(), groups, self.criterion.n_groups))
            if len(plan.seen) == plan.unseen:
                totals = self._over_ranks(plan.seen)
                step = self.criterion.step(totals, self._memory)
                self._finish(step, statistics(totals, step))
        scale: int = self.current_gradient_accumulation_steps * self.args.world_size
        return scale * weighted(plan.step, losses, groups, plan.rows)

    def _finish(self, step: Step, found: Statistics) -> None:
        """Log the step and remember it. Raises FairauditError where its loss is not finite, on all ranks alike."""
        self._last = found.record(self.group_names)
        number = self.state.global_step + 1
        if not math.isfinite(float(found.loss)):
            raise FairauditError(_not_finite(number, self._last))
        self._memory = step.memory
        rate = self._get_learning_rate() if self.lr_scheduler is not None else None
        self.history.append({"step": number, "learning_rate": rate, **self._last})


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """One step in several parts: the weights, the rows of all parts, and the totals of the parts `seen` so far.

    `unseen`: of how many parts the losses are still to be collected; 0 where a first pass did.
    """

    step: Step
    rows: Tensor
    unseen: int
    seen: list[Tensor] = field(default_factory=list)


def in_words(record: Mapping[str, object]) -> dict[str, float]:
    """The record of a step as flat numbers, in names that TensorBoard and MLflow take."""
    singles = {k: record[k] for k in ("penalty", "negative_weights", "groups_present") if k in record}
    nested = {
        f"{word}/{_STRANGE.sub('_', name)}": value
        for word, key in (("group_loss", "group_losses"), ("group_weight", "weights"))
        for name, value in cast("Mapping[str, float]", record.get(key, {})).items()
    }
    return cast("dict[str, float]", singles | nested)


def _not_finite(number: int, record: Mapping[str, object]) -> str:
    losses = cast("Mapping[str, float]", record["group_losses"])
    names = [name for name, loss in losses.items() if not math.isfinite(loss)] or ["(missing)"]
    return (
        f"the loss is not finite at step {number} (groups: {', '.join(names)}); "
        "lower --lr or --penalty in a new run."
    )


def _warmed(step: int, warmup: int, total: int) -> float:
    """The factor of the learning rate at a step counted from 0: linear up to 1, then linear down."""
    return (step + 1) / (warmup + 1) if step < warmup else max(0.0, (total - step) / max(1, total - warmup))
