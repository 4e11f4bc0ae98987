"""Digits on places: the splits share nothing, training is aligned, the test split is balanced and paired."""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from pathlib import Path

import pytest

pytest.importorskip("sklearn")
Image = pytest.importorskip("PIL.Image")

import pyarrow.parquet as pq  # noqa: E402

from fairaudit.errors import FairauditError  # noqa: E402
from fairaudit_mitigate import digits  # noqa: E402
from fairaudit_mitigate.data import Columns, read_rows  # noqa: E402

ROWS = 200


def test_every_digit_belongs_to_exactly_one_split() -> None:
    pools = [set(digits.pool(split)) for split in digits.SHARES]
    assert sum(map(len, pools)) == len(digits.digits()[0]) == len(set.union(*pools))
    assert min(len(p) for p in pools) >= 250


def test_the_pools_are_what_the_shipped_model_was_trained_on() -> None:
    """Fixed for ever: a digit that moved from train to test would have been seen by the shipped model."""
    assert [len(digits.pool(s)) for s in digits.SHARES] == [898, 307, 592]
    every = repr([digits.pool(s) for s in digits.SHARES])
    assert hashlib.md5(every.encode()).hexdigest() == "c684a18056aba0756be984e4c496ba95"


def test_drawn_digits_and_squares_stay_in_their_split() -> None:
    strips = [set(s) for s in digits.STRIPS.values()]
    assert sum(map(len, strips)) == len(set.union(*strips)) == 640 // digits.STRIP
    for split in digits.SHARES:
        for drawn in digits.draw(split, 3, ROWS):
            left, top, side = drawn.square
            assert drawn.digit in digits.pool(split)
            assert left // digits.STRIP == (left + side - 1) // digits.STRIP
            assert left // digits.STRIP in digits.STRIPS[split]
            assert 0 <= top <= 427 - side
            assert drawn.left + drawn.size <= digits.SIDE >= drawn.top + drawn.size


def test_95_percent_of_training_is_aligned_and_the_classes_are_equal() -> None:
    drawn = list(digits.draw("train", 0, ROWS))
    aligned = [digits.ALIGNED[digits.label_of(d.digit)] == d.place for d in drawn]
    assert sum(aligned) == 190
    assert Counter(digits.label_of(d.digit) for d in drawn) == {"0-4": 100, "5-9": 100}


@pytest.mark.parametrize("split", ["val", "test"])
def test_every_digit_of_val_and_test_stands_once_on_each_place(split: str) -> None:
    drawn = list(digits.draw(split, 0))
    assert Counter((d.digit, d.place) for d in drawn) == {
        (digit, place): 1 for digit in digits.pool(split) for place in digits.PLACES
    }
    for one, other in zip(drawn[::2], drawn[1::2], strict=True):
        assert (one.digit, one.size, one.left, one.top) == (other.digit, other.size, other.left, other.top)


def test_the_seed_decides_and_another_seed_draws_others() -> None:
    first, again, other = (list(digits.draw("train", seed, ROWS)) for seed in (0, 0, 1))
    assert first == again
    assert len(set(map(repr, first)) & set(map(repr, other))) == 0
    assert digits.table(0, ROWS).equals(digits.table(0, ROWS))
    assert list(digits.draw("test", 0)) != list(digits.draw("test", 1))


def test_the_digit_is_seen_and_the_place_is_seen() -> None:
    drawn = digits.Drawn(digit=0, place="flower", size=20, left=4, top=6, square=(10, 20, 60))
    image = digits.paint(drawn)
    bare = digits.photographs()["flower"].resize((32, 32), Image.Resampling.BILINEAR, box=(10, 20, 70, 80))
    assert image.size == (32, 32)
    assert image.mode == "RGB"
    assert max(image.getpixel((x, y))[0] for x in range(32) for y in range(32)) > 200
    for x, y in ((0, 0), (31, 31), (0, 31), (31, 0)):
        assert image.getpixel((x, y)) == bare.getpixel((x, y))


def test_the_file_is_what_predict_and_mitigate_read(tmp_path: Path) -> None:
    path = digits.write(tmp_path / "new" / "d.parquet", seed=2, rows=ROWS)
    table = pq.read_table(path)
    assert table.column_names == ["id", "image", "label", "place", "split", "digit"]
    assert table["split"].value_counts().to_pylist() == [
        {"values": "train", "counts": 200}, {"values": "val", "counts": 614}, {"values": "test", "counts": 1184},
    ]  # fmt: skip
    rows = read_rows(path, Columns(cluster="digit"), ["place"])
    assert rows.kind == "image"
    assert rows.ids == tuple(table["id"].to_pylist())
    assert len(set(rows.ids)) == len(rows)
    assert isinstance(rows.inputs[0], bytes)
    assert Image.open(io.BytesIO(rows.inputs[0])).size == (32, 32)
    assert list(tmp_path.rglob("*.part")) == []


def test_an_unknown_split_is_named() -> None:
    with pytest.raises(FairauditError, match="no split 'tset'"):
        digits.pool("tset")
    with pytest.raises(FairauditError, match="no split 'dev'"):
        list(digits.draw("dev", 0))
