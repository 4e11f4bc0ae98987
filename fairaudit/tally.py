"""What one scan of the rows leaves behind: named cubes that add up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any

from fairaudit.cube import Cube
from fairaudit.errors import FairauditError


@dataclass(frozen=True, slots=True, eq=False)
class Tally:
    """The counts of one scan, enough for every number of an audit.

    `labels`: attributes -> cube (attribute…, y_true, y_pred[, member][, bucket]), with `w, w2, loss, loss2`
    where there are weights and losses. `scores`: attributes -> cube (attribute…, y_true or correct, score_bin,
    conf_bin[, bucket]). Class labels are raw text: they are brought to one form when an audit is computed.
    `description`: how the rows were read (equal in tallies that can be added). `left_out`: why -> rows not counted:
    `dropped` (no label or prediction), `split` (of another), `unmatched` (by the join), `zero_weight`.
    """

    labels: Mapping[tuple[str, ...], Cube]
    scores: Mapping[tuple[str, ...], Cube]
    description: Mapping[str, Any]
    left_out: Mapping[str, int] = field(default_factory=dict)

    def __add__(self, other: Tally) -> Tally:
        """The tally of both data sets. Raises FairauditError where they were read in different ways."""
        differing = [k for k in self.description if self.description[k] != other.description.get(k)]
        if differing:
            k = differing[0]
            raise FairauditError(
                f"tallies read in different ways cannot be added: {k} is {self.description[k]} in one and "
                f"{other.description.get(k)} in the other; tabulate both with the same options."
            )
        return replace(
            self,
            labels={a: cube + other.labels[a] for a, cube in self.labels.items()},
            scores={a: cube + other.scores[a] for a, cube in self.scores.items()},
            left_out={k: n + other.left_out.get(k, 0) for k, n in self.left_out.items()},
        )

    @property
    def rows(self) -> int:
        """How many rows were counted."""
        return int(next(iter(self.labels.values())).measures["count"].sum())


def merge(*tallies: Tally) -> Tally:
    """The sum of tallies, in any order and grouping (addition is exact)."""
    if not tallies:
        raise FairauditError("there is nothing to merge; give one tally or more.")
    return reduce(Tally.__add__, tallies)
