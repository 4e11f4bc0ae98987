"""The whole repair: predict, train, save, read back, predict again, audit both, compare."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairaudit.errors import FairauditError, did_you_mean
from fairaudit.labels import join, ordered
from fairaudit.store import write_text
from fairaudit_mitigate.artefact import MERGED, check_same, new_folder, save, save_merged
from fairaudit_mitigate.classifier import Classifier, Request, load
from fairaudit_mitigate.data import TEST, TRAIN, Columns, Rows, read_rows, with_validation
from fairaudit_mitigate.device import AUTO
from fairaudit_mitigate.fit import Fitted, fit, training_groups
from fairaudit_mitigate.groups import CLASS
from fairaudit_mitigate.inputs import Encoded
from fairaudit_mitigate.manifest import build_manifest
from fairaudit_mitigate.predictions import (
    Hardware,
    logits_of,
    output_names,
    predictions_of,
    renamed,
    target_ids,
    write_predictions,
)
from fairaudit_mitigate.reaudit import Proof, audit_of, better_direction, prove, read_findings
from fairaudit_mitigate.settings import Settings
from fairaudit_mitigate.voice import SILENT, Voice

if TYPE_CHECKING:
    from fairaudit import Audit, Comparison

BEFORE, AFTER = "predictions_before.parquet", "predictions_after.parquet"
CHECKED_ROWS = 256


@dataclass(frozen=True, slots=True, eq=False)
class Mitigation:
    """What came of it. `out` holds the artefact and the evidence; the audits are of the test rows."""

    out: Path
    before: Audit
    after: Audit
    comparison: Comparison
    manifest: dict[str, Any]


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


def mitigate(
    model: str | Path,
    data: str | Path,
    *,
    out: str | Path,
    method: str = "fairlora",
    sensitive: Iterable[str] = (),
    columns: Columns | None = None,
    positive: str | None = None,
    image_size: int | None = None,
    new_head: bool = False,
    merge: bool = False,
    audit: str | Path | None = None,
    force: bool = False,
    device: str = AUTO,
    dtype: str = AUTO,
    voice: Voice = SILENT,
    **training: Any,
) -> Mitigation:
    """Repair `model` on `data`, prove it on the test rows, write everything to the new folder `out`.

    `training`: the other fields of `Settings` (groups, rank, alpha, penalty, lr, epochs, max_steps,
    batch_size, accumulate, targets, seed, select, …). `audit`: an audit file that supplies the sensitive
    columns, the positive class and, as groups, the class crossed with the first attribute (or crossing) it
    flags, where these are not given; where it flags none this raises unless `force`.

    Raises FairauditError for every problem of the input; then `out` is not there.
    """
    settings = Settings(method=method, **training)
    better_direction(settings.select)
    chosen = tuple(sensitive)
    if audit is not None:
        chosen, positive, settings = _from_audit(audit, chosen, positive, settings, force)
    hardware = Hardware(settings.batch_size, device, dtype)
    job = Job(
        str(model),
        str(data),
        settings,
        hardware,
        columns or Columns(),
        chosen,
        positive,
        image_size,
        new_head,
        merge,
        None if audit is None else str(audit),
        force,
    )
    with new_folder(Path(out)) as folder:
        proof, manifest = _carry_out(job, folder, voice)
    return Mitigation(Path(out), proof.before, proof.after, proof.comparison, manifest)


def _from_audit(
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


def _carry_out(job: Job, folder: Path, voice: Voice) -> tuple[Proof, dict[str, Any]]:
    """Every step of the repair, in the folder."""
    from transformers import set_seed

    rows = _rows(job, voice)
    rows.of_split(TEST)
    training_groups(rows.of_split(TRAIN), job.settings)
    set_seed(job.settings.seed)
    classifier = _classifier(job, rows, voice)
    names = output_names(rows.y_true, classifier.labels, job.data, voice.say)
    rows, positive = renamed(rows, names), _positive(job, names, classifier)
    test = rows.of_split(TEST)
    write_predictions(predictions_of(classifier, test, job.hardware, voice), folder / BEFORE)
    audit_of(folder / BEFORE, tuple(test.sensitive), positive, job.columns.cluster)
    fitted = fit(classifier, rows, job.settings, job.hardware, voice, positive)
    place = save(fitted.model, classifier, folder)
    reloaded = load(place, Request(rows.kind), voice.say)
    difference = _check(fitted, classifier, reloaded, test, job, place)
    write_predictions(predictions_of(reloaded, test, job.hardware, voice), folder / AFTER)
    if job.merge and job.settings.spec.adapts:
        merged = load(save_merged(reloaded, folder), Request(rows.kind), voice.say)
        _check(fitted, classifier, merged, test, job, folder / MERGED)
    proof = prove(folder / BEFORE, folder / AFTER, tuple(test.sensitive), positive, job.columns.cluster)
    arguments = {**asdict(job), "sensitive": list(test.sensitive)}
    manifest = _plain(build_manifest(arguments, rows, job.model, _results(fitted, difference)))
    _write_evidence(folder, job.settings.method, proof, fitted, manifest)
    return proof, manifest


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


def _rows(job: Job, voice: Voice) -> Rows:
    rows = read_rows(job.data, job.columns, job.sensitive)
    if not job.sensitive and rows.sensitive:
        voice.say(f"sensitive columns found by name: {', '.join(rows.sensitive)} (name them with -s).")
    rows, carved = with_validation(rows)
    if carved:
        voice.say(
            "the data has no val split: 15 % of the train rows, by hash of their id, are set aside as one."
        )
    return rows


def _classifier(job: Job, rows: Rows, voice: Voice) -> Classifier:
    labels = ordered(set(rows.of_split(TRAIN).y_true))
    if len(labels) < 2:
        raise FairauditError(
            f"the train rows of '{job.data}' have one class ({labels[0]}); a classifier needs two."
        )
    request = Request(rows.kind, labels, job.new_head, job.image_size)
    classifier = load(job.model, request, voice.say)
    if classifier.is_adapter:
        raise FairauditError(
            f"'{job.model}' is an adapter; give its merged model (mitigate --merge writes one)."
        )
    if classifier.fresh_head:
        voice.say(
            "`before` is the model with that untrained head; compare with `--method lora` for a fair rival."
        )
    return classifier


def _check(
    fitted: Fitted, classifier: Classifier, reloaded: Classifier, test: Rows, job: Job, place: Path
) -> float:
    """Compare the logits of the trained model and of the artefact read back, on the first test rows."""
    some = test.take(range(min(CHECKED_ROWS, len(test))))
    targets = target_ids(some.y_true, classifier.labels, job.data)
    trained, again = (
        logits_of(m, Encoded(some.inputs, some.ids, p, targets), p, job.hardware)
        for m, p in ((fitted.model, classifier.preprocessor), (reloaded.model, reloaded.preprocessor))
    )
    return check_same(trained, again, place)


def _results(fitted: Fitted, difference: float) -> dict[str, object]:
    return {
        "trainable_parameters": fitted.adaptation.trainable,
        "parameters": fitted.adaptation.total,
        "targets": list(fitted.adaptation.targets),
        "heads": list(fitted.adaptation.heads),
        "groups": fitted.groups.counts(),
        "best_step": fitted.best.step,
        "validation": dict(fitted.best.metrics or {}),
        "largest_logit_difference_after_reload": difference,
    }


def _write_evidence(
    folder: Path, method: str, proof: Proof, fitted: Fitted, manifest: dict[str, Any]
) -> None:
    from fairaudit.report import markdown

    write_text(folder / "audit_before.json", proof.before.to_json())
    write_text(folder / "audit_after.json", proof.after.to_json())
    write_text(folder / "comparison.md", markdown.comparison(proof.comparison, "before", method))
    write_text(
        folder / "history.jsonl", "".join(json.dumps(_plain(record)) + "\n" for record in fitted.history)
    )
    write_text(folder / "manifest.json", json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")


def _plain(value: Any) -> Any:
    """The value with null for numbers that JSON has no word for."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
