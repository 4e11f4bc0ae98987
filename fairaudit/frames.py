"""Dataframes of any library narwhals knows as one relation."""

from __future__ import annotations

from typing import Any

from fairaudit.engine import Duck
from fairaudit.errors import FairauditError
from fairaudit.files import check_names
from fairaudit.source import Source


def open_frame(data: Any, engine: Duck, view: str) -> Source:
    """The relation of a dataframe, registered under the name `view`.

    Raises FairauditError for what is no dataframe, and for column names that cannot be told apart.
    """
    import narwhals as nw

    if nw.dependencies.is_pandas_dataframe(data):  # pandas allows one name twice, narwhals does not
        check_names([str(c) for c in data.columns], "the dataframe")
    try:
        frame = nw.from_native(data)
    except TypeError as error:
        raise FairauditError(
            f"predictions must be a file or a dataframe (pandas, polars, pyarrow, DuckDB), not {type(data).__name__}."
        ) from error
    eager = frame.collect() if isinstance(frame, nw.LazyFrame) else frame
    check_names([str(c) for c in eager.columns], "the dataframe")
    engine.con.register(view, _arrow(eager))
    rows = engine.rows(f"DESCRIBE SELECT * FROM {engine.dialect.quote(view)}")
    return Source(engine, engine.dialect.quote(view), {str(r[0]): str(r[1]) for r in rows}, "the dataframe")


def _arrow(frame: Any) -> Any:
    """The frame as an Arrow table; pandas columns of mixed objects, which Arrow refuses, become label text."""
    import pyarrow as pa

    from fairaudit.labels import text_of

    columns = {}
    for name in frame.columns:
        try:
            columns[str(name)] = frame[name].to_arrow()
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            columns[str(name)] = pa.array([text_of(v) for v in frame[name].to_list()], pa.string())
    return pa.table(columns)
