"""The fixed bins of scores: never data-dependent, or tallies of different data could not be added.

Between 1/15 and 14/15 the bins have one width, 1/7680, so that none crosses an edge of the 15 calibration bins. Below,
256 bins share each halving of p, and above, each halving of 1 − p: however close to 0 or 1 scores stand, they are told
apart. 0 and 1 have bins of their own.

A bin has a number. In the middle it is floor(7680 p). Below 1/15 it is 15 p rounded to nine significant bits, above
14/15 the same of 1 − p with a minus sign, and 7680 for p = 1. Every step that makes it (multiply, floor, and Dekker's
splitting, which rounds to fewer bits) is exact in IEEE arithmetic or rounded as IEEE says, so all engines agree on
every bin. In its bin a score has a *place* from 0 to 1; sums of places and of their squares say what all of its scores
are on average, and whether they are one and the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fairaudit.reading.dialect import Dialect

Array = np.ndarray[Any, Any]
CALIBRATION_BINS = 15
#: Score bins in a calibration bin, and in a halving of p or 1 − p near the ends.
PER_CALIBRATION_BIN, PER_OCTAVE = 512, 256
TOP = CALIBRATION_BINS * PER_CALIBRATION_BIN
#: Dekker's constant: a double times it, less the difference of the two, has 9 = 1 + log₂ `PER_OCTAVE` bits.
_SPLIT = float(2**44 + 1)


def with_bins(body: str, score: str, d: Dialect) -> str:
    """The rows of an SQL body with `score_bin` and `place` of a column of probabilities; NULL where it is NULL."""
    last, first, per = CALIBRATION_BINS - 1, d.real(1.0), d.real(float(PER_CALIBRATION_BIN))
    wide, split = d.real(float(CALIBRATION_BINS)), d.real(_SPLIT)
    edge, half, octave = d.real(float(last)), d.real(0.5), d.real(float(PER_OCTAVE))
    middle = f"x >= {per}"
    body = f"SELECT *, {score} * {wide} AS t FROM ({body}) scored"
    body = (
        f"SELECT *, CASE WHEN t < {first} THEN t WHEN t < {edge} THEN t * {per} ELSE (1 - {score}) * {wide} END AS x "
        f"FROM ({body}) scaled"
    )
    body = (
        f"SELECT *, CASE WHEN {middle} THEN floor(x) ELSE x * {split} - (x * {split} - x) END AS h "
        f"FROM ({body}) folded"
    )
    bin_ = f"CASE WHEN t < {edge} THEN h WHEN h > 0 THEN -h WHEN h = 0 THEN {d.real(float(TOP))} END"
    place = f"CASE WHEN {middle} THEN x - h WHEN h > 0 THEN (x - h) / h * {octave} + {half} ELSE h END"
    return f"SELECT *, {bin_} AS score_bin, {place} AS place FROM ({body}) binned"


def ranks(bins: Array) -> Array:
    """(bins,): the place of each of different bins in the order of their scores."""
    part = np.where(bins < 0, 1, np.where(bins == TOP, 2, 0))
    out = np.empty(len(bins), dtype=np.int64)
    out[np.lexsort((bins, part))] = np.arange(len(bins))
    return out


def calibration_bin(bins: Array) -> Array:
    """The calibration bin (15 of equal width) of score bins; that of p = 1 is the last."""
    at = np.where(bins < PER_CALIBRATION_BIN, 0, bins // PER_CALIBRATION_BIN)
    out: Array = np.where(bins < 0, CALIBRATION_BINS - 1, np.minimum(at, CALIBRATION_BINS - 1)).astype(
        np.int64
    )
    return out


def scores_of(bins: Array, mass: Array, place: Array, place2: Array) -> tuple[Array, Array]:
    """Σs and Σs² of cells from their bins, rows (or weights) and sums of places and squared places."""
    middle = (bins >= PER_CALIBRATION_BIN) & (bins < TOP)
    low, ends = np.abs(bins), (bins == 0) | (bins == TOP)
    start = np.where(middle, bins / TOP, np.where(ends, bins / TOP, low / CALIBRATION_BINS))
    width = np.where(middle, 1 / TOP, np.where(ends, 0.0, low / (CALIBRATION_BINS * PER_OCTAVE)))
    centre = np.where(middle, 0.0, 0.5)
    start, width = np.where(bins < 0, 1 - start, start), np.where(bins < 0, -width, width)
    # a score is start + width · (place − centre)
    moved, moved2 = place - centre * mass, place2 - 2 * centre * place + centre**2 * mass
    return start * mass + width * moved, start**2 * mass + 2 * start * width * moved + width**2 * moved2
