"""Lazy frames as Arrow batches that every scan starts anew: no more rows are held than a few batches."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import narwhals as nw
import pyarrow as pa

from fairaudit.errors import FairauditError

_BATCH = 1 << 17


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Stream:
    """Arrow batches that can be read more than once: each reader begins at the beginning."""

    schema: pa.Schema
    batches: Callable[[], Iterator[pa.RecordBatch]]

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """A fresh reader, by Arrow's PyCapsule protocol. Nothing runs before the first batch is asked for."""
        return pa.RecordBatchReader.from_batches(self.schema, self.batches()).__arrow_c_stream__(
            requested_schema
        )


@dataclass(frozen=True, slots=True)
class Lazy:
    """A lazy frame: the names of its columns, and how some of them are opened as something that DuckDB scans."""

    names: list[str]
    open: Callable[[Sequence[str]], Any]


def is_dask(data: Any) -> bool:
    """Whether data is a dataframe of Dask, which is not imported to find out."""
    module = sys.modules.get("dask.dataframe")
    return module is not None and isinstance(data, module.DataFrame)


@contextlib.contextmanager
def failing(where: str) -> Iterator[None]:
    """What the libraries of lazy frames raise becomes one sentence."""
    try:
        yield
    except (FairauditError, duckdb.Error, MemoryError):
        raise
    except Exception as error:
        said = " ".join(str(error).split("\n\n")[0].split())
        raise FairauditError(f"{where} cannot be computed: {said or type(error).__name__}.") from error


def lazy(data: Any) -> Lazy:
    """A lazy frame of polars, DuckDB, pyarrow, Dask or any other that narwhals knows; or a stream of Arrow batches."""
    if is_dask(data):
        own = {str(c): c for c in data.columns}
        return Lazy([str(c) for c in data.columns], lambda wanted: data[[own[c] for c in wanted]].compute())
    if hasattr(data, "scanner"):  # a pyarrow dataset
        return Lazy(list(data.schema.names), lambda wanted: _of_dataset(data, wanted))
    if not isinstance(frame := nw.from_native(data, pass_through=True), nw.LazyFrame):
        reader = pa.RecordBatchReader.from_stream(data)
        return Lazy(list(reader.schema.names), lambda wanted: _once(reader, wanted))
    with failing("the dataframe"):
        names = {str(c): c for c in frame.collect_schema().names()}
    openers = {nw.Implementation.POLARS: _of_polars, nw.Implementation.DUCKDB: _of_duckdb}
    if frame.implementation in openers:
        return Lazy(list(names), lambda wanted: openers[frame.implementation](data, wanted))
    picked = lambda wanted: frame.select([names[c] for c in wanted]).collect("pyarrow").to_native()  # noqa: E731
    return Lazy(list(names), picked)


def _of_dataset(data: Any, wanted: Sequence[str]) -> Stream:
    schema = pa.schema([data.schema.field(c) for c in wanted])
    return Stream(schema, lambda: data.scanner(columns=list(wanted), batch_size=_BATCH).to_batches())


def _once(reader: pa.RecordBatchReader, wanted: Sequence[str]) -> pa.RecordBatchReader:
    schema = pa.schema([reader.schema.field(c) for c in wanted])
    return pa.RecordBatchReader.from_batches(schema, (batch.select(list(wanted)) for batch in reader))


def _of_polars(data: Any, wanted: Sequence[str]) -> Any:
    frame = data.select(list(wanted))
    if not hasattr(frame, "collect_batches"):  # before polars 1.34
        return frame.collect().to_arrow()
    schema = frame.collect_schema().to_frame().to_arrow().schema

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in frame.collect_batches(chunk_size=_BATCH, maintain_order=False, lazy=True):
            yield from batch.to_arrow().to_batches()

    return Stream(schema, batches)


def _of_duckdb(data: Any, wanted: Sequence[str]) -> Stream:
    """The rows of a relation, computed by its own connection, which is left as it was."""
    from fairaudit.reading.dialect import quote

    picked = data.select(*map(quote, wanted))

    def reader(relation: Any, size: int) -> pa.RecordBatchReader:
        if hasattr(relation, "to_arrow_reader"):
            return relation.to_arrow_reader(size)
        return relation.fetch_arrow_reader(size)  # DuckDB 1

    return Stream(reader(picked.limit(0), 1).schema, lambda: iter(reader(picked, _BATCH)))
