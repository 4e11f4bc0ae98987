"""What every card says of an audit: which gaps are shown, which could have been, and who was left out."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fairaudit.auditing import Audit
from fairaudit.catalogue import BY_ID
from fairaudit.document import sha256_of
from fairaudit.errors import FairauditError
from fairaudit.estimate import Estimate
from fairaudit.report.words import listed, number, unit, where_attained
from fairaudit.schema import check

#: What no card says: an audit shows gaps or bounds them, and proves no model to be good.
FORBIDDEN = ("compliant", "no bias", "fair model", "unbiased")


@dataclass(frozen=True, slots=True)
class Source:
    """An audit as it was found: `name` of the file, `time` when it was made, `version` that made it."""

    audit: Audit
    name: str
    time: str
    version: str

    @property
    def day(self) -> str:
        """The day of the audit."""
        return self.time[:10]

    @property
    def attributes(self) -> tuple[str, ...]:
        """The sensitive attributes and intersections that were audited."""
        return tuple(dict.fromkeys(str(g["attribute"]) for g in self.audit.groups))


@dataclass(frozen=True, slots=True)
class Names:
    """What the card calls things. `command`: what makes the same audit of the same rows.

    Raises FairauditError for a name that holds a word which a card never says.
    """

    model: str = "model"
    dataset: str = "evaluation data"
    task: str = "classification"
    command: str = ""

    def __post_init__(self) -> None:
        for option, text in (
            ("--model-name", self.model),
            ("--dataset-name", self.dataset),
            ("--task", self.task),
        ):
            said(option, text)


def said(option: str, text: str) -> str:
    """A user's own words for a card. Raises FairauditError where they are empty or say what an audit cannot show."""
    if not text.strip():
        raise FairauditError(f"{option} is empty; leave it out or say something.")
    for word in FORBIDDEN:
        if word in " ".join(text.lower().split()):
            raise FairauditError(f"{option} says '{word}', which no card can show; use other words.")
    return text


def read(path: str | Path) -> Source:
    """The audit of a file. Raises FairauditError where it cannot be read, is none, or has no sensitive attribute."""
    try:
        text = Path(path).read_bytes().decode("utf-8")
    except (OSError, ValueError) as error:
        why = "it is not UTF-8 text" if isinstance(error, ValueError) else error.strerror or str(error)
        raise FairauditError(f"cannot read '{path}': {why}; name the JSON file of an audit.") from error
    try:
        whole = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        hint = "a card is made from the audit, `fairaudit report PREDS -o json:audit.json` writes it"
        raise FairauditError(f"'{path}' is not JSON; {hint}.") from error
    kind = whole.get("schema") if isinstance(whole, dict) else None
    if kind != "fairaudit.audit":
        found = (
            f"a {kind} file" if isinstance(kind, str) and kind.startswith("fairaudit.") else "something else"
        )
        raise FairauditError(
            f"'{path}' is {found}, but a card needs an audit (fairaudit report -o json:audit.json)."
        )
    audit = Audit.from_json(text)  # first: it says which versions this program reads
    check(whole, "audit")
    if sha256_of(whole["content"]) != whole["content_sha256"]:
        raise FairauditError(
            f"'{path}' was changed after it was written (its checksum differs); audit again."
        )
    if not audit.groups:
        raise FairauditError(
            f"'{path}' has no sensitive attribute, so there is nothing to say about groups; audit again with -s COLUMN."
        )
    return Source(audit, Path(path).name, str(whole["run"]["time"]), str(whole["run"]["version"]))


def _no_number(name: str) -> float:
    """NaN and infinities are not JSON, though Python reads them."""
    raise ValueError(name)


@dataclass(frozen=True, slots=True)
class Gap:
    """A gap over the groups of an attribute, with its simultaneous interval.

    `smallest`: the smallest gap that these rows could have shown, which is the upper end of that interval: at its
    level every larger gap is ruled out, and a gap of that size or less may be there without being seen. None
    where the gap is undefined. (Its lower end pays for the search over all evaluable groups.)
    """

    estimate: Estimate

    @property
    def smallest(self) -> float | None:
        """The smallest gap that could have been shown."""
        return None if self.estimate.interval is None else self.estimate.interval.high

    @property
    def shown(self) -> bool:
        """Whether a gap is shown: the simultaneous lower bound is above 0."""
        return self.estimate.interval is not None and self.estimate.interval.low > 0

    @property
    def verdict(self) -> str:
        """The gap in words: shown, not shown (and what could have been), or not judged."""
        e = self.estimate
        if e.value is None or e.interval is None or self.smallest is None:
            return f"not judged: {e.reason or 'no interval'}"
        if self.shown:
            least = number(e.metric, e.interval.low) if e.interval.low >= 0.0005 else "just above 0"
            where = where_attained(e)
            return f"a gap is shown: {number(e.metric, e.value)}{unit(e.metric)}, at least {least}" + (
                f" ({where})" if where else ""
            )
        if self.smallest >= 1:
            return "no violation shown; this data could have shown no gap, however large"
        return f"no violation shown; this data could have shown a gap of at least {upwards(self.smallest)} points"

    @property
    def sentence(self) -> str:
        """The verdict with the names."""
        return f"{self.estimate.metric} by {self.estimate.by}: {self.verdict}."


def upwards(share: float) -> str:
    """A share in percent, never rounded to less than it is.

    >>> upwards(0.07441), upwards(0.1), upwards(0.0)
    ('7.5', '10.0', '0.0')
    """
    return f"{math.ceil(round(1000 * share, 9)) / 10:.1f}"


#: What the sentences of `Gap` mean, for the page that holds them.
MEANING = (
    "A gap is shown where its simultaneous {level:g} % interval lies above 0. Where it does not, the number named is "
    "the upper end of that interval: gaps above it are ruled out at this level, and a gap up to it may be there "
    "unseen. Both speak only of groups with at least {events} rows in the denominator; the others are listed as "
    "left out, and nothing is shown about them. The level is that of one gap over one attribute: among many gaps some "
    "may be shown by chance."
)


def meaning(a: Audit) -> str:
    """`MEANING` for the level and the settings of an audit."""
    return MEANING.format(level=100 * a.settings.level, events=a.settings.min_events)


def gaps(a: Audit) -> tuple[Gap, ...]:
    """Every gap over groups of an attribute (gaps over classes are about the task), in the order of the audit."""
    found = (e for e in a.estimates if e.group is None and e.class_ is None and e.by != "class")
    return tuple(Gap(e) for e in found if e.metric in BY_ID and BY_ID[e.metric].gap)


def left_out(a: Audit) -> tuple[str, ...]:
    """The strata that no gap or minimum speaks of: too few rows, or none, by group and with the reason."""
    places: dict[str, dict[str, list[str]]] = {}
    for e in a.estimates:
        if e.group is None or e.status == "ok" or e.metric == "eod" or e.metric.endswith("_to_overall"):
            continue
        name = e.metric if e.class_ is None else f"{e.metric} of class {e.class_}"
        why = "undefined: " + (e.reason or "no rows") if e.status == "undefined" else _few(e)
        places.setdefault(f"{e.by}={e.group}", {}).setdefault(why, []).append(name)
    return tuple(f"{place}: {_reasons(whys)}" for place, whys in places.items())


def _few(e: Estimate) -> str:
    said = (e.reason or f"{e.n} rows").partition(":")[0]
    return "1 row" + said.removeprefix("1 rows") if said.startswith("1 rows") else said


def _reasons(whys: Mapping[str, Iterable[str]]) -> str:
    return "; ".join(f"{listed(names, 6)} ({why})" for why, names in whys.items())


def rows(a: Audit) -> str:
    """How many rows of which split, and how many were dropped."""
    n, split = int(a.data["rows"]), a.data["split"]
    said_rows = f"{n:,}" + (f" where {split['column']} is {split['value']}" if split else "")
    for key, text in (
        ("dropped", "without label or prediction dropped"),
        ("unmatched", "without partner left out"),
    ):
        if a.data.get(key):
            said_rows += f"; {int(a.data[key]):,} {text}"
    return said_rows
