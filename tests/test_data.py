"""Reading data sets: the layouts, the roles of the columns, and ten broken inputs."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("torch")
pa = pytest.importorskip("pyarrow")

import models  # noqa: E402
import numpy as np  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402
from PIL import Image  # noqa: E402

from fairaudit.errors import FairauditError  # noqa: E402
from fairaudit_mitigate.data import Columns, read_rows, with_validation  # noqa: E402


def png(value: int = 0) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((4, 4, 3), value, dtype=np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_waterbirds_layout(tmp_path: Path) -> None:
    rows = read_rows(models.save_images(tmp_path / "birds", n=4))
    assert rows.kind == "image"
    assert rows.splits == ("train",) * 4 + ("val",) * 4 + ("test",) * 4
    assert rows.y_true[:4] == ("0", "1", "0", "1")
    assert set(rows.sensitive) == {"place"}
    assert rows.ids[:2] == ("000.png", "001.png")
    assert rows.inputs[0] == tmp_path / "birds" / "000.png"


def test_file_name_layout(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png())
    write(tmp_path / "metadata.csv", "file_name,label,sex,split\na.png,cat,,train\n")
    rows = read_rows(tmp_path, sensitive=["sex"])
    assert (rows.y_true, rows.sensitive["sex"], rows.ids) == (("cat",), (None,), ("a.png",))


@pytest.mark.parametrize("as_struct", [True, False])
def test_parquet_with_image_bytes(tmp_path: Path, as_struct: bool) -> None:
    images = [{"bytes": png(i), "path": None} if as_struct else png(i) for i in range(3)]
    table = pa.table({"image": images, "label": [0, 1, 1], "race": ["x", None, "y"], "who": ["p", "p", "q"]})
    pq.write_table(table, tmp_path / "d.parquet")
    rows = read_rows(tmp_path / "d.parquet", Columns(cluster="who"))
    assert rows.inputs[1] == png(1)
    assert rows.ids == ("0", "1", "2")
    assert rows.splits is None
    assert rows.cluster == ("who", ("p", "p", "q"))
    assert rows.sensitive["race"] == ("x", None, "y")


def test_text_file_with_named_columns(tmp_path: Path) -> None:
    path = tmp_path / "d.csv.gz"
    with gzip.open(path, "wt") as handle:
        handle.write('key,words,gold,fold\na,"one, two",1.0,validation\nb,three,0,TEST\n')
    columns = Columns(y_true="gold", text="words", id="key", split="fold")
    rows = read_rows(path, columns)
    assert rows.kind == "text"
    assert rows.inputs == ("one, two", "three")
    assert (rows.ids, rows.y_true, rows.splits) == (("a", "b"), ("1", "0"), ("val", "test"))


def test_selection_of_rows(tmp_path: Path) -> None:
    rows = read_rows(models.save_texts(tmp_path / "t.csv", n=4))
    test = rows.of_split("test")
    assert (len(test), set(test.splits)) == (4, {"test"})
    assert test.sensitive["sex"] == rows.sensitive["sex"][8:]
    with pytest.raises(FairauditError, match="no holdout rows"):
        rows.of_split("holdout")


def test_validation_is_carved_by_cluster(tmp_path: Path) -> None:
    lines = [f"word,{i % 2},p{i // 4},train" for i in range(400)] + ["word,1,p999,test"]
    path = write(tmp_path / "d.csv", "\n".join(["text,label,who,split", *lines]) + "\n")
    rows, carved = with_validation(read_rows(path, Columns(cluster="who")))
    assert carved
    sides = {}
    for who, split in zip(rows.cluster[1], rows.splits, strict=True):
        sides.setdefault(who, set()).add(split)
    assert all(len(s) == 1 for s in sides.values())
    assert 30 < rows.splits.count("val") < 90
    assert with_validation(rows) == (rows, False)


def _no_decode(folder: Path) -> Path:
    return folder / "nothing"


def _empty_folder(folder: Path) -> Path:
    (folder / "e").mkdir()
    return folder / "e"


def _missing_image(folder: Path) -> Path:
    write(folder / "metadata.csv", "file_name,label\ngone.png,1\n")
    return folder


BROKEN: dict[str, tuple[Callable[[Path], Path], Columns, tuple[str, ...], str]] = {
    "missing": (_no_decode, Columns(), (), "no file or folder"),
    "no metadata": (_empty_folder, Columns(), (), r"no metadata\.csv"),
    "missing image": (_missing_image, Columns(), (), r"not there.*gone\.png"),
    "empty": (lambda d: write(d / "d.csv", ""), Columns(), (), "nothing in it"),
    "header": (lambda d: write(d / "d.csv", "text,label\n"), Columns(), (), "header and no rows"),
    "ragged": (lambda d: write(d / "d.csv", "text,label\na,1\nb\n"), Columns(), (), "row 2 .* 1 fields"),
    "twice": (
        lambda d: write(d / "d.csv", "text,label,label\na,1,1\n"),
        Columns(),
        (),
        "more than one column 'label'",
    ),
    "ending": (lambda d: write(d / "d.xls", "x"), Columns(), (), "convert it"),
    "not parquet": (lambda d: write(d / "d.parquet", "x"), Columns(), (), "cannot be read as Parquet"),
    "no label": (lambda d: write(d / "d.csv", "text,grade\na,1\n"), Columns(), (), "--y-true"),
    "two labels": (
        lambda d: write(d / "d.csv", "text,y,label\na,1,1\n"),
        Columns(),
        (),
        "more than one candidate",
    ),
    "label missing": (
        lambda d: write(d / "d.csv", "text,label\na,1\nb,\n"),
        Columns(),
        (),
        "1 rows .* no label",
    ),
    "no input": (lambda d: write(d / "d.csv", "x,label\na,1\n"), Columns(), (), "--image or --text"),
    "two inputs": (
        lambda d: write(d / "d.csv", "text,review,label\na,b,1\n"),
        Columns(),
        (),
        "--image or --text",
    ),
    "unknown": (
        lambda d: write(d / "d.csv", "text,label,sex\na,1,F\n"),
        Columns(),
        ("sxe",),
        "Did you mean 'sex'",
    ),
    "ids": (
        lambda d: write(d / "d.csv", "text,label,k\na,1,x\nb,0,x\n"),
        Columns(id="k"),
        (),
        "ids name one row",
    ),
    "no text": (lambda d: write(d / "d.csv", "text,label\n,1\n"), Columns(), (), "row 0 .* no text"),
    "both": (
        lambda d: write(d / "d.csv", "text,label\na,1\n"),
        Columns(text="text", image="text"),
        (),
        "not both",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_input_is_one_clear_sentence(case: str, tmp_path: Path) -> None:
    make, columns, sensitive, message = BROKEN[case]
    with pytest.raises(FairauditError, match=message) as caught:
        read_rows(make(tmp_path), columns, sensitive)
    assert "\n" not in str(caught.value)


def test_binary_and_utf16_text_files(tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_bytes(b"\x89PNG\x00\xff\xfe")
    (tmp_path / "u.csv").write_text("text,label\na,1\n", encoding="utf-16")
    for name in ("b.csv", "u.csv"):
        with pytest.raises(FairauditError, match="cannot be read as UTF-8"):
            read_rows(tmp_path / name)


def test_a_corrupt_gz_is_one_sentence(tmp_path: Path) -> None:
    whole = gzip.compress(b"text,label\n" + b"".join(b"%d,%d\n" % (i * i, i % 2) for i in range(500)))
    for broken in (
        whole[:40],
        whole[:60] + bytes(40) + whole[100:],
        b"text,label\n",
        whole[:10] + b"\xff" * 60,
    ):
        (tmp_path / "d.csv.gz").write_bytes(broken)
        with pytest.raises(FairauditError, match="cannot be read as UTF-8 text"):
            read_rows(tmp_path / "d.csv.gz")
