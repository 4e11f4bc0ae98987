"""A network for tables of numbers: hidden linear layers with ReLU, and a linear head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from fairaudit.errors import FairauditError
from fairaudit_mitigate import lineage
from fairaudit_mitigate.bulk import BulkPreprocessor
from fairaudit_mitigate.classifier import Classifier, Request
from fairaudit_mitigate.encoding import fitted
from fairaudit_mitigate.mlp_config import CONFIG, Fresh, Saved, mlp_of
from fairaudit_mitigate.numeric import TABLE
from fairaudit_mitigate.plain_weights import base_of, is_adapter, load_weights, save_weights
from fairaudit_mitigate.voice import Say, silent
from fairaudit_mitigate.weights import with_adapter


class MLP(nn.Module):
    """`inputs` [rows, width] → logits [rows, classes]: x → ReLU(W x + b) for each hidden layer, then the head."""

    #: What is trained whole and saved with an adapter; LoRA goes on the hidden layers.
    head_modules = ("head",)

    def __init__(self, width: int, hidden: Sequence[int], classes: int) -> None:
        super().__init__()
        sizes = (width, *hidden)
        layers = [nn.Linear(a, b) for a, b in zip(sizes, hidden, strict=False)]
        self.hidden = nn.ModuleDict({f"layer{i}": layer for i, layer in enumerate(layers, start=1)})
        self.head = nn.Linear(sizes[-1], classes)

    def forward(self, inputs: Tensor) -> Tensor:
        """The logits."""
        for layer in self.hidden.values():
            inputs = layer(inputs).relu()
        logits: Tensor = self.head(inputs)
        return logits


@dataclass(frozen=True, slots=True)
class MlpForm:
    """How a network of ours is written and read: safetensors, and a config.json that also holds the encoding."""

    def write(self, classifier: Classifier, model: Any, folder: Path, whole: bool) -> None:
        """The configuration and, unless an adapter stands there already, all weights."""
        encoding = (
            classifier.preprocessor.encoding
            if isinstance(classifier.preprocessor, BulkPreprocessor)
            else None
        )
        if encoding is None:
            raise TypeError("an MLP reads tables")
        hidden = tuple(layer.out_features for layer in _plain(model).hidden.values())
        if whole:
            save_weights(model, folder)
        text = Saved(hidden, classifier.labels, encoding).to_json()
        (folder / CONFIG).write_text(text, encoding="utf-8")

    def read(self, folder: Path, say: Say = silent) -> Classifier:
        """The classifier in a folder."""
        return load_mlp(str(folder), Request(TABLE), say)


def load_mlp(source: str, request: Request, say: Say = silent) -> Classifier:
    """A fresh network for the classes and the train rows of `request`, or a saved one, or an adapter on one.

    Raises FairauditError where there are no train rows to make a fresh one for, and for weights that are missing or
    do not fit.
    """
    known = mlp_of(source)
    if known is None:
        raise TypeError("not the name of an MLP")
    if request.image_size is not None:
        raise FairauditError("--image-size is for images; this data is a table of numbers.")
    if isinstance(known, Fresh):
        return _fresh(source, known, request, say)
    folder = Path(source)
    adapter = is_adapter(folder)
    base = Path(request.base or base_of(folder)) if adapter else folder
    model: Any = MLP(known.encoding.width, known.hidden, len(known.labels))
    if adapter:
        model = _base_weights(model, known, base)
    else:
        load_weights(model, folder)
    mark = lineage.fingerprint(model, MLP.head_modules)
    if adapter:
        lineage.check(folder, mark, str(base), say)
        model = with_adapter(model, folder, ())
    labels, fresh = known.labels, request.new_head and not adapter
    if fresh:
        labels = request.new_labels
        model.head = nn.Linear(model.head.in_features, len(labels))
        say(f"'{source}' gets a fresh head of {len(labels)} outputs.")
    model.eval()
    preprocessor = BulkPreprocessor(TABLE, "inputs", known.encoding)
    return Classifier(model, preprocessor, labels, fresh, source, str(base), (), mark, MlpForm())


def _base_weights(model: Any, known: Saved, base: Path) -> Any:
    """The network with the weights of an adapter's base. Raises FairauditError where that is another network.

    Its head may be another one: the adapter brings its own.
    """
    found = mlp_of(base)
    if not isinstance(found, Saved) or (found.hidden, found.encoding) != (known.hidden, known.encoding):
        raise FairauditError(
            f"'{base}' is not the MLP that the adapter was trained on (other layers or features); name it with --base."
        )
    if len(found.labels) == len(known.labels):
        load_weights(model, base)
        return model
    whole = MLP(found.encoding.width, found.hidden, len(found.labels))
    load_weights(whole, base)
    model.hidden = whole.hidden
    return model


def _fresh(source: str, known: Fresh, request: Request, say: Say) -> Classifier:
    if not request.new_labels or request.train is None:
        raise FairauditError(
            f"'{source}' is a network that is not trained yet; train one with `fairaudit mitigate {source} DATA "
            "--method fft` first, and name its folder model/."
        )
    encoding = fitted(request.train, say)
    model = MLP(encoding.width, known.hidden, len(request.new_labels)).eval()
    layers = " → ".join(map(str, (encoding.width, *known.hidden, len(request.new_labels))))
    say(f"a fresh MLP, {layers}; features standardised by mean and deviation of the train rows.")
    preprocessor = BulkPreprocessor(TABLE, "inputs", encoding)
    return Classifier(model, preprocessor, request.new_labels, True, source, source, form=MlpForm())


def _plain(model: Any) -> Any:
    return model.get_base_model() if hasattr(model, "get_base_model") else model
