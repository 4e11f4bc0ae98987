"""The method `threshold` as a whole: a file of predictions in; the adjusted file, the rule and its proof out."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fairaudit import __version__
from fairaudit.columns import Inputs, Roles, positive_column
from fairaudit.errors import FairauditError
from fairaudit.labels import text_of
from fairaudit_mitigate import evidence
from fairaudit_mitigate import roles as known
from fairaudit_mitigate.halves import cut, keys
from fairaudit_mitigate.manifest import SCHEMA, sha256
from fairaudit_mitigate.reaudit import Proof, prove_as, roles_in
from fairaudit_mitigate.roles import TEST, VALIDATION
from fairaudit_mitigate.thresholds.applying import (
    ERROR,
    Answers,
    answer,
    check_new_groups,
    cut_predictions,
    described,
    predictions_column,
    say_answers,
    write_adjusted,
)
from fairaudit_mitigate.thresholds.fitting import ACCURACY, EQUALIZED_ODDS, Aim, fit_groups, one_sided
from fairaudit_mitigate.thresholds.rule import Rule
from fairaudit_mitigate.thresholds.scored import Classes, Named, Table, classes_of, open_table
from fairaudit_mitigate.voice import SILENT, Voice
from fairaudit_mitigate.whole_folder import whole_folder

if TYPE_CHECKING:
    import numpy.typing as npt

    from fairaudit import Comparison

    Booleans = npt.NDArray[np.bool_]

METHOD = "threshold"
RULE, ADJUSTED = "rule.json", "adjusted"


@dataclass(frozen=True, slots=True, eq=False)
class Adjustment:
    """What came of it. `out` holds rule, adjusted file and evidence; audits are of the rows that were not fitted."""

    out: Path
    rule: Rule
    proof: Proof
    manifest: dict[str, Any]

    @property
    def comparison(self) -> Comparison:
        """Before against after, paired by id."""
        return self.proof.comparison


@dataclass(frozen=True, slots=True, eq=False)
class _Case:
    """The file as it is judged: labels and predictions before as booleans, which rows are fitted and which judged."""

    table: Table
    classes: Classes
    sensitive: tuple[str, ...]
    columns: Named
    y_true: Booleans
    before: Booleans
    splits: tuple[str | None, ...] | None
    fitted: list[int]
    judged: list[int]


def adjust(
    predictions: str | Path,
    *,
    out: str | Path,
    sensitive: Iterable[str] = (),
    constraint: str = EQUALIZED_ODDS,
    objective: str = ACCURACY,
    positive: str | None = None,
    columns: Named | None = None,
    new_groups: str = ERROR,
    seed: int = 0,
    voice: Voice = SILENT,
) -> Adjustment:
    """Fit group-wise thresholds to the val rows of a file of predictions, judge them on its test rows.

    Without a split column one half of the rows, by hash of their id, is fitted and the other judged, and that is
    said. Several attributes are crossed. Written to the new folder `out`: `rule.json`, `adjusted.*` (all rows, in
    the form of the file read), predictions before and after of the judged rows, both audits, their comparison, and
    the manifest. Raises FairauditError for more than two classes, no scores, a group without both classes among the
    fitted rows or without any (unless `new_groups` is `keep`); then `out` is not there.
    """
    aim = Aim(constraint, objective)
    check_new_groups(new_groups)
    case = _case(Path(predictions), tuple(sensitive), positive, columns or Named(), voice)
    rule = _fitted(case, aim, new_groups, seed, voice)
    answers = answer(rule, case.table, case.before, new_groups)
    say_answers(answers, rule, voice.say)
    with whole_folder(Path(out)) as folder:
        (folder / RULE).write_text(rule.to_json(), encoding="utf-8")
        column = predictions_column(case.table, case.columns.y_pred)
        write_adjusted(
            case.table, rule, answers.positive, column, folder / f"{ADJUSTED}{_ending(case.table.path)}"
        )
        proof = _proof(case, rule, answers, folder)
        manifest = _manifest(case, rule, answers, aim, new_groups, seed)
        evidence.write_audits(folder, proof.before, proof, METHOD)
        evidence.write_manifest(folder, manifest)
    return Adjustment(Path(out), rule, proof, manifest)


def _ending(path: Path) -> str:
    """The ending of its name, as `.csv` or `.csv.gz`."""
    return "".join(path.suffixes[-2:] if path.suffix == ".gz" else path.suffixes[-1:])


def _case(
    path: Path, sensitive: tuple[str, ...], positive: str | None, columns: Named, voice: Voice
) -> _Case:
    roles = _roles(path, sensitive, positive, columns, voice)
    y_score = _score_column(roles, positive, path)
    columns = replace(columns, y_true=roles.y_true, y_pred=roles.y_pred, y_score=y_score)
    table = open_table(path, y_score, roles.sensitive, columns.id, voice.say)
    classes = classes_of(table, roles.y_true, roles.y_pred, positive)
    y_true = classes.is_positive(table.columns[roles.y_true], roles.y_true, path)
    if roles.y_pred is None:
        before = cut_predictions(table, columns.cut)
    else:
        before = classes.is_positive(table.columns[roles.y_pred], roles.y_pred, path)
    splits = known.splits(table.columns, columns.split, path)
    fitted, judged = _parts(table, splits, columns.cluster, voice)
    return _Case(table, classes, roles.sensitive, columns, y_true, before, splits, fitted, judged)


def _roles(
    path: Path, sensitive: tuple[str, ...], positive: str | None, columns: Named, voice: Voice
) -> Roles:
    """The roles of the columns, as a report would find them."""
    named = {k: getattr(columns, k) for k in ("y_true", "y_pred", "y_score", "cluster")}
    roles = roles_in(path, Inputs(sensitive=sensitive, positive=positive, split="all", **named))
    if not sensitive:
        if len(roles.sensitive) != 1:
            raise FairauditError(
                f"a rule has thresholds by group; name the attribute of '{path}' with -s (several are crossed)."
            )
        voice.say(f"sensitive column found by name: {roles.sensitive[0]} (name it with -s).")
    return roles


def _score_column(roles: Roles, positive: str | None, path: Path) -> str:
    """The column of scores. Raises FairauditError for more than two classes, and where there is none."""
    if roles.y_score is None and len(roles.probabilities) > 2:
        raise FairauditError(
            f"thresholds divide two classes, and '{path}' has probabilities of {len(roles.probabilities)}; "
            "choose another method, or name the score of one class against the rest with --y-score."
        )
    found = positive_column(roles, positive)
    if found is None:
        raise FairauditError(
            f"thresholds need the probability of the positive class, and it is unclear where it stands in '{path}'; "
            "name its column with --y-score, and the class with --positive."
        )
    return found


def _parts(
    table: Table, splits: Sequence[str | None] | None, cluster: str | None, voice: Voice
) -> tuple[list[int], list[int]]:
    """The positions of the rows that are fitted, and of those that are judged."""
    if splits is None:
        ids = table.ids
        fitted, judged = cut(ids if cluster is None else keys(ids, [*map(text_of, table.columns[cluster])]))
        voice.say(
            f"'{table.path}' has no split column: the rule is fitted to {len(fitted):,} of its rows, by hash of their "
            f"id, and judged on the other {len(judged):,}."
        )
    else:
        fitted, judged = ([i for i, s in enumerate(splits) if s == name] for name in (VALIDATION, TEST))
    for name, rows in ((VALIDATION, fitted), (TEST, judged)):
        if not rows:
            held = "too few rows" if splits is None else ", ".join(sorted({str(s) for s in splits}))
            raise FairauditError(
                f"a rule is fitted to val rows and judged on test rows, and '{table.path}' has no {name} rows "
                f"(it holds: {held})."
            )
    return fitted, judged


def _fitted(case: _Case, aim: Aim, new_groups: str, seed: int, voice: Voice) -> Rule:
    groups = [case.table.groups[i] for i in case.fitted]
    positive, scores = case.y_true[case.fitted], case.table.scores[case.fitted]
    one_class = one_sided(positive, groups)
    if one_class and (new_groups == ERROR or len(one_class) == len(set(groups))):
        raise FairauditError(
            "a group's thresholds need rows of both classes among those that are fitted, and there is one class in "
            f"{described(one_class, case.sensitive)}; give more rows, coarser groups, or --new-groups keep: then "
            "their predictions stay as they are."
        )
    able = [i for i, g in enumerate(groups) if g not in one_class]
    found = fit_groups(scores[able], positive[able], [groups[i] for i in able], aim)
    voice.say(
        f"{aim.constraint}, best {aim.objective}: thresholds for {len(found)} groups of "
        f"{' & '.join(case.sensitive)}, fitted to {len(able):,} rows."
    )
    return Rule(
        found, case.sensitive, str(case.columns.y_score), case.classes.positive, case.classes.negative,
        aim.constraint, aim.objective, seed,
    )  # fmt: skip


def _proof(case: _Case, rule: Rule, answers: Answers, folder: Path) -> Proof:
    scored = bool(case.table.scores.min() >= 0 and case.table.scores.max() <= 1)
    for name, positive in ((evidence.BEFORE, case.before), (evidence.AFTER, answers.positive)):
        _write_judged(case, rule, positive, scored, folder / name)
    roles = {
        "y_true": "y_true", "y_pred": "y_pred", "y_score": "y_score" if scored else None,
        "sensitive": list(case.sensitive), "positive": rule.positive, "cluster": case.columns.cluster, "split": "all",
    }  # fmt: skip
    return prove_as(folder / evidence.BEFORE, folder / evidence.AFTER, roles)


def _write_judged(case: _Case, rule: Rule, positive: Booleans, scored: bool, out: Path) -> None:
    """The judged rows in the columns of other mitigations' predictions."""
    import pyarrow
    import pyarrow.parquet

    rows, text = case.judged, pyarrow.string()
    names = {True: rule.positive, False: rule.negative}
    found: dict[str, Any] = {"id": pyarrow.array([case.table.ids[i] for i in rows], text)}
    if case.splits is not None:
        found["split"] = pyarrow.array([case.splits[i] for i in rows], text)
    found["y_true"] = pyarrow.array([names[h] for h in case.y_true[rows].tolist()], text)
    found["y_pred"] = pyarrow.array([names[h] for h in positive[rows].tolist()], text)
    if scored:
        found["y_score"] = pyarrow.array(case.table.scores[rows])
    extra = [*case.sensitive, *([case.columns.cluster] if case.columns.cluster else [])]
    for name in dict.fromkeys(extra):
        if name in found and name != "id":
            raise FairauditError(
                f"the column '{name}' has the name of another column of the predictions; rename it in the data."
            )
        column = case.table.columns[name]
        values = [text_of(column[i]) for i in rows]
        alone = name not in case.sensitive  # a cluster only: a row without one is its own, as it was cut
        filled = keys([case.table.ids[i] for i in rows], values) if alone else values
        found.setdefault(name, pyarrow.array(filled, text))
    pyarrow.parquet.write_table(pyarrow.table(found), out, compression="zstd")


def _manifest(
    case: _Case, rule: Rule, answers: Answers, aim: Aim, new_groups: str, seed: int
) -> dict[str, Any]:
    path = case.table.path
    arguments = {
        "predictions": str(path), "method": METHOD, "sensitive": list(case.sensitive), "positive": rule.positive,
        "columns": asdict(case.columns), "constraint": aim.constraint, "objective": aim.objective,
        "new_groups": new_groups, "seed": seed,
    }  # fmt: skip
    results = {
        "repaired": True,
        "rows_fitted": len(case.fitted),
        "rows_judged": len(case.judged),
        "share_decided_by_a_draw": answers.drawn,
        "groups_kept": {" & ".join(g): n for g, n in answers.kept.items()},
    }
    versions = {n: version(n) for n in ("fairlearn", "scikit-learn", "numpy", "pyarrow")}
    return {
        "schema": SCHEMA,
        "schema_version": "1.0",
        "arguments": arguments,
        "inputs": {"data": {path.name: sha256(path)}},
        "results": results,
        "versions": {"fairaudit": __version__, "python": platform.python_version(), **versions},
        "platform": platform.platform(),
    }
