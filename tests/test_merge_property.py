"""The same rows give the same bytes: any partition, order, chunking, kind of frame or file; any names."""

from __future__ import annotations

import json
import math
import random
import tempfile
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import strategies
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fairaudit

RANDOM_TABLES = settings(derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
JUDGING = {"level", "min_events", "min_n", "seed"}
CLOSED_FORM = ("wilson", "newcombe", "jeffreys", "student-t")  # intervals without random draws


def content(audit: fairaudit.Audit) -> str:
    """The bytes of `content`, and their checksum."""
    document = json.loads(audit.to_json())
    return json.dumps(document["content"], ensure_ascii=False) + document["content_sha256"]


def estimates(audit: fairaudit.Audit) -> list[dict[str, Any]]:
    """The estimates as the JSON holds them."""
    return json.loads(audit.to_json())["content"]["estimates"]


def scan(frame: pd.DataFrame, roles: dict[str, Any]) -> fairaudit.Tally:
    """The tally of a frame."""
    inputs = {name: value for name, value in roles.items() if name not in JUDGING}
    return fairaudit.tabulate(frame, fairaudit.Inputs(**inputs | {"sensitive": tuple(roles["sensitive"])}))


def audit_of(tally: fairaudit.Tally, roles: dict[str, Any]) -> fairaudit.Audit:
    """The audit of a tally."""
    settings = {name: value for name, value in roles.items() if name in JUDGING}
    return fairaudit.audit_tally(tally, fairaudit.Settings(**settings))


def shards(frame: pd.DataFrame, dice: random.Random, count: int) -> list[pd.DataFrame]:
    """The rows dealt at random over at most `count` frames, rows and frames in random order."""
    order = dice.sample(range(len(frame)), len(frame))
    owner = [dice.randrange(count) for _ in order]
    parts = [[row for row, at in zip(order, owner, strict=True) if at == part] for part in range(count)]
    return [frame.iloc[part] for part in parts if part]


anything = st.one_of(
    strategies.cases(2, 80), strategies.cases(2, 80, declared=False), strategies.cases(3, 80)
)


@settings(RANDOM_TABLES, max_examples=12)
@given(case=anything, seed=st.integers(0, 2**32), count=st.integers(2, 6))
def test_any_partition_merged_in_any_order(case: strategies.Case, seed: int, count: int) -> None:
    whole = content(audit_of(scan(case.frame(), case.roles), case.roles))
    dice = random.Random(seed)
    tallies = [scan(part, case.roles) for part in shards(case.frame(), dice, count)]
    forward = reduce(add, tallies)
    backward = reduce(add, reversed(tallies))
    nested = reduce(add, tallies[:-1], tallies[-1])
    for tally in (forward, backward, nested, fairaudit.merge(*tallies)):
        assert content(audit_of(tally, case.roles)) == whole


@settings(RANDOM_TABLES, max_examples=6)
@given(case=anything)
def test_auditing_the_tally_is_auditing_the_frame(case: strategies.Case) -> None:
    assert content(audit_of(scan(case.frame(), case.roles), case.roles)) == content(
        fairaudit.audit(case.frame(), **case.roles)
    )


@settings(RANDOM_TABLES, max_examples=8)
@given(case=anything, seed=st.integers(0, 2**32))
def test_row_order_does_not_matter(case: strategies.Case, seed: int) -> None:
    frame = case.frame()
    shuffled = frame.iloc[random.Random(seed).sample(range(len(frame)), len(frame))]
    assert content(fairaudit.audit(shuffled, **case.roles)) == content(fairaudit.audit(frame, **case.roles))


@settings(RANDOM_TABLES, max_examples=6)
@given(case=anything, seed=st.integers(0, 2**32), count=st.integers(2, 4))
def test_several_files_are_one_table(case: strategies.Case, seed: int, count: int) -> None:
    frame = arrow(case).to_pandas(types_mapper=pd.ArrowDtype)
    whole = content(fairaudit.audit(frame, **case.roles))
    with tempfile.TemporaryDirectory() as folder:
        for suffix in ("parquet", "csv", "jsonl"):
            paths = []
            for index, part in enumerate(shards(frame, random.Random(seed), count)):
                paths.append(Path(folder) / f"{suffix}-{index}.{suffix}")
                write(pa.Table.from_pandas(part, preserve_index=False), paths[-1])
            assert content(fairaudit.audit(paths, **case.roles)) == whole, suffix


@settings(RANDOM_TABLES, max_examples=8)
@given(case=anything)
def test_every_kind_of_frame_and_file(case: strategies.Case) -> None:
    whole = content(fairaudit.audit(case.frame(), **case.roles))
    table = arrow(case)
    others: dict[str, Any] = {
        "pyarrow": table,
        "polars": pl.from_arrow(table),
        "pandas on arrow": table.to_pandas(types_mapper=pd.ArrowDtype),
    }
    with tempfile.TemporaryDirectory() as folder:
        for suffix in ("csv", "tsv", "jsonl", "parquet"):
            others[suffix] = Path(folder) / f"rows.{suffix}"
            write(table, others[suffix])
        for kind, data in others.items():
            assert content(fairaudit.audit(data, **case.roles)) == whole, kind


def arrow(case: strategies.Case) -> pa.Table:
    """The columns as an Arrow table, None = null."""
    return pa.table(case.columns)


def text(value: Any) -> str:
    """A value as a text file holds it: missing is empty."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def write(table: pa.Table, path: Path) -> None:
    """Write by the suffix; text is written plainly, as most programs would."""
    if path.suffix == ".parquet":
        pq.write_table(table, path)
        return
    rows = table.to_pylist()
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return
    separator = "\t" if path.suffix == ".tsv" else ","
    lines = [separator.join(table.column_names)]
    lines += [separator.join(text(value) for value in row.values()) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


@settings(RANDOM_TABLES, max_examples=8)
@given(case=anything, seed=st.integers(0, 2**32))
def test_renaming_groups_renames_results(case: strategies.Case, seed: int) -> None:
    roles = {name: value for name, value in case.roles.items() if name != "agreement"} | {"cross": 1}
    names = {}  # (attribute, old group) -> new name, in an order that has nothing to do with the old one
    renamed = dict(case.columns)
    for attribute in roles["sensitive"]:
        old = sorted({strategies.group_text(value) for value in case.columns[attribute]})
        new = random.Random(seed).sample([f"g{index}" for index in range(len(old))], len(old))
        names |= {(attribute, a): b for a, b in zip(old, new, strict=True)}
        renamed[attribute] = [names[attribute, strategies.group_text(v)] for v in case.columns[attribute]]
    before = estimates(fairaudit.audit(case.frame(), **roles))
    after = estimates(fairaudit.audit(pd.DataFrame(renamed), **roles))
    expected = {}
    for entry in before:
        group = names.get((entry["by"], entry["group"]), entry["group"])
        expected[entry["metric"], entry["by"], group, entry["class"]] = facts(entry)
    found = {(e["metric"], e["by"], e["group"], e["class"]): facts(e) for e in after}
    assert found.keys() == expected.keys()
    for place, values in expected.items():
        for name, value in values.items():
            assert same(found[place][name], value), (place, name, found[place][name], value)


def facts(entry: dict[str, Any]) -> dict[str, Any]:
    """What does not depend on the order in which strata are drawn."""
    kept = {name: entry[name] for name in ("value", "status", "n", "numerator", "denominator")}
    interval = entry["interval"]
    if interval and any(word in interval["method"] for word in CLOSED_FORM):
        kept |= {"low": interval["low"], "high": interval["high"]}
    return kept


def same(value: Any, expected: Any) -> bool:
    """Equal to 1e-12, or equal."""
    if isinstance(value, float) and isinstance(expected, float):
        return math.isclose(value, expected, rel_tol=1e-12, abs_tol=1e-12)
    return value == expected


def test_a_shard_whose_labels_look_numeric_changes_nothing() -> None:
    frame = pd.DataFrame(
        {"y": ["1.0"] * 20 + ["x"] * 20, "p": ["1.0"] * 15 + ["x"] * 25, "s": ["a", "b"] * 20}
    )
    roles = {"y_true": "y", "y_pred": "p", "sensitive": ["s"]}
    whole = audit_of(scan(frame, roles), roles)
    merged = scan(frame.iloc[:15], roles) + scan(frame.iloc[15:], roles)
    assert content(audit_of(merged, roles)) == content(whole)
    assert whole.estimate("recall", by="class", class_="1.0").value == 0.75


def test_a_group_absent_from_one_shard_keeps_its_name() -> None:
    frame = pd.DataFrame({"y": [0, 1] * 40, "p": [0, 1, 1, 1] * 20, "s": [7] * 40 + [None] * 20 + [3] * 20})
    roles = {"y_true": "y", "y_pred": "p", "sensitive": ["s"], "positive": "1"}
    parts = [frame.iloc[:40], frame.iloc[40:60], frame.iloc[60:]]
    merged = audit_of(reduce(add, [scan(part, roles) for part in parts]), roles)
    assert content(merged) == content(fairaudit.audit(frame, **roles))
    groups = [entry["group"] for entry in json.loads(merged.to_json())["content"]["groups"]]
    assert sorted(groups) == ["(missing)", "3", "7"]


def test_the_seed_is_part_of_content() -> None:
    frame = pd.DataFrame({"y": [0, 1] * 40, "p": [0, 1, 1, 1] * 20, "s": ["a", "b"] * 40})
    roles = {"y_true": "y", "y_pred": "p", "sensitive": ["s"], "positive": "1"}
    one, again, two = (fairaudit.audit(frame, **roles, seed=seed) for seed in (1, 1, 2))
    assert content(one) == content(again)
    assert content(one) != content(two)
