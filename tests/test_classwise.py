"""Max-T of F1 over classes: from influence functions what it is from resampled cells, on the same data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fairaudit import classwise
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


def test_cells_of_the_widest_table_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classwise, "MAX_RESAMPLED_CELLS", 100)
    view = view_of(6, 2_000)
    assert ends(view)["f1_min"][2] == "simultaneous-bootstrap"
    assert ends(replace(view, table_cells=101))["f1_min"][2] == "simultaneous-influence"


def test_more_cells_than_can_be_resampled_are_judged_by_influence() -> None:
    view = view_of(380, 5_000_000)
    assert len(view.labels.codes) > classwise.MAX_RESAMPLED_CELLS
    assert {m for _, _, m in ends(view).values()} == {"simultaneous-influence"}
