"""Selection rate, TPR and FPR by group of a binary task, which is all that AIF360 and aequitas know.

Every function takes a pandas dataframe with `outcome`, `decided` (0 and 1) and `region` (text), and gives metric ->
values in the order of the sorted groups.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

Numbers = dict[str, list[float]]
METRICS = ("selection_rate", "tpr", "fpr")


def fairlearn(frame: pd.DataFrame) -> Numbers:
    """`MetricFrame` with fairlearn's own rates."""
    from fairlearn.metrics import MetricFrame, false_positive_rate, selection_rate, true_positive_rate

    asked = dict(zip(METRICS, (selection_rate, true_positive_rate, false_positive_rate), strict=True))
    found = MetricFrame(
        metrics=asked, y_true=frame["outcome"], y_pred=frame["decided"], sensitive_features=frame["region"]
    )
    by_group = found.by_group.sort_index()
    return {m: [float(v) for v in by_group[m]] for m in METRICS}


def sklearn(frame: pd.DataFrame) -> Numbers:
    """A plain loop over the groups, scikit-learn's confusion matrix of each."""
    from sklearn.metrics import confusion_matrix

    found: Numbers = {m: [] for m in METRICS}
    for _, part in frame.groupby("region"):
        (tn, fp), (fn, tp) = confusion_matrix(part["outcome"], part["decided"])
        for m, value in zip(METRICS, ((tp + fp) / len(part), tp / (tp + fn), fp / (fp + tn)), strict=True):
            found[m].append(float(value))
    return found


def pandas(frame: pd.DataFrame) -> Numbers:
    """Means with groupby."""
    selected = frame.groupby("region")["decided"].mean()
    rates = frame.groupby(["region", "outcome"])["decided"].mean().unstack()
    return {"selection_rate": selected.tolist(), "tpr": rates[1].tolist(), "fpr": rates[0].tolist()}


def duckdb(frame: pd.DataFrame) -> Numbers:
    """One GROUP BY of the dataframe."""
    import duckdb as engine

    with engine.connect() as con:
        con.register("preds", frame)
        rows = con.execute(
            "SELECT avg(decided), avg(decided) FILTER (outcome = 1), avg(decided) FILTER (outcome = 0) "
            "FROM preds GROUP BY region ORDER BY region"
        ).fetchall()
    return {m: [float(row[k]) for row in rows] for k, m in enumerate(METRICS)}


def aif360(frame: pd.DataFrame) -> Numbers:
    """`ClassificationMetric`, once a group; it takes numbers only, so the groups are numbered first."""
    import pandas as pd
    from aif360.datasets import BinaryLabelDataset
    from aif360.metrics import ClassificationMetric

    codes, groups = pd.factorize(frame["region"], sort=True)
    parts = {}
    for label in ("outcome", "decided"):
        numbered = pd.DataFrame({"region": codes, "label": frame[label].to_numpy()})
        parts[label] = BinaryLabelDataset(
            df=numbered, label_names=["label"], protected_attribute_names=["region"]
        )
    found: Numbers = {m: [] for m in METRICS}
    for k in range(len(groups)):
        others = [{"region": other} for other in range(len(groups)) if other != k]
        metric = ClassificationMetric(parts["outcome"], parts["decided"], [{"region": k}], others)
        values = (metric.selection_rate, metric.true_positive_rate, metric.false_positive_rate)
        for m, value in zip(METRICS, values, strict=True):
            found[m].append(float(value(privileged=False)))
    return found


def aequitas(frame: pd.DataFrame) -> Numbers:
    """`Group.get_crosstabs`; it wants its own column names."""
    from aequitas.group import Group

    renamed = frame.rename(columns={"outcome": "label_value", "decided": "score"})
    table, _ = Group().get_crosstabs(renamed[["score", "label_value", "region"]], attr_cols=["region"])
    table = table.sort_values("attribute_value")
    columns = dict(zip(METRICS, ("pprev", "tpr", "fpr"), strict=True))
    return {m: [float(v) for v in table[column]] for m, column in columns.items()}


def fairaudit(frame: pd.DataFrame) -> Numbers:
    """The three rates without intervals."""
    import fairaudit as ours

    audit = ours.audit(
        frame, y_true="outcome", y_pred="decided", sensitive=["region"], positive="1",
        interval="none", metrics=METRICS,
    )  # fmt: skip
    found = {m: {e.group: e.value for e in audit.estimates if e.metric == m and e.group} for m in METRICS}
    return {m: [float(values[g]) for g in sorted(values)] for m, values in found.items()}


#: Tool -> what is timed.
TOOLS = {
    "fairlearn": fairlearn, "aif360": aif360, "aequitas": aequitas, "sklearn": sklearn, "pandas": pandas,
    "duckdb": duckdb, "fairaudit": fairaudit,
}  # fmt: skip
