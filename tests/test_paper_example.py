"""The plans of the papers: read as they stand, and run end to end on miniatures of the published layouts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import published
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("peft")

import models  # noqa: E402
import pandas as pd  # noqa: E402

from fairaudit_cli.main import run  # noqa: E402
from fairaudit_mitigate.sweeping.plan import Plan, contests  # noqa: E402
from fairaudit_mitigate.sweeping.plan_file import read_plan  # noqa: E402

REPO = Path(__file__).resolve().parent.parent
PAPER = REPO / "examples" / "paper"
SHARED = REPO.parent / "shared" / "data" / "paper_tables.csv"
PLANS = ("waterbirds", "geode", "aircraft", "ranks")
MODELS = {"CLIP ViT-B/32": "clip", "DINO ViT-B/16": "vit", "ViT-B/16": "vit"}
MINIATURES: dict[str, Callable[[Path], Path]] = {
    "Waterbirds": lambda folder: published.waterbirds(folder, 44),
    "GeoDE": lambda folder: published.geode(folder, 90),
    "FGVC-Aircraft": published.aircraft,
}


def plan_of(name: str) -> Plan:
    return read_plan(PAPER / f"{name}.toml")


@pytest.mark.parametrize("name", PLANS)
def test_a_plan_asks_for_what_the_papers_compare(name: str) -> None:
    plan = plan_of(name)
    assert plan.select == "accuracy"
    assert {m.name: m.path for m in plan.models} == {
        "CLIP ViT-B/32": "openai/clip-vit-base-patch32",
        "DINO ViT-B/16": "facebook/dino-vitb16",
        "ViT-B/16": "google/vit-base-patch16-224-in21k",
    }
    assert all(c.seeds == (0, 1, 2) for c in contests(plan))
    assert all(s.groups == "class" for c in contests(plan) for s in c.candidates)
    methods = {"lora", "fairlora"} if name == "ranks" else {"lora", "fairlora", "fft", "fair-fft"}
    assert {r.name for r in plan.runs} == methods


def test_the_numbers_of_the_paper_are_its_own() -> None:
    if not SHARED.exists():
        pytest.skip("needs ../shared/data/paper_tables.csv")
    assert (PAPER / "paper_tables.csv").read_text(encoding="utf-8") == SHARED.read_text(encoding="utf-8")


def test_plans_and_numbers_name_the_same_things() -> None:
    lines = (PAPER / "paper_tables.csv").read_text(encoding="utf-8").splitlines()[1:]
    facts = {tuple(line.split(",")[1:4]) for line in lines}
    for name in ("waterbirds", "geode"):
        plan = plan_of(name)
        named = {(plan.data[0].name, m.name, r.name) for m in plan.models for r in plan.runs}
        of_paper = {(d, m, k.lower()) for d, m, k in facts if d == plan.data[0].name}
        assert of_paper == {(d, m, r.replace("-", "")) for d, m, r in named}
        metrics = {line.split(",")[4] for line in lines if line.split(",")[1] == plan.data[0].name}
        assert metrics <= set(plan.metrics)


def small(name: str, folder: Path) -> list[str]:
    """The plan with fewer steps and values, the miniature of its data set, tiny models: the arguments that run it."""
    text = (PAPER / f"{name}.toml").read_text(encoding="utf-8")
    plan = plan_of(name)
    for found, instead in (
        ("image_size = 224", "image_size = 16"),
        ("seed = [0, 1, 2]", "seed = [0, 1]"),
        ("rank = 16", "rank = 2"),
        ("rank = [1, 2, 4, 8, 16, 32, 64, 128]", "rank = [1, 2]"),
        ("batch_size = 64", "batch_size = 16\nmax_steps = 2"),
        ("lr = [3e-4, 1e-3]", "lr = 1e-3"),
        ("lr = [1e-5, 3e-5]", "lr = 1e-3"),
    ):
        assert found in text or "rank" in found or "lr" in found
        text = text.replace(found, instead)
    text = text.replace("penalty = [0.01, 0.1, 1, 10]", "penalty = [0.1, 1]")
    text = text.replace("penalty = [0.01, 0.1, 1]", "penalty = [0.1, 1]")
    (folder / f"{name}.toml").write_text(text, encoding="utf-8")
    data = plan.data[0].name
    MINIATURES[data](folder / "data")
    for kind in set(MODELS.values()):
        models.save_model(kind, folder / kind, head=False)
    where = [a for model, kind in MODELS.items() for a in ("--model", f"{model}={folder / kind}")]
    return ["sweep", str(folder / f"{name}.toml"), "--out", str(folder / "run"), "--data",
            f"{data}={folder / 'data'}", *where]  # fmt: skip


def test_the_waterbirds_plan_runs_on_a_miniature(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    command = small("waterbirds", tmp_path)
    plan = tmp_path / "waterbirds.toml"
    one = plan.read_text(encoding="utf-8").replace("seed = [0, 1]", "seed = 0").replace("[0.1, 1]", "0.1")
    plan.write_text(one, encoding="utf-8")
    command += ["--beside", str(PAPER / "paper_tables.csv"), "--only", "Waterbirds · CLIP"]
    assert run([*command, "--table", "md", "-o", f"csv:{tmp_path / 'r.csv'}"]) == 0
    shown = capfd.readouterr().out
    for row in ("| CLIP ViT-B/32 | lora, published | 93.83 ± 0.81 | 72.74 ± 2.94 | 74.06 ± 1.36 | 19.28 ± 1.84 |",
                "| CLIP ViT-B/32 | fair-fft, published | 92.24 ± 1.38 | 67.23 ± 5.36 |"):  # fmt: skip
        assert row in shown
    written = pd.read_csv(tmp_path / "r.csv")
    assert set(written.method) == {"lora", "fairlora", "fft", "fair-fft"}
    facts = pd.read_csv(PAPER / "paper_tables.csv")
    facts = facts[(facts.dataset == "Waterbirds") & (facts.model == "CLIP ViT-B/32")]
    assert sorted(written.published_mean.dropna()) == pytest.approx(sorted(facts["mean"] / 100))


def test_a_published_table_of_other_things_is_refused_before_anything_runs(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "t.csv"
    other.write_text("dataset,model,method,accuracy\nMoon,CLIP,lora,90\n", encoding="utf-8")
    plan = str(PAPER / "waterbirds.toml")
    assert run(["sweep", plan, "--out", str(tmp_path / "run"), "--beside", str(other)]) == 2
    assert "no row of" in capfd.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", PLANS)
def test_every_plan_runs_whole_on_a_miniature(
    name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    command = small(name, tmp_path)
    assert run([*command, "--table", "md"]) == 0
    shown = capfd.readouterr().out
    for model in MODELS:
        assert model in shown
