"""The saved artefact is the product: what is written, read back, and checked against what was trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from fairaudit.errors import FairauditError
from fairaudit_mitigate import lineage
from fairaudit_mitigate.classifier import Classifier
from fairaudit_mitigate.weights import quiet

ADAPTER, MODEL, MERGED = "adapter", "model", "merged"


def save(model: Any, classifier: Classifier, folder: Path) -> Path:
    """Write `adapter/` (PEFT) or `model/` (transformers), each with its preprocessing; returns that folder.

    An adapter folder also holds the config with the class names, so that it predicts with nothing but its
    base.
    """
    from peft import PeftModel

    is_adapter = isinstance(model, PeftModel)
    place = folder / (ADAPTER if is_adapter else MODEL)
    inner = model.get_base_model() if is_adapter else model
    with quiet():
        if is_adapter:
            model.peft_config["default"].base_model_name_or_path = _stored_base(classifier.base, place)
            model.save_pretrained(place, save_embedding_layers=False)
            (place / "README.md").unlink(
                missing_ok=True
            )  # PEFT's empty form; what happened stands in the manifest
            lineage.write(place, classifier.fingerprint)
        if classifier.form is not None:
            classifier.form.write(classifier, inner, place, whole=not is_adapter)
        elif is_adapter:
            inner.config.architectures = [type(inner).__name__]
            inner.config.save_pretrained(place)
        else:
            inner.save_pretrained(place)
        classifier.preprocessor.save(place)
    return place


def _stored_base(base: str, place: Path) -> str:
    """The base as an adapter names it: a folder of the same output from where the adapter stands, else in full."""
    path = Path(base)
    if not path.is_dir():
        return base
    whole, beside = path.resolve(), place.resolve().parent
    return f"../{whole.name}" if whole.parent == beside else str(whole)


def save_merged(classifier: Classifier, folder: Path) -> Path:
    """Write `merged/`, the adapter folded into its base: a plain transformers folder. Uses the model up."""
    place = folder / MERGED
    with quiet():
        merged = classifier.model.merge_and_unload()
        if classifier.form is None:
            merged.save_pretrained(place)
        else:
            classifier.form.write(classifier, merged, place, whole=True)
        classifier.preprocessor.save(place)
    return place


def check_same(trained: Tensor, reloaded: Tensor, where: Path) -> float:
    """The largest difference of the logits. Raises FairauditError where it is more than rounding.

    Tolerance: 1e-4 of the largest logit, a thousand float32 roundings.
    """
    worst = float((trained - reloaded).abs().max())
    if not worst <= 1e-4 * max(1.0, float(trained.abs().max())):
        raise FairauditError(
            f"the saved {where.name} does not reproduce the trained model (logits differ by {worst:.3g}); "
            "nothing was written, please report this."
        )
    return worst
