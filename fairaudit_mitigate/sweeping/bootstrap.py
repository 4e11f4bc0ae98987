"""The paired bootstrap over rows: two runs on the same test rows, rows (by cluster) and seeds drawn together.

One replicate draws clusters of rows with replacement, the same for both runs and all seeds, and seeds with
replacement, the same for both runs; the statistic is the mean over the drawn seeds of metric(run) − metric(reference).
The p-value is two-sided and centred: the share of replicates whose distance from the observed difference is at least
that difference, (1 + count) / (1 + replicates). The interval is the percentile one. Seeds are few, and drawing n of n
understates their spread by √(1 − 1/n): the t-test over seeds beside it does not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fairaudit.errors import FairauditError
from fairaudit.labels import default_positive
from fairaudit_mitigate.sweeping.cells import TEST, Roles, Shelf
from fairaudit_mitigate.sweeping.results import Results
from fairaudit_mitigate.sweeping.significance import ALPHA, Contrast, adjusted
from fairaudit_mitigate.sweeping.summary import Line, Summary

if TYPE_CHECKING:
    import pandas as pd

Array = npt.NDArray[np.float64]
MIN_EVENTS = 10
#: What it is told about; each is a function of the accuracies of the cells (class × group) alone.
METRICS = ("accuracy", "eod_max", "worst_group_accuracy")
_CHUNK = 64


@dataclass(frozen=True, slots=True, eq=False)
class Design:
    """Test rows of one attribute. `cells[i]`: the cell of row i, `class_of[k]`, `group_of[k]` of cell k.

    `clusters[i]`: what is drawn. `judged`: classes whose EOD counts (binary: the positive one).
    """

    cells: npt.NDArray[np.int64]
    class_of: npt.NDArray[np.int64]
    group_of: npt.NDArray[np.int64]
    clusters: npt.NDArray[np.int64]
    judged: tuple[int, ...]

    @property
    def sizes(self) -> Array:
        """Rows in each cell."""
        return np.bincount(self.cells, minlength=len(self.class_of)).astype(float)


def bootstrap(summary: Summary, results: Results, replicates: int, seed: int = 0) -> tuple[Contrast, ...]:
    """The paired bootstrap of every run against the reference, Holm over all.

    The family: every run but the reference × accuracy, EOD_max and worst cell × every data set and model; those of
    the table. Raises FairauditError where two runs do not hold the same test rows.
    """
    roles = {e.cell.key: e.record.roles for e in results.entries if e.record is not None}
    found: list[Contrast] = []
    for line in summary.lines:
        rival = summary.rival(line)
        if rival is not None:
            found += _contrasts(summary, line, rival, results.shelf, roles, replicates, seed)
    return adjusted(found)


def too_few(tests: int, replicates: int) -> str | None:
    """A warning where even the least p-value, 1 / (1 + replicates), times the tests of the family is not below 5 %."""
    if tests / (replicates + 1) < ALPHA:
        return None
    return (
        f"--bootstrap {replicates} is too few draws for {tests} tests: after Holm no difference can be real at "
        f"{100 * ALPHA:g} %; give {math.floor(tests / ALPHA + 1e-9)} or more."
    )


def _contrasts(
    summary: Summary, line: Line, rival: Line, shelf: Shelf, roles: Mapping[str, Roles], replicates: int, seed: int
) -> list[Contrast]:  # fmt: skip
    measures = [m for m in summary.measures if m.metric in METRICS]
    shared = [s for s in line.seeds if s in rival.seeds]
    if not shared:
        none = "no seed in common"
        return [
            Contrast(line.data, line.model, line.run, m, math.nan, math.nan, math.nan, none) for m in measures
        ]
    keys = [[one.cells[one.seeds.index(s)] for s in shared] for one in (line, rival)]
    frames = [[_frame(shelf, key) for key in side] for side in keys]
    correct = np.array([[f.y_true.eq(f.y_pred).to_numpy() for f in side] for side in _aligned(frames)], float)
    own, out = roles[keys[0][0]], []
    for m in measures:
        attribute = own.sensitive[0] if m.metric == "accuracy" and own.sensitive else m.by
        design = design_of(frames[0][0], attribute, own)
        difference, draws = differences(design, correct, m.metric, replicates, seed)
        p = p_value(difference, draws)
        low, high = (float(v) for v in np.nanpercentile(draws, (2.5, 97.5)))
        out.append(
            Contrast(line.data, line.model, line.run, m, difference, p, seeds=len(shared), low=low, high=high)
        )
    return out


def p_value(difference: float, draws: Array) -> float:
    """The centred two-sided p-value; NaN where the difference is undefined."""
    known = draws[~np.isnan(draws)]
    if math.isnan(difference) or not len(known):
        return math.nan
    further = np.abs(known - difference) >= abs(difference) - 1e-12
    return float((1 + further.sum()) / (1 + len(known)))


def differences(
    design: Design, correct: Array, metric: str, replicates: int, seed: int = 0
) -> tuple[float, Array]:
    """The observed difference and its replicates. `correct[side, seed, row]`: side 0 is the run, 1 the reference."""
    _, n_seeds, n = correct.shape
    rng = np.random.default_rng(seed)
    by_cluster = _by_cluster(design, correct.reshape(-1, n))
    clusters, shape = by_cluster.shape[0], (-1, len(design.class_of), 1 + 2 * n_seeds)
    whole = statistic(design, by_cluster.sum(axis=0).reshape(shape), metric)
    observed = float(np.mean(whole[0, :n_seeds] - whole[0, n_seeds:]))
    draws: list[Array] = []
    for start in range(0, replicates, _CHUNK):
        some = min(_CHUNK, replicates - start)
        weights = rng.multinomial(clusters, np.full(clusters, 1 / clusters), size=some).astype(float)
        picked = rng.integers(n_seeds, size=(some, n_seeds))
        values = statistic(design, (by_cluster.T @ weights.T).T.reshape(shape), metric)
        gaps = values[:, :n_seeds] - values[:, n_seeds:]
        draws.append(np.take_along_axis(gaps, picked, axis=1).mean(axis=1))
    return observed, np.concatenate(draws) if draws else np.zeros(0)


def statistic(design: Design, counts: Array, metric: str) -> Array:
    """The metric of each replicate and prediction, [replicates, predictions].

    `counts[replicate, cell, column]`: column 0 the rows, the others the right ones of each prediction. Cells (and for
    EOD the rest of the class) with fewer than 10 rows in the data do not count, as in an audit.
    """
    rows, right = counts[:, :, :1], counts[:, :, 1:]
    if metric == "accuracy":
        shares: Array = right.sum(axis=1) / rows.sum(axis=1)
        return shares
    with np.errstate(invalid="ignore", divide="ignore"):
        if metric == "worst_group_accuracy":
            cells = (right / rows)[:, design.sizes >= MIN_EVENTS]
            return _extreme(cells, np.fmin)
        return _extreme(np.stack(_gaps(design, rows, right), axis=1), np.fmax)


def _gaps(design: Design, rows: Array, right: Array) -> list[Array]:
    """|recall in the group − recall outside it| for each evaluable class and group."""
    sizes, gaps = design.sizes, [np.full(right.shape[::2], np.nan)]
    for k in np.flatnonzero(np.isin(design.class_of, design.judged)):
        rest = (design.class_of == design.class_of[k]) & (np.arange(len(sizes)) != k)
        if sizes[k] >= MIN_EVENTS and sizes[rest].sum() >= MIN_EVENTS:
            outside = right[:, rest].sum(axis=1) / rows[:, rest].sum(axis=1)
            gaps.append(np.abs(right[:, k] / rows[:, k] - outside))
    return gaps


def _extreme(values: Array, smaller: Any) -> Array:
    """The least or greatest over axis 1 without NaN; NaN where there is nothing."""
    if not values.shape[1]:
        return np.full(values.shape[::2], np.nan)
    found: Array = smaller.reduce(values, axis=1)
    return found


def _by_cluster(design: Design, correct: Array) -> Any:
    """Rows and right ones of each cluster in each cell, sparse [cluster, cell × (1 + predictions)]."""
    from scipy.sparse import csr_array

    predictions, n = correct.shape
    columns = np.arange(1 + predictions)
    values = np.concatenate([np.ones((1, n)), correct])
    where = design.cells[None, :] * len(columns) + columns[:, None]
    owners = np.broadcast_to(design.clusters, where.shape)
    shape = int(design.clusters.max()) + 1, len(design.class_of) * len(columns)
    return csr_array((values.ravel(), (owners.ravel(), where.ravel())), shape=shape)


def design_of(frame: pd.DataFrame, attribute: str, roles: Roles) -> Design:
    """The cells of class × attribute (all rows one group where it is no column), and the clusters."""
    alone = attribute not in frame
    groups = frame.y_true.map(lambda _: "all") if alone else frame[attribute].fillna("(missing)").astype(str)
    pairs = frame.y_true.astype(str) + "\0" + groups
    names, cells = np.unique(pairs.to_numpy(dtype=str), return_inverse=True)
    classes, class_of = np.unique([n.split("\0")[0] for n in names], return_inverse=True)
    group_of = np.unique([n.split("\0")[1] for n in names], return_inverse=True)[1]
    drawn = frame[roles.cluster].fillna(frame.id) if roles.cluster in frame else frame.id
    clusters = np.unique(drawn.to_numpy(dtype=str), return_inverse=True)[1]
    judged = tuple(range(len(classes)))
    if len(roles.classes) == 2:
        positive = roles.positive or default_positive(roles.classes)
        judged = tuple(k for k, c in enumerate(classes) if positive in (None, c))
    return Design(cells, class_of, group_of, clusters, judged)


def _frame(shelf: Shelf, key: str) -> pd.DataFrame:
    import pandas as pd

    return pd.read_parquet(shelf.predictions(key, TEST))


def _aligned(frames: Sequence[Sequence[pd.DataFrame]]) -> Sequence[Sequence[pd.DataFrame]]:
    """The same frames. Raises FairauditError where they are not of the same rows in the same order."""
    first = frames[0][0].id
    if not all(f.id.equals(first) for side in frames for f in side):
        raise FairauditError(
            "two runs were judged on different test rows; run the sweep again in a new folder."
        )
    return frames
