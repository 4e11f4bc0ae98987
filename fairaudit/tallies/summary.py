"""What a tally holds, for whoever hands it on: rows, tables, and the cells in which somebody stands alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from fairaudit.tallies.file import SCHEMA, SCHEMA_VERSION, cubes, fingerprint
from fairaudit.tallies.tally import Tally


def summary(tally: Tally) -> dict[str, Any]:
    """Rows, tables with their cells and cells of one row, and the checksum of the counts."""
    tables = [
        {
            "name": name, "kind": kind, "attributes": list(attributes), "axes": list(cube.axes),
            "cells": len(cube.codes), "cells_of_one": int((cube.measures["count"] == 1).sum()),
        }
        for name, (kind, attributes, cube) in cubes(tally).items()
    ]  # fmt: skip
    return {
        "rows": tally.rows, "left_out": dict(tally.left_out), "columns": dict(tally.description["columns"]),
        "detected": list(tally.description["detected"]), "tables": tables,
        "cells": sum(t["cells"] for t in tables), "cells_of_one": sum(t["cells_of_one"] for t in tables),
        "hidden": None if tally.hidden is None else {**asdict(tally.hidden), "without": list(tally.hidden.without)},
        "sha256": fingerprint(tally), "sources": list(tally.sources),
    }  # fmt: skip


def document(about: dict[str, Any]) -> str:
    """A summary as JSON text."""
    from fairaudit.document import document as written

    return written(SCHEMA, SCHEMA_VERSION, about)


def lines(about: dict[str, Any]) -> list[str]:
    """A summary as lines for people."""
    names = [f"{t['name']} ({t['cells']:,})" for t in about["tables"]]
    many = "" if len(names) == 1 else "s"
    found = [f"{about['rows']:,} rows in {about['cells']:,} cells of {len(names)} table{many}:"]
    found += [f"  {name}" for name in names[:12]]
    found += [f"  and {len(names) - 12} more"] if len(names) > 12 else []
    found.append(f"columns: {', '.join(_columns(about['columns']))}")
    found += [f"found by name, not named: {', '.join(about['detected'])}"] if about["detected"] else []
    left = [f"{n:,} {why.replace('_', ' ')}" for why, n in about["left_out"].items() if n]
    found += [f"left out: {', '.join(left)}"] if left else []
    if len(about["sources"]) > 1:
        found.append(f"the sum of {len(about['sources'])} tallies")
    return [*found, f"sha256 of the counts: {about['sha256']}"]


def _columns(columns: Mapping[str, Any]) -> list[str]:
    single = [f"{role} {name}" for role, name in columns.items() if role != "sensitive"]
    return [*single, *(f"sensitive {name}" for name in columns["sensitive"])]


def alone(about: dict[str, Any]) -> str | None:
    """The warning about cells that hold one row, each the data of one person; None where there is none."""
    if not about["cells_of_one"]:
        return None
    where = [f"{t['name']} {t['cells_of_one']:,}" for t in about["tables"] if t["cells_of_one"]]
    shown = ", ".join(where[:4]) + (f" and {len(where) - 4} more tables" if len(where) > 4 else "")
    return (
        f"{about['cells_of_one']:,} of {about['cells']:,} cells hold exactly one row ({shown}): counts of one are "
        f"personal data"
    )
