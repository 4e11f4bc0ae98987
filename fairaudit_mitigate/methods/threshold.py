"""Group-wise thresholds on scores: nothing is trained, and a file of predictions is enough."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fairaudit.errors import FairauditError
from fairaudit_mitigate.methods.method import NOTHING, Method, mean_loss

if TYPE_CHECKING:
    from fairaudit_mitigate.fit import Fitted
    from fairaudit_mitigate.task import Task


def fit(task: Task) -> Fitted:  # noqa: ARG001
    """Refused: a rule is fitted to predictions, by `fairaudit_mitigate.thresholds.adjust`."""
    raise FairauditError(
        "the method 'threshold' trains no model: write predictions of the val and test rows with `fairaudit predict`, "
        "then give that file to `fairaudit mitigate PREDICTIONS --method threshold`."
    )


METHOD = Method(
    "threshold",
    "nothing is trained: thresholds by group on scores, drawing by chance between two where it must",
    NOTHING,
    True,
    1e-3,
    mean_loss,
    fit=fit,
    needs="a file of predictions: scores of two classes, groups, val and test rows; the group also when it is used",
    choose="where the model must stay as it is; check first that the law lets thresholds differ between groups",
    paper="Hardt et al. 2016, arXiv 1610.02413; computed by fairlearn's ThresholdOptimizer",
    fits_validation=True,
    reads=(),
)
