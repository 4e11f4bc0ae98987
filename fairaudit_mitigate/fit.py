"""One training run: settings and rows in, the model at its best validation step out."""

from __future__ import annotations

import math
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import set_seed

from fairaudit.errors import FairauditError
from fairaudit_mitigate import checkpoint, ranks
from fairaudit_mitigate.adapter import Adaptation, add_adapter, train_everything
from fairaudit_mitigate.blocks import cut_of, targets_after
from fairaudit_mitigate.classifier import Classifier
from fairaudit_mitigate.data import TRAIN, VALIDATION, Rows
from fairaudit_mitigate.device import pick_device, pick_dtype
from fairaudit_mitigate.groups import CELL, CLASS, Groups, group_rows, undivided
from fairaudit_mitigate.inputs import Encoded
from fairaudit_mitigate.keeping import Best, KeepBest, Pace, ShowProgress, restore
from fairaudit_mitigate.meter import start as start_meter
from fairaudit_mitigate.methods.method import BALANCED
from fairaudit_mitigate.predictions import table_of, target_ids
from fairaudit_mitigate.prefix import frozen_until, started_at
from fairaudit_mitigate.recompute import recomputing
from fairaudit_mitigate.reporting import reporters_of
from fairaudit_mitigate.sampling import BalancedOrder
from fairaudit_mitigate.selection import Selector
from fairaudit_mitigate.settings import OFF, Settings
from fairaudit_mitigate.task import Task
from fairaudit_mitigate.train import FairnessTrainer
from fairaudit_mitigate.voice import Voice
from fairaudit_mitigate.weights import quiet

#: Gradients are clipped at this norm (Trainer's default).
MAX_GRAD_NORM = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """The model as it was at `best.step`, what was trained of it, and one record a step in `history`.

    `seconds` of training by the wall clock, its evaluations and, where it was resumed, its earlier parts
    included; `peak_memory` in bytes while it lasted (of the accelerator, else of the process). `ready`: the seconds of
    them before the first step; activations that are kept for other runs are computed then.
    """

    model: Any
    adaptation: Adaptation
    groups: Groups
    best: Best
    history: tuple[dict[str, object], ...]
    seconds: float = 0.0
    peak_memory: int = 0
    ready: float = 0.0


def training_groups(rows: Rows, settings: Settings) -> Groups:
    """The groups of the training rows. Raises FairauditError where a method that compares them has one."""
    kind = settings.groups or (CELL if rows.sensitive else CLASS)
    groups = group_rows(kind, rows.y_true, rows.sensitive)
    if settings.spec.compares_groups and len(groups.names) < 2:
        held = groups.names[0] if groups.names else "none"
        raise FairauditError(
            f"{settings.method} compares groups and the train rows have one ({held}); choose other --groups."
        )
    idle = undivided(kind, rows.y_true, rows.sensitive)
    if settings.spec.compares_groups and idle and not settings.spec.fits_validation:
        column, value = idle
        raise FairauditError(
            f"all train rows that have a {column} have {column}={value}, so there is nothing to compare by it; name "
            "other attributes with -s, or choose other --groups."
        )
    return groups


def fit(task: Task) -> Fitted:
    """Train on the train rows, keep the step that is best on the val rows. The classifier's model is changed.

    With `task.folder` there are checkpoints, and `task.resume` goes on from the newest: to the same numbers, to
    the bit where the machine computes alike twice (a CPU, one number of threads). Raises FairauditError as the
    parts do, and where the loss stops being finite.
    """
    groups = training_groups(task.rows.of_split(TRAIN), task.settings)
    _say_small(groups, task)
    set_seed(task.settings.seed)
    model, adaptation = trainable(task)
    task.voice.say(f"{task.settings.method}: {adaptation}.")
    found = checkpoint.read(task.folder) if task.resume else None
    selector = selector_of(task)
    keeper = KeepBest(selector.score, found.history if found else [], found.best if found else None)
    device = pick_device(task.hardware.device)
    meter = start_meter(device, found.seconds, found.peak_memory) if found else start_meter(device)
    ready = 0.0
    if found is None or not found.ended:
        reports = reporters_of(task, found.step if found else 0)
        with (
            _training_folder(task.folder, found) as folder,
            recomputing(model, task.settings.checkpoint_gradients),
            feed_of(task, groups) as feed,
        ):
            ready = meter.seconds() - meter.before
            trainer = trainer_of(task, model, groups, feed, selector, keeper, folder)
            for callback in (checkpoint.Complete(keeper, meter, found), *reports):
                trainer.add_callback(callback)
            _run(trainer, found)
    if keeper.best.state is None:
        raise FairauditError("training ended before its first evaluation; give it more steps.")
    restore(model, keeper.best.state)
    _say_best(keeper.best, keeper.records, selector, task.voice)
    history, spent = tuple(keeper.records), (meter.seconds(), meter.peak(), ready)
    return Fitted(model, adaptation, groups, keeper.best, history, *spent)


def trainer_of(
    task: Task, model: Any, groups: Groups, feed: Feed, selector: Selector, keeper: KeepBest, folder: str
) -> FairnessTrainer:
    """The trainer of a task. `folder`: where it writes."""
    settings = task.settings
    pace = Pace(keeper, settings.eval_every, settings.save_every if task.folder else 0, settings.patience)
    trainer: FairnessTrainer = checkpoint.LightTrainer(
        model=model,
        args=arguments_of(task, folder),
        train_dataset=feed.train,
        eval_dataset=feed.validation,
        data_collator=feed.collate,
        compute_metrics=lambda found: selector.metrics(found.predictions, trainer.state.global_step),
        objective=settings.spec.objective(tuple(groups.counts().values()), settings.terms),
        group_names=groups.names,
        sampler=sampler_of(task, groups),
        callbacks=[keeper, pace, ShowProgress(task.voice, f"train {settings.method}")],
    )
    trainer.history = keeper.records
    return trainer


@contextmanager
def _training_folder(folder: Path | None, found: checkpoint.Checkpoint | None) -> Iterator[str]:
    """The folder that Trainer writes to: of the task, without what an earlier run left; else a passing one."""
    if folder is None:
        with tempfile.TemporaryDirectory() as passing:
            yield passing
        return
    if ranks.leads():
        folder.mkdir(parents=True, exist_ok=True)
        checkpoint.clean(folder, found)
    yield str(folder)


def _say_small(groups: Groups, task: Task) -> None:
    """A group of one row trains, but its mean loss is that row's: say so."""
    alone = [name for name, n in groups.counts().items() if n == 1]
    if alone and task.settings.spec.compares_groups:
        named = ", ".join(alone[:5]) + (f" and {len(alone) - 5} more" if len(alone) > 5 else "")
        task.voice.say(f"one train row only in {named}: the loss of such a group is the loss of that row.")


def trainable(task: Task) -> tuple[Any, Adaptation]:
    """The model with what the method trains of it: LoRA put on, or everything."""
    classifier, settings = task.classifier, task.settings
    cut = cut_of(classifier.model, settings.adapt)
    if cut is not None:
        task.voice.say(
            f"only {cut} and the head are adapted; what is before them is frozen, in evaluation mode."
        )
    if not settings.spec.adapts:
        only = () if cut is None else (*cut.adapted, *classifier.fresh_modules)
        return classifier.model, train_everything(classifier.model, only)
    return add_adapter(
        classifier.model,
        settings.rank,
        settings.alpha,
        settings.dropout,
        targets_after(classifier.model, cut, settings.targets),
        classifier.fresh_modules,
        settings.freeze_head,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Feed:
    """What the trainer reads: items of both splits, and how a list of items becomes a batch."""

    train: Any
    validation: Any
    collate: Callable[[Any], dict[str, Any]]


@contextmanager
def feed_of(task: Task, groups: Groups) -> Iterator[Feed]:
    """The rows as the trainer reads them, for the time of training; afterwards the model is as it was.

    Where only the last blocks are adapted: their activations before those, unless the cache is off.
    """
    cut = cut_of(task.classifier.model, task.settings.adapt)
    if cut is not None and task.settings.cache != OFF:
        with started_at(task, cut, groups) as (train_data, val_data, collate):
            yield Feed(train_data, val_data, collate)
        return
    train, val = task.rows.of_split(TRAIN), task.rows.of_split(VALIDATION)
    with nullcontext() if cut is None else frozen_until(task, cut):
        yield Feed(
            _encoded(task.classifier, train, groups),
            _encoded(task.classifier, val, None),
            task.classifier.preprocessor.collate,
        )


def sampler_of(task: Task, groups: Groups) -> BalancedOrder | None:
    """The order in which the method draws the train rows; None: Trainer's own shuffle.

    A sampler has `set_epoch(epoch)`, which is called before each epoch, and depends on seed and epoch alone:
    so every rank and every resumed run draws the same rows.
    """
    settings = task.settings
    return BalancedOrder(groups.ids, settings.seed) if settings.terms.sampling == BALANCED else None


def _run(trainer: FairnessTrainer, found: checkpoint.Checkpoint | None) -> None:
    from transformers.trainer_callback import PrinterCallback

    trainer.remove_callback(PrinterCallback)  # stdout is for results
    with quiet(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*pin_memory.*")
        # Trainer's own evaluation before the first step: a call of evaluate() before train() would have accelerate
        # take the model as prepared, and on several ranks each would train alone.
        trainer.args.eval_on_start = found is None
        trainer.train(resume_from_checkpoint=None if found is None else str(found.folder))


def _encoded(classifier: Classifier, rows: Rows, groups: Groups | None) -> Encoded:
    targets = target_ids(rows.y_true, classifier.labels, str(rows.source))
    return Encoded(
        rows.inputs, rows.ids, classifier.preprocessor, targets, groups.ids.tolist() if groups else None
    )


def selector_of(task: Task) -> Selector:
    """What scores predictions of the val rows."""
    from fairaudit_mitigate.reaudit import better_direction

    classifier, val, metric = task.classifier, task.rows.of_split(VALIDATION), task.settings.select
    targets = target_ids(val.y_true, classifier.labels, str(val.source))
    return Selector(
        rows=val,
        targets=np.array(targets, dtype=np.int64),
        metric=metric,
        better=better_direction(metric),
        positive=task.positive,
        panel=bool(task.settings.report_to),
        table=lambda logits: table_of(val, classifier.labels, targets, torch.from_numpy(logits)),
    )


def arguments_of(task: Task, scratch: str) -> Any:
    """Trainer's arguments. `scratch`: its folder."""
    from transformers import TrainingArguments

    settings, hardware = task.settings, task.hardware
    device = pick_device(hardware.device)
    arguments = TrainingArguments(
        output_dir=scratch,
        num_train_epochs=settings.epochs,
        max_steps=settings.max_steps or -1,
        per_device_train_batch_size=settings.batch_size,
        per_device_eval_batch_size=hardware.batch_size,
        gradient_accumulation_steps=settings.accumulate,
        learning_rate=settings.rate,
        weight_decay=settings.weight_decay,
        warmup_steps=settings.warmup,
        seed=settings.seed,
        data_seed=settings.seed,
        eval_strategy="no",  # keeping.Pace says when there is an evaluation and when a checkpoint
        save_strategy="no",
        save_total_limit=checkpoint.KEPT,
        logging_strategy="steps" if settings.report_to else "no",
        logging_steps=1,
        logging_nan_inf_filter=False,
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        label_names=["labels"],
        use_cpu=device.type == "cpu",
        ddp_backend="gloo" if device.type == "cpu" and ranks.world() > 1 else None,
        ddp_timeout=int(ranks.PATIENCE.total_seconds()),
        bf16=pick_dtype(hardware.dtype, device) == torch.bfloat16,
        dataloader_pin_memory=device.type == "cuda",
        max_grad_norm=MAX_GRAD_NORM,
    )
    # Without torchrun Trainer would take every visible GPU as DataParallel, which splits the groups of a step.
    arguments._n_gpu = min(arguments.n_gpu, 1)
    return arguments


def _say_best(best: Best, history: list[dict[str, object]], selector: Selector, voice: Voice) -> None:
    """Which step was kept, and whether it is better than the model before training."""
    score = (best.metrics or {}).get(selector.metric, math.nan)
    voice.say(f"best step on validation: {best.step} ({selector.metric} {score:.3f}).")
    if math.isnan(score):
        voice.say(
            f"{selector.metric} is undefined on validation (too few rows a cell): accuracy chose the step."
        )
    start = next((h["validation"] for h in history if h["step"] == 0 and "validation" in h), None)
    before = start.get(selector.metric, math.nan) if isinstance(start, dict) else math.nan
    if selector.better * score <= selector.better * before:
        voice.say(f"no step beats the model before training on validation ({selector.metric} {before:.3f}).")
