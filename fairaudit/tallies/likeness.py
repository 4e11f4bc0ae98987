"""Which tallies can be added: those whose rows were read alike, whatever the columns were called.

Names of columns other than attributes may differ between files (`label` here, `y` there): they say where a number
stood, not what it is. The sum shows both. Everything that decides what a row counts as must be the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fairaudit.cube import Cube
from fairaudit.labels import join, text_of

if TYPE_CHECKING:
    from fairaudit.tallies.tally import Tally

Cubes = Mapping[tuple[str, ...], Cube]
Description = Mapping[str, Any]
_BETWEEN = " | "
_ROLES = {"y_pred": "predicted labels", "y_score": "scores", "weights": "weights", "loss": "losses",
          "member": "marks of members", "cluster": "clusters"}  # fmt: skip


def difference(one: Tally, other: Tally) -> tuple[str, str] | None:
    """How each was counted, in words, where they cannot be added; None where they can."""
    a, b = one.description, other.description
    for words in _WORDS:
        if words(a) != words(b):
            return words(a), words(b)
    pairs = [(_tables(t.labels), _tables(t.scores)) for t in (one, other)]
    if pairs[0] != pairs[1]:
        shown = [f"in the tables {'; '.join(sorted(k for kind in p for k in kind))}" for p in pairs]
        return shown[0], shown[1]
    return None


def _tables(cubes: Cubes) -> dict[str, tuple[list[str], list[str]]]:
    return {
        join(sorted(a)) or "all rows": (sorted(cube.axes), sorted(cube.measures)) for a, cube in cubes.items()
    }


def _with(what: str, value: str) -> str:
    return f"with {what} {value}" if value else f"without {what}"


def _role(role: str, what: str) -> Callable[[Description], str]:
    return lambda d: f"{'with' if role in d['columns'] else 'without'} {what}"


def _listed(pairs: Mapping[str, Any]) -> str:
    return ", ".join(f"{k}={v}" for k, v in sorted(pairs.items()))


def _split(d: Description) -> str:
    return "over all rows" if d["split"] is None else f"over the rows of split '{d['split']['value']}'"


def _bins(d: Description) -> str:
    edges = {k: ",".join(f"{float(e):g}" for e in v) for k, v in d["bins"].items()}
    return _with("bins", "; ".join(f"{k}={v}" for k, v in sorted(edges.items())))


def _probabilities(d: Description) -> str:
    named = dict(zip(d["prob_classes"], d["probabilities"], strict=True))
    return _with("probabilities", ", ".join(f"{k} in '{v}'" for k, v in sorted(named.items())))


#: How a tally was counted, one question each; two tallies are alike where all the answers are.
_WORDS: tuple[Callable[[Description], str], ...] = (
    lambda d: _with("attributes", ", ".join(sorted(d["columns"]["sensitive"]))),
    lambda d: f"with intersections of up to {d['cross']}" if d["cross"] > 1 else "without intersections",
    *(_role(role, what) for role, what in _ROLES.items()),
    _probabilities,
    lambda d: _with("scores of classes", ", ".join(d["score_classes"])),
    lambda d: _with("threshold", "" if d["threshold"] is None else f"{d['threshold']:g}"),
    lambda d: _with("positive class", "" if d["positive"] is None else str(text_of(d["positive"]))),
    _split,
    _bins,
    lambda d: _with("agreement", _listed(d["agreement"])),
    lambda d: _with("--na", ", ".join(f"'{text}'" for text in d["na"])),
    lambda d: f"with --missing-labels {d['missing_labels']}",
)  # fmt: skip


def combined(one: Description, other: Description) -> dict[str, Any]:
    """The description of a sum. The same for any order of adding: what differs is sorted."""
    columns = {
        role: _either(name, other["columns"][role])
        for role, name in one["columns"].items()
        if role != "sensitive"
    }
    sensitive = _agreed(one["columns"]["sensitive"], other["columns"]["sensitive"])
    classes = _agreed(one["prob_classes"], other["prob_classes"])
    named = dict(zip(one["prob_classes"], one["probabilities"], strict=True))
    split = one["split"] and {
        **one["split"],
        "column": _either(one["split"]["column"], other["split"]["column"]),
    }
    return {
        **one,
        "columns": {**columns, "sensitive": sensitive},
        "probabilities": [named[c] for c in classes],
        "prob_classes": classes,
        "detected": _agreed(one["detected"], other["detected"]),
        "split": split,
    }


def same_name(asked: str, counted: str) -> bool:
    """Whether a column is the one that was counted, or one of those."""
    return asked in (counted, *counted.split(_BETWEEN))


def _either(one: str, other: str) -> str:
    return one if one == other else _BETWEEN.join(sorted({*one.split(_BETWEEN), *other.split(_BETWEEN)}))


def _agreed(one: Sequence[str], other: Sequence[str]) -> list[str]:
    """The order that both have; else that of the names, so that no order of adding shows."""
    return list(one) if list(one) == list(other) else sorted({*one, *other})


def in_order(cubes: Cubes, attributes: Sequence[str]) -> dict[tuple[str, ...], Cube]:
    """The cubes with attributes in this order, as a scan would have made them."""
    at = {name: i for i, name in enumerate(attributes)}
    keys = sorted(cubes, key=lambda a: (len(a), sorted(at[n] for n in a)))
    return {k: of_axes(cubes[a], a, k) for a in keys for k in [tuple(sorted(a, key=at.__getitem__))]}


def of_axes(cube: Cube, counted: Sequence[str], asked: Sequence[str]) -> Cube:
    """A cube of the counted attributes with those asked in their place, summed over the others."""
    axes = (*asked, *cube.axes[len(counted) :])
    return cube if cube.axes == axes else cube.keep(axes)
