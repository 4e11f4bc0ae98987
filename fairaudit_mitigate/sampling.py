"""In which order an epoch visits the rows when the groups are to be seen equally often.

Every group is drawn equally often (group-balanced sampling, "RWG" in Idrissi et al., arXiv 2110.14503; the same
sampling as in group DRO, Sagawa et al., arXiv 1911.08731, algorithm 1), with two changes that only take chance
away. The draws come in runs that hold each group once, in random order, so that a batch holds every group n/K
times, give or take one. And within a group no row comes a second time before every row of it has come once, over
the whole training and not only over an epoch: a small group is repeated, a large one is spread over the epochs.

An epoch is as long as the training set, so that steps, schedule and cost are those of shuffled rows. Rows without a
group come once an epoch at random places: they count in the mean loss at their own share, and are no group.

The order is a pure function of groups, seed and epoch, by a counter-based generator (Philox): every rank computes the
same one, and training that is taken up again in any epoch goes on with the same rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from fairaudit.errors import FairauditError

if TYPE_CHECKING:
    import numpy.typing as npt

    Ids = npt.NDArray[np.int64]

_DRAWS, _UNGROUPED, _ROWS = 0, 1, 2


class BalancedOrder:
    """The sampler: what a DataLoader iterates over, once an epoch; `set_epoch` says which epoch comes next.

    `groups` [n]: the group of each row in 0 … K - 1, or -1. Raises FairauditError where no row has a group.
    """

    def __init__(self, groups: Ids, seed: int) -> None:
        if not (groups >= 0).any():
            raise FairauditError("balanced sampling needs groups and no train row has one; name one with -s.")
        self._groups, self._seed, self.epoch = groups, seed, 0

    def __len__(self) -> int:
        return len(self._groups)

    def set_epoch(self, epoch: int) -> None:
        """The next iteration is of this epoch, counted from 0."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        yield from balanced_order(self._groups, self._seed, self.epoch).tolist()


def balanced_order(groups: Ids, seed: int, epoch: int) -> Ids:
    """The positions of the rows in the order of one epoch, [n].

    >>> balanced_order(np.array([0, 0, 0, 0, 0, 0, 1, 1]), seed=0, epoch=0).tolist().count(6)
    2
    """
    present = np.unique(groups[groups >= 0])
    missing = np.flatnonzero(groups < 0)
    drawn = _drawn_groups(len(present), len(groups) - len(missing), seed, epoch)
    order = np.empty(len(drawn), dtype=np.int64)
    for k, group in enumerate(present):
        places = np.flatnonzero(drawn == k)
        start = _drawn_before(k, len(present), len(drawn), epoch)
        order[places] = _in_turn(np.flatnonzero(groups == group), start, len(places), seed, k)
    return _scattered(order, missing, seed, epoch)


def _drawn_groups(n_groups: int, n: int, seed: int, epoch: int) -> Ids:
    """n draws: runs of all groups in random order, and a last run of the n mod K groups whose turn it is."""
    full, rest = divmod(n, n_groups)
    runs = _keys(seed, _DRAWS, epoch, 0, full * n_groups).reshape(full, n_groups).argsort(axis=1)
    turn = (epoch * rest + np.arange(rest)) % n_groups
    last = turn[_keys(seed, _DRAWS, epoch, full * n_groups, rest).argsort()]
    return np.concatenate([runs.ravel(), last]).astype(np.int64)


def _drawn_before(k: int, n_groups: int, n: int, epoch: int) -> int:
    """How often group k is drawn in all epochs before this one."""
    full, rest = divmod(n, n_groups)
    rounds, over = divmod(epoch * rest, n_groups)
    return epoch * full + rounds + int(k < over)


def _in_turn(rows: Ids, start: int, count: int, seed: int, k: int) -> Ids:
    """Draws `start` … `start + count` of a group: one random order of all its rows after the other."""
    first, last = start // len(rows), (start + count - 1) // len(rows)
    keys = _keys(seed, _ROWS, k, first * len(rows), (last - first + 1) * len(rows))
    turns = keys.reshape(-1, len(rows)).argsort(axis=1)
    skip = start - first * len(rows)
    chosen: Ids = rows[turns.ravel()[skip : skip + count]]
    return chosen


def _scattered(order: Ids, missing: Ids, seed: int, epoch: int) -> Ids:
    """The rows without a group at random places between the others."""
    n = len(order) + len(missing)
    places = _keys(seed, _UNGROUPED, epoch, 0, n).argsort()[: len(missing)]
    whole = np.empty(n, dtype=np.int64)
    free = np.ones(n, dtype=bool)
    free[places] = False
    whole[places], whole[free] = missing, order
    return whole


def _keys(seed: int, purpose: int, stream: int, start: int, count: int) -> npt.NDArray[np.uint64]:
    """Numbers `start` … `start + count` of one random stream. Philox makes four a step of its counter."""
    steps, skip = divmod(start, 4)
    generator = np.random.Philox(key=np.array([seed, purpose << 56 | stream], dtype=np.uint64))
    found: npt.NDArray[np.uint64] = generator.advance(steps).random_raw(skip + count)[skip:]
    return found
