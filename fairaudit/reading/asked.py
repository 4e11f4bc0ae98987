"""What a scan is asked for, as the expressions of its query are made from it."""

from __future__ import annotations

from dataclasses import dataclass

from fairaudit.columns import Inputs, Roles, positive_column
from fairaudit.reading.dialect import Dialect
from fairaudit.reading.source import SEPARATOR


@dataclass(frozen=True, slots=True)
class Asked:
    """What the expressions of a query are made from."""

    roles: Roles
    inputs: Inputs
    d: Dialect
    where: str

    @property
    def top_label(self) -> bool:
        """Scores are those of the most probable class."""
        return is_top_label(self.roles, self.inputs)

    @property
    def thresholded(self) -> bool:
        """Predictions are made from the score."""
        return self.roles.y_pred is None and self.roles.y_score is not None

    @property
    def scored(self) -> bool:
        """There are scores to count."""
        return bool(self.roles.probabilities) or self.roles.y_score is not None

    @property
    def by_class(self) -> bool:
        """Each probability asked for is also counted as the score of its class."""
        return bool(self.roles.score_classes)

    def fail(self, rule: str, column: str, value: str) -> str:
        """SQL that stops the scan with a marked message, `table` turns it into a sentence. `value`: an expression."""
        head = SEPARATOR.join(("fairaudit", rule, column, ""))
        return self.d.fail(f"{self.d.literal(head)} || {value}")


def is_top_label(roles: Roles, inputs: Inputs) -> bool:
    """Scores are those of the most probable class: there are probabilities, and no class is the positive one."""
    return bool(roles.probabilities) and positive_column(roles, inputs.positive) is None
