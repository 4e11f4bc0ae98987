"""Repair a classifier: LoRA and full fine-tuning, with and without a fairness penalty.

Importing this package does not import torch; its names do when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fairaudit_mitigate.arrays import Arrays as Arrays
    from fairaudit_mitigate.data import Columns as Columns
    from fairaudit_mitigate.methods.method import Terms as Terms
    from fairaudit_mitigate.mitigation import Mitigation as Mitigation
    from fairaudit_mitigate.mitigation import mitigate as mitigate
    from fairaudit_mitigate.modules import load_module as load_module
    from fairaudit_mitigate.objective_fair import FairLoss as FairLoss
    from fairaudit_mitigate.panel import FairnessCallback as FairnessCallback
    from fairaudit_mitigate.predictions import Hardware as Hardware
    from fairaudit_mitigate.predictions import predict as predict
    from fairaudit_mitigate.train import FairnessTrainer as FairnessTrainer
    from fairaudit_mitigate.voice import Voice as Voice

_HOME = {
    "Arrays": "arrays",
    "Columns": "data",
    "FairLoss": "objective_fair",
    "FairnessCallback": "panel",
    "FairnessTrainer": "train",
    "Hardware": "predictions",
    "Mitigation": "mitigation",
    "Terms": "methods.method",
    "Voice": "voice",
    "load_module": "modules",
    "mitigate": "mitigation",
    "predict": "predictions",
}

__all__ = [
    "Arrays",
    "Columns",
    "FairLoss",
    "FairnessCallback",
    "FairnessTrainer",
    "Hardware",
    "Mitigation",
    "Terms",
    "Voice",
    "load_module",
    "mitigate",
    "predict",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'fairaudit_mitigate' has no attribute '{name}'")
    return getattr(import_module(f"fairaudit_mitigate.{_HOME[name]}"), name)
