"""Tables of numbers: which columns a model reads, an MLP from the first training to the repaired artefact."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")

import models
import numpy as np
import tables
from safetensors.numpy import load_file

from fairaudit.errors import FairauditError
from fairaudit_mitigate import Columns, mitigate, predict
from fairaudit_mitigate.data import Rows, read_rows
from fairaudit_mitigate.mlp_config import own_rate

ROLES = Columns(y_true="income")
FAST = {"columns": ROLES, "sensitive": ["sex"], "epochs": 6, "batch_size": 32, "device": "cpu"}
ACS = models.SHARED / "tabular" / "ACS_sample.train.parquet"


def table(folder: Path, **changes: list[object]) -> Path:
    return tables.save(folder / "t.csv", tables.draw(30) | changes)


def read(
    path: Path, columns: Columns = ROLES, sensitive: tuple[str, ...] = ("sex",), model: str = "mlp"
) -> Rows:
    return read_rows(path, columns, sensitive, model=model)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_the_columns_without_a_role_are_the_features(tmp_path: Path, ending: str) -> None:
    columns = tables.draw(30)
    said: list[str] = []
    rows = read_rows(tables.save(tmp_path / f"t.{ending}", columns), ROLES, ["sex"], said.append, "mlp")
    assert rows.kind == "table"
    assert rows.inputs.names == ("a", "b", "c", "z", "flat", "city")
    assert rows.ids == tuple(columns["id"])
    assert rows.y_true == tuple(map(str, columns["income"]))
    assert rows.sensitive == {"sex": tuple(columns["sex"])}
    assert np.array_equal(rows.inputs.amounts["c"], np.array(columns["c"], dtype=float), equal_nan=True)
    assert "a, b, c, z, city, flat" in said[0]
    assert "not among them: sex (--use-sensitive)" in said[0]
    some = rows.take([4, 2])
    assert some.inputs.amounts["a"].tolist() == [columns["a"][4], columns["a"][2]]


def test_a_packed_file_and_verbatim_groups(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "t.csv.gz", "wt") as handle:
        handle.write("x,label,sex\n1,1.0,01\n2,0,NA\n,1,\n")
    rows = read_rows(tmp_path / "t.csv.gz", None, ["sex"], model="mlp")
    assert rows.sensitive["sex"] == ("01", "NA", None)
    assert rows.y_true == ("1", "0", "1")
    assert rows.ids == ("0", "1", "2")


def test_other_sensitive_names_are_no_features_unasked(tmp_path: Path) -> None:
    path = table(tmp_path, Race=["x", "y", "z"] * 10)
    assert "Race" not in read(path).inputs.names
    assert {"Race", "sex"} <= set(read(path, replace(ROLES, use_sensitive=True)).inputs.names)


def test_named_features(tmp_path: Path) -> None:
    path = table(tmp_path)
    chosen = replace(ROLES, features=("z", "a"), categorical=("flat",))
    assert set(read(path, chosen).inputs.names) == {"z", "a", "flat"}
    assert set(read(path, chosen).inputs.texts) == {"flat"}


def test_a_data_frame_is_a_table(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    columns = tables.draw(30)
    rows = read_rows(pandas.DataFrame(columns), ROLES, ["sex"], model="mlp")
    same = read(tables.save(tmp_path / "t.parquet", columns))
    assert rows.inputs.digest() == same.inputs.digest()
    assert (rows.ids, rows.y_true, rows.splits) == (same.ids, same.y_true, same.splits)


def _with(text: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / "t.csv").write_text(text, encoding="utf-8")
        return folder / "t.csv"

    return make


BROKEN: dict[str, tuple[Callable[[Path], Path], Columns, str]] = {
    "missing file": (lambda d: d / "no.csv", ROLES, "is not there"),
    "folder": (lambda d: d, ROLES, "is a folder"),
    "label among features": (table, replace(ROLES, features=("income", "a")), "'income' is the label"),
    "split among features": (table, replace(ROLES, features=("split",)), "the id, the split or the cluster"),
    "sensitive among features": (table, replace(ROLES, features=("sex", "a")), "say --use-sensitive"),
    "no such feature": (table, replace(ROLES, features=("aa",)), "no column 'aa'"),
    "no such category": (table, replace(ROLES, categorical=("town",)), "no column 'town'"),
    "infinite": (lambda d: table(d, a=["inf", *[1.0] * 29]), ROLES, "1 infinite values .first in row 0"),
    "free text": (
        lambda d: tables.save(d / "t.csv", tables.draw(303) | {"b": [f"w{i}" for i in range(303)]}),
        ROLES,
        "303 different texts",
    ),
    "dates": (lambda d: table(d, a=["2020-01-02"] * 30), ROLES, "holds date32"),
    "nothing left": (_with("label,sex\n1,F\n0,M\n"), Columns(), "no column is left to be a feature"),
    "ragged": (_with("a,label\n1,1\n2\n"), Columns(), "cannot be read as CSV.*Expected 2 columns"),
    "empty": (_with(""), Columns(), "nothing in it"),
    "header": (_with("a,label\n"), Columns(), "a header and no rows"),
    "twice": (_with("a,a,label\n1,1,1\n"), Columns(), "more than one column 'a'"),
    "no label": (_with("a,label\n1,\n2,1\n"), Columns(), "1 rows .* no label"),
    "image flag": (table, replace(ROLES, image="a"), "--image names something else"),
    "layout": (table, replace(ROLES, layout="geode"), "--layout names something else"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_tables_are_one_clear_sentence(case: str, tmp_path: Path) -> None:
    make, columns, message = BROKEN[case]
    with pytest.raises(FairauditError, match=message) as caught:
        read_rows(make(tmp_path), columns, ["sex"] if columns.y_true else [], model="mlp")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("mlp:0", "whole numbers from 1"),
        ("mlp:", "whole numbers"),
        ("mlp:a,b", "whole numbers"),
        ("mlp:8,-1", "whole"),
    ],
)
def test_broken_layers(tmp_path: Path, model: str, message: str) -> None:
    with pytest.raises(FairauditError, match=message):
        read(table(tmp_path), model=model)


def test_the_flags_of_tables_are_of_tables(tmp_path: Path) -> None:
    with pytest.raises(FairauditError, match="are for models that read numbers"):
        read_rows(table(tmp_path), replace(ROLES, features=("a",)), model="some/transformer")


def test_a_fresh_network_predicts_nothing(tmp_path: Path) -> None:
    with pytest.raises(FairauditError, match=r"not trained yet.*--method fft"):
        predict("mlp", table(tmp_path), columns=ROLES)


def test_from_fresh_to_repaired(tmp_path: Path) -> None:
    """fft makes the baseline, FairLoRA on its folder repairs it; both are read back, audited and predict again."""
    data = tables.save(tmp_path / "t.csv", tables.draw(900))
    plain = mitigate("mlp:16,8", data, out=tmp_path / "plain", method="fft", lr=1e-2, **FAST)
    assert set(load_file(tmp_path / "plain" / "model" / "model.safetensors")) >= {
        "hidden.layer1.weight", "hidden.layer2.bias", "head.weight",
    }  # fmt: skip
    first, trained = (a.estimate("accuracy", by="overall").value for a in (plain.before, plain.after))
    assert trained > first + 0.1

    repair = dict(FAST, method="fairlora", penalty=3.0, groups="cell", lr=1e-2, rank=4, merge=True)
    fair = mitigate(tmp_path / "plain" / "model", data, out=tmp_path / "fair", **repair)
    before, after = (a.estimate("worst_group_accuracy", by="sex").value for a in (fair.before, fair.after))
    assert before == plain.after.estimate("worst_group_accuracy", by="sex").value
    assert after > before + 0.05
    assert fair.manifest["results"]["targets"] == ["hidden.layer1", "hidden.layer2"]

    for folder in ("adapter", "merged"):
        again = predict(tmp_path / "fair" / folder, data, split="test", columns=ROLES, sensitive=["sex"])
        assert (again["y_true"] == again["y_pred"]).mean() == fair.after.estimate(
            "accuracy", by="overall"
        ).value


@pytest.mark.parametrize("method", ["lora", "fairlora-up"])
def test_a_fresh_network_is_trained_before_it_is_repaired(tmp_path: Path, method: str) -> None:
    from fairaudit_mitigate.methods import METHODS

    if method not in METHODS:
        pytest.skip(f"no method {method}")
    data = tables.save(tmp_path / "t.parquet", tables.draw(600))
    done = mitigate(
        "mlp:8", data, out=tmp_path / "out", method=method, **(FAST | {"batch_size": 8, "epochs": 3})
    )
    base = predict(tmp_path / "out" / "base", data, split="test", columns=ROLES)
    assert (base["y_true"] == base["y_pred"]).mean() == done.before.estimate("accuracy", by="overall").value
    before, after = (a.estimate("loss_variance", by="sex").value for a in (done.before, done.after))
    assert before != after
    config = json.loads((tmp_path / "out" / "adapter" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "../base"
    (tmp_path / "out").rename(tmp_path / "moved")
    again = predict(tmp_path / "moved" / "adapter", data, split="test", columns=ROLES)
    assert (again["y_true"] == again["y_pred"]).mean() == done.after.estimate("accuracy", by="overall").value


def test_everything_of_an_mlp_is_trained_at_its_own_rate(tmp_path: Path) -> None:
    assert own_rate("mlp:8", {"epochs": 2}, everything=True) == {"epochs": 2, "lr": 1e-3}
    assert own_rate("mlp", {"lr": None}, everything=True) == {"lr": 1e-3}
    assert own_rate("mlp", {"lr": 0.5}, everything=True) == {"lr": 0.5}
    assert own_rate("mlp", {}, everything=False) == {}
    assert own_rate(tmp_path, {}, everything=True) == {}


def test_a_new_head_for_other_classes(tmp_path: Path) -> None:
    columns = tables.draw(300)
    mitigate("mlp:8", tables.save(tmp_path / "t.csv", columns), out=tmp_path / "two", method="fft", **FAST)
    three = columns | {
        "income": [int(v) + int(a > 1) for v, a in zip(columns["income"], columns["a"], strict=True)]
    }
    data = tables.save(tmp_path / "three.csv", three)
    with pytest.raises(FairauditError, match="labels the model does not know"):
        mitigate(tmp_path / "two" / "model", data, out=tmp_path / "no", method="lora", **FAST)
    done = mitigate(
        tmp_path / "two" / "model", data, out=tmp_path / "out", method="lora", new_head=True, **FAST
    )
    assert done.after.classes == ("0", "1", "2")
    assert len(predict(tmp_path / "out" / "adapter", data, split="test", columns=ROLES)) == 100


def _spoilt(folder: Path, change: Callable[[Path], None]) -> Path:
    data = tables.save(folder / "t.csv", tables.draw(90))
    mitigate("mlp:4", data, out=folder / "out", method="lora", **(FAST | {"epochs": 1}))
    change(folder / "out")
    return data


def _no_weights(out: Path) -> None:
    (out / "base" / "model.safetensors").unlink()


def _other_weights(out: Path) -> None:
    text = (out / "base" / "config.json").read_text().replace('"hidden": [\n    4\n  ]', '"hidden": [5]')
    (out / "base" / "config.json").write_text(text)


def _broken_config(out: Path) -> None:
    (out / "base" / "config.json").write_text('{"model_type": "fairaudit-mlp"}')


@pytest.mark.parametrize(
    ("change", "model", "message"),
    [
        (_no_weights, "base", "has no model.safetensors"),
        (_other_weights, "base", "do not fit MLP"),
        (_other_weights, "adapter", "not the MLP that the adapter was trained on"),
        (_broken_config, "base", "is not as a mitigation writes it"),
    ],
)
def test_broken_artefacts(tmp_path: Path, change: Callable[[Path], None], model: str, message: str) -> None:
    data = _spoilt(tmp_path, change)
    with pytest.raises(FairauditError, match=message) as caught:
        predict(tmp_path / "out" / model, data, columns=ROLES)
    assert "\n" not in str(caught.value)


def test_a_trained_network_wants_its_columns(tmp_path: Path) -> None:
    columns = tables.draw(90)
    data = tables.save(tmp_path / "t.csv", columns)
    mitigate("mlp:4", data, out=tmp_path / "out", method="fft", **(FAST | {"epochs": 1}))
    fewer = tables.save(tmp_path / "f.csv", {k: v for k, v in columns.items() if k != "z"})
    with pytest.raises(FairauditError, match=r"no column 'z'.*the model reads it"):
        predict(tmp_path / "out" / "model", fewer, columns=ROLES)
    with pytest.raises(FairauditError, match="was not trained on 'flat'"):
        predict(tmp_path / "out" / "model", data, columns=replace(ROLES, features=("flat",)))


@pytest.mark.skipif(not ACS.is_file(), reason="no ../shared")
def test_acs_sample(tmp_path: Path) -> None:
    """Census rows: an MLP learns the income from numbers and codes, and is repaired for a group."""
    import pyarrow.parquet as pq

    parts = [
        pq.read_table(ACS.with_name(f"ACS_sample.{s}.parquet")).slice(0, 3000)
        for s in ("train", "validation", "test")
    ]
    columns = {n: [v for p in parts for v in p.column(n).to_pylist()] for n in parts[0].column_names}
    columns["split"] = [
        s for p, s in zip(parts, ("train", "val", "test"), strict=True) for _ in range(len(p))
    ]
    data = tables.save(tmp_path / "acs.parquet", columns)
    roles = Columns(y_true="PINCP", categorical=("COW",))
    done = mitigate(
        "mlp:32", data, out=tmp_path / "out", method="fairlora", columns=roles, sensitive=["SEX"], epochs=3,
        penalty=1.0, device="cpu",
    )  # fmt: skip
    assert done.before.estimate("accuracy", by="overall").value > 0.7
    assert (
        "SEX"
        not in json.loads((tmp_path / "out" / "base" / "config.json").read_text())["encoding"]["amounts"]
    )
    before, after = (a.estimate("eod_macro", by="SEX").value for a in (done.before, done.after))
    assert before != after
