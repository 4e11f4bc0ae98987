"""A fitted rule as a value: whom it predicts positive, with which probability, and how it stands in `rule.json`.

Hardt et al. (arXiv 1610.02413): in each group a row is positive where its score beats one threshold with probability
p0, another with p1 = 1 − p0; and for equalized odds, with probability `p_ignore`, by a coin of bias `constant`:

    P(Ŷ = 1 | score, group) = p_ignore · constant + (1 − p_ignore) (p0 [score beats t0] + p1 [score beats t1])

Where that is neither 0 nor 1 the rule draws. The draw depends on seed and row id alone: the same row gets the same
answer in every run, in every order, in any file.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fairaudit.errors import FairauditError

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

SCHEMA = "fairaudit.rule"
EVERYBODY, NOBODY = "everybody", "nobody"
#: The values of the attributes, in their order.
Group = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cut:
    """Scores `above` (or below) `at` are positive; `at` may be infinite."""

    at: float
    above: bool = True

    def chosen(self, scores: Floats) -> npt.NDArray[np.bool_]:
        """Whom it predicts positive."""
        found: npt.NDArray[np.bool_] = scores > self.at if self.above else scores < self.at
        return found

    def to_json(self) -> str | dict[str, float]:
        """`everybody`, `nobody`, `{"above": t}` or `{"below": t}`."""
        if math.isinf(self.at):
            return EVERYBODY if (self.at < 0) is self.above else NOBODY
        return {"above" if self.above else "below": self.at}


def cut_of(value: object) -> Cut:
    """The inverse of `to_json`. Raises ValueError for anything else."""
    if value in (EVERYBODY, NOBODY):
        return Cut(-math.inf if value == EVERYBODY else math.inf)
    if not isinstance(value, dict) or len(value) != 1 or set(value) - {"above", "below"}:
        raise ValueError(f"no threshold: {value!r}")
    ((word, at),) = value.items()
    return Cut(_share(at, -math.inf, math.inf), word == "above")


@dataclass(frozen=True, slots=True)
class GroupRule:
    """The thresholds of one group; `n` and `positives`: the rows it was fitted to."""

    p0: float
    cut0: Cut
    p1: float
    cut1: Cut
    p_ignore: float = 0.0
    constant: float = 0.0
    n: int = 0
    positives: int = 0

    def probabilities(self, scores: Floats) -> Floats:
        """P(Ŷ = 1) of each score, by the formula above (in the order of operations of fairlearn)."""
        mixed = self.p0 * self.cut0.chosen(scores) + self.p1 * self.cut1.chosen(scores)
        found: Floats = self.p_ignore * self.constant + (1 - self.p_ignore) * mixed
        return found


@dataclass(frozen=True, slots=True)
class Rule:
    """What was fitted, on which columns. `sensitive`: the attributes whose crossing makes a group."""

    groups: Mapping[Group, GroupRule]
    sensitive: tuple[str, ...]
    y_score: str
    positive: str
    negative: str
    constraint: str
    objective: str
    seed: int = 0

    def probabilities(self, scores: Floats, groups: Sequence[Group]) -> Floats:
        """P(Ŷ = 1) of each row, [rows]; NaN for a group that the rule does not know."""
        found = np.full(len(scores), np.nan)
        for group, rule in self.groups.items():
            here = np.array([g == group for g in groups], dtype=bool)
            found[here] = rule.probabilities(scores[here])
        return found

    def to_json(self) -> str:
        """The text of `rule.json`."""
        whole = {
            "schema": SCHEMA,
            "schema_version": "1.0",
            "constraint": self.constraint,
            "objective": self.objective,
            "columns": {"y_score": self.y_score, "sensitive": list(self.sensitive)},
            "positive": self.positive,
            "negative": self.negative,
            "seed": self.seed,
            "groups": [
                {
                    "group": dict(zip(self.sensitive, group, strict=True)),
                    "rows": r.n,
                    "positives": r.positives,
                    "p_ignore": r.p_ignore,
                    "constant": r.constant,
                    "p0": r.p0,
                    "cut0": r.cut0.to_json(),
                    "p1": r.p1,
                    "cut1": r.cut1.to_json(),
                }
                for group, r in self.groups.items()
            ],
        }
        return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def read_rule(path: str | Path) -> Rule:
    """The rule in a file. Raises FairauditError where it is none."""
    try:
        whole = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise FairauditError(
            f"cannot read the rule '{path}': {getattr(error, 'strerror', None) or error}; name a rule.json."
        ) from error
    except ValueError as error:
        raise _no_rule(path, "it is no JSON") from error
    try:
        if whole["schema"] != SCHEMA or str(whole["schema_version"]).split(".")[0] != "1":
            raise ValueError(f"schema {whole['schema']} {whole['schema_version']}")
        return _rule(whole)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _no_rule(path, f"{type(error).__name__}: {error}") from error


def _no_rule(path: str | Path, why: str) -> FairauditError:
    return FairauditError(
        f"'{path}' is not a rule ({why}); `fairaudit mitigate PREDS --method threshold` writes one as rule.json."
    )


def _rule(whole: Any) -> Rule:
    sensitive = tuple(str(s) for s in whole["columns"]["sensitive"])
    groups = {
        tuple(str(g["group"][s]) for s in sensitive): GroupRule(
            _share(g["p0"]),
            cut_of(g["cut0"]),
            _share(g["p1"]),
            cut_of(g["cut1"]),
            _share(g["p_ignore"]),
            _share(g["constant"]),
            int(g["rows"]),
            int(g["positives"]),
        )
        for g in whole["groups"]
    }
    return Rule(
        groups,
        sensitive,
        y_score=str(whole["columns"]["y_score"]),
        positive=str(whole["positive"]),
        negative=str(whole["negative"]),
        constraint=str(whole["constraint"]),
        objective=str(whole["objective"]),
        seed=int(whole["seed"]),
    )


def _share(value: Any, low: float = 0.0, high: float = 1.0) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ValueError(f"{value!r} is not a number from {low:g} to {high:g}")
    return float(value)


def draws(ids: Sequence[str], seed: int) -> Floats:
    """A number in [0, 1) for each row, from the md5 of seed and id: 53 bits, so exact as a float."""
    return np.array([_draw(f"{seed}:{name}") for name in ids], dtype=np.float64)


def _draw(key: str) -> float:
    digest = hashlib.md5(key.encode(), usedforsecurity=False).digest()
    return (int.from_bytes(digest[:7]) >> 3) / 2**53


def decide(probabilities: Floats, uniform: Floats) -> npt.NDArray[np.bool_]:
    """Positive where the draw falls below the probability: never at 0, always at 1."""
    found: npt.NDArray[np.bool_] = uniform < probabilities
    return found
