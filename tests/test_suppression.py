"""Suppression under attack: an attacker who solves linear programs over the cells learns no small count."""

from __future__ import annotations

import random
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from itertools import combinations, product
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from fairaudit import suppression
from fairaudit.redaction import redacted
from fairaudit.suppression import hidden
from fairaudit.verdict import Check, Stratum, Verdict, outcome

Key = tuple[tuple[str, ...], tuple[str, ...]]
Counts = dict[tuple[str, ...], dict[tuple[str, ...], list[int]]]
SLOW = settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))


# --- an attacker who shares no code with the module ---------------------------------------------------------


@dataclass
class World:
    """Counts as shown, the threshold, and the attacker's view: one unknown for each formal cell."""

    counts: Counts
    below: int

    def __post_init__(self) -> None:
        names = sorted({name for attributes in self.counts for name in attributes})
        labels = {
            name: sorted({g[a.index(name)] for a, groups in self.counts.items() if name in a for g in groups})
            for name in names
        }
        every = [dict(zip(names, cell, strict=True)) for cell in product(*labels.values())]
        self.cells = [c for c in every if all(tuple(c[n] for n in a) in self.counts[a] for a in self.counts)]
        first = next(iter(self.counts.values()))
        self.total = [sum(column) for column in zip(*first.values(), strict=True)]

    def row(self, key: Key) -> list[int]:
        """1 for each cell that belongs to the group."""
        return [int(all(c[n] == v for n, v in zip(*key, strict=True))) for c in self.cells]

    def keys(self) -> list[Key]:
        return [(a, g) for a, groups in self.counts.items() for g in groups]

    def small(self, count: int) -> bool:
        return 0 < count < self.below

    def secrets(self, hide: frozenset[Key]) -> list[tuple[int, list[int], int]]:
        """(kind, cells, count) of small sums: hidden groups, and unions of them along every line."""
        found = []
        for attributes in self.counts:
            mine = [g for a, g in hide if a == attributes]
            for size in range(len(attributes) + 1):
                for places in combinations(range(len(attributes)), size):
                    for line in {tuple(g[i] for i in places) for g in mine}:
                        union = [g for g in mine if tuple(g[i] for i in places) == line]
                        row = [
                            sum(bits)
                            for bits in zip(*(self.row((attributes, g)) for g in union), strict=True)
                        ]
                        for kind in range(len(self.total)):
                            count = sum(self.counts[attributes][g][kind] for g in union)
                            if self.small(count):
                                found.append((kind, row, count))
        return found

    def equations(self, hide: frozenset[Key]) -> tuple[list[list[int]], list[list[int]]]:
        shown = [k for k in self.keys() if k not in hide]
        rows = [[1] * len(self.cells)] + [self.row(k) for k in shown]
        return rows, [self.total] + [self.counts[a][g] for a, g in shown]

    def range(self, hide: frozenset[Key], kind: int, row: list[int]) -> tuple[float, float]:
        """Least and largest value that a sum can have, for all the attacker knows."""
        rows, values = self.equations(hide)
        b = [v[kind] for v in values]
        ends = [linprog([s * r for r in row], A_eq=rows, b_eq=b, method="highs") for s in (1, -1)]
        assert all(e.status == 0 for e in ends)
        return ends[0].fun, -ends[1].fun

    def learns(self, hide: frozenset[Key]) -> bool:
        """Whether some small sum has one possible value only; hidden groups that have are as good as shown."""
        for kind in range(len(self.total)):
            told = {k for k in hide if self.told(hide, kind, self.row(k), self.counts[k[0]][k[1]][kind])}
            if any(self.small(self.counts[a][g][kind]) for a, g in told):
                return True
            secrets = [(row, count) for k, row, count in self.secrets(hide - told) if k == kind]
            if any(self.told(hide, kind, row, count) for row, count in secrets):
                return True
        return False

    def told(self, hide: frozenset[Key], kind: int, row: list[int], count: int) -> bool:
        """Whether a sum has one possible value."""
        low, high = self.range(hide, kind, row)
        assert low - 1e-6 <= count <= high + 1e-6
        return high - low < 1e-6

    def primary(self) -> frozenset[Key]:
        return frozenset(k for k in self.keys() if any(self.small(c) for c in self.counts[k[0]][k[1]]))


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """One to three attributes, some of their sets, one or two kinds, many zeros and combinations not there."""
    dice = random.Random(draw(st.integers(0, 2**32)))
    names = "abc"[: draw(st.integers(1, 3))]
    labels = [[f"{n}{i}" for i in range(dice.randint(1, 4 if len(names) < 3 else 3))] for n in names]
    kinds = dice.randint(1, 2)
    below = dice.choice([2, 3, 5, 11])
    empty, few = dice.choice([0, 0.2, 0.5]), dice.choice([0.1, 0.3, 0.7])

    def count() -> int:
        if dice.random() < empty:
            return 0
        return dice.randint(1, below) if dice.random() < few else dice.randint(below, 60)

    table = {cell: [count() for _ in range(kinds)] for cell in product(*labels)}
    sets = [c for size in range(1, len(names) + 1) for c in combinations(range(len(names)), size)]
    sets = dice.sample(sets, dice.randint(1, len(sets)))
    listed = dice.random() < 0.5  # whether groups without rows are listed
    counts: Counts = {}
    for places in sets:
        groups: dict[tuple[str, ...], list[int]] = {}
        for cell, values in table.items():
            old = groups.setdefault(tuple(cell[i] for i in places), [0] * kinds)
            groups[tuple(cell[i] for i in places)] = [a + b for a, b in zip(old, values, strict=True)]
        kept = {g: c for g, c in groups.items() if listed or any(c)}
        counts[tuple(names[i] for i in places)] = kept or groups
    return World(counts, below)


@SLOW
@given(worlds())
def test_the_attacker_learns_no_small_count(world: World) -> None:
    hide = hidden(world.counts, world.below)
    assert world.primary() <= hide
    if any(map(world.small, world.total)):  # no hiding helps: the total is public
        assert hide == frozenset(world.keys())
    else:
        assert not world.learns(hide)
    if not world.primary():
        assert not hide


@SLOW
@given(worlds())
def test_no_group_is_hidden_without_need(world: World) -> None:
    hide = hidden(world.counts, world.below)
    for key in sorted(hide - world.primary()):
        assert world.learns(hide - {key})


@SLOW
@given(worlds(), st.integers(0, 2**32))
def test_the_order_of_the_input_does_not_matter(world: World, seed: int) -> None:
    dice = random.Random(seed)

    def mixed(items: Any) -> dict[Any, Any]:
        return dict(dice.sample(list(items), len(items)))

    again = mixed({a: mixed(groups.items()) for a, groups in world.counts.items()}.items())
    arrays = {a: {g: np.array(c) for g, c in groups.items()} for a, groups in again.items()}
    assert hidden(arrays, world.below) == hidden(world.counts, world.below)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32))
def test_the_span_is_that_of_exact_fractions(seed: int) -> None:
    dice = np.random.default_rng(seed)
    shape = tuple(dice.integers(1, 8, 2))
    rows = dice.random(shape) < dice.choice([0.2, 0.5, 0.8])
    target = dice.random(shape[1]) < 0.5
    if dice.random() < 0.4 and len(rows) > 1:
        target = rows[0] ^ rows[1]
    same = rank(rows.tolist()) == rank([*rows.tolist(), target.tolist()])
    assert suppression._spanned(rows, target[None])[0] == same


def rank(rows: list[list[int]]) -> int:
    """The rank, by elimination in exact fractions."""
    work, found = [[Fraction(int(v)) for v in row] for row in rows], 0
    for column in range(len(work[0])):
        pivot = next((i for i in range(found, len(work)) if work[i][column]), None)
        if pivot is None:
            continue
        work[found], work[pivot] = work[pivot], work[found]
        for i in range(found + 1, len(work)):
            factor = work[i][column] / work[found][column]
            work[i] = [a - factor * b for a, b in zip(work[i], work[found], strict=True)]
        found += 1
    return found


@SLOW
@given(worlds())
def test_without_zeros_the_span_and_the_attacker_agree(world: World) -> None:
    """Where every cell may hold rows, a sum has one value exactly if its row lies in the span."""
    filled = {a: {g: [c + 1000 * sum(world.row((a, g))) for c in cs] for g, cs in groups.items()}
              for a, groups in world.counts.items()}  # fmt: skip
    full = World(filled, world.below)
    hide = frozenset(k for i, k in enumerate(full.keys()) if (i * 7 + len(full.keys())) % 3 == 0)
    rows = np.array(full.equations(hide)[0], dtype=bool)
    for key in sorted(hide):
        target = np.array([full.row(key)], dtype=bool)
        low, high = full.range(hide, 0, full.row(key))
        assert suppression._spanned(rows, target)[0] == (high - low < 1e-6)


# --- cases by hand ------------------------------------------------------------------------------------------

A, B, C, D = ("A",), ("B",), ("C",), ("D",)
RACE, SEX, BOTH = ("race",), ("sex",), ("race", "sex")


def names(hide: frozenset[Key]) -> set[str]:
    return {"".join(group) for _, group in hide}


def test_nothing_small_nothing_hidden() -> None:
    assert hidden({RACE: {A: [11, 0], B: [12, 90]}}, 11) == frozenset()
    assert hidden({}, 11) == frozenset()
    assert hidden({RACE: {A: [1, 2], B: [3, 4]}}, 0) == frozenset()
    assert hidden({RACE: {A: [1], B: [3]}}, 1) == frozenset()


def test_below_two_hides_single_rows_only() -> None:
    assert names(hidden({RACE: {A: [1, 5], B: [2, 2], C: [3, 3]}}, 2)) == {"A", "B"}
    assert hidden({RACE: {A: [2, 5], B: [2, 2], C: [3, 3]}}, 2) == frozenset()


def test_one_small_group_takes_the_smallest_other_that_helps() -> None:
    assert names(hidden({RACE: {A: [4], B: [50], C: [70], D: [0]}}, 11)) == {"A", "B"}


def test_two_small_groups_whose_sum_is_small_take_a_third() -> None:
    assert names(hidden({RACE: {A: [4], B: [5], C: [70], D: [80]}}, 11)) == {"A", "B", "C"}
    assert names(hidden({RACE: {A: [4], B: [7], C: [70], D: [80]}}, 11)) == {"A", "B"}


def test_a_partner_must_have_rows_of_the_same_kind() -> None:
    """B is smaller, but without true positives; it would leave A's five known."""
    assert names(hidden({RACE: {A: [5, 90], B: [0, 100], C: [60, 200]}}, 11)) == {"A", "C"}


def test_ties_go_by_name() -> None:
    assert names(hidden({RACE: {C: [50], B: [50], A: [50], D: [3]}}, 11)) == {"C", "D"}


def test_a_cell_of_a_two_way_table_takes_a_rectangle() -> None:
    cells = {
        ("A", "F"): [5],
        ("A", "M"): [40],
        ("B", "F"): [50],
        ("B", "M"): [60],
        ("C", "F"): [70],
        ("C", "M"): [80],
    }
    table = {
        RACE: {A: [45], B: [110], C: [150]},
        SEX: {("F",): [125], ("M",): [180]},
        BOTH: cells,
    }
    assert names(hidden(table, 11)) == {"AF", "AM", "BF", "BM"}


def test_a_combination_that_is_not_there_helps_the_attacker() -> None:
    """Nobody is B & F, so A & M is the men less all of B, and only hiding margins protects it."""
    counts: Counts = {RACE: {A: [17], B: [20]}, SEX: {("F",): [12], ("M",): [25]}, BOTH: {
        ("A", "M"): [5], ("A", "F"): [12], ("B", "M"): [20]}}  # fmt: skip
    world, hide = World(counts, 11), hidden(counts, 11)
    assert world.primary() == {(BOTH, ("A", "M"))}
    assert any(attributes != BOTH for attributes, _ in hide)
    assert not world.learns(hide)


def test_a_shown_zero_helps_the_attacker() -> None:
    """The women of B number 0, so hiding them with the women of A hides nothing once their sum is known."""
    counts: Counts = {RACE: {A: [45], B: [60]}, SEX: {("F",): [5], ("M",): [100]}, BOTH: {
        ("A", "F"): [5], ("A", "M"): [40], ("B", "F"): [0], ("B", "M"): [60]}}  # fmt: skip
    world = World(counts, 11)
    assert not world.learns(hidden(counts, 11))
    assert world.learns(world.primary())


def test_a_hidden_group_that_is_known_hides_nothing() -> None:
    """B & M is 17 less the 12 of B & F; were it taken for hidden, the two other men would be known to be 2."""
    cells = {
        ("A", "F"): [5],
        ("A", "M"): [1],
        ("B", "F"): [12],
        ("B", "M"): [5],
        ("C", "F"): [4],
        ("C", "M"): [1],
    }
    counts: Counts = {RACE: {A: [6], B: [17], C: [5]}, SEX: {("F",): [21], ("M",): [7]}, BOTH: cells}
    hide = hidden(counts, 3)
    assert (BOTH, ("B", "M")) in hide
    assert (BOTH, ("B", "F")) in hide
    assert not World(counts, 3).learns(hide)


def test_groups_without_rows_are_no_partners() -> None:
    """The two C are empty, and known to be once all others are: only a rectangle of A and B protects the one."""
    cells = {
        ("A", "F"): [1],
        ("A", "M"): [37],
        ("B", "F"): [27],
        ("B", "M"): [27],
        ("C", "F"): [0],
        ("C", "M"): [0],
    }
    counts: Counts = {RACE: {A: [38], B: [54], C: [0]}, SEX: {("F",): [28], ("M",): [64]}, BOTH: cells}
    assert names(hidden(counts, 2)) == {"AF", "AM", "BF", "BM"}


def test_attributes_never_crossed_are_judged_apart() -> None:
    counts: Counts = {RACE: {A: [4], B: [50], C: [70]}, SEX: {("F",): [60], ("M",): [64]}}
    assert hidden(counts, 11) == frozenset({(RACE, A), (RACE, B)})


def test_one_group_only_and_all_rows() -> None:
    assert names(hidden({RACE: {A: [4, 100]}}, 11)) == {"A"}
    assert hidden({(): {(): [4, 100]}, RACE: {A: [4, 50], B: [0, 50]}}, 11) == frozenset(
        {((), ()), (RACE, A), (RACE, B)}
    )


def test_everything_hidden_and_groups_without_rows() -> None:
    assert names(hidden({RACE: {A: [1], B: [2]}}, 11)) == {"A", "B"}
    assert names(hidden({RACE: {A: [1], B: [20], C: [0], D: [0]}}, 11)) == {"A", "B"}
    assert hidden({RACE: {A: [0], B: [0]}}, 11) == frozenset()


def test_too_many_cells_hide_every_set_that_is_tied_to_a_hidden_group(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cells = {("A", "F"): [5], ("A", "M"): [40], ("B", "F"): [20], ("C", "M"): [40]}
    counts: Counts = {RACE: {A: [45], B: [20], C: [40]}, SEX: {("F",): [25], ("M",): [80]}, BOTH: cells}
    counts[("age",)] = {("1",): [50], ("2",): [55]}
    monkeypatch.setattr(suppression, "MOST_CELLS", 5)  # of six
    assert hidden(counts, 11) == frozenset((a, g) for a in (RACE, SEX, BOTH) for g in counts[a])
    assert hidden(counts, 3) == frozenset()


def test_counts_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(ValueError, match="same kinds"):
        hidden({RACE: {A: [4], B: [5, 6]}}, 11)
    with pytest.raises(ValueError, match="same rows"):
        hidden({RACE: {A: [4], B: [5]}, SEX: {("F",): [10]}}, 11)


# --- the verdict --------------------------------------------------------------------------------------------


def stratum(group: str | None, verdict: str = "pass", **more: Any) -> Stratum:
    numbers: dict[str, Any] = {
        "value": 0.717171, "rate": 0.727272, "n": 7373, "numerator": 7474.0, "denominator": 7575.0, "baseline": 0.7676,
        "baseline_n": 7777, "fail_bound": 0.7878, "pass_bound": 0.7979, "rows_needed": 7070, "reason": "7171 events",
    }  # fmt: skip
    return Stratum(group, verdict, **{**numbers, **more})


def verdict_of(*checks: Check, **more: Any) -> Verdict:
    stats = {"on_inconclusive": "block", "suppress_below": 11}
    return Verdict("fail", checks, {"name": "p", "sha256": "0"}, {"rows": 900}, None, stats, **more)


def check_of(*strata: Stratum, by: str = "race", **more: Any) -> Check:
    return Check("r", by, "tpr", "min_ratio", 0.8, True, "highest", "fail", strata, **more)


HIDE = frozenset({("race", "Asian"), ("race&sex", "Asian & F")})


def test_a_hidden_stratum_keeps_its_name_and_verdict_only() -> None:
    kept = {"group", "verdict", "class_", "against", "waived"}
    before = stratum("Asian", "fail", class_="1", against="White", waived="2027-01-01")
    (after,) = redacted(verdict_of(check_of(before)), HIDE).checks[0].strata
    assert after.hidden
    assert after.reason == "hidden: a count under 11, or one that would reveal it"
    for field in fields(Stratum):
        if field.name in kept:
            assert getattr(after, field.name) == getattr(before, field.name)
        elif field.name not in ("hidden", "reason"):
            assert getattr(after, field.name) is None


@pytest.mark.parametrize("against", ["Asian", "race=Asian"])
def test_a_comparison_with_a_hidden_group_is_hidden_but_not_the_group(against: str) -> None:
    before = stratum("White", against=against)
    (after,) = redacted(verdict_of(check_of(before)), HIDE).checks[0].strata
    blank = {"value": None, "fail_bound": None, "pass_bound": None, "rows_needed": None, "against": None}
    assert after == replace(before, **blank, reason="compared with a group whose numbers are hidden")


def test_other_strata_stand() -> None:
    strata = (stratum("White", against="Black"), stratum("Asian American"))
    check = replace(check_of(*strata), reference="race=Black")
    assert redacted(verdict_of(check), HIDE).checks == (check,)
    crossed = replace(check_of(stratum("Asian & M"), stratum("Asian"), by="race&sex"), reference="rest")
    assert redacted(verdict_of(crossed), HIDE).checks == (crossed,)


def test_bounds_over_all_pairs_are_withheld_where_any_group_is_hidden() -> None:
    """An independent reader found a hidden group's counts from the bound of a shown one, so none is shown."""
    found = (
        redacted(verdict_of(check_of(stratum("White", against="Black"), stratum("Asian"))), HIDE)
        .checks[0]
        .strata
    )
    assert (found[0].fail_bound, found[0].pass_bound, found[0].rows_needed) == (None, None, None)
    assert found[0].value is not None
    assert not found[0].hidden


def test_a_number_over_groups_is_hidden_where_any_group_is() -> None:
    check = replace(check_of(stratum(None)), reference=None)
    assert redacted(verdict_of(check), HIDE).checks[0].strata[0].hidden


def test_all_rows_can_be_hidden() -> None:
    whole = check_of(stratum(None), by="overall")
    (after,) = redacted(verdict_of(whole), frozenset({("overall", "")})).checks[0].strata
    assert after.hidden
    assert after.n is None


def test_messages_and_data_do_not_tell_either() -> None:
    warnings = tuple(
        {"code": "small_group", "message": m}
        for m in (
            "race=Asian has 7373 rows",
            "race&sex=Asian & F: left out of 7373",
            "race=White has 20 rows",
        )
    )
    before = replace(
        verdict_of(check_of(stratum("White", reason="race=Asian has 7373"), reason="race=Asian: 7373 rows")),
        warnings=warnings,
        data={
            "groups": [{"attribute": "race", "group": "Asian", "n": 7373, "by_class": {"0": 7373}}],
            "rows": 900,
        },
        baseline={
            "n": {"race": {"Asian": 7373, "White": 20}},
            "race=Asian": 7373,
            "note": "race=Asian: 7373",
        },
    )
    after = redacted(before, HIDE)
    assert "7373" not in after.to_json().replace('"n": 7373', "")  # White keeps its own
    assert [w["message"][:10] for w in after.warnings] == ["race=White", "2 groups a"]
    assert after.warnings[-1]["code"] == "suppressed"
    assert after.data["rows"] == 900
    assert after.data["groups"][0]["group"] == "Asian"
    assert after.baseline is not None
    assert after.baseline["n"] == {"race": {"Asian": None, "White": 20}}


def test_nothing_to_hide_leaves_the_verdict_as_it_is() -> None:
    before = verdict_of(check_of(stratum("White")))
    assert redacted(before, frozenset()) is before


VERDICTS = st.sampled_from(["pass", "fail", "inconclusive", "waived"])
GROUPS = st.sampled_from(["Asian", "White", "Black"])


@given(
    st.lists(
        st.tuples(VERDICTS, st.sampled_from(["error", "warn"]), st.lists(st.tuples(GROUPS, VERDICTS, GROUPS)))
    ),
    st.sampled_from(["pass", "fail", "inconclusive"]),
    st.sampled_from(["block", "warn"]),
    st.frozensets(st.tuples(st.just("race"), GROUPS)),
)
def test_verdicts_never_change(drawn: Any, total: str, mode: str, hide: frozenset[tuple[str, str]]) -> None:
    checks = tuple(
        replace(
            check_of(*(stratum(g, v, against=a) for g, v, a in strata)), verdict=verdict, severity=severity
        )
        for verdict, severity, strata in drawn
    )
    before = replace(
        verdict_of(*checks), verdict=total, stats={"on_inconclusive": mode, "suppress_below": 11}
    )
    after = redacted(before, hide)
    assert (after.verdict, after.exit_code) == (before.verdict, before.exit_code)
    for old, new in zip(before.checks, after.checks, strict=True):
        assert replace(new, strata=()) == replace(old, strata=())
        assert outcome(new, after) == outcome(old, before)
        assert [(s.group, s.verdict, s.waived) for s in new.strata] == [
            (s.group, s.verdict, s.waived) for s in old.strata
        ]
        assert [s.hidden for s in new.strata] == [("race", s.group) in hide for s in old.strata]
