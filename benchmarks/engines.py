"""One audit of the same rows through one engine, in a process of its own: checksum and seconds as JSON.

python benchmarks/engines.py polars-lazy FILE.parquet FILE.csv
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from peers import timed


def pandas(parquet: str, _: str) -> Any:
    """A dataframe in memory."""
    import pandas as pd

    return pd.read_parquet(parquet)


def polars(parquet: str, _: str) -> Any:
    """A dataframe in memory."""
    import polars as pl

    return pl.read_parquet(parquet)


def polars_lazy(parquet: str, _: str) -> Any:
    """A plan; the file is read when the audit asks."""
    import polars as pl

    return pl.scan_parquet(parquet)


def pyarrow(parquet: str, _: str) -> Any:
    """A table in memory."""
    import pyarrow.parquet as pq

    return pq.read_table(parquet)


def duckdb(parquet: str, _: str) -> Any:
    """A relation; the file is read when the audit asks."""
    import duckdb as engine

    return engine.connect().read_parquet(parquet)


def parquet(parquet: str, _: str) -> Any:
    """The file itself."""
    return parquet


def csv(_: str, csv: str) -> Any:
    """The file itself."""
    return csv


def dask(parquet: str, _: str) -> Any:
    """A plan; the file is read when the audit asks."""
    import dask.dataframe as dd

    return dd.read_parquet(parquet)


def spark(parquet: str, _: str) -> Any:
    """A plan on local Spark with two cores; the file is read when the audit asks."""
    from pyspark.sql import SparkSession

    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    session = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "2")
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("ERROR")
    session.range(1000).selectExpr("id % 7 AS k").groupBy(
        "k"
    ).count().collect()  # warm: the JVM and its workers
    return session.read.parquet(parquet)


#: Engine -> how the rows are held before the audit.
ENGINES: dict[str, Callable[[str, str], Any]] = {
    "parquet": parquet, "csv": csv, "pandas": pandas, "polars": polars, "polars-lazy": polars_lazy,
    "pyarrow": pyarrow, "duckdb": duckdb, "dask": dask, "spark": spark,
}  # fmt: skip


def main() -> None:
    engine, *files = sys.argv[1:]
    try:
        data = ENGINES[engine](*files)
        import fairaudit
    except ImportError as error:
        print(json.dumps({"reason": f"not installed: {error}"}))
        return

    def audited() -> Any:
        return fairaudit.audit(data, y_true="y_true", y_pred="y_pred", sensitive=["region"])

    try:
        start = time.perf_counter()
        audit = audited()
        first = time.perf_counter() - start
    except fairaudit.FairauditError as error:
        print(json.dumps({"reason": str(error)}))
        return
    seconds, _ = timed(audited)
    print(json.dumps({"sha256": audit.content_sha256, "first": first, "seconds": seconds,
                      "held": (ENGINES[engine].__doc__ or "").rstrip(".")}))  # fmt: skip


if __name__ == "__main__":
    main()
