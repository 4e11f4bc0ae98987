"""What a sweep over one setting (rank or λ) shows: mean ± sd over seeds at each value, and whether there is a trend.

    python examples/digits_on_places/curves.py runs/ranks rank
    python examples/digits_on_places/curves.py runs/penalties penalty

Trend: Spearman's correlation of the setting with the metric over all cells of a run, two-sided p, not corrected for
their number. Spread: the range of the means over the values of the setting.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd
from scipy.stats import spearmanr

#: metric -> (by, name, factor)
METRICS = {
    "accuracy": ("overall", "accuracy", 100),
    "worst_group_accuracy": ("place", "worst cell", 100),
    "eod_max": ("place", "EOD_max", 100),
    "loss_variance": ("place", "loss variance by place", 1),
}


def numbers(run: Path) -> pd.DataFrame:
    """One row a cell of the sweep (a run, a value of the setting, a seed), the metrics as columns."""
    found = pd.read_parquet(run / "results.parquet").query("split == 'test'")
    found = found[found["group"].isna() & found["class"].isna()]
    kept = found[[METRICS.get(m, ("",))[0] == by for m, by in zip(found["metric"], found["by"], strict=True)]]
    wide = kept.pivot(
        index=["run", "rank", "penalty", "seed"], columns="metric", values="value"
    ).reset_index()
    return wide.assign(**{m: wide[m] * factor for m, (_, _, factor) in METRICS.items()})


def spread(values: pd.Series, factor: float) -> str:
    """mean ± sd."""
    return (
        f"{values.mean():.1f} ± {values.std():.1f}"
        if factor > 1
        else f"{values.mean():.4f} ± {values.std():.4f}"
    )


def table(cells: pd.DataFrame, setting: str) -> list[str]:
    """One line a run and value, and one that says whether there is a trend."""
    lines = [f"| run | {setting} | " + " | ".join(name for _, name, _ in METRICS.values()) + " |"]
    lines.append("|---|--:|" + "--:|" * len(METRICS))
    for run, rows in cells.groupby("run"):
        groups = rows.groupby(setting, dropna=False)
        for at, group in groups:
            shown = (spread(group[m], factor) for m, (_, _, factor) in METRICS.items())
            lines.append(f"| `{run}` | {'' if pd.isna(at) else f'{at:g}'} | {' | '.join(shown)} |")
        if len(groups) > 1:
            lines.append(
                f"| `{run}` | trend; spread | {' | '.join(trend(rows, setting, m) for m in METRICS)} |"
            )
    return lines


def trend(rows: pd.DataFrame, setting: str, metric: str) -> str:
    """Spearman's ρ with its p, and the range of the means."""
    rho, p = spearmanr(rows[setting], rows[metric])
    means = rows.groupby(setting)[metric].mean()
    digits = 1 if METRICS[metric][2] > 1 else 4
    return f"ρ {rho:+.2f} (p {p:.3f}); {means.max() - means.min():.{digits}f}"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="folder of the sweep")
    parser.add_argument("setting", choices=["rank", "penalty"])
    given = parser.parse_args()
    print("\n".join(table(numbers(given.run), given.setting)))


if __name__ == "__main__":
    main()
