"""A published table of results as values: numbers with the interval that their printed decimals leave open."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path

from fairaudit.errors import FairauditError

#: What names a row, in the order in which it is shown; all of them may be missing.
KEYS = ("dataset", "model", "method", "rank", "lambda", "penalty", "groups", "split")
_FACTS = ("table", "classes", "perfect")
_LONG = ("metric", "mean")
_OTHER_NAMES = {
    "acc": "accuracy", "f1min": "f1_min", "min_f1": "f1_min", "recallmin": "recall_min", "min_recall": "recall_min",
    "δf1": "f1_delta", "delta_f1": "f1_delta", "f1_δ": "f1_delta", "sensitive_acc": "sensitive_accuracy",
}  # fmt: skip
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_PRINTED = re.compile(rf"({_NUMBER})\s*%?(?:\s*(?:±|\+/?-|\\pm)\s*({_NUMBER})\s*%?)?")
_ABSENT = {"", "-", "–", "—", "n/a", "na", "nan", "null", "none"}


@dataclass(frozen=True, slots=True)
class Printed:
    """A number as printed: it stands for anything within `half` of `value`, half a unit of its last decimal.

    `spread`: the standard deviation over seeds printed beside it, with its own half unit; None where none is.
    """

    value: float
    half: float = 0.0
    spread: float | None = None
    spread_half: float = 0.0

    @property
    def low(self) -> float:
        """The least that the print stands for."""
        return self.value - self.half

    @property
    def high(self) -> float:
        """The most that the print stands for."""
        return self.value + self.half

    def scaled(self, by: float) -> Printed:
        """The same in another unit."""
        spread = None if self.spread is None else self.spread * by
        return Printed(self.value * by, self.half * by, spread, self.spread_half * by)


@dataclass(frozen=True, slots=True)
class PublishedRow:
    """All that a publication says of one model trained one way: metric -> number, metrics in [0, 1] as shares.

    `classes`, `perfect`: how many classes the task has, and the sensitive accuracy of a perfect classifier on its test
    rows, where known. `tables`: where the numbers stand.
    """

    key: tuple[str, ...]
    tables: tuple[str, ...]
    numbers: Mapping[str, Printed]
    classes: int | None = None
    perfect: float | None = None

    @property
    def name(self) -> str:
        """The parts of the key in one text."""
        return ", ".join(part for part in self.key if part) or "(one row)"


@dataclass(frozen=True, slots=True)
class PublishedTable:
    """The rows of a file, their unit (`percent` or `share`), and the metrics that are no metric of ours."""

    name: str
    unit: str
    rows: tuple[PublishedRow, ...]
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Entry:
    """One printed number and where it stands."""

    key: tuple[str, ...]
    table: str
    metric: str
    mean: str
    spread: str
    classes: str
    perfect: str
    line: int


def read_published(path: str) -> PublishedTable:
    """The table in a CSV file: one number a line (`metric,mean,spread`) or one column a metric (`93.83 ± 0.81`).

    Columns `table, dataset, model, method` (also `rank`, `lambda`, `penalty`, `groups`, `split`) name the row;
    `classes` and `perfect` tell what the name of the data set does not. A metric in [0, 1] is read as percent where any
    of them is above 1. Numbers of one metric share the decimals of the longest: a spreadsheet writes 22.50 as 22.5.
    Raises FairauditError for a file that cannot be read, is neither form, or holds a number twice or no number.
    """
    names, lines = _read(path)
    if set(_LONG) <= set(names):
        entries = [_long(record, line) for line, record in lines]
    else:
        entries = [e for line, record in lines for e in _wide(record, line)]
    entries = [e for e in entries if e.mean.lower() not in _ABSENT]
    if not entries:
        raise FairauditError(
            f"{path} holds no number of a metric that is known here (columns: {', '.join(names)}); name the columns "
            "table, dataset, model, method, metric, mean, spread, or have one column a metric (accuracy, f1_min, …)."
        )
    return _table(path, entries)


def _read(path: str) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except IsADirectoryError as error:
        raise FairauditError(f"'{path}' is a folder, not a published table; name a CSV file.") from error
    except FileNotFoundError as error:
        raise FairauditError(f"no such file: '{path}'; name a CSV file with a published table.") from error
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise FairauditError(f"cannot read '{path}' as UTF-8 text ({error}); name a CSV file.") from error
    head = text.split("\n", 1)[0]
    reader = csv.reader(text.splitlines(), delimiter=max(",;\t", key=head.count), strict=True)
    try:
        rows = [
            (reader.line_num, [cell.strip() for cell in row]) for row in reader if any(map(str.strip, row))
        ]
    except csv.Error as error:
        raise FairauditError(
            f"{path}:{reader.line_num}: not a CSV file ({error}); mend the quotes."
        ) from error
    if len(rows) < 2:
        raise FairauditError(
            f"{path} holds no rows; a published table has a line of names and lines of numbers."
        )
    names = [cell if _metric(cell) else cell.lower() for cell in rows[0][1]]
    if twice := sorted({n for n in names if names.count(n) > 1}):
        raise FairauditError(f"{path} has the column '{twice[0]}' twice; name each column once.")
    for line, row in rows[1:]:
        if len(row) != len(names):
            raise FairauditError(
                f"{path}:{line}: {len(row)} cells where {len(names)} columns are named; mend the line."
            )
    return names, [(line, dict(zip(names, row, strict=True))) for line, row in rows[1:]]


def _metric(name: str) -> str:
    """The id of a metric however it is written, or an empty text."""
    from fairaudit.catalogue import CATALOGUE

    plain = re.sub(r"[^\wδ]+", "_", name.strip().lower()).strip("_")
    plain = _OTHER_NAMES.get(plain, plain)
    return plain if any(m.id == plain for m in CATALOGUE) else ""


def _long(record: Mapping[str, str], line: int) -> _Entry:
    return _Entry(_key(record), record.get("table", ""), record["metric"], record["mean"], record.get("spread", ""),
                  record.get("classes", ""), record.get("perfect", ""), line)  # fmt: skip


def _wide(record: Mapping[str, str], line: int) -> Iterator[_Entry]:
    for name, text in record.items():
        if name in (*KEYS, *_FACTS) or not _metric(name):
            continue
        beside = [record[n] for n in (f"{name.lower()}_{s}" for s in ("spread", "sd", "std")) if n in record]
        yield _Entry(_key(record), record.get("table", ""), name, text, beside[0] if beside else "",
                     record.get("classes", ""), record.get("perfect", ""), line)  # fmt: skip


def _key(record: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(record.get(k, "") for k in KEYS)


def _table(path: str, entries: Sequence[_Entry]) -> PublishedTable:
    known = [replace(e, metric=_metric(e.metric)) for e in entries if _metric(e.metric)]
    unknown = tuple(dict.fromkeys(e.metric for e in entries if not _metric(e.metric)))
    shares = _shares()
    texts = {id(e): _texts(e, path) for e in known}
    percent = any(abs(float(texts[id(e)][0])) > 1 for e in known if e.metric in shares)
    halves = {m: _half(texts[id(e)][0] for e in known if e.metric == m) for m in {e.metric for e in known}}
    found: dict[tuple[str, ...], dict[str, dict[str, Printed]]] = {}
    for e in known:
        mean, spread = texts[id(e)]
        number = Printed(float(mean), halves[e.metric], float(spread) if spread else None, halves[e.metric])
        numbers = found.setdefault(e.key, {}).setdefault(e.table, {})
        if e.metric in numbers:
            told = ", ".join(filter(None, e.key)) or "the row"
            raise FairauditError(
                f"{path}:{e.line}: {told} has {e.metric} twice; keep one, or tell the rows apart."
            )
        numbers[e.metric] = number.scaled(0.01) if percent and e.metric in shares else number
    facts = {e.key: (_count(e, path), _share(e, path, percent)) for e in known}
    rows = [PublishedRow(key, where, numbers, *facts[key])
            for key, tables in found.items() for where, numbers in _joined(tables)]  # fmt: skip
    return PublishedTable(Path(path).name, "percent" if percent else "share", tuple(rows), unknown)


def _shares() -> frozenset[str]:
    from fairaudit.catalogue import CATALOGUE

    return frozenset(m.id for m in CATALOGUE if (m.low, m.high) == (0.0, 1.0))


def _texts(e: _Entry, path: str) -> tuple[str, str]:
    """The digits of a mean and of its spread."""
    matched = _PRINTED.fullmatch(e.mean)
    beside = re.fullmatch(_NUMBER, e.spread) if e.spread.lower() not in _ABSENT else None
    if matched is None or (beside is None and e.spread.lower() not in _ABSENT):
        text = e.mean if matched is None else e.spread
        raise FairauditError(f"{path}:{e.line}: {e.metric} is a number such as 93.83, not '{text}'.")
    digits, own = matched.group(1), matched.group(2)
    spread = (beside.group(0) if beside else own) or ""
    if not isfinite(float(digits)) or (spread and not 0 <= float(spread) < float("inf")):
        raise FairauditError(
            f"{path}:{e.line}: {e.metric} {e.mean} has no finite mean and spread of 0 or more."
        )
    return digits, spread


def _half(digits: Iterable[str]) -> float:
    """Half a unit of the last decimal of the longest."""
    most = 0
    for text in digits:
        mantissa, _, power = text.lower().partition("e")
        most = max(most, len(mantissa.partition(".")[2]) - int(power or 0))
    return 0.5 * 10.0**-most


def _count(e: _Entry, path: str) -> int | None:
    if not e.classes:
        return None
    if not e.classes.isdecimal() or int(e.classes) < 2:
        raise FairauditError(f"{path}:{e.line}: classes is a whole number of 2 or more, not '{e.classes}'.")
    return int(e.classes)


def _share(e: _Entry, path: str, percent: bool) -> float | None:
    if not e.perfect:
        return None
    if not re.fullmatch(_NUMBER, e.perfect) or not 0 <= float(e.perfect) <= (100 if percent else 1):
        unit = "percent (50)" if percent else "a share (0.5)"
        raise FairauditError(f"{path}:{e.line}: perfect is {unit}, as the numbers are, not '{e.perfect}'.")
    return float(e.perfect) * (0.01 if percent else 1)


def _joined(
    tables: Mapping[str, Mapping[str, Printed]],
) -> Iterator[tuple[tuple[str, ...], dict[str, Printed]]]:
    """The tables that speak of one row, as one, unless two of them give a metric differently."""
    whole: dict[str, Printed] = {}
    for numbers in tables.values():
        for metric, number in numbers.items():
            if whole.setdefault(metric, number).value != number.value:
                yield from (((table,), dict(found)) for table, found in tables.items())
                return
    yield tuple(tables), whole
