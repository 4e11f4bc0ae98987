"""A classifier as one value: the model, its preprocessing and the names of its outputs; how it is loaded.

Weights are read from safetensors only, and no code of a checkpoint is run unless that is asked for.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from fairaudit.errors import FairauditError
from fairaudit_mitigate import lineage
from fairaudit_mitigate.adapter import head_names
from fairaudit_mitigate.features import Features
from fairaudit_mitigate.inputs import AnyPreprocessor
from fairaudit_mitigate.loading import LINEAR, PROMPT, ZERO_SHOT
from fairaudit_mitigate.mlp_config import mlp_of
from fairaudit_mitigate.preprocess import image_preprocessor, text_preprocessor
from fairaudit_mitigate.quantize import is_quantized, quantization, taken_from
from fairaudit_mitigate.voice import Say, silent
from fairaudit_mitigate.weights import (
    check_shapes,
    draw_again,
    first_line,
    from_pretrained,
    in_head,
    quiet,
    with_adapter,
)

ADAPTER_CONFIG = "adapter_config.json"
_HEADS = {"image": "ForImageClassification", "text": "ForSequenceClassification"}


class Form(Protocol):
    """How a model that is not transformers' is written and read back."""

    def write(self, classifier: Classifier, model: Any, folder: Path, whole: bool) -> None:
        """What it takes to read the model back; `whole`: with its weights, else those of an adapter are there."""

    def read(self, folder: Path, say: Say = silent) -> Classifier:
        """The classifier that `write` wrote."""


@dataclass(frozen=True, slots=True, eq=False)
class Classifier:
    """`labels[k]` names output k. `fresh_head`: the head has random weights, the checkpoint had none.

    `fresh_modules` are other modules the checkpoint lacks (a pooler), to be trained like the head. `source`
    is what the user named; `base` differs from it where `source` is an adapter, and `fingerprint` is the base's.
    `trusted`: code that the checkpoint brings was run.
    `form`: how it is written and read back; None: as transformers does.
    """

    model: Any
    preprocessor: AnyPreprocessor
    labels: tuple[str, ...]
    fresh_head: bool
    source: str
    base: str
    fresh_modules: tuple[str, ...] = ()
    fingerprint: str = ""
    form: Form | None = None
    trusted: bool = False

    @property
    def is_adapter(self) -> bool:
        """Whether the model is a PEFT adapter on its base."""
        return self.source != self.base


@dataclass(frozen=True, slots=True)
class Request:
    """How to load. `new_labels`: classes of a fresh head, for a checkpoint without one or `new_head`.

    `head` zero-shot: the head is CLIP's embedding of `prompt` with each label. `quantize`: see `quantize`.
    `train`: the columns of the train rows, which a fresh network of numbers is made for.
    `trust_remote_code`: run the Python files of the checkpoint, if it has any.
    """

    kind: str
    new_labels: tuple[str, ...] = ()
    new_head: bool = False
    image_size: int | None = None
    base: str | None = None
    head: str = LINEAR
    prompt: str = PROMPT
    quantize: str | None = None
    train: Features | None = None
    trust_remote_code: bool = False


def load(source: str | Path, request: Request, say: Say = silent) -> Classifier:
    """Load a transformers folder, a hub id or a PEFT adapter folder, in float32, in evaluation mode.

    Raises FairauditError: no such folder, no config, weights that are not safetensors or do not fit, a
    model type without a classifier of that kind, no head where `request.new_labels` is empty.
    """
    name = str(source)
    if mlp_of(name) is not None:
        from fairaudit_mitigate.mlp import load_mlp

        return load_mlp(name, request, say)
    _check_folder(name)
    adapter = Path(name) if (Path(name) / ADAPTER_CONFIG).is_file() else None
    base = name if adapter is None else request.base or _base_of(adapter)
    own = str(adapter) if adapter and (adapter / "config.json").is_file() else base
    config = _config(own, request.trust_remote_code)
    found = _model(base, config, request, adapter is not None)
    model, fresh, modules = found.model, found.fresh, found.modules
    known = lineage.fingerprint(model, (*head_names(model), *modules, *found.lacking))
    if adapter is not None:
        lineage.check(adapter, known, base, say)
        model = with_adapter(model, adapter, found.lacking)
    labels = _output_names(model.config, request.new_labels if fresh or found.prompts else ())
    build = text_preprocessor if request.kind == "text" else image_preprocessor
    with quiet():
        preprocessor = build(name if adapter is None else str(adapter), base, model, request.image_size, say)
    model.eval()
    if found.prompts:
        say(f"'{name}' classifies by its text tower: {_some(found.prompts)}.")
    if fresh:
        say(f"'{name}' has no trained head for these classes: a fresh one of {len(labels)} outputs is added.")
    run = request.trust_remote_code
    return Classifier(model, preprocessor, labels, fresh, name, base, modules, known, trusted=run)


def load_again(classifier: Classifier, place: Path, say: Say = silent) -> Classifier:
    """The classifier as `artefact.save` wrote it to `place`."""
    if classifier.form is not None:
        return classifier.form.read(place, say)
    request = Request(classifier.preprocessor.kind, trust_remote_code=classifier.trusted)
    return load(place, request, say)


def _check_folder(name: str) -> None:
    path = Path(name)
    if path.is_dir():
        if not any((path / f).is_file() for f in ("config.json", ADAPTER_CONFIG)):
            raise FairauditError(
                f"the model folder '{name}' has no config.json; name a transformers or adapter folder."
            )
    elif path.exists():
        raise FairauditError(
            f"the model '{name}' is a file; name a transformers folder, an adapter folder or a hub id."
        )
    elif name.count("/") > 1 or name.startswith((".", "/", "~")) or name.endswith("/"):
        raise FairauditError(f"no model folder '{name}'; check the path.")


def _base_of(adapter: Path) -> str:
    """The base an adapter names: as it stands, or relative to the adapter's own folder."""
    try:
        config = json.loads((adapter / ADAPTER_CONFIG).read_text(encoding="utf-8"))
        stored = config.get("base_model_name_or_path")
    except (OSError, ValueError, AttributeError) as error:
        raise FairauditError(
            f"the {ADAPTER_CONFIG} of '{adapter}' cannot be read as JSON; save the adapter again."
        ) from error
    if not stored:
        raise FairauditError(f"the adapter '{adapter}' does not name its base model; name it with --base.")
    beside = adapter / stored
    if not Path(stored).is_dir() and beside.is_dir():
        return str(beside)
    if Path(stored).is_absolute() and not Path(stored).is_dir():
        raise FairauditError(
            f"the base model '{stored}' of the adapter '{adapter}' is gone; name it with --base."
        )
    return str(stored)


def _config(source: str, trusted: bool) -> Any:
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(source, trust_remote_code=trusted)
    except (OSError, ValueError, KeyError, ImportError) as error:
        if not trusted and "trust_remote_code" in str(error):
            raise FairauditError(
                f"the model '{source}' is code of its own, which is not run unless asked for: read its Python "
                "files, then give --trust-remote-code."
            ) from error
        raise FairauditError(
            f"the model '{source}' has no usable configuration: {first_line(error)}"
        ) from error


@dataclass(frozen=True, slots=True, eq=False)
class _Loaded:
    """`fresh`: the head has random weights; `modules`: others that have. `lacking`: tensors the base has not.

    `prompts`: what the head was made of, if it is a zero-shot one.
    """

    model: Any
    fresh: bool
    modules: tuple[str, ...]
    lacking: tuple[str, ...]
    prompts: tuple[str, ...] = ()


def _model(base: str, config: Any, request: Request, under_adapter: bool) -> _Loaded:
    """The model with a head."""
    loader = _loader(config, request)
    stored = (
        taken_from(config)
        if under_adapter and not is_quantized(_config(base, request.trust_remote_code))
        else None
    )
    has_head = any(str(a).endswith(_HEADS[request.kind]) for a in config.architectures or ())
    has_head = has_head or _own_code(loader, config, request)
    asked = request.head == ZERO_SHOT and not under_adapter and not _is_zero_shot(config)
    has_head = _is_zero_shot(config) or (has_head and not asked)
    fresh = (not has_head or request.new_head) and not under_adapter
    if fresh:
        _name_outputs(base, config, request.new_labels)
    prompts = tuple(request.prompt.replace("{}", label) for label in request.new_labels) if asked else ()
    head = _zero_shot().text_embeddings(base, config, prompts) if asked else None
    how = quantization(request.quantize, loader, config) if request.quantize else stored
    model, info = from_pretrained(loader, base, config, how, request.trust_remote_code)
    heads = head_names(model)
    lacking = (*info["missing_keys"], *(k[0] for k in info["mismatched_keys"]))
    check_shapes(base, info["mismatched_keys"], heads)
    foreign = [k for k in info["missing_keys"] if not in_head(k, heads)]
    if foreign or (not fresh and not under_adapter and lacking):
        lost = sorted(foreign or lacking)
        raise FairauditError(
            f"the weights of '{base}' lack {len(lost)} tensors of its model (first: {lost[0]})."
        )
    poolers = {k.rsplit(".pooler.", 1)[0] + ".pooler" for k in info["missing_keys"] if ".pooler." in k}
    if head is not None:
        model.classifier.weight.data.copy_(head)
        return _Loaded(model, False, (), lacking, prompts)
    if request.new_head and has_head:
        draw_again(model, heads)
    return _Loaded(model, fresh, tuple(sorted(poolers)), lacking)


def _name_outputs(base: str, config: Any, labels: Sequence[str]) -> None:
    if not labels:
        raise FairauditError(
            f"the model '{base}' is a backbone ({', '.join(config.architectures or ['unknown'])}) "
            "without a classification head; train one with `fairaudit mitigate` first."
        )
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: k for k, label in config.id2label.items()}


def _zero_shot() -> Any:
    from fairaudit_mitigate import zero_shot

    return zero_shot


def _is_zero_shot(config: Any) -> bool:
    return config.model_type == "clip" and bool(_zero_shot().is_zero_shot(config))


def _loader(config: Any, request: Request) -> Any:
    """The class that loads classifiers of this kind, if it knows the type of model."""
    from transformers import AutoModelForImageClassification, AutoModelForSequenceClassification

    if request.head == ZERO_SHOT or _is_zero_shot(config):
        return _zero_shot().zero_shot_class(config, request.kind)
    kind = request.kind
    loader: Any = AutoModelForImageClassification if kind == "image" else AutoModelForSequenceClassification
    if type(config) not in loader._model_mapping and not _own_code(loader, config, request):
        raise FairauditError(
            f"a model of type '{config.model_type}' cannot classify {kind}s; choose another."
        )
    return loader


def _own_code(loader: Any, config: Any, request: Request) -> bool:
    """Whether the checkpoint brings a classifier of this kind as trusted code."""
    return request.trust_remote_code and loader.__name__ in (getattr(config, "auto_map", None) or {})


def _output_names(config: Any, new: Sequence[str]) -> tuple[str, ...]:
    """The names of the outputs; a bare number where the checkpoint only has the placeholder LABEL_k."""
    if new:
        return tuple(new)
    names = tuple(str(config.id2label[k]) for k in range(config.num_labels))
    return (
        tuple(str(k) for k in range(len(names)))
        if names == tuple(f"LABEL_{k}" for k in range(len(names)))
        else names
    )


def _some(prompts: Sequence[str]) -> str:
    shown = ", ".join(f"'{p}'" for p in prompts[:3])
    return shown + (f", … {len(prompts) - 3} more" if len(prompts) > 3 else "")
