"""Tests over seeds against scipy, Holm against a naive loop, the bootstrap against a loop over rows and the audit."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

import fairaudit
from fairaudit_mitigate.settings import Settings
from fairaudit_mitigate.sweeping.bootstrap import design_of, differences, p_value, too_few
from fairaudit_mitigate.sweeping.cells import Roles
from fairaudit_mitigate.sweeping.significance import (
    Contrast,
    default_family,
    holm,
    line_of,
    paired_t,
    t_tests,
)
from fairaudit_mitigate.sweeping.summary import Line, Measure, Summary

stats = pytest.importorskip("scipy.stats")


@pytest.mark.parametrize("n", [2, 3, 5, 30])
def test_paired_t_is_scipys(n: int) -> None:
    rng = np.random.default_rng(n)
    one, other = rng.normal(size=(2, n))
    p, reason = paired_t(one.tolist(), other.tolist())
    assert p == pytest.approx(stats.ttest_rel(one, other).pvalue, rel=1e-10)
    assert reason == ""


def test_no_test_without_spread() -> None:
    assert paired_t([0.5], [0.4])[1] == "one seed"
    assert paired_t([0.5, 0.5], [0.5, 0.5]) == (1.0, "")
    p, reason = paired_t([0.6, 0.7], [0.5, 0.6])
    assert math.isnan(p)
    assert reason == "the same difference in every seed"
    assert math.isnan(paired_t([0.6, math.nan], [0.5, 0.6])[0])


def naive_holm(p_values: list[float]) -> list[float]:
    """Reject as long as p_(i) <= α / (m - i): the least α at which each is rejected, found by trying."""
    order = sorted(range(len(p_values)), key=lambda k: p_values[k])
    out = [0.0] * len(p_values)
    for k in order:
        out[k] = min(
            alpha for alpha in [*[(len(p_values) - i) * p_values[j] for i, j in enumerate(order)], 1.0]
            if all((len(p_values) - i) * p_values[j] <= alpha for i, j in enumerate(order[: order.index(k) + 1]))
            or alpha == 1.0
        )  # fmt: skip
    return [min(1.0, p) for p in out]


def test_holm_is_the_step_down() -> None:
    rng = np.random.default_rng(0)
    for m in (1, 2, 5, 12):
        p = (rng.uniform(size=m) ** 3).tolist()
        assert holm(p) == pytest.approx(naive_holm(p))
    assert holm([0.01, math.nan, 0.02])[0] == pytest.approx(0.03)  # one without a test still counts
    assert math.isnan(holm([0.01, math.nan])[1])


def lines(seeds: int) -> Summary:
    measures = (Measure("accuracy", "overall"), Measure("eod_max", "sex"), Measure("seconds"))
    rng = np.random.default_rng(1)
    settings = Settings()
    base = rng.normal(0.5, 0.01, size=(3, seeds))
    found = []
    for k, run in enumerate(("lora", "a", "b")):
        values = tuple(tuple((base[i] + k * (0.1 if i == 0 else -0.002)).tolist()) for i in range(3))
        values = (values[0], tuple(v + 0.01 * rng.normal() for v in values[1]), values[2])
        cells = tuple(map(str, range(seeds)))
        found.append(Line("d", "m", run, settings, tuple(range(seeds)), cells, values))
    return Summary(measures, tuple(found), "lora")


def test_the_family_is_what_is_declared() -> None:
    summary = lines(5)
    tests = t_tests(summary, ("accuracy", "eod_max"))
    assert len(tests) == 4
    p = [
        stats.ttest_rel(summary.lines[i].values[k], summary.lines[0].values[k]).pvalue
        for i in (1, 2)
        for k in (1,)
    ]
    assert [t.p for t in tests if t.measure.metric == "eod_max"] == pytest.approx(p)
    said = line_of(tests, "lora", "paired t over 5 seeds")
    real = sum(t.real for t in tests)
    assert said.startswith(f"{real} of 4 differences from lora are real at 5 %")
    assert "Holm over 4 tests" in said
    assert line_of(t_tests(lines(1), ("accuracy",)), "lora", "t") == (
        "No test of the differences from lora: one seed."
    )


def test_a_change_without_a_better_direction_is_not_worse() -> None:
    """Five real differences: one better, one worse by direction, three of a metric with neither."""
    there = (("accuracy", 0.1), ("accuracy", -0.1), *[("sensitive_accuracy", d) for d in (0.1, -0.1, 0.2)])
    tests = [Contrast("d", "m", "r", Measure(name), d, 0.001, 0.005) for name, d in there]
    assert line_of(tests, "lora", "t").startswith(
        "5 of 5 differences from lora are real at 5 % (1 better, 1 worse, 3 changed without a better direction; t"
    )
    assert "direction" not in line_of(tests[:2], "lora", "t")


def test_costs_and_what_has_no_direction_are_tested_only_where_asked() -> None:
    names = ("accuracy", "sensitive_accuracy", "eod_max", "seconds", "peak_memory", "accuracy")
    summary = Summary(tuple(Measure(n, str(k)) for k, n in enumerate(names)), (), "lora")
    assert default_family(summary) == ("accuracy", "eod_max")
    assert {t.measure.metric for t in t_tests(lines(3), default_family(lines(3)))} == {"accuracy", "eod_max"}
    assert {t.measure.metric for t in t_tests(lines(3), ("seconds",))} == {"seconds"}


def table(n: int, seed: int, skill: float) -> pd.DataFrame:
    rng = np.random.default_rng(99)
    y, s = rng.integers(3, size=n), rng.integers(2, size=n)
    own = np.random.default_rng(seed)
    right = own.uniform(size=n) < skill + 0.2 * (s == 0) * (y == 1)
    pred = np.where(right, y, (y + 1) % 3)
    image = np.arange(n) // 2
    return pd.DataFrame(
        {"id": map(str, range(n)), "y_true": y.astype(str), "y_pred": pred.astype(str),
         "sex": np.where(s == 0, "F", "M"), "image": image.astype(str)}
    )  # fmt: skip


def naive(metric: str, frame: pd.DataFrame) -> float:
    correct = frame.y_true == frame.y_pred
    if metric == "accuracy":
        return float(correct.mean())
    if metric == "worst_group_accuracy":
        return float(correct.groupby([frame.y_true, frame.sex]).mean().min())
    gaps = []
    for c in frame.y_true.unique():
        for g in frame.sex.unique():
            inside = correct[(frame.y_true == c) & (frame.sex == g)].mean()
            gaps.append(abs(inside - correct[(frame.y_true == c) & (frame.sex != g)].mean()))
    return float(max(gaps))


@pytest.mark.parametrize("metric", ["accuracy", "eod_max", "worst_group_accuracy"])
def test_the_bootstrap_is_a_loop_over_rows(metric: str) -> None:
    n, seeds, replicates = 300, 3, 40
    sides = [[table(n, 10 * side + k, (0.75, 0.6)[side]) for k in range(seeds)] for side in range(2)]
    roles = Roles(("sex",), None, "image", {}, ("0", "1", "2"))
    design = design_of(sides[0][0], "sex", roles)
    correct = np.array([[f.y_true.eq(f.y_pred).to_numpy() for f in side] for side in sides], float)
    observed, draws = differences(design, correct, metric, replicates, seed=4)
    by_seed = [naive(metric, a) - naive(metric, b) for a, b in zip(*sides, strict=True)]
    assert observed == pytest.approx(np.mean(by_seed))
    audited = [
        fairaudit.audit(f, y_true="y_true", y_pred="y_pred", sensitive=["sex"], interval="none").estimate(
            metric, by="overall" if metric == "accuracy" else "sex"
        ).value
        for f in (sides[0][0], sides[1][0])
    ]  # fmt: skip
    assert audited[0] is not None
    assert audited[1] is not None
    assert by_seed[0] == pytest.approx(audited[0] - audited[1])
    # the same draws, row by row
    rng = np.random.default_rng(4)
    weights = rng.multinomial(150, np.full(150, 1 / 150), size=replicates)
    picked = rng.integers(seeds, size=(replicates, seeds))
    order = np.unique(sides[0][0].image.to_numpy(dtype=str), return_inverse=True)[1]
    for r in range(5):
        index = np.repeat(np.arange(n), weights[r][order])
        some = [
            naive(metric, a.iloc[index]) - naive(metric, b.iloc[index]) for a, b in zip(*sides, strict=True)
        ]
        assert draws[r] == pytest.approx(np.mean([some[k] for k in picked[r]]))


def test_p_values_find_a_difference_and_no_difference() -> None:
    roles = Roles(("sex",), None, None, {}, ("0", "1", "2"))
    apart = [[table(600, 10 * side + k, (0.8, 0.6)[side]) for k in range(3)] for side in range(2)]
    alike = [[table(600, 10 * side + k, 0.7) for k in range(3)] for side in range(2)]
    found = []
    for sides in (apart, alike):
        correct = np.array([[f.y_true.eq(f.y_pred).to_numpy() for f in side] for side in sides], float)
        found.append(p_value(*differences(design_of(sides[0][0], "sex", roles), correct, "accuracy", 400)))
    assert found[0] == pytest.approx(1 / 401)
    assert found[1] > 0.05
    assert math.isnan(p_value(math.nan, np.zeros(3)))


def test_too_few_draws_are_said() -> None:
    for m in (1, 3, 12):
        least = next(b for b in range(1, 999) if (holm([1 / (b + 1)] * m)[0]) < 0.05)
        assert too_few(m, least) is None
        assert f"give {least} or more" in str(too_few(m, least - 1))


def test_binary_tasks_judge_the_positive_class() -> None:
    frame = table(200, 0, 0.7)
    frame = frame[frame.y_true != "2"].assign(y_pred=lambda f: f.y_pred.where(f.y_pred != "2", "0"))
    roles = Roles(("sex",), "1", None, {}, ("0", "1"))
    correct = np.array([[frame.y_true.eq(frame.y_pred).to_numpy()], [np.zeros(len(frame))]], float)
    value, _ = differences(design_of(frame, "sex", roles), correct, "eod_max", 0)
    audit = fairaudit.audit(frame, y_true="y_true", y_pred="y_pred", sensitive=["sex"], positive="1")
    assert value == pytest.approx(audit.estimate("eod_max", by="sex").value)


def test_a_contrast_is_real_below_five_percent() -> None:
    assert Contrast("d", "m", "r", Measure("accuracy"), 0.1, 0.01, 0.049).real
    assert not Contrast("d", "m", "r", Measure("accuracy"), 0.1, 0.01, 0.05).real
    assert not Contrast("d", "m", "r", Measure("accuracy"), 0.1, math.nan).real
