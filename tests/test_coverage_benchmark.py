"""The coverage benchmark measures what it says: sums, truths and views, each against something independent."""

from __future__ import annotations

import importlib
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

import fairaudit
from fairaudit.intervals import critical, exact

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"
NAMES = ("rates", "worlds", "truth", "gaps", "rows", "tables")
pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason="the benchmarks are not part of an installed package"
)


@pytest.fixture(scope="module")
def bench() -> Iterator[dict[str, ModuleType]]:
    """The benchmark's modules; their folder leaves the path again (it holds a `coverage.py`, as pytest-cov's tool)."""
    sys.path.insert(0, str(FOLDER))
    try:
        found = {name: importlib.import_module(f"coverage_{name}") for name in NAMES}
        yield found | {"page": importlib.import_module("markdown_page")}
    finally:
        sys.path.remove(str(FOLDER))


def wilson_by_hand(hits: int, rows: int) -> tuple[float, float]:
    z = 1.959963984540054
    p = hits / rows
    half = z * math.sqrt(p * (1 - p) / rows + z * z / (4 * rows * rows))
    centre = p + z * z / (2 * rows)
    return (centre - half) / (1 + z * z / rows), (centre + half) / (1 + z * z / rows)


@pytest.mark.parametrize("rate", [0.03, 0.1, 0.37, 0.5, 0.9])
def test_exact_coverage_is_the_sum_over_the_binomial(bench: dict[str, ModuleType], rate: float) -> None:
    rows = 23
    low, high = bench["rates"].METHODS["wilson"](np.arange(rows + 1.0), rows)
    by_hand = 0.0
    for hits in range(rows + 1):
        bounds = wilson_by_hand(hits, rows)
        if bounds[0] <= rate <= bounds[1]:
            by_hand += math.comb(rows, hits) * rate**hits * (1 - rate) ** (rows - hits)
    assert bench["rates"].coverage(low, high, np.array([rate]))[0] == pytest.approx(by_hand, abs=1e-12)


def test_clopper_pearson_is_the_librarys_exact_interval(bench: dict[str, ModuleType]) -> None:
    for rows in (20, 57, 300):
        hits = np.arange(rows + 1.0)
        ours = exact(hits / rows, np.full(rows + 1, float(rows)), critical(0.025))
        np.testing.assert_allclose(ours, bench["rates"].METHODS["clopper-pearson"](hits, rows), atol=1e-9)


def test_clopper_pearson_never_covers_less_than_it_says(bench: dict[str, ModuleType]) -> None:
    rates = bench["rates"]
    for rows in (20, 57, 300):
        low, high = rates.METHODS["clopper-pearson"](np.arange(rows + 1.0), rows)
        assert rates.lowest(low, high, 0.1)[0] >= 0.95 - 1e-6
        # Wilson's dip is found although it lies between the points of any grid
        assert rates.lowest(*rates.METHODS["wilson"](np.arange(rows + 1.0), rows), 0.1)[0] < 0.9


def rows_of(counts: np.ndarray, positive: bool) -> pd.DataFrame:
    """Rows with these counts, in the labels that the benchmark gives."""
    cells = np.argwhere(counts > 0)
    g, y, p = np.repeat(cells, counts[counts > 0], axis=0).T
    name = "{}".format if positive else "c{:02d}".format
    return pd.DataFrame({"s": [f"g{k:02d}" for k in g], "y": [name(c) for c in y], "p": [name(c) for c in p]})


@pytest.mark.parametrize("kind", ["selection", "cells", "rare", "multiclass", "classes", "macro"])
def test_a_draw_is_judged_as_the_audit_judges_its_rows(bench: dict[str, ModuleType], kind: str) -> None:
    world = bench["worlds"].world(kind, 3, 200, 0.1, tied=False)
    for k, counts in enumerate(world.draws(2)):
        positive = None if world.positive is None else str(world.positive)
        frame = rows_of(counts, positive is not None)
        audit = fairaudit.audit(frame, y_true="y", y_pred="p", sensitive=["s"], positive=positive, seed=k)
        view = bench["gaps"].view_of(world, counts, seed=k)
        for metric in bench["worlds"].KINDS[kind]:
            interval = audit.estimate(metric, by="class" if kind == "classes" else "s").interval
            low, high = bench["gaps"].bounds(view, metric)
            assert (low, high) == pytest.approx((interval.low, interval.high), abs=1e-12), metric


@pytest.mark.parametrize("clustered", [True, False])
def test_rows_of_persons_and_weights_are_judged_as_the_audit_judges_them(
    bench: dict[str, ModuleType], clustered: bool
) -> None:
    rows = bench["rows"]
    rng = np.random.default_rng(3)
    if clustered:
        draw, person = persons_of(rows, rng)
        more = {"who": person}
        roles = {"cluster": "who"}
    else:
        draw = rows.weighted_rows(rng, 400, (0.8, 0.7, 0.6), True)
        more, roles = {"w": draw[3]}, {"weights": "w"}
    frame = pd.DataFrame({"s": [rows.GROUPS[k] for k in draw[0]], "y": draw[1], "p": draw[2], **more})
    audit = fairaudit.audit(frame, y_true="y", y_pred="p", sensitive=["s"], positive="1", **roles)
    kinds = {k: rows.view_of(k, draw, not clustered, clustered) for k in ("overall", "class", "attribute")}
    for (metric, group), kind in rows.MEASURED.items():
        interval = audit.estimate(metric, by="s" if kind == "attribute" else kind, group=group).interval
        found = rows.bounds(kinds, metric, group, kind)
        assert found == pytest.approx((interval.low, interval.high), abs=1e-9), metric


def persons_of(rows: ModuleType, rng: np.random.Generator) -> tuple[tuple[np.ndarray, ...], list[str]]:
    """Clustered rows with the ids of their persons: three rows each, one group a person."""
    person = np.repeat(np.arange(90), 3)
    group, y = (person % 3), rng.integers(0, 2, len(person))
    p = np.where(rng.random(len(person)) < 0.4 + 0.4 * (person % 2), y, 1 - y)
    names = [str(k) for k in person]
    return (group, y, p, np.ones(len(person)), rows.buckets_of(names)), names


def test_true_values_of_a_small_world(bench: dict[str, ModuleType]) -> None:
    """Two groups of 100 rows, written out: selection .2 and .5, recalls .2/.8 and .5/.5."""
    worlds, truth = bench["worlds"], bench["truth"]
    chance = np.array([[[0.4, 0.1], [0.4, 0.1]], [[0.25, 0.25], [0.25, 0.25]]])
    world = worlds.World("selection", 2, 100, 0.2, False, chance, np.array([100, 100]))
    counts = (chance * 100).round().astype(int)[None]
    known = {
        "demographic_parity_difference": 0.3, "demographic_parity_ratio": 0.4, "equal_opportunity_difference": 0.3,
        "equalized_odds_difference": 0.3, "worst_group_accuracy": 0.2, "eod_max": 0.3,
    }  # fmt: skip
    for metric, value in known.items():
        true, low, high = truth.truth_and_wald(world, counts, metric)
        assert true[0] == pytest.approx(value), metric
        assert low[0] < value < high[0], metric
    few = counts.copy()
    few[0, 0, 1] = [0, 9]  # nine positives in the first group: too few to be judged
    assert np.isnan(truth.truth_and_wald(world, few, "equal_opportunity_difference")[0][0])
    assert truth.truth_and_wald(world, few, "worst_group_accuracy")[0][0] == pytest.approx(0.5)


@pytest.mark.parametrize("strata", [2, 3, 12])
def test_tied_classes_share_f1_recall_and_precision(bench: dict[str, ModuleType], strata: int) -> None:
    world = bench["worlds"].world("classes", strata, 50, 0.9, tied=True)
    table = world.mass[0]
    assert np.diag(table) / table.sum(0) == pytest.approx(0.9, abs=1e-6)
    assert np.diag(table) / table.sum(1) == pytest.approx(0.9, abs=1e-6)
    assert table.sum(1).min() == pytest.approx(50, rel=0.01)


def test_a_point_counts_what_covers_and_what_does_not(bench: dict[str, ModuleType]) -> None:
    low, high = np.array([0.1, 0.4, 0.1, np.nan]), np.array([0.3, 0.5, 0.15, np.nan])
    true = np.array([0.2, 0.2, 0.2, np.nan])
    found = bench["gaps"].record(low, high, true, low, high)
    assert found["defined"] == 3
    assert (found["coverage"], found["too_high"], found["too_low"]) == pytest.approx((1 / 3,) * 3, abs=1e-5)
    with pytest.raises(AssertionError, match="undefined"):
        bench["gaps"].record(low, high, np.full(4, 0.2), low, high)


def test_what_misses_is_drawn_anew(bench: dict[str, ModuleType]) -> None:
    """With a target that nothing meets, every point is drawn five times as often, with other draws."""
    world = bench["worlds"].world("cells", 2, 50, 0.5, tied=True)
    (found,) = bench["gaps"].checked(world, 20, target=2.0)
    assert found["defined"] == 100
    assert "first" in found
    assert not np.array_equal(world.draws(5), world.draws(5, again=1))


def test_tables_of_the_page_are_those_of_the_results(bench: dict[str, ModuleType]) -> None:
    page = FOLDER.parent / "docs" / "coverage.md"
    tables, renewed = bench["tables"], bench["page"].renewed
    saved = {p: FOLDER / "results" / f"coverage_{p}.json" for p in ("rates", "gaps", "clusters", "weights")}
    found = {p: tables.load(path) for p, path in saved.items() if path.exists()}
    assert found
    for name, text in tables.tables(found).items():
        assert renewed(page.read_text(encoding="utf-8"), name, text) == page.read_text(encoding="utf-8"), name
