"""Plans of sweeps: what a list means, what is tuned, and that every mistake is one sentence with its line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fairaudit.errors import FairauditError
from fairaudit_mitigate.sweeping.cells import Cell
from fairaudit_mitigate.sweeping.plan import Plan, contests, moved, settings_of
from fairaudit_mitigate.sweeping.plan_file import parse_plan, read_plan

KEYS = ["1d34769606659733", "dec1797f2662b53a"]
HEAD = """[[data]]
name = "birds"
path = "birds"
sensitive = ["place"]

[[model]]
name = "vit"
path = "org/vit"
"""


def plan(body: str, head: str = HEAD) -> Plan:
    return parse_plan(head + body, "p.toml", Path("here"))


def test_a_list_means_each_of_these() -> None:
    found = plan("""
[common]
rank = [2, 4]
seed = [0, 1, 2]
penalty = [0.1, 1]
[[run]]
method = ["lora", "fft"]
[[run]]
method = "fairlora"
name = "fair"
lr = 1
""")
    by_run = {r.name: [c for c in contests(found) if c.run == r.name] for r in found.runs}
    assert {k: len(v) for k, v in by_run.items()} == {"lora": 2, "fft": 1, "fair": 4}
    assert all(len(c.candidates) == 1 and c.seeds == (0, 1, 2) for v in by_run.values() for c in v)
    pairs = {(c.candidates[0].rank, c.candidates[0].penalty) for c in by_run["fair"]}
    assert pairs == {(2, 0.1), (2, 1.0), (4, 0.1), (4, 1.0)}
    assert all(c.candidates[0].lr == 1.0 for c in by_run["fair"])


def test_what_is_tuned_is_tried_with_one_seed() -> None:
    found = plan("""
[common]
seed = [3, 4]
rank = [2, 4]
[[run]]
method = "lora"
lr = [0.1, 0.2]
[[run]]
method = "fairlora"
lr = [0.1, 0.2]
penalty = [0.0, 0.5, 1]
[tune]
seed = 9
""")
    sizes = [(c.run, len(c.candidates)) for c in contests(found)]
    assert sizes == [("lora", 2), ("lora", 2), ("fairlora", 6), ("fairlora", 6)]
    contest = contests(found)[2]
    assert {s.seed for s in contest.candidates} == {9}
    assert [s.seed for s in contest.finals(contest.candidates[4])] == [3, 4]
    assert {s.lr for s in contest.finals(contest.candidates[4])} == {contest.candidates[4].lr}


def test_only_what_a_method_reads_makes_another_run() -> None:
    """Of the terms group DRO reads the adjustment alone, dfr none and no learning rate."""
    found = plan("""
[common]
penalty = [0.1, 1]
adjustment = [0.5, 2]
[[run]]
method = ["groupdro-lora", "dfr", "fairlora"]
""")
    told = {r.name: [c.candidates[0] for c in contests(found) if c.run == r.name] for r in found.runs}
    assert {k: len(v) for k, v in told.items()} == {"groupdro-lora": 2, "dfr": 1, "fairlora": 4}
    assert {s.adjustment for s in told["groupdro-lora"]} == {0.5, 2.0}

    def cell(method: str, **values: float) -> Cell:
        return Cell("d", "m", settings_of({"method": method, **values}), "auto")

    for method in ("groupdro-lora", "dfr", "lora"):
        assert cell(method, penalty=7).key == cell(method).key
        assert "λ" not in str(cell(method))
    assert cell("fairlora", penalty=7).key != cell("fairlora").key
    assert "λ=7" in str(cell("fairlora", penalty=7))
    assert cell("dfr", lr=0.5).key == cell("dfr").key
    assert cell("groupdro-lora", lr=0.5).key != cell("groupdro-lora").key
    assert cell("groupdro-lora", adjustment=3).key != cell("groupdro-lora").key


def test_runs_may_be_restricted_and_data_moved() -> None:
    head = HEAD + '[[model]]\npath = "org/dino"\n[[data]]\nname = "geo"\npath = "g.csv"\nlabel = 1\n'
    with pytest.raises(FairauditError, match="no key 'label'"):
        plan('[[run]]\nmethod = "lora"\n', head)
    head = head.replace("label = 1\n", "")
    found = plan('[[run]]\nmethod = "lora"\ndata = "geo"\nmodel = ["dino"]\n[[run]]\nmethod = "fft"\n', head)
    assert [(c.data, c.model, c.run) for c in contests(found)] == [
        ("birds", "vit", "fft"), ("birds", "dino", "fft"), ("geo", "vit", "fft"), ("geo", "dino", "lora"),
        ("geo", "dino", "fft"),
    ]  # fmt: skip
    there = moved(found, ["geo=/there/g.csv"], ["vit=/models/vit"])
    assert (there.spec("geo").path, there.model("vit").path) == ("/there/g.csv", "/models/vit")
    with pytest.raises(FairauditError, match="Did you mean 'geo'"):
        moved(found, ["gea=/x"])


def test_paths_start_from_the_plan(tmp_path: Path) -> None:
    (tmp_path / "birds").mkdir()
    (tmp_path / "p.toml").write_text(HEAD + '[[run]]\nmethod = "lora"\n')
    found = read_plan(tmp_path / "p.toml")
    assert found.data[0].path == str(tmp_path / "birds")
    assert found.models[0].path == "org/vit"


@pytest.mark.parametrize(
    ("body", "line", "words"),
    [
        ('[[run]]\nmethod = "lorra"\n', 10, r"no method 'lorra'.*Did you mean 'lora'\?"),
        ('[[run]]\nmethod = "lora"\nrnak = 3\n', 11, r"\[\[run\]\]: there is no key 'rnak'\. Did you mean 'rank'"),
        ('[common]\nepoch = 3\n[[run]]\nmethod = "lora"\n', 10, r"Did you mean 'epochs'\?"),
        ('[[run]]\nmethod = "fairlora"\npenalty = [0.1, -1]\n', 11, "the penalty λ is a number from 0"),
        ('[[run]]\nmethod = "fairlora"\npenalty = nan\n', 11, "the penalty λ is a number from 0"),
        ('[[run]]\nmethod = "lora"\nrank = "8"\n', 11, "rank is a whole number, not '8'"),
        ('[[run]]\nmethod = "lora"\nseed = []\n', 11, "empty list"),
        ('[common]\nbatch_size = 0\n[[run]]\nmethod = "lora"\n', 10, "batch size"),
        ('[[run]]\nname = "x"\n', 9, "it needs a method"),
        ('[[run]]\nmethod = "lora"\n[[run]]\nmethod = "lora"\n', 12, "the name 'lora' stands twice"),
        ('[[run]]\nmethod = ["lora", "fft"]\nname = "x"\n', 11, "one name for several methods"),
        ('[[run]]\nmethod = "lora"\ndata = "bird"\n', 11, "Did you mean 'birds'"),
        ('[[run]]\nmethod = "lora"\n[tune]\nover = ["penelty"]\n', 12, "Did you mean 'penalty'"),
        ('[[run]]\nmethod = "lora"\n[table]\nmetrics = ["f1_minn"]\n', 12, "Did you mean 'f1_min'"),
        ('[[run]]\nmethod = "lora"\n[table]\nmetric = ["f1_min"]\n', 12, "Did you mean 'metrics'"),
        ('[[run]]\nmethod = ["lora", "threshold"]\n', 10, "threshold trains nothing, so a sweep cannot run it"),
        ('[common]\nmethod = "threshold"\n[[run]]\nrank = 2\n', 10, "threshold trains nothing"),
        ("[run]\nmethod = 'lora'\n", 9, "in double brackets"),
        ("[[run]]\nmethod = 'lora\n", 10, "not TOML"),
    ],
)  # fmt: skip
def test_mistakes_are_one_sentence_with_their_line(body: str, line: int, words: str) -> None:
    with pytest.raises(FairauditError, match=words) as caught:
        plan(body)
    assert str(caught.value).startswith(f"p.toml:{line}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("top", "words"),
    [
        ('select = "acuracy"', "no metric 'acuracy'.*Did you mean 'accuracy'"),
        ('select = "none.toml"', "there is no such file"),
        ('keep = "some"', "keep is none, best, all"),
        ('reference = "lor"', "Did you mean 'lora'"),
        ("schema = 2", "schema = 1"),
        ('selct = "accuracy"', "Did you mean 'select'"),
    ],
)
def test_mistakes_at_the_top(top: str, words: str) -> None:
    with pytest.raises(FairauditError, match=words) as caught:
        plan('[[run]]\nmethod = "lora"\n', f"{top}\n{HEAD}")
    assert str(caught.value).startswith("p.toml:1: ")


def test_a_plan_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text("")
    with pytest.raises(FairauditError, match=r"cannot read the plan.*Did you mean 'plan.toml'"):
        read_plan(tmp_path / "plam.toml")


def test_settings_that_came_later_leave_the_keys_of_cells_alone() -> None:
    """The keys as the first release of sweeps made them: a finished cell is found by every later one."""
    settings = [settings_of({"method": m}) for m in ("lora", "fairlora")]
    assert [Cell("d", "m", s, "auto").key for s in settings] == KEYS
    assert Cell("d", "m", replace(settings[0], decay=0.5), "auto").key == KEYS[0]  # lora has no memory
    remembers = replace(settings[1], estimate="memory")
    keys = {Cell("d", "m", replace(remembers, decay=d), "auto").key for d in (0.5, 0.9)}
    assert len({*keys, KEYS[1]}) == 3
    assert Cell("d", "m", replace(settings[0], adapt="last-2"), "auto").key != KEYS[0]
