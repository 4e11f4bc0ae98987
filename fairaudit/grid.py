"""The fixed bins of scores: never data-dependent, or tallies of different data could not be added."""

from __future__ import annotations

from fairaudit.dialect import Dialect

#: Score bins: 512 per power of two of m = min(p, 1 − p) down to 2⁻⁶⁰, mirrored at ½. Every step (compare with
#: a power of two, multiply by one, floor) is exact in IEEE arithmetic, so all engines agree on every bin.
OCTAVES, PER_OCTAVE = 60, 512
HALF = OCTAVES * PER_OCTAVE
CALIBRATION_BINS = 15


def score_bin(s: str, d: Dialect) -> str:
    """The bin of a probability expression on the fixed grid, an integer symmetric about `HALF`, increasing in p."""
    m = f"least({s}, 1 - {s})"
    cases = []
    for power in range(1, OCTAVES + 1):
        base = (OCTAVES - power) * PER_OCTAVE
        cases.append(
            f"WHEN {m} >= {d.real(2.0**-power)} THEN {base} + floor(({m} * {d.real(2.0**power)} - 1) * {PER_OCTAVE})"
        )
    fold = (
        f"CASE {' '.join(cases)} ELSE floor({m} * {d.real(2.0**OCTAVES)} * {PER_OCTAVE}) - {PER_OCTAVE} END"
    )
    return d.integer(f"CASE WHEN {s} <= 0.5 THEN {fold} ELSE {2 * HALF} - ({fold}) END")


def conf_bin(s: str, d: Dialect) -> str:
    """The calibration bin of a probability expression: 15 of equal width, 1 in the last."""
    return d.integer(f"least(floor({s} * {CALIBRATION_BINS}), {CALIBRATION_BINS - 1})")
