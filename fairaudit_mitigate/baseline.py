"""A fresh network is trained plainly before it is repaired: nothing untrained is worth a repair, or a comparison."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from fairaudit.errors import FairauditError
from fairaudit_mitigate.job import Work
from fairaudit_mitigate.methods.method import EVERYTHING
from fairaudit_mitigate.mlp_config import LEARNING_RATE, Fresh, mlp_of
from fairaudit_mitigate.settings import Settings

BASE = "base"


def trained_first(work: Work) -> Work:
    """The work with its model trained on the mean loss and saved in `base/`, where a method repairs a fresh one.

    It is what `before` speaks of, and what an adapter stands on. Methods that train everything start from the
    fresh network themselves. Raises FairauditError under torchrun, and as training does.
    """
    job, classifier = work.job, work.classifier
    if not isinstance(mlp_of(job.model), Fresh) or classifier.form is None:
        return work
    if job.settings.spec.trains == EVERYTHING:
        work.voice.say(
            "`before` is that untrained network: see what it has learnt, not whether it is fairer."
        )
        return work
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise FairauditError(
            f"under torchrun a network to repair is there before; train '{job.model}' with --method fft first."
        )
    place = work.folder / BASE
    if mlp_of(place) is None:  # its configuration is written last
        _train(work, place)
    found = classifier.form.read(place)
    return replace(work, classifier=replace(found, source=str(place), base=str(place)))


def _train(work: Work, place: Path) -> None:
    given = work.job.settings
    plain = Settings(
        method="fft", groups=given.groups, lr=LEARNING_RATE, epochs=given.epochs, max_steps=given.max_steps,
        batch_size=given.batch_size, weight_decay=given.weight_decay, warmup=given.warmup, seed=given.seed,
        select=given.select,
    )  # fmt: skip
    work.voice.say(
        f"the fresh network is first trained on the mean loss (fft, lr {LEARNING_RATE:g}, {given.epochs:g} epochs): "
        f"that is `before`, and stands in {BASE}/."
    )
    fitted = plain.spec.fit(replace(work.task, settings=plain, folder=None))
    if work.classifier.form is not None:
        work.classifier.form.write(work.classifier, fitted.model, place, whole=True)
