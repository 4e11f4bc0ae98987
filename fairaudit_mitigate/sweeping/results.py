"""What a sweep has found: its cells, as one tidy table and as one Parquet file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from fairaudit.store import replacing
from fairaudit_mitigate.sweeping.cells import TEST, VALIDATION, Cell, Record, Shelf
from fairaudit_mitigate.sweeping.plan import Contest, Plan

if TYPE_CHECKING:
    import pandas as pd

RESULTS = "results.parquet"
MISSING = "missing"
#: Settings that stand in columns of their own, because tables and plots ask for them; all stand in `settings`.
COLUMNS = ("method", "rank", "penalty", "lr", "seed")

#: What an estimate is in the tidy table.
ESTIMATE = (
    "split",
    "metric",
    "by",
    "group",
    "class",
    "value",
    "low",
    "high",
    "n",
    "estimate_status",
    "estimate_reason",
)


@dataclass(frozen=True, slots=True)
class Entry:
    """A cell as a contest names it. `final`: it is one of the seeds of the winner, so it is judged on test."""

    contest: Contest
    cell: Cell
    record: Record | None
    final: bool

    @property
    def status(self) -> str:
        """`done`, `failed` or `missing`."""
        return MISSING if self.record is None else self.record.status


@dataclass(frozen=True, slots=True)
class Results:
    """The plan, the folder and every cell of it."""

    plan: Plan
    shelf: Shelf
    entries: tuple[Entry, ...]

    @property
    def failed(self) -> tuple[Entry, ...]:
        """The cells that failed."""
        return tuple(e for e in self.entries if e.record is not None and not e.record.done)

    @property
    def missing(self) -> tuple[Entry, ...]:
        """The cells that are not there."""
        return tuple(e for e in self.entries if e.record is None)

    def cells(self) -> pd.DataFrame:
        """One row a cell: names, settings, status, costs, validation score."""
        import pandas as pd

        return pd.DataFrame.from_records([_named(e) for e in self.entries])

    def frame(self) -> pd.DataFrame:
        """One row for each cell, split and estimate of its audit; one row without a metric for other cells."""
        import pandas as pd

        return pd.DataFrame.from_records([r for e in self.entries for r in self._rows(e)])

    def _rows(self, entry: Entry) -> Iterator[dict[str, Any]]:
        named, empty = _named(entry), True
        splits = (VALIDATION, TEST) if entry.final else (VALIDATION,)
        for split in splits if entry.status == "done" else ():
            for estimate in estimates(self.shelf, entry.cell.key, split):
                empty = False
                yield named | estimate
        if empty:
            yield named | dict.fromkeys(ESTIMATE)


def write_results(results: Results) -> None:
    """Write `results.parquet`, whole or not at all."""
    frame = results.frame()
    with replacing(results.shelf.root / RESULTS) as temporary:
        frame.to_parquet(temporary, compression="zstd", index=False)


def _named(entry: Entry) -> dict[str, Any]:
    settings, record = entry.cell.settings, entry.record
    score = () if record is None else record.score
    return {
        "cell": entry.cell.key,
        "data": entry.contest.data,
        "model": entry.contest.model,
        "run": entry.contest.run,
        **{k: getattr(settings, k) for k in COLUMNS},
        "penalty": settings.terms.penalty if settings.spec.penalises else None,
        "settings": json.dumps(asdict(settings), default=list),
        "final": entry.final,
        "status": entry.status,
        "reason": None if record is None else record.reason,
        "score": float(score[0]) if score else None,
        "seconds": None if record is None else record.seconds,
        "peak_memory": None if record is None else record.peak_memory,
        "trainable_parameters": None if record is None else record.trainable,
        "best_step": None if record is None else record.best_step,
    }


def estimates(shelf: Shelf, key: str, split: str) -> Iterator[dict[str, Any]]:
    """The estimates of an audit as plain records, straight from its JSON."""
    path = shelf.audit(key, split)
    if not path.is_file():
        return
    for e in json.loads(path.read_text(encoding="utf-8"))["content"]["estimates"]:
        interval = e["interval"] or {}
        yield {
            "split": split,
            **{k: e[k] for k in ("metric", "by", "group", "class", "value")},
            "low": interval.get("low"),
            "high": interval.get("high"),
            "n": e["n"],
            "estimate_status": e["status"],
            "estimate_reason": e["reason"],
        }
