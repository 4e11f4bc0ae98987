"""Files of predictions as one dataframe of Spark, by the rules of DuckDB's reading: the same rows, the same text."""

from __future__ import annotations

import contextlib
import csv
import io
import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import reduce
from pathlib import Path
from typing import IO, Any

from fairaudit.errors import FairauditError
from fairaudit.reading.engine import Engine
from fairaudit.reading.files import check_file, one_schema, parts_in
from fairaudit.reading.paths import PARQUET, check_path, kind_of
from fairaudit.reading.source import Source
from fairaudit.reading.spark import Spark, is_spark, open_frame, paths_in, plain_path
from fairaudit.reading.texts import DAMAGED, check_names, header_of, text_in

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/")
_JSON = (".jsonl", ".ndjson", ".json")
#: Texts of up to this size are looked through here, and then may break lines inside quotes.
_SMALL = 32 * 2**20
#: A value in quotes with what is before it, and a quote behind spaces, which DuckDB takes for one and Spark for text.
_WHOLE = '(^|[{0}])"[^"]*+(""[^"]*+)*+"'
_SPACED = '(^|[{0}]) +"'
_INFERENCE = "spark.sql.sources.partitionColumnTypeInference.enabled"
#: Text stays as it is, only nothing is missing; a row that does not fit the header is an error.
_CSV = {
    "header": "true", "quote": '"', "escape": '"', "nullValue": "", "emptyValue": "", "mode": "FAILFAST",
    "ignoreLeadingWhiteSpace": "false", "ignoreTrailingWhiteSpace": "false", "maxCharsPerColumn": "-1",
    "columnPruning": "false", "unescapedQuoteHandling": "RAISE_ERROR", "encoding": "UTF-8",
}  # fmt: skip


def open_spark(data: Any, engine: Engine) -> Source:
    """The relation of a dataframe of Spark, or of files."""
    assert isinstance(engine, Spark)
    return open_frame(data, engine) if is_spark(data) else open_paths(paths_in(data), engine)


def open_paths(items: Sequence[str], engine: Spark) -> Source:
    """The relation of files, patterns, folders or URLs, all of one kind and one schema.

    What is on this machine is looked at before Spark is asked; URLs, and paths of a cluster's own file system, are
    handed to Spark as they are. Raises FairauditError for anything that cannot be read as a table.
    """
    if "-" in items:
        raise FairauditError("Spark cannot read standard input; name a file, or leave --engine spark out.")
    local = _local_paths(engine)
    far = [p for p in items if _URL.match(p) or not local]
    if far and len(far) < len(items):
        raise FairauditError(
            f"{far[0]} and files of this machine are not read together; copy one to the other."
        )
    paths = far or [p for item in items for p in check_path(item)]
    kinds = {_kind(p) for p in far} if far else {kind_of(p) for p in paths}
    if len(kinds) > 1:
        raise FairauditError(
            f"files of one kind are read together, not {', '.join(sorted(kinds))}; convert some."
        )
    kind = kinds.pop()
    where = paths[0] if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"
    with engine.speaking(where), _texts_of_folders(engine):
        frame = _far(far, kind, engine) if far else _near(paths, kind, engine)
        source = open_frame(frame, engine, where)  # in here: Spark Connect looks at the files no sooner
    # other kinds name the file themselves
    return source if far or kind not in PARQUET else replace(source, parts={p: _verbatim(p) for p in paths})


def _local_paths(engine: Spark) -> bool:
    """Whether a path without a scheme is one of this machine's, as Spark sees it."""
    try:
        home = engine.session.sparkContext._jsc.hadoopConfiguration().get("fs.defaultFS")
    except Exception:  # Spark Connect has no context; what is behind it is another machine
        return False
    return home is None or str(home).startswith("file:")


def _kind(url: str) -> str:
    """A URL's kind by its ending; a folder without one holds what Spark writes, Parquet."""
    last = url.rstrip("/").rpartition("/")[2]
    return kind_of(last) if re.search(r"\.[A-Za-z]+(\.gz)?$", last) else ".parquet"


@contextlib.contextmanager
def _texts_of_folders(engine: Spark) -> Iterator[None]:
    """Values in the names of folders (`day=01`) are the text they are, not numbers."""
    before = engine.session.conf.get(_INFERENCE)
    engine.session.conf.set(_INFERENCE, "false")
    try:
        yield
    finally:
        engine.session.conf.set(_INFERENCE, before)


def _far(paths: Sequence[str], kind: str, engine: Spark) -> Any:
    reader = engine.session.read
    if kind in _JSON:
        return reader.option("mode", "FAILFAST").json(list(paths))
    if kind in PARQUET:
        return reader.option("mergeSchema", "true").parquet(*paths)
    first = reader.text(list(paths)).limit(1).collect()
    if not first:
        raise FairauditError(f"{paths[0]} is empty; predictions need a header and rows.")
    header, delimiter = header_of(io.StringIO(first[0][0].removeprefix("\ufeff")), kind, paths[0])
    _check_lines(paths, delimiter, engine)
    options = {**_CSV, "sep": delimiter, "enforceSchema": "false"}
    return reader.options(**options).schema(_texts(header)).csv(list(paths))


def _near(paths: Sequence[str], kind: str, engine: Spark) -> Any:
    """One dataframe of the files of this machine, whose schemas are compared first."""
    for path in paths:
        check_file(path, kind)
    reader = _columns_of_json if kind in _JSON else _columns_of_text
    one_schema(paths, kind, _columns_of_parquet if kind in PARQUET else reader, engine)
    by_root: dict[str | None, list[str]] = {}
    for path in paths:
        by_root.setdefault(_root(path), []).append(path)
    frames = [_read(own, kind, root, engine) for root, own in by_root.items()]
    return reduce(lambda a, b: a.unionByName(b), frames)


def _root(path: str) -> str | None:
    """The folder above the first one whose name is a column and a value; None where there is none."""
    parts = Path(path).absolute().parts
    named = [i for i, p in enumerate(parts[:-1]) if re.fullmatch(r"[^=]+=.+", p)]
    return str(Path(*parts[: named[0]])) if named and parts_in(path) else None


def _read(paths: Sequence[str], kind: str, root: str | None, engine: Spark) -> Any:
    reader = engine.session.read
    if root is not None:
        reader = reader.option("basePath", root)
    files = [_verbatim(p) for p in paths]
    if kind in PARQUET:
        return reader.parquet(*files)
    if kind in _JSON:
        return reader.options(mode="FAILFAST", multiLine=_is_array(paths[0])).json(files)
    with _text(paths[0]) as text:
        header, delimiter = header_of(text, kind, paths[0])
    if sum(Path(p).stat().st_size for p in paths) <= _SMALL:
        quoted = [_is_quoted(p, delimiter) for p in paths]
        whole = any(quoted)
    else:
        whole = False
        _check_lines(files, delimiter, engine)
    return reader.options(**_CSV, sep=delimiter, multiLine=whole).schema(_texts(header)).csv(files)


def _is_quoted(path: str, delimiter: str) -> bool:
    """Whether a text has quotes, so that a line may break inside them.

    Raises FairauditError where Spark would take the rest of the file for one value, or the end of a line for text.
    """
    with _text(path) as text:
        read = text.read()
    if '"' not in read:
        return False
    spaced = re.compile(_SPACED.format(delimiter), re.MULTILINE)
    if spaced.search(read) and spaced.search(re.sub(_WHOLE.format(delimiter), "", read, flags=re.MULTILINE)):
        raise _not_at_the_start(path)
    if read.count('"') % 2:
        try:
            deque(csv.reader(io.StringIO(read, newline=""), delimiter=delimiter, strict=True), maxlen=0)
        except csv.Error as error:
            raise FairauditError(
                f"{path} has a quote that is not closed, or text after one; mend it."
            ) from error
    if "\r\n" in read and not read.partition("\n")[0].endswith("\r"):
        raise FairauditError(f"{path} has lines that end in different ways; save it with one of them.")
    return True


@contextlib.contextmanager
def _text(path: str) -> Iterator[IO[str]]:
    """A text file of this machine; what is wrong with it is a sentence that names it."""
    try:
        with text_in(path) as text:
            yield text
    except UnicodeDecodeError as error:
        raise FairauditError(f"{path} is not UTF-8 text; save it as UTF-8.") from error
    except DAMAGED as error:
        raise FairauditError(f"{path} cannot be read as a table: {error}.") from error


def _not_at_the_start(path: str) -> FairauditError:
    return FairauditError(
        f"{path} has a value that begins with spaces before its quote, which engines read differently; "
        "remove those spaces, or convert it to Parquet."
    )


def _check_lines(files: Sequence[str], delimiter: str, engine: Spark) -> None:
    """Refuse texts that are split among tasks and may break a line inside quotes: Spark would not see it."""
    odd = "(length(value) - length(replace(value, '\"', ''))) % 2 = 1"
    outside = f"regexp_replace(value, '{_WHOLE.format(delimiter)}', '')"
    spaced = f"{outside} RLIKE '{_SPACED.format(delimiter)}'"
    lines = engine.session.read.text(list(files)).where(f"({odd}) OR {spaced}")
    if found := lines.selectExpr("_metadata.file_path", odd).head(1):
        if not found[0][1]:
            raise _not_at_the_start(plain_path(found[0][0]))
        raise FairauditError(
            f"{plain_path(found[0][0])} has a line with an odd number of quotes, so that it may go on in the next one, "
            "which Spark cannot see where many tasks read; convert it to Parquet."
        )


def _verbatim(path: str) -> str:
    """A path as a pattern that matches nothing else."""
    return re.sub(r"([*?\[\]{}\\])", r"\\\1", str(Path(path).absolute()))


def _texts(header: Sequence[str]) -> Any:
    from pyspark.sql.types import StringType, StructField, StructType

    return StructType([StructField(name, StringType()) for name in header])


def _is_array(path: str) -> bool:
    """Whether a file of JSON is one array rather than a line a row."""
    with _text(path) as text:
        return text.read(4096).lstrip()[:1] == "["


def _columns_of_parquet(paths: Sequence[str], _engine: Spark, _kind: str) -> tuple[dict[str, str], str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(paths[0])
    except (pa.ArrowException, OSError) as error:
        raise FairauditError(
            f"{paths[0]} cannot be read as a table; it is damaged, or not what its ending says."
        ) from error
    check_names(schema.names, paths[0])
    return {f.name: str(f.type) for f in schema} | parts_in(paths[0]), ""


def _columns_of_text(paths: Sequence[str], _engine: Spark, kind: str) -> tuple[dict[str, str], str]:
    with _text(paths[0]) as text:
        header, _ = header_of(text, kind, paths[0])
    return dict.fromkeys(header, "text") | parts_in(paths[0]), ""


def _columns_of_json(paths: Sequence[str], engine: Spark, kind: str) -> tuple[dict[str, str], str]:
    found = _read(paths, kind, None, engine).schema.fields
    return {f.name: f.dataType.simpleString() for f in found} | parts_in(paths[0]), ""
