"""Files of every kind and shape are one table, read once; whatever is wrong with one of them is said of that one."""

from __future__ import annotations

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


@pytest.mark.parametrize(("flag", "value"), [("memory_limit", "1x"), ("threads", 0), ("threads", -1)])
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
