"""Training on Hugging Face's Trainer, with three ideas of its own: objective, group column, best step.

With one micro-batch on one process a step is one pass. With more, a first pass without gradient collects
the totals of the groups over the whole step (all ranks), then the rows are back-propagated with the weights
that follow from them (DESIGN §5): exact, where the average of the micro-batches' penalties is not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import Sampler
from transformers import (
    SchedulerType,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from fairaudit.errors import FairauditError
from fairaudit_mitigate.inputs import GROUPS, LABELS
from fairaudit_mitigate.objective import FairLoss, Objective, Statistics, batch_totals
from fairaudit_mitigate.sampling import BalancedOrder


class FairnessTrainer(Trainer):
    """A Trainer whose batches may carry `groups` (int64, -1 = missing) and whose loss is an `objective`.

    Without an objective it is the mean cross entropy. `group_names` name the groups in `history`, one
    record a step. `sampler` draws the train rows in place of Trainer's shuffle. Everything else (optimiser,
    schedule, evaluation, integrations) is Trainer's, with Trainer's arguments.
    """

    def __init__(
        self,
        *args: Any,
        objective: Objective | None = None,
        group_names: Sequence[str] = (),
        sampler: Sampler[int] | BalancedOrder | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.model_accepts_loss_kwargs = False
        self.loss_is_scaled_for_ga = False  # Trainer divides by the micro-batches of a step; _share undoes it
        self.args.remove_unused_columns = False
        self.objective: Objective = objective or FairLoss(len(group_names))
        self.group_names = tuple(group_names)
        self.history: list[dict[str, object]] = []
        self._sampler = sampler
        if isinstance(sampler, BalancedOrder):
            self.add_callback(FollowEpochs(sampler))
        self._totals: Tensor | None = None
        self._seen: list[Tensor] = []
        self._micro_batches = 1

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

    def get_batch_samples(
        self, epoch_iterator: Iterator[Any], num_batches: int, device: torch.device
    ) -> tuple[list[Any], Any]:
        """The micro-batches of one step; where it has several, or several ranks, also its totals by group."""
        batches, items = super().get_batch_samples(epoch_iterator, num_batches, device)
        several = len(batches) > 1 or self.args.world_size > 1
        self._seen, self._micro_batches = [], len(batches)
        self._totals = self._step_totals(batches) if several and batches else None
        return batches, items

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        """The objective of this batch (one pass), or its share of the step's (two passes); see Trainer."""
        losses, groups, outputs = self._row_losses(model, inputs)
        if not model.training:
            loss = losses.mean()
        elif self._totals is None:
            loss, statistics = self.objective.one_pass(losses, groups)
            self._log_step(statistics)
        else:
            loss = self._share(losses, groups, self._totals)
        if model.training:
            self._check_finite(losses, groups)
        return (loss, outputs) if return_outputs else loss

    def _row_losses(self, model: Any, inputs: Mapping[str, Any]) -> tuple[Tensor, Tensor, Any]:
        """Cross entropy of each row in float32 at least, its group ids, the model's outputs."""
        if model.training:
            _hold_frozen_norms(model)
        features = {k: v for k, v in inputs.items() if k not in (LABELS, GROUPS)}
        labels: Tensor = inputs[LABELS]
        outputs = model(**features)
        logits = outputs.logits
        logits = logits if logits.dtype == torch.float64 else logits.float()
        groups = inputs[GROUPS] if GROUPS in inputs else torch.full_like(labels, -1)
        return functional.cross_entropy(logits, labels, reduction="none"), groups, outputs

    def _step_totals(self, batches: Sequence[dict[str, Any]]) -> Tensor:
        """Sum and count of the losses by group over the whole step, [2, groups + 1], summed over the ranks.

        The generators are put back afterwards, so that dropout draws the same masks in the second pass. An
        objective that does not compare groups only needs the counts, which cost nothing.
        """
        state = _generator_states(self.args.device)
        parts = [self._micro_totals(self._prepare_inputs(batch)) for batch in batches]
        _restore_generators(state, self.args.device)
        totals = self._over_ranks(parts)
        if self.objective.needs_totals:
            self._log_step(self.objective.statistics(totals))
        return totals

    def _over_ranks(self, parts: Sequence[Tensor]) -> Tensor:
        totals = torch.stack(list(parts)).sum(dim=0)
        if self.args.world_size == 1:
            return totals
        reduced: Tensor = self.accelerator.reduce(totals, reduction="sum")
        return reduced

    def _micro_totals(self, batch: dict[str, Any]) -> Tensor:
        n_groups = self.objective.n_groups
        if not self.objective.needs_totals:
            groups = batch[GROUPS] if GROUPS in batch else torch.full_like(batch[LABELS], -1)
            return batch_totals(torch.zeros(len(groups), device=groups.device), groups, n_groups)
        self.model_wrapped.train()
        with torch.no_grad(), self.compute_loss_context_manager():
            losses, groups, _ = self._row_losses(self.model_wrapped, batch)
        return batch_totals(losses, groups, n_groups)

    def _share(self, losses: Tensor, groups: Tensor, totals: Tensor) -> Tensor:
        """This micro-batch's part of the step's gradient, scaled so that Trainer's means undo it."""
        if not self.objective.needs_totals:  # the totals hold only counts then, and nothing is logged yet
            self._seen.append(batch_totals(losses.detach(), groups, self.objective.n_groups))
            if len(self._seen) == self._micro_batches:
                self._log_step(self.objective.statistics(self._over_ranks(self._seen)))
        weights = self.objective.row_weights(totals.to(losses.dtype), groups)
        scale: int = self.current_gradient_accumulation_steps * self.args.world_size
        return scale * (weights * losses).sum()

    def _log_step(self, statistics: Statistics) -> None:
        step = self.state.global_step + 1
        rate = self._get_learning_rate() if self.lr_scheduler is not None else None
        self.history.append({"step": step, "learning_rate": rate, **statistics.record(self.group_names)})

    def _check_finite(self, losses: Tensor, groups: Tensor) -> None:
        bad = ~torch.isfinite(losses.detach())
        if not bool(bad.any()):
            return
        ids = sorted({int(g) for g in groups[bad]})
        names = ", ".join(self.group_names[g] if 0 <= g < len(self.group_names) else "(missing)" for g in ids)
        step = self.state.global_step + 1
        raise FairauditError(
            f"the loss is not finite at step {step} (groups: {names}); lower --lr or --penalty."
        )


def _warmed(step: int, warmup: int, total: int) -> float:
    """The factor of the learning rate at a step counted from 0: linear up to 1, then linear down."""
    return (step + 1) / (warmup + 1) if step < warmup else max(0.0, (total - step) / max(1, total - warmup))


def _hold_frozen_norms(model: Any) -> None:
    """Frozen batch norms stay in eval mode: their statistics belong to the base, which is not trained."""
    for module in model.modules():
        frozen = isinstance(module, _BatchNorm) and not any(p.requires_grad for p in module.parameters())
        if frozen and module.affine:
            module.eval()


class FollowEpochs(TrainerCallback):
    """Tells the order of the rows which epoch begins.

    Trainer does too, but cannot reach it where training is taken up inside an epoch on several ranks: there
    accelerate puts one wrapper more around the sampler than it looks through.
    """

    def __init__(self, order: BalancedOrder) -> None:
        self._order = order

    def on_epoch_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """The epoch that begins, or is taken up."""
        self._order.set_epoch(int(state.epoch or 0))


def _generator_states(device: torch.device) -> tuple[Tensor, Tensor | None]:
    on_device = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
    return torch.get_rng_state(), on_device


def _restore_generators(states: tuple[Tensor, Tensor | None], device: torch.device) -> None:
    torch.set_rng_state(states[0])
    if states[1] is not None:
        torch.cuda.set_rng_state(states[1], device)
