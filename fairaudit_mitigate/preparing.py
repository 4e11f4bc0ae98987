"""Before training: rows and model read and fitted to each other, roles and groups from an audit or a verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from fairaudit.errors import FairauditError, did_you_mean
from fairaudit.labels import join, ordered
from fairaudit_mitigate import policy_loop
from fairaudit_mitigate.baseline import trained_first
from fairaudit_mitigate.classifier import Classifier, Request, load
from fairaudit_mitigate.data import TEST, TRAIN, Rows, read_rows, with_validation
from fairaudit_mitigate.features import Features
from fairaudit_mitigate.fit import training_groups
from fairaudit_mitigate.given import NAMED, Given
from fairaudit_mitigate.groups import CLASS
from fairaudit_mitigate.job import Job, Work
from fairaudit_mitigate.loading import LINEAR
from fairaudit_mitigate.mlp_config import Fresh, mlp_of
from fairaudit_mitigate.predictions import output_names, renamed
from fairaudit_mitigate.reaudit import read_findings
from fairaudit_mitigate.settings import Settings
from fairaudit_mitigate.voice import Voice

if TYPE_CHECKING:
    from fairaudit import Verdict
    from fairaudit.policy import Policy


def from_audit(
    path: str | Path, sensitive: tuple[str, ...], positive: str | None, settings: Settings, force: bool
) -> tuple[tuple[str, ...], str | None, Settings]:
    """The sensitive columns, the positive class and the groups of an audit, where none are given."""
    found = read_findings(path)
    if not found.flagged and not force:
        raise FairauditError(
            f"nothing flagged in '{path}': there is nothing to repair; give --force to go on anyway."
        )
    chosen = sensitive or found.sensitive
    flagged = next((by for by in found.flagged if set(by) <= set(chosen)), None)
    if settings.groups is None and flagged is not None:
        settings = replace(settings, groups=join((CLASS, *flagged)))
    return chosen, positive or found.positive, settings


def prepared(
    job: Job,
    policy: Policy | None,
    folder: Path,
    voice: Voice,
    rows: Rows | None = None,
    given: Given = NAMED,
) -> Work:
    """Rows and model, loaded and fitted to each other.

    `rows`: those of the job, where they are read already. `given`: what of the job is an object in memory.
    """
    from transformers import set_seed

    rows = read_splits(job, voice, given) if rows is None else rows
    if policy is not None:
        rows = policy_loop.grouped(rows, policy)
    rows.of_split(TEST)
    if policy is None or job.settings.groups is not None:  # else the first verdict chooses them
        training_groups(rows.of_split(TRAIN), job.settings)
    set_seed(job.settings.seed)
    classifier = _classifier(job, rows, voice, given)
    names = output_names(rows.y_true, classifier.labels, job.data, voice.say)
    rows, positive = renamed(rows, names), _positive(job, names, classifier)
    test, court = rows.of_split(TEST), None
    if policy is not None:
        roles = tuple(test.sensitive), positive, job.columns.cluster
        court = policy_loop.court_of(policy, names, classifier.labels, *roles, voice.say)
    return trained_first(Work(job, folder, voice, classifier, rows, test, positive, court))


def aimed(work: Work, first: Verdict) -> Work:
    """The work with the groups that the first verdict points at, where none are given."""
    groups = policy_loop.groups_of(first)
    if work.job.settings.groups is not None or groups is None:
        return work
    settings = replace(work.job.settings, groups=groups)
    training_groups(work.rows.of_split(TRAIN), settings)
    work.voice.say(f"groups compared in training: {groups}, from the verdict on the model before.")
    return replace(work, job=replace(work.job, settings=settings))


def _positive(job: Job, names: Mapping[str, str], classifier: Classifier) -> str | None:
    """The positive class under the model's name for it. Raises FairauditError where it is no class."""
    if job.positive is None:
        return None
    positive = names.get(job.positive, job.positive)
    if positive not in classifier.labels:
        shown = ", ".join(classifier.labels[:10])
        hint = did_you_mean(positive, classifier.labels)
        raise FairauditError(f"the positive class '{positive}' is not among the classes ({shown}).{hint}")
    return positive


def read_splits(job: Job, voice: Voice, given: Given = NAMED) -> Rows:
    """The rows of the job with a validation split: the data's own, or one set aside."""
    data = job.data if given.data is None else given.data
    model = job.model if given.module is None else given.module
    rows = read_rows(data, job.columns, job.sensitive, voice.say, model)
    if not job.sensitive and rows.sensitive:
        voice.say(f"sensitive columns found by name: {', '.join(rows.sensitive)} (name them with -s).")
    rows, carved = with_validation(rows)
    if carved and job.settings.spec.fits_validation:
        raise FairauditError(
            f"{job.settings.method} is fitted to val rows, which the model has not seen, and '{job.data}' has none; "
            "mark such rows as val in its split column."
        )
    if carved:
        voice.say(
            "the data has no val split: 15 % of the train rows, by hash of their id, are set aside as one."
        )
    return rows


def _classifier(job: Job, rows: Rows, voice: Voice, given: Given) -> Classifier:
    labels = ordered(set(rows.of_split(TRAIN).y_true))
    if len(labels) < 2:
        raise FairauditError(
            f"the train rows of '{job.data}' have one class ({labels[0]}); a classifier needs two."
        )
    if given.module is not None:
        from fairaudit_mitigate.modules import classifier_of

        _plain_head(job)
        return classifier_of(given.module, rows, given.head, given.classes, job.new_head, voice.say)
    if mlp_of(job.model) is not None:
        _plain_head(job)
    classifier = load(job.model, _request(job, rows, labels), voice.say)
    if classifier.is_adapter:
        raise FairauditError(
            f"'{job.model}' is an adapter; give its merged model (mitigate --merge writes one)."
        )
    if classifier.fresh_head and job.settings.freeze_head:
        raise FairauditError(f"the head of '{job.model}' is fresh, random weights: leave out --freeze-head.")
    if classifier.fresh_head and not isinstance(mlp_of(job.model), Fresh):
        voice.say(
            "`before` is the model with that untrained head; compare with `--method lora` for a fair rival."
        )
    return classifier


def _plain_head(job: Job) -> None:
    """Raise FairauditError for what only transformers' models know, asked of a model of numbers or a module."""
    own = job.settings
    if own.head != LINEAR or own.quantize is not None or own.class_names or job.image_size is not None:
        raise FairauditError(
            f"'{job.model}' is no transformers model: leave out --head, --class-names, --quantize and --image-size "
            "(the outputs of a module are named by classes=)."
        )


def _request(job: Job, rows: Rows, labels: tuple[str, ...]) -> Request:
    """How the model is loaded. Raises FairauditError for what does not go together."""
    own = job.settings
    if own.quantize is not None and job.merge:
        raise FairauditError(
            "an adapter on quantised weights is not merged: leave out --merge or --quantize."
        )
    if own.class_names and len(own.class_names) != len(labels):
        raise FairauditError(
            f"--class-names has {len(own.class_names)} names, and the train rows of '{job.data}' have "
            f"{len(labels)} classes ({', '.join(labels[:10])})."
        )
    train = rows.of_split(TRAIN).inputs
    return Request(
        rows.kind, own.class_names or labels, job.new_head, job.image_size,
        head=own.head, prompt=own.prompt, quantize=own.quantize, trust_remote_code=own.trust_remote_code,
        train=train if isinstance(train, Features) else None,
    )  # fmt: skip
