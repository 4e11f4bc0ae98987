"""The whole repair: predict, train, save, read back, predict again, audit both, compare; under a policy, judge both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairaudit.errors import FairauditError
from fairaudit.verdict import PASS
from fairaudit_mitigate import evidence, policy_loop, ranks
from fairaudit_mitigate.artefact import MERGED, check_same, save, save_merged
from fairaudit_mitigate.classifier import Classifier, load_again
from fairaudit_mitigate.data import Columns, Rows
from fairaudit_mitigate.device import AUTO, pick_device
from fairaudit_mitigate.evidence import AFTER, BEFORE
from fairaudit_mitigate.fit import MAX_GRAD_NORM, Fitted
from fairaudit_mitigate.given import Given, given_of
from fairaudit_mitigate.inputs import Encoded
from fairaudit_mitigate.job import Job, Work
from fairaudit_mitigate.manifest import build_manifest, checksums, paper_checksums
from fairaudit_mitigate.methods import find_method
from fairaudit_mitigate.methods.method import EVERYTHING
from fairaudit_mitigate.mlp_config import own_rate
from fairaudit_mitigate.predictions import (
    Hardware,
    logits_of,
    target_ids,
)
from fairaudit_mitigate.preparing import aimed, from_audit, prepared
from fairaudit_mitigate.reaudit import Proof, audit_of, better_direction, policy_of, prove
from fairaudit_mitigate.reporting import check_reporters
from fairaudit_mitigate.settings import Settings
from fairaudit_mitigate.voice import SILENT, Voice
from fairaudit_mitigate.workplace import Workplace, workplace

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


def mitigate(
    model: Any,
    data: Any,
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
    resume: bool = False,
    device: str = AUTO,
    dtype: str = AUTO,
    head_module: str | None = None,
    classes: Sequence[str] = (),
    voice: Voice = SILENT,
    **training: Any,
) -> Mitigation:
    """Repair `model` on `data`, prove it on the test rows, write everything to the new folder `out`.

    `model`: a transformers folder or hub id, `mlp` or the folder of one, or a torch module, of which a copy is
    trained. `data`: a path; for an MLP or a module also a data frame of numbers, for a module also `Arrays`.
    `head_module` (the name of a layer; else the last `nn.Linear`) and `classes` (the names of the outputs) are of
    modules.

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

    `resume`: go on from the newest checkpoint of a run of the same output that was killed, stopped or has failed,
    with the same arguments on the same data; where there is none the run starts at the beginning. Such a run
    stands in `.NAME.part` beside the output; without `resume` it is refused, and removing that folder forgets it.

    Under torchrun every rank calls this and gets the same answer; rank 0 alone reads, predicts, writes and speaks
    outside of training.

    Raises FairauditError for every problem of the input; then `out` is not there.
    """
    everything = find_method(method).trains == EVERYTHING
    settings = Settings(method=method, **own_rate(model, training, everything))
    settings.check_read()
    settings = settings.resolved()
    better_direction(settings.select)
    check_reporters(settings.report_to)
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
        chosen, positive, settings = from_audit(audit, chosen, positive, settings, force)
    given = given_of(model, data, head_module, classes)
    job = Job(
        given.model_name or str(model), given.data_name or str(data), settings,
        Hardware(settings.batch_size, device, dtype), roles, chosen, positive,
        image_size, new_head, merge, None if audit is None else str(audit), force,
        None if policy is None else str(policy),
    )  # fmt: skip
    ranks.join(pick_device(device).type == "cpu")
    if not ranks.leads():
        return _train_along(job, terms, Workplace(Path(out)), given)
    with ranks.warning_others(), workplace(Path(out), resume, voice) as place:
        done = _carry_out(job, terms, place, voice, given)
    done = replace(done, out=Path(out))
    ranks.tell(done)
    return done


def _train_along(job: Job, policy: Policy | None, place: Workplace, given: Given) -> Mitigation:
    """What a rank does that does not lead: train with the others, and hear what came of it."""
    word = ranks.hear()
    if isinstance(word, Mitigation):  # nothing was to be repaired
        return word
    settings, resumes = word
    place = replace(place, resumes=resumes)
    work = prepared(replace(job, settings=settings), policy, place.result, SILENT, given=given)
    with ranks.together():
        settings.spec.fit(replace(work, place=place).task)
    done: Mitigation = ranks.hear()
    return done


def _carry_out(job: Job, policy: Policy | None, place: Workplace, voice: Voice, given: Given) -> Mitigation:
    """Every step of the repair, in the folder."""
    where = {"device": pick_device(job.hardware.device).type, "processes": ranks.world()}
    place.agree("arguments", asdict(job) | where)
    folder = place.result
    work = replace(prepared(job, policy, folder, voice, given=given), place=place)
    work = replace(work, inputs=checksums(work.rows, job.model) | paper_checksums(job.policy, job.audit))
    place.agree("inputs", work.inputs)
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
    return _repaired(aimed(work, first), before, first)


def _left_alone(work: Work, before: Audit, first: Verdict) -> Mitigation:
    """The evidence that nothing needed a repair."""
    manifest = _manifest(work, {"repaired": False}, (first,))
    evidence.write_audits(work.folder, before, None, "")
    evidence.write_verdicts(work.folder, (first,))
    evidence.write_manifest(work.folder, manifest)
    return Mitigation(work.folder, before, None, manifest, (first,))


def _repaired(work: Work, before: Audit, first: Verdict | None = None) -> Mitigation:
    """Train, save, read back, predict again, and prove it."""
    job, folder, voice = work.job, work.folder, work.voice
    ranks.tell((job.settings, work.task.resume))
    with ranks.together():
        fitted = job.settings.spec.fit(work.task)
    place = save(fitted.model, work.classifier, folder)
    reloaded = load_again(work.classifier, place, voice.say)
    difference = _check(fitted, work.classifier, reloaded, work.test, job, place)
    work.predict(reloaded, AFTER)
    if job.merge and job.settings.spec.merges:
        merged = load_again(work.classifier, save_merged(reloaded, folder), voice.say)
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


def _manifest(work: Work, results: Mapping[str, object], verdicts: tuple[Verdict, ...]) -> dict[str, Any]:
    arguments = {**asdict(work.job), "sensitive": list(work.test.sensitive), "max_grad_norm": MAX_GRAD_NORM}
    found = build_manifest(arguments, work.inputs, results)
    judged = {"verdicts": evidence.named(verdicts)} if verdicts else {}
    whole: dict[str, Any] = evidence.plain(found | judged)
    return whole


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
