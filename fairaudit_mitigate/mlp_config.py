"""What there is to know of an MLP without its weights: how a fresh one is asked for, and the config.json of ours.

`mlp` is a fresh network of two hidden layers of 64, `mlp:128,32` one of these two; a folder that a mitigation of one
wrote (`model/`, `merged/`, or `adapter/` on its base) holds a config.json of the type `fairaudit-mlp`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairaudit.errors import FairauditError
from fairaudit_mitigate.encoding import Encoding

NAME, MODEL_TYPE, CONFIG = "mlp", "fairaudit-mlp", "config.json"
#: The weights of a Python object, which no name stands for.
MODULE_TYPE = "fairaudit-module"
HIDDEN = (64, 64)
LARGEST = 65536
#: What a fresh network learns with, where the method's own rate is meant for a trained one.
LEARNING_RATE = 1e-3


@dataclass(frozen=True, slots=True)
class Fresh:
    """A network that is not there yet, of these hidden layers."""

    hidden: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Saved:
    """A trained network: its hidden layers, the names of its outputs, how it reads columns."""

    hidden: tuple[int, ...]
    labels: tuple[str, ...]
    encoding: Encoding

    def to_json(self) -> str:
        """As the text of a config.json."""
        whole = {
            "model_type": MODEL_TYPE,
            "hidden": list(self.hidden),
            "id2label": dict(enumerate(self.labels)),
            "encoding": self.encoding.to_json(),
        }
        return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def mlp_of(model: object) -> Fresh | Saved | None:
    """What the name of a model says of an MLP; None where it is another model.

    Raises FairauditError for layers that are no whole numbers from 1 up, and for a config.json of ours that is
    broken.
    """
    if not isinstance(model, (str, Path)):
        return None
    name, _, layers = str(model).partition(":")
    if name == NAME:
        return Fresh(_layers(layers) if layers or ":" in str(model) else HIDDEN)
    path = Path(model) / CONFIG
    found = _json(path) if path.is_file() else None
    if found is not None and found.get("model_type") == MODULE_TYPE:
        raise FairauditError(
            f"'{model}' holds the weights of a Python module ({found.get('module')}) and not its code; load it in "
            "Python, with fairaudit_mitigate.load_module(module, folder)."
        )
    return _saved(found, path) if found is not None and found.get("model_type") == MODEL_TYPE else None


def own_rate(model: object, training: Mapping[str, Any], everything: bool) -> dict[str, Any]:
    """The settings of a training run with the rate of an MLP, where none is given and everything is trained."""
    given = training.get("lr") is not None or not everything or mlp_of(model) is None
    return dict(training) if given else {**training, "lr": LEARNING_RATE}


def _layers(text: str) -> tuple[int, ...]:
    parts = [p.strip() for p in text.split(",")]
    if not all(p.isdecimal() and 1 <= int(p) <= LARGEST for p in parts):
        raise FairauditError(
            f"the hidden layers of an MLP are whole numbers from 1 to {LARGEST}, as in `mlp:64,64`, not '{text}'."
        )
    return tuple(map(int, parts))


def _json(path: Path) -> Mapping[str, Any] | None:
    """The object in the file; None where it holds none, which whoever loads the model will say."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _saved(found: Mapping[str, Any], path: Path) -> Saved:
    try:
        labels = tuple(str(found["id2label"][str(k)]) for k in range(len(found["id2label"])))
        return Saved(tuple(map(int, found["hidden"])), labels, Encoding.from_json(found["encoding"]))
    except (KeyError, TypeError, ValueError) as error:
        raise FairauditError(
            f"'{path}' is not as a mitigation writes it ({type(error).__name__}: {error}); save the model again."
        ) from error
