"""What a mitigation was asked for, and what all its steps work on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fairaudit_mitigate import policy_loop
from fairaudit_mitigate.classifier import Classifier
from fairaudit_mitigate.data import Columns, Rows
from fairaudit_mitigate.predictions import Hardware, predictions_of, write_predictions
from fairaudit_mitigate.settings import Settings
from fairaudit_mitigate.task import Task
from fairaudit_mitigate.voice import Voice


@dataclass(frozen=True, slots=True)
class Job:
    """Everything a mitigation was asked for, as the manifest records it."""

    model: str
    data: str
    settings: Settings
    hardware: Hardware
    columns: Columns
    sensitive: tuple[str, ...]
    positive: str | None
    image_size: int | None
    new_head: bool
    merge: bool
    audit: str | None = None
    force: bool = False
    policy: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Work:
    """What every step works on: the job, the folder, the model, the rows under the model's names, the policy."""

    job: Job
    folder: Path
    voice: Voice
    classifier: Classifier
    rows: Rows
    test: Rows
    positive: str | None
    court: policy_loop.Court | None

    @property
    def roles(self) -> tuple[tuple[str, ...], str | None, str | None]:
        """Sensitive columns, positive class and cluster column of the predictions."""
        return tuple(self.test.sensitive), self.positive, self.job.columns.cluster

    @property
    def task(self) -> Task:
        """What the method is to fit."""
        job = self.job
        return Task(
            self.classifier, self.rows, job.settings, job.hardware, self.voice, self.positive, self.folder
        )

    def predict(self, classifier: Classifier, name: str) -> None:
        """Write the predictions of the test rows."""
        table = predictions_of(classifier, self.test, self.job.hardware, self.voice)
        write_predictions(table, self.folder / name)
