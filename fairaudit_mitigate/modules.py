"""Any torch module as a classifier: its head, the names of its outputs, and how its weights are kept.

The module that is given is never changed: a copy is trained, and what is saved is read back into another. Code is not
saved, only weights (safetensors), so the command line cannot load such a model: Python can, with the same module.
"""

from __future__ import annotations

import copy
import inspect
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear

from fairaudit.errors import FairauditError, did_you_mean
from fairaudit.labels import ordered
from fairaudit_mitigate import lineage
from fairaudit_mitigate.bulk import Bulk, BulkPreprocessor
from fairaudit_mitigate.classifier import Classifier
from fairaudit_mitigate.in_memory import KIND
from fairaudit_mitigate.mlp_config import CONFIG, MODULE_TYPE
from fairaudit_mitigate.outputs import logits_in
from fairaudit_mitigate.plain_weights import is_adapter, load_weights, save_weights
from fairaudit_mitigate.rows import Rows
from fairaudit_mitigate.voice import Say, silent
from fairaudit_mitigate.weights import first_line, with_adapter


@dataclass(frozen=True, slots=True, eq=False)
class ModuleForm:
    """How a module of the user's is written and read: its weights, into a copy of `pristine`."""

    pristine: nn.Module
    head: str
    argument: str
    labels: tuple[str, ...]

    def write(self, classifier: Classifier, model: Any, folder: Path, whole: bool) -> None:
        """The weights, unless an adapter stands there already, and what they are of."""
        if whole:
            save_weights(model, folder)
        text = {
            "model_type": MODULE_TYPE,
            "module": name_of(self.pristine),
            "head": self.head,
            "id2label": dict(enumerate(self.labels)),
        }
        (folder / CONFIG).write_text(json.dumps(text, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    def read(self, folder: Path, say: Say = silent) -> Classifier:
        """A copy of the module with the weights of the folder."""
        model, mark = _with_weights(self.pristine, folder, self.head, say)
        preprocessor = BulkPreprocessor(KIND, self.argument)
        return Classifier(model, preprocessor, self.labels, False, str(folder), str(folder), (), mark, self)


def load_module(module: nn.Module, folder: str | Path) -> Any:
    """A copy of the module with the weights that a mitigation of it left in `model/`, `merged/` or `adapter/`.

    In evaluation mode; with PEFT's adapter on it in the last case. Raises FairauditError where they do not fit.
    """
    place = Path(folder)
    try:
        found = json.loads((place / CONFIG).read_text(encoding="utf-8"))
        if found["model_type"] != MODULE_TYPE:
            raise KeyError("model_type")
        head = str(found["head"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FairauditError(
            f"'{place}' does not hold the weights of a module that a mitigation wrote; name its model/ or adapter/."
        ) from error
    return _with_weights(module, place, head, silent)[0]


def name_of(module: nn.Module) -> str:
    """The name of its class."""
    return type(module).__qualname__


def classifier_of(
    module: nn.Module,
    rows: Rows,
    head: str | None = None,
    classes: Sequence[str] = (),
    new_head: bool = False,
    say: Say = silent,
) -> Classifier:
    """The module as a classifier of these rows.

    `head`: the name of its last layer (else its last `nn.Linear`), which is trained whole under LoRA. `classes`: the
    names of its outputs (else the classes of the data, where there are as many, or 0 … K − 1). `new_head`: put a
    fresh one on. Raises FairauditError where the module cannot be copied, has no such head, or does not give
    [rows, classes] for two rows.
    """
    model = _copy(module)
    name = _head(model, head)
    labels = tuple(map(str, classes))
    if new_head:
        labels = labels or ordered(set(rows.y_true))
        _replace(model, name, len(labels))
        module = _copy(model)
    elif head is None:
        say(f"head of {name_of(module)}: {name}, its last linear layer (head_module= names another).")
    preprocessor = BulkPreprocessor(KIND, _argument(model))
    outputs = _outputs(model, preprocessor, rows)
    labels = labels or _labels(rows, outputs)
    if len(labels) != outputs:
        raise FairauditError(
            f"{name_of(module)} has {outputs} outputs and there are {len(labels)} classes ({', '.join(labels[:5])}); "
            "name one class an output (classes=), or give new_head=True."
        )
    mark = lineage.fingerprint(model, (name,))
    form = ModuleForm(module, name, preprocessor.argument, labels)
    shown = f"{name_of(module)} (torch module {mark[:12]})"
    return Classifier(model, preprocessor, labels, new_head, shown, shown, (), mark, form)


def _copy(module: nn.Module) -> Any:
    try:
        return copy.deepcopy(module).cpu().eval()
    except Exception as error:  # whatever __deepcopy__ of a user's class may raise
        raise FairauditError(
            f"{name_of(module)} cannot be copied ({first_line(error).rstrip('.')}), and the module given is not to be "
            "changed; make it work with copy.deepcopy."
        ) from error


def _with_weights(module: nn.Module, folder: Path, head: str, say: Say) -> tuple[Any, str]:
    """A copy with the folder's weights, and the fingerprint of what was under an adapter."""
    model = _copy(module)
    model.head_modules = (_head(model, head),)
    mark = lineage.fingerprint(model, model.head_modules)
    if is_adapter(folder):
        lineage.check(folder, mark, name_of(module), say)
        return with_adapter(model, folder, ()).eval(), mark
    load_weights(model, folder)
    return model, mark


def _head(model: Any, wanted: str | None) -> str:
    """The full name of the head; the model is told of it."""
    named = dict(model.named_modules())
    linear = [
        n for n, m in named.items()
        if n and isinstance(m, nn.Linear) and not isinstance(m, NonDynamicallyQuantizableLinear)
    ]  # fmt: skip
    if wanted is None and not linear:
        raise FairauditError(
            f"{name_of(model)} has no nn.Linear to be its head; name its last layer (head_module=)."
        )
    name = linear[-1] if wanted is None else wanted
    if not name or name not in named:
        raise FairauditError(
            f"no module '{name}' in {name_of(model)} to be its head.{did_you_mean(name, [n for n in named if n])}"
        )
    model.head_modules = (name,)
    return name


def _replace(model: Any, head: str, outputs: int) -> None:
    old = model.get_submodule(head)
    if not isinstance(old, nn.Linear):
        raise FairauditError(
            f"the head '{head}' is a {type(old).__name__} and only an nn.Linear can be made anew; put a new one on "
            "before you give the module."
        )
    parent, _, last = head.rpartition(".")
    setattr(model.get_submodule(parent), last, nn.Linear(old.in_features, outputs, bias=old.bias is not None))


def _argument(model: Any) -> str:
    """The first argument of forward, to which a single array goes."""
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    found = [n for n, p in inspect.signature(model.forward).parameters.items() if p.kind in kinds]
    if not found:
        raise FairauditError(
            f"the forward of {name_of(model)} has no argument with a name of its own; give it one, as in forward(x)."
        )
    return found[0]


def _outputs(model: Any, preprocessor: BulkPreprocessor, rows: Rows) -> int:
    """The number of outputs, from a forward pass of two rows."""
    some = rows.take(range(min(2, len(rows)))).inputs
    if not isinstance(some, Bulk):
        raise TypeError("a module reads arrays")
    try:
        with torch.inference_mode():
            logits = logits_in(model(**preprocessor.whole(some)))
    except FairauditError:
        raise
    except Exception as error:  # whatever a user's forward may raise
        raise FairauditError(
            f"the forward of {name_of(model)} fails on the first rows ({type(error).__name__}: "
            f"{first_line(error).rstrip('.')}); it is called with {', '.join(preprocessor.whole(some))}."
        ) from error
    if logits.ndim != 2 or len(logits) != len(some):
        raise FairauditError(
            f"{name_of(model)} gives {tuple(logits.shape)} for {len(some)} rows; a classifier gives [rows, classes]."
        )
    return int(logits.shape[1])


def _labels(rows: Rows, outputs: int) -> tuple[str, ...]:
    found, positions = ordered(set(rows.y_true)), tuple(map(str, range(outputs)))
    return found if len(found) == outputs or not set(found) <= set(positions) else positions
