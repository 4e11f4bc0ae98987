"""What the page says of a target that is missed: what the profile shows and what would reach it, by the target's key.

A paragraph is shown only while its target is missed. What was not profiled is said to be so.
"""

from __future__ import annotations

from collections.abc import Mapping

from performance_targets import Found, at, targets

_SQL = (
    "An audit of rows that stand in memory as plain labels counts them with numpy and starts no DuckDB, which needs "
    "20 ms to start and 90 ms (integers) to 260 ms (categoricals) to group 10⁶ rows."
)
PARAGRAPHS = {
    "parquet": "*10⁷ rows, Parquet.* The whole process takes {parquet:.2f} s of CPU, that of the bare GROUP BY "
    "{parquet_floor:.2f} s. The report on 7,000 rows, whose work hardly comes from rows, takes {small:.2f} s: imports, "
    "resampling the cells, intervals, writing. Less of these is what would bring it nearer to the limit.",
    "csv": "*10⁷ rows, CSV.* The whole process takes {csv:.2f} s of CPU, that of the bare GROUP BY {csv_floor:.2f} s, "
    "the report on 7,000 rows {small:.2f} s. What is more than the sum of the last two is reading; that part would "
    "have to come down to the bare query's.",
    "strings": f"*Against fairlearn, strings.* {_SQL} The three columns of text still have to be turned into numbers "
    "first. Both parts were not profiled further; categoricals and codes, in the table below, show what text adds.",
    "categoricals": f"*Against fairlearn, categoricals.* {_SQL} What is left was not profiled further; the time of a "
    "few thousand rows, which is fixed, is what no faster counting can go below.",
    "codes": f"*Against fairlearn, codes.* {_SQL} 64-bit codes are eight times as many bytes as the codes of "
    "categoricals with as few values; narrower integers would be read faster.",
    "boot": "*A bootstrap replicate against fairlearn.* Nearly all of ours is drawing the cells (“drawing alone” in "
    "the table under [A bootstrap replicate](#a-bootstrap-replicate)).",
    "replicates": "*1,000 replicates of 9,600 cells.* Nearly all of it is drawing (“drawing alone” in the table "
    "under [A bootstrap replicate](#a-bootstrap-replicate)): a binomial variate for each cell and replicate, about "
    "145 ns each where a cell has a hundred rows (80 ns where it has a thousand), 1.4 s on one core, shared by the "
    "cores that are free. More cores would reach it, or a Poisson "
    "bootstrap, which is not exact in distribution.",
    "wide": "*1,000 classes × 50 groups.* A third of the time is the scan, half the intervals of a million cells, the "
    "rest the writing of 50 MB of JSON. The scan needs about what the bare GROUP BY of the table below needs, so the "
    "intervals and the writing are where it would have to come from.",
    "scores": "*Scores by labels.* Ours is about 1.2 s of CPU in SQL: reading and binning 0.3 s, the sums for Brier "
    "and calibration 0.3 to 0.4 s, hashing 116,000 cells the rest. DuckDB alone needs 0.65 s of CPU to group the same "
    "rows into 10,000 equal bins. The count-only audit groups columns of two values, which Parquet holds as "
    "dictionaries, in 0.15 to 0.2 s; "
    "Python's start and imports take 0.5 s in both. A coarser grid would reach it, at the price of "
    "the AUC's error bound of 1e-4, or an aggregate of our own inside DuckDB that adds into an array "
    "instead of hashing.",
}


def missed(found: Mapping[str, Found]) -> str:
    """The paragraphs of the targets that are missed; a target without one is said not to be profiled."""
    every = [
        PARAGRAPHS.get(target.key, f"*{target.work}.* Missed, and not profiled yet.").format(**_cpu(found))
        for target in targets(found)
        if target.missed
    ]
    return "\n\n".join(every) or "None of those that were measured."


def _cpu(found: Mapping[str, Found]) -> dict[str, float]:
    """CPU seconds that the paragraphs name; NaN where they were not measured."""
    scans = {s["name"]: s for s in found.get("scan", {}).get("scans", ())}
    named = {
        "parquet": at(scans, "Parquet", "fairaudit", "cpu"), "parquet_floor": at(scans, "Parquet", "floor", "cpu"),
        "csv": at(scans, "CSV", "fairaudit", "cpu"), "csv_floor": at(scans, "CSV", "floor", "cpu"),
        "small": at(found, "startup", "runs", "report, labels", "cpu"),
    }  # fmt: skip
    return {name: float("nan") if value is None else value for name, value in named.items()}
