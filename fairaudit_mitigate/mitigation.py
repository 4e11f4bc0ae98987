"""The whole repair: predict, train, save, read back, predict again, audit both, compare; under a policy, judge both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairaudit.errors import FairauditError, did_you_mean
from fairaudit.labels import join, ordered
from fairaudit.verdict import PASS
from fairaudit_mitigate import evidence, policy_loop
from fairaudit_mitigate.artefact import MERGED, check_same, new_folder, save, save_merged
from fairaudit_mitigate.classifier import Classifier, Request, load
from fairaudit_mitigate.data import TEST, TRAIN, Columns, Rows, read_rows, with_validation
from fairaudit_mitigate.device import AUTO
from fairaudit_mitigate.evidence import AFTER, BEFORE
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
from fairaudit_mitigate.reaudit import Proof, audit_of, better_direction, policy_of, prove, read_findings
from fairaudit_mitigate.settings import Settings
from fairaudit_mitigate.voice import SILENT, Voice

if TYPE_CHECKING:
    from fairaudit import Audit, Comparison, Verdict
    from fairaudit.policy import Policy

CHECKED_ROWS = 256


@dataclass(frozen=True, slots=True, eq=False)
class Mitigation:
    """What came of it. `out` holds the artefact and the evidence; audits and verdicts are of the test rows.

    `proof`: both audits and their comparison; None where the policy passed, so that nothing was repaired.
    `verdicts`: under a policy, on the model before and, where it was repaired, on the model after.
    """

    out: Path
    before: Audit
    proof: Proof | None
    manifest: dict[str, Any]
    verdicts: tuple[Verdict, ...] = ()

    @property
    def repaired(self) -> bool:
        """Whether anything was trained."""
        return self.proof is not None

    @property
    def after(self) -> Audit:
        """The audit of the saved artefact. Raises FairauditError where nothing was repaired."""
        return self._proved().after

    @property
    def comparison(self) -> Comparison:
        """Before against after, paired by id. Raises FairauditError where nothing was repaired."""
        return self._proved().comparison

    @property
    def exit_code(self) -> int:
        """The exit code of the last verdict; 0 without a policy."""
        return self.verdicts[-1].exit_code if self.verdicts else 0

    def _proved(self) -> Proof:
        if self.proof is None:
            raise FairauditError(
                "nothing was repaired, because the policy passes: there is no model after; ask `repaired` first."
            )
        return self.proof


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
class _Work:
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

    def predict(self, classifier: Classifier, name: str) -> None:
        """Write the predictions of the test rows."""
        table = predictions_of(classifier, self.test, self.job.hardware, self.voice)
        write_predictions(table, self.folder / name)


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
    policy: str | Path | None = None,
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

    `policy`: a policy file. The model before is held against it; where it passes nothing is trained, unless
    `force`. Else the model is repaired and held against it again, rules with `vs = "baseline"` against the model
    before, row by row. It supplies what is not given: sensitive columns, positive class, cluster column, and as
    groups the class crossed with the attributes of the first rule that fails. Where it has no `no_group_worse`
    rule the second verdict shows one that never counts. The first verdict is on test rows, and decides only
    *whether* to repair (and what the penalty is about): the best step is still chosen on validation rows alone.

    Raises FairauditError for every problem of the input; then `out` is not there.
    """
    settings = Settings(method=method, **training)
    better_direction(settings.select)
    if audit is not None and policy is not None:
        raise FairauditError(
            "an audit and a policy both say what to repair; give --audit or --policy, not both."
        )
    chosen, roles, terms = tuple(sensitive), columns or Columns(), None
    if policy is not None:
        terms = policy_of(policy)
        policy_loop.check_usable(terms, force)
        chosen, positive, roles = policy_loop.supplied(terms, chosen, positive, roles)
    if audit is not None:
        chosen, positive, settings = _from_audit(audit, chosen, positive, settings, force)
    job = Job(
        str(model), str(data), settings, Hardware(settings.batch_size, device, dtype), roles, chosen, positive,
        image_size, new_head, merge, None if audit is None else str(audit), force,
        None if policy is None else str(policy),
    )  # fmt: skip
    with new_folder(Path(out)) as folder:
        done = _carry_out(job, terms, folder, voice)
    return replace(done, out=Path(out))


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


def _carry_out(job: Job, policy: Policy | None, folder: Path, voice: Voice) -> Mitigation:
    """Every step of the repair, in the folder."""
    work = _prepared(job, policy, folder, voice)
    work.predict(work.classifier, BEFORE)
    before = audit_of(folder / BEFORE, *work.roles)
    if work.court is None:
        return _repaired(work, before)
    first = work.court.before(folder / BEFORE)
    voice.say(f"the policy on the model before: {first.verdict}.")
    if first.verdict == PASS and not job.force:
        voice.say("nothing to repair: the policy passes (--force goes on anyway).")
        return _left_alone(work, before, first)
    work.court.rehearse(folder / BEFORE)
    return _repaired(_aimed(work, first), before, first)


def _prepared(job: Job, policy: Policy | None, folder: Path, voice: Voice) -> _Work:
    """Rows and model, loaded and fitted to each other."""
    from transformers import set_seed

    rows = _rows(job, voice)
    if policy is not None:
        rows = policy_loop.grouped(rows, policy)
    rows.of_split(TEST)
    if policy is None or job.settings.groups is not None:  # else the first verdict chooses them
        training_groups(rows.of_split(TRAIN), job.settings)
    set_seed(job.settings.seed)
    classifier = _classifier(job, rows, voice)
    names = output_names(rows.y_true, classifier.labels, job.data, voice.say)
    rows, positive = renamed(rows, names), _positive(job, names, classifier)
    test, court = rows.of_split(TEST), None
    if policy is not None:
        roles = tuple(test.sensitive), positive, job.columns.cluster
        court = policy_loop.court_of(policy, names, classifier.labels, *roles, voice.say)
    return _Work(job, folder, voice, classifier, rows, test, positive, court)


def _aimed(work: _Work, first: Verdict) -> _Work:
    """The work with the groups that the first verdict points at, where none are given."""
    groups = policy_loop.groups_of(first)
    if work.job.settings.groups is not None or groups is None:
        return work
    settings = replace(work.job.settings, groups=groups)
    training_groups(work.rows.of_split(TRAIN), settings)
    work.voice.say(f"groups compared in training: {groups}, from the verdict on the model before.")
    return replace(work, job=replace(work.job, settings=settings))


def _left_alone(work: _Work, before: Audit, first: Verdict) -> Mitigation:
    """The evidence that nothing needed a repair."""
    manifest = _manifest(work, {"repaired": False}, (first,))
    evidence.write_audits(work.folder, before, None, "")
    evidence.write_verdicts(work.folder, (first,))
    evidence.write_manifest(work.folder, manifest)
    return Mitigation(work.folder, before, None, manifest, (first,))


def _repaired(work: _Work, before: Audit, first: Verdict | None = None) -> Mitigation:
    """Train, save, read back, predict again, and prove it."""
    job, folder, voice = work.job, work.folder, work.voice
    fitted = fit(work.classifier, work.rows, job.settings, job.hardware, voice, work.positive)
    place = save(fitted.model, work.classifier, folder)
    reloaded = load(place, Request(work.rows.kind), voice.say)
    difference = _check(fitted, work.classifier, reloaded, work.test, job, place)
    work.predict(reloaded, AFTER)
    if job.merge and job.settings.spec.adapts:
        merged = load(save_merged(reloaded, folder), Request(work.rows.kind), voice.say)
        _check(fitted, work.classifier, merged, work.test, job, folder / MERGED)
    proof = prove(before, folder / BEFORE, folder / AFTER, *work.roles)
    verdicts: tuple[Verdict, ...] = ()
    if work.court is not None and first is not None:
        verdicts = (first, work.court.after(folder / BEFORE, folder / AFTER))
        voice.say(f"the policy on the model after: {verdicts[-1].verdict}.")
    manifest = _manifest(work, evidence.results_of(fitted, difference), verdicts)
    evidence.write_audits(folder, before, proof, job.settings.method)
    evidence.write_verdicts(folder, verdicts)
    evidence.write_history(folder, fitted.history)
    evidence.write_manifest(folder, manifest)
    return Mitigation(folder, before, proof, manifest, verdicts)


def _manifest(work: _Work, results: Mapping[str, object], verdicts: tuple[Verdict, ...]) -> dict[str, Any]:
    arguments = {**asdict(work.job), "sensitive": list(work.test.sensitive)}
    found = build_manifest(arguments, work.rows, work.job.model, results)
    judged = {"verdicts": evidence.named(verdicts)} if verdicts else {}
    whole: dict[str, Any] = evidence.plain(found | judged)
    return whole


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
