"""The rows of the benchmarks, drawn by DuckDB from a hash of the row number: the same on every machine and run.

    python benchmarks/drawn_rows.py labels 10000000 FILE.parquet

Run as a process of its own, so that the memory it takes is nobody else's. Every value is uniform and independent of the
others, but for the prediction: it is right in about 70 % of the rows, half a point more from one group to the next.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import measuring

#: kind -> what stands in the rows, for the page.
KINDS = {
    "labels": "40 classes × 6 groups, three columns of text",
    "wide": "1,000 classes × 50 groups, three columns of text; a wrong prediction is one of 30 neighbours",
    "attributes": "two classes; three attributes with 100 values, one with 10,000",
    "gate": "two classes, two sexes × nine races, as numbers",
    "scores": "two classes, a calibrated probability (uniform, 64 bits), 6 groups",
}
FEW = 100_000  # below, 4 classes instead of 40, so that every class is seen in every group


def drawn(kind: str, rows: int) -> str:
    """The rows as an SQL query."""
    classes = 40 if rows >= FEW else 4
    right = f"{_uniform(1)} < 0.7 + 0.005 * g"
    label = f"SELECT i, {_integer(0, classes)} AS y, {_integer(2, 6)} AS g FROM range({rows}) t(i)"
    wide = f"SELECT i, {_integer(0, 1000)} AS y, {_integer(2, 50)} AS g FROM range({rows}) t(i)"
    return {
        "labels": f"SELECT {_name('class', 'y', 2)} AS y_true, "
                  f"{_name('class', f'CASE WHEN {right} THEN y ELSE {_integer(3, classes)} END', 2)} AS y_pred, "
                  f"'region' || g AS region FROM ({label})",
        "wide": f"SELECT {_name('c', 'y', 4)} AS y_true, "
                f"{_name('c', f'CASE WHEN {right} THEN y ELSE (y + {_integer(3, 30)}) % 1000 END', 4)} AS y_pred, "
                f"'region' || g AS region FROM ({wide})",
        "attributes": f"SELECT {_integer(0, 2)} AS y_true, "
                      f"CASE WHEN {_uniform(1)} < 0.7 THEN y_true ELSE {_integer(2, 2)} END AS y_pred, "
                      + ", ".join(f"'{n}' || {_integer(4 + k, 100)} AS {n}" for k, n in enumerate("abc"))
                      + f", 'm' || {_integer(8, 10_000)} AS many FROM range({rows}) t(i)",
        "gate": f"SELECT {_integer(0, 2)} AS PINCP, "
                f"CASE WHEN {_uniform(1)} < 0.8 THEN PINCP ELSE 1 - PINCP END AS predictions, "
                f"1 + {_integer(2, 2)} AS SEX, {_integer(3, 9)} AS RAC1P FROM range({rows}) t(i)",
        "scores": f"SELECT ({_uniform(1)} < {_uniform(0)})::INT AS outcome, ({_uniform(0)} >= 0.5)::INT AS decided, "
                  f"{_uniform(0)} AS chance, 'region' || {_integer(2, 6)} AS region FROM range({rows}) t(i)",
    }[kind]  # fmt: skip


def _uniform(stream: int) -> str:
    """A number in [0, 1) with 53 bits, from the row's number and a stream."""
    return f"((hash(i * 16 + {stream}) >> 11) / 9007199254740992.0)"


def _integer(stream: int, below: int) -> str:
    return f"((hash(i * 16 + {stream}) >> 11) % {below})::INT"


def _name(prefix: str, number: str, digits: int) -> str:
    return f"'{prefix}' || lpad(({number})::VARCHAR, {digits}, '0')"


def write(kind: str, rows: int, path: Path) -> None:
    """Draw the rows into a file: Parquet with DuckDB's defaults, or CSV, by its ending."""
    import duckdb

    part = path.with_name(path.name + ".part")
    how = "FORMAT csv, HEADER" if path.suffix == ".csv" else "FORMAT parquet"
    duckdb.connect().execute(f"COPY ({drawn(kind, rows)}) TO '{part}' ({how})")
    part.replace(path)


def made(kind: str, rows: int, folder: Path, ending: str = "parquet") -> Path:
    """The file of these rows in the folder; drawn in a process of its own where it is not there yet."""
    path = folder / f"{kind}-{rows}.{ending}"
    if not path.exists():
        measuring.say(f"drawing {path.name}")
        measuring.succeeded([sys.executable, __file__, kind, str(rows), str(path)])
    return path


def linked(part: Path, times: int, folder: Path) -> Path:
    """A folder with so many hard links to one file: as many parts to a reader, one on the disk."""
    out = folder / f"{part.stem}-times-{times}"
    out.mkdir(exist_ok=True)
    for k in range(times):
        link = out / f"part-{k:03d}{part.suffix}"
        if not link.exists():
            os.link(part, link)
    return out


if __name__ == "__main__":
    write(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
