"""The floor: a process that does nothing but DuckDB's bare GROUP BY of some columns of a file.

    python benchmarks/floor.py FILE COLUMN…

Prints as JSON the number of cells and the seconds of the query alone; the process is what the benchmarks time.
"""

from __future__ import annotations

import json
import sys
import time

import duckdb


def main() -> None:
    path, *columns = sys.argv[1:]
    rows = f"read_csv('{path}', all_varchar=true)" if path.endswith(".csv") else f"read_parquet('{path}')"
    named = ", ".join(columns)
    start = time.perf_counter()
    cells = duckdb.connect().execute(f"SELECT {named}, count(*) FROM {rows} GROUP BY ALL").fetchall()
    print(json.dumps({"cells": len(cells), "seconds": time.perf_counter() - start}))


if __name__ == "__main__":
    main()
