"""Whether the model reads the attribute: sensitive accuracy for a declared map, leakage without one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from fairaudit import simultaneous
from fairaudit.emit import over, stratum_status
from fairaudit.errors import FairauditError, did_you_mean
from fairaudit.estimate import Estimate
from fairaudit.rates import family
from fairaudit.resampling import REPLICATES, resampled
from fairaudit.view import NO_INTERVALS, Counts, View

Array = np.ndarray[Any, Any]
MAX_TABLE_ROWS = 10**8
#: Sums over many cells hardly vary from one draw to the next, so wide tables are drawn less often.
MOST_DRAWS = 5_000_000
FEWEST_REPLICATES = 100
#: Random tables, and the cells of all of them together.
RANDOM_TABLES, FEWEST_TABLES, MOST_TABLE_CELLS = 200, 5, 1_000_000


def agreement_positions(agreement: Mapping[str, str], view: View) -> Array:
    """For each class, the position of the group it is mapped to, or −1; shape (classes,)."""
    group = {g: i for i, g in enumerate(view.groups)}
    return np.array([group.get(agreement.get(c, ""), -1) for c in view.classes])


def applies(view: View) -> bool:
    """Whether the declared map names this attribute's groups."""
    return bool(view.agreement) and any(g in view.groups for g in view.agreement.values())


def check_agreement(agreement: Mapping[str, str], classes: Sequence[str], groups: Sequence[str]) -> None:
    """Raise FairauditError where a map names a class or a group that is not in the data."""
    for class_, group in agreement.items():
        for name, known, kind in ((class_, classes, "class"), (group, groups, "group")):
            if name not in known:
                raise FairauditError(
                    f"--agreement {class_}={group}: no {kind} '{name}' ({kind}s: {', '.join(list(known)[:12])})."
                    f"{did_you_mean(name, known)}"
                )


def sensitive_accuracy(view: View, metric: str) -> Iterator[Estimate]:
    """P(m(Ŷ) = S) for the declared map m from classes to groups, beside P(m(Y) = S) of a perfect classifier.

    It measures reliance on the attribute, not quality (FairLoRA §5). Needs `agreement`; nothing is inferred.
    """
    to = agreement_positions(view.agreement, view)
    mapped = np.flatnonzero(to >= 0)

    def pair(c: Counts) -> tuple[Array, Array]:
        hits = c.predicted[..., to[mapped], mapped].sum(axis=-1)
        return hits[..., None], c.total().sum(axis=-1)[..., None]

    found = family(view, pair)
    value = float(found.shares.value[0])

    def bounds() -> tuple[float, float]:
        own = simultaneous.single(found.shares, view.settings.level)
        return float(own.low[0]), float(own.high[0])

    perfect = view.counts.support[to[mapped], mapped].sum() / view.counts.total().sum()
    status, reason = stratum_status(view, found.rows[0])
    method = "wilson" if found.shares.corr is None else "wilson-jackknife"
    yield over(
        view, metric, value, bounds, method, found.rows[0], numerator=float(found.numerator[0]),
        denominator=float(found.denominator[0]), status=status, reason=reason, reference={"perfect": float(perfect)},
    )  # fmt: skip


class _Table:
    """The non-empty cells of class × group, class by class: `mass`, positions `column` and `group`, all (cells,)."""

    def __init__(self, view: View, axis: str) -> None:
        cube = view.labels.keep((axis, "group"))
        self.column, self.group = cube.codes.T
        self.mass = cube.real(view.mass_name)
        self.starts = np.flatnonzero(np.diff(self.column, prepend=-1))

    def leakage(self) -> float:
        """Σ_ŷ max_s n(ŷ, s) / n."""
        return float(np.maximum.reduceat(self.mass, self.starts).sum() / self.mass.sum())

    def norm(self, errors: Array) -> Array:
        """(k,): Σ_ŷ max_s |error| of errors (k, cells)."""
        return np.asarray(np.maximum.reduceat(np.abs(errors), self.starts, axis=1).sum(axis=1))


def sensitive_leakage(view: View, metric: str) -> Iterator[Estimate]:
    """Σ_ŷ max_s n(ŷ, s) / n: how well the best map from predictions to groups would do.

    Beside the same from Y, the largest group's share, and the expectation under independence with the same
    margins (it is biased up). Interval: the estimate ± the quantile of Σ_ŷ max_s |error|, which holds whatever the
    truth (a bootstrap of the maximum does not: it carries the bias).
    """
    view = view.unfolded or view
    table = _Table(view, "y_pred")
    groups, columns = (np.bincount(at, table.mass) for at in (table.group, table.column))
    columns, size = columns[columns > 0], _kish(view)
    value, n = table.leakage(), int(view.labels.real("count").sum())

    def bounds() -> tuple[float, float]:
        reach = _leakage_reach(view, table, size)
        return max(0.0, value - reach), min(1.0, value + reach)

    reference = {
        "perfect": _Table(view, "y_true").leakage(),
        "largest_group": float(groups.max() / groups.sum()),
    }
    if view.settings.interval != NO_INTERVALS:
        reference["independence"] = _independent(groups, columns, size, view.settings.seed)
    yield over(view, metric, value, bounds, "norm-ball", n, reference=reference)


def _leakage_reach(view: View, table: _Table, size: int) -> float:
    """The quantile of Σ_ŷ max_s |p*(ŷ, s) − p(ŷ, s)| over resamples of the rows, or over jackknifed normals.

    Of the non-empty cells only: where there is nothing to draw, there is no error.
    """
    mass, seed = table.mass, view.settings.seed
    share = mass / mass.sum()
    replicates = max(FEWEST_REPLICATES, min(REPLICATES, MOST_DRAWS // len(mass)))
    if view.without_bucket is not None:
        left = view.without_bucket.predicted
        of_cells = left[:, table.group, table.column] / left.sum(axis=(1, 2))[:, None]
        out = table.norm(_jackknifed_errors(of_cells, replicates, seed))
    else:
        rows = size if "w" in view.labels.measures else None
        out = resampled(
            mass, lambda drawn: table.norm(drawn / size - share), (seed, 4), replicates, rows=rows
        )
    return float(np.quantile(out, view.settings.level))


def _jackknifed_errors(left: Array, replicates: int, seed: int) -> Array:
    """(replicates, cells): Σ_b ξ_b (θ_(b) − θ̄) with ξ normal, which has the jackknife's covariance."""
    centred = (left - left.mean(axis=0)) * np.sqrt((len(left) - 1) / len(left))
    return np.asarray(np.random.default_rng([seed, 4]).standard_normal((replicates, len(left))) @ centred)


def _kish(view: View) -> int:
    """The rows that the weights are worth: (Σw)² / Σw², the rows themselves where there are no weights."""
    if "w" not in view.labels.measures:
        return int(view.labels.real("count").sum())
    total, squares = (float(view.labels.real(m).sum()) for m in ("w", "w2"))
    return max(1, round(total**2 / max(squares, 1e-300)))


def _independent(groups: Array, columns: Array, size: int, seed: int) -> float:
    """Expected leakage of predictions that do not depend on the group, with these margins of `size` rows.

    Each column of a random table is hypergeometric, and the expectation of a sum needs no more than that. With very
    many rows the largest group's share.
    """
    if size > MAX_TABLE_ROWS:
        return float(groups.max() / groups.sum())
    of_groups, of_columns = (_apportioned(m, size) for m in (groups, columns))
    rng = np.random.default_rng([seed, 5])
    cells = len(groups) * len(columns)
    tables = max(FEWEST_TABLES, min(RANDOM_TABLES, MOST_TABLE_CELLS // cells))
    if size < cells:  # few rows in a wide table: the rows themselves are shuffled
        largest = _largest_of_shuffled(of_groups, of_columns, tables, rng)
    else:
        largest = sum(
            float(
                rng.multivariate_hypergeometric(of_groups, int(n), tables, method="marginals")
                .max(axis=1)
                .mean()
            )
            for n in of_columns
        )
    return largest / size


def _largest_of_shuffled(groups: Array, columns: Array, tables: int, rng: np.random.Generator) -> float:
    """Σ_ŷ max_s of a table whose rows' groups are shuffled, on average over so many tables."""
    rows, ends, total = np.repeat(np.arange(len(groups)), groups), np.cumsum(columns)[:-1], 0
    for _ in range(tables):
        rng.shuffle(rows)
        total += sum(int(np.bincount(part).max()) for part in np.split(rows, ends) if len(part))
    return total / tables


def _apportioned(mass: Array, size: int) -> Array:
    """Whole numbers in proportion to the masses that sum to `size` (largest remainders)."""
    exact = mass / mass.sum() * size
    floor: Array = np.floor(exact + 1e-9).astype(np.int64)
    order = np.argsort(floor - exact, kind="stable")
    floor[order[: size - int(floor.sum())]] += 1
    return floor
