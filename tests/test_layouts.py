"""Published data sets, read in the layouts in which they are published: on miniatures of the same layout."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("torch")

import models
import numpy as np
import published
from PIL import Image

from fairaudit.errors import FairauditError
from fairaudit_mitigate import mitigate
from fairaudit_mitigate.data import Columns, read_rows, with_validation
from fairaudit_mitigate.inputs import decode
from fairaudit_mitigate.manifest import data_checksums


def test_waterbirds(tmp_path: Path) -> None:
    rows = read_rows(published.waterbirds(tmp_path / "birds", n=6))
    assert rows.kind == "image"
    assert Counter(rows.splits or ()) == {"train": 6, "val": 6, "test": 6}
    assert rows.y_true[:4] == ("0", "1", "0", "1")
    assert rows.sensitive == {"place": tuple("001100110011001100")}
    assert rows.inputs[3] == tmp_path / "birds" / "003.Species" / "Bird_3.jpg"


def test_geode_is_split_by_hash(tmp_path: Path) -> None:
    folder = published.geode(tmp_path / "geode", n=300)
    said: list[str] = []
    rows = read_rows(folder, say=said.append)
    assert set(rows.y_true) == {"bag", "dog"}
    assert set(rows.sensitive["region"]) == set(published.REGIONS)
    assert rows.inputs[1] == folder / "images" / "001.dog" / "Land_dog_1.jpg"
    assert rows.ids[1] == "001.dog/Land_dog_1.jpg"
    counts = Counter(rows.splits or ())
    assert set(counts) == {"train", "test"}
    assert 40 <= counts["test"] <= 80  # 60 expected, sd 7
    assert "seed 0" in said[0]
    assert read_rows(folder).splits == rows.splits
    other = read_rows(folder, Columns(layout="geode:1"))
    assert other.splits != rows.splits
    carved, done = with_validation(rows)
    assert done
    assert all((a == "test") == (b == "test") for a, b in zip(rows.splits, carved.splits, strict=True))
    assert 20 <= Counter(carved.splits)["val"] <= 55


def test_the_test_rows_of_geode_do_not_depend_on_the_other_rows(tmp_path: Path) -> None:
    folder = published.geode(tmp_path / "geode", n=60)
    whole = read_rows(folder)
    index = folder / "index.csv"
    header, *lines = index.read_text(encoding="utf-8").splitlines()
    index.write_text("\n".join([header, *reversed(lines[10:])]) + "\n", encoding="utf-8")
    fewer = read_rows(folder)
    known = dict(zip(whole.ids, whole.splits, strict=True))
    assert len(fewer) == 50
    assert all(known[i] == s for i, s in zip(fewer.ids, fewer.splits, strict=True))


@pytest.mark.parametrize("inner", ["", "data"])
def test_aircraft(tmp_path: Path, inner: str) -> None:
    folder = published.aircraft(tmp_path / "fgvc-aircraft-2013b", n=2)
    said: list[str] = []
    rows = read_rows(folder / inner, say=said.append)
    assert Counter(rows.splits or ()) == {"train": 8, "val": 8, "test": 8}
    assert set(rows.y_true) == set(published.VARIANTS)
    assert rows.sensitive == {}
    assert "20 rows of pixels" in said[0]
    assert decode(rows.inputs[0], "x").size == (16, 16)
    assert np.asarray(decode(rows.inputs[0], "x"))[-8:].max() < 200  # the banner is white
    assert data_checksums(rows)["images"]["files"] == 24


def test_the_banner_may_stay(tmp_path: Path) -> None:
    folder = published.aircraft(tmp_path / "planes", n=1)
    said: list[str] = []
    rows = read_rows(folder, Columns(layout="fgvc-aircraft:banner"), say=said.append)
    assert decode(rows.inputs[0], "x").size == (16, 36)
    assert said == []


def test_aircraft_without_an_attribute_goes_the_whole_way_by_class(tmp_path: Path) -> None:
    """No -s at all: the groups are the classes, before and after."""
    folder = published.aircraft(tmp_path / "planes", n=10)
    model = models.save_model("vit", tmp_path / "vit", head=False)
    done = mitigate(
        model, folder, out=tmp_path / "out", method="fairlora", lr=1e-2, epochs=4, batch_size=16, device="cpu"
    )
    assert set(done.manifest["results"]["groups"]) == {f"class={v}" for v in published.VARIANTS}
    assert done.manifest["arguments"]["sensitive"] == []
    before, after = (a.estimate("accuracy", by="overall").value for a in (done.before, done.after))
    assert after > before + 0.2
    assert done.after.estimate("f1_min", by="class").value is not None


BROKEN: dict[str, tuple[Callable[[Path], Path], str | None, str]] = {}


def broken(message: str, layout: str | None = None) -> Callable[[Callable[[Path], Path]], object]:
    def add(make: Callable[[Path], Path]) -> object:
        BROKEN[make.__name__.strip("_")] = (make, layout, message)
        return make

    return add


@broken(r"names image files that are not there.*Land_dog_1\.jpg")
def _geode_image_gone(at: Path) -> Path:
    folder = published.geode(at / "g", n=6)
    (folder / "images" / "001.dog" / "Land_dog_1.jpg").unlink()
    return folder


@broken(r"names image files that are not there.*0000003\.jpg")
def _aircraft_image_gone(at: Path) -> Path:
    folder = published.aircraft(at / "a", n=1)
    (folder / "data" / "images" / "0000003.jpg").unlink()
    return folder


@broken("variants.txt lacks")
def _aircraft_unknown_variant(at: Path) -> Path:
    folder = published.aircraft(at / "a", n=1)
    (folder / "data" / "variants.txt").write_text("A300B4\n", encoding="utf-8")
    return folder


@broken("line 1 of .* is not `ID VARIANT`")
def _aircraft_line_without_variant(at: Path) -> Path:
    folder = published.aircraft(at / "a", n=1)
    (folder / "data" / "images_variant_val.txt").write_text("1000000\n", encoding="utf-8")
    return folder


@broken("the image 0000000 stands in train and in test")
def _aircraft_in_two_splits(at: Path) -> Path:
    folder = published.aircraft(at / "a", n=1)
    (folder / "data" / "images_variant_test.txt").write_text("0000000 A300B4\n", encoding="utf-8")
    return folder


@broken("not in the layout fgvc-aircraft, which has variants.txt", "fgvc-aircraft")
def _aircraft_list_gone(at: Path) -> Path:
    folder = published.aircraft(at / "a", n=1)
    (folder / "data" / "images_variant_test.txt").unlink()
    return folder


@broken("not in the layout geode", "geode")
def _geode_that_is_waterbirds(at: Path) -> Path:
    return published.waterbirds(at / "b", n=1)


@broken("no layout 'geod' .* Did you mean 'geode'", "geod")
def _geode_misspelt(at: Path) -> Path:
    return published.geode(at / "g", n=2)


@broken("the seed of its split, not 'x'", "geode:x")
def _geode_with_a_strange_seed(at: Path) -> Path:
    return published.geode(at / "g", n=2)


@broken("the layout waterbirds has no options", "waterbirds:3")
def _waterbirds_with_an_option(at: Path) -> Path:
    return published.waterbirds(at / "b", n=1)


@broken("--layout is of folders", "geode")
def _a_file(at: Path) -> Path:
    return published.geode(at / "g", n=2) / "index.csv"


@broken("no metadata.csv in the folder .*, and no other layout fits")
def _nothing(at: Path) -> Path:
    (at / "n").mkdir()
    return at / "n"


@pytest.mark.parametrize("case", BROKEN)
def test_broken_folders_are_one_clear_sentence(case: str, tmp_path: Path) -> None:
    make, layout, message = BROKEN[case]
    with pytest.raises(FairauditError, match=message) as caught:
        read_rows(make(tmp_path), Columns(layout=layout))
    assert "\n" not in str(caught.value)


def test_a_banner_higher_than_the_image_leaves_a_row(tmp_path: Path) -> None:
    folder = published.aircraft(tmp_path / "a", n=1)
    small = folder / "data" / "images" / "0000000.jpg"
    Image.new("RGB", (8, 10)).save(small)
    assert decode(read_rows(folder).inputs[0], "x").size == (8, 1)
