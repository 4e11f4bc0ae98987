"""A rule on the rows of a file: who is positive, what of groups it does not know, and the file with its answers."""

from __future__ import annotations

import contextlib
import csv
import gzip
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fairaudit.column_names import KNOWN
from fairaudit.errors import FairauditError
from fairaudit.store import replacing
from fairaudit_mitigate.thresholds.rule import Group, Rule, decide, draws, read_rule
from fairaudit_mitigate.thresholds.scored import Classes, Named, Table, classes_of, open_table
from fairaudit_mitigate.voice import SILENT, Say, Voice

if TYPE_CHECKING:
    import numpy.typing as npt

    Booleans = npt.NDArray[np.bool_]

#: What becomes of rows whose group the rule does not know: the run stops, or they keep their prediction.
ERROR, KEEP = "error", "keep"
NEW_GROUPS = (ERROR, KEEP)
Y_PRED = "y_pred"


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """The decision of each row, the share of rows for which it was drawn, and the rows that kept theirs by group."""

    positive: Booleans
    drawn: float
    kept: dict[Group, int]


def check_new_groups(word: str) -> None:
    """Raise FairauditError unless it is one of NEW_GROUPS."""
    if word not in NEW_GROUPS:
        raise FairauditError(f"--new-groups is {ERROR} or {KEEP}, not '{word}'.")


def answer(rule: Rule, table: Table, before: Booleans | None, new_groups: str) -> Answers:
    """What the rule says of every row. Raises FairauditError for groups it does not know, unless they are kept."""
    probabilities = rule.probabilities(table.scores, table.groups)
    unknown = np.isnan(probabilities)
    kept = dict(Counter(g for g, here in zip(table.groups, unknown.tolist(), strict=True) if here))
    if kept and (new_groups == ERROR or before is None):
        raise FairauditError(
            f"the rule has no thresholds for {described(kept, rule.sensitive)} of '{table.path}'; fit it to rows that "
            f"hold them, or give --new-groups {KEEP}: then their predictions stay as they are."
        )
    positive = decide(np.where(unknown, 0.0, probabilities), draws(table.ids, rule.seed))
    if before is not None:
        positive = np.where(unknown, before, positive)
    inside = (probabilities > 0) & (probabilities < 1)
    return Answers(positive, float(inside.mean()), kept)


def described(groups: dict[Group, int], sensitive: Sequence[str]) -> str:
    """The first groups with their rows, as `sex=X (3 rows)`."""
    shown = [
        f"{named(g, sensitive)} ({n} rows)" if n != 1 else f"{named(g, sensitive)} (1 row)"
        for g, n in groups.items()
    ]
    return ", ".join(shown[:3]) + (f" and {len(shown) - 3} more" if len(shown) > 3 else "")


def named(group: Group, sensitive: Sequence[str]) -> str:
    """`sex=F & race=Asian`."""
    return " & ".join(f"{a}={v}" for a, v in zip(sensitive, group, strict=True))


def apply_rule(
    rule: str | Path | Rule,
    predictions: str | Path,
    *,
    out: str | Path,
    columns: Named | None = None,
    new_groups: str = ERROR,
    voice: Voice = SILENT,
) -> Answers:
    """Write `out`: the file `predictions` with the answers of the rule as its predictions. Needs no labels.

    The columns are those that the rule was fitted to, unless `columns` names the score or the predictions. A row
    gets the answer that its id got when the rule was fitted. Raises FairauditError for what is missing, for groups
    without a threshold unless `new_groups` is `keep`, and where `out` has another ending than the file read.
    """
    check_new_groups(new_groups)
    found, columns = rule if isinstance(rule, Rule) else read_rule(rule), columns or Named()
    path, target = Path(predictions), Path(out)
    if target.suffixes[-1:] != path.suffixes[-1:] or target.is_dir():
        raise FairauditError(
            f"with --rule, --out is the adjusted file, a {path.suffix} like '{path.name}', not '{target}'."
        )
    table = open_table(path, columns.y_score or found.y_score, found.sensitive, columns.id, voice.say)
    before = _kept_predictions(found, table, columns) if new_groups == KEEP else None
    answers = answer(found, table, before, new_groups)
    write_adjusted(table, found, answers.positive, predictions_column(table, columns.y_pred), target)
    say_answers(answers, found, voice.say)
    return answers


def say_answers(answers: Answers, rule: Rule, say: Say) -> None:
    """How many rows are positive, how many by a draw, which groups kept their predictions."""
    say(
        f"{rule.constraint}: {int(answers.positive.sum()):,} of {len(answers.positive):,} rows are positive; "
        f"{answers.drawn:.1%} of the rows are decided by a draw (by seed {rule.seed} and id, so the same every time)."
    )
    if answers.kept:
        say(f"without a threshold, predictions kept: {described(answers.kept, rule.sensitive)}.")


def _kept_predictions(rule: Rule, table: Table, columns: Named) -> Booleans:
    """The predictions of the file, as they were when the rule was fitted: a column's, or scores from the cut up."""
    if columns.y_pred is None:
        return cut_predictions(table, columns.cut)
    classes = Classes(
        rule.negative, rule.positive, classes_of(table, columns.y_pred, None, rule.positive).names
    )
    return classes.is_positive(table.columns[columns.y_pred], columns.y_pred, table.path)


def cut_predictions(table: Table, cut: float) -> Booleans:
    """Whether each score reaches the cut. Raises FairauditError for scores that are no probabilities."""
    if table.scores.min() < 0 or table.scores.max() > 1:
        raise FairauditError(
            f"the scores of '{table.path}' are no probabilities, so no cut makes predictions of them; name the "
            "predictions before with --y-pred."
        )
    found: Booleans = table.scores >= cut
    return found


def predictions_column(table: Table, wanted: str | None) -> str:
    """Where the answers stand: in the named column, the only one with a usual name, or a new `y_pred`."""
    usual = [c for c in table.columns if c.lower() in KNOWN[Y_PRED]]
    return wanted or (usual[0] if len(usual) == 1 else Y_PRED)


def write_adjusted(table: Table, rule: Rule, positive: Booleans, column: str, out: Path) -> None:
    """The rows and columns of the file with the answers in that column, whole or not at all."""
    texts = np.where(positive, rule.positive, rule.negative).tolist()
    with replacing(out) as temporary:
        if table.path.suffix.lower() in (".parquet", ".pq"):
            _write_parquet(table.path, column, texts, temporary)
        else:
            _write_text(table, column, texts, temporary, out)


def _write_parquet(source: Path, column: str, texts: list[str], out: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    whole, values = pyarrow.parquet.ParquetFile(source).read(), pyarrow.array(texts)
    if column not in whole.column_names:
        pyarrow.parquet.write_table(whole.append_column(column, values), out, compression="zstd")
        return
    place = whole.column_names.index(column)
    with contextlib.suppress(
        pyarrow.ArrowException
    ):  # a type without a word for these classes: then they are text
        values = values.cast(whole.schema.field(place).type)
    pyarrow.parquet.write_table(whole.set_column(place, column, values), out, compression="zstd")


def _write_text(table: Table, column: str, texts: list[str], temporary: Path, out: Path) -> None:
    columns = {**table.columns, column: texts}
    opener = gzip.open if out.suffix == ".gz" else open
    delimiter = "\t" if ".tsv" in [s.lower() for s in out.suffixes] else ","
    with opener(temporary, "wt", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle, delimiter=delimiter, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
