"""What one scan of the rows leaves behind: named cubes that add up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from pathlib import Path
from typing import Any

from fairaudit.cube import Cube
from fairaudit.errors import FairauditError
from fairaudit.labels import OWN_SCORE, SCORE_CLASS
from fairaudit.tallies.likeness import combined, difference, in_order

Cubes = Mapping[tuple[str, ...], Cube]


@dataclass(frozen=True, slots=True)
class Hidden:
    """What a tally does not show so that nobody stands alone in it.

    `below`: cells with fewer rows are hidden, and others that would give them away. `cells`, `percent`: so many
    cells of all tables, and so much of the rows of any one, at most: rounded up, for exact ones would help to work
    the counts out. `without`: what was left out as a whole (`scores`, `losses`).
    """

    below: int
    cells: int
    percent: int
    without: tuple[str, ...] = ()

    @property
    def message(self) -> str:
        """One line for whoever reads numbers made from it."""
        if not self.cells:
            return f"counts below {self.below} are hidden in this tally; there were none"
        return (
            f"counts below {self.below} are hidden in this tally: at most {self.cells} cells, with at most "
            f"{self.percent} % of the rows; every number is about the rows that are shown, and small cells are often "
            "the errors: a rate can be far from that of all rows"
        )


@dataclass(frozen=True, slots=True, eq=False)
class Tally:
    """The counts of one scan, enough for every number of an audit.

    `labels`: attributes -> cube (attribute…, y_true, y_pred[, member][, bucket]), with `w, w2, loss, loss2`
    where there are weights and losses. `scores`: attributes -> cube (attribute…, y_true or correct, score_bin
    [, bucket]). Class labels are raw text: they are brought to one form when an audit is computed.
    `description`: how the rows were read. `left_out`: why -> rows not counted: `dropped` (no label or prediction),
    `unscored` (of the scores only: they have none), `split` (of another), `unmatched` (by the join), `zero_weight`.
    `sources`: checksums of the counts of the files that went into it. `hidden`: what `--suppress-below` took out;
    such a tally cannot be added.
    """

    labels: Cubes
    scores: Cubes
    description: Mapping[str, Any]
    left_out: Mapping[str, int] = field(default_factory=dict)
    sources: tuple[str, ...] = ()
    hidden: Hidden | None = None

    def __add__(self, other: Tally) -> Tally:
        """The tally of both data sets. Raises FairauditError where they were read in different ways."""
        _check_alike([("one tally", self), ("the other", other)])
        return _sum(self, other)

    @property
    def rows(self) -> int:
        """How many rows were counted."""
        return int(next(iter(self.labels.values())).measures["count"].sum())

    @property
    def warnings(self) -> tuple[dict[str, str], ...]:
        """What a reader of any number made from it must know, each with a code."""
        if self.hidden is None or not self.hidden.cells:
            return ()
        return ({"code": "hidden_cells", "message": self.hidden.message},)


def rows_in(cube: Cube) -> int:
    """How many rows a table counts: in one of scores by class each stands once for every class."""
    own = cube.where(SCORE_CLASS, OWN_SCORE) if SCORE_CLASS in cube.axes else cube
    return int(own.measures["count"].sum())


def merge(*tallies: Tally | str | Path | Sequence[Tally | str | Path]) -> Tally:
    """The sum of tallies or of their files, or of lists of them, in any order and grouping: addition is exact.

    Raises FairauditError for tallies that were counted in different ways, and for files that share rows.
    """
    each: list[Any] = [t for item in tallies for t in (item if isinstance(item, list | tuple) else [item])]
    named = [("a tally" if isinstance(t, Tally) else str(t), t) for t in each]
    from fairaudit.tallies.reading import read_tally

    return added([(name, t if isinstance(t, Tally) else read_tally(t)) for name, t in named])


def added(named: Sequence[tuple[str, Tally]], repeats: bool = False) -> Tally:
    """The sum of tallies with names for messages. `repeats`: equal counts are other rows that happen to be alike."""
    if not named:
        raise FairauditError("there is nothing to merge; give one tally or more.")
    _check_alike(named)
    if not repeats:
        _check_apart(named)
    return reduce(_sum, (tally for _, tally in named))


def _check_alike(named: Sequence[tuple[str, Tally]]) -> None:
    (first, one), *rest = named
    for name, tally in named if rest else ():
        if tally.hidden is not None:
            raise FairauditError(
                f"{name} hides counts below {tally.hidden.below} (--suppress-below) and cannot be merged: sums would "
                "lack its hidden rows, or give them away; merge first, then suppress."
            )
    for name, other in rest:
        if (found := difference(one, other)) is not None:
            raise FairauditError(f"{name} was counted {found[1]}, {first} {found[0]}; tabulate both alike.")


def _check_apart(named: Sequence[tuple[str, Tally]]) -> None:
    """Refuse rows that would be counted twice: a file given twice, or beside a sum that holds it."""
    seen: dict[str, str] = {}
    for name, tally in named:
        for source in dict.fromkeys(tally.sources):
            if source in seen:
                raise FairauditError(
                    f"{name} holds counts that {seen[source]} holds too, so rows would be counted twice; leave one "
                    "out (fairaudit merge --allow-repeats adds them as different rows that happen to be alike)."
                )
        seen |= dict.fromkeys(tally.sources, name)


def _sum(one: Tally, other: Tally) -> Tally:
    description = combined(one.description, other.description)
    attributes = description["columns"]["sensitive"]
    labels, scores = (
        [in_order(cubes, attributes) for cubes in sides]
        for sides in ((one.labels, other.labels), (one.scores, other.scores))
    )
    left = sorted({*one.left_out, *other.left_out})
    return replace(
        one,
        labels={a: cube + labels[1][a] for a, cube in labels[0].items()},
        scores={a: cube + scores[1][a] for a, cube in scores[0].items()},
        description=description,
        left_out={k: one.left_out.get(k, 0) + other.left_out.get(k, 0) for k in left},
        sources=tuple(sorted((*one.sources, *other.sources))),
    )
