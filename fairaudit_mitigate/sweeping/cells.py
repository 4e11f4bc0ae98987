"""One cell of a sweep: one training, what identifies it, and what is kept of it on disk."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from fairaudit.errors import FairauditError
from fairaudit.store import write_text
from fairaudit_mitigate.methods.method import Terms
from fairaudit_mitigate.settings import Settings

SCHEMA = "fairaudit.sweep-cell"
RECORD, VALIDATION, TEST = "cell.json", "validation", "test"
#: The terms that stand in a key always; those that came later only where they are not `Terms`' default.
_FIRST_TERMS = ("penalty", "reduction", "sided", "estimate", "sampling")
DONE, FAILED = "done", "failed"
#: What a trained model lies in; `base`: the MLP that an adapter was put on.
ARTEFACTS, BASE = ("adapter", "model"), "base"


@dataclass(frozen=True, slots=True)
class Cell:
    """One training. `inputs`: everything but the settings that its result depends on, checksums among it."""

    data: str
    model: str
    settings: Settings
    dtype: str
    inputs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The name of its folder: 16 hexadecimal digits of the SHA-256 of settings and inputs.

        The names of data set, model and run in the plan are no part of it, so that renaming costs nothing; nor is
        the folder of cached activations, which changes nothing; what the method does not read
        counts as its own value. Settings at their default are left out, so that a
        later release with more of them finds the cells of this one.
        """
        plain = {f.name: f.default for f in fields(Settings)} | {
            f.name: f.default for f in fields(Terms) if f.name not in _FIRST_TERMS
        }
        given = asdict(self.settings.read_only())
        settings = {k: v for k, v in given.items() if v != plain[k] and k != "cache"}
        whole = {"settings": settings, "dtype": self.dtype, "inputs": self.inputs}
        text = json.dumps(whole, sort_keys=True, default=list)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def __str__(self) -> str:
        """What tells it from its neighbours."""
        s = self.settings
        penalty = f" λ={s.terms.penalty:g}" if s.spec.penalises else ""
        return f"{self.data} · {self.model} · {s.method} rank={s.rank}{penalty} lr={s.rate:g} seed={s.seed}"


@dataclass(frozen=True, slots=True)
class Roles:
    """What the predictions of a cell hold. `names`: of the classes in the data -> in the model."""

    sensitive: tuple[str, ...] = ()
    positive: str | None = None
    cluster: str | None = None
    agreement: Mapping[str, str] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)

    @staticmethod
    def of(plain: Mapping[str, Any]) -> Roles:
        """The roles as they stand in JSON."""
        lists = {k: tuple(plain[k]) for k in ("sensitive", "classes")}
        return Roles(**{**plain, **lists})


@dataclass(frozen=True, slots=True)
class Record:
    """What came of a cell, as `cell.json` keeps it. `score`: what chooses, higher is better, first number first.

    `ready`: of the `seconds`, those before the first step; activations that other cells use too are computed then.
    """

    key: str
    status: str
    reason: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    score: tuple[float, ...] = ()
    select: str = ""
    seconds: float | None = None
    ready: float = 0.0
    peak_memory: int | None = None
    trainable: int | None = None
    parameters: int | None = None
    best_step: int | None = None
    roles: Roles = Roles()
    said: tuple[str, ...] = ()

    @property
    def done(self) -> bool:
        """Whether it was trained."""
        return self.status == DONE


@dataclass(frozen=True, slots=True)
class Shelf:
    """The folder of a sweep: where cells lie and what of them is there."""

    root: Path

    @property
    def cache(self) -> Path:
        """Where activations lie that several cells share, while a sweep runs."""
        return self.root / "cache"

    def folder(self, key: str) -> Path:
        """The folder of a cell."""
        return self.root / "cells" / key

    def record(self, key: str) -> Record | None:
        """What came of a cell; None where it has not ended. Raises FairauditError for a broken file."""
        path = self.folder(key) / RECORD
        if not path.is_file():
            return None
        try:
            whole = json.loads(path.read_text(encoding="utf-8"))
            kept = {k: v for k, v in whole.items() if k in Record.__dataclass_fields__}
            own = {
                "score": _score(kept["score"]),
                "said": tuple(kept["said"]),
                "roles": Roles.of(kept["roles"]),
            }
            return Record(**{**kept, **own})
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise FairauditError(
                f"'{path}' is not the record of a cell; remove its folder and run the sweep again."
            ) from error

    def keep(self, record: Record) -> None:
        """Write the record, whole, as the last file of a cell: with it the cell is finished."""
        plain = {"schema": SCHEMA, "schema_version": "1.0", **asdict(record)}
        plain["score"] = [None if v != v else v for v in record.score]
        text = json.dumps(plain, indent=1, ensure_ascii=False, default=list, allow_nan=False)
        write_text(self.folder(record.key) / RECORD, text + "\n")

    def predictions(self, key: str, split: str) -> Path:
        """The predictions of a cell for `validation` or `test` rows."""
        return self.folder(key) / f"{split}.parquet"

    def audit(self, key: str, split: str) -> Path:
        """The audit of these predictions."""
        return self.folder(key) / f"{split}.json"

    def judged(self, key: str) -> bool:
        """Whether the test rows have been predicted and audited."""
        return self.audit(key, TEST).is_file()

    def artefact(self, key: str) -> Path | None:
        """The trained model of a cell, where it is still there."""
        folder = self.folder(key)
        return next((folder / n for n in ARTEFACTS if (folder / n).is_dir()), None)

    def drop_artefact(self, key: str) -> None:
        """Remove the trained model of a cell."""
        for name in (*ARTEFACTS, BASE):
            shutil.rmtree(self.folder(key) / name, ignore_errors=True)

    def clear(self, key: str) -> Path:
        """An empty folder for a cell that begins."""
        self.remove(key)
        folder = self.folder(key)
        folder.mkdir(parents=True)
        return folder

    def remove(self, key: str) -> None:
        """Remove a cell."""
        shutil.rmtree(self.folder(key), ignore_errors=True)


def _score(values: list[float | None]) -> tuple[float, ...]:
    return tuple(float("nan") if v is None else float(v) for v in values)
