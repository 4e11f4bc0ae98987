"""The tables and figures of a sweep: numbers against pandas, the choice on validation, forms that read back."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sweeps

from fairaudit.errors import FairauditError
from fairaudit_mitigate.settings import Settings
from fairaudit_mitigate.sweeping import figures, page, tables
from fairaudit_mitigate.sweeping.beside import with_published
from fairaudit_mitigate.sweeping.choosing import better, mean_score, ranked
from fairaudit_mitigate.sweeping.drawing import draw
from fairaudit_mitigate.sweeping.results import Results
from fairaudit_mitigate.sweeping.significance import t_tests
from fairaudit_mitigate.sweeping.summary import Measure, summarise

TEXT = """
[[data]]
name = "Birds"
path = "x"
[[model]]
name = "CLIP ViT-B/32"
path = "y"
[[model]]
name = "DINO"
path = "z"
[common]
rank = [2, 8]
seed = [0, 1, 2]
[[run]]
method = "lora"
[[run]]
method = "fairlora"
penalty = [0.01, 0.1, 1]
[[run]]
method = "fft"
rank = 8
[table]
metrics = ["accuracy", "f1_delta", "eod_max", "loss_variance", "seconds"]
"""


def value(metric: str, model: str, run: str, s: Settings) -> float:
    seed = [len(metric), len(model), len(run), s.rank, s.seed, int(1000 * s.terms.penalty)]
    return float(np.random.default_rng(seed).uniform(0.2, 0.8))


def numbers(model: str, run: str, s: Settings) -> Mapping[tuple[str, str], float | None]:
    keys = (("accuracy", "overall"), ("accuracy", "sex"), ("f1_delta", "class"), ("f1_delta", "sex"),
            ("eod_max", "sex"), ("eod_max", "race"), ("loss_variance", "class"))  # fmt: skip
    return {
        (m, by): None if (m, by, run) == ("eod_max", "race", "fft") else value(m + by, model, run, s)
        for m, by in keys
    }


def score(run: str, s: Settings) -> float:
    """Validation prefers λ = 0.1 and rank 8."""
    return (s.terms.penalty == 0.1) + 0.5 * (s.rank == 8) + 0.01 * s.seed


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return sweeps.finished(tmp_path, TEXT, numbers, score)


def test_a_line_is_the_choice_of_validation_over_its_seeds(results: Results) -> None:
    summary = summarise(results)
    assert [(line.model, line.run) for line in summary.lines] == [
        (m, r) for m in ("CLIP ViT-B/32", "DINO") for r in ("lora", "fairlora", "fft")
    ]
    assert [(m.metric, m.by) for m in summary.measures] == [
        ("accuracy", "overall"), ("f1_delta", "class"), ("eod_max", "sex"), ("eod_max", "race"),
        ("loss_variance", "class"), ("seconds", ""),
    ]  # fmt: skip
    assert all(line.settings.rank == 8 for line in summary.lines)
    fair = summary.lines[1]
    assert fair.settings.penalty == 0.1
    chosen = [e.cell.settings for e in results.entries if e.cell.key in fair.cells]
    expected = pd.Series([value("accuracyoverall", fair.model, "fairlora", s) for s in chosen])
    assert fair.mean(0) == pytest.approx(expected.mean())
    assert fair.sd(0) == pytest.approx(expected.std(ddof=1))
    assert math.isnan(summary.lines[2].mean(3))
    best = [line.run for line in summary.lines[:3] if summary.best(line, 1)]
    means = {line.run: line.mean(1) for line in summary.lines[:3]}
    assert best == [min(means, key=means.__getitem__)]  # a lower ΔF1 is better


def test_markdown_csv_and_latex_say_the_same(results: Results) -> None:
    summary = summarise(results)
    tests = t_tests(summary, ("accuracy", "eod_max"))
    assert len(tests) == 2 * 2 * 3
    lines = tables.markdown(summary, tests).splitlines()
    assert lines[2] == (
        "| model | method | accuracy | ΔF1 | EOD max (sex) | EOD max (race) | loss variance | seconds |"
    )
    line = summary.lines[0]
    assert line.mean(5) == 10.0  # 14 seconds, 4 of them before the first step
    assert f"{100 * line.mean(0):.2f} ± {100 * line.sd(0):.2f}" in lines[4]
    assert lines[4].count("|") == lines[2].count("|")
    assert lines[6].split("|")[6].strip() == "–"
    rows = list(csv.DictReader(io.StringIO(tables.comma(summary, tests))))
    assert len(rows) == 6 * 6
    assert float(rows[0]["mean"]) == line.mean(0)
    tested = [r for r in rows if r["p"]]
    assert len(tested) == len([t for t in tests if not math.isnan(t.adjusted)])
    latex = tables.latex(summary, tests)
    assert latex.count(r"\\") == 1 + 6
    assert r"$\Delta$F1" in latex
    assert latex.count(r"\textbf") == sum(summary.best(one, k) for one in summary.lines for k in range(6))
    assert "±" not in latex


def test_one_seed_has_no_spread_and_no_test(tmp_path: Path) -> None:
    summary = summarise(sweeps.finished(tmp_path, TEXT.replace("[0, 1, 2]", "0"), numbers, score))
    tests = t_tests(summary, ("accuracy",))
    assert "±" not in tables.markdown(summary, tests)
    assert page.notes(summary, tests) == ["No test of the differences from lora: one seed."]
    (told,) = page.chosen(summary)
    assert all(f"{x.data} · {x.model} · {x.run}: {page.chosen_of(x)}" in told for x in summary.lines)
    assert told.count("; ") == len(summary.lines) - 1


def test_a_failed_run_is_a_line_without_numbers(tmp_path: Path) -> None:
    results = sweeps.finished(tmp_path, TEXT, numbers, score, failed=("fft",))
    summary = summarise(results)
    assert [line.failed for line in summary.lines] == [0, 0, 3, 0, 0, 3]
    assert "| fft | – | – |" in tables.markdown(summary, ())
    whole = page.content(results, summary, ())
    json.dumps(whole, allow_nan=False)
    assert sum(c["status"] == "failed" for c in whole["cells"]) == 6


def test_published_numbers_stand_beside(results: Results, tmp_path: Path) -> None:
    path = tmp_path / "paper.csv"
    path.write_text(
        "table,dataset,model,method,metric,mean,spread\n1,birds,clip vit-b32,LoRA,accuracy,97.35,0.17\n"
        "1,birds,clip vit-b32,LoRA,f1_delta,12.29,\n1,birds,clip vit-b32,Other,accuracy,1.0,0.1\n"
    )
    summary = with_published(summarise(results), path)
    lines = tables.markdown(summary, ()).splitlines()
    assert lines[5] == "| CLIP ViT-B/32 | lora, published | 97.35 ± 0.17 | 12.29 | – | – | – | – |"
    assert len(lines) == 4 + 6 + 1
    rows = list(csv.DictReader(io.StringIO(tables.comma(summary, ()))))
    assert float(rows[0]["published_mean"]) == pytest.approx(0.9735)
    path.write_text("table,dataset,model,method,metric,mean,spread\n1,cats,vit,LoRA,accuracy,97.35,0.17\n")
    with pytest.raises(FairauditError, match="use the same names"):
        with_published(summarise(results), path)


def test_curves_are_the_means_at_each_rank(results: Results) -> None:
    measures = (Measure("accuracy", "overall"), Measure("eod_max", "sex"))
    found = figures.curves(results, measures, "rank", "Birds", "DINO")
    assert set(found[measures[0]]) == {"lora", "fairlora"}  # fft has no rank
    for run, points in found[measures[0]].items():
        assert [p.x for p in points] == [2, 8]
        for point in points:
            cells = [e.cell.settings for e in results.entries if e.contest.model == "DINO" and e.contest.run == run
                     and e.cell.settings.rank == point.x and e.cell.settings.terms.penalty == 0.1]  # fmt: skip
            own = [value("accuracyoverall", "DINO", run, s) for s in cells]
            assert len(own) == 3
            assert point.mean == pytest.approx(np.mean(own))
            assert point.sd == pytest.approx(np.std(own, ddof=1))
    assert [p.x for p in figures.curves(results, measures, "penalty", "Birds", "DINO")[measures[0]]["fairlora"]] == [
        0.01, 0.1, 1.0,
    ]  # fmt: skip


def test_the_radar_runs_from_the_worst_to_the_best(results: Results) -> None:
    summary = summarise(results)
    axes, runs = figures.radar(summary, "Birds", "DINO")
    assert "seconds" not in {m.metric for m in axes}
    for k, measure in enumerate(axes):
        column = {run: values[k] for run, values in runs.items()}
        own = {
            line.run: line.mean(summary.measures.index(measure))
            for line in summary.lines
            if line.model == "DINO"
        }
        known = {run: measure.better * v for run, v in own.items() if not math.isnan(v)}
        assert column[max(known, key=known.__getitem__)] == 1
        assert column[min(known, key=known.__getitem__)] == 0
        assert all(0 <= v <= 1 for v in column.values())


def test_the_front_is_what_nothing_beats(results: Results) -> None:
    found = figures.pareto(results, summarise(results), "Birds", "DINO")
    assert found is not None
    _, fair, spots = found
    assert (fair.metric, fair.better) == ("eod_max", -1)
    assert len(spots) == 2 + 6 + 1
    for s in spots:
        beaten = any((o.x > s.x and o.y <= s.y) or (o.x >= s.x and o.y < s.y) for o in spots)
        assert s.front is not beaten


def test_figures_are_written(results: Results, tmp_path: Path) -> None:
    written = draw(results, summarise(results), tmp_path / "plots")
    kinds = ("rank", "penalty", "radar", "loss-variance", "pareto")
    assert [p.name for p in written] == [
        f"{k}-birds-{m}.png" for m in ("clip-vit-b-32", "dino") for k in kinds
    ]
    assert all(p.read_bytes().startswith(b"\x89PNG") for p in written)


def test_scores_are_compared_from_the_first_number_on() -> None:
    assert better((0.5, 0.1), (0.4, 0.9))
    assert better((0.5, 0.2), (0.5, 0.1))
    assert better((0.0, 0.1), (math.nan, 0.9))
    assert not better((math.nan, 0.1), (math.nan, 0.9))
    assert mean_score([(0.0, 1.0), (1.0, 0.5)]) == (0.5, 0.75)
    assert ranked((math.nan,)) == (-math.inf,)
