"""Replicates of a table of counts: what resampling the rows with replacement would do to it, without the rows.

Drawing n rows with replacement and counting cells *is* drawing Multinomial(n, count / n). Both ways of doing it are
here, each exact: cell by cell, which costs the same for any number of rows, and row by row, which is cheaper
where the rows are few. Every chunk of replicates has a generator of its own, so the numbers depend on the counts, the
key and the number of replicates, and not on how many threads draw.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
#: Replicates of the cells, (k, cells) integers -> their statistics, (k, …).
Statistic = Callable[[Array], Array]

REPLICATES = 1000
#: A chunk holds at most so many replicates, and so many numbers: it must fit in memory once for each thread.
_MOST_REPLICATES, _MOST_NUMBERS = 50, 2_000_000
#: Drawing a cell takes as long as drawing so many rows (measured: 80 ns against 5 to 13).
_ROWS_A_CELL = 7
#: Below this many draws, starting threads costs more than it saves.
_WORTH_THREADS = 500_000
_MOST_THREADS = 8


def resampled(
    counts: Array,
    statistic: Statistic,
    key: Sequence[int],
    replicates: int = REPLICATES,
    threads: int | None = None,
    rows: int | None = None,
) -> Array:
    """(replicates, …): a statistic of each of so many resamples of the rows behind `counts` (cells,).

    `statistic`: gets replicates of the cells, (k, cells) integers that sum to n in each row, and returns (k, …); it is
    called from several threads at once. `key`: seed and stream; the chunk's number is appended. `threads`: as many
    as there are processors, at most 8, where nothing is said; the result does not depend on it. `rows`: how many are
    drawn, where the counts are weights and not rows.

    >>> resampled(np.array([3, 1]), lambda drawn: drawn.sum(axis=1), (0, 0), replicates=3)
    array([4, 4, 4])
    """
    draw, size = _drawing(counts, rows), chunk_size(len(counts))
    starts = range(0, replicates, size)

    def chunk(number: int) -> Array:
        rng = np.random.default_rng([*key, number])
        return statistic(draw(rng, min(size, replicates - starts[number])))

    if len(counts) * replicates < _WORTH_THREADS:
        threads = 1
    return np.concatenate(_mapped(chunk, len(starts), threads or _processors()))


def chunk_size(cells: int) -> int:
    """How many replicates are drawn together: what fits in memory, the same on every machine."""
    return max(1, min(_MOST_REPLICATES, _MOST_NUMBERS // max(cells, 1)))


def _mapped(work: Callable[[int], Array], jobs: int, threads: int) -> list[Array]:
    """The results of work(0) … work(jobs − 1), in this order, from so many threads (numpy lets go of the lock)."""
    if min(threads, jobs) < 2:
        return [work(k) for k in range(jobs)]
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(min(threads, jobs)) as pool:
        return list(pool.map(work, range(jobs)))


def _processors() -> int:
    own = getattr(
        os, "sched_getaffinity", None
    )  # of this process: a container may have fewer than the machine
    return min(_MOST_THREADS, len(own(0)) if own else os.cpu_count() or 1)


def _drawing(counts: Array, rows: int | None) -> Callable[[np.random.Generator, int], Array]:
    """The cheaper of the two exact ways for this table: (generator, k) -> (k, cells)."""
    if rows is None:
        counts = np.asarray(counts, dtype=np.int64)
        rows = int(counts.sum())
        if rows <= _ROWS_A_CELL * len(counts):
            return _by_rows(counts, rows)
    share = counts / counts.sum()
    return lambda rng, k: rng.multinomial(rows, share, size=k)


def _by_rows(counts: Array, n: int) -> Callable[[np.random.Generator, int], Array]:
    cell = np.repeat(np.arange(len(counts)), counts)

    def draw(rng: np.random.Generator, k: int) -> Array:
        out = np.empty((k, len(counts)), dtype=np.int64)
        for i in range(k):
            out[i] = np.bincount(cell[rng.integers(0, n, n)], minlength=len(counts))
        return out

    return draw
