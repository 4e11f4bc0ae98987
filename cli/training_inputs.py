"""The flags of the commands that train, declared once: one line a field of `fairaudit_mitigate.settings.Settings`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer

from fairaudit_cli.flags import with_flags

_OBJECTIVE, _LORA, _MODEL, _TRAINING = "Objective", "LoRA", "Model", "Training"


def _in(panel: str, text: str, metavar: str | None = None) -> Any:
    return typer.Option(metavar=metavar, help=text, rich_help_panel=panel)


def _switch(panel: str, flag: str, text: str) -> Any:
    return typer.Option(flag, help=text, rich_help_panel=panel)


def _flags(
    groups: Annotated[str | None, _in(_OBJECTIVE, "Groups compared.", "class|cell|COL")] = None,
    penalty: Annotated[float | None, _in(_OBJECTIVE, "λ; the method's own if not given.")] = None,
    reduction: Annotated[str | None, _in(_OBJECTIVE, "Penalty over groups.", "sum|mean")] = None,
    sided: Annotated[str | None, _in(_OBJECTIVE, "Gaps that are penalised.", "both|up")] = None,
    estimate: Annotated[
        str | None, _in(_OBJECTIVE, "Group losses from what.", "batch|corrected|memory")
    ] = None,
    sampling: Annotated[str | None, _in(_OBJECTIVE, "Rows of a step.", "shuffled|balanced")] = None,
    adjustment: Annotated[
        float | None, _in(_OBJECTIVE, "Margin C/√n on the loss of a small group.", "C")
    ] = None,
    decay: Annotated[float | None, _in(_OBJECTIVE, "Of the memory, a step.", "[0,1)")] = None,
    rank: Annotated[int, _in(_LORA, "Rank of LoRA.")] = 8,
    alpha: Annotated[int, _in(_LORA, "Alpha of LoRA.")] = 16,
    dropout: Annotated[float, _in(_LORA, "Dropout of LoRA's input.", "[0,1)")] = 0.0,
    targets: Annotated[str, _in(_LORA, "Modules that get LoRA.", "NAME,…")] = "",
    adapt: Annotated[str, _in(_LORA, "Blocks that are adapted.", "all|last-K")] = "all",
    cache: Annotated[
        str | None, _in(_LORA, "Keep what last-K freezes here; off: no cache.", "DIR|off")
    ] = None,
    cache_dtype: Annotated[
        str | None, _in(_LORA, "Its numbers; exact if not given.", "float32|float16|bfloat16")
    ] = None,
    head: Annotated[str, _in(_MODEL, "Head of a CLIP checkpoint.", "linear|zero-shot")] = "linear",
    prompt: Annotated[str, _in(_MODEL, "What zero-shot says of a class.")] = "a photo of a {}",
    freeze_head: Annotated[
        bool, typer.Option("--freeze-head", help="Train LoRA only.", rich_help_panel=_MODEL)
    ] = False,
    class_names: Annotated[str, _in(_MODEL, "Names of classes 0, 1, … of the data.", "NAME,…")] = "",
    quantize: Annotated[str | None, _in(_MODEL, "Frozen weights in fewer bits.", "4bit|8bit")] = None,
    trust_remote_code: Annotated[
        bool, _switch(_MODEL, "--trust-remote-code", "Run the Python files of the checkpoint.")
    ] = False,
    lr: Annotated[float | None, _in(_TRAINING, "Learning rate; the method's own if not given.")] = None,
    weight_decay: Annotated[float, _in(_TRAINING, "Weight decay of AdamW.")] = 0.0,
    warmup: Annotated[
        float, _in(_TRAINING, "Steps until the learning rate is full; below 1: this share of all steps.")
    ] = 0.05,
    epochs: Annotated[float, _in(_TRAINING, "Passes over the train rows.")] = 4,
    max_steps: Annotated[int | None, _in(_TRAINING, "Train so many steps, whatever --epochs is.")] = None,
    accumulate: Annotated[int, _in(_TRAINING, "Micro-batches (of --batch-size) a step.")] = 1,
    select: Annotated[str, _in(_TRAINING, "Validation metric of the best step.")] = "worst_group_accuracy",
    seed: Annotated[int, _in(_TRAINING, "Seed of everything random.")] = 0,
    eval_every: Annotated[
        int | None, _in(_TRAINING, "Steps between evaluations; an epoch's if not given.")
    ] = None,
    save_every: Annotated[
        int | None, _in(_TRAINING, "Steps between checkpoints; each evaluation if not given, 0: none.")
    ] = None,
    patience: Annotated[
        int | None, _in(_TRAINING, "Stop after this many evaluations without a new best.")
    ] = None,
    checkpoint_gradients: Annotated[
        bool,
        typer.Option("--checkpoint-gradients", help="Less memory, more time.", rich_help_panel=_TRAINING),
    ] = False,
    report_to: Annotated[
        list[str] | None, _in(_TRAINING, "Follow training there; repeatable.", "tensorboard|mlflow")
    ] = None,
) -> None:
    """Only its signature is used."""


def trains(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the shared flags after its own, given to it as the mapping `training`."""
    return with_flags(command, _flags, training, "training")


def training(flags: Mapping[str, Any]) -> dict[str, Any]:
    """The flags as fields of `Settings`."""
    lists = {name: _list(flags[name]) for name in ("targets", "class_names")}
    return {**flags, **lists, "report_to": tuple(flags["report_to"] or ())}


def _list(text: str) -> tuple[str, ...]:
    return tuple(t.strip() for t in text.split(",") if t.strip())
