"""FairnessTrainer in a script of one's own: columns, log, checkpoints, what stops it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from fairaudit.errors import FairauditError  # noqa: E402
from fairaudit_mitigate import FairnessTrainer  # noqa: E402
from fairaudit_mitigate.methods.method import Terms, penalised  # noqa: E402
from fairaudit_mitigate.objective import Objective  # noqa: E402
from fairaudit_mitigate.objective_dro import GroupDRO  # noqa: E402
from fairaudit_mitigate.objective_fair import FairLoss  # noqa: E402
from fairaudit_mitigate.train import in_words  # noqa: E402

ROWS = 24
NAMES = ("class=0 & sex=F", "class=1 & sex=F", "class=2 & sex=F")
REMEMBERED = penalised((9, 8, 7), Terms(3.0, "mean", "up", "memory", adjustment=1.0))


class Net(torch.nn.Module):  # type: ignore[misc,name-defined]
    def __init__(self, *more: Any) -> None:
        super().__init__()
        torch.manual_seed(3)
        layers = [torch.nn.Linear(3, 8), *more, torch.nn.Tanh(), torch.nn.Dropout(0.2), torch.nn.Linear(8, 3)]
        self.layers = torch.nn.Sequential(*layers)

    def forward(self, x: Any) -> Any:
        return transformers.modeling_outputs.SequenceClassifierOutput(logits=self.layers(x))


def rows(column: str = "groups", **more: Any) -> list[dict[str, Any]]:
    generator = torch.Generator().manual_seed(5)
    return [
        {
            "x": torch.randn(3, generator=generator).tolist(),
            "labels": int(torch.randint(0, 3, (), generator=generator)),
            column: int(torch.randint(-1, 3, (), generator=generator)),
            **more,
        }
        for _ in range(ROWS)
    ]


def trainer(
    folder: Path,
    net: Net,
    objective: Objective | None,
    data: Any = None,
    kind: Any = FairnessTrainer,
    **changes: Any,
) -> Any:
    own = {k: changes.pop(k) for k in ("group_column", "group_names", "eval_dataset") if k in changes}
    settings = {"per_device_train_batch_size": 6, "max_steps": 4, "learning_rate": 0.1, "save_strategy": "no"}
    arguments = transformers.TrainingArguments(
        output_dir=str(folder), use_cpu=True, report_to="none", disable_tqdm=True, dataloader_pin_memory=False,
        **(settings | changes),
    )  # fmt: skip
    if kind is FairnessTrainer:
        own = {"objective": objective, "group_names": NAMES, **own}
    return kind(model=net, args=arguments, train_dataset=data or rows(), **own)


def parameters(net: Net) -> Any:
    return torch.cat([p.detach().flatten() for p in net.parameters()])


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_without_an_objective_it_is_the_plain_trainer_to_the_bit(tmp_path: Path, accumulate: int) -> None:
    def mean(outputs: Any, labels: Any, num_items_in_batch: Any = None) -> Any:
        return torch.nn.functional.cross_entropy(outputs.logits, labels) / accumulate

    changes = {"gradient_accumulation_steps": accumulate, "lr_scheduler_type": "constant"}
    ours, plain = Net(), Net()
    trainer(tmp_path, ours, None, **changes).train()
    other = trainer(tmp_path, plain, None, kind=transformers.Trainer, label_names=["labels"], **changes)
    other.compute_loss_func = mean
    other.train()
    assert torch.equal(parameters(ours), parameters(plain))


def test_a_group_column_of_another_name_is_kept_and_never_reaches_the_model(tmp_path: Path) -> None:
    """Trainer's column filter is on: it drops `text`, which no collator could make a tensor of."""
    named = trainer(tmp_path, Net(), REMEMBERED, rows("cell", text="…"), group_column="cell")
    named.train()
    usual = trainer(tmp_path, Net(), REMEMBERED)
    usual.train()
    assert [r["weights"] for r in named.history] == [r["weights"] for r in usual.history]
    assert len({tuple(r["weights"].values()) for r in named.history}) > 1


def test_batches_without_groups_are_refused_where_they_are_compared(tmp_path: Path) -> None:
    with pytest.raises(FairauditError, match=r"no column 'cell' \(columns: .*groups.*group_column"):
        trainer(tmp_path, Net(), REMEMBERED, group_column="cell", remove_unused_columns=False).train()
    trainer(tmp_path, Net(), FairLoss(3), [{k: r[k] for k in ("x", "labels")} for r in rows()]).train()


def test_as_many_names_as_groups(tmp_path: Path) -> None:
    with pytest.raises(FairauditError, match="has 3 groups and 2 are named"):
        trainer(tmp_path, Net(), REMEMBERED, group_names=("a", "b"))
    unnamed = trainer(tmp_path, Net(), REMEMBERED, group_names=())
    unnamed.train()
    assert set(unnamed.history[-1]["remembered"]) <= {"0", "1", "2"}


def test_evaluation_needs_no_groups(tmp_path: Path) -> None:
    run = trainer(
        tmp_path, Net(), REMEMBERED, eval_dataset=[{k: r[k] for k in ("x", "labels")} for r in rows()]
    )
    assert run.evaluate()["eval_loss"] > 0


def test_the_log_tells_what_happened_to_the_groups(tmp_path: Path) -> None:
    run = trainer(tmp_path, Net(), FairLoss(3, Terms(50.0)), logging_steps=1)
    run.train()
    logged = [entry for entry in run.state.log_history if "loss" in entry]
    assert len(logged) == 4
    for entry, record in zip(logged, run.history, strict=True):
        assert entry["penalty"] == record["penalty"]
        assert entry["loss"] == pytest.approx(record["objective"], rel=1e-5)
        assert entry["negative_weights"] == sum(w < 0 for w in record["weights"].values())
        for k, name in enumerate(NAMES):
            assert entry.get(f"group_loss/class_{k} _ sex_F") == record["group_losses"].get(name)
    assert max(entry["negative_weights"] for entry in logged) > 0


def test_logged_names_suit_mlflow() -> None:
    record = {"penalty": 0.5, "group_losses": {"région=Île & a/b": 1.0}, "weights": {}}
    assert in_words(record) == {"penalty": 0.5, "group_loss/région_Île _ a/b": 1.0}


@pytest.mark.parametrize("objective", [FairLoss(3), REMEMBERED, FairLoss(3, Terms(1.0)), GroupDRO((9, 8, 7))])
@pytest.mark.parametrize("accumulate", [1, 4])
def test_a_loss_that_is_not_finite_stops_before_the_step(
    tmp_path: Path, objective: Objective, accumulate: int
) -> None:
    data = rows()
    next(r for r in data if r["groups"] == 1)["x"][0] = float("nan")
    net = Net()
    before = parameters(net)
    size = ROWS // accumulate
    changes = {"per_device_train_batch_size": size, "gradient_accumulation_steps": accumulate}
    with pytest.raises(FairauditError, match=r"not finite at step 1 \(groups: class=1 & sex=F\); lower --lr"):
        trainer(tmp_path, net, objective, data, **changes).train()
    assert torch.equal(parameters(net), before)


@pytest.mark.parametrize("objective", [REMEMBERED, GroupDRO((9, 8, 7), step_size=0.5)])
def test_what_is_remembered_goes_through_a_checkpoint(tmp_path: Path, objective: Objective) -> None:
    whole, first, second = Net(), Net(), Net()
    saving = {"save_strategy": "steps", "save_steps": 2, "lr_scheduler_type": "constant", "max_steps": 8}
    uninterrupted = trainer(tmp_path / "a", whole, objective, **saving)
    uninterrupted.train()
    stopped = trainer(tmp_path / "b", first, objective, **(saving | {"max_steps": 4}))
    stopped.train()
    resumed = trainer(tmp_path / "b", second, objective, **saving)
    resumed.train(resume_from_checkpoint=str(tmp_path / "b" / "checkpoint-4"))
    assert [r["step"] for r in resumed.history] == [5, 6, 7, 8]
    assert resumed.history == uninterrupted.history[4:]
    assert torch.equal(parameters(second), parameters(whole))
    assert torch.equal(resumed.objective_state()["memory"], uninterrupted.objective_state()["memory"])


def test_a_memory_of_other_groups_is_refused(tmp_path: Path) -> None:
    run = trainer(tmp_path, Net(), REMEMBERED)
    with pytest.raises(FairauditError, match="same method and groups"):
        run.load_objective_state({"memory": torch.zeros(2, 7)})
    with pytest.raises(FairauditError, match="same method and groups"):
        run.load_objective_state({})
    run.load_objective_state({"memory": torch.ones(2, 3)})
    assert run.objective_state()["memory"].dtype == torch.float64


def test_batch_norms_count_the_rows_of_two_passes_once(tmp_path: Path) -> None:
    norms = [torch.nn.BatchNorm1d(8) for _ in range(2)]
    once, twice = (Net(norm) for norm in norms)
    changes = {"max_steps": 1, "gradient_accumulation_steps": 4}
    trainer(tmp_path, once, FairLoss(3), **changes).train()
    trainer(tmp_path, twice, FairLoss(3, Terms(1.0)), **changes).train()
    assert [int(norm.num_batches_tracked) for norm in norms] == [4, 4]
    assert torch.equal(norms[0].running_mean, norms[1].running_mean)


def test_ranks_that_would_train_apart_are_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Evaluating first leaves the model without DDP (accelerate takes it as prepared)."""
    from accelerate import DistributedType

    run = trainer(tmp_path, Net(), FairLoss(3))
    run._check_together()  # one process: nothing to say
    monkeypatch.setattr(type(run.accelerator), "distributed_type", DistributedType.MULTI_CPU)
    with pytest.raises(FairauditError, match="train apart"):
        run._check_together()
    run.model_wrapped = torch.nn.Sequential(run.model)
    run._check_together()
