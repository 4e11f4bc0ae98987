"""Training that stops early, fails, or saves memory: what is kept, what is said, what is the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("peft")

import models  # noqa: E402

from fairaudit.errors import FairauditError  # noqa: E402
from fairaudit_mitigate import Voice, meter, mitigate  # noqa: E402
from fairaudit_mitigate.keeping import KeepBest, Pace  # noqa: E402
from fairaudit_mitigate.recompute import recomputing  # noqa: E402
from fairaudit_mitigate.settings import Settings  # noqa: E402
from fairaudit_mitigate.train import FairnessTrainer  # noqa: E402

QUICK: dict[str, Any] = {"epochs": 3, "batch_size": 20, "lr": 1e-2, "rank": 2, "sensitive": ["sex"]}


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, Any]:
    model = models.save_model("bert", tmp_path / "m")
    return {"model": model, "data": models.save_texts(tmp_path / "d.csv"), "out": tmp_path / "out"}


def records(out: Path, word: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in (out / "history.jsonl").read_text().splitlines()]
    return [r for r in found if word in r]


def test_patience_ends_training_and_says_which_step_was_best(inputs: dict[str, Any]) -> None:
    """With a learning rate of nearly 0 nothing changes after the first evaluation: 2 more, and it is enough."""
    done = mitigate(**inputs, **(QUICK | {"epochs": 20, "lr": 1e-12}), patience=2, eval_every=3)
    assert [r["step"] for r in records(done.out, "validation")] == [0, 3, 6, 9]
    assert len(records(done.out, "objective")) == 9
    assert done.manifest["results"]["best_step"] == 3


def test_evaluations_come_every_n_steps_and_after_the_last(inputs: dict[str, Any]) -> None:
    done = mitigate(**inputs, **QUICK, eval_every=4)
    assert [r["step"] for r in records(done.out, "validation")] == [0, 4, 6]
    results = done.manifest["results"]
    assert results["seconds_training"] > 0
    assert results["peak_memory_bytes"] > 10_000_000


@pytest.mark.parametrize(("field", "value"), [("patience", 0), ("eval_every", 0), ("save_every", -1)])
def test_a_pace_that_is_none_is_refused(field: str, value: int) -> None:
    flag = "--" + field.replace("_", "-")
    with pytest.raises(FairauditError, match=f"{flag} is a whole number from"):
        Settings(**{field: value})


class State:
    def __init__(self, step: int, last: int = 100) -> None:
        self.global_step, self.max_steps, self.epoch = step, last, 0.0


class Control:
    should_evaluate = should_save = should_training_stop = False


def due(save_every: int | None, step: int, last: int = 100) -> tuple[bool, bool]:
    pace = Pace(KeepBest(lambda m: 0.0, []), 10, save_every, None)
    control: Any = Control()
    pace.on_step_end(None, State(step, last), control)  # type: ignore[arg-type]
    return control.should_evaluate, control.should_save


def test_checkpoints_and_evaluations_have_their_own_pace() -> None:
    assert due(None, 9) == (False, False)
    assert due(None, 10) == (True, True)
    assert due(7, 10) == (True, False)
    assert due(7, 14) == (False, True)
    assert due(0, 10) == (True, False)
    assert due(7, 13, last=13) == (True, True)
    assert due(0, 13, last=13) == (True, False)


def test_a_loss_that_breaks_keeps_the_last_good_checkpoint(
    inputs: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = FairnessTrainer._row_losses

    def breaking(self: FairnessTrainer, model: Any, batch: Any) -> Any:
        found = inner(self, model, batch)
        if model.training and self.state.global_step == 4:
            found = (found[0] * float("nan"), *found[1:])
        return found

    monkeypatch.setattr(FairnessTrainer, "_row_losses", breaking)
    said: list[str] = []
    with pytest.raises(FairauditError, match=r"not finite at step 5 \(groups: class=.*lower --lr"):
        mitigate(**inputs, **QUICK, voice=Voice(said.append))
    assert not inputs["out"].exists()
    assert any("checkpoint of step 4 is kept" in s for s in said)
    monkeypatch.undo()
    done = mitigate(**inputs, **QUICK, resume=True)
    assert len(records(done.out, "objective")) == 6


def test_other_data_is_not_resumed(inputs: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("fairaudit_mitigate.mitigation.save", stop)
    with pytest.raises(KeyboardInterrupt):
        mitigate(**inputs, **QUICK)
    monkeypatch.undo()
    with pytest.raises(FairauditError, match=r"same arguments only: settings.lr was 0.01 and is 0.02"):
        mitigate(**inputs, **(QUICK | {"lr": 0.02}), resume=True)
    content = inputs["data"].read_bytes()
    inputs["data"].write_bytes(content.replace(b"film", b"day"))
    with pytest.raises(FairauditError, match=r"same inputs only: data.d.csv has other contents"):
        mitigate(**inputs, **QUICK, resume=True)
    inputs["data"].write_bytes(content)
    assert mitigate(**inputs, **QUICK, resume=True).manifest["results"]["best_step"] > 0


def test_a_group_of_one_row_is_said_and_trained(inputs: dict[str, Any]) -> None:
    lines = inputs["data"].read_text().splitlines(keepends=True)
    train = [k for k, line in enumerate(lines) if line.endswith(",1,F,0\n")]
    for k in train[1:]:
        lines[k] = lines[k].replace(",1,F,0\n", ",1,M,0\n")
    inputs["data"].write_text("".join(lines))
    said: list[str] = []
    done = mitigate(**inputs, **QUICK, voice=Voice(said.append))
    assert done.manifest["results"]["groups"]["class=1 & sex=F"] == 1
    assert any(s.startswith("one train row only in class=1 & sex=F") for s in said)


def kept_bytes(model: Any, batch: Any) -> int:
    total = 0

    def count(tensor: Any) -> Any:
        nonlocal total
        total += tensor.numel() * tensor.element_size()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(count, lambda t: t):
        model(**batch).logits.logsumexp(1).sum().backward()
    return total


def test_recomputing_keeps_less_and_changes_no_gradient(tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification

    from fairaudit_mitigate.adapter import add_adapter

    loaded = AutoModelForSequenceClassification.from_pretrained(models.save_model("bert", tmp_path / "m"))
    torch.manual_seed(0)
    model, _ = add_adapter(loaded, 2, 4, 0.0)
    batch = {"input_ids": torch.randint(4, 12, (8, 6)), "attention_mask": torch.ones(8, 6, dtype=torch.int64)}
    found = {}
    for wanted in (False, True):
        with recomputing(model, wanted):
            model.train()
            model.zero_grad()
            torch.manual_seed(1)  # dropout of the base: a block that is computed again draws the same
            kept = kept_bytes(model, batch)
        found[wanted] = kept, [p.grad.clone() for p in model.parameters() if p.grad is not None]
    assert found[True][0] < 0.6 * found[False][0]
    assert len(found[True][1]) == len(found[False][1]) > 10
    for mine, theirs in zip(found[True][1], found[False][1], strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-8)


def test_recomputing_is_refused_where_there_are_no_blocks() -> None:
    linear = torch.nn.Linear(2, 2)
    with pytest.raises(FairauditError, match="Linear cannot compute its"), recomputing(linear, True):
        pass


def test_the_peak_is_of_the_time_since_the_start() -> None:
    big = torch.ones(100_000_000)  # 400 MB, before
    del big
    quiet = meter.start(torch.device("cpu"))
    low = quiet.peak()
    held = torch.ones(50_000_000)
    assert quiet.peak() >= low + 150_000_000
    del held
    assert meter.start(torch.device("cpu"), before=5.0, most=1 << 50).peak() == 1 << 50
    assert meter.start(torch.device("cpu"), before=5.0).seconds() >= 5
