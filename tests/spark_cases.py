"""Random tables of predictions with every kind of column, and the options to audit them with."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa

Rng = np.random.Generator
_TEXTS = ["a", "A", " a", "a ", "", None, "ü€😀", "it's", 'say "x"', "back\\slash\\n", "${env:HOME}", "(missing)", "NA",
          "1", "1.0", "nan", "tab\there", "line\nbreak", "semi;colon,comma", "%41", "\u00a0"]  # fmt: skip
_REALS = [0.0, -0.0, 1.0, 2.0, 0.1, -1.5, 1e-7, 1e20, 123456789.0, float("nan"), None]
_DAYS = [dt.date(1969, 12, 31), dt.date(2024, 2, 29), None]
_TIMES = [dt.datetime(2024, 2, 29, 23, 59, 59), dt.datetime(2024, 2, 29, 23, 59, 59, 500_000), None]
_EDGES = [0.0, 1.0, 0.5, 1e-15, 1e-300, 5e-324, 1 - 2**-53, 2**-60, 1 / 3, 0.1, 1 / 15, 14 / 15]


def _pick(rng: Rng, values: list[Any], n: int) -> list[Any]:
    return [values[i] for i in rng.integers(len(values), size=n)]


def group(rng: Rng, n: int, kind: str) -> pa.Array:
    """A column of groups."""
    values, type_ = {
        "text": (_TEXTS, pa.string()),
        "real": (_REALS, pa.float64()),
        "single": (_REALS, pa.float32()),
        "whole": ([-1, 0, 2**40, None], pa.int64()),
        "small": ([0, 1, 200], pa.uint8()),
        "bool": ([True, False, None], pa.bool_()),
        "decimal": ([Decimal("1.50"), Decimal("2.00"), Decimal("-0.01"), None], pa.decimal128(7, 2)),
        "day": (_DAYS, pa.date32()),
        "time": (_TIMES, pa.timestamp("us")),
        "bytes": ([b"x", b"\xc3\xbc", None], pa.binary()),
    }[kind]
    return pa.array(_pick(rng, values, n), type_)


GROUPS = ("text", "real", "single", "whole", "small", "bool", "decimal", "day", "time", "bytes")
_CLASSES: list[tuple[list[Any], list[Any]]] = [
    ([0, 1], [0, 1]),
    ([0.0, 1.0], ["0", "1"]),
    ([True, False], ["True", "false"]),
    (["cat", "dog", "it's\\ ${x}"], ["cat", "dog", "it's\\ ${x}"]),
    (["01", "1.0", "2"], [1, 1, 2]),
]


def unit(rng: Rng, n: int) -> np.ndarray[Any, Any]:
    """Probabilities, some at the ends of what a double can say."""
    p = rng.beta(0.3, 0.3, n)
    at = rng.random(n) < 0.2
    p[at] = rng.choice(_EDGES, at.sum())
    return np.clip(p, 0.0, 1.0)


def table(seed: int, n: int = 300) -> tuple[pa.Table, dict[str, Any]]:
    """A table and the options to audit it with."""
    rng = np.random.default_rng(seed)
    names = ["sex", "gr`ou.p", 'race "x" ${y}']
    columns: dict[str, Any] = {}
    options: dict[str, Any] = {"sensitive": tuple(names[: int(rng.integers(1, 4))]), "min_events": 5}
    for name in options["sensitive"]:
        columns[name] = group(rng, n, str(rng.choice(GROUPS)))
    options["cross"] = int(rng.integers(1, len(options["sensitive"]) + 1))
    _predictions(rng, n, columns, options)
    _extras(rng, n, columns, options)
    return pa.table(columns), options


def _predictions(rng: Rng, n: int, columns: dict[str, Any], options: dict[str, Any]) -> None:
    kind = rng.choice(["labels", "score", "both", "probabilities"])
    if kind == "probabilities":
        classes = [["0", "1"], ["x", "y", "z"], ["1.0", "2", "3"], ["False", "True"]][rng.integers(4)]
        p = unit(rng, n * len(classes)).reshape(n, -1) + 1e-12
        p /= p.sum(axis=1, keepdims=True)
        columns["label"] = pa.array(_pick(rng, classes, n))
        for i, c in enumerate(classes):
            columns[f"p_{c}"] = pa.array(p[:, i])
        options |= {"y_true": "label", "prob_prefix": "p_"}
        return
    true, pred = _CLASSES[0 if kind != "labels" else rng.integers(len(_CLASSES))]
    columns["label"], columns["guess"] = pa.array(_pick(rng, true, n)), pa.array(_pick(rng, pred, n))
    options["y_true"] = "label"
    if kind != "score":
        options["y_pred"] = "guess"
    if kind != "labels":
        columns["p"] = pa.array(unit(rng, n))
        options["y_score"] = "p"
        if rng.random() < 0.3:
            columns["p"] = columns["p"].cast(pa.float32()).cast(pa.float64())


def _extras(rng: Rng, n: int, columns: dict[str, Any], options: dict[str, Any]) -> None:
    if rng.random() < 0.5:
        w = 10 ** rng.uniform(-6, 6, n)
        w[rng.random(n) < 0.1] = 0.0
        columns["w"] = pa.array(w)
        options["weights"] = "w"
    if rng.random() < 0.5 and "prob_prefix" not in options:
        columns["loss"] = pa.array(
            np.where(rng.random(n) < 0.1, 1e6 * rng.random(n), rng.exponential(size=n))
        )
        options["loss"] = "loss"
    if rng.random() < 0.4:
        ids = rng.integers(40, size=n)
        kinds = [ids, [f"p'{i}\\" for i in ids], ids * 1e7]
        columns["person"] = pa.array(kinds[rng.integers(3)])
        options["cluster"] = "person"
    if rng.random() < 0.3:
        columns["seen"] = pa.array(
            _pick(rng, [[True, False], [0, 1], ["1", "0"], [1.0, 0.0]][rng.integers(4)], n)
        )
        options["member"] = "seen"
    if rng.random() < 0.4:
        columns["part"] = pa.array(
            _pick(rng, [["te'st", "train"], [1, 2], [True, False]][rng.integers(3)], n)
        )
        value = columns["part"][0].as_py()
        options["split"] = f"part={str(value).lower() if isinstance(value, bool) else value}"
    if rng.random() < 0.4:
        ages = [18.0, 25.0, 24.999999999999996, 1e3, -3.5, float("nan"), None]
        texts = ["18", " 25 ", "1_8", "+2.5e1", "nan", "-nan", "inf", "NA", None, "1e-400"]
        columns["age"] = (
            pa.array(_pick(rng, ages, n)) if rng.random() < 0.5 else pa.array(_pick(rng, texts, n))
        )
        options |= {"bins": {"age": (0.0, 18.0, 25.0, 40.5)}, "na": ("NA",)}
        options["sensitive"] = (*options["sensitive"], "age")
