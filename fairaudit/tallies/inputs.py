"""Input flags for rows that are already counted: applied where counts allow it, refused where they do not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from fairaudit.columns import ALL_CLASSES, Inputs
from fairaudit.cube import Cube
from fairaudit.errors import FairauditError, did_you_mean
from fairaudit.labels import default_positive, join
from fairaudit.reading.paths import matching
from fairaudit.tallies.file import ENDING
from fairaudit.tallies.likeness import Cubes, of_axes, same_name
from fairaudit.tallies.reading import read_tally
from fairaudit.tallies.tally import Tally, added

#: Fields of `Inputs` that name one column.
_COLUMNS = ("y_true", "y_pred", "y_score", "weights", "loss", "member", "cluster")


def is_counted(data: Any) -> bool:
    """Whether data is a tally, the path of one, or a list with one among them."""
    if isinstance(data, list | tuple):
        return any(is_counted(item) for item in data)
    return isinstance(data, Tally) or (isinstance(data, str | Path) and str(data).endswith(ENDING))


def counted(data: Any, inputs: Inputs) -> Tally:
    """The tally that is given, or the sum of several, as the inputs ask for it.

    Raises FairauditError, one sentence, for a mix of tallies and rows, tallies that cannot be added, and inputs that
    the counts cannot follow.
    """
    named = [pair for item in (data if isinstance(data, list | tuple) else [data]) for pair in _read(item)]
    where = named[0][0] if len(named) == 1 else f"{named[0][0]} and {len(named) - 1} more"
    return applied(added(named), inputs, where)


def tally_files(item: str) -> list[str]:
    """The tallies that a path or a pattern names. Raises FairauditError where there is none."""
    return matching(item) or [item]


def _read(item: Any) -> Iterator[tuple[str, Tally]]:
    if isinstance(item, Tally):
        yield "the tally", item
    elif is_counted(item):
        yield from ((path, read_tally(path)) for path in tally_files(str(item)))
    else:
        name = str(item) if isinstance(item, str | Path) else f"a {type(item).__name__}"
        raise FairauditError(
            f"tallies and rows are not read together, and {name} is no tally; tabulate it first."
        )


def applied(tally: Tally, inputs: Inputs, where: str) -> Tally:
    """The tally as a scan of its rows with these inputs would have counted it; an input at its default says nothing.

    Raises FairauditError where the counts cannot tell. `where`: the tally's name for messages.
    """
    about = tally.description
    for flag, asked, was in _unlike(about, inputs):
        raise FairauditError(
            f"--{flag} {_shown(flag, asked)}, but {where} was counted {was}; tabulate the rows again with --{flag} "
            f"{asked}."
        )
    _check_rows(inputs, where)
    _check_positive(about, inputs, where)
    sensitive, cross = _attributes(about, inputs, where)
    wanted = inputs.sets or tuple(
        c for size in range(1, cross + 1) for c in combinations(sensitive, size)
    ) or ((),)  # fmt: skip
    if tally.hidden is not None and not inputs.sets:  # tables that had nothing to show are not there
        wanted = tuple(a for a in wanted if not a or _counted_as(tally.labels, a)) or ((),)
    labels = {a: _cube(tally, tally.labels, a, where) for a in wanted}
    scores = {a: _cube(tally, tally.scores, a, where) for a in wanted if tally.scores}
    _check_widths(labels, inputs, where)
    return Tally(
        labels,
        scores,
        _described(about, inputs, sensitive, cross),
        tally.left_out,
        tally.sources,
        tally.hidden,
    )


def _shown(flag: str, asked: str) -> str:
    """Names in quotes, by which an error finds its line in a policy."""
    return asked if flag in ("threshold", "bins", "na", "cross") else f"'{asked}'"


def _unlike(about: Mapping[str, Any], inputs: Inputs) -> Iterator[tuple[str, str, str]]:
    """(flag, what is asked, how it was counted) where a named column or a rule for reading is another."""
    for role in _COLUMNS:
        asked, found = getattr(inputs, role), about["columns"].get(role)
        if asked is not None and (found is None or not same_name(asked, found)):
            yield role.replace("_", "-"), asked, "without" if found is None else f"with '{found}'"
    if inputs.y_score is not None and inputs.y_pred is None and "y_pred" in about["detected"]:
        yield "y-score", inputs.y_score, f"with the predictions in '{about['columns']['y_pred']}'"
    prefix, probable = inputs.prob_prefix, about["probabilities"]
    if prefix is not None and not (probable and all(c.startswith(prefix) for c in probable)):
        yield "prob-prefix", prefix, f"with {', '.join(probable)}" if probable else "without"
    known = set(about["score_classes"])
    if inputs.score_classes and known != set(
        about["prob_classes"] if ALL_CLASSES in inputs.score_classes else inputs.score_classes
    ):
        was = f"with {', '.join(about['score_classes'])}" if known else "without"
        yield "score-classes", inputs.score_classes[0], was
    threshold = about["threshold"]
    if threshold is not None and inputs.threshold not in (None, threshold):
        yield "threshold", f"{inputs.threshold:g}", f"with {threshold:g}"
    yield from _unlike_rows(about, inputs)


def _unlike_rows(about: Mapping[str, Any], inputs: Inputs) -> Iterator[tuple[str, str, str]]:
    split = about["split"]
    if inputs.split is not None:
        column, sign, value = inputs.split.partition("=")
        if not sign:
            column, value = "", inputs.split
        if inputs.split == "all":
            same = split is None
        else:
            same = (
                split is not None
                and split["value"] == value
                and (not column or same_name(column, split["column"]))
            )
        if not same:
            yield "split", inputs.split, "over all rows" if split is None else f"with '{split['value']}'"
    for name, edges in inputs.bins.items():
        found = about["bins"].get(name)
        if found is None or [float(e) for e in found] != [float(e) for e in edges]:
            asked, was = (",".join(f"{float(e):g}" for e in x or ()) for x in (edges, found))
            yield "bins", f"{name}={asked}", f"with {name}={was}" if found else "without"
    if inputs.na and sorted(inputs.na) != about["na"]:
        yield "na", f"'{inputs.na[0]}'", f"with {', '.join(about['na'])}" if about["na"] else "without"
    if inputs.cross > about["cross"]:
        yield "cross", str(inputs.cross), f"with {about['cross']}"


_DEFAULT = Inputs()


def _check_rows(inputs: Inputs, where: str) -> None:
    """Refuse what only rows have."""
    if inputs.id is not None:
        raise FairauditError(
            f"--id names rows, but {where} holds counts, not rows; leave it out, or give the rows."
        )
    if inputs.with_file is not None:
        raise FairauditError(
            f"--with joins rows, but {where} holds counts, not rows; join when tabulating: fairaudit tabulate … --with."
        )


def _check_positive(about: Mapping[str, Any], inputs: Inputs, where: str) -> None:
    """Refuse a positive class of which the scores that were counted do not speak."""
    classes = about["prob_classes"]
    if inputs.positive is None or len(classes) != 2 or "y_score" in about["columns"]:
        return
    was = about["positive"] if about["positive"] is not None else default_positive(classes)
    spoken = [p if p in classes else None for p in (was, inputs.positive)]  # of whom the scores speak
    if spoken[0] != spoken[1]:
        said = "without one" if was is None else f"with '{was}'"
        raise FairauditError(
            f"--positive {inputs.positive}, but the scores in {where} were counted {said}; tabulate the rows "
            f"again with --positive {inputs.positive}."
        )


def _attributes(about: Mapping[str, Any], inputs: Inputs, where: str) -> tuple[tuple[str, ...], int]:
    """The attributes asked for, and up to how many of them are crossed."""
    counted = tuple(about["columns"]["sensitive"])
    for name in (*inputs.sensitive, *(a for s in inputs.sets for a in s), *inputs.bins):
        if name not in counted:
            known = f"attributes: {', '.join(counted)}" if counted else "it has none"
            raise FairauditError(
                f"no attribute '{name}' in {where} ({known}); tabulate the rows again with -s {name}."
                f"{did_you_mean(name, counted)}"
            )
    sensitive = inputs.sensitive if inputs.sensitive or inputs.sets else counted
    most = max(1, len(sensitive))
    if inputs.cross > most:
        raise FairauditError(
            f"--cross {inputs.cross} needs {inputs.cross} sensitive attributes, but there are {len(sensitive)}; "
            "give more -s or a smaller --cross."
        )
    return sensitive, inputs.cross if inputs.cross > 1 or inputs.sets else min(about["cross"], most)


def _counted_as(cubes: Cubes, asked: Sequence[str]) -> tuple[str, ...] | None:
    return next((a for a in cubes if set(a) == set(asked)), None)


def _cube(tally: Tally, cubes: Cubes, asked: tuple[str, ...], where: str) -> Cube:
    """The table of some attributes: as it was counted, else the sum of one that has more of them."""
    found = _counted_as(cubes, asked)
    if found is None and (tally.hidden is None or not asked):
        found = next((a for a in cubes if set(asked) <= set(a)), None)
    if found is None:
        held = ", ".join(join(a) for a in cubes if a) or "no attribute"
        raise FairauditError(
            f"{where} does not hold {join(asked)} (it holds {held}); tabulate the rows again with --cross {len(asked)}."
        )
    return of_axes(cubes[found], found, asked)


def _check_widths(labels: Mapping[tuple[str, ...], Cube], inputs: Inputs, where: str) -> None:
    if inputs.max_groups == _DEFAULT.max_groups:
        return
    for attributes, cube in labels.items():
        for name, groups in zip(attributes, cube.labels, strict=False):
            if len(groups) > inputs.max_groups:
                raise FairauditError(
                    f"attribute '{name}' has {len(groups)} values in {where}, more than --max-groups "
                    f"{inputs.max_groups}; allow them, or bin it when tabulating (--bins {name}=…)."
                )


def _described(
    about: Mapping[str, Any], inputs: Inputs, sensitive: Sequence[str], cross: int
) -> dict[str, Any]:
    """The description that a scan with these inputs would have left."""
    named = {role for role in _COLUMNS if getattr(inputs, role) is not None}
    named |= {"probabilities"} if inputs.prob_prefix is not None else set()
    named |= {"split"} if inputs.split is not None else set()
    named |= {"sensitive"} if inputs.sensitive or inputs.sets else set()
    return {
        **about,
        "columns": {**about["columns"], "sensitive": list(sensitive)},
        "detected": [role for role in about["detected"] if role not in named],
        "positive": about["positive"] if inputs.positive is None else inputs.positive,
        "agreement": dict(inputs.agreement) or about["agreement"],
        "cross": cross,
        "bins": {k: v for k, v in about["bins"].items() if k in sensitive},
        "missing_labels": "drop" if inputs.missing_labels == "drop" else about["missing_labels"],
    }
