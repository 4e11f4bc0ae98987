"""The targets of docs/performance.md: what was asked, what was measured, and by how much it is met or missed.

Every target stands in the table, those that were not measured too. A ratio is the median of ratios of the same turn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Found = Mapping[str, Any]
GIB = 1024.0  # MiB
#: key -> the work, its limit, whether from above.
TRAINING = {
    "penalty": ("`fairlora`, one pass, by `lora`", 1.05, True),
    "two passes": ("`fairlora`, two passes, by `lora` with the same accumulation", 1.55, True),
    "trainer": ("`lora` by plain `Trainer` with PEFT", 1.05, True),
    "cached": ("images a second of `--adapt last-4`, cached, by those of all 12 blocks", 2.5, False),
}
#: What was asked for these steps; a quick look with fewer is not the measurement.
TRAINING_TURNS = 200


@dataclass(frozen=True, slots=True)
class Target:
    """One number against its limit. `most`: a limit from above (seconds, memory), or from below (times faster).

    `value`: None where it was not measured at the size that the target names. `turns`: how many runs are behind it.
    """

    key: str
    work: str
    asked: str
    value: float | None
    limit: float
    unit: str
    most: bool = True
    turns: int = 0

    @property
    def met(self) -> bool:
        """Whether it was measured and is inside its limit."""
        if self.value is None:
            return False
        return self.value <= self.limit if self.most else self.value >= self.limit

    @property
    def missed(self) -> bool:
        """Whether it was measured and is outside."""
        return self.value is not None and not self.met

    def verdict(self) -> str:
        """Met or missed, by how much of the limit, and whether one run is all that says so."""
        if self.value is None:
            return "not measured"
        share = abs(self.value - self.limit) / self.limit
        inside = (
            f"{share:.0%} below the limit" if self.most else f"{self.value / self.limit:.1f} times the target"
        )
        said = f"met, {inside}" if self.met else f"**missed** by {share:.0%}"
        return said + (" (one run)" if self.turns == 1 else "")


def seconds(value: float) -> str:
    """Seconds with three digits."""
    digits = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3
    return f"{value:.{digits}f} s" if value >= 0.1 else f"{1000 * value:.3g} ms"


def shown(value: float, unit: str) -> str:
    """A measured value with its unit."""
    if unit == "s":
        return seconds(value)
    if unit == "MiB":
        return f"{value:,.0f} MiB"
    return f"{value:,.0f} ×" if value >= 100 else f"{value:.2f} ×"


def targets(found: Mapping[str, Found]) -> Iterator[Target]:
    """Every target, with its value where its benchmark was run at the size that it names."""
    for part, judge in _JUDGES.items():
        yield from judge(found.get(part, {}))


def at(found: Found | None, *path: str) -> Any:
    """What stands there, or None where something on the way is missing."""
    one: Any = found
    for name in path:
        one = one.get(name) if one else None
    return one


def _scan(found: Found) -> Iterator[Target]:
    scans = {(s["name"], s["rows"]): s for s in found.get("scans", ())}
    for key, name, rows, words, times in (
        ("parquet", "Parquet", 10**7, "10⁷ rows, Parquet", 1.5), ("csv", "CSV", 10**7, "10⁷ rows, CSV", 1.2),
        ("big", "Parquet, 100 parts", 10**9, "10⁹ rows, 100 Parquet parts", 1.3),
    ):  # fmt: skip
        one = scans.get((name, rows))
        turns = at(one, "fairaudit", "turns") or 0
        limit, took = times * (at(one, "floor", "median") or 0.0) + 1.0, at(one, "fairaudit", "median")
        yield Target(key, f"{words}: full panel, 1,000 replicates, whole process",
                     f"≤ {times} × bare GROUP BY + 1.0 s", took, limit, "s", turns=turns)  # fmt: skip
        yield Target(f"{key} memory", f"{words}: peak memory", "≤ 1 GiB", at(one, "fairaudit", "peak_mib"), GIB,
                     "MiB", turns=turns)  # fmt: skip
    big = scans.get(("Parquet, 100 parts", 10**9))
    yield Target("grown", "time of 10⁹ rows by time of 10⁸", "≤ 10.5 ×", at(big, "grown"), 10.5, "×",
                 turns=at(big, "fairaudit", "turns") or 0)  # fmt: skip


def _peers(found: Found) -> Iterator[Target]:
    found = found if found.get("rows") == 10**6 else {}
    for form, limit in (("strings", 100.0), ("categoricals", 300.0), ("codes", 300.0)):
        tools = at(found, "labels", form)
        yield Target(form, f"against fairlearn, 10⁶ rows, same numbers, no intervals, both from {form}",
                     f"≥ {limit:.0f} ×", at(tools, "fairaudit", "times"), limit, "×", most=False,
                     turns=at(tools, "fairlearn", "turns") or 0)  # fmt: skip
    boot = at(found, "bootstrap")
    turns = at(boot, "f1", "turns") or 0
    yield Target("boot", "against fairlearn, per bootstrap replicate, 10⁶ rows", "≥ 5,000 ×", at(boot, "times"),
                 5000.0, "×", most=False, turns=turns)  # fmt: skip
    yield Target("replicates", "1,000 replicates of 9,600 cells, with F1 of every group and class, as the audit does",
                 "≤ 0.6 s", at(boot, "f1", "median"), 0.6, "s", turns=turns)  # fmt: skip


def _wide(found: Found) -> Iterator[Target]:
    cases = {case["name"]: case for case in found.get("cases", ())} if found.get("rows") == 10**7 else {}
    ours, words = at(cases, "classes", "fairaudit"), "10⁷ rows, 1,000 classes × 50 groups"
    turns = at(ours, "turns") or 0
    yield Target("wide", f"{words}, whole process", "≤ 15 s", at(ours, "median"), 15.0, "s", turns=turns)
    yield Target("wide memory", f"{words}: peak memory", "≤ 2 GiB", at(ours, "peak_mib"), 2 * GIB, "MiB",
                 turns=turns)  # fmt: skip


def _scores(found: Found) -> Iterator[Target]:
    found = found if found.get("rows") == 10**7 else {}
    yield Target("scores", "10⁷ rows, ROC AUC, ECE and Brier by 6 groups, by the count-only run", "≤ 2 ×",
                 at(found, "ratio"), 2.0, "×", turns=at(found, "scores", "turns") or 0)  # fmt: skip


def _startup(found: Found) -> Iterator[Target]:
    found = found if found.get("rows") == 7_000 else {}
    for name, words, limit in (
        ("--help", "`fairaudit --help`, by `python -c 'import numpy'`", 1.5),
        ("report, labels", "`fairaudit report` on 7,000 rows of CSV, by the same", 6.0),
        ("report, scores", "`fairaudit report` on 7,000 rows of CSV with scores, by the same", 6.0),
    ):
        one = at(found, "runs", name)
        yield Target(f"startup {name}", words, f"≤ {limit:g} ×", at(one, "ratio"), limit, "×",
                     turns=at(one, "turns") or 0)  # fmt: skip


def _training(found: Found) -> Iterator[Target]:
    """The upper bound of a ratio that has a limit from above, the lower bound of the other; the peaks."""
    for key, (work, limit, most) in TRAINING.items():
        one = at(found, "ratios", key)
        enough = one if one and one["turns"] >= TRAINING_TURNS else None
        side, sign = ("high", "≤") if most else ("low", "≥")
        turns = at(enough, "turns") or 0
        yield Target(f"training {key}", f"{work}: 95 % bound", f"{sign} {limit} ×", at(enough, side), limit, "×",
                     most=most, turns=turns)  # fmt: skip
        if most:
            yield Target(f"training {key} memory", f"{work}: peak memory", "≤ 1.05 ×", at(enough, "memory"), 1.05,
                         "×", turns=turns)  # fmt: skip


_JUDGES: Mapping[str, Callable[[Found], Iterator[Target]]] = {
    "scan": _scan, "peers": _peers, "wide": _wide, "scores": _scores,
    "startup": _startup, "training": _training,
}  # fmt: skip
