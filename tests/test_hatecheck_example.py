"""The HateCheck example: folds without leaking templates, and its runner end to end on a tiny encoder."""

from __future__ import annotations

import gzip
import json
import sys
from itertools import combinations
from pathlib import Path

import pandas as pd
import pytest

pytest.importorskip("sklearn")

REPO = Path(__file__).resolve().parent.parent
EXAMPLE = REPO / "examples" / "hatecheck"
SHARED = REPO.parent / "shared" / "data" / "text" / "hatecheck_cases.csv.gz"
IDENTITIES = ("a", "b", "c")


@pytest.fixture
def make_data(monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.syspath_prepend(str(EXAMPLE))
    for name in ("make_data", "run"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import make_data

    monkeypatch.delitem(sys.modules, "make_data")
    return make_data


def miniature(path: Path) -> Path:
    """Ten families: a template, and one with the other label that refers to it; each in three identities."""
    rows = []
    for t in range(40):
        bad = t % 2 == 0
        for k, identity in enumerate(IDENTITIES):
            text = f"the {'bad' if bad else 'good'} {('man', 'woman', 'film')[k]} a day"
            rows.append({"case_id": f"{t}-{k}", "test_case": text, "label_gold": "hateful" if bad else "non-hateful",
                         "target_ident": identity, "functionality": "f", "templ_id": str(t + 1),
                         "ref_templ_id": f"{t}.0" if t % 2 else ""})  # fmt: skip
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.write(pd.DataFrame(rows).to_csv(index=False))
    return path


def no_leak(frame: pd.DataFrame, references: pd.DataFrame) -> None:
    """No template stands in two splits, and no template stands in another split than one it was made from."""
    for one, other in combinations(("train", "val", "test"), 2):
        assert not set(frame.template[frame.split == one]) & set(frame.template[frame.split == other])
    split = frame.drop_duplicates("template").set_index("template")["split"]
    for own, reference in references.itertuples(index=False):
        assert split[own] == split[str(int(float(reference)))]


def test_families_follow_references(make_data: object) -> None:
    own, other = pd.Series(["1", "2", "3", "4", "5", "3"]), pd.Series(["", "1.0", "5.0", "", "2.0", "5.0"])
    assert make_data.families(own, other).tolist() == ["1", "1", "1", "4", "1", "1"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("real", [False, True])
def test_no_template_is_in_two_splits(real: bool, make_data: object, tmp_path: Path) -> None:
    if real and not SHARED.exists():
        pytest.skip("needs ../shared/data/text/hatecheck_cases.csv.gz")
    source = SHARED if real else miniature(tmp_path / "cases.csv.gz")
    cases = make_data.cases(source)  # type: ignore[attr-defined]
    raw = pd.read_csv(source, dtype=str, keep_default_na=False)
    references = raw.loc[raw.ref_templ_id != "", ["templ_id", "ref_templ_id"]]
    tested: list[str] = []
    for k in range(5):
        frame = make_data.with_split(cases, k)  # type: ignore[attr-defined]
        no_leak(frame, references)
        assert len(frame) == len(raw)
        held = frame[frame.split == "test"]
        assert set(held.label) == {"hateful", "non-hateful"}
        tested += held.id.tolist()
        if real:
            cells = held.groupby(["label", "target_ident"]).size()
            assert len(cells) == 14
            assert cells.min() >= 10  # or the audit could not evaluate it
    assert sorted(tested) == sorted(raw.case_id)


@pytest.mark.slow
def test_the_runner_chooses_pools_and_goes_on(
    make_data: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("peft")
    import models

    monkeypatch.syspath_prepend(str(EXAMPLE))
    import run as runner

    monkeypatch.delitem(sys.modules, "run")
    source, data, out = miniature(tmp_path / "cases.csv.gz"), tmp_path / "data", tmp_path / "r.json"
    model = models.save_model("bert", tmp_path / "m", head=False)
    for command in (["make_data.py", str(source), str(data)],):
        monkeypatch.setattr(sys, "argv", command)
        make_data.main()  # type: ignore[attr-defined]
    command = ["run.py", str(model), str(data), "--out", str(out), "--folds", "2", "--epochs", "1",
               "--batch-size", "24", "--lr", "0.05", "--methods", "lora", "fairlora:0.1,1"]  # fmt: skip
    monkeypatch.setattr(sys, "argv", command)
    runner.main()
    result = json.loads(out.read_text())
    assert [(r["method"], r["fold"]) for r in result["runs"]] == [
        ("lora", 0), ("fairlora", 0), ("fairlora", 0), ("lora", 1), ("fairlora", 1),
    ]  # fmt: skip
    tried = result["runs"][1:3]
    best = max(tried, key=lambda r: (r["validation"]["worst_group_accuracy"], -r["penalty"]))
    assert result["runs"][-1]["penalty"] == best["penalty"]
    assert [p["method"] for p in result["pooled"]] == ["lora", "fairlora"]
    assert result["pooled"][0]["rows"] == 48
    found = result["pooled"][0]["metrics"]["accuracy"]["value"]
    kept = pd.concat([pd.read_parquet(tmp_path / "r.predictions" / f"lora-None-{k}.parquet") for k in (0, 1)])
    assert found == pytest.approx((kept.y_true == kept.y_pred).mean())
    assert {c["metric"] for c in result["pooled"][1]["against_lora"]} >= {"accuracy", "tpr", "tnr"}
    monkeypatch.setattr(runner, "one_run", None)  # nothing is run twice
    runner.main()
    assert json.loads(out.read_text())["summary"] == result["summary"]


def test_the_page_shows_the_results_that_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    results = EXAMPLE / "results.json"
    if not results.exists():
        pytest.skip("no results.json: it is not there before the long run ends")
    monkeypatch.syspath_prepend(str(EXAMPLE))
    monkeypatch.delitem(sys.modules, "tables", raising=False)  # another example has one of that name
    import tables

    monkeypatch.delitem(sys.modules, "tables")
    page = (EXAMPLE / "README.md").read_text(encoding="utf-8")
    assert tables.filled(page, json.loads(results.read_text(encoding="utf-8"))) == page
    assert all(f"<!-- /{title} -->" in page for title in ("folds", "pooled", "against", "groups"))
