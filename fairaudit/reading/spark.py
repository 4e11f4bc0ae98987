"""The same scan on Spark: its SQL goes to where the rows are, and only cells come back."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote
from uuid import uuid4

import numpy as np

from fairaudit.columns import Inputs
from fairaudit.errors import FairauditError
from fairaudit.reading.dialect import SPARK, Dialect, unsubstituted
from fairaudit.reading.engine import Array
from fairaudit.reading.source import SEPARATOR, Source
from fairaudit.reading.texts import check_names

#: What a Java process of our own is told: nobody looks at the web page of one scan.
_QUIET = {"spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false"}
#: Who started Spark says so here; then the session is theirs, and their settings rule.
_STARTED = ("PYSPARK_GATEWAY_PORT", "SPARK_REMOTE", "SPARK_CONNECT_MODE_ENABLED")
_STOPPED = (
    r"Py4JNetworkError|Answer from Java side is empty|Connection refused|has been shut ?down|stopped SparkContext|"
    r'SparkContext\.\w+\(\)" is null'
)


@dataclass(frozen=True, slots=True)
class Spark:
    """A session of Spark, and the views that were made in it."""

    session: Any
    dialect: Dialect = SPARK
    views: list[str] = field(default_factory=list)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of a small result."""
        return [tuple(row) for row in self.session.sql(sql).collect()]

    def columns(self, sql: str) -> list[Array | Sequence[Any]]:
        """The columns of a result; through Arrow where this Spark can (from 4.0)."""
        done = self.session.sql(sql)
        if not hasattr(done, "toArrow"):
            found = done.collect()
            return list(zip(*found, strict=True)) if found else [[] for _ in done.columns]
        with _hushed():
            table = done.toArrow()
        return [_column(c) for c in table.columns]

    def touch(self, part: str) -> None:
        """Read every value of Parquet, given as a pattern of its path."""
        self.session.read.parquet(part).write.format("noop").mode("overwrite").save()

    @contextlib.contextmanager
    def speaking(self, where: str) -> Iterator[None]:
        """Whatever Spark raises inside becomes one sentence about `where`."""
        from py4j.protocol import Py4JError  # type: ignore[import-untyped]
        from pyspark.errors import PySparkException

        try:
            with _hushed():
                yield
        except (PySparkException, Py4JError, ConnectionError) as error:
            raise translated(error, where) from _cause(error)


def _column(column: Any) -> Array | Sequence[Any]:
    """A column of Arrow: integers without gaps as numpy's, all else as Python's values."""
    import pyarrow as pa

    if pa.types.is_integer(column.type) and not column.null_count:
        return np.asarray(column)
    values: list[Any] = column.to_pylist()
    return values


def is_spark(data: Any) -> bool:
    """Whether this is a dataframe of Spark (of Spark Connect, too); pyspark is not loaded to find out."""
    kinds = type(data).__mro__
    return any(t.__name__ == "DataFrame" and t.__module__.startswith("pyspark.sql") for t in kinds)


def paths_in(data: Any) -> list[str]:
    """The paths that are given, one or several; none where the data is something else."""
    items = [data] if isinstance(data, str | Path) else data
    named = isinstance(items, list | tuple) and all(isinstance(p, str | Path) for p in items)
    return [str(p) for p in items] if named else []


@contextlib.contextmanager
def spark(inputs: Inputs, data: Any = None) -> Iterator[Spark]:
    """The engine of a dataframe's session, of the session there is, or of a new one; its views are gone afterwards.

    Raises FairauditError where pyspark or Java is missing, Spark does not start, or the data is not for it.
    """
    if not (data is None or is_spark(data) or paths_in(data)):
        raise FairauditError(
            f"the Spark engine reads files and Spark's dataframes, not {type(data).__name__}; leave the engine out, "
            "or make it a Spark dataframe first."
        )
    for name in ("memory_limit", "threads"):
        if getattr(inputs, name) is not None:
            raise FairauditError(
                f"--{name.replace('_', '-')} steers DuckDB; Spark has settings of its own "
                "(spark-submit --driver-memory, --executor-memory, --master), so leave it out."
            )
    engine = Spark(data.sparkSession if is_spark(data) else _session())
    try:
        yield engine
    finally:
        with contextlib.suppress(Exception), _hushed():  # a session that has stopped keeps no views
            for view in engine.views:
                engine.session.catalog.dropTempView(view)


def _session() -> Any:
    try:
        with _hushed():
            from pyspark import SparkContext
            from pyspark.sql import SparkSession
    except ImportError as error:
        raise FairauditError(
            "the Spark engine needs pyspark, which is not installed; "
            "install it with: pip install 'fairaudit-toolkit[spark]'."
        ) from error
    with _hushed():
        active = SparkSession.getActiveSession()
        if active is not None:
            return active
        ours = SparkContext._active_spark_context is None and not any(v in os.environ for v in _STARTED)
        with tempfile.TemporaryFile() as log:
            try:
                if ours:
                    _start_java(log)
                session = SparkSession.builder.getOrCreate()
            except Exception as error:  # py4j, pyspark and the operating system each have their own
                raise FairauditError(_not_started(error, _tail(log))) from error
        if ours:
            session.sparkContext.setLogLevel("OFF")
        return session


def _start_java(log: IO[bytes]) -> None:
    """Spark's Java process, whose messages go to a file: they are nothing that a reader of a report can act on."""
    from pyspark import SparkConf, SparkContext
    from pyspark.java_gateway import launch_gateway

    conf = SparkConf(loadDefaults=False)
    for name, value in _QUIET.items():
        conf.set(name, value)
    gateway = launch_gateway(conf, popen_kwargs={"stdout": log, "stderr": log})  # type: ignore[no-untyped-call]
    SparkContext._ensure_initialized(gateway=gateway)


def _tail(log: IO[bytes]) -> str:
    log.seek(0)
    return log.read()[-20_000:].decode("utf-8", "replace")


def _not_started(error: Exception, log: str) -> str:
    """The sentence for a Spark that does not start."""
    if re.search(r"JAVA_HOME|java[^\n]*(not found|No such file)|UnsupportedClassVersion", log + str(error)):
        return (
            "the Spark engine needs Java, which was not found; install Java 17 or later and set the environment "
            "variable JAVA_HOME to its folder."
        )
    lines = [line for line in f"{error}\n{log}".split("\n") if re.search(r"(Exception|Error): ", line)]
    return f"Spark does not start: {_sentence((lines or [str(error)])[0])}; check its settings."


@contextlib.contextmanager
def _hushed() -> Iterator[None]:
    """Without the warnings of pyspark about itself, and its log of errors that are sentences already."""
    log = logging.getLogger("SQLQueryContextLogger")
    before, log.disabled = log.disabled, True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.disabled = before


def open_frame(frame: Any, engine: Spark, where: str = "the dataframe") -> Source:
    """The relation of a dataframe of Spark, as a view with a name of its own.

    Raises FairauditError for column names that cannot be told apart.
    """
    with engine.speaking(where):
        columns = {f.name: f.dataType.simpleString() for f in frame.schema.fields}
        check_names([str(c) for c in frame.columns], where)
        view = f"fairaudit_{uuid4().hex}"
        frame.toDF(*map(unsubstituted, columns)).createOrReplaceTempView(view)
        engine.views.append(view)
    if not columns:
        raise FairauditError(f"{where} has no columns; predictions need a header and rows.")
    shown = ", ".join(
        f"{_plain(engine.dialect.quote(c), t)} AS {engine.dialect.quote(c)}" for c, t in columns.items()
    )
    return Source(engine, f"(SELECT {shown} FROM {view})", columns, where)


def _plain(x: str, kind: str) -> str:
    """Times and bytes as the text that Python writes for them, which is what other engines' values become."""
    if kind in ("date", "binary", "void") or kind.startswith("interval"):
        return f"CAST({x} AS STRING)"
    if kind.startswith("timestamp"):
        text = f"CAST({x} AS STRING)"
        zone = "" if kind == "timestamp_ntz" else f" || date_format({x}, 'xxx')"
        return f"if(instr({text}, '.') > 0, rpad({text}, 26, '0'), {text}){zone}"
    return x


def _cause(error: BaseException) -> BaseException:
    """What a check inside the scan has said, without what Spark puts around it; else the error itself."""
    _, mark, said = str(error).partition(f"fairaudit{SEPARATOR}")
    return RuntimeError(mark + re.sub(r" SQLSTATE: \w+$", "", said.split("\n")[0])) if mark else error


def translated(error: BaseException, where: str) -> FairauditError:
    """Spark's message as one sentence: the file or the source, the fact, what to do."""
    text = str(error)
    found = re.search(
        r"(?:reading files?|footer for file:?|of file:|CSV file:)\s*'?((?:[a-z0-9]+:/+|/)[^\s']+)", text
    )
    at = plain_path(found[1].rstrip(".,:;")) if found else where
    if re.search(r"OutOfMemory|GC overhead|maxResultSize|CANNOT_ACQUIRE_MEMORY|memory limits", text):
        return FairauditError(
            f"{where} has more to count than Spark has memory for; allow more with spark-submit --driver-memory "
            "and --executor-memory, or ask for fewer attributes at a time."
        )
    if re.search(_STOPPED, type(error).__name__ + text):
        return FairauditError(
            f"Spark has stopped while {where} was read (out of memory, most often); start a new session, "
            "with more memory if need be (spark-submit --driver-memory)."
        )
    if scheme := re.search(
        r'No FileSystem for scheme "?(\w+)|ClassNotFoundException: Class (\S+) not found', text
    ):
        return FairauditError(
            f"this Spark has no file system for {where} ({scheme[1] or scheme[2]}); add its package with "
            "spark-submit --packages (for s3a: org.apache.hadoop:hadoop-aws)."
        )
    if missing := re.search(r"\[PATH_NOT_FOUND\] Path does not exist: (\S+?)\.(?: SQLSTATE|\s|$)", text):
        return FairauditError(f"no such file: {missing[1]}; check the path.")
    if "CSV header does not conform" in text:
        return FairauditError(f"{at} has other columns than the rest; files read together need one schema.")
    if re.search(r"MALFORMED_(RECORD|CSV)|Malformed", text):
        return FairauditError(
            f"{at} has a row with more or fewer values than the header names columns, or with a broken quote or a "
            "line break inside quotes; mend it, or convert it to Parquet."
        )
    if found or re.search(r"not a Parquet file|CANNOT_READ_FILE_FOOTER|FAILED_READ_FILE", text):
        return FairauditError(f"{at} cannot be read as a table; it is damaged, or not what its ending says.")
    return FairauditError(f"{where} cannot be read as a table: {_sentence(text)}.")


def plain_path(url: str) -> str:
    """A file of this machine by its path, others by their URL."""
    return unquote(re.sub(r"^file:/+", "/", url)) if url.startswith("file:") else url


def _sentence(text: str) -> str:
    """The first line of a message of Spark's, or of the cause behind it, without codes."""
    causes = re.findall(
        r"^Caused by: (.*)$", text, re.MULTILINE
    )  # Spark prints the whole chain, the root last
    text = causes[-1] if causes else re.sub(r"^An error occurred while calling \S+\n", "", text)
    line = next((li for li in text.strip().split("\n") if li.strip(": ")), "")
    line = re.sub(r"^(: )?([\w.$]+(Exception|Error): )*(\[[A-Z_.0-9]+\] )?", "", line.strip())
    return re.sub(r" SQLSTATE: \w+.*$", "", line)[:300].rstrip(". ;")
