"""The trainer: exact under accumulation, same dropout in both passes, plain LoRA without penalty."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from fairaudit.errors import FairauditError  # noqa: E402
from fairaudit_mitigate import FairnessTrainer  # noqa: E402
from fairaudit_mitigate.keeping import KeepBest  # noqa: E402
from fairaudit_mitigate.methods.method import Terms  # noqa: E402
from fairaudit_mitigate.objective import Objective, one_pass  # noqa: E402
from fairaudit_mitigate.objective_fair import FairLoss  # noqa: E402

ROWS = 18


class Net(torch.nn.Module):  # type: ignore[misc,name-defined]
    """A float64 classifier of points, with dropout where asked."""

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        torch.manual_seed(3)
        layers = [torch.nn.Linear(3, 8), torch.nn.Dropout(dropout), torch.nn.Tanh(), torch.nn.Linear(8, 3)]
        self.layers = torch.nn.Sequential(*layers).double()

    def forward(self, x: Any) -> Any:
        return transformers.modeling_outputs.SequenceClassifierOutput(logits=self.layers(x))


def rows() -> list[dict[str, Any]]:
    generator = torch.Generator().manual_seed(5)
    return [
        {
            "x": torch.randn(3, generator=generator, dtype=torch.float64),
            "labels": int(torch.randint(0, 3, (), generator=generator)),
            "groups": int(torch.randint(-1, 3, (), generator=generator)),
        }
        for _ in range(ROWS)
    ]


def collate(items: list[dict[str, Any]]) -> dict[str, Any]:
    plain = {k: torch.tensor([i[k] for i in items]) for k in ("labels", "groups")}
    return {"x": torch.stack([i["x"] for i in items]), **plain}


def trainer(
    folder: Path, net: Net, objective: Objective, *, names: Any = ("a", "b", "c"), **changes: Any
) -> FairnessTrainer:
    settings = {
        "per_device_train_batch_size": ROWS,
        "max_steps": 1,
        "learning_rate": 1.0,
        "optim": "sgd",
        "lr_scheduler_type": "constant",
        "max_grad_norm": 0.0,
        "save_strategy": "no",
    }
    arguments = transformers.TrainingArguments(
        output_dir=str(folder), use_cpu=True, report_to="none", logging_strategy="no",
        disable_tqdm=True, dataloader_pin_memory=False, **(settings | changes),
    )  # fmt: skip
    return FairnessTrainer(
        model=net, args=arguments, train_dataset=rows(), data_collator=collate, objective=objective,
        group_names=names,
    )  # fmt: skip


def parameters(net: Net) -> Any:
    return torch.cat([p.detach().flatten() for p in net.parameters()])


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("penalty", [0.0, 2.0])
@pytest.mark.parametrize(("batch", "pieces"), [(9, 2), (5, 4)])
def test_accumulated_step_equals_the_full_batch(
    tmp_path: Path, penalty: float, batch: int, pieces: int
) -> None:
    objective = FairLoss(3, Terms(penalty))
    start, whole, parts = Net(), Net(), Net()
    trainer(tmp_path, whole, objective).train()
    run = trainer(
        tmp_path, parts, objective, per_device_train_batch_size=batch, gradient_accumulation_steps=pieces
    )
    run.train()
    expected = parameters(whole) - parameters(start)
    assert expected.norm() > 0.01
    assert (parameters(parts) - parameters(whole)).norm() / expected.norm() < 1e-9
    assert len(run.history) == 1
    assert run.history[0]["groups_present"] == 3


def test_the_step_follows_the_objective(tmp_path: Path) -> None:
    net, reference = Net(), Net()
    trainer(tmp_path, net, FairLoss(3, Terms(0.7))).train()
    batch = collate(rows())
    losses = torch.nn.functional.cross_entropy(
        reference.layers(batch["x"]), batch["labels"], reduction="none"
    )
    fair = FairLoss(3, Terms(0.7))
    loss, _, _ = one_pass(fair, losses, batch["groups"], fair.start())
    loss.backward()
    expected = torch.cat([(p - p.grad).detach().flatten() for p in reference.parameters()])
    torch.testing.assert_close(parameters(net), expected, rtol=0, atol=1e-14)


def test_no_penalty_is_the_plain_trainer_to_the_bit(tmp_path: Path) -> None:
    """Also the objective that `lora` uses: three steps, small batches."""
    changes = {"per_device_train_batch_size": 4, "max_steps": 3}
    fair, plain = Net(), Net()
    trainer(tmp_path, fair, FairLoss(3, Terms(0.0)), **changes).train()
    trainer(tmp_path, plain, FairLoss(3), **changes).train()
    assert torch.equal(parameters(fair), parameters(plain))


def test_both_passes_draw_the_same_dropout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    inner = FairnessTrainer._row_losses

    def record(self: FairnessTrainer, model: Any, inputs: Any) -> Any:
        found = inner(self, model, inputs)
        seen.append(found[0].detach())
        return found

    monkeypatch.setattr(FairnessTrainer, "_row_losses", record)
    changes = {"per_device_train_batch_size": 6, "gradient_accumulation_steps": 3}
    trainer(tmp_path, Net(dropout=0.5), FairLoss(3, Terms(1.0)), **changes).train()
    assert len(seen) == 6
    assert all(torch.equal(first, second) for first, second in zip(seen[:3], seen[3:], strict=True))


def test_a_loss_that_is_not_finite_stops_with_step_and_group(tmp_path: Path) -> None:
    run = trainer(tmp_path, Net(), FairLoss(3, Terms(0.1)))
    for row in run.train_dataset:
        if row["groups"] == 1:
            row["x"].fill_(float("inf"))
    with pytest.raises(FairauditError, match=r"step 1 \(groups: b\)"):
        run.train()


def test_keep_best_prefers_the_score_and_then_accuracy() -> None:
    records: list[dict[str, object]] = []
    keeper = KeepBest(lambda m: m["worst"], records)
    net = Net()
    state = transformers.TrainerState()
    for step, (worst, accuracy) in enumerate(
        [(0.9, 0.9), (0.2, 0.5), (0.2, 0.6), (float("nan"), 0.9), (0.1, 1.0)]
    ):
        state.global_step = step
        metrics = {"eval_worst": worst, "eval_accuracy": accuracy, "eval_runtime": 1.0}
        keeper.on_evaluate(None, state, None, metrics=metrics, model=net)
    assert keeper.best.step == 2  # the model before training (step 0) is only looked at
    assert [r["step"] for r in records] == [0, 1, 2, 3, 4]
    assert "runtime" not in records[0]["validation"]


def test_a_validation_loss_that_is_not_finite_is_refused() -> None:
    state = transformers.TrainerState()
    state.global_step = 7
    metrics = {"eval_loss": float("nan"), "eval_accuracy": 0.5}
    with pytest.raises(FairauditError, match=r"not finite at step 7; lower --lr"):
        KeepBest(lambda m: m["accuracy"], []).on_evaluate(None, state, None, metrics=metrics, model=Net())


def test_the_first_step_moves(tmp_path: Path) -> None:
    net, changes = Net(), {"lr_scheduler_type": "linear", "warmup_steps": 3, "max_steps": 5}
    run = trainer(tmp_path, net, FairLoss(3), **changes)
    run.train()
    rates = [r["learning_rate"] for r in run.history]
    assert rates == pytest.approx([0.25, 0.5, 0.75, 1.0, 0.5])


def test_frozen_batch_norms_keep_their_statistics(tmp_path: Path) -> None:
    net = Net()
    frozen, trained = (torch.nn.BatchNorm1d(3).double() for _ in range(2))
    frozen.requires_grad_(False)
    net.layers.insert(0, frozen)
    net.layers.append(trained)
    trainer(tmp_path, net, FairLoss(3), max_steps=2).train()
    assert (int(frozen.num_batches_tracked), int(trained.num_batches_tracked)) == (0, 2)


@pytest.mark.parametrize("adapted", [True, False])
def test_norms_without_parameters_are_held_under_an_adapter(adapted: bool) -> None:
    from peft import LoraConfig, get_peft_model

    from fairaudit_mitigate.first_pass import hold_frozen_norms

    norm = torch.nn.BatchNorm1d(3, affine=False)
    net: Any = torch.nn.Sequential(norm, torch.nn.Linear(3, 2))
    model = get_peft_model(net, LoraConfig(target_modules=["1"])) if adapted else net
    model.train()
    hold_frozen_norms(model)
    model(torch.ones(4, 3))
    assert int(norm.num_batches_tracked) == (0 if adapted else 1)


@pytest.mark.parametrize(
    ("better", "before", "after", "said"),
    [(1, 0.5, 0.5, 2), (1, 0.4, 0.5, 1), (-1, 0.2, 0.0, 1), (-1, 0.2, 0.2, 2)],
)
def test_no_better_than_before_is_said(better: int, before: float, after: float, said: int) -> None:
    from fairaudit_mitigate.fit import _say_best
    from fairaudit_mitigate.keeping import Best
    from fairaudit_mitigate.selection import Selector
    from fairaudit_mitigate.voice import Voice

    heard: list[str] = []
    history: list[dict[str, object]] = [{"step": 0, "validation": {"m": before}}]
    selector = Selector(None, None, "m", better)
    _say_best(Best((better * after, 0.9), 4, {"m": after}), history, selector, Voice(heard.append))
    assert len(heard) == said


def test_outputs_that_are_not_finite_name_step_and_groups() -> None:
    from types import SimpleNamespace

    from fairaudit_mitigate.selection import Selector

    rows: Any = SimpleNamespace(y_true=("cat", "dog", "dog"), sensitive={"sex": ("F", "M", None)})
    logits = np.array([[0.0, 1.0], [np.nan, 0.0], [0.0, np.inf]], dtype=np.float32)
    selector = Selector(rows, np.array([0, 1, 1]), "accuracy")
    said = r"at step 7 on 2 of 3 val rows \(groups: class=dog & sex=M, class=dog\); lower --lr"
    with pytest.raises(FairauditError, match=said):
        selector.metrics(logits, 7)
    with pytest.raises(FairauditError, match="the model before training has outputs that are not finite"):
        selector.metrics(logits)
    ruled_out = np.array([[0.0, -np.inf], [1.0, 0.0], [0.0, 1.0]], dtype=np.float32)
    assert selector.metrics(ruled_out, 7)["accuracy"] == pytest.approx(2 / 3)


class Killed(transformers.TrainerCallback):  # type: ignore[misc,name-defined]
    """Stops a run after a step, as a kill would: the schedule stays that of the whole run."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        control.should_training_stop = state.global_step == self.step


@pytest.mark.parametrize("taken_up", ["name", "newest"])
def test_resumed_inside_an_epoch_with_dropout(tmp_path: Path, taken_up: str) -> None:
    """Steps of two micro-batches, three an epoch: taken up after the second, both passes draw as if never stopped."""
    changes = {
        "per_device_train_batch_size": 3, "gradient_accumulation_steps": 2, "max_steps": 5, "learning_rate": 0.1,
        "save_strategy": "steps", "save_steps": 2,
    }  # fmt: skip
    whole, part = Net(dropout=0.5), Net(dropout=0.5)
    trainer(tmp_path / "whole", whole, FairLoss(3, Terms(1.0)), **changes).train()
    killed = trainer(tmp_path / "part", part, FairLoss(3, Terms(1.0)), **changes)
    killed.add_callback(Killed(2))
    killed.train()
    assert not torch.equal(parameters(part), parameters(whole))
    again = Net(dropout=0.5)
    run = trainer(tmp_path / "part", again, FairLoss(3, Terms(1.0)), **changes)
    run.train(resume_from_checkpoint=True if taken_up == "newest" else str(tmp_path / "part/checkpoint-2"))
    assert [record["step"] for record in run.history] == [3, 4, 5]
    assert torch.equal(parameters(again), parameters(whole))


def test_other_groups_are_not_taken_up(tmp_path: Path) -> None:
    changes = {"save_strategy": "steps", "save_steps": 1}
    trainer(tmp_path, Net(), FairLoss(3), **changes).train()
    run = trainer(tmp_path, Net(), FairLoss(3), **(changes | {"max_steps": 2}), names=("a", "c", "b"))
    with pytest.raises(
        FairauditError, match="checkpoint has the groups a, b, c and this run a, c, b; resume"
    ):
        run.train(resume_from_checkpoint=True)


def test_several_gpus_in_one_process_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transformers.TrainingArguments, "n_gpu", property(lambda _: 2))
    with pytest.raises(FairauditError, match=r"share 2 GPUs as DataParallel; start it with torchrun"):
        trainer(tmp_path, Net(), FairLoss(3))
