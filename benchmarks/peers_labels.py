"""Accuracy, macro F1 and macro recall by group, as each tool's user would ask for them: the same numbers.

Every function takes a pandas dataframe with `y_true`, `y_pred`, `region` and gives metric -> values in the order of the
sorted groups.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

Numbers = dict[str, list[float]]
METRICS = ("accuracy", "f1_macro", "recall_macro")


def scores() -> dict[str, Any]:
    """scikit-learn's functions, as its users combine them."""
    from sklearn.metrics import accuracy_score, f1_score, recall_score

    return {
        "accuracy": accuracy_score,
        "f1_macro": lambda a, b: float(f1_score(a, b, average="macro")),
        "recall_macro": lambda a, b: float(recall_score(a, b, average="macro")),
    }


def fairlearn(frame: pd.DataFrame, n_boot: int | None = None) -> Numbers:
    """`MetricFrame`, with or without its bootstrap."""
    from fairlearn.metrics import MetricFrame

    more = {} if n_boot is None else {"n_boot": n_boot, "ci_quantiles": [0.025, 0.975], "random_state": 0}
    found = MetricFrame(
        metrics=scores(), y_true=frame["y_true"], y_pred=frame["y_pred"], sensitive_features=frame["region"], **more
    )  # fmt: skip
    by_group = found.by_group.sort_index()
    return {m: [float(v) for v in by_group[m]] for m in METRICS}


def sklearn(frame: pd.DataFrame) -> Numbers:
    """A plain loop over the groups, scikit-learn's functions on each."""
    parts = [part for _, part in frame.groupby("region", observed=True)]
    return {m: [float(f(p["y_true"], p["y_pred"])) for p in parts] for m, f in scores().items()}


def pandas(frame: pd.DataFrame) -> Numbers:
    """Counted by hand with groupby: rows, labels, predictions and hits of every group and class."""
    right = frame["y_true"] == frame["y_pred"]
    hits = right.groupby([frame["region"], frame["y_true"]], observed=True).sum()
    labels = frame.groupby(["region", "y_true"], observed=True).size()
    guesses = frame.groupby(["region", "y_pred"], observed=True).size()
    guesses.index.names = labels.index.names
    f1 = 2 * hits / labels.add(guesses, fill_value=0)
    return {
        "accuracy": _listed(right.groupby(frame["region"], observed=True).mean()),
        "f1_macro": _listed(f1.groupby(level=0, observed=True).mean()),
        "recall_macro": _listed((hits / labels).groupby(level=0, observed=True).mean()),
    }


def duckdb(frame: pd.DataFrame) -> Numbers:
    """DuckDB's bare GROUP BY of the dataframe, the numbers from its few cells."""
    import duckdb as engine

    with engine.connect() as con:
        con.register("preds", frame)
        cells = con.execute(
            "SELECT region::VARCHAR AS region, y_true::VARCHAR AS y_true, y_pred::VARCHAR AS y_pred, count(*) AS n "
            "FROM preds GROUP BY ALL"
        ).df()
    right = cells["n"].where(cells["y_true"] == cells["y_pred"], 0)
    hits = right.groupby([cells["region"], cells["y_true"]]).sum()
    labels = cells.groupby(["region", "y_true"])["n"].sum()
    guesses = cells.groupby(["region", "y_pred"])["n"].sum()
    guesses.index.names = labels.index.names
    rows = cells.groupby("region")["n"].sum()
    return {
        "accuracy": _listed(right.groupby(cells["region"]).sum() / rows),
        "f1_macro": _listed((2 * hits / labels.add(guesses, fill_value=0)).groupby(level=0).mean()),
        "recall_macro": _listed((hits / labels).groupby(level=0).mean()),
    }


def _listed(values: pd.Series) -> list[float]:
    return [float(v) for v in values.sort_index()]


def fairaudit(frame: pd.DataFrame) -> Numbers:
    """The three metrics without intervals."""
    return _audited(frame, interval="none", metrics=METRICS)


def fairaudit_panel(frame: pd.DataFrame) -> Numbers:
    """The whole panel, every number with its interval (1,000 replicates)."""
    return _audited(frame)


def _audited(frame: pd.DataFrame, **asked: Any) -> Numbers:
    import fairaudit as ours

    audit = ours.audit(frame, y_true="y_true", y_pred="y_pred", sensitive=["region"], **asked)
    found: dict[str, dict[str, float]] = {m: {} for m in METRICS}
    for e in audit.estimates:
        if e.by == "region" and e.group is not None and e.class_ is None and e.metric in found:
            found[e.metric][e.group] = float(e.value)
    return {m: [values[g] for g in sorted(values)] for m, values in found.items()}


#: Tool -> what is timed.
TOOLS = {
    "fairlearn": fairlearn, "sklearn": sklearn, "pandas": pandas, "duckdb": duckdb, "fairaudit": fairaudit,
    "fairaudit_panel": fairaudit_panel,
}  # fmt: skip
