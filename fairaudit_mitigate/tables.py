"""Reading the table of a data set: Parquet, CSV or TSV (also .gz).

As named columns of plain values, or as an Arrow table: for numbers, of which there may be millions.
"""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeAlias

from fairaudit.errors import FairauditError

Column: TypeAlias = Sequence[object]

_DELIMITERS = {".csv": ",", ".tsv": "\t"}


def read_table(path: Path) -> dict[str, Column]:
    """The columns of a file, by name. Text files: every value is text, an empty one is None.

    Raises FairauditError for a missing, empty, ragged, binary or unknown file and for repeated names.
    """
    ending = _ending(path)
    if ending in _DELIMITERS:
        return _read_text(path, _DELIMITERS[ending])
    table = _read_parquet(path)
    return {name: table.column(name).to_pylist() for name in table.column_names}


def read_arrow(path: Path, as_text: Callable[[Sequence[str]], Collection[str]]) -> Any:
    """The file as an Arrow table. `as_text`: those of its column names whose values stay text, verbatim.

    In the other columns of a text file numbers are numbers and an empty value, NA or NaN is missing. Raises
    FairauditError as `read_table` does.
    """
    import pyarrow
    import pyarrow.csv

    ending = _ending(path)
    if ending not in _DELIMITERS:
        return _read_parquet(path)
    names = _header(path, _DELIMITERS[ending])
    kept = set(as_text(names))
    try:
        table = pyarrow.csv.read_csv(
            path,
            parse_options=pyarrow.csv.ParseOptions(delimiter=_DELIMITERS[ending], newlines_in_values=True),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types={n: pyarrow.string() for n in names if n in kept}
            ),
        )
    except (pyarrow.ArrowException, OSError) as error:
        raise FairauditError(f"'{path}' cannot be read as CSV: {_first_line(error)}; mend it.") from error
    if table.num_rows == 0:
        raise FairauditError(f"'{path}' has a header and no rows; nothing to do.")
    return table


def _ending(path: Path) -> str:
    """`.parquet`, `.csv` or `.tsv`. Raises FairauditError for a file that is not there, or another ending."""
    suffixes = [s.lower() for s in path.suffixes]
    ending = suffixes[-2] if suffixes[-1:] == [".gz"] and len(suffixes) > 1 else (suffixes or [""])[-1]
    if not path.is_file():
        raise FairauditError(f"'{path}' is not a file; name a Parquet, CSV or TSV file.")
    if ending in (".parquet", ".pq"):
        return ".parquet"
    if ending in _DELIMITERS:
        return ending
    raise FairauditError(
        f"'{path}' is neither .parquet, .csv, .tsv nor one of the text forms with .gz; convert it."
    )


def _read_parquet(path: Path) -> Any:
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.ParquetFile(path).read()
    except (pyarrow.ArrowException, OSError) as error:
        raise FairauditError(
            f"'{path}' cannot be read as Parquet: {_first_line(error)}; write it again."
        ) from error
    _check_names(list(table.column_names), path)
    if table.num_rows == 0:
        raise FairauditError(f"'{path}' has no rows; nothing to do.")
    return table


def _read_text(path: Path, delimiter: str) -> dict[str, Column]:
    rows: list[list[str]] = []
    with _opened(path) as handle:
        for row in csv.reader(handle, delimiter=delimiter, strict=True):
            if row and rows and len(row) != len(rows[0]):
                raise FairauditError(
                    f"row {len(rows)} of '{path}' has {len(row)} fields, the header {len(rows[0])}; mend that row."
                )
            rows.extend([row] if row else [])
    if len(rows) < 2:
        raise FairauditError(
            f"'{path}' has {'a header and no rows' if rows else 'nothing in it'}; nothing to do."
        )
    _check_names(rows[0], path)
    return {name: [row[i] or None for row in rows[1:]] for i, name in enumerate(rows[0])}


def _header(path: Path, delimiter: str) -> list[str]:
    with _opened(path) as handle:
        names = next((row for row in csv.reader(handle, delimiter=delimiter, strict=True) if row), [])
    if not names:
        raise FairauditError(f"'{path}' has nothing in it; nothing to do.")
    _check_names(names, path)
    return names


@contextmanager
def _opened(path: Path) -> Iterator[IO[str]]:
    """The file as UTF-8 text. Raises FairauditError for what is none, also where it is found while reading."""
    try:
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rt", encoding="utf-8-sig", newline="") as handle:
            yield handle
    except (UnicodeDecodeError, csv.Error, OSError, EOFError, zlib.error) as error:
        raise FairauditError(
            f"'{path}' cannot be read as UTF-8 text: {_first_line(error)}; write it again."
        ) from error


def _check_names(names: list[str], path: Path) -> None:
    repeated = sorted({n for n in names if names.count(n) > 1})
    if repeated:
        raise FairauditError(f"'{path}' has more than one column '{repeated[0]}'; rename one.")


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
