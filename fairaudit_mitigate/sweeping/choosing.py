"""What chooses, on validation predictions alone: a metric, or a policy."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fairaudit.verdict import FAIL, INCONCLUSIVE
from fairaudit_mitigate.sweeping.cells import Roles
from fairaudit_mitigate.voice import silent

if TYPE_CHECKING:
    import pyarrow

Score = tuple[float, ...]
ACCURACY, WORST = "accuracy", "worst_group_accuracy"


def scorer(select: str) -> Callable[[Path, Roles], Score]:
    """The function from a predictions file and its roles to a score.

    A score is compared from its first number on; higher is better, NaN is below every number.
    A metric: (the metric, turned so that higher is better; accuracy). `worst_group_accuracy` is the lowest
    accuracy of a cell (class × group, over every attribute) with at least 10 rows, as in training.
    A policy: (− rules that fail, − rules that are inconclusive, accuracy): among settings that are equally fair
    by the policy, the most accurate. Rules of severity `warn`, waived ones and those against a baseline do not count.
    """
    return _by_policy(select) if select.endswith(".toml") else _by_metric(select)


def better(one: Score, other: Score) -> bool:
    """Whether the first score is above the second."""
    return ranked(one) > ranked(other)


def ranked(score: Score) -> Score:
    """The score with NaN as the lowest number, so that it can be sorted."""
    return tuple(-math.inf if math.isnan(v) else v for v in score)


def mean_score(scores: Sequence[Score]) -> Score:
    """The mean over seeds, number by number."""
    return tuple(float(np.mean(values)) for values in zip(*scores, strict=True))


def _by_metric(metric: str) -> Callable[[Path, Roles], Score]:
    from fairaudit_mitigate.reaudit import better_direction, metric_of

    direction = better_direction(metric)

    def score(predictions: Path, roles: Roles) -> Score:
        import pyarrow.parquet

        table = pyarrow.parquet.read_table(predictions)
        accuracy = _accuracy(table)
        if metric == ACCURACY:
            return (accuracy,)
        if metric == WORST:
            return (_worst(table, roles.sensitive), accuracy)
        found = metric_of(table, metric, roles.sensitive, roles.positive)
        return (direction * found, accuracy)

    return score


def _accuracy(table: pyarrow.Table) -> float:
    return float(np.mean(_texts(table, "y_true") == _texts(table, "y_pred")))


def _worst(table: pyarrow.Table, sensitive: Sequence[str]) -> float:
    from fairaudit_mitigate.selection import worst_cell

    truth = _texts(table, "y_true")
    codes = np.unique(truth, return_inverse=True)[1].astype(np.int64)
    groups = {name: table[name].to_pylist() for name in sensitive}
    return worst_cell(truth == _texts(table, "y_pred"), codes, groups)


def _texts(table: pyarrow.Table, name: str) -> Any:
    return np.array(table[name].to_pylist(), dtype=object)


def _by_policy(path: str) -> Callable[[Path, Roles], Score]:
    import pyarrow.parquet

    from fairaudit_mitigate.policy_loop import court_of
    from fairaudit_mitigate.reaudit import policy_of

    policy = policy_of(path)

    def score(predictions: Path, roles: Roles) -> Score:
        of = (roles.sensitive, roles.positive, roles.cluster)
        court = court_of(policy, roles.names, roles.classes, *of, silent)
        every = replace(
            court.policy, data={**court.policy.data, "split": "all"}
        )  # else it asks for test rows
        verdict = replace(court, policy=every).before(predictions)
        said = [c.verdict for c in verdict.checks if c.counts]
        table = pyarrow.parquet.read_table(predictions)
        return (-float(said.count(FAIL)), -float(said.count(INCONCLUSIVE)), _accuracy(table))

    return score
