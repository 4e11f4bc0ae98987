"""The targets of docs/performance.md: what was asked, what was measured, and by how much it is met or missed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Found = Mapping[str, Any]
GIB = 1024.0  # MiB


@dataclass(frozen=True, slots=True)
class Target:
    """One number against its limit. `most`: a limit from above (seconds, memory), or from below (times faster)."""

    work: str
    asked: str
    value: float
    limit: float
    unit: str
    most: bool = True

    @property
    def met(self) -> bool:
        """Whether it is inside its limit."""
        return self.value <= self.limit if self.most else self.value >= self.limit

    def verdict(self) -> str:
        """Met or missed, and by how much of the limit."""
        share = abs(self.value - self.limit) / self.limit
        if self.most:
            return f"met, {share:.0%} below the limit" if self.met else f"**missed** by {share:.0%}"
        return (
            f"met, {self.value / self.limit:.1f} times the target"
            if self.met
            else f"**missed** by {share:.0%}"
        )


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
    """Every target whose benchmark was run at the size that it names."""
    for part, judge in _JUDGES.items():
        if part in found:
            yield from judge(found[part])


def _scan(found: Found) -> Iterator[Target]:
    scans = {(s["name"], s["rows"]): s for s in found["scans"]}
    for name, rows, words, times in (
        ("Parquet", 10**7, "10⁷ rows, Parquet", 1.5), ("CSV", 10**7, "10⁷ rows, CSV", 1.2),
        ("Parquet, 100 parts", 10**9, "10⁹ rows, 100 Parquet parts", 1.3),
    ):  # fmt: skip
        if (one := scans.get((name, rows))) is None:
            continue
        floor = one["floor"]["median"]
        yield Target(f"{words}: full panel, 1,000 replicates, whole process", f"≤ {times} × bare GROUP BY + 1.0 s",
                     one["fairaudit"]["median"], times * floor + 1.0, "s")  # fmt: skip
        yield Target(f"{words}: peak memory", "≤ 1 GiB", one["fairaudit"]["peak_mib"], GIB, "MiB")
    more, fewer = scans.get(("Parquet, 100 parts", 10**9)), scans.get(("Parquet, 10 parts", 10**8))
    if more and fewer:
        ratio = more["fairaudit"]["median"] / fewer["fairaudit"]["median"]
        yield Target("time of 10⁹ rows by time of 10⁸", "≤ 10.5 ×", ratio, 10.5, "×")


def _peers(found: Found) -> Iterator[Target]:
    if found["rows"] != 10**6:
        return
    for form, limit in (("strings", 100.0), ("categoricals", 300.0), ("codes", 300.0)):
        tools = found["labels"][form]
        if "median" in tools["fairaudit"]:
            times = tools["fairlearn"]["median"] / tools["fairaudit"]["median"]
            yield Target(f"against fairlearn, 10⁶ rows, same numbers, no intervals, both from {form}",
                         f"≥ {limit:.0f} ×", times, limit, "×", most=False)  # fmt: skip
    boot = found["bootstrap"]
    ours = boot["seconds"]["ours"]["median"]
    times = boot["fairlearn_replicate"]["median"] / (ours / boot["replicates"])
    yield Target(
        "against fairlearn, per bootstrap replicate, 10⁶ rows", "≥ 5,000 ×", times, 5000.0, "×", most=False
    )
    yield Target(
        "1,000 replicates of 9,600 cells, with three metrics of each by group", "≤ 0.6 s", ours, 0.6, "s"
    )


def _wide(found: Found) -> Iterator[Target]:
    one = next(case for case in found["cases"] if case["name"] == "classes")
    if found["rows"] == 10**7 and "fairaudit" in one:
        ours = one["fairaudit"]
        yield Target(
            "10⁷ rows, 1,000 classes × 50 groups, whole process", "≤ 15 s", ours["median"], 15.0, "s"
        )
        yield Target(
            "10⁷ rows, 1,000 classes × 50 groups: peak memory", "≤ 2 GiB", ours["peak_mib"], 2 * GIB, "MiB"
        )


def _scores(found: Found) -> Iterator[Target]:
    if found["rows"] == 10**7:
        ratio = found["scores"]["median"] / found["counts"]["median"]
        yield Target(
            "10⁷ rows, ROC AUC, ECE and Brier by 6 groups, by the count-only run", "≤ 2 ×", ratio, 2.0, "×"
        )


def _startup(found: Found) -> Iterator[Target]:
    if found["rows"] != 7_000:
        return
    for name, words, limit in (
        ("--help", "`fairaudit --help`, by `python -c 'import numpy'`", 1.5),
        ("report, labels", "`fairaudit report` on 7,000 rows of CSV, by the same", 6.0),
        ("report, scores", "`fairaudit report` on 7,000 rows of CSV with scores, by the same", 6.0),
    ):
        yield Target(words, f"≤ {limit:g} ×", found["runs"][name]["ratio"], limit, "×")


_JUDGES: Mapping[str, Callable[[Found], Iterator[Target]]] = {
    "scan": _scan, "peers": _peers, "wide": _wide, "scores": _scores,
    "startup": _startup,
}  # fmt: skip
