"""Any torch module through the Python API: a CNN and an MLP of this file's own, and what cannot be a classifier."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("torch")

import numpy as np
import tables
import torch
from torch import Tensor, nn

from fairaudit.errors import FairauditError
from fairaudit_mitigate import Arrays, Columns, load_module, mitigate, predict
from fairaudit_mitigate.classifier import Request, load
from fairaudit_mitigate.data import read_rows
from fairaudit_mitigate.in_memory import rows_of
from fairaudit_mitigate.modules import classifier_of

N = 360
SPLITS = ("train", "val", "test")
FAST: dict[str, Any] = {"epochs": 4, "batch_size": 16, "lr": 2e-2, "device": "cpu"}


class Cnn(nn.Module):
    """Two convolutions with a batch norm, mean over the image, a linear head; gives an object with `.logits`."""

    def __init__(self, classes: int = 2) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 6, 3, padding=1),
            nn.BatchNorm2d(6),
            nn.ReLU(),
            nn.Conv2d(6, 8, 3, padding=1),
            nn.ReLU(),
        )
        self.fc = nn.Linear(8, classes)

    def forward(self, image: Tensor) -> SimpleNamespace:
        return SimpleNamespace(logits=self.fc(self.features(image).mean(dim=(2, 3))))


class TwoInputs(nn.Module):
    """Numbers and a code, by name; gives a tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.place = nn.Embedding(3, 4)
        self.body = nn.Linear(4 + 4, 12)
        self.out = nn.Linear(12, 2)

    def forward(self, numbers: Tensor, code: Tensor) -> Tensor:
        hidden = self.body(torch.cat([numbers, self.place(code)], dim=1)).relu()
        found: Tensor = self.out(hidden)
        return found


def draw(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, groups, splits: class and group agree in most train rows, in half of the others."""
    r = np.random.default_rng(seed)
    splits = np.array(SPLITS)[np.arange(N) % 3]
    y = r.integers(0, 2, N)
    agrees = r.random(N) < np.where(splits == "train", 0.9, 0.5)
    return y, np.where(agrees, y, 1 - y), splits


def images() -> Arrays:
    """The class is a bright upper half, the group a bright left edge."""
    y, group, splits = draw()
    pixels = np.random.default_rng(1).normal(0, 1, (N, 1, 8, 8))
    pixels[:, :, :4] += 0.4 * y[:, None, None, None]
    pixels[:, :, :, :2] += 0.5 * group[:, None, None, None]
    return Arrays(pixels, y, {"edge": group}, splits)


def pairs() -> Arrays:
    y, group, splits = draw()
    r = np.random.default_rng(2)
    numbers = r.normal(size=(N, 4))
    numbers[:, 0] += 1.2 * y
    numbers[:, 1] += 2 * group
    inputs = {"numbers": torch.tensor(numbers), "code": torch.tensor(r.integers(0, 3, N))}
    return Arrays(inputs, y, {"sex": np.where(group == 1, "M", "F")}, splits, ids=[f"p{i}" for i in range(N)])


def sequence() -> nn.Module:
    """Nothing but numbers as names, one of them the end of another."""
    return nn.Sequential(nn.Flatten(), nn.Sequential(nn.ReLU(), nn.Linear(64, 8)), nn.ReLU(), nn.Linear(8, 2))


def state_of(module: nn.Module) -> dict[str, Tensor]:
    return {k: v.clone() for k, v in module.state_dict().items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(v, other[k]) for k, v in one.items())


def test_a_cnn_with_fft_then_fairlora(tmp_path: Path) -> None:
    """The whole way: train, save, read back, audit; the module given stays as it was."""
    torch.manual_seed(0)
    module, data = Cnn(), images()
    untouched = state_of(module)
    plain = mitigate(module, data, out=tmp_path / "plain", method="fft", **FAST)
    assert same(state_of(module), untouched)
    first, after = (a.estimate("accuracy", by="overall").value for a in (plain.before, plain.after))
    assert after > first + 0.1

    trained = load_module(module, tmp_path / "plain" / "model")
    fair = mitigate(
        trained,
        data,
        out=tmp_path / "fair",
        method="fairlora",
        groups="cell",
        penalty=2.0,
        merge=True,
        **FAST,
    )
    assert fair.manifest["results"]["targets"] == ["features.0", "features.3"]
    assert fair.manifest["results"]["heads"] == ["fc"]
    before, after = (a.estimate("loss_variance", by="edge").value for a in (fair.before, fair.after))
    assert before != after
    assert fair.manifest["results"]["validation"]["worst_group_accuracy"] >= 0

    wanted = fair.after.estimate("accuracy", by="overall").value
    for folder in ("adapter", "merged"):
        again = load_module(trained, tmp_path / "fair" / folder)
        test = np.asarray(data.splits) == "test"
        with torch.no_grad():
            found = again(torch.tensor(data.inputs[test]).float()).logits.argmax(1).numpy()
        assert (found == data.y_true[test]).mean() == pytest.approx(wanted)
    with pytest.raises(FairauditError, match="trained on other weights"):
        load_module(Cnn(), tmp_path / "fair" / "adapter")


def test_named_inputs_and_named_classes(tmp_path: Path) -> None:
    torch.manual_seed(0)
    done = mitigate(
        TwoInputs(),
        pairs(),
        out=tmp_path / "out",
        method="fair-fft",
        sensitive=["sex"],
        classes=["no", "yes"],
        **FAST,
    )
    assert done.after.classes == ("no", "yes")
    assert done.manifest["arguments"]["model"].startswith("TwoInputs (torch module ")
    assert done.manifest["arguments"]["data"] == "Arrays in memory"
    assert set(done.manifest["results"]["groups"]) == {
        f"class={c} & sex={s}" for c in ("no", "yes") for s in "FM"
    }
    before, after = (a.estimate("accuracy", by="overall").value for a in (done.before, done.after))
    assert after > before + 0.1


def test_a_sequence_takes_lora_where_names_end_alike(tmp_path: Path) -> None:
    torch.manual_seed(0)
    done = mitigate(sequence(), images(), out=tmp_path / "out", method="lora", **(FAST | {"epochs": 1}))
    assert done.manifest["results"]["targets"] == ["1.1"]
    assert load_module_names(tmp_path / "out" / "adapter") == {"1.1.lora_A", "1.1.lora_B", "3"}


def load_module_names(folder: Path) -> set[str]:
    from safetensors.numpy import load_file

    keys = load_file(folder / "adapter_model.safetensors")
    return {k.removeprefix("base_model.model.").rsplit(".", 1)[0] for k in keys}


def test_a_new_head_for_three_classes(tmp_path: Path) -> None:
    torch.manual_seed(0)
    y, group, splits = draw()
    data = Arrays(images().inputs, y + (group & y), {"edge": group}, splits)
    with pytest.raises(FairauditError, match="2 outputs and there are 3 classes"):
        mitigate(Cnn(), data, out=tmp_path / "no", method="lora", **FAST)
    done = mitigate(Cnn(), data, out=tmp_path / "out", method="lora", new_head=True, **(FAST | {"epochs": 1}))
    assert done.after.classes == ("0", "1", "2")


def test_predictions_of_a_module() -> None:
    torch.manual_seed(0)
    module, data = Cnn().eval(), images()
    frame = predict(module, data, split="test", classes=["dark", "bright"])
    with torch.no_grad():
        logits = module(torch.tensor(data.inputs[np.asarray(data.splits) == "test"]).float()).logits.double()
    assert np.allclose(frame["prob_bright"], logits.softmax(1)[:, 1].numpy(), atol=1e-6)
    assert set(frame["y_true"]) == {"dark", "bright"}


def test_a_table_goes_into_a_module_as_it_stands(tmp_path: Path) -> None:
    columns = tables.draw(30)
    path = tables.save(tmp_path / "t.csv", columns)
    chosen = Columns(y_true="income", features=("b", "a"))
    rows = read_rows(path, chosen, ["sex"], model=nn.Linear(2, 2))
    wanted = np.stack([np.array(columns["b"]), np.array(columns["a"])], axis=1).astype(np.float32)
    assert np.array_equal(rows.inputs.arrays[""], wanted)
    with pytest.raises(FairauditError, match=r"missing values .c in"):
        read_rows(path, Columns(y_true="income", features=("c",)), ["sex"], model=nn.Linear(1, 2))
    with pytest.raises(FairauditError, match="texts in the column 'city'"):
        read_rows(path, Columns(y_true="income", features=("city",)), ["sex"], model=nn.Linear(1, 2))


def test_a_module_is_not_loaded_by_name(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "fairaudit-module", "module": "Cnn"}')
    with pytest.raises(FairauditError, match=r"holds the weights of a Python module .Cnn. and not its code"):
        load(str(tmp_path), Request("image"))


def changed(**changes: Any) -> Arrays:
    data = images()
    return Arrays(**({"inputs": data.inputs, "y_true": data.y_true, "splits": data.splits} | changes))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (lambda: changed(y_true=[1, 2]), "y_true has 2 entries and the inputs have 360 rows"),
        (lambda: changed(sensitive={"sex": ["F"]}), r"sensitive\['sex'\] has 1 entries"),
        (lambda: changed(y_true=[None] * N), "360 rows of .* have no label"),
        (lambda: changed(ids=["a"] * N), "repeats or lacks values"),
        (lambda: changed(inputs=np.full((N, 3), np.nan)), r"missing or infinite in 360 rows .first: row 0"),
        (lambda: changed(inputs=np.array(["x"] * N)), "give numbers, with rows first"),
        (lambda: changed(inputs=np.array(3.0)), "give numbers, with rows first"),
        (lambda: changed(inputs={}), "the inputs of the arrays are empty"),
        (lambda: changed(inputs={"a": np.zeros((N, 1)), "b": np.zeros((3, 1))}), "different numbers of rows"),
        (lambda: changed(inputs=np.zeros((0, 2)), y_true=[], splits=[]), "no rows"),
    ],
)
def test_broken_arrays_are_one_clear_sentence(data: Callable[[], Arrays], message: str) -> None:
    with pytest.raises(FairauditError, match=message) as caught:
        rows_of(data())
    assert "\n" not in str(caught.value)


def test_only_the_attributes_asked_for() -> None:
    data = changed(sensitive={"a": ["x"] * N, "b": ["y"] * N})
    assert set(rows_of(data, ["b"]).sensitive) == {"b"}
    with pytest.raises(FairauditError, match="no column 'c'"):
        rows_of(data, ["c"])


class Uncopied(Cnn):
    def __deepcopy__(self, memo: object) -> Uncopied:
        raise RuntimeError("a handle to a device")


class Bare(Cnn):
    def forward(self, image: Tensor) -> tuple[Tensor]:  # type: ignore[override]
        return (super().forward(image).logits,)


class Flat(Cnn):
    def forward(self, image: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(image).logits.argmax(1)


class Starred(Cnn):
    def forward(self, *image: Tensor) -> SimpleNamespace:  # type: ignore[override]
        return super().forward(*image)


@pytest.mark.parametrize(
    ("module", "head", "classes", "message"),
    [
        (Uncopied, None, (), "cannot be copied .a handle to a device"),
        (Bare, None, (), "gives a tuple without logits"),
        (Flat, None, (), r"gives \(2,\) for 2 rows"),
        (Starred, None, (), "no argument with a name of its own"),
        (lambda: nn.Conv2d(1, 2, 8), None, (), r"no nn.Linear to be its head"),
        (lambda: nn.Linear(3, 2), None, (), "no nn.Linear to be its head"),
        (Cnn, "fcc", (), "no module 'fcc' .* Did you mean 'fc'"),
        (Cnn, None, ("a", "b", "c"), "2 outputs and there are 3 classes"),
        (lambda: nn.Sequential(nn.Flatten(), nn.Linear(7, 2)), None, (), "fails on the first rows"),
    ],
)
def test_what_is_no_classifier(
    module: Callable[[], nn.Module], head: str | None, classes: tuple[str, ...], message: str
) -> None:
    with pytest.raises(FairauditError, match=message) as caught:
        classifier_of(module(), rows_of(images()), head, classes)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("model", "data", "more", "message"),
    [
        (3, images, {}, "a int is no model"),
        ("mlp", images, {}, "Arrays are for a torch module"),
        ("mlp", lambda: 7, {}, "a int is no data set"),
        ("some/model", images, {"head_module": "fc"}, "head_module= and classes= are for torch modules"),
    ],
)
def test_wrong_objects(
    tmp_path: Path, model: Any, data: Callable[[], Any], more: dict[str, Any], message: str
) -> None:
    with pytest.raises(FairauditError, match=message):
        mitigate(model, data(), out=tmp_path / "out", **more, **FAST)
    assert not (tmp_path / "out").exists()


def test_heads_that_end_alike_are_refused_under_lora(tmp_path: Path) -> None:
    module = nn.Sequential(
        nn.Flatten(), nn.Sequential(nn.ReLU(), nn.ReLU(), nn.Linear(64, 8)), nn.Linear(8, 2)
    )
    with pytest.raises(FairauditError, match=r"the head '2' cannot be told from '1.2'"):
        mitigate(module, images(), out=tmp_path / "out", method="lora", **FAST)
