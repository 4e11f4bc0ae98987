"""Training runs that record the gradient of every step, on one process or on several ranks.

`python gradient_runs.py FOLDER` is one rank of several (the environment says which) and writes FOLDER/RANK.pt.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
import transformers
from oracle_objective import Case, Remembered, value

from fairaudit_mitigate.methods.method import Terms, penalised
from fairaudit_mitigate.objective import Objective
from fairaudit_mitigate.objective_dro import GroupDRO
from fairaudit_mitigate.train import FairnessTrainer

STEP_ROWS, STEPS = 32, 3
N = STEP_ROWS * STEPS
NAMES = ("a", "b", "c", "d", "e", "never")


def group_of(row: int) -> int:
    """Group 3 only at the start of a step (one rank, one micro-batch), group 4 in one row a step."""
    place = row % STEP_ROWS
    if place == 5:
        return 4
    if place < 4:
        return 3
    return (-1, 0, 0, 1, 2, 0, 1, 0)[(row * 5) % 8] if row >= STEP_ROWS else (-1, 0, 0, 1, 0)[row % 5]


KEPT = [r for r in range(N) if r % 5 != 3]  # the collator drops the others: micro-batches of uneven size
COUNTS = tuple(max(1, sum(group_of(r) == g for r in KEPT)) for g in range(len(NAMES)))
CASES = {
    "paper": Case("fair"),
    "mean": Case("fair", reduction="mean"),
    "up": Case("fair", sided="up"),
    "up, mean": Case("fair", sided="up", reduction="mean"),
    "corrected": Case("fair", corrected=True),
    "corrected, mean": Case("fair", corrected=True, reduction="mean"),
    "memory": Case("memory", counts=COUNTS),
    "memory, up": Case("memory", sided="up", counts=COUNTS),
    "memory, up, mean": Case(
        "memory", sided="up", reduction="mean", penalty=10.0, counts=COUNTS, adjustment=1.0, decay=0.98
    ),
    "groupdro": Case("dro", counts=COUNTS),
    "plain": Case("fair", penalty=0.0),
}


def objective_of(case: Case) -> Objective:
    if case.kind == "dro":
        return GroupDRO(case.counts)
    estimate = "memory" if case.kind == "memory" else "corrected" if case.corrected else "batch"
    terms = Terms(
        case.penalty, case.reduction, case.sided, estimate, adjustment=case.adjustment, decay=case.decay
    )
    return penalised(COUNTS, terms)


class Net(torch.nn.Module):  # type: ignore[misc,name-defined]
    def __init__(self, dtype: Any, dropout: float = 0.0) -> None:
        super().__init__()
        torch.manual_seed(3)
        layers = [torch.nn.Linear(3, 8), torch.nn.Dropout(dropout), torch.nn.Tanh(), torch.nn.Linear(8, 3)]
        self.layers = torch.nn.Sequential(*layers).to(dtype)

    def forward(self, x: Any) -> Any:
        return transformers.modeling_outputs.SequenceClassifierOutput(logits=self.layers(x))


def table(dtype: Any) -> list[dict[str, Any]]:
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(N, 3, generator=generator, dtype=torch.float64).to(dtype)
    y = torch.randint(0, 3, (N,), generator=generator).tolist()
    return [{"x": x[r], "labels": y[r], "groups": group_of(r), "row": r} for r in range(N)]


class Recorder(transformers.TrainerCallback):  # type: ignore[misc]
    """Which rows the step had, where the generator stood, and what gradient came of it."""

    def __init__(self) -> None:
        self.gradients: list[Any] = []
        self.generators: list[Any] = []
        self.batches: list[list[list[int]]] = []

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.generators.append(torch.get_rng_state())

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.gradients.append(torch.cat([p.grad.flatten() for p in kwargs["model"].parameters()]).clone())


class Recording(FairnessTrainer):
    def get_batch_samples(self, *args: Any) -> Any:
        batches, items = super().get_batch_samples(*args)
        self.recorder.batches.append([b["row"].tolist() for b in batches])
        return batches, items

    def _row_losses(self, model: Any, inputs: Any) -> Any:
        return super()._row_losses(model, {k: v for k, v in inputs.items() if k != "row"})


def collate(items: list[dict[str, Any]]) -> dict[str, Any]:
    kept = [i for i in items if i["row"] % 5 != 3]
    plain = {k: torch.tensor([i[k] for i in kept], dtype=torch.long) for k in ("labels", "groups", "row")}
    return {"x": torch.stack([i["x"] for i in kept]), **plain}


def run(name: str, accumulate: int, dtype: Any, dropout: float = 0.0, ranks: int = 1) -> dict[str, Any]:
    """Three steps of 32 rows less those dropped; what each of them recorded."""
    net, recorder = Net(dtype, dropout), Recorder()
    with tempfile.TemporaryDirectory() as folder:
        arguments = transformers.TrainingArguments(
            output_dir=folder, use_cpu=True, report_to="none", save_strategy="no", logging_strategy="no",
            disable_tqdm=True, dataloader_pin_memory=False, max_steps=STEPS, learning_rate=1.0, optim="sgd",
            lr_scheduler_type="constant", max_grad_norm=0.0, gradient_accumulation_steps=accumulate,
            per_device_train_batch_size=STEP_ROWS // accumulate // ranks, remove_unused_columns=False,
            train_sampling_strategy="sequential", ddp_backend="gloo" if ranks > 1 else None,
            ddp_find_unused_parameters=False,
        )  # fmt: skip
        trainer = Recording(
            model=net, args=arguments, train_dataset=table(dtype), data_collator=collate,
            objective=objective_of(CASES[name]), group_names=NAMES, callbacks=[recorder],
        )  # fmt: skip
        trainer.recorder = recorder
        trainer.train()
    return {
        "gradients": recorder.gradients,
        "batches": recorder.batches,
        "generators": recorder.generators,
        "memory": trainer.objective_state().get("memory"),
        "history": trainer.history,
    }


def expected(name: str, ranks: list[dict[str, Any]], dtype: Any, dropout: float = 0.0) -> list[Any]:
    """The gradients of full-batch autograd through the oracle, along its own steps."""
    net, data, state = Net(dtype, dropout), table(dtype), Remembered()
    net.train()
    gradients = []
    for step in range(STEPS):
        losses, groups = [], []
        for rank in ranks:
            torch.set_rng_state(rank["generators"][step])
            for batch in rank["batches"][step]:
                x, y = (
                    torch.stack([data[r]["x"] for r in batch]),
                    torch.tensor([data[r]["labels"] for r in batch]),
                )
                losses.append(torch.nn.functional.cross_entropy(net(x).logits, y, reduction="none"))
                groups += [group_of(r) for r in batch]
        net.zero_grad()
        value(CASES[name], torch.cat(losses), groups, state).backward()
        gradients.append(torch.cat([p.grad.flatten() for p in net.parameters()]).clone())
        with torch.no_grad():
            for p in net.parameters():
                p.sub_(p.grad)
    return gradients


def worst(found: list[Any], wanted: list[Any]) -> float:
    """The largest relative difference of the gradient over the steps."""
    return max(float((f - w).norm() / w.norm()) for f, w in zip(found, wanted, strict=True))


RANKED = ("paper", "mean", "up", "corrected", "memory, up, mean", "groupdro", "plain")
PLAN = [
    (name, accumulate, dtype, 0.0)
    for name in RANKED
    for accumulate in (1, 2, 4, 8)
    for dtype in ("float64", "float32")
] + [(name, 2, "float64", 0.5) for name in RANKED]


def main(folder: Path) -> None:
    import os

    torch.set_num_threads(1)
    found = {(n, a, d, p): run(n, a, getattr(torch, d), p, ranks=2) for n, a, d, p in PLAN}
    torch.save(found, folder / f"{os.environ['RANK']}.pt")
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
