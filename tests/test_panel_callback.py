"""FairnessCallback with a plain Trainer: its numbers against loops over the rows, and where they stand."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from fairaudit.errors import FairauditError  # noqa: E402
from fairaudit_mitigate import FairnessCallback  # noqa: E402
from fairaudit_mitigate.panel import panel  # noqa: E402

ROWS = 160
SEX = [None if i % 23 == 0 else "FM"[i % 3 == 0] for i in range(ROWS)]
AGE = ["young" if i % 5 else "old" for i in range(ROWS)]


class Net(torch.nn.Module):  # type: ignore[misc,name-defined]
    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.layer = torch.nn.Linear(2, classes)

    def forward(self, x: Any, labels: Any = None) -> Any:
        logits = self.layer(x)
        loss = torch.nn.functional.cross_entropy(logits, labels)
        return transformers.modeling_outputs.SequenceClassifierOutput(loss=loss, logits=logits)


def rows(classes: int = 3) -> list[dict[str, Any]]:
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(ROWS, 2, generator=generator)
    y = ((x[:, 0] * 2).round().long() % classes).tolist()
    return [{"x": x[i].tolist(), "labels": y[i]} for i in range(ROWS)]


def trainer(folder: Path, classes: int = 3, **changes: Any) -> Any:
    own: dict[str, Any] = {"eval_dataset": rows(classes), "compute_metrics": None}
    own |= {k: changes.pop(k) for k in own if k in changes}
    arguments = transformers.TrainingArguments(
        output_dir=str(folder), use_cpu=True, report_to="none", save_strategy="no", disable_tqdm=True,
        dataloader_pin_memory=False, per_device_train_batch_size=40, per_device_eval_batch_size=32,
        num_train_epochs=2, eval_strategy="epoch", learning_rate=0.5, **changes,
    )  # fmt: skip
    return transformers.Trainer(model=Net(classes), args=arguments, train_dataset=rows(classes), **own)


def predicted(run: Any, classes: int = 3) -> tuple[list[int], list[int]]:
    data = rows(classes)
    with torch.no_grad():
        logits = run.model.eval()(
            torch.tensor([r["x"] for r in data]), torch.tensor([r["labels"] for r in data])
        )
    return [r["labels"] for r in data], logits.logits.argmax(dim=1).tolist()


def by_loops(y: list[int], p: list[int], values: list[Any], positive: int | None = None) -> dict[str, float]:
    """accuracy, f1_min, worst_group_accuracy and eod_max with at least 10 rows in every denominator."""
    n, worst, gaps, f1 = len(y), [], [], []
    for c in sorted(set(y)):
        tp = sum(y[i] == c == p[i] for i in range(n))
        f1.append(2 * tp / (sum(t == c for t in y) + sum(t == c for t in p)))
        for v in sorted(set(map(str, values))):
            own = [i for i in range(n) if y[i] == c and str(values[i]) == v]
            rest = [i for i in range(n) if y[i] == c and str(values[i]) != v]
            if len(own) >= 10:
                worst.append(sum(p[i] == c for i in own) / len(own))
            if min(len(own), len(rest)) >= 10 and positive in (None, c):
                gaps.append(abs(worst[-1] - sum(p[i] == c for i in rest) / len(rest)))
    return {
        "accuracy": sum(t == q for t, q in zip(y, p, strict=True)) / n,
        "f1_min": min(f1),
        "worst_group_accuracy": min(worst),
        "eod_max": max(gaps),
    }


def test_the_panel_stands_in_the_trainers_log_after_each_evaluation(tmp_path: Path) -> None:
    run = trainer(tmp_path)
    callback = FairnessCallback(run, {"sex": SEX})
    run.add_callback(callback)
    run.train()
    logged = [e for e in run.state.log_history if "eval_loss" in e]
    assert len(logged) == len(callback.history) == 2
    wanted = by_loops(*predicted(run), SEX)
    for metric, value in wanted.items():
        assert logged[-1][f"eval_{metric}"] == pytest.approx(value), metric
        assert callback.history[-1][metric] == pytest.approx(value)
    assert math.isnan(logged[-1]["eval_demographic_parity_difference"])  # three classes, none positive
    assert callback.history[0]["step"] < callback.history[1]["step"]
    assert callback.history[0]["accuracy"] != callback.history[1]["accuracy"]


def test_two_attributes_two_classes_and_the_users_own_metrics(tmp_path: Path) -> None:
    run = trainer(tmp_path, 2, compute_metrics=lambda found: {"rows": len(found.label_ids)})
    FairnessCallback(run, {"sex": SEX, "age": AGE}, labels=["no", "yes"], positive="yes")
    found = run.evaluate()
    y, p = predicted(run, 2)
    each = {name: by_loops(y, p, values, positive=1) for name, values in (("sex", SEX), ("age", AGE))}
    for metric, worst in (("eod_max", max), ("worst_group_accuracy", min)):
        for name in each:
            assert found[f"eval_{metric}_{name}"] == pytest.approx(each[name][metric])
        assert found[f"eval_{metric}"] == pytest.approx(worst(e[metric] for e in each.values()))
    rate = {a: [p[i] for i in range(ROWS) if AGE[i] == a] for a in ("old", "young")}
    gap = abs(sum(rate["old"]) / len(rate["old"]) - sum(rate["young"]) / len(rate["young"]))
    assert found["eval_demographic_parity_difference_age"] == pytest.approx(gap)
    assert found["eval_rows"] == ROWS


def test_it_may_choose_the_best_model(tmp_path: Path) -> None:
    run = trainer(tmp_path, metric_for_best_model="worst_group_accuracy", greater_is_better=True)
    FairnessCallback(run, {"sex": SEX})
    run.train()
    seen = [e["eval_worst_group_accuracy"] for e in run.state.log_history if "eval_loss" in e]
    assert run._determine_best_metric({"eval_worst_group_accuracy": max(seen) + 1}, None)


def test_other_data_sets_are_left_alone(tmp_path: Path) -> None:
    run = trainer(tmp_path)
    callback = FairnessCallback(run, {"sex": SEX})
    other = rows()[::-1]
    assert "eval_eod_max" not in run.evaluate(other)
    assert "test_eod_max" not in run.predict(other).metrics
    assert "eval_eod_max" in run.evaluate()
    assert callback.history == []  # it was not added to the trainer, so it keeps nothing


def test_one_of_several_data_sets_is_named(tmp_path: Path) -> None:
    run = trainer(tmp_path, eval_dataset={"first": rows()[:50], "second": rows()})
    FairnessCallback(run, {"sex": SEX}, dataset="second")
    found = run.evaluate()
    assert "eval_second_eod_max" in found
    assert "eval_first_eod_max" not in found


def test_a_value_a_row(tmp_path: Path) -> None:
    run = trainer(tmp_path)
    FairnessCallback(run, {"sex": SEX[:-1]})
    with pytest.raises(FairauditError, match="'sex' has 159 values and 160 rows"):
        run.evaluate()


def test_what_cannot_be_judged_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(FairauditError, match="sensitive attribute"):
        FairnessCallback(trainer(tmp_path), {})
    with pytest.raises(FairauditError, match="another order"):
        FairnessCallback(trainer(tmp_path, train_sampling_strategy="group_by_length"), {"sex": SEX})


def test_too_few_rows_are_undefined() -> None:
    found = panel(["a", "b"] * 4, ["a", "b"] * 4, {"sex": ["F", "M"] * 4})
    assert found["accuracy"] == 1
    assert math.isnan(found["worst_group_accuracy"])
