"""One cell done: trained and predicted on validation; and, for those that were chosen, judged on test."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairaudit.errors import FairauditError
from fairaudit.store import write_text
from fairaudit_mitigate.data import TEST as TEST_ROWS
from fairaudit_mitigate.data import VALIDATION as VALIDATION_ROWS
from fairaudit_mitigate.settings import ALL
from fairaudit_mitigate.sweeping.bench import Bench
from fairaudit_mitigate.sweeping.cells import DONE, FAILED, TEST, VALIDATION, Cell, Record, Roles, Shelf
from fairaudit_mitigate.sweeping.choosing import Score
from fairaudit_mitigate.voice import Progress, Voice

if TYPE_CHECKING:
    from fairaudit_mitigate.job import Job, Work


@dataclass(frozen=True, slots=True)
class Runner:
    """How cells are run: where they lie, on which device, what scores them."""

    shelf: Shelf
    device: str
    select: str
    score: Callable[[Path, Roles], Score]
    progress: Progress

    def train(self, cell: Cell, bench: Bench) -> Record:
        """Train the cell, keep its artefact and its validation predictions, and write its record.

        What goes wrong in training is recorded as its failure. Raises FairauditError for what is wrong before.
        """
        said: list[str] = []
        folder = self.shelf.clear(cell.key)
        try:
            work = self._prepared(cell, bench, folder, Voice(said.append, self.progress))
            record = self._attempted(cell, work, _roles(work, bench))
        except (
            BaseException
        ):  # an interruption, or what is wrong before training: nothing half-written is left
            self.shelf.remove(cell.key)
            raise
        record = replace(record, said=tuple(said))
        self.shelf.keep(record)
        return record

    def _attempted(self, cell: Cell, work: Work, roles: Roles) -> Record:
        try:
            return self._fitted(cell, work, roles)
        except Exception as error:  # one cell that fails must not cost the others
            self.shelf.drop_artefact(cell.key)
            return Record(cell.key, FAILED, _reason(error), asdict(cell.settings), roles=roles)

    def judge(self, cell: Cell, bench: Bench, record: Record) -> None:
        """Predict the test rows with the saved artefact, and audit them. Raises FairauditError where it is gone."""
        from fairaudit_mitigate.classifier import Request, load
        from fairaudit_mitigate.predictions import predictions_of, renamed, write_predictions

        place = self.shelf.artefact(cell.key)
        if place is None:
            raise FairauditError(f"the model of cell {cell.key} is gone; remove its folder and run again.")
        rows = renamed(bench.table.rows.of_split(TEST_ROWS), record.roles.names)
        again = load(place, Request(rows.kind, trust_remote_code=cell.settings.trust_remote_code))
        hardware = _hardware(cell, self.device)
        table = predictions_of(again, rows, hardware, Voice(progress=self.progress))
        write_predictions(table, self.shelf.predictions(cell.key, TEST))
        self._audit(cell.key, TEST, record.roles)

    def judged(self, cell: Cell, bench: Bench, record: Record) -> Record:
        """Judge the cell; what goes wrong is recorded as its failure. Its score stays: validation has chosen."""
        try:
            self.judge(cell, bench, record)
        except Exception as error:  # one cell that fails must not cost the others
            record = replace(record, status=FAILED, reason=f"on the test rows: {_reason(error)}")
            self.shelf.keep(record)
        return record

    def _prepared(self, cell: Cell, bench: Bench, folder: Path, voice: Voice) -> Work:
        from fairaudit_mitigate.preparing import prepared

        job = _job(cell, bench, self.device)
        settings = job.settings
        if (
            settings.adapt != ALL and settings.cache is None
        ):  # one store for all cells of a data set and model
            job = replace(job, settings=replace(settings, cache=str(self.shelf.cache)))
        return prepared(job, None, folder, voice, bench.table.rows)

    def _fitted(self, cell: Cell, work: Work, roles: Roles) -> Record:
        from fairaudit_mitigate.artefact import save
        from fairaudit_mitigate.evidence import write_history
        from fairaudit_mitigate.halves import halves
        from fairaudit_mitigate.predictions import predictions_of, write_predictions

        fitted = cell.settings.spec.fit(work.task)
        save(fitted.model, work.classifier, work.folder)
        write_history(work.folder, fitted.history)
        trained = replace(work.classifier, model=fitted.model)
        rows = work.rows.of_split(VALIDATION_ROWS)
        if cell.settings.spec.fits_validation:  # it chooses on those it has not seen
            rows = halves(rows)[1]
        table = predictions_of(trained, rows, work.job.hardware, work.voice)
        path = self.shelf.predictions(cell.key, VALIDATION)
        write_predictions(table, path)
        self._audit(cell.key, VALIDATION, roles)
        return Record(
            cell.key, DONE, None, asdict(cell.settings), self.score(path, roles), self.select,
            round(fitted.seconds, 3), round(fitted.ready, 3), fitted.peak_memory,
            fitted.adaptation.trainable, fitted.adaptation.total, fitted.best.step, roles,
        )  # fmt: skip

    def _audit(self, key: str, split: str, roles: Roles) -> None:
        import fairaudit
        from fairaudit_mitigate.reaudit import roles_of

        columns = roles_of(roles.sensitive, roles.positive, roles.cluster)
        found = fairaudit.audit(
            self.shelf.predictions(key, split), **columns, agreement=roles.agreement, split="all"
        )
        write_text(self.shelf.audit(key, split), found.to_json())


def _job(cell: Cell, bench: Bench, device: str) -> Job:
    from fairaudit_mitigate.job import Job

    spec, model = bench.table.spec, bench.model
    sensitive = tuple(bench.table.rows.sensitive)
    return Job(
        model.path, spec.path, cell.settings, _hardware(cell, device), spec.columns, sensitive, spec.positive,
        model.image_size, model.new_head, merge=False,
    )  # fmt: skip


def _hardware(cell: Cell, device: str) -> Any:
    from fairaudit_mitigate.predictions import Hardware

    return Hardware(cell.settings.batch_size, device, cell.dtype)


def _roles(work: Work, bench: Bench) -> Roles:
    """What the predictions hold, under the model's names of the classes."""
    names = dict(zip(bench.table.rows.y_true, work.rows.y_true, strict=True))
    agreement = {names.get(c, c): g for c, g in bench.table.spec.agreement.items()}
    sensitive, positive, cluster = work.roles
    return Roles(sensitive, positive, cluster, agreement, tuple(work.classifier.labels), names)


def _reason(error: Exception) -> str:
    """The sentence of an error of ours; of any other its kind and first line."""
    if isinstance(error, FairauditError):
        return str(error)
    first = (str(error).strip().splitlines() or ["no message"])[0]
    return f"{type(error).__name__}: {json.dumps(first, ensure_ascii=False)[1:-1][:300]}"
