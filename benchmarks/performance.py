"""docs/performance.md, its figures and README's numbers, from benchmarks/results/*.json (`run.py --pages-only`).

Text between the marks is written anew; everything else on the pages is written by hand and stays.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import measuring
import performance_tables
from markdown_page import renewed

ROOT = measuring.HERE.parent
PAGES = (ROOT / "docs" / "performance.md", ROOT / "README.md")


def main(argv: list[str] | None = None) -> int:
    """Print the tables; with the saved results also write the pages and draw the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--results", type=Path, default=measuring.RESULTS, help="folder of the JSON")
    given = parser.parse_args(argv)
    found = saved(given.results)
    texts = performance_tables.tables(found)
    for name, text in texts.items():
        print(f"\n== {name}\n\n{text}")
    if given.results.resolve() != measuring.RESULTS:
        return 0
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for name, table in texts.items():
            text = renewed(text, name, table)
        page.write_text(text, encoding="utf-8")
    import performance_plots

    performance_plots.draw(found, ROOT / "docs")
    return 0


def saved(folder: Path) -> dict[str, dict[str, Any]]:
    """part -> what its benchmark saved, of the parts that were run."""
    paths = {part: folder / f"{part}.json" for part in performance_tables.PARTS}
    return {
        part: json.loads(path.read_text(encoding="utf-8")) for part, path in paths.items() if path.exists()
    }


if __name__ == "__main__":
    sys.exit(main())
