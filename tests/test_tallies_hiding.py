"""Hiding under attack: nobody who solves for whole numbers with all that a tally shows learns a hidden count."""

from __future__ import annotations

import random
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.optimize import LinearConstraint, milp

import fairaudit
from fairaudit import Inputs
from fairaudit.errors import FairauditError
from fairaudit.tallies import hiding
from fairaudit.tallies.hiding import suppressed
from fairaudit.tallies.summary import summary

SLOW = settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
Sets = tuple[tuple[str, ...], ...]


def counts_of(tally: fairaudit.Tally) -> dict[tuple[str, ...], dict[tuple[str, ...], int]]:
    """Attributes -> labels of a cell -> rows."""
    return {
        a: {
            tuple(c.labels[i][k] for i, k in enumerate(code)): int(n)
            for code, n in zip(c.codes.tolist(), c.measures["count"], strict=True)
        }
        for a, c in tally.labels.items()
    }


def frame_of(seed: int, attributes: int, dense: float, most: int) -> pd.DataFrame:
    """Rows from a random table with many small cells."""
    dice = random.Random(seed)
    sizes = [dice.randint(1, 3 if attributes < 3 else 2) for _ in range(attributes)]
    rows: list[tuple[Any, ...]] = []
    for cell in product(*(range(s) for s in sizes), "01", "01"):
        if dice.random() < dense:
            rows += [cell] * (dice.randint(1, 4) if dice.random() < 0.5 else dice.randint(1, most))
    names = [*"abc"[:attributes], "y", "p"]
    return pd.DataFrame(rows or [(*[0] * attributes, "0", "0")] * 9, columns=names)


class Attacker:
    """Knows what the tally shows, every label, and how many rows there are; not which cells are hidden."""

    def __init__(self, truth: fairaudit.Tally, shown: fairaudit.Tally) -> None:
        self.full, self.seen = counts_of(truth), counts_of(shown)
        names = sorted({n for a in self.full for n in a})
        labels = [
            sorted({cell[a.index(n)] for a, c in self.full.items() if n in a for cell in c}) for n in names
        ]
        kinds = sorted({cell[len(a) :] for a, c in self.full.items() for cell in c})
        self.cells = [(dict(zip(names, c, strict=True)), k) for c in product(*labels) for k in kinds]
        shown_cells = [(a, cell) for a, c in self.seen.items() for cell in c]
        rows = [self.row(a, cell) for a, cell in shown_cells]
        values = [float(self.seen[a][cell]) for a, cell in shown_cells] + [float(truth.rows)]
        matrix = np.vstack([*rows, np.ones(len(self.cells))])
        self.known = LinearConstraint(matrix, values, values)

    def row(self, attributes: tuple[str, ...], cell: tuple[str, ...]) -> np.ndarray[Any, Any]:
        size = len(attributes)
        wanted, kind = dict(zip(attributes, cell, strict=False)), cell[size:]
        return np.array(
            [float(k == kind and all(c[n] == v for n, v in wanted.items())) for c, k in self.cells]
        )

    def learns(self) -> list[tuple[str, ...]]:
        """Hidden cells with one possible count."""
        found = []
        for a, cells in self.full.items():
            for cell in cells.keys() - self.seen.get(a, {}).keys():
                ends = [
                    milp(s * self.row(a, cell), constraints=self.known, integrality=np.ones(len(self.cells)))
                    for s in (1, -1)
                ]
                assert all(e.success for e in ends)
                low, high = round(ends[0].fun), round(-ends[1].fun)
                assert low <= cells[cell] <= high
                if low == high:
                    found.append((*a, *cell))
        return found


def tally_of(frame: pd.DataFrame, attributes: int, cross: int) -> fairaudit.Tally:
    names = tuple("abc"[:attributes])
    return fairaudit.tabulate(
        frame, Inputs(y_true="y", y_pred="p", sensitive=names, cross=min(cross, len(names)))
    )


def shown_of(truth: fairaudit.Tally, below: int) -> fairaudit.Tally | None:
    """The tally with small cells hidden, None where nothing would be left."""
    try:
        return suppressed(truth, below)
    except FairauditError:
        return None


@SLOW
@given(
    seed=st.integers(0, 2**32), attributes=st.integers(1, 3), cross=st.integers(1, 3),
    below=st.sampled_from([3, 5, 11]), dense=st.sampled_from([0.4, 0.8, 1.0]),
)  # fmt: skip
def test_nobody_learns_a_hidden_count(
    seed: int, attributes: int, cross: int, below: int, dense: float
) -> None:
    truth = tally_of(frame_of(seed, attributes, dense, 4 * below), attributes, cross)
    shown = shown_of(truth, below)
    if shown is None:
        return
    attacker = Attacker(truth, shown)
    for a, cells in attacker.seen.items():
        assert all(n >= below for n in cells.values())
        assert cells.items() <= attacker.full[a].items()
    assert attacker.learns() == []


def test_the_attacker_can_learn() -> None:
    """Hiding only the small cells is not enough: the tables give them away."""
    frame = pd.DataFrame(
        {"a": [*"x" * 40, *"y" * 33], "b": [*"uv" * 20, *"u" * 3, *"v" * 30], "y": "0", "p": "0"}
    )
    truth = tally_of(frame.assign(y=["0"] * 73, p=["0"] * 73), 2, 2)
    naive = {a: c.only("b", lambda v: True) for a, c in truth.labels.items() if a == ("b",)}
    both = truth.labels["a", "b"]
    keep = both.measures["count"] >= 11
    cut = type(both)(both.axes, both.labels, both.codes[keep], {"count": both.measures["count"][keep]})
    leaky = fairaudit.Tally({**truth.labels, **naive, ("a", "b"): cut}, {}, truth.description)
    assert len(Attacker(truth, leaky).learns()) == 1
    assert Attacker(truth, suppressed(truth, 11)).learns() == []


def test_a_cell_with_one_whole_number_is_found() -> None:
    pairs = {("a", "b"): 2, ("b", "c"): 2, ("a", "c"): 2}
    cells = {a: {(x, y): n for x in "01" for y in "01"} for a, n in pairs.items()}
    cells["a", "b", "c"] = dict.fromkeys(product("01", repeat=3), 1)
    free = [(("a", "b", "c"), group) for group in product("01", repeat=3)]
    assert not hiding._pinned(cells, free)  # 1 everywhere, or 0 and 2 in turn
    assert hiding._pinned(cells, free[:1])  # its neighbours are shown


def test_crossed_tables_are_given_up_where_whole_numbers_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hiding, "_pinned", lambda *_: True)
    for seed in range(12):
        truth = tally_of(frame_of(seed, 3, 0.9, 12), 3, 1 + seed % 3)
        shown = shown_of(truth, 3)
        assert shown is None or Attacker(truth, shown).learns() == []


def small(rows: int = 400) -> pd.DataFrame:
    dice = random.Random(3)
    return pd.DataFrame(
        [(dice.choice("abbbccccc"), y := dice.choice("01"), y if dice.random() < 0.9 else "1", dice.random())
         for _ in range(rows)],
        columns=["g", "y", "p", "score"],
    )  # fmt: skip


def scored(**more: Any) -> fairaudit.Tally:
    frame = small().assign(w=2.0, loss=0.5)
    return fairaudit.tabulate(
        frame, Inputs(y_true="y", y_pred="p", y_score="score", sensitive=("g",), **more)
    )


def test_scores_and_losses_are_left_out_and_it_says_so() -> None:
    hid = suppressed(scored(loss="loss"), 11)
    assert hid.scores == {}
    assert hid.hidden is not None
    assert hid.hidden.without == ("scores", "losses")
    assert all(set(c.measures) == {"count"} for c in hid.labels.values())
    assert "hidden_cells" in {w["code"] for w in fairaudit.audit_tally(hid).warnings}


def test_what_is_said_of_the_hidden_is_rounded_up() -> None:
    truth = scored()
    hid = suppressed(truth, 11)
    assert hid.hidden is not None
    gone = sum(len(truth.labels[a].codes) - len(c.codes) for a, c in hid.labels.items())
    assert gone > 0
    assert hid.hidden.cells % 10 == 0
    assert gone <= hid.hidden.cells < gone + 10
    lost = max(truth.rows - int(c.measures["count"].sum()) for c in hid.labels.values())
    assert hid.hidden.percent == -(-100 * lost // truth.rows)


def test_small_numbers_of_rows_left_out_are_not_told() -> None:
    frame = small().assign(p=lambda f: f["p"].where(f.index >= 2))
    tally = fairaudit.tabulate(frame, Inputs(y_true="y", y_pred="p", sensitive=("g",), missing_labels="drop"))
    assert tally.left_out["dropped"] == 2
    assert "dropped" not in suppressed(tally, 11).left_out
    assert suppressed(tally, 11).sources == ()


def test_groups_without_a_shown_cell_go_and_classes_stay() -> None:
    frame = pd.DataFrame(
        {"g": ["a"] * 60 + ["b"] * 60 + ["z"] * 2, "y": ["0", "1"] * 61, "p": ["0", "1"] * 61}
    )
    frame.loc[0, "p"] = "1"
    said = {"0": "a", "1": "z"}
    tally = fairaudit.tabulate(frame, Inputs(y_true="y", y_pred="p", sensitive=("g",), agreement=said))
    hid = suppressed(tally, 5)
    cube = hid.labels["g",]
    assert hid.description["agreement"] == {"0": "a"}
    assert fairaudit.audit_tally(hid).estimate("sensitive_accuracy", by="g").value is not None
    assert "z" not in cube.labels[0]
    assert cube.labels[1:] == (("0", "1"), ("0", "1"))


def test_nothing_small_nothing_hidden_but_still_marked() -> None:
    frame = pd.DataFrame({"g": ["a", "b"] * 60, "y": ["0"] * 60 + ["1"] * 60, "p": ["0"] * 60 + ["1"] * 60})
    tally = fairaudit.tabulate(frame, Inputs(y_true="y", y_pred="p", sensitive=("g",)))
    hid = suppressed(tally, 11)
    assert hid.hidden is not None
    assert (hid.hidden.cells, hid.hidden.percent) == (0, 0)
    assert counts_of(hid) == counts_of(tally)
    with pytest.raises(FairauditError, match="hides counts below 11"):
        fairaudit.merge(hid, hid)


@pytest.mark.parametrize(
    ("below", "said"), [(2, "at least 3"), (0, "at least 3"), (1000, "hides every cell")]
)
def test_thresholds_without_meaning(below: int, said: str) -> None:
    with pytest.raises(FairauditError, match=said):
        suppressed(scored(), below)


def test_weights_and_twice_are_refused() -> None:
    with pytest.raises(FairauditError, match="not for weighted rows"):
        suppressed(scored(weights="w"), 11)
    with pytest.raises(FairauditError, match="hidden in this tally already"):
        suppressed(suppressed(scored(), 11), 20)


def test_too_many_kinds_or_searches_hide_more(monkeypatch: pytest.MonkeyPatch) -> None:
    truth = tally_of(frame_of(1, 3, 0.9, 40), 3, 3)
    usual = counts_of(suppressed(truth, 5))
    monkeypatch.setattr(hiding, "MOST_SEARCHES", 0)
    more = suppressed(truth, 5)
    assert Attacker(truth, more).learns() == []
    assert all(cells.items() <= usual[a].items() for a, cells in counts_of(more).items())
    monkeypatch.setattr(hiding, "MOST_KINDS", 0)
    with pytest.raises(FairauditError, match="hides every cell"):
        suppressed(truth, 5)


def test_hidden_tallies_survive_the_file(tmp_path: Path) -> None:
    hid = suppressed(scored(), 11)
    fairaudit.write_tally(hid, tmp_path / "h.tally")
    again = fairaudit.read_tally(tmp_path / "h.tally")
    assert again.hidden == hid.hidden
    assert counts_of(again) == counts_of(hid)
    assert summary(again)["cells_of_one"] == 0
    # no name of a group that was taken out, nor the checksum of what was there
    assert fairaudit.tallies.file.fingerprint(scored()).encode() not in (tmp_path / "h.tally").read_bytes()
