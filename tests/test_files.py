"""Files of every kind and shape are one table, read once; whatever is wrong with one of them is said of that one."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import fairaudit
from fairaudit.columns import Inputs
from fairaudit.errors import FairauditError
from fairaudit.reading.engine import Duck
from fairaudit.reading.table import tabulate

Writer = Callable[[pd.DataFrame, Path], None]
WRITERS: dict[str, Writer] = {
    "parquet": lambda frame, path: frame.to_parquet(path),
    "csv": lambda frame, path: frame.to_csv(path, index=False),
    "jsonl": lambda frame, path: frame.to_json(path, orient="records", lines=True),
}


def table(rows: int = 600, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, rows)
    return pd.DataFrame(
        {
            "label": y,
            "pred": np.where(rng.random(rows) < 0.8, y, 1 - y),
            "sex": rng.choice(["F", "M"], rows),
            "site": rng.choice(["A", "B"], rows),
        }
    )


def audited(data: object, **options: object) -> str:
    found = fairaudit.audit(data, y_true="label", y_pred="pred", sensitive=["sex", "site"], **options)  # type: ignore[arg-type]
    return found.content_sha256


@pytest.mark.parametrize("kind", WRITERS)
def test_a_folder_and_a_pattern_are_the_rows_of_their_files(tmp_path: Path, kind: str) -> None:
    whole = table()
    (tmp_path / "deep").mkdir()
    WRITERS[kind](whole[:200], tmp_path / f"a.{kind}")
    WRITERS[kind](whole[200:], tmp_path / "deep" / f"b.{kind}")
    (tmp_path / "_SUCCESS").write_text("")
    (tmp_path / ".hidden.csv").write_text("x")
    (tmp_path / "notes.md").write_text("no table")
    expected = audited(whole)
    assert audited(tmp_path) == expected
    assert audited(str(tmp_path / "**" / f"*.{kind}")) == expected


@pytest.mark.parametrize("kind", WRITERS)
def test_folders_that_name_a_value_are_a_column(tmp_path: Path, kind: str) -> None:
    whole = table()
    for site, rows in whole.groupby("site"):
        folder = tmp_path / f"site={site}"
        folder.mkdir()
        WRITERS[kind](rows.drop(columns="site"), folder / f"part-0.{kind}")
    assert audited(tmp_path) == audited(whole)


def test_a_folder_without_tables(tmp_path: Path) -> None:
    (tmp_path / "readme.md").write_text("nothing")
    with pytest.raises(FairauditError, match="holds no file of predictions"):
        audited(tmp_path)


def _corrupt_footer(raw: bytes) -> bytes:
    return raw[:-50]


def _corrupt_pages(raw: bytes) -> bytes:
    return raw[:30] + b"\xff" * 600 + raw[630:]


@pytest.mark.parametrize("spoil", [_corrupt_footer, _corrupt_pages])
def test_a_corrupt_part_is_named(tmp_path: Path, spoil: Callable[[bytes], bytes]) -> None:
    for name in ("a", "bad", "c"):
        table(seed=ord(name[0])).to_parquet(tmp_path / f"{name}.parquet")
    bad = tmp_path / "bad.parquet"
    bad.write_bytes(spoil(bad.read_bytes()))
    with pytest.raises(FairauditError, match=r"bad\.parquet") as caught:
        audited(tmp_path)
    assert "a.parquet" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda f: f.rename(columns={"pred": "guess"}), "no pred, also guess"),
        (lambda f: f.astype({"pred": str}), "pred is VARCHAR, not BIGINT"),
        (lambda f: f.drop(columns="sex"), "no sex"),
    ],
)
@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
def test_a_part_with_another_schema_is_named(
    tmp_path: Path, kind: str, change: Callable[[pd.DataFrame], pd.DataFrame], said: str
) -> None:
    WRITERS[kind](table(), tmp_path / f"a.{kind}")
    WRITERS[kind](change(table()), tmp_path / f"b.{kind}")
    with pytest.raises(FairauditError) as caught:
        audited(tmp_path)
    assert f"b.{kind} has other columns than" in str(caught.value)
    assert said in str(caught.value)


def test_text_of_mixed_kinds_across_csv_parts_stays_text(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("label,pred\n1,1\n0,0\n")
    (tmp_path / "b.csv").write_text("label,pred\nx,x\n0,1\n")
    found = fairaudit.audit(tmp_path)
    assert found.classes == ("0", "1", "x")
    assert "mixed_labels" in {w["code"] for w in found.warnings}
    assert "mixed_labels" not in {w["code"] for w in fairaudit.audit(tmp_path / "a.csv").warnings}


def test_an_empty_path_is_no_folder() -> None:
    with pytest.raises(FairauditError, match="the path is empty"):
        audited("")


@pytest.mark.parametrize(
    "path", ["https://localhost:1/x.parquet", "s3://bucket/x.csv", "az://bucket/x.parquet"]
)
def test_a_url_without_its_extension_says_how_to_install_it(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = Duck.rows

    def offline(self: Duck, sql: str) -> list[tuple[object, ...]]:
        if "://" in sql:
            raise OSError("An error occurred while trying to automatically install the required extension")
        return rows(self, sql)

    monkeypatch.setattr(Duck, "rows", offline)
    name = "azure" if path.startswith("az") else "httpfs"
    with pytest.raises(FairauditError, match=f"INSTALL {name}"):
        audited(path)


def test_what_does_not_fit_goes_to_disk_and_counts_the_same(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    groups = rng.integers(0, 60_000, 300_000).astype(str)
    y = rng.integers(0, 2, len(groups)).astype(str)
    pd.DataFrame({"label": y, "pred": y[::-1], "who": groups}).to_parquet(tmp_path / "many.parquet")
    asked = Inputs(y_true="label", y_pred="pred", sensitive=("who",), max_groups=100_000)
    free = tabulate(tmp_path, asked)
    tight = tabulate(tmp_path, Inputs(**{**_fields(asked), "memory_limit": "40MB", "threads": 1}))
    one, other = (t.labels[("who",)] for t in (free, tight))
    assert one.labels == other.labels
    assert (one.codes == other.codes).all()
    assert (one.measures["count"] == other.measures["count"]).all()


def _fields(inputs: Inputs) -> dict[str, object]:
    return {name: getattr(inputs, name) for name in Inputs.__dataclass_fields__}


def test_a_limit_that_is_too_small_is_one_sentence(tmp_path: Path) -> None:
    table().to_parquet(tmp_path / "a.parquet")
    with pytest.raises(FairauditError, match="--memory-limit"):
        audited(tmp_path, memory_limit="1KB")


@pytest.mark.parametrize(
    ("flag", "value"),
    [("memory_limit", "1x"), ("memory_limit", "-5MB"), ("threads", 0), ("threads", -1), ("threads", 20_000)],
)
def test_limits_without_a_meaning(tmp_path: Path, flag: str, value: object) -> None:
    table().to_parquet(tmp_path / "a.parquet")
    with pytest.raises(FairauditError, match=f"--{flag.replace('_', '-')} takes"):
        audited(tmp_path, **{flag: value})


def test_rows_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all statements that touch the file, one is not cut off after the first rows (or before them)."""
    whole = table(2000)
    whole["split"] = np.where(np.arange(2000) % 3 == 0, "test", "train")
    whole["w"] = 1.5
    path = tmp_path / "rows.csv"
    whole.to_csv(path, index=False)
    seen: list[str] = []
    rows, columns = Duck.rows, Duck.columns
    monkeypatch.setattr(Duck, "rows", lambda self, sql: (seen.append(sql), rows(self, sql))[1])
    monkeypatch.setattr(Duck, "columns", lambda self, sql: (seen.append(sql), columns(self, sql))[1])
    fairaudit.audit(path, y_true="label", y_pred="pred", sensitive=["sex"], weights="w")
    full = [s for s in seen if "read_csv" in s and "LIMIT" not in s and not s.startswith("DESCRIBE")]
    assert len(full) == 1


def test_a_file_given_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    table().to_csv(path, index=False)
    (tmp_path / "link.csv").symlink_to(path)
    for twice in ([path, path], [path, tmp_path / "link.csv"], [str(tmp_path / "*.csv")]):
        with pytest.raises(FairauditError, match="would count twice"):
            audited(twice)


def test_a_pipe_is_refused_before_it_is_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "rows.csv")
    with pytest.raises(FairauditError, match="a pipe or a device"):
        audited(tmp_path / "rows.csv")


@pytest.mark.parametrize("kind", WRITERS)
def test_a_folder_that_names_a_column_of_the_file_is_refused(tmp_path: Path, kind: str) -> None:
    (tmp_path / "sex=Z").mkdir()
    WRITERS[kind](table(), tmp_path / "sex=Z" / f"a.{kind}")
    with pytest.raises(FairauditError, match="has a column 'sex', and so has the name of a folder"):
        audited(tmp_path)


def test_names_that_differ_in_case_only_are_refused_in_parquet(tmp_path: Path) -> None:
    table().assign(Sex="F").to_parquet(tmp_path / "a.parquet")
    with pytest.raises(FairauditError, match="differ only in case"):
        audited(tmp_path)
    table().assign(sex_1="F").to_parquet(tmp_path / "b.parquet")
    assert audited(tmp_path / "b.parquet") == audited(table().assign(sex_1="F"))


def test_what_a_path_says_is_not_what_is_wrong(tmp_path: Path) -> None:
    folder = tmp_path / "utf-8"
    folder.mkdir()
    (folder / "a.parquet").write_bytes(b"PAR1" + b"x" * 100)
    with pytest.raises(FairauditError, match="cannot be read as a table"):
        audited(folder / "a.parquet")


def test_whether_an_audit_runs_does_not_depend_on_the_order_of_rows(tmp_path: Path) -> None:
    """Rows of another split may have as many sites as they like."""
    many = table(1500).assign(site=[str(i) for i in range(1500)], split="train")
    few = table(1500, seed=1).assign(split="test")
    for name, parts in (("first", [many, few]), ("last", [few, many])):
        pd.concat(parts).to_csv(tmp_path / f"{name}.csv", index=False)
    assert audited(tmp_path / "first.csv") == audited(tmp_path / "last.csv")


@pytest.mark.parametrize(("cell", "said"), [("", "longer than 8 MB"), ('"', "opened and never closed")])
def test_lines_without_an_end_say_so(tmp_path: Path, cell: str, said: str) -> None:
    (tmp_path / "a.csv").write_text(f"label,pred\n1,1\n0,{cell}" + "utf-8" * 2_000_000 + "\n")
    with pytest.raises(FairauditError, match=said):
        fairaudit.audit(tmp_path / "a.csv", y_true="label", y_pred="pred")


def test_a_column_named_with_a_line_break_is_objected_to_by_name() -> None:
    frame = table().assign(**{"sco\nre": "high"})
    with pytest.raises(FairauditError, match="must hold numbers, but has 'high'"):
        fairaudit.audit(frame, y_true="label", y_score="sco\nre")


def test_settings_cannot_carry_sql(tmp_path: Path) -> None:
    table().to_parquet(tmp_path / "a.parquet")
    with pytest.raises(FairauditError, match="--memory-limit takes a size"):
        audited(tmp_path, memory_limit="1GB'; COPY (SELECT 42) TO 'pwn.csv'; SET threads='1")


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo"])
def test_times_with_a_zone_are_the_same_everywhere(monkeypatch: pytest.MonkeyPatch, zone: str) -> None:
    monkeypatch.setenv("TZ", zone)
    frame = table(60).assign(when=pd.date_range("2026-01-01", periods=3, tz="Europe/Berlin").repeat(20))
    found = fairaudit.audit(frame, y_true="label", y_pred="pred", sensitive=["when"])
    assert [g["group"] for g in found.groups] == [
        "2025-12-31 23:00:00+00", "2026-01-01 23:00:00+00", "2026-01-02 23:00:00+00"
    ]  # fmt: skip
