"""Max-T of F1 over classes: from influence functions what it is from resampled cells, on the same data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import fairaudit
from fairaudit import classwise, simultaneous
from fairaudit.cube import Cube
from fairaudit.simultaneous import family
from fairaudit.view import ALL_ROWS, Settings, View


def view_of(classes: int, rows: int, seed: int = 0) -> View:
    """A confusion table whose diagonal gets thinner from class to class."""
    dice = np.random.default_rng(seed)
    share = dice.random((classes, classes)) / classes + np.diag(np.linspace(6, 2, classes))
    count = dice.multinomial(rows, (share / share.sum()).ravel())
    full = np.flatnonzero(count)
    codes = np.column_stack([np.zeros_like(full), full // classes, full % classes])
    names = tuple(f"{c:03}" for c in range(classes))
    cube = Cube(("group", "y_true", "y_pred"), ((ALL_ROWS,), names, names), codes, {"count": count[full]})
    return View("class", "class", (ALL_ROWS,), names, None, cube, None, Settings())


def ends(view: View) -> dict[str, tuple[float, float, str]]:
    """The panel's intervals with their methods."""
    found, view = {}, replace(view)  # a view remembers its draws
    for metric in ("f1_min", "f1_median", "f1_delta"):
        (e,) = classwise.panel(view, metric)
        assert e.interval is not None
        found[metric] = (e.interval.low, e.interval.high, e.interval.method)
    return found


@pytest.mark.parametrize("classes", [3, 12, 120])
def test_influence_and_bootstrap_agree_on_the_same_rows(
    classes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = view_of(classes, 400 * classes)
    bootstrap = ends(view)
    monkeypatch.setattr(classwise, "MAX_RESAMPLED_CELLS", 0)
    influence = ends(view)
    for metric, (low, high, method) in bootstrap.items():
        assert method == "simultaneous-bootstrap"
        assert influence[metric][2] == "simultaneous-influence"
        assert influence[metric][:2] == pytest.approx((low, high), abs=0.06 * (high - low)), metric


def test_draws_of_both_kinds_have_the_same_largest_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    view = view_of(20, 8_000)
    critical = []
    for most in (100_000, 0):
        monkeypatch.setattr(classwise, "MAX_RESAMPLED_CELLS", most)
        shares = classwise._drawn(replace(view))
        assert shares.draws is not None
        assert shares.draws.std(axis=0) == pytest.approx(np.ones(20), abs=0.1)
        critical.append(float(np.quantile(np.abs(shares.draws).max(axis=1), 0.95)))
        assert (family(shares, 0.95).high > shares.value).all()
    assert critical[0] == pytest.approx(critical[1], abs=0.15)
    assert 2.5 < critical[1] < 3.1  # between one estimate's 1.96 and Bonferroni's 3.02, and sampling


def test_attributes_do_not_change_how_classes_are_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classwise, "MAX_RESAMPLED_CELLS", 40)
    rng = np.random.default_rng(0)
    y, p = (rng.integers(0, 6, 3000) for _ in range(2))
    alone = fairaudit.audit(y_true=y, y_pred=p)
    beside = fairaudit.audit(y_true=y, y_pred=p, sensitive=rng.integers(0, 40, 3000))
    for metric in ("f1_min", "f1_delta"):
        assert alone.estimate(metric, "class") == beside.estimate(metric, "class")
    assert alone.estimate("f1_min", "class").interval.method == "simultaneous-bootstrap"  # type: ignore[union-attr]


def test_draws_do_not_depend_on_a_basis_of_equal_eigenvalues() -> None:
    """Equal correlations: any rotation of eigenvectors would do, a triangle is the only one of its kind."""
    corr = np.full((30, 30), 0.3) + 0.7 * np.eye(30)
    draws = simultaneous.gaussian_draws(corr, seed=3)
    assert np.corrcoef(draws.T) == pytest.approx(corr, abs=0.06)
    lower = np.linalg.cholesky((1 - 1e-9) * corr + 1e-9 * np.eye(30))
    plain = np.random.default_rng([3, 1]).standard_normal((4000, 30))
    assert draws == pytest.approx(np.einsum("ij,kj->ik", plain, lower), abs=1e-9)


def test_correlations_without_a_root_are_moved_towards_one() -> None:
    corr = np.array([[1.0, 0.9, -0.9], [0.9, 1.0, 0.9], [-0.9, 0.9, 1.0]])  # of no three numbers
    assert np.isfinite(simultaneous.gaussian_draws(corr, seed=0)).all()


def test_more_cells_than_can_be_resampled_are_judged_by_influence() -> None:
    view = view_of(380, 5_000_000)
    assert len(view.labels.codes) > classwise.MAX_RESAMPLED_CELLS
    assert {m for _, _, m in ends(view).values()} == {"simultaneous-influence"}
