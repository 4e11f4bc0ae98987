"""One tool on one table in a process of its own: what it found, the seconds of the call alone, as JSON.

    python benchmarks/peers.py labels fairlearn strings FILE.parquet
    python benchmarks/peers.py labels fairlearn strings FILE.parquet 2     # with n_boot=2

The call is warmed up on 2,000 rows, so imports are not what is timed. The tool `rows` reads the table and calls
nothing: its peak memory is the share of the table itself in the others'.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import warnings
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = {"labels": ["y_true", "y_pred", "region"], "binary": ["outcome", "decided", "region"]}
NOT_INSTALLED = 3  # the exit code where the tool itself is not there
ENOUGH, MOST = 0.5, 7  # seconds; runs


def table(task: str, form: str, path: str) -> pd.DataFrame:
    """The table with its columns as text, as pandas categoricals or as 64-bit codes."""
    import pandas as pd

    frame = pd.read_parquet(path, columns=COLUMNS[task])
    if form == "categoricals":
        labels = pd.CategoricalDtype(sorted(frame["y_true"].unique()))  # one dtype: pandas compares no others
        return frame.astype({"y_true": labels, "y_pred": labels, "region": "category"})
    if form == "codes":
        return pd.DataFrame({c: pd.factorize(frame[c], sort=True)[0].astype("int64") for c in frame})
    return frame


def timed(call: Callable[[], Any]) -> tuple[list[float], Any]:
    """Seconds of every run: one of a slow call, up to `MOST` of a fast one."""
    runs: list[float] = []
    while not runs or (sum(runs) < ENOUGH and len(runs) < MOST):
        start = time.perf_counter()
        found = call()
        runs.append(time.perf_counter() - start)
    return runs, found


def main() -> None:
    task, tool, form, path, *boot = sys.argv[1:]
    logging.disable(logging.WARNING)  # AIF360 tells of the extras that it lacks
    warnings.simplefilter("ignore")
    frame = table(task, form, path)
    if tool == "rows":
        print(json.dumps({"seconds": [0.0], "numbers": None}))
        return
    run = import_module(f"peers_{task}").TOOLS[tool]
    more = {"n_boot": int(boot[0])} if boot else {}
    try:
        run(frame.head(2000))
    except ModuleNotFoundError as error:
        print(f"not installed ({error})")
        sys.exit(NOT_INSTALLED)
    seconds, found = timed(lambda: run(frame, **more))
    print(json.dumps({"seconds": seconds, "numbers": found}))


if __name__ == "__main__":
    main()
