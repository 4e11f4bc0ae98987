"""One number of an audit: value, interval, counts, status and reason."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fairaudit.intervals import Interval


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its interval, or null with a reason.

    `by`: `overall`, `class`, an attribute, or attributes joined by `&`. `group`: set for a number about one
    group; `class_`: for a number about one class. `at`: what attains a minimum, maximum or gap. `n`: rows
    behind the number. `status`: `ok`, `small` (too few rows to be compared) or `undefined`.
    `reference`: companions, such as the value of a perfect classifier.
    """

    metric: str
    by: str
    value: float | None
    n: int
    group: str | None = None
    class_: str | None = None
    interval: Interval | None = None
    at: Mapping[str, str] | None = None
    numerator: float | None = None
    denominator: float | None = None
    status: str = "ok"
    reason: str | None = None
    reference: Mapping[str, float | None] | None = None

    def to_dict(self) -> dict[str, Any]:
        """The estimate as it stands in `audit.json`."""
        interval = None
        if self.interval is not None:
            i = self.interval
            interval = {"low": i.low, "high": i.high, "level": i.level, "method": i.method}
        return {
            "metric": self.metric,
            "by": self.by,
            "group": self.group,
            "class": self.class_,
            "value": self.value,
            "interval": interval,
            "at": None if self.at is None else dict(self.at),
            "n": self.n,
            "numerator": _plain(self.numerator),
            "denominator": _plain(self.denominator),
            "status": self.status,
            "reason": self.reason,
            "reference": None if self.reference is None else dict(self.reference),
        }

    @staticmethod
    def from_dict(record: Mapping[str, Any]) -> Estimate:
        """The estimate of a record of `audit.json`; keys that a later 1.x adds are passed over."""
        found = {k: record[k] for k in Estimate.__dataclass_fields__ if k not in ("class_", "interval")}
        interval = record["interval"]
        if interval is not None:
            interval = Interval(*(interval[k] for k in ("low", "high", "level", "method")))
        return Estimate(**found, class_=record["class"], interval=interval)


def undefined(metric: str, by: str, reason: str, n: int = 0, **where: Any) -> Estimate:
    """A number that cannot be computed: null, with the reason."""
    return Estimate(metric, by, None, n, status="undefined", reason=reason, **where)


def _plain(value: float | None) -> float | int | None:
    """Counts as integers, weighted sums as floats."""
    if value is None or math.isnan(value):
        return None
    return int(value) if float(value).is_integer() else float(value)
