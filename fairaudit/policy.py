"""A policy as a value: which rules a release must pass, who waived what until when, how it is judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from math import isfinite
from typing import Any

from fairaudit.errors import FairauditError, did_you_mean

#: What a rule may ask for, each with one number. The last three compare with a baseline.
KINDS = ("min", "max", "max_difference", "min_ratio", "max_increase", "max_decrease", "no_group_worse")
SEVERITIES, MISSING_BASELINE = ("error", "warn"), ("inconclusive", "skip")
FAMILIES, ON_INCONCLUSIVE = ("rule", "policy"), ("block", "warn")
VERSUS_BASELINE = ("max_increase", "max_decrease", "no_group_worse")


@dataclass(frozen=True, slots=True)
class Rule:
    """One `[[rule]]`. `by`: each entry is one check: an attribute, attributes joined by `&`, `overall` or `class`.

    `kind`, `limit`: what is asked, one of `KINDS`. `reference`: whom groups are compared with under
    `max_difference` and `min_ratio`: `highest` (the best-off group, so all pairs), `overall`, `rest`, or one group
    as `race=White`. `class_`: the class a multi-class rate is about (None: every class). `groups`: only these
    (`race=Asian`); `exclude_groups`: all but these. `line`: where it stands in the file; `lines`: where its keys do.
    """

    id: str
    metric: str
    by: tuple[str, ...]
    kind: str
    limit: float
    reference: str = "highest"
    class_: str | None = None
    groups: tuple[str, ...] = ()
    exclude_groups: tuple[str, ...] = ()
    missing_baseline: str = "inconclusive"
    severity: str = "error"
    because: str = ""
    line: int = 0
    lines: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what no file could say either; the reader of files says the same with file and line."""
        _one_of(f"rule '{self.id}': the kind", self.kind, KINDS)
        _one_of(f"rule '{self.id}': severity", self.severity, SEVERITIES)
        _one_of(f"rule '{self.id}': missing_baseline", self.missing_baseline, MISSING_BASELINE)
        by: object = self.by  # a caller in Python may not have looked at the type
        if not isinstance(by, tuple) or not by:
            raise FairauditError(f"rule '{self.id}': by is a tuple of one name or more, not {by!r}.")
        if not isfinite(self.limit):
            raise FairauditError(f"rule '{self.id}': the limit must be a number, not {self.limit}.")

    @property
    def versus_baseline(self) -> bool:
        """Whether the rule compares with a baseline."""
        return self.kind in VERSUS_BASELINE


@dataclass(frozen=True, slots=True)
class Waiver:
    """One `[[waiver]]`: a rule (for one group, or whole) that does not count until a day, and who answers for it."""

    rule: str
    group: str | None
    owner: str
    reason: str
    until: date
    line: int = 0


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy file. `name`: how it was called; `data`: input flags by name (`Inputs`' fields, as keywords).

    `alpha`: one-sided, per rule; `family`: `rule`, or `policy` when the fail side is spread over all rules.
    `on_inconclusive`: `block` or `warn`. `suppress_below`: counts from 1 to this less one are hidden (0: none).
    `exclude_groups`: groups that no rule judges. `sha256`: of the text of the file.
    """

    name: str
    rules: tuple[Rule, ...]
    waivers: tuple[Waiver, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict)
    alpha: float = 0.05
    min_events: int = 10
    seed: int = 0
    family: str = "rule"
    on_inconclusive: str = "block"
    suppress_below: int = 0
    exclude_groups: tuple[str, ...] = ()
    sha256: str = ""
    lines: Mapping[str, int] = field(default_factory=dict)

    @property
    def counted(self) -> tuple[Rule, ...]:
        """The rules that can decide: of severity `error`, and not waived whole."""
        whole = {w.rule for w in self.waivers if w.group is None}
        return tuple(r for r in self.rules if r.severity == "error" and r.id not in whole)

    def __post_init__(self) -> None:
        """Refuse statistics and rules that no file could hold either."""
        _one_of("family", self.family, FAMILIES)
        _one_of("on_inconclusive", self.on_inconclusive, ON_INCONCLUSIVE)
        if not 0 < self.alpha <= 0.5:
            raise FairauditError(f"alpha must lie in (0, 0.5], not {self.alpha}.")
        if self.min_events < 5:
            raise FairauditError(
                f"min_events must be at least 5, not {self.min_events}: fewer rows show nothing."
            )
        if not self.rules:
            raise FairauditError("a policy without a rule asks nothing; add one.")
        if len({r.id for r in self.rules}) < len(self.rules):
            raise FairauditError("two rules have the same id; a waiver could not tell them apart.")


def _one_of(what: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise FairauditError(
            f"{what} is {', '.join(known[:-1])} or {known[-1]}, not '{value}'.{did_you_mean(value, known)}"
        )
