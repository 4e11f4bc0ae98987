"""The whole repair on tiny models: predict, mitigate, read back, re-audit, with a metric that changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("peft")

import models  # noqa: E402
import pandas as pd  # noqa: E402

import fairaudit  # noqa: E402
from fairaudit.errors import FairauditError  # noqa: E402
from fairaudit_mitigate import Mitigation, Voice, mitigate, predict  # noqa: E402

QUICK: dict[str, Any] = {"epochs": 6, "batch_size": 20, "lr": 2e-2, "rank": 4}
FILES = {
    "adapter", "predictions_before.parquet", "predictions_after.parquet", "audit_before.json",
    "audit_after.json", "comparison.md", "history.jsonl", "manifest.json",
}  # fmt: skip


def data_for(kind: str, folder: Path) -> Path:
    if kind in ("bert", "llama"):
        return models.save_texts(folder / "d.csv")
    return models.save_images(folder / "d")


def run(kind: str, folder: Path, *, head: bool = True, **options: Any) -> Mitigation:
    model = models.save_model(kind, folder / "m", head=head)
    return mitigate(model, data_for(kind, folder), out=folder / "out", **(QUICK | options))


@pytest.mark.parametrize(
    ("kind", "head"), [("vit", True), ("dinov2", False), ("bert", True), ("llama", False)]
)
def test_predict_mitigate_reload_and_audit_again(kind: str, head: bool, tmp_path: Path) -> None:
    said: list[str] = []
    attribute = "sex" if kind in ("bert", "llama") else "place"
    done = run(kind, tmp_path, head=head, sensitive=[attribute], voice=Voice(said.append), epochs=10)
    out = tmp_path / "out"
    assert {p.name for p in out.iterdir()} == FILES
    before, after = (a.estimate("accuracy").value for a in (done.before, done.after))
    assert after > before + 0.2
    assert (
        fairaudit.Audit.from_json((out / "audit_after.json").read_text()).estimate("accuracy").value == after
    )
    again = predict(out / "adapter", done.manifest["arguments"]["data"], split="test")
    written = pd.read_parquet(out / "predictions_after.parquet")
    pd.testing.assert_frame_equal(again[["id", "y_true", "y_pred"]], written[["id", "y_true", "y_pred"]])
    assert again["loss"].to_list() == pytest.approx(written["loss"].to_list(), abs=1e-6)
    assert any("fresh one of 2 outputs" in s for s in said) is (not head)
    assert any(s.startswith("fairlora: LoRA on") for s in said)


def test_manifest_and_history_say_what_happened(tmp_path: Path) -> None:
    done = run("vit", tmp_path, penalty=0.5, groups="place", epochs=2)
    out = tmp_path / "out"
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest == done.manifest
    assert manifest["arguments"]["settings"]["penalty"] == 0.5
    assert manifest["arguments"]["sensitive"] == ["place"]
    assert set(manifest["inputs"]["model"]) >= {"config.json", "model.safetensors"}
    assert manifest["inputs"]["data"]["images"]["files"] == 120
    assert list(manifest["results"]["groups"]) == ["place=0", "place=1"]
    assert sum(manifest["results"]["groups"].values()) == 40
    records = [json.loads(line) for line in (out / "history.jsonl").read_text().splitlines()]
    steps = [r for r in records if "objective" in r]
    assert [r["step"] for r in steps] == [1, 2, 3, 4]
    assert set(steps[0]["group_losses"]) == {"place=0", "place=1"}
    assert sum(steps[0]["weights"].values()) == pytest.approx(1, abs=1e-5)
    looks = [r for r in records if "validation" in r]
    assert [r["step"] for r in looks] == [0, 2, 4]
    best = max(
        looks[1:], key=lambda r: (r["validation"]["worst_group_accuracy"], r["validation"]["accuracy"])
    )
    assert manifest["results"]["best_step"] == best["step"]


def test_no_penalty_is_lora_to_the_bit(tmp_path: Path) -> None:
    model, data = models.save_model("vit", tmp_path / "m"), models.save_images(tmp_path / "d")
    settings = QUICK | {"epochs": 1}
    mitigate(model, data, out=tmp_path / "a", method="lora", **settings)
    mitigate(model, data, out=tmp_path / "b", method="fairlora", penalty=0.0, **settings)
    mitigate(model, data, out=tmp_path / "c", method="fairlora", penalty=1.0, **settings)
    weights = [(tmp_path / name / "adapter/adapter_model.safetensors").read_bytes() for name in "abc"]
    assert weights[0] == weights[1] != weights[2]


def test_the_merged_model_predicts_like_the_adapter(tmp_path: Path) -> None:
    run("vit", tmp_path, merge=True, epochs=1)
    adapter = predict(tmp_path / "out/adapter", tmp_path / "d")
    merged = predict(tmp_path / "out/merged", tmp_path / "d")
    assert merged["prob_1"].to_list() == pytest.approx(adapter["prob_1"].to_list(), abs=1e-5)


@pytest.mark.parametrize("method", ["fft", "fair-fft"])
def test_full_fine_tuning_writes_a_model(method: str, tmp_path: Path) -> None:
    done = run("vit", tmp_path, method=method, lr=5e-3, epochs=4, rank=8)  # rank: the default
    assert {p.name for p in (tmp_path / "out").iterdir()} == FILES - {"adapter"} | {"model"}
    assert done.after.estimate("accuracy").value > done.before.estimate("accuracy").value + 0.2
    assert done.manifest["results"]["trainable_parameters"] == done.manifest["results"]["parameters"]


def test_accumulation_trains_the_same_model(tmp_path: Path) -> None:
    model, data = models.save_model("vit", tmp_path / "m"), models.save_images(tmp_path / "d")
    shared = {"epochs": 1, "lr": 1e-3}
    mitigate(model, data, out=tmp_path / "whole", batch_size=20, **shared)
    mitigate(model, data, out=tmp_path / "parts", batch_size=5, accumulate=4, **shared)
    whole, parts = (pd.read_parquet(tmp_path / n / "predictions_after.parquet") for n in ("whole", "parts"))
    assert parts["prob_1"].to_list() == pytest.approx(whole["prob_1"].to_list(), abs=1e-4)


def test_validation_is_carved_where_there_is_none(tmp_path: Path) -> None:
    model, data = models.save_model("bert", tmp_path / "m"), models.save_texts(tmp_path / "d.csv")
    data.write_text(data.read_text().replace(",1\n", ",0\n"))
    said: list[str] = []
    mitigate(model, data, out=tmp_path / "out", epochs=1, sensitive=["sex"], voice=Voice(said.append))
    assert any("no val split" in s for s in said)


def test_another_metric_can_select(tmp_path: Path) -> None:
    done = run("vit", tmp_path, select="eod_max", epochs=2)
    assert "eod_max" in done.manifest["results"]["validation"]


def audit_file(path: Path, flagged: list[str]) -> Path:
    flags = [{"metric": "eod_max", "by": by} for by in flagged]
    content = {"data": {"columns": {"sensitive": ["place"]}}, "positive": "1", "flags": flags}
    path.write_text(json.dumps({"schema": "fairaudit.audit", "schema_version": "1.0", "content": content}))
    return path


def test_an_audit_supplies_the_flagged_attribute(tmp_path: Path) -> None:
    done = run("vit", tmp_path, audit=audit_file(tmp_path / "a.json", ["place"]), epochs=1)
    assert done.manifest["arguments"]["sensitive"] == ["place"]
    assert done.manifest["arguments"]["audit"] == str(tmp_path / "a.json")
    assert done.manifest["arguments"]["force"] is False
    assert len(done.manifest["results"]["groups"]) == 4
    assert done.after.positive == "1"


def test_an_audit_gives_columns_class_and_groups(tmp_path: Path) -> None:
    from fairaudit_mitigate.preparing import from_audit
    from fairaudit_mitigate.settings import Settings

    path = tmp_path / "a.json"
    flags = [{"by": "class"}, {"by": r"a\&b&sex"}, {"by": "sex"}]
    content = {"data": {"columns": {"sensitive": ["a&b", "sex"]}}, "positive": "1", "flags": flags}
    path.write_text(json.dumps({"content": content}))
    sensitive, positive, settings = from_audit(path, (), None, Settings(), False)
    assert (sensitive, positive, settings.groups) == (("a&b", "sex"), "1", r"class&a\&b&sex")
    sensitive, _, settings = from_audit(path, ("sex",), None, Settings(), False)
    assert (sensitive, settings.groups) == (("sex",), "class&sex")
    assert from_audit(path, (), None, Settings(groups="sex"), False)[2].groups == "sex"


def test_an_audit_without_flags_stops_unless_forced(tmp_path: Path) -> None:
    audit = audit_file(tmp_path / "a.json", [])
    with pytest.raises(FairauditError, match="nothing flagged"):
        run("vit", tmp_path, audit=audit)
    assert not (tmp_path / "out").exists()
    mitigate(tmp_path / "m", tmp_path / "d", out=tmp_path / "out", audit=audit, force=True, epochs=1)
    (tmp_path / "b.json").write_text("[]")
    with pytest.raises(FairauditError, match="is not an audit"):
        mitigate(tmp_path / "m", tmp_path / "d", out=tmp_path / "o2", audit=tmp_path / "b.json")


BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "method": ({"method": "fairlara"}, "Did you mean 'fairlora'"),
    "groups": ({"groups": "plcae"}, "Did you mean 'place'"),
    "targets": ({"targets": ("nothing",)}, "no LoRA target matches 'nothing'"),
    "penalty": ({"penalty": -1.0}, "penalty"),
    "huge": ({"penalty": 1e9}, "from 0 to 1,000,000, not 1000000000.0"),
    "no penalty": ({"method": "lora", "penalty": 0.5}, "--penalty means nothing to lora"),
    "no LoRA": ({"method": "fft"}, "--rank means nothing to fft"),
    "no steps": ({"method": "dfr", "max_steps": 4}, "--[a-z]+ means nothing to dfr"),
    "no memory": ({"decay": 0.5}, "--decay means nothing to --estimate batch"),
    "reduction": ({"reduction": "max"}, "sum or mean"),
    "rank": ({"rank": 0}, "rank"),
    "epochs": ({"epochs": 0}, "epochs"),
    "lr": ({"lr": float("nan")}, "learning rate"),
    "describes": ({"select": "selection_rate"}, "neither high nor low"),
    "seed": ({"seed": -1}, "the seed"),
    "endless": ({"epochs": float("nan")}, "epochs"),
    "positive": ({"positive": "yes"}, "positive class 'yes' is not among the classes"),
    "select": ({"select": "wurst"}, "no metric 'wurst'"),
    "diverges": ({"lr": 1e30, "epochs": 3}, "not finite at step"),
    "sensitive": ({"sensitive": ("plaec",)}, "Did you mean 'place'"),
}


@pytest.mark.parametrize(
    "case", ["describes", "seed", "endless", "positive", "reduction", "select", "no steps"]
)
def test_bad_options_are_found_before_anything_is_predicted(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    monkeypatch.setattr("fairaudit_mitigate.job.predictions_of", lambda *_: pytest.fail("too late"))
    with pytest.raises(FairauditError, match=BROKEN[case][1]):
        run("vit", tmp_path, **BROKEN[case][0])


def test_selection_knows_the_positive_class(tmp_path: Path) -> None:
    tables = []
    from fairaudit_mitigate.reaudit import metric_of

    for positive in ("cat", "dog"):
        table = pd.DataFrame({"y_true": ["cat"] * 20 + ["dog"] * 20, "y_pred": ["cat"] * 35 + ["dog"] * 5})
        tables.append(metric_of(table.assign(prob_cat=0.5, prob_dog=0.5, loss=1.0), "tpr", (), positive))
    assert tables == [1.0, 0.25]


@pytest.mark.parametrize("case", BROKEN)
def test_bad_input_leaves_nothing_behind(case: str, tmp_path: Path) -> None:
    options, message = BROKEN[case]
    with pytest.raises(FairauditError, match=message) as caught:
        run("vit", tmp_path, **options)
    assert "\n" not in str(caught.value)
    assert sorted(p.name for p in tmp_path.iterdir()) in (["d", "m"], ["m"])


def test_an_output_that_exists_is_refused_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(FairauditError, match="exists"):
        mitigate("no/such/model", "nowhere", out=tmp_path / "out")
    (tmp_path / "file").touch()
    with pytest.raises(FairauditError, match="cannot write"):
        mitigate("no/such/model", "nowhere", out=tmp_path / "file" / "out")


def test_data_without_test_rows_or_with_one_group(tmp_path: Path) -> None:
    model, data = models.save_model("bert", tmp_path / "m"), models.save_texts(tmp_path / "d.csv")
    lines = data.read_text().splitlines(keepends=True)
    few = tmp_path / "few.csv"
    few.write_text("".join(line for line in lines if not line.endswith(",2\n")))
    with pytest.raises(FairauditError, match="no test rows"):
        mitigate(model, few, out=tmp_path / "out", sensitive=["sex"])
    few.write_text("".join(lines).replace(",F,", ",M,"))
    with pytest.raises(FairauditError, match=r"one \(sex=M\)"):
        mitigate(model, few, out=tmp_path / "out", sensitive=["sex"], groups="sex")
    for method in ("fairlora", "balanced-lora"):  # cells of one sex are classes
        with pytest.raises(FairauditError, match="all train rows that have a sex have sex=M"):
            mitigate(model, few, out=tmp_path / "out", sensitive=["sex"], method=method)


def test_an_adapter_is_not_adapted_again(tmp_path: Path) -> None:
    run("vit", tmp_path, epochs=1)
    with pytest.raises(FairauditError, match="is an adapter"):
        mitigate(tmp_path / "out/adapter", tmp_path / "d", out=tmp_path / "again")


@pytest.mark.parametrize("place", ["adapter", "merged"])
def test_the_audit_of_an_artefact_that_differs_is_not_written(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fairaudit_mitigate import mitigation

    inner = mitigation.load_again

    def other_head(trained: Any, source: Any, *args: Any, **kwargs: Any) -> Any:
        found = inner(trained, source, *args, **kwargs)
        if str(source).endswith(place):
            with torch.no_grad():
                next(
                    p
                    for n, p in found.model.named_parameters()
                    if ".weight" in n and "classifier" in n and "original" not in n
                ).mul_(1.5)
        return found

    monkeypatch.setattr(mitigation, "load_again", other_head)
    with pytest.raises(FairauditError, match=f"saved {place} does not reproduce"):
        run("vit", tmp_path, epochs=1, merge=True)
    assert not (tmp_path / "out").exists()
