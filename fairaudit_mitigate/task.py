"""One training task: everything a method's `fit` is told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fairaudit_mitigate.classifier import Classifier
from fairaudit_mitigate.data import Rows
from fairaudit_mitigate.predictions import Hardware
from fairaudit_mitigate.settings import Settings
from fairaudit_mitigate.voice import SILENT, Voice


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """Fit `classifier` to the train rows, choose on the val rows; the test rows are not looked at.

    `folder`: where checkpoints and caches may be written; None: nowhere that outlives the task, so there are no
    checkpoints. `resume`: go on from the newest checkpoint there, if there is one. `logs`: where reports of
    the training go. The classifier's model is changed.
    """

    classifier: Classifier
    rows: Rows
    settings: Settings
    hardware: Hardware
    voice: Voice = SILENT
    positive: str | None = None
    folder: Path | None = None
    resume: bool = False
    logs: Path | None = None
