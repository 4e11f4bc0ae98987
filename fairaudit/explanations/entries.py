"""The explanations as values: the catalogue's facts joined with the texts of the TOML files."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from importlib.resources import files
from math import inf
from typing import Any

from fairaudit.catalogue import CATALOGUE, Metric
from fairaudit.errors import FairauditError, did_you_mean

METRICS, KINDS, POLICY, WORDS, INTERVALS = "Metrics", "Rules", "Policy", "Words", "Intervals"
#: The tables of the TOML files -> the topic of a list.
_TOPICS = {"kind": KINDS, "policy": POLICY, "word": WORDS}
#: What a rule comes to when it is neither shown to hold nor to be broken.
OPEN = "anything else: some group has too few rows, or its bounds stand on both sides of the limit"
_WHERE = {"overall": "over all rows", "class": "by class", "attribute": "by attribute"}


@dataclass(frozen=True, slots=True)
class Explanation:
    """One name, explained. Empty texts and tuples: there is nothing to say.

    `better`: `higher`, `lower` or `` (neither). `low`, `high`: the range (None: no number; inf: no end). `where`:
    kinds of view it stands in. `methods`: the names its intervals have. `passes`, `fails`, `open`: of a rule kind.
    """

    name: str
    topic: str
    definition: str
    plain: str
    formula: str = ""
    misleads: str = ""
    better: str = ""
    low: float | None = None
    high: float | None = None
    where: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    undefined: str = ""
    passes: str = ""
    fails: str = ""
    open: str = ""
    example: str = ""
    source: str = ""
    see: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The explanation as plain values; an endless range has null for its end."""
        high = None if self.high == inf else self.high
        found = {**asdict(self), "high": high}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in found.items()}

    @property
    def range(self) -> str:
        """The range in words, empty where there is none."""
        if self.low is None or self.high is None:
            return ""
        return (
            f"{self.low:g} or more".replace("-", "−") if self.high == inf else _between(self.low, self.high)
        )

    @property
    def stands(self) -> str:
        """Where the metric stands, in words."""
        return ", ".join(_WHERE[w] for w in self.where)


def _between(low: float, high: float) -> str:
    return f"{low:g} to {high:g}".replace("-", "−")


@lru_cache(maxsize=1)
def every() -> Mapping[str, Explanation]:
    """All explanations by name: metrics in the catalogue's order, then rules, policy, words and intervals."""
    texts = _read("metrics.toml")
    found = {name: _of_metric(name, same, texts.get(name, {})) for name, same in _by_id(CATALOGUE).items()}
    for file in ("policy.toml", "words.toml"):
        for table, entries in _read(file).items():
            for name, text in entries.items():
                found[name] = _of_text(name, _TOPICS[table], text)
    used = {m for e in found.values() for m in e.methods} | {"mover", "paired-mover"}
    return {n: replace(e, topic=INTERVALS) if n in used else e for n, e in found.items()}


def _read(file: str) -> dict[str, dict[str, Any]]:
    return tomllib.loads(files("fairaudit.explanations").joinpath(file).read_text(encoding="utf-8"))


def _by_id(metrics: Iterable[Metric]) -> dict[str, list[Metric]]:
    found: dict[str, list[Metric]] = {}
    for m in metrics:
        found.setdefault(m.id, []).append(m)
    return found


def _of_metric(name: str, same: list[Metric], text: Mapping[str, Any]) -> Explanation:
    """`same`: the metric's entries in the catalogue, several where one id stands in several kinds of view."""
    first = same[0]
    where = tuple(w for w in _WHERE if any(w in m.where for m in same))
    return Explanation(
        name,
        METRICS,
        definition="; or ".join(m.meaning for m in same),
        plain=text.get("plain", ""),
        formula="; or ".join(m.formula for m in same),
        misleads=text.get("misleads", ""),
        better=first.better,
        low=first.low,
        high=first.high,
        where=where,
        methods=tuple(text.get("methods", ())),
        undefined=text.get("undefined", ""),
        source="; ".join(dict.fromkeys(m.source for m in same)),
        see=tuple(text.get("see", ())),
    )


def _of_text(name: str, topic: str, text: Mapping[str, Any]) -> Explanation:
    plain = {k: v for k, v in text.items() if k != "see"}
    still = OPEN if topic == KINDS else ""
    return Explanation(name, topic, see=tuple(text.get("see", ())), open=still, **plain)


def explain(name: str) -> Explanation:
    """The explanation of a metric, a rule kind or a word; spaces, hyphens and case do not matter.

    Raises FairauditError with the nearest name for one that is not known.

    >>> explain("Fail bound").name
    'fail_bound'
    """
    known = every()
    folded = {_folded(n): n for n in known}
    if _folded(name) not in folded:
        raise FairauditError(
            f"there is nothing to explain under '{name}'; `fairaudit explain` lists every name."
            f"{did_you_mean(name, known)}"
        )
    return known[folded[_folded(name)]]


def is_known(name: str) -> bool:
    """Whether `explain` knows the name."""
    return _folded(name) in map(_folded, every())


def _folded(name: str) -> str:
    return "_".join(name.casefold().replace("-", " ").replace("_", " ").split())


def topics() -> Iterator[tuple[str, tuple[Explanation, ...]]]:
    """Every explanation by topic, in the order of a list."""
    for topic in (METRICS, KINDS, POLICY, WORDS, INTERVALS):
        yield topic, tuple(e for e in every().values() if e.topic == topic)
