"""Dataframes of any library narwhals knows, and arrays by name: as one relation, or as Arrow columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
import narwhals as nw
import pyarrow as pa

from fairaudit.columns import Inputs, candidates
from fairaudit.errors import FairauditError
from fairaudit.labels import text_of
from fairaudit.reading.engine import Duck
from fairaudit.reading.source import Source, timeless
from fairaudit.reading.streams import Stream, failing, is_dask, lazy
from fairaudit.reading.texts import check_names

WHERE = "the dataframe"
_EVERYTHING = Inputs()


def open_frame(data: Any, engine: Duck, view: str, inputs: Inputs = _EVERYTHING) -> Source:
    """The relation of a dataframe, under the name `view`; columns that can play no role are left alone.

    Raises FairauditError for what is no dataframe, and for column names that cannot be told apart.
    """
    if (held := held_columns(data)) is not None:
        names = list(held)
        wanted = candidates(inputs, names)
        relation: Any = _table(held, wanted)
    else:
        frame = lazy(data)
        names = frame.names
        check_names(names, WHERE)
        wanted = candidates(inputs, names)
        with engine.speaking(WHERE), failing(WHERE):
            relation = frame.open(wanted)
        if nw.dependencies.is_pandas_dataframe(relation):
            relation = _table(held_columns(relation) or {}, wanted)
    columns = dict.fromkeys(names, "not read")
    if wanted:
        with engine.speaking(WHERE):
            _register(engine, view, relation)
            rows = engine.rows(f"DESCRIBE SELECT * FROM {engine.dialect.quote(view)}")
        columns |= {str(r[0]): str(r[1]) for r in rows}
    return timeless(Source(engine, engine.dialect.quote(view), columns, WHERE))


def _table(held: Mapping[str, Any], wanted: Sequence[str]) -> pa.Table:
    return pa.table({name: arrow(held[name], name) for name in wanted})


def _register(engine: Duck, view: str, relation: Any) -> None:
    if isinstance(relation, Stream) and int(duckdb.__version__.split(".")[0]) < 2:  # it would not begin anew
        relation = pa.RecordBatchReader.from_stream(relation)
    if not isinstance(relation, pa.RecordBatchReader):
        engine.con.register(view, relation)
        return
    # it gives its rows once, and a scan takes two looks: the engine keeps them, on disk where memory is short
    engine.con.register(view + "_once", relation)
    quote = engine.dialect.quote
    engine.con.execute(f"CREATE TEMP TABLE {quote(view)} AS SELECT * FROM {quote(view + '_once')}")
    engine.con.unregister(view + "_once")


def held_columns(data: Any) -> dict[str, Any] | None:
    """Name -> column (an array or a series) of data that is in memory; None where it is lazy.

    Raises FairauditError for what is no dataframe, and for column names that cannot be told apart.
    """
    if isinstance(data, Mapping):
        names, columns = list(data), [_array(n, c) for n, c in data.items()]
        if len({len(c) for c in columns}) > 1:
            shown = ", ".join(f"{n} {len(c)}" for n, c in zip(names, columns, strict=True))
            raise FairauditError(f"the arrays must have one length, not: {shown}.")
    elif nw.dependencies.is_pandas_dataframe(data):  # by position: pandas allows one name twice
        names, columns = list(data.columns), [data.iloc[:, i] for i in range(data.shape[1])]
    elif isinstance(data, pa.RecordBatchReader) or hasattr(data, "scanner") or is_dask(data):
        return None
    else:
        frame = nw.from_native(data, pass_through=True)
        if isinstance(frame, nw.LazyFrame):
            return None
        if not isinstance(frame, nw.DataFrame):
            if hasattr(data, "__arrow_c_stream__") and not hasattr(data, "dtype"):  # nor a series
                return None
            raise FairauditError(
                "predictions must be a file or a dataframe (pandas, polars, pyarrow, DuckDB, Dask, Spark), not "
                f"{type(data).__name__}."
            )
        names, columns = frame.columns, [frame.get_column(c) for c in frame.columns]
    names = [str(c) for c in names]
    check_names(names, WHERE)
    return dict(zip(names, columns, strict=True))


def _array(name: object, values: Any) -> Any:
    """A column that can be cut into pieces. Raises FairauditError for what is none."""
    if isinstance(values, str) or getattr(values, "ndim", 1) != 1 or not hasattr(values, "__iter__"):
        raise FairauditError(f"column '{name}' must be an array with one value a row.")
    return values if isinstance(values, list | tuple) or hasattr(values, "__array__") else list(values)


def arrow(column: Any, name: str) -> pa.Array | pa.ChunkedArray:
    """A column as Arrow; mixed objects and types that Arrow or DuckDB do not know become label text."""
    try:
        found = _converted(column)
        if _known(found.type):
            return found
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
        pass
    except UnicodeEncodeError as error:
        raise FairauditError(
            f"column '{name}' holds text that is not Unicode (half a surrogate pair); mend it or leave it out."
        ) from error
    categories = getattr(getattr(column, "cat", None), "categories", None)
    if categories is not None:  # of pandas, such as the intervals of pandas.cut
        return _dictionary(column.cat.codes.to_numpy(), [text_of(c) for c in categories])
    values = column.to_list() if hasattr(column, "to_list") else list(column)
    return pa.array([text_of(v) for v in values], pa.string())


def _converted(column: Any) -> pa.Array | pa.ChunkedArray:
    if isinstance(column, pa.Array | pa.ChunkedArray):
        return column
    if hasattr(column, "to_arrow"):
        return column.to_arrow()
    if nw.dependencies.is_pandas_series(column):
        listed = _texts(column) if column.dtype == object else None
        return pa.array(column, from_pandas=True) if listed is None else listed
    if hasattr(column, "__array__"):
        import numpy as np

        column = np.ma.asanyarray(column) if isinstance(column, np.ma.MaskedArray) else np.asarray(column)
    return pa.array(column, from_pandas=True)


def _texts(column: Any) -> pa.Array | None:
    """A pandas column of str objects with its different texts listed once, which is faster; else None."""
    import pandas as pd

    try:
        codes, values = pd.factorize(column.to_numpy())
    except TypeError:  # lists and the like
        return None
    # text equals nothing but text, so where those listed are text, all are (1 would stand for True too)
    return _dictionary(codes, list(values)) if all(type(v) is str for v in values) else None


def _dictionary(codes: Any, texts: Sequence[str | None]) -> pa.Array:
    indices = pa.array(codes.astype("int32"), mask=codes < 0)
    return pa.DictionaryArray.from_arrays(indices, pa.array(texts, pa.large_string()))


def _known(kind: pa.DataType) -> bool:
    """Whether DuckDB reads an Arrow type as the values it stands for."""
    if pa.types.is_dictionary(kind):
        return _known(kind.value_type) and not pa.types.is_nested(kind.value_type)
    return not (
        isinstance(kind, pa.BaseExtensionType) or pa.types.is_float16(kind) or pa.types.is_union(kind)
    )
