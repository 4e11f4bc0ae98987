"""The tables of README.md, from results.json: so that no number there is typed.

python examples/hatecheck/tables.py examples/hatecheck/results.json --into examples/hatecheck/README.md
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HEADS = {
    "accuracy": "accuracy",
    "worst_group_accuracy": "worst cell",
    "eod_max": "EOD_max",
    "equalized_odds_difference": "equalized odds gap",
    "f1_min": "F1 min",
    "recall_min": "recall min",
}
RATES = {"accuracy": "accuracy", "tpr": "hateful found", "tnr": "harmless left alone"}


def name(row: dict[str, Any]) -> str:
    """A method with its λ."""
    return f"{row['method']}, λ = {row['penalty']:g}" if row["penalty"] is not None else str(row["method"])


def bar(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def over_folds(results: dict[str, Any]) -> Iterator[str]:
    """Mean ± sd over the folds."""
    yield bar(["percent, mean ± sd over folds", "folds", *HEADS.values()])
    yield bar(["---", *["--:"] * (1 + len(HEADS))])
    for row in results["summary"]:
        cells = [row[m] for m in HEADS]
        shown = ["–" if c is None else f"{c['mean']:.1f}" + (f" ± {c['sd']:.1f}" if c["sd"] is not None else "")
                 for c in cells]  # fmt: skip
        yield bar([name(row), str(row["folds"]), *shown])


def interval(e: dict[str, Any], signed: bool = False) -> str:
    """Value and 95 % interval in percent."""
    form = "+.1f" if signed else ".1f"
    if e["value"] is None:
        return "–"
    inside = "" if e["low"] is None else f" [{100 * e['low']:{form}}, {100 * e['high']:{form}}]"
    return f"{100 * e['value']:{form}}{inside}".replace("-", "−")


def pooled(results: dict[str, Any]) -> Iterator[str]:
    """Each finished method on the test rows of all folds."""
    yield bar(["all test rows together, percent [95 %]", *HEADS.values()])
    yield bar(["---", *["--:"] * len(HEADS)])
    for row in results["pooled"]:
        yield bar([name(row), *(interval(row["metrics"][m]) for m in HEADS)])


def groups(results: dict[str, Any]) -> Iterator[str]:
    """What each group of sentences gains or loses against LoRA; ↑ and ↓ where the interval excludes 0."""
    rows = [r for r in results["pooled"] if "against_lora" in r]
    base = next(r for r in results["pooled"] if "against_lora" not in r)
    yield bar(["sentences about", "rate", "lora", *(f"{name(r)}: change" for r in rows)])
    yield bar(["---", "---", *["--:"] * (1 + len(rows))])
    for group in base["groups"]:
        for rate, told in RATES.items():
            at_first = base["groups"][group][rate]
            if at_first["value"] is not None:
                changes = [change(r, rate, group) for r in rows]
                yield bar([group, told, f"{100 * at_first['value']:.1f}", *changes])


def change(row: dict[str, Any], metric: str, group: str | None) -> str:
    """The change of one number against LoRA."""
    found = next((c for c in row["against_lora"] if (c["metric"], c["group"]) == (metric, group)), None)
    if found is None or found["change"] is None:
        return "–"
    mark = " ↓" if found["worse"] else " ↑" if found["better"] else ""
    ends = found["interval"] or {"low": None, "high": None}
    return interval({"value": found["change"], **ends}, signed=True) + mark


def against(results: dict[str, Any]) -> Iterator[str]:
    """The change of the metrics over all rows against LoRA."""
    yield bar(["change against LoRA, same rows, percent [95 %]", *HEADS.values()])
    yield bar(["---", *["--:"] * len(HEADS)])
    for row in results["pooled"]:
        if "against_lora" in row:
            yield bar([name(row), *(change(row, m, None) for m in HEADS)])


def tables(results: dict[str, Any]) -> dict[str, str]:
    """Title -> Markdown."""
    made = {"folds": over_folds, "pooled": pooled, "against": against, "groups": groups}
    return {title: "\n".join(make(results)) for title, make in made.items()}


def filled(page: str, results: dict[str, Any]) -> str:
    """The page with each table between its marks, `<!-- folds -->` and `<!-- /folds -->`, made anew."""
    for title, table in tables(results).items():
        start, end = f"<!-- {title} -->", f"<!-- /{title} -->"
        before, _, rest = page.partition(start)
        page = f"{before}{start}\n{table}\n{end}{rest.partition(end)[2]}" if rest else page
    return page


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("--into", type=Path, help="write them into this page instead of printing them")
    args = parser.parse_args()
    results = json.loads(args.results.read_text(encoding="utf-8"))
    if args.into is None:
        print("\n\n".join(tables(results).values()))
    else:
        args.into.write_text(filled(args.into.read_text(encoding="utf-8"), results), encoding="utf-8")


if __name__ == "__main__":
    main()
