"""`fairaudit card`: the numbers of the audit in three forms, and no word more than they bear."""

from __future__ import annotations

import json
import random
import shlex
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fairaudit
from fairaudit.card import Names, Source, read
from fairaudit.card.facts import FORBIDDEN, gaps, upwards
from fairaudit.card.front_matter import front_matter, scalar
from fairaudit.card.ll144 import filing
from fairaudit.card.ll144 import parts as tables
from fairaudit.card.writing import writers
from fairaudit_cli.main import run

SCHEMAS = Path(__file__).parent / "official_schemas" / "cyclonedx"
DAYS = (
    "--audit-date",
    "2026-01-31",
    "--data-source",
    "applicants of 2025",
    "--distribution-date",
    "2025-05-01",
)
FILED = {"audit_date": "2026-01-31", "data_source": "applicants of 2025", "distribution_date": "2025-05-01"}


def applicants(
    rows: int = 900, gap: float = 0.3, seed: int = 0, races: tuple[Any, ...] = ("A", "B", "C", None)
) -> pd.DataFrame:
    """Applicants with predictions: `F` is selected less often by `gap`, one race is rare, some are missing."""
    dice = random.Random(seed)
    records = []
    for i in range(rows):
        sex = None if i % 90 == 0 else "F" if i % 2 else "M"
        race = races[2] if i % 75 == 0 else races[dice.choice((0, 0, 1, 3))]
        hit = dice.random() < 0.6 - (gap if sex == "F" else 0.0)
        records.append({"label": int(dice.random() < 0.5), "pred": int(hit), "sex": sex, "race": race,
                        "w": 1 + i % 3, "person": i // 3})  # fmt: skip
    return pd.DataFrame(records)


def audited(frame: pd.DataFrame, **options: Any) -> fairaudit.Audit:
    """The audit of such a table, without the columns that nothing asks for."""
    unused = [c for c in ("w", "person") if c in frame and c not in options.values()]
    roles = {
        "y_true": "label",
        "y_pred": "pred",
        "sensitive": ["sex", "race"],
        "cross": 2,
        "positive": "1",
    } | options
    return fairaudit.audit(frame.drop(columns=unused), **roles)


ODD = ("A|B", 'x"y: [z]', "- no\n---\n<b>", None)
#: Audits of all sorts: with gaps and without, small, one-sided, weighted, clustered, many classes, odd names.
SORTS: Mapping[str, Callable[[], fairaudit.Audit]] = {
    "gap": lambda: audited(applicants()),
    "none": lambda: audited(applicants(gap=0.0, seed=3)),
    "tiny": lambda: audited(applicants(40)),
    "weights": lambda: audited(applicants(), weights="w"),
    "clusters": lambda: audited(applicants(), cluster="person"),
    "odd": lambda: audited(applicants(races=ODD)),
    "classes": lambda: audited(
        applicants().assign(label=lambda t: t.index % 4, pred=lambda t: (t.index // 2) % 4), positive=None
    ),
    "one-sided": lambda: audited(applicants().assign(pred=1)),
    "nobody": lambda: audited(applicants().assign(pred=0)),
    "huge": lambda: audited(applicants(20_000, 0.0)),
    "one": lambda: audited(applicants(), sensitive=["sex"], cross=1),
}


@cache
def made(name: str) -> fairaudit.Audit:
    """One of them."""
    return SORTS[name]()


@cache
def gap_text() -> str:
    """The file of the first."""
    return made("gap").to_json()


def source(name: str) -> Source:
    """One of the audits, as if it had been read from a file."""
    return Source(made(name), f"{name}.json", "2026-01-31T10:00:00+00:00", "0.1.0")


def written(name: str, form: str, **asked: Any) -> str:
    """One card of one audit."""
    return writers(source(name), Names("m", "d", command="fairaudit report PREDS"), FILED | asked)[form]()


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with an audit."""
    monkeypatch.chdir(tmp_path)
    Path("audit.json").write_text(gap_text(), encoding="utf-8")
    return tmp_path


# --- what no card says


@pytest.mark.parametrize("name", SORTS)
@pytest.mark.parametrize("form", ["hf", "hf.json", "ll144", "ll144.json", "cyclonedx"])
def test_no_card_says_what_no_audit_shows(name: str, form: str) -> None:
    try:
        said = " ".join(written(name, form).lower().split())
    except fairaudit.FairauditError as error:
        assert form.startswith("ll144")
        said = str(error).lower()
    for word in FORBIDDEN:
        assert word not in said


@pytest.mark.parametrize("word", ["Unbiased", "fully compliant", "a fair  model", "no bias"])
@pytest.mark.parametrize("option", ["--model-name", "--dataset-name", "--data-source"])
def test_nor_do_names_say_it(option: str, word: str, capfd: pytest.CaptureFixture[str]) -> None:
    asked = [*DAYS, option, word]
    assert run(["card", "audit.json", "--format", "ll144", "--model-name", "m", *asked]) == 2
    assert "which no card can show" in capfd.readouterr().err


def test_without_a_gap_the_card_says_how_large_one_could_have_been() -> None:
    """The number is the upper end of the simultaneous interval, never rounded to less."""
    content = made("none").content()
    card = written("none", "hf")
    unseen = 0
    for e in content["estimates"]:
        if e["metric"] != "demographic_parity_difference" or e["group"] is not None:
            continue
        low, high = e["interval"]["low"], e["interval"]["high"]
        metric = e["metric"].replace("_", "\\_")
        line = next(x for x in card.splitlines() if x.startswith(f"- {metric} by {e['by']}:"))
        assert low == 0
        told = float(line.split("at least ")[1].split(" points")[0]) / 100
        assert high <= told + 1e-12 < high + 0.001 + 1e-12
        assert "no violation shown; this data could have shown a gap of at least" in line
        unseen += 1
    assert unseen == 3


def test_every_gap_is_shown_or_bounded_or_not_judged() -> None:
    for name in SORTS:
        audit = made(name)
        expected = [e for e in audit.content()["estimates"] if e["group"] is None and e["by"] != "class" and (
            e["metric"].endswith("_difference") or e["metric"] in ("eod_max", "f1_delta"))]  # fmt: skip
        found = gaps(audit)
        assert len(found) == len(expected), name
        for gap, e in zip(found, expected, strict=True):
            if e["value"] is None:
                assert gap.verdict == f"not judged: {e['reason']}"
            elif e["interval"]["low"] > 0:
                assert "a gap is shown" in gap.verdict
                assert "no violation" not in gap.verdict
            else:
                assert gap.verdict.startswith("no violation shown; this data could have shown ")


def test_a_bound_of_one_means_that_nothing_could_be_shown() -> None:
    few = audited(
        pd.DataFrame({"label": [1] * 20, "pred": [1, 0] * 10, "sex": ["F", "M"] * 10, "race": ["A"] * 20})
    )
    said = {g.estimate.metric: g.verdict for g in gaps(few) if g.estimate.by == "sex"}
    assert "gap is shown" in said["equal_opportunity_difference"]
    assert "not judged" in said["equalized_odds_difference"]


@given(st.floats(0, 1))
def test_upwards_never_says_less(share: float) -> None:
    assert share - 1e-9 <= float(upwards(share)) / 100 <= share + 0.001 + 1e-9


# --- Hugging Face


@pytest.mark.parametrize("name", SORTS)
def test_the_metadata_is_read_by_huggingface_hub(name: str) -> None:
    hub = pytest.importorskip("huggingface_hub")
    card = hub.ModelCard(written(name, "hf"))
    audit = made(name)
    assert card.data.model_name == "m"
    by_name = {r.metric_name: r for r in card.data.eval_results}
    assert len(by_name) == len(card.data.eval_results)
    accuracy = audit.estimate("accuracy")
    assert accuracy.interval is not None
    result = next(r for r in card.data.eval_results if r.metric_type == "accuracy")
    assert (result.task_type, result.dataset_name, result.dataset_type) == ("classification", "d", "d")
    assert result.metric_value == pytest.approx(accuracy.value, abs=1e-6)
    assert result.metric_args["low"] == pytest.approx(accuracy.interval.low, abs=1e-6)
    over = [
        e
        for e in audit.estimates
        if e.by not in ("overall", "class") and e.group is None and e.value is not None
    ]
    told = [(r.metric_type, r.metric_args["by"], r.metric_value) for r in card.data.eval_results
            if r.metric_args["by"] != "overall"]  # fmt: skip
    assert told == [(e.metric, e.by, pytest.approx(e.value, abs=1e-6)) for e in over]
    assert card.text.lstrip().startswith("## Fairness")


def test_the_section_lists_every_group_and_what_was_left_out() -> None:
    card = written("gap", "hf")
    for group in made("gap").groups:
        assert f"| {group['group']} | {group['n']:,} " in card
    left = card.split("### Left out of the comparisons")[1].split("###")[0]
    small = {
        (e.by, e.group) for e in made("gap").estimates if e.group and e.metric == "tpr" and e.status != "ok"
    }
    assert small
    assert all(f"- {by}={group}: " in left for by, group in small)
    assert "No group: each has enough rows" in written("huge", "hf")


def test_the_command_makes_the_same_audit(capfd: pytest.CaptureFixture[str]) -> None:
    frame = applicants()
    frame.to_csv("preds.csv", index=False)
    options = (
        "--y-true label --y-pred pred -s sex -s race --cross 2 --positive 1 --weights w --cluster person "
        "--min-events 7 --seed 3 --level 0.9 --na A"
    )
    assert run(["report", "preds.csv", *options.split(), "-o", "json:first.json"]) == 0
    assert run(["card", "first.json", "-o", "hf:card.md"]) == 0
    capfd.readouterr()
    card = Path("card.md").read_text(encoding="utf-8")
    line = next(x for x in card.splitlines() if x.startswith("fairaudit report PREDS"))
    assert run([*shlex.split(line.replace("PREDS", "preds.csv"))[1:], "-o", "json:again.json"]) == 0
    first, again = (
        fairaudit.Audit.from_json(Path(f).read_text(encoding="utf-8")) for f in ("first.json", "again.json")
    )
    assert again.estimates == first.estimates


def test_the_command_finds_probabilities_again(capfd: pytest.CaptureFixture[str]) -> None:
    frame = applicants().drop(columns=["pred", "w", "person", "race"])
    for name in ("prob_", "chance of "):
        given_ = frame.assign(**{f"{name}0": 0.25, f"{name}1": 0.75})
        given_.to_csv("preds.csv", index=False)
        assert run(["report", "preds.csv", "--y-true", "label", "--prob-prefix", name, "-s", "sex", "--positive", "1",
                    "-o", "json:first.json"]) == 0  # fmt: skip
        assert run(["card", "first.json", "-o", "hf:card.md"]) == 0
        line = next(
            x for x in Path("card.md").read_text(encoding="utf-8").splitlines() if "report PREDS" in x
        )
        assert run([*shlex.split(line.replace("PREDS", "preds.csv"))[1:], "-o", "json:again.json"]) == 0
        texts = [
            json.loads(Path(f).read_text(encoding="utf-8"))["content"] for f in ("first.json", "again.json")
        ]
        assert texts[0]["estimates"] == texts[1]["estimates"]
    capfd.readouterr()


plain = (
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.text()
    | st.floats(-1e6, 1e6).map(lambda x: round(x, 6))
)


nested = st.recursive(
    plain,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), nested, max_size=4))
def test_front_matter_is_yaml(metadata: dict[str, Any]) -> None:
    yaml = pytest.importorskip("yaml")
    text = front_matter(metadata)
    assert text.startswith("---\n")
    assert text.endswith("\n---\n")
    assert (yaml.safe_load(text.removeprefix("---\n").removesuffix("---\n")) or {}) == metadata


def test_a_number_has_no_exponent() -> None:
    """YAML 1.1 reads 1e-05 as a text."""
    assert [scalar(x) for x in (1e-5, 1e-7, 0.5, 1.0, 123456789.0)] == [
        "0.00001",
        "0.0",
        "0.5",
        "1.0",
        "123456789.0",
    ]


# --- CycloneDX


def validator() -> Any:
    """The official schema with the two that it refers to."""
    from jsonschema import Draft7Validator, FormatChecker
    from referencing import Registry, Resource

    read_in = {p.name: json.loads(p.read_text(encoding="utf-8")) for p in SCHEMAS.glob("*.json")}
    registry: Any = Registry().with_resources(
        (f"http://cyclonedx.org/schema/{name}", Resource.from_contents(text))
        for name, text in read_in.items()
    )
    return Draft7Validator(
        read_in["bom-1.6.SNAPSHOT.schema.json"], registry=registry, format_checker=FormatChecker()
    )


@pytest.mark.parametrize("name", SORTS)
def test_the_bill_of_materials_follows_the_official_schema(name: str) -> None:
    bom = json.loads(written(name, "cyclonedx"))
    assert [e.message for e in validator().iter_errors(bom)] == []
    (component,) = bom["components"]
    metrics = component["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
    told = [e for e in made(name).estimates if e.value is not None]
    assert [(m["type"], float(m["value"])) for m in metrics] == [
        (e.metric, pytest.approx(e.value, abs=1e-5)) for e in told
    ]
    for m, e in zip(metrics, told, strict=True):
        if e.interval is None:
            assert "confidenceInterval" not in m
        else:
            assert float(m["confidenceInterval"]["lowerBound"]) == pytest.approx(e.interval.low, abs=1e-5)
            assert float(m["confidenceInterval"]["upperBound"]) == pytest.approx(e.interval.high, abs=1e-5)
        assert ("slice" in m) == (e.by != "overall")
    slices = [(m["type"], m.get("slice")) for m in metrics]
    assert len(slices) == len(set(slices))


@pytest.mark.parametrize("spoil", [
    lambda b: b.pop("bomFormat"), lambda b: b["components"][0].pop("name"),
    lambda b: b["components"][0].update(type="model"),
    lambda b: b["components"][0]["modelCard"]["quantitativeAnalysis"]["performanceMetrics"][0].update(value=0.5),
    lambda b: b["components"][0]["modelCard"]["considerations"]["fairnessAssessments"][0].update(who="all"),
])  # fmt: skip
def test_the_schema_can_refuse(spoil: Any) -> None:
    bom = json.loads(written("gap", "cyclonedx"))
    spoil(bom)
    assert not validator().is_valid(bom)


def test_who_is_at_risk_is_named_where_a_gap_is_shown() -> None:
    assessments = json.loads(written("gap", "cyclonedx"))["components"][0]["modelCard"]["considerations"][
        "fairnessAssessments"
    ]
    said = {a["harms"].split(":")[0]: a["groupAtRisk"] for a in assessments}
    assert said["equal_opportunity_difference by sex"] == "sex=F"
    assert said["demographic_parity_difference by sex"].startswith("sex=F (lowest) or sex=")
    assert said["predictive_parity_difference by race"] == "groups of race: none singled out"


@pytest.mark.parametrize(("label", "worse"), [(1, "sex=M"), (0, "sex=F")])
def test_who_is_missed_or_accused_more_often_is_at_risk(label: int, worse: str) -> None:
    """`F` is predicted positive more often: among positives `M` is missed, among negatives `F` is accused."""
    rows = [
        (y, int(k % 10 < (8 if s == "F" and y == label else 4)), s)
        for y in (0, 1)
        for s in "FM"
        for k in range(200)
    ]
    audit = audited(pd.DataFrame(rows, columns=["label", "pred", "sex"]), sensitive=["sex"], cross=1)
    bom = json.loads(writers(Source(audit, "a", "2026-01-31", "0"), Names(), {})["cyclonedx"]())
    said = {a["harms"].split(" by")[0]: a["groupAtRisk"] for a in
            bom["components"][0]["modelCard"]["considerations"]["fairnessAssessments"]}  # fmt: skip
    assert said["equalized_odds_difference"] == worse


def test_the_same_audit_gives_the_same_bytes() -> None:
    for form in ("hf", "ll144", "cyclonedx"):
        assert written("gap", form) == written("gap", form)


# --- Local Law 144


def people(frame: pd.DataFrame, *columns: str) -> Iterator[tuple[str, int, int]]:
    """(category, applicants, selected), counted row by row."""
    known = frame.dropna(subset=list(columns))
    for key in sorted({tuple(r) for r in known[list(columns)].itertuples(index=False)}):
        mine = known[(known[list(columns)] == list(key)).all(axis=1)]
        yield ", ".join(key), len(mine), int(mine["pred"].sum())


def test_the_tables_are_those_of_a_count_by_hand() -> None:
    frame = applicants()
    for part, columns in zip(
        tables(source("gap"), filing(**FILED)), (["sex"], ["race"], ["sex", "race"]), strict=True
    ):
        counted = list(people(frame, *columns))
        assert [(c.name, c.n, c.selected) for c in part.categories] == counted
        assert part.unknown == int(frame[columns].isna().any(axis=1).sum()) > 0
        top = max(k / n for _, n, k in counted)
        for c, (_, n, k) in zip(part.categories, counted, strict=True):
            assert c.rate == pytest.approx(k / n)
            assert c.ratio == pytest.approx(k / n / top)
            assert c.share == pytest.approx(n / len(frame))
            assert c.ratio_low is not None
            assert c.ratio_high is not None
            assert c.ratio_low <= c.ratio + 1e-12
            assert c.ratio <= c.ratio_high + 1e-12


def test_the_interval_of_the_lowest_ratio_is_that_of_the_audit() -> None:
    """Where no category is unknown, small or left out, the law's lowest ratio is `demographic_parity_ratio`."""
    frame = applicants(3000, races=("A", "B", "C", "D"))
    frame = frame[frame["sex"].notna()]
    audit = audited(frame)
    for part in tables(Source(audit, "a", "2026-01-31", "0"), filing(**FILED)):
        e = audit.estimate("demographic_parity_ratio", part.by)
        assert e.interval is not None
        assert min(c.ratio or 0.0 for c in part.categories) == pytest.approx(e.value)
        assert part.lowest == pytest.approx((e.interval.low, e.interval.high))


def test_ratio_intervals_cover_all_categories_at_once() -> None:
    """Ties included: at 95 %, of 300 worlds at most 30 may miss one (a binomial's 99.9 % point is 29)."""
    import numpy as np

    from fairaudit.card.ll144 import Category, _with_ratios

    rng = np.random.default_rng(5)
    a = made("gap")
    for rates in ([0.3] * 6, [0.1, 0.2, 0.4, 0.4]):
        missed, n = 0, 200
        for _ in range(300):
            hits = rng.binomial(n, rates)
            found, _ = _with_ratios(
                a, [Category(str(i), n, int(k), k / n, 0, 1, 0.1) for i, k in enumerate(hits)]
            )
            truth = [r / max(rates) for r in rates]
            missed += any(
                not (c.ratio_low or 0) <= t <= (c.ratio_high or 0) for c, t in zip(found, truth, strict=True)
            )
        assert missed <= 30


def test_small_categories_may_be_left_out_but_stay_shown() -> None:
    asked = filing(**FILED, exclude_below=2.0, justification="12 people")
    _, race, _ = tables(source("gap"), asked)
    (small,) = [c for c in race.categories if c.excluded]
    assert (small.name, small.n, small.ratio) == ("C", 12, None)
    assert small.share < 0.02
    page = written("gap", "ll144", exclude_below=2.0, justification="12 people")
    row = next(x for x in page.splitlines() if x.startswith("| C |"))
    assert "| 12 |" in row
    assert "| left out |" in row
    assert "Justification: 12 people" in page
    compared = [c for c in race.categories if not c.excluded]
    assert max(c.ratio or 0 for c in compared) == 1.0


def test_the_page_says_what_the_law_asks_and_what_its_table_does_not_say() -> None:
    page = written("gap", "ll144")
    for text in ("2026-01-31", "2025-05-01", "applicants of 2025", "What the rule's tables do not say",
                 "not asked for by the rule", "no legal conclusion",
                 "unknown category of sex, assessed and not in the calculations above: 10."):  # fmt: skip
        assert text in page
    assert "A difference is shown: the lowest impact ratio is at most" in page.split("## Race")[0]
    none = written("none", "ll144").split("## Race")[0]
    assert "No violation shown; this data could have shown a gap of at least" in none


def test_nobody_selected_is_said() -> None:
    assert written("nobody", "ll144").count("0 / 0: undefined") == 3


def test_clustered_rows_have_rates_but_no_intervals_of_ratios() -> None:
    for part in tables(source("clusters"), filing(**FILED)):
        assert part.lowest is None
        assert all(c.ratio is not None and c.ratio_low is None for c in part.categories)
    assert "The rows are clustered" in written("clusters", "ll144")


# --- the command


@pytest.mark.parametrize("form", ["hf", "ll144", "cyclonedx"])
def test_the_command_prints_and_writes_the_same(form: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["card", "audit.json", "--format", form, *DAYS, "-o", f"{form}:out/card"]) == 0
    shown = capfd.readouterr().out
    assert Path("out/card").read_text(encoding="utf-8") == shown
    assert run(["card", "audit.json", "--format", form, *DAYS, "--json"]) == 0
    assert isinstance(json.loads(capfd.readouterr().out), dict)


def spoiled(**changes: Any) -> str:
    """The audit with other values at its top; those of `content` are merged into it."""
    good = json.loads(gap_text())
    return json.dumps({**good, **changes, "content": {**good["content"], **changes.get("content", {})}})


#: Files that are no audit, or no audit that a card can be made of.
FILES: Mapping[str, Callable[[], str]] = {
    "text.json": lambda: "hello",
    "list.json": lambda: "[1]",
    "empty.json": lambda: "",
    "nan.json": lambda: '{"schema": NaN}',
    "deep.json": lambda: "[" * 100_000,
    "comparison.json": lambda: fairaudit.compare(made("gap"), made("none")).to_json(),
    "newer.json": lambda: spoiled(schema_version="2.0"),
    "lacking.json": lambda: spoiled().replace('"groups"', '"grups"'),
    "changed.json": lambda: spoiled(content={"seed": 7}),
    "typed.json": lambda: spoiled(content={"estimates": [1]}),
    "alone.json": lambda: fairaudit.audit(
        applicants()[["label", "pred"]], y_true="label", y_pred="pred"
    ).to_json(),
    "uncrossed.json": lambda: audited(applicants(), cross=1).to_json(),
    "weights.json": lambda: made("weights").to_json(),
    "classes.json": lambda: made("classes").to_json(),
    "one.json": lambda: made("one").to_json(),
}
WRONG = [
    (["absent.json"], "No such file"),
    (["."], "cannot read"),
    (["binary.json"], "not UTF-8"),
    (["text.json"], "not JSON"),
    (["list.json"], "needs an audit"),
    (["empty.json"], "not JSON"),
    (["comparison.json"], "a fairaudit.comparison file"),
    (["newer.json"], "schema version 2.0"),
    (["lacking.json"], "groups"),
    (["changed.json"], "checksum"),
    (["nan.json"], "not JSON"),
    (["deep.json"], "not JSON"),
    (["typed.json"], "fairaudit.audit"),
    (["alone.json"], "no sensitive attribute"),
    (["audit.json", "--format", "hff"], "Did you mean 'hf'"),
    (["audit.json", "--format", "pdf"], "no card format 'pdf'"),
    (["audit.json", "-o", "md:card.md"], "no output format 'md'"),
    (["audit.json", "-o", "hf"], "FORMAT:PATH"),
    (["audit.json", "-o", "hf:card.md", "-o", "ll144:law.md"], "--audit-date, --data-source, --distribution-date"),
    (["audit.json", "--model-name", " "], "--model-name is empty"),
    (["audit.json", "--format", "ll144"], "--audit-date, --data-source, --distribution-date"),
    (["audit.json", "--format", "ll144", *DAYS[:4]], "say --distribution-date"),
    (["audit.json", "--format", "ll144", *DAYS, "--audit-date", "soon"], "must be a day"),
    (["audit.json", "--format", "ll144", *DAYS, "--scoring-rate"], "above the sample's median is unknown"),
    (["audit.json", "--format", "ll144", *DAYS, "--exclude-below", "5", "--justification", "x"], "less than 2 %"),
    (["audit.json", "--format", "ll144", *DAYS, "--exclude-below", "nan", "--justification", "x"], "at most 2"),
    (["audit.json", "--format", "ll144", *DAYS, "--exclude-below", "2"], "--justification"),
    (["audit.json", "--format", "ll144", *DAYS, "--justification", "x"], "--exclude-below"),
    (["audit.json", "--format", "ll144", *DAYS, "--sex", "sexx"], "Did you mean 'sex'"),
    (["audit.json", "--format", "ll144", *DAYS, "--sex", "race"], "two attributes"),
    (["one.json", "--format", "ll144", *DAYS], "--race"),
    (["weights.json", "--format", "ll144", *DAYS], "counts people"),
    (["classes.json", "--format", "ll144", *DAYS], "--positive"),
    (["uncrossed.json", "--format", "ll144", *DAYS], "--cross 2"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "said"), WRONG)
def test_a_wrong_input_is_one_sentence_and_leaves_nothing(
    arguments: list[str], said: str, here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    if arguments[0] in FILES:
        Path(arguments[0]).write_text(FILES[arguments[0]](), encoding="utf-8")
    Path("binary.json").write_bytes(b"\xff\xfe\x00{")
    before = sorted(here.iterdir())
    assert run(["card", *arguments]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert len(err.splitlines()) == 1
    assert said in err
    assert "fault of fairaudit" not in err
    assert sorted(here.iterdir()) == before


def test_a_card_is_read_back_from_the_file_it_was_made_of() -> None:
    found = read("audit.json")
    assert found.audit.content() == made("gap").content()
    assert found.attributes == ("sex", "race", "sex&race")
    assert len(found.day) == 10
