"""From scores to a rule: fairlearn's ThresholdOptimizer does the optimisation, this says what it may be asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fairaudit.errors import FairauditError, did_you_mean
from fairaudit.labels import ordered
from fairaudit_mitigate.thresholds.rule import Cut, Group, GroupRule

if TYPE_CHECKING:
    import numpy.typing as npt

EQUALIZED_ODDS, ACCURACY = "equalized_odds", "accuracy_score"
#: Fairlearn's names.
CONSTRAINTS = (
    EQUALIZED_ODDS, "demographic_parity", "true_positive_rate_parity", "false_positive_rate_parity",
    "true_negative_rate_parity", "false_negative_rate_parity",
)  # fmt: skip
OF_EQUALIZED_ODDS = (ACCURACY, "balanced_accuracy_score")
OBJECTIVES = (*OF_EQUALIZED_ODDS, "selection_rate", "true_positive_rate", "true_negative_rate")


@dataclass(frozen=True, slots=True)
class Aim:
    """What is to be equal between groups, and what is to be as high as that allows.

    Raises FairauditError for names that fairlearn does not know, or does not know together.
    """

    constraint: str = EQUALIZED_ODDS
    objective: str = ACCURACY

    def __post_init__(self) -> None:
        able = OF_EQUALIZED_ODDS if self.constraint == EQUALIZED_ODDS else OBJECTIVES
        for word, value, known in (
            ("constraint", self.constraint, CONSTRAINTS),
            ("objective", self.objective, able),
        ):
            if value not in known:
                of = f" of {self.constraint}" if word == "objective" else ""
                raise FairauditError(
                    f"there is no {word} '{value}'{of} (there are {', '.join(known)}).{did_you_mean(value, known)}"
                )


def fit_groups(
    scores: npt.NDArray[np.float64], positive: npt.NDArray[np.bool_], groups: Sequence[Group], aim: Aim
) -> dict[Group, GroupRule]:
    """The thresholds of each group. Raises FairauditError for a group with rows of one class only."""
    names = _ordered(set(groups))
    codes = {group: k for k, group in enumerate(names)}
    ids = np.array([codes[g] for g in groups])
    n, hits = np.bincount(ids), np.bincount(ids[positive], minlength=len(names))
    fitted = _optimised(scores, positive.astype(int), ids, aim)
    return {group: _group_rule(fitted[k], int(n[k]), int(hits[k])) for group, k in codes.items()}


def one_sided(positive: npt.NDArray[np.bool_], groups: Sequence[Group]) -> dict[Group, int]:
    """The groups with rows of one class only, to which no threshold can be fitted, and how many rows they have."""
    seen: dict[Group, list[int]] = {}
    for group, hit in zip(groups, positive.tolist(), strict=True):
        seen.setdefault(group, [0, 0])[hit] += 1
    return {group: sum(counts) for group, counts in seen.items() if 0 in counts}


def _ordered(groups: set[Group]) -> list[Group]:
    ranks = [{v: i for i, v in enumerate(ordered(set(column)))} for column in zip(*groups, strict=True)]
    return sorted(groups, key=lambda g: [r[v] for r, v in zip(ranks, g, strict=True)])


def _optimised(scores: Any, labels: Any, ids: Any, aim: Aim) -> Any:
    """Fairlearn's solution by group. Its estimator is a regression with slope 1: the scores are the predictions."""
    try:
        from fairlearn.postprocessing import ThresholdOptimizer
        from sklearn.linear_model import LinearRegression
    except ImportError as error:
        raise FairauditError(
            "the method 'threshold' needs fairlearn; install it with: pip install fairlearn"
        ) from error
    identity = LinearRegression()
    identity.coef_, identity.intercept_, identity.n_features_in_ = np.ones(1), 0.0, 1
    optimizer = ThresholdOptimizer(
        estimator=identity,
        constraints=aim.constraint,
        objective=aim.objective,
        prefit=True,
        predict_method="predict",
    )
    optimizer.fit(scores[:, None], labels, sensitive_features=ids)
    return optimizer.interpolated_thresholder_.interpolation_dict


def _group_rule(found: Any, n: int, positives: int) -> GroupRule:
    cuts = [Cut(float(o.threshold), o.operator == ">") for o in (found.operation0, found.operation1)]
    ignored = (float(found.get("p_ignore", 0.0)), float(found.get("prediction_constant", 0.0)))
    return GroupRule(float(found.p0), cuts[0], float(found.p1), cuts[1], *ignored, n, positives)
