"""From the columns of a table to the numbers a network reads; fitted on the train rows, saved with the model.

- Amounts: x → (x − mean) / deviation, both of the train rows. A missing amount becomes the mean, so 0; where train
  rows lack it, one more input says 1 for the rows that do. An amount that never varies in train is left out.
- Codes: one input a text of the train rows, 1 or 0. A missing value is a text of its own where train rows have it. A
  text that no train row has gives 0 in all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fairaudit.errors import FairauditError
from fairaudit_mitigate.features import ABSENT, Coded, Features
from fairaudit_mitigate.voice import Say, silent

if TYPE_CHECKING:
    import numpy.typing as npt

#: A deviation below this share of the mean is rounding, not variation.
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class Amount:
    """One column of numbers. `shows_missing`: a second input tells the rows without a value."""

    name: str
    mean: float
    deviation: float
    shows_missing: bool

    @property
    def width(self) -> int:
        """How many inputs it becomes."""
        return 1 + self.shows_missing


@dataclass(frozen=True, slots=True)
class Code:
    """One column of texts; an input for each of `values`, and one more for none where `shows_missing`."""

    name: str
    values: tuple[str, ...]
    shows_missing: bool

    @property
    def width(self) -> int:
        """How many inputs it becomes."""
        return len(self.values) + self.shows_missing


@dataclass(frozen=True, slots=True)
class Encoding:
    """How each column becomes inputs, in this order: amounts, then codes."""

    amounts: tuple[Amount, ...]
    codes: tuple[Code, ...]

    @property
    def width(self) -> int:
        """The number of inputs."""
        return sum(a.width for a in self.amounts) + sum(c.width for c in self.codes)

    @property
    def names(self) -> tuple[str, ...]:
        """The columns it reads."""
        return (*(a.name for a in self.amounts), *(c.name for c in self.codes))

    def matrix(self, features: Features) -> npt.NDArray[np.float32]:
        """The inputs, [rows, width], float32. Raises FairauditError for a number too large for that."""
        found = np.zeros((len(features), self.width), dtype=np.float32)
        at = 0
        for amount in self.amounts:
            _write_amount(found[:, at : at + amount.width], amount, _numbers(features, amount.name))
            at += amount.width
        for code in self.codes:
            _write_code(found[:, at : at + code.width], code, _texts(features, code.name))
            at += code.width
        return found

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Encoding:
        """The inverse of `to_json`. Raises KeyError, TypeError or ValueError where it is something else."""
        amounts = tuple(
            Amount(str(a["name"]), float(a["mean"]), float(a["deviation"]), bool(a["shows_missing"]))
            for a in found["amounts"]
        )
        codes = tuple(
            Code(str(c["name"]), tuple(map(str, c["values"])), bool(c["shows_missing"]))
            for c in found["codes"]
        )
        return cls(amounts, codes)


def fitted(train: Features, say: Say = silent) -> Encoding:
    """The encoding of these rows; says which columns are left out because they never vary.

    Raises FairauditError where nothing is left, or where numbers are too large to be standardised.
    """
    amounts = [_amount(name, values) for name, values in train.amounts.items()]
    codes = [_code(name, coded) for name, coded in train.texts.items()]
    found = Encoding(tuple(a for a in amounts if a is not None), tuple(c for c in codes if c is not None))
    dull = [n for n in train.names if n not in found.names]
    if not found.names:
        raise FairauditError(
            f"no feature varies in the train rows ({', '.join(dull)}); a model needs one that does."
        )
    if dull:
        say(f"left out, the same in all train rows: {', '.join(dull)}.")
    return found


def _amount(name: str, values: npt.NDArray[np.float64]) -> Amount | None:
    """Mean and deviation; None where nothing varies, the missing ones included."""
    known = values[~np.isnan(values)]
    missing = len(known) < len(values)
    if not len(known):
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        mean, deviation = float(known.mean()), float(known.std())
    if not (math.isfinite(mean) and math.isfinite(deviation)):
        raise FairauditError(
            f"the numbers of '{name}' are too large to be standardised (up to {np.abs(known).max():.3g}); rescale them."
        )
    if deviation <= _ROUNDING * abs(mean):
        return Amount(name, mean, 1.0, True) if missing else None
    return Amount(name, mean, deviation, missing)


def _code(name: str, coded: Coded) -> Code | None:
    held = np.unique(coded.codes)
    missing, known = bool((held == ABSENT).any()), held[held != ABSENT]
    if len(held) < 2:
        return None
    return Code(name, tuple(coded.values[int(k)] for k in known), missing)


def _write_amount(out: npt.NDArray[np.float32], amount: Amount, values: npt.NDArray[np.float64]) -> None:
    absent = np.isnan(values)
    with np.errstate(over="ignore"):
        out[:, 0] = np.where(absent, 0.0, (values - amount.mean) / amount.deviation)
    if not np.isfinite(out[:, 0]).all():
        raise FairauditError(
            f"a value of '{amount.name}' is {np.nanmax(np.abs(values)):.3g}, too far from the train rows (mean "
            f"{amount.mean:.3g}, deviation {amount.deviation:.3g}); mend it."
        )
    if amount.shows_missing:
        out[:, 1] = absent


def _write_code(out: npt.NDArray[np.float32], code: Code, coded: Coded) -> None:
    places = {v: i for i, v in enumerate(code.values)}
    nowhere = code.width
    last = len(code.values) if code.shows_missing else nowhere
    at = np.array([*(places.get(v, nowhere) for v in coded.values), last], dtype=np.int64)[coded.codes]
    rows = np.flatnonzero(at < nowhere)
    out[rows, at[rows]] = 1.0


def _numbers(features: Features, name: str) -> npt.NDArray[np.float64]:
    if name in features.amounts:
        return features.amounts[name]
    text = features.texts[name].values if name in features.texts else ()
    if text:
        raise FairauditError(
            f"the column '{name}' held numbers in training and holds texts now ('{text[0]}')."
        )
    return np.full(len(features), np.nan)


def _texts(features: Features, name: str) -> Coded:
    return features.texts[name]
