"""A file of predictions with scores, as the method `threshold` reads it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fairaudit.errors import FairauditError, missing_column
from fairaudit.labels import MISSING, canonical, default_positive, ordered, text_of
from fairaudit_mitigate.roles import ID_COLUMNS
from fairaudit_mitigate.tables import Column, read_table
from fairaudit_mitigate.thresholds.rule import Group
from fairaudit_mitigate.voice import Say

if TYPE_CHECKING:
    import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Named:
    """Columns named by the user; None = found by its usual name. `cut`: from where a score predicts positive."""

    y_true: str | None = None
    y_score: str | None = None
    y_pred: str | None = None
    id: str | None = None
    split: str | None = None
    cluster: str | None = None
    cut: float = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """The columns of a file in their order, and what every row of it needs: an id, a group and a finite score.

    A missing value of an attribute is the group `(missing)`.
    """

    path: Path
    columns: Mapping[str, Column]
    ids: tuple[str, ...]
    scores: npt.NDArray[np.float64]
    groups: tuple[Group, ...]


@dataclass(frozen=True, slots=True)
class Classes:
    """The two classes, and for each text of the file the class it stands for."""

    negative: str
    positive: str
    names: Mapping[str, str]

    def is_positive(self, column: Column, name: str, path: Path) -> npt.NDArray[np.bool_]:
        """Which rows hold the positive class. Raises FairauditError for a row without a class."""
        texts = [text_of(v) for v in column]
        lacking = [i for i, t in enumerate(texts) if t is None]
        if lacking:
            raise FairauditError(
                f"{len(lacking)} rows of '{path}' have no value in '{name}' (first: row {lacking[0]}); "
                "remove them first."
            )
        return np.array([self.names[str(t)] == self.positive for t in texts], dtype=bool)


def open_table(path: Path, y_score: str, sensitive: Sequence[str], id_column: str | None, say: Say) -> Table:
    """Read the file. Raises FairauditError for an absent column, a score that is no number, and ids that repeat."""
    columns = read_table(path)
    for name in (y_score, *sensitive):
        if name not in columns:
            raise missing_column(name, columns, str(path))
    texts = [[text_of(v) or MISSING for v in columns[name]] for name in sensitive]
    groups = tuple(zip(*texts, strict=True))
    return Table(
        path, columns, _ids(columns, id_column, path, say), _scores(columns[y_score], y_score, path), groups
    )


def classes_of(table: Table, y_true: str, y_pred: str | None, positive: str | None) -> Classes:
    """The classes of the file. Raises FairauditError unless there are two and it is clear which is positive."""
    columns = [table.columns[c] for c in (y_true, y_pred) if c is not None]
    texts = {t for column in columns for t in map(text_of, column) if t is not None}
    names = canonical(texts)
    found = ordered(set(names.values()))
    if len(found) != 2:
        shown = ", ".join(found[:5]) + (" …" if len(found) > 5 else "")
        raise FairauditError(
            f"thresholds divide two classes, and '{table.path}' has {len(found)} ({shown}); "
            "choose another method, or predictions of one class against the rest."
        )
    chosen = default_positive(found) if positive is None else canonical([*texts, positive])[positive]
    if chosen not in found:
        fact = "it is unclear which class is positive" if positive is None else f"no class '{positive}'"
        raise FairauditError(
            f"{fact} in '{table.path}' (classes: {', '.join(found)}); name it with --positive."
        )
    return Classes(next(c for c in found if c != chosen), str(chosen), names)


def _ids(columns: Mapping[str, Column], wanted: str | None, path: Path, say: Say) -> tuple[str, ...]:
    if wanted is not None and wanted not in columns:
        raise missing_column(wanted, columns, str(path))
    name = wanted or next((n for n in ID_COLUMNS if n in columns), None)
    rows = len(next(iter(columns.values())))
    if name is None:
        say(
            f"'{path}' has no id column: rows are told apart by their number, so a row gets the same answer again only "
            "in the same place (name a column with --id)."
        )
        return tuple(map(str, range(rows)))
    found = tuple(text_of(v) or "" for v in columns[name])
    if len(set(found)) < rows or "" in found:
        raise FairauditError(
            f"the id column '{name}' of '{path}' repeats or lacks values; name another with --id."
        )
    return found


def _scores(column: Column, name: str, path: Path) -> npt.NDArray[np.float64]:
    found = [_number(v) for v in column]
    bad = [i for i, v in enumerate(found) if not math.isfinite(v)]
    if bad:
        raise FairauditError(
            f"{len(bad)} rows of '{path}' have no finite number in '{name}' (first: row {bad[0]}, {column[bad[0]]!r}); "
            "every row needs a score."
        )
    return np.array(found, dtype=np.float64)


def _number(value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return math.nan
