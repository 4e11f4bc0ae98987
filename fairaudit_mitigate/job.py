"""What a mitigation was asked for, and what all its steps work on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fairaudit_mitigate import policy_loop
from fairaudit_mitigate.classifier import Classifier
from fairaudit_mitigate.data import Columns, Rows
from fairaudit_mitigate.evidence import LOGS
from fairaudit_mitigate.predictions import Hardware, predictions_of, write_predictions
from fairaudit_mitigate.settings import Settings
from fairaudit_mitigate.task import Task
from fairaudit_mitigate.voice import Voice
from fairaudit_mitigate.workplace import Workplace


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
    """What every step works on: the job, the folder, the model, the rows under the model's names, the policy.

    `inputs`: checksums of data and model. `place`: where checkpoints go and come from; None: there are none.
    """

    job: Job
    folder: Path
    voice: Voice
    classifier: Classifier
    rows: Rows
    test: Rows
    positive: str | None
    court: policy_loop.Court | None
    inputs: Mapping[str, object] = field(default_factory=dict)
    place: Workplace | None = None

    @property
    def roles(self) -> tuple[tuple[str, ...], str | None, str | None]:
        """Sensitive columns, positive class and cluster column of the predictions."""
        return tuple(self.test.sensitive), self.positive, self.job.columns.cluster

    @property
    def task(self) -> Task:
        """What the method is to fit."""
        job, place = self.job, self.place
        return Task(
            self.classifier, self.rows, job.settings, job.hardware, self.voice, self.positive,
            folder=None if place is None else place.training,
            resume=place is not None and place.resumes,
            logs=self.folder / LOGS,
        )  # fmt: skip

    def predict(self, classifier: Classifier, name: str) -> None:
        """Write the predictions of the test rows, unless an interrupted run has."""
        if (self.folder / name).exists():
            return
        table = predictions_of(classifier, self.test, self.job.hardware, self.voice)
        write_predictions(table, self.folder / name)
