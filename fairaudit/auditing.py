"""The audit: every estimate of the catalogue, the flags and the warnings, as one value that can be saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fairaudit.catalogue import BY_ID, estimates
from fairaudit.columns import Inputs
from fairaudit.document import document, read_document, sha256_of
from fairaudit.emit import EXACT
from fairaudit.errors import FairauditError, did_you_mean
from fairaudit.estimate import Estimate
from fairaudit.prepare import Naming, naming, views
from fairaudit.searching import stands_out
from fairaudit.tallies.tally import Tally
from fairaudit.view import NO_INTERVALS, Settings, View
from fairaudit.warning import warnings

if TYPE_CHECKING:
    import pandas as pd

SCHEMA, SCHEMA_VERSION = "fairaudit.audit", "1.0"


@dataclass(frozen=True, slots=True, eq=False)
class Audit:
    """The numbers of one set of predictions.

    `data`: how the rows were read. `classes`, `positive`: the classes. `settings`: level, min_events, min_n, seed.
    `groups`: records with attribute, group, n and rows by class. `estimates`, `flags`, `warnings`: as in
    `audit.json`. `stands_out`: groups that differ from the rest beyond what so many looks find by chance.
    The same rows give the same content, in any order, chunking or engine.
    """

    data: Mapping[str, Any]
    classes: tuple[str, ...]
    positive: str | None
    settings: Settings
    groups: tuple[Mapping[str, Any], ...]
    estimates: tuple[Estimate, ...]
    flags: tuple[Mapping[str, Any], ...]
    warnings: tuple[Mapping[str, str], ...]
    stands_out: tuple[Mapping[str, Any], ...] = ()

    def estimate(
        self, metric: str, by: str = "overall", group: str | None = None, class_: str | None = None
    ) -> Estimate:
        """One estimate. Raises FairauditError, with the nearest name, where there is none."""
        for e in self.estimates:
            if (e.metric, e.by, e.group, e.class_) == (metric, by, group, class_):
                return e
        known = {e.metric for e in self.estimates}
        if metric not in known:
            raise FairauditError(f"this audit has no metric '{metric}'.{did_you_mean(metric, known)}")
        places = sorted({e.by for e in self.estimates if e.metric == metric})
        raise FairauditError(
            f"no estimate of {metric} by '{by}', group {group!r}, class {class_!r} (it stands by: {', '.join(places)})."
        )

    def content(self) -> dict[str, Any]:
        """The part of `audit.json` that depends on nothing but the rows and the options."""
        s = self.settings
        return {
            "data": dict(self.data),
            "classes": list(self.classes),
            "positive": self.positive,
            "seed": s.seed,
            "settings": {
                "level": s.level,
                "min_events": s.min_events,
                "min_n": s.min_n,
                "interval": s.interval,
                **({"metrics": list(s.metrics)} if s.metrics else {}),
            },
            "groups": [dict(g) for g in self.groups],
            "estimates": [e.to_dict() for e in self.estimates],
            "flags": [dict(f) for f in self.flags],
            "stands_out": [dict(s) for s in self.stands_out],
            "warnings": [dict(w) for w in self.warnings],
        }

    @property
    def content_sha256(self) -> str:
        """The checksum of `content`."""
        return sha256_of(self.content())

    def to_json(self, indent: int | None = 1) -> str:
        """The audit as JSON text, by the schema that `fairaudit schema audit` prints."""
        return document(SCHEMA, SCHEMA_VERSION, self.content(), indent=indent)

    def to_frame(self) -> pd.DataFrame:
        """The estimates as a tidy pandas dataframe, one row each; intervals as `low`, `high`, `level`, `method`."""
        import pandas as pd

        records = []
        for e in self.estimates:
            record = e.to_dict()
            interval = record.pop("interval") or {}
            records.append(record | {k: interval.get(k) for k in ("low", "high", "level", "method")})
        return pd.DataFrame.from_records(records)

    @staticmethod
    def from_json(text: str) -> Audit:
        """The audit of `to_json`. Raises FairauditError where the text is not one."""
        content = read_document(text, SCHEMA, SCHEMA_VERSION)
        try:
            kept = {k: content["settings"][k] for k in ("level", "min_events", "min_n")}
            kept["interval"] = content["settings"].get("interval", "wilson")  # 1.0 had no other
            kept["metrics"] = tuple(content["settings"].get("metrics", ()))
            settings = Settings(seed=content["seed"], **kept)
            found = tuple(Estimate.from_dict(e) for e in content["estimates"])
            return Audit(
                content["data"], tuple(content["classes"]), content["positive"], settings,
                tuple(content["groups"]), found,
                tuple(content["flags"]), tuple(content["warnings"]), tuple(content.get("stands_out", ())),
            )  # fmt: skip
        except (KeyError, TypeError) as error:
            raise FairauditError(
                f"this {SCHEMA} file lacks a part it must have ({error}); write it anew."
            ) from error


def audit_tally(tally: Tally, settings: Settings | None = None, names: Naming | None = None) -> Audit:
    """The audit of a tally: a pure function of its counts and the settings (and of the classes, where given)."""
    settings = settings or Settings()
    check_settings(settings)
    names = names or naming(tally)
    every = [view.folded() for view in views(tally, names, settings)]
    found = tuple(e for view in every for e in estimates(view))
    groups = tuple(g for view in every[2:] for g in _groups(view))
    return Audit(
        _data(tally, names), names.classes, names.positive, settings, groups, found, tuple(_flags(found)),
        tuple(warnings(tally, every, found)), tuple(stands_out(every)),
    )  # fmt: skip


INTERVALS = ("wilson", EXACT, NO_INTERVALS)


def check_settings(settings: Settings) -> None:
    """Raise FairauditError for settings without a meaning."""
    if not 1e-9 < settings.level < 1 - 1e-9:
        raise FairauditError(f"--level must lie inside (0, 1), not {settings.level}; 0.95 is the default.")
    if settings.min_events < 5:
        raise FairauditError(
            f"--min-events must be at least 5, not {settings.min_events}: fewer rows show nothing."
        )
    if settings.seed < 0:
        raise FairauditError(f"--seed must be 0 or more, not {settings.seed}.")
    if settings.interval not in INTERVALS:
        hint = did_you_mean(settings.interval, INTERVALS)
        raise FairauditError(
            f"--interval is wilson, {EXACT} or {NO_INTERVALS}, not '{settings.interval}'.{hint}"
        )
    if settings.min_n < 1:
        raise FairauditError(f"--min-n must be at least 1, not {settings.min_n}.")
    for metric in settings.metrics:
        if metric not in BY_ID:
            raise FairauditError(
                f"there is no metric '{metric}'; fairaudit explain lists them.{did_you_mean(metric, BY_ID)}"
            )


def _data(tally: Tally, names: Naming) -> dict[str, Any]:
    hidden = {"prob_classes", "positive", "top_label"}
    if not tally.description["score_classes"]:
        hidden.add("score_classes")
    shown = {k: v for k, v in tally.description.items() if k not in hidden}
    if names.positive is not None and tally.description["positive"] is None:
        shown["detected"] = [*shown["detected"], "positive"]
    left = tally.left_out
    counts = {
        "left_out": left.get("split", 0),
        **{k: left.get(k, 0) for k in ("dropped", "unmatched", "zero_weight")},
    }
    return {"rows": tally.rows, **counts, **shown}


def _groups(view: View) -> list[dict[str, Any]]:
    """The groups with their rows, those that are listed one by one."""
    support = view.rows.support[: view.listed].astype(np.int64)
    return [
        {
            "attribute": view.by,
            "group": group,
            "n": n,
            "by_class": dict(zip(view.classes, by, strict=True)),
        }
        for group, n, by in zip(
            view.groups[: view.listed], support.sum(axis=1).tolist(), support.tolist(), strict=True
        )
    ]


def _flags(found: Sequence[Estimate]) -> list[dict[str, Any]]:
    """Gaps whose simultaneous lower bound is above 0: over groups first, then over classes."""
    flags = []
    for e in found:
        if (
            e.group is None
            and e.value is not None
            and e.interval
            and e.interval.low > 0
            and BY_ID[e.metric].gap
        ):
            at = dict(e.at) if e.at else None
            flags.append({"metric": e.metric, "by": e.by, "value": e.value, "low": e.interval.low, "at": at})
    return sorted(flags, key=lambda f: f["by"] == "class")


def audit(
    data: Any = None, *, y_true: Any = None, y_pred: Any = None, y_score: Any = None, sensitive: Any = (),
    level: float = 0.95, min_events: int = 10, min_n: int = 30, seed: int = 0, interval: str = "wilson",
    metrics: Sequence[str] = (), **inputs: Any,
) -> Audit:  # fmt: skip
    """Audit predictions: who is served worse, by how much, and how sure we are.

    `data`: a path (or several), or a dataframe; then the other arguments name columns. Without `data` they are
    arrays of one length (`sensitive`: one array, a dict of arrays, or a dataframe). `interval`: of single shares,
    `wilson` or `clopper-pearson`; `none` computes values only, without intervals, draws and flags, and is fast.
    `metrics`: only these of the catalogue (`fairaudit explain` lists them). `inputs`: any other field of `Inputs`
    (`positive`, `threshold`, `weights`, `cluster`, `split`, `cross`, `bins`, `agreement` …).
    Raises FairauditError, one sentence, for input without a meaning.

    >>> a = audit(y_true=[1, 0] * 20, y_pred=[1, 0] * 20, sensitive={"sex": ["F", "M"] * 20})
    >>> a.estimate("accuracy").value
    1.0
    """
    from fairaudit.reading.table import (
        tabulate,  # with it comes duckdb, and who reads a saved audit needs neither
    )

    settings = Settings(level, min_events, min_n, seed, interval, tuple(metrics))
    check_settings(settings)
    given = {"y_true": y_true, "y_pred": y_pred, "y_score": y_score, **inputs}
    return audit_tally(tabulate(*resolved(data, sensitive, given)), settings)


def resolved(data: Any, sensitive: Any, inputs: Mapping[str, Any]) -> tuple[Any, Inputs]:
    """The data and the inputs of a Python call: arrays become one table with columns of their roles' names."""
    unknown = sorted(set(inputs) - set(Inputs.__dataclass_fields__))
    if unknown:
        hint = did_you_mean(unknown[0], Inputs.__dataclass_fields__)
        raise FairauditError(f"there is no option '{unknown[0]}'.{hint}")
    if data is not None:
        names = (sensitive,) if isinstance(sensitive, str) else tuple(sensitive)
        return data, Inputs(sensitive=names, **inputs)
    if inputs.get("y_true") is None:
        raise FairauditError("audit needs data, or the arrays y_true and y_pred (or y_score).")
    groups = _group_columns(sensitive)
    given = {k: _column(k, inputs[k]) for k in _ARRAYS if inputs.get(k) is not None}
    lengths = {k: len(v) for k, v in (given | groups).items()}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{k} {n}" for k, n in lengths.items())
        raise FairauditError(f"the arrays must have one length, not: {shown}.")
    own = {**inputs, **{k: k for k in given}}
    return given | groups, replace(Inputs(**own), sensitive=tuple(groups))


_ARRAYS = ("y_true", "y_pred", "y_score", "weights", "loss", "member", "cluster")


def _column(name: str, values: Any) -> Any:
    """One array. Raises FairauditError for a column's name, or a table, where an array must stand."""
    if isinstance(values, str) or getattr(values, "ndim", 1) != 1 or hasattr(values, "columns"):
        raise FairauditError(f"without data, {name} must be an array with one value a row; or give data.")
    return values if hasattr(values, "__len__") and hasattr(values, "__getitem__") else list(values)


def _group_columns(sensitive: Any) -> dict[str, Any]:
    if isinstance(sensitive, Mapping):
        return {str(k): _column(str(k), v) for k, v in sensitive.items()}
    if hasattr(sensitive, "columns"):
        from fairaudit.reading.frames import held_columns

        if (held := held_columns(sensitive)) is None:
            raise FairauditError(
                "without data, sensitive must be in memory, not a lazy dataframe; collect it first."
            )
        return held
    if sensitive is None or (hasattr(sensitive, "__len__") and len(sensitive) == 0):
        return {}
    name = str(getattr(sensitive, "name", None) or "group")
    return {name: _column("sensitive", sensitive)}
