"""Which step is best: metrics on the validation rows, and the one that chooses."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fairaudit.errors import FairauditError
from fairaudit.labels import MISSING
from fairaudit_mitigate.data import Rows
from fairaudit_mitigate.reaudit import metric_of, panel_of
from fairaudit_mitigate.settings import SELECT

if TYPE_CHECKING:
    import numpy.typing as npt

MIN_EVENTS = 10
ACCURACY = "accuracy"


@dataclass(frozen=True, slots=True, eq=False)
class Selector:
    """Scores predictions of the validation rows. `targets` are the outputs wanted.

    `metric` is `worst_group_accuracy` (the lowest accuracy of a cell, class × group, over every attribute,
    with at least 10 rows; over classes where there is no attribute), `accuracy`, or any metric of an audit.
    `panel`: `metrics` are to hold the whole panel, for those who watch.
    """

    rows: Rows
    targets: npt.NDArray[np.int64]
    metric: str = SELECT
    better: int = 1
    positive: str | None = None
    table: Callable[[npt.NDArray[np.float32]], object] | None = None
    panel: bool = False

    def metrics(self, logits: npt.NDArray[np.float32], step: int = 0) -> dict[str, float]:
        """`accuracy`, `worst_group_accuracy` (NaN where no cell has 10 rows) and the chosen metric.

        Raises FairauditError for outputs that are not finite; it names the step and the rows' groups.
        """
        self._check_finite(logits, step)
        correct = logits.argmax(axis=1) == self.targets
        found = {
            ACCURACY: float(correct.mean()),
            SELECT: worst_cell(correct, self.targets, self.rows.sensitive),
        }
        if self.metric not in found and self.table is not None:
            found[self.metric] = metric_of(
                self.table(logits), self.metric, tuple(self.rows.sensitive), self.positive
            )
        if self.panel and self.table is not None:
            found = panel_of(self.table(logits), tuple(self.rows.sensitive), self.positive) | found
        return found

    def _check_finite(self, logits: npt.NDArray[np.float32], step: int) -> None:
        never = np.isneginf(logits)  # a class ruled out: fine, as long as another is left
        bad = np.flatnonzero(~(np.isfinite(logits) | never).all(axis=1) | never.all(axis=1))
        if not len(bad):
            return
        columns = {"class": self.rows.y_true, **self.rows.sensitive}
        cells = [" & ".join(f"{k}={v[i]}" for k, v in columns.items() if v[i] is not None) for i in bad]
        named = list(dict.fromkeys(cells))
        shown = ", ".join(named[:5]) + (f" and {len(named) - 5} more" if len(named) > 5 else "")
        where = f"on {len(bad):,} of {len(logits):,} val rows (groups: {shown})"
        if step == 0:
            raise FairauditError(
                f"the model before training has outputs that are not finite {where}; check it."
            )
        raise FairauditError(
            f"the model's outputs are not finite at step {step} {where}; lower --lr or --penalty in a new run."
        )

    def score(self, metrics: Mapping[str, float]) -> float:
        """The chosen metric, turned so that higher is better."""
        return self.better * metrics.get(self.metric, math.nan)


def worst_cell(
    correct: npt.NDArray[np.bool_],
    targets: npt.NDArray[np.int64],
    attributes: Mapping[str, Sequence[str | None]],
) -> float:
    """The lowest accuracy over cells with at least MIN_EVENTS rows; NaN where there is none."""
    columns = [
        np.array([MISSING if v is None else str(v) for v in values]) for values in attributes.values()
    ] or [np.zeros(len(targets), str)]
    lowest = math.nan
    for column in columns:
        for group in np.unique(column):
            for target in np.unique(targets):
                cell = correct[(column == group) & (targets == target)]
                if len(cell) >= MIN_EVENTS:
                    lowest = min(float(cell.mean()), lowest) if lowest == lowest else float(cell.mean())
    return lowest
