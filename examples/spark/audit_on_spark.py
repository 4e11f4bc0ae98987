"""The same audit on Spark and in DuckDB: predictions as partitioned Parquet, counted by both, compared by checksum.

python examples/spark/audit_on_spark.py                        # local Spark, data made up
spark-submit --master yarn audit_on_spark.py hdfs:///preds     # a cluster, its own data (no comparison)
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

import fairaudit

ROLES = {"y_true": "label", "y_score": "score", "sensitive": ["sex", "region"]}


def predictions(rows: int, seed: int) -> pd.DataFrame:
    """A model that misses more of the women who are positive; two months of it."""
    rng = np.random.default_rng(seed)
    sex = rng.choice(["F", "M"], rows)
    label = rng.integers(0, 2, rows)
    score = rng.beta(2 + 2 * label - 0.6 * (label * (sex == "F")), 3)
    region = rng.choice(["north", "south", "west"], rows)
    month = rng.choice(["2026-01", "2026-02"], rows)
    return pd.DataFrame({"label": label, "score": score, "sex": sex, "region": region, "month": month})


def compared(folder: Path, rows: int) -> None:
    """Write the made-up predictions, audit the folder with both engines, and say whether they agree."""
    predictions(rows, seed=0).to_parquet(folder, partition_cols=["month"], index=False)
    found = {engine: fairaudit.audit(folder, engine=engine, **ROLES) for engine in ("spark", "duckdb")}
    for engine, audit in found.items():
        print(f"{engine:6} {audit.content_sha256}")
    gap = found["spark"].estimate("equal_opportunity_difference", by="sex")
    print(f"rows {rows:,}; equal_opportunity_difference by sex {gap.value:.4f}")
    if found["spark"].content_sha256 != found["duckdb"].content_sha256:
        raise SystemExit("the two engines differ; please report this")


def audited(paths: list[str]) -> None:
    """Audit what a cluster can read; the session is the one that spark-submit has set up."""
    audit = fairaudit.audit(paths, engine="spark", **ROLES)
    Path("audit.json").write_text(audit.to_json(), encoding="utf-8")
    print(f"wrote audit.json ({audit.content_sha256})")


def main() -> None:
    """Compare engines on made-up data, or audit the given paths."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("paths", nargs="*", help="Parquet that the cluster can read")
    parser.add_argument("--rows", type=int, default=100_000)
    asked = parser.parse_args()
    if asked.paths:
        audited(asked.paths)
        return
    with tempfile.TemporaryDirectory() as folder:
        compared(Path(folder, "preds"), asked.rows)


if __name__ == "__main__":
    main()
