"""The rows of a table of numbers: which columns a model reads, and never a sensitive one unless it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairaudit.column_names import KNOWN, SENSITIVE
from fairaudit.errors import FairauditError, missing_column
from fairaudit_mitigate import roles
from fairaudit_mitigate.features import read_features
from fairaudit_mitigate.mlp_config import Fresh, Saved
from fairaudit_mitigate.roles import ID_COLUMNS, SPLIT_COLUMN, Columns
from fairaudit_mitigate.rows import Rows
from fairaudit_mitigate.tables import read_arrow
from fairaudit_mitigate.voice import Say, silent

TABLE = "table"
_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Roles:
    """The columns of a table that have a role, by name."""

    label: str
    id: str | None
    split: str | None
    cluster: str | None
    sensitive: tuple[str, ...]

    @property
    def taken(self) -> tuple[str, ...]:
        """All that are no features, the sensitive ones left aside."""
        return tuple(n for n in (self.label, self.id, self.split, self.cluster) if n is not None)


def read_numeric(
    data: Any, columns: Columns, sensitive: Sequence[str], model: Fresh | Saved | None, say: Say = silent
) -> Rows:
    """The rows of a CSV, TSV or Parquet file or of a data frame; `inputs` are `Features`.

    `model`: what reads them. A trained one brings the columns it was trained on; for a fresh one they are
    `columns.features`, or all that have no role. Raises FairauditError for anything missing, ambiguous, not
    numeric or not finite.
    """
    path = Path(data) if isinstance(data, (str, Path)) else Path("(data frame)")
    _check_flags(columns)
    found: list[Roles] = []

    def texts(names: Sequence[str]) -> Collection[str]:
        found.append(_roles(names, columns, sensitive, path))
        return (*found[0].taken, *found[0].sensitive)

    table = _arrow(data, path, texts)
    known = found[0] if found else _roles(table.column_names, columns, sensitive, path)
    names, codes = _chosen(table.column_names, known, columns, model, path, say)
    held = {n: table[n].to_pylist() for n in (*known.taken, *known.sensitive)}
    return Rows(
        source=path,
        kind=TABLE,
        inputs=read_features(table, names, codes, path),
        ids=roles.ids(held, columns.id, None, path),
        y_true=roles.labels(held[known.label], path),
        splits=roles.splits(held, columns.split, path),
        sensitive={n: roles.groups(held[n]) for n in known.sensitive},
        cluster=None if known.cluster is None else (known.cluster, roles.groups(held[known.cluster])),
        files=(path,) if isinstance(data, (str, Path)) else (),
    )


def _arrow(data: Any, path: Path, texts: Callable[[Sequence[str]], Collection[str]]) -> Any:
    if isinstance(data, (str, Path)):
        if path.is_dir() or not path.exists():
            fact = "is a folder" if path.is_dir() else "is not there"
            raise FairauditError(f"'{data}' {fact}; name a Parquet, CSV or TSV file of numbers.")
        return read_arrow(path, texts)
    import narwhals

    try:
        table = narwhals.from_native(data, eager_only=True).to_arrow()
    except TypeError as error:
        raise FairauditError(
            f"a {type(data).__name__} is no data set; give a path, a data frame or Arrays."
        ) from error
    if table.num_rows == 0:
        raise FairauditError("the data frame has no rows; nothing to do.")
    return table


def _check_flags(columns: Columns) -> None:
    for flag, value in (("--image", columns.image), ("--text", columns.text), ("--layout", columns.layout)):
        if value is not None:
            raise FairauditError(f"this model reads numbers, and {flag} names something else; leave it out.")


def _roles(names: Sequence[str], columns: Columns, sensitive: Sequence[str], path: Path) -> Roles:
    """Each role by the name given, else by a usual one."""
    table: dict[str, Sequence[object]] = dict.fromkeys(names, ())
    usual = (*KNOWN["y_true"], "class")
    label = roles.the_one(table, columns.y_true, usual, "a label column", "--y-true", path)
    split = columns.split or (SPLIT_COLUMN if SPLIT_COLUMN in table else None)
    name = columns.id or next((n for n in ID_COLUMNS if n in table), None)
    found = Roles(
        label,
        name,
        split,
        columns.cluster,
        tuple(sensitive or roles.usual(table, {label, columns.cluster or label})),
    )
    for role in (*found.taken, *found.sensitive):
        roles.named(table, role, path)
    return found


def _chosen(
    names: Sequence[str], known: Roles, columns: Columns, model: Fresh | Saved | None, path: Path, say: Say
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The columns to read, and those of them that are codes."""
    if isinstance(model, Saved):
        return _of_model(names, known, columns, model, path, say)
    for name in (*columns.features, *columns.categorical):
        if name not in names:
            raise missing_column(name, names, str(path))
        if name in known.taken:
            role = "the label" if name == known.label else "the id, the split or the cluster"
            raise FairauditError(
                f"the column '{name}' is {role} of the rows and cannot be a feature; take it out."
            )
    asked = columns.features and tuple(dict.fromkeys((*columns.features, *columns.categorical)))
    found = asked or _all_others(names, known, columns, say)
    barred = [n for n in found if n in known.sensitive] if not columns.use_sensitive else []
    if barred:
        raise FairauditError(
            f"'{barred[0]}' is a sensitive attribute, which a model does not read unasked; say --use-sensitive, or "
            "take it out of the features."
        )
    if columns.use_sensitive and (read := [n for n in known.sensitive if n in found]):
        say(f"the model reads the sensitive attributes {', '.join(read)}, as asked.")
    return found, columns.categorical


def _all_others(names: Sequence[str], known: Roles, columns: Columns, say: Say) -> tuple[str, ...]:
    """The columns without a role; said, with those that are left out for what they are."""
    spared = (
        set() if columns.use_sensitive else {*known.sensitive, *(n for n in names if n.lower() in SENSITIVE)}
    )
    left = {*known.taken, *spared, *ID_COLUMNS, *(n for n in names if n.startswith("__index_level_"))}
    left -= set(known.sensitive) - spared
    found = tuple(n for n in names if n not in left)
    if not found:
        raise FairauditError(
            f"no column is left to be a feature ({', '.join(names)} all have a role); name one with --feature."
        )
    unread = [n for n in names if n in spared and n not in known.taken]
    aside = f"; sensitive, so not among them: {', '.join(unread)} (--use-sensitive)" if unread else ""
    say(f"features: {_some(found)}, the columns without another role{aside}.")
    return found


def _of_model(
    names: Sequence[str], known: Roles, columns: Columns, model: Saved, path: Path, say: Say
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The columns a trained model reads."""
    wanted = model.encoding.names
    strange = [n for n in (*columns.features, *columns.categorical) if n not in wanted]
    if strange:
        raise FairauditError(
            f"the model was not trained on '{strange[0]}' but on {_some(wanted)}; leave --feature out."
        )
    for name in wanted:
        if name not in names:
            raise missing_column(name, names, f"{path}, and the model reads it")
        if name in known.taken:
            raise FairauditError(
                f"the model reads '{name}', which is here the label, id, split or cluster; name another for that."
            )
    if read := [n for n in known.sensitive if n in wanted]:
        say(f"the model was trained to read the sensitive attributes {', '.join(read)}.")
    return wanted, tuple(c.name for c in model.encoding.codes)


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return f"{shown}, … {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown
