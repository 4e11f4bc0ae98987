"""Which column plays which role: named by the user, or found by its common name and then said aloud."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from fairaudit.column_names import KNOWN, PREFIXES, RESERVED, SENSITIVE
from fairaudit.errors import FairauditError, did_you_mean, missing_column
from fairaudit.labels import default_positive, ordered

#: What can count.
ENGINES = ("duckdb", "spark")
#: What `--score-classes` calls every class.
ALL_CLASSES = "all"
#: More threads than any machine runs at once cost minutes to start.
MOST_THREADS = 1024


@dataclass(frozen=True, slots=True)
class Inputs:
    """How to read predictions: the input flags of the command line, under the same names.

    `split`: a value of the split column, `column=value`, or `all`; None means `test` where there is one.
    `threshold`: None is 0.5. `bins`: attribute -> increasing edges. `agreement`: class -> group, for
    `sensitive_accuracy`.
    `na`: texts that mean missing in sensitive columns. `max_groups`: refuse attributes with more values.
    `memory_limit` (as `2GB`), `threads`: of the scan; what does not fit in memory goes to disk.
    `sets`: exactly these attributes and intersections, instead of those that `sensitive` and `cross` give.
    `engine`: what counts, of `ENGINES`; None: what suits the data. `score_classes`: classes whose probabilities are
    scored against the rest, each by itself; `all` for every class.
    """

    y_true: str | None = None
    y_pred: str | None = None
    y_score: str | None = None
    threshold: float | None = None
    prob_prefix: str | None = None
    sensitive: tuple[str, ...] = ()
    positive: str | None = None
    weights: str | None = None
    loss: str | None = None
    member: str | None = None
    id: str | None = None
    cluster: str | None = None
    split: str | None = None
    agreement: Mapping[str, str] = field(default_factory=dict)
    cross: int = 1
    bins: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    with_file: str | None = None
    on: str | None = None
    na: tuple[str, ...] = ()
    missing_labels: str = "error"
    max_groups: int = 1000
    memory_limit: str | None = None
    threads: int | None = None
    sets: tuple[tuple[str, ...], ...] = ()
    engine: str | None = None
    score_classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse values that no data could make right."""
        if not 0 < self.cut < 1:
            raise FairauditError(f"--threshold must lie inside (0, 1), not {self.cut}; 0.5 is the default.")
        if self.missing_labels not in ("error", "drop"):
            raise FairauditError(f"--missing-labels is 'error' or 'drop', not '{self.missing_labels}'.")
        if self.cross < 1:
            raise FairauditError(f"--cross must be at least 1, not {self.cross}.")
        if self.threads is not None and not (
            str(self.threads).isdecimal() and 1 <= self.threads <= MOST_THREADS
        ):
            raise FairauditError(f"--threads takes a number from 1 to {MOST_THREADS}, not '{self.threads}'.")
        size = r"\d+(\.\d+)? *([KMGT]i?)?B"
        if self.memory_limit is not None and not re.fullmatch(size, str(self.memory_limit), re.IGNORECASE):
            raise FairauditError(f"--memory-limit takes a size as 500MB or 4GB, not '{self.memory_limit}'.")
        if (self.with_file is None) != (self.on is None):
            raise FairauditError(
                "--with FILE and --on COLUMN go together: name the column that both files share."
            )
        if self.engine is not None and self.engine not in ENGINES:
            raise FairauditError(
                f"no engine '{self.engine}' (there are {' and '.join(ENGINES)}).{did_you_mean(self.engine, ENGINES)}"
            )
        for name, edges in self.bins.items():
            if not edges or list(edges) != sorted(set(edges)):
                raise FairauditError(f"--bins {name}: the edges must increase, as in {name}=0,25,40.")

    @property
    def cut(self) -> float:
        """The threshold, said or not."""
        return 0.5 if self.threshold is None else self.threshold


@dataclass(frozen=True, slots=True)
class Roles:
    """The columns of one table by role, and which of them were found by name. `probabilities`: (class, column).

    `score_classes`: the classes whose probabilities are scored against the rest, in label order.
    """

    y_true: str
    y_pred: str | None
    y_score: str | None
    sensitive: tuple[str, ...]
    probabilities: tuple[tuple[str, str], ...] = ()
    weights: str | None = None
    loss: str | None = None
    member: str | None = None
    cluster: str | None = None
    split: tuple[str, str] | None = None
    detected: tuple[str, ...] = ()
    score_classes: tuple[str, ...] = ()

    def columns(self) -> dict[str, str]:
        """Role -> column, for the roles played by one column."""
        single = ("y_true", "y_pred", "y_score", "weights", "loss", "member", "cluster")
        roles = {r: getattr(self, r) for r in single if getattr(self, r) is not None}
        return roles | ({"split": self.split[0]} if self.split else {})

    @property
    def read(self) -> tuple[str, ...]:
        """Every column that is counted."""
        return (*self.columns().values(), *self.sensitive, *(c for _, c in self.probabilities))


def candidates(inputs: Inputs, columns: Sequence[str]) -> tuple[str, ...]:
    """The columns that could play a role, by their names alone: no other is ever read.

    >>> candidates(Inputs(y_pred="guess"), ["id", "label", "guess", "photo", "pred"])
    ('label', 'guess')
    """
    roles = ("y_true", "y_pred", "y_score", "weights", "loss", "member", "cluster", "id", "on")
    named = {getattr(inputs, r) for r in roles} | set(inputs.sensitive) | {a for s in inputs.sets for a in s}
    open_ = {r for r in roles if getattr(inputs, r) is None} | {"split"}
    if "y_pred" in open_:
        open_.add("y_score")  # a score of 0 and 1 is a prediction
    known = {name for role in open_ for name in KNOWN.get(role, ())}
    known |= set() if inputs.sensitive or inputs.sets else set(SENSITIVE)
    named.add((inputs.split or "").partition("=")[0])
    prefixes = PREFIXES if inputs.prob_prefix is None else (inputs.prob_prefix,)
    return tuple(c for c in columns if c in named or c.lower() in known or c.startswith(prefixes))


def to_look_at(inputs: Inputs, columns: Sequence[str]) -> tuple[str, ...]:
    """The columns whose values must be seen before the roles are known. Who names every column spares that look."""
    open_ = [role for role in ("y_score", "loss", "member") if getattr(inputs, role) is None]
    if inputs.y_pred is None and "y_score" not in open_:
        open_.append("y_score")
    named = {getattr(inputs, role) for role in (*KNOWN, "weights", "cluster", "id")} | set(inputs.sensitive)
    looked = {name for role in open_ for name in KNOWN[role]}
    return tuple(c for c in columns if c.lower() in looked and c not in named)


def resolve(inputs: Inputs, columns: Sequence[str], fits: Mapping[str, Collection[str]], where: str) -> Roles:
    """The roles of the columns of a table.

    `columns`: its names in order. `fits`: for columns named like a score, a loss or a member mark, the roles that
    their values fit (`hard`: only 0 and 1, so predictions). Raises FairauditError for a column that is not there,
    a column in two roles, a role with two candidates, and no label or prediction.
    """
    single = ("y_true", "y_pred", "y_score", "weights", "loss", "member", "cluster")
    named = {r: getattr(inputs, r) for r in single}
    for name in [*named.values(), inputs.id, *inputs.sensitive, *inputs.bins]:
        if name is not None and name not in columns:
            raise missing_column(name, columns, where)
    _one_role_each(named, inputs.sensitive)
    taken = {n for n in named.values() if n is not None} | set(inputs.sensitive)
    probabilities, prefix_found = _probabilities(inputs, columns, taken)
    free = [c for c in columns if c not in taken | {c for _, c in probabilities}]
    found = _found(named, free, fits, bool(probabilities))
    roles = named | found
    _check_enough(roles, bool(probabilities), columns, where)
    looked_for = () if inputs.sets else free  # sets say which attributes there are
    sensitive = inputs.sensitive or tuple(
        c for c in looked_for if c.lower() in SENSITIVE and c not in found.values()
    )
    _check_attributes(sensitive, inputs)
    split, split_found = _split(inputs.split, columns, [c for c in free if c not in found.values()], where)
    detected = (*found, *(("probabilities",) if prefix_found else ()), *(("split",) if split_found else ()),
                *(("sensitive",) if sensitive and not inputs.sensitive else ()))  # fmt: skip
    scored = _score_classes(inputs.score_classes, [c for c, _ in probabilities])
    return Roles(sensitive=sensitive, probabilities=probabilities, split=split, detected=detected,
                 score_classes=scored, **roles)  # fmt: skip


def _score_classes(asked: Sequence[str], classes: Sequence[str]) -> tuple[str, ...]:
    """The classes to be scored against the rest, in label order."""
    if not asked:
        return ()
    if not classes:
        raise FairauditError(
            "--score-classes needs one column of probabilities per class, and there are none; "
            "name how they begin with --prob-prefix."
        )
    for name in asked:
        if name not in (*classes, ALL_CLASSES):
            raise FairauditError(
                f"no column of probabilities for class '{name}' of --score-classes "
                f"(classes: {', '.join(classes[:12])}).{did_you_mean(name, classes)}"
            )
    return ordered(set(classes if ALL_CLASSES in asked else asked))


def _found(
    named: Mapping[str, str | None], free: Sequence[str], fits: Mapping[str, Collection[str]], probable: bool
) -> dict[str, str]:
    """The roles found by name among the free columns."""
    found = {}
    for role in ("y_true", "y_pred", "y_score", "loss", "member"):
        if named[role] is None and (hit := _candidate(role, free, fits)) is not None:
            found[role] = hit
    if probable:
        found.pop("y_score", None)
    elif not (named["y_pred"] or named["y_score"] or "y_pred" in found or "y_score" in found):
        hits = [c for c in free if c.lower() in KNOWN["y_score"]]
        if (
            len(hits) == 1
        ):  # the only thing that could be the prediction: the scan will say what is wrong with it
            found["y_score"] = hits[0]
    if named["y_score"] is not None:
        found.pop("y_pred", None)  # a named score asks for its own threshold
    return found


def _check_enough(
    roles: Mapping[str, str | None], probable: bool, columns: Sequence[str], where: str
) -> None:
    if roles["y_true"] is None:
        raise FairauditError(
            f"no label column found in {where} (columns: {', '.join(columns)}); name it with --y-true."
        )
    if roles["y_pred"] is None and roles["y_score"] is None and not probable:
        raise FairauditError(
            f"no prediction column found in {where} (columns: {', '.join(columns)}); "
            "name it with --y-pred, --y-score or --prob-prefix."
        )


def _check_attributes(sensitive: Sequence[str], inputs: Inputs) -> None:
    for name in sensitive:
        if name in RESERVED:
            raise FairauditError(
                f"an attribute cannot be called '{name}', a name fairaudit uses itself; rename it."
            )
    for name in inputs.bins:
        if name not in sensitive:
            raise FairauditError(f"--bins {name} needs the attribute '{name}'; add -s {name}.")
    if inputs.cross > max(1, len(sensitive)):
        raise FairauditError(
            f"--cross {inputs.cross} needs {inputs.cross} sensitive attributes, but there are {len(sensitive)}; "
            "give more -s or a smaller --cross."
        )


def _one_role_each(named: Mapping[str, str | None], sensitive: Sequence[str]) -> None:
    seen: dict[str, str] = {}
    pairs = [(c, "--" + r.replace("_", "-")) for r, c in named.items() if c is not None and r != "cluster"]
    for column, role in [*pairs, *((s, "--sensitive") for s in sensitive)]:
        if column in seen:
            raise FairauditError(
                f"column '{column}' is named for two roles ({seen[column]} and {role}); each role needs its own column."
            )
        seen[column] = role


def _candidate(role: str, free: Sequence[str], fits: Mapping[str, Collection[str]]) -> str | None:
    hits = [c for c in free if c.lower() in KNOWN[role]]
    if role in ("y_score", "loss", "member"):
        hits = [c for c in hits if role in fits.get(c, ())]
    if role == "y_score":
        hits = [c for c in hits if "hard" not in fits[c]]
    if role == "y_pred" and not hits:
        hits = [c for c in free if c.lower() in KNOWN["y_score"] and "hard" in fits.get(c, ())]
    if len(hits) > 1:
        flag = "--" + role.replace("_", "-")
        raise FairauditError(
            f"{len(hits)} columns could be {role}: {', '.join(hits)}; say which one with {flag} NAME."
        )
    return hits[0] if hits else None


def _probabilities(
    inputs: Inputs, columns: Sequence[str], taken: Collection[str]
) -> tuple[tuple[tuple[str, str], ...], bool]:
    """(class, column) of each probability column, and whether its prefix was found rather than named."""
    prefixes = (inputs.prob_prefix,) if inputs.prob_prefix is not None else PREFIXES
    for prefix in prefixes:
        hits = tuple(
            (c[len(prefix) :], c) for c in columns if c.startswith(prefix) and c != prefix and c not in taken
        )
        if len(hits) >= 2 or (hits and inputs.prob_prefix is not None):
            if len(hits) < 2:
                raise FairauditError(
                    f"--prob-prefix {prefix} matches one column ('{hits[0][1]}'); one per class is needed, "
                    "or --y-score for the probability of the positive class."
                )
            return hits, inputs.prob_prefix is None
    if inputs.prob_prefix is not None:
        raise FairauditError(f"no column starts with '{inputs.prob_prefix}' (columns: {', '.join(columns)}).")
    return (), False


def _split(
    asked: str | None, columns: Sequence[str], free: Sequence[str], where: str
) -> tuple[tuple[str, str] | None, bool]:
    """(column, value) of the rows to use, or None for all; and whether the column was found by name."""
    if asked == "all":
        return None, False
    if asked is not None and "=" in asked:
        column, value = asked.split("=", 1)
        if column not in columns:
            raise missing_column(column, columns, where)
        return (column, value), False
    hits = [c for c in free if c.lower() in KNOWN["split"]]
    if not hits:
        if asked is not None:
            raise FairauditError(
                f"--split {asked} needs a column 'split' in {where}; or give --split COLUMN={asked}."
            )
        return None, False
    return (hits[0], asked or "test"), asked is None


def positive_column(roles: Roles, positive: str | None) -> str | None:
    """The column with the probability of the positive class, where the table is binary; else None."""
    if roles.y_score is not None:
        return roles.y_score
    by_class = dict(roles.probabilities)
    if len(by_class) != 2:
        return None
    name = positive if positive is not None else default_positive(list(by_class))
    return by_class.get(name) if name is not None else None


def with_sensitive(inputs: Inputs, sensitive: Sequence[str]) -> Inputs:
    """The same inputs with other attributes."""
    return replace(inputs, sensitive=tuple(sensitive))
