"""The summary of results of a bias audit under New York City's Local Law 144 (6 RCNY § 5-300 to § 5-304).

For sex categories, race/ethnicity categories and their intersections: applicants, selected, selection rate and
impact ratio (the rate of a category over that of the most selected category of its table, § 5-300), the number of
people of an unknown category (§ 5-301), and beside the rule's numbers our intervals, which it does not ask for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np

from fairaudit import simultaneous
from fairaudit.auditing import Audit
from fairaudit.card.facts import Names, Source, said
from fairaudit.errors import FairauditError, did_you_mean
from fairaudit.intervals import Shares, ratio
from fairaudit.labels import MISSING, split_by, split_groups

SEX = ("sex", "gender")
RACE = ("race", "ethnicity", "race_ethnicity", "race/ethnicity", "race_eth", "rac1p")
#: § 5-301(d): a category of less than 2 % of the data may be left out of the impact ratios.
MOST_EXCLUDED = 2.0


@dataclass(frozen=True, slots=True)
class Filing:
    """What the rule asks for and no audit knows. `exclude_below`: percent; `justification`: why (§ 5-301(d))."""

    audit_date: str
    data_source: str
    distribution_date: str
    sex: str | None = None
    race: str | None = None
    exclude_below: float | None = None
    justification: str | None = None


@dataclass(frozen=True, slots=True)
class Category:
    """One row. `share`: of all rows of the audit. `ratio`: None where it is left out or undefined (nobody selected).

    `low`, `high`: of the selection rate; `ratio_low`, `ratio_high`: of the impact ratio, None where not computed.
    """

    name: str
    n: int
    selected: int
    rate: float
    low: float
    high: float
    share: float
    excluded: bool = False
    ratio: float | None = None
    ratio_low: float | None = None
    ratio_high: float | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """One table. `unknown`: people whose category is missing. `lowest`: the interval of the lowest impact ratio."""

    title: str
    by: str
    categories: tuple[Category, ...]
    unknown: int
    lowest: tuple[float, float] | None

    def to_dict(self) -> dict[str, Any]:
        """The table as plain values."""
        rows = [{k: getattr(c, k) for k in Category.__dataclass_fields__} for c in self.categories]
        lowest = None if self.lowest is None else list(self.lowest)
        return {
            "title": self.title,
            "by": self.by,
            "unknown": self.unknown,
            "lowest_ratio": lowest,
            "categories": rows,
        }


def filing(
    audit_date: str | None, data_source: str | None, distribution_date: str | None, **more: Any
) -> Filing:
    """A checked `Filing`. Raises FairauditError where something that the rule asks for is missing, naming all of it."""
    needed = {
        "--audit-date": audit_date,
        "--data-source": data_source,
        "--distribution-date": distribution_date,
    }
    missing = [k for k, v in needed.items() if v is None or not v.strip()]
    if missing or audit_date is None or data_source is None or distribution_date is None:
        raise FairauditError(f"6 RCNY § 5-303 asks for what no audit knows: say {', '.join(missing)}.")
    for option, text in (("--audit-date", audit_date), ("--distribution-date", distribution_date)):
        try:
            date.fromisoformat(text)
        except ValueError:
            raise FairauditError(f"{option} must be a day as 2026-01-31, not '{text}'.") from None
    found = Filing(audit_date, said("--data-source", data_source), distribution_date, **more)
    _check_exclusion(found)
    return found


def _check_exclusion(found: Filing) -> None:
    if found.exclude_below is None:
        if found.justification is not None:
            raise FairauditError(
                "--justification says why categories are left out; say which with --exclude-below."
            )
        return
    if not 0 < found.exclude_below <= MOST_EXCLUDED:
        raise FairauditError(
            f"--exclude-below must lie above 0 and be at most {MOST_EXCLUDED:g} (percent), not "
            f"{found.exclude_below:g}: § 5-301(d) lets an auditor leave out categories of less than 2 % only."
        )
    if found.justification is None:
        raise FairauditError("§ 5-301(d) asks why a category is left out: say it with --justification.")
    said("--justification", found.justification)


def parts(source: Source, asked: Filing) -> tuple[Part, ...]:
    """The three tables. Raises FairauditError where the audit cannot fill them."""
    a = source.audit
    if a.data["weighted"]:
        raise FairauditError(
            "the rule counts people, and this audit is weighted; audit the rows without --weights for this table."
        )
    sex, race = _attribute(a, asked.sex, "sex", SEX), _attribute(a, asked.race, "race", RACE)
    if sex == race:
        raise FairauditError(f"--sex and --race are both '{sex}'; the rule asks for two attributes.")
    if not any(e.metric == "selection_rate" for e in a.estimates):
        raise FairauditError(
            "this audit has no selection_rate, because no class is positive; audit again with --positive CLASS, "
            "the class that means selected."
        )
    both = next((by for by in source.attributes if sorted(split_by(by)) == sorted((sex, race))), None)
    if both is None:
        raise FairauditError(
            f"the rule asks for the intersections of {sex} and {race}, which this audit lacks; audit again with "
            "--cross 2."
        )
    titles = (
        ("Sex categories", sex),
        ("Race/ethnicity categories", race),
        ("Intersectional categories", both),
    )
    return tuple(_part(a, title, by, asked.exclude_below) for title, by in titles)


def _attribute(a: Audit, named: str | None, kind: str, usual: Sequence[str]) -> str:
    """The attribute that holds the sex (or race) categories: the one named, else the one with a usual name."""
    known = [by for by in dict.fromkeys(str(g["attribute"]) for g in a.groups) if len(split_by(by)) == 1]
    if named is not None:
        if named not in known:
            raise FairauditError(
                f"this audit has no attribute '{named}' (attributes: {', '.join(known)}).{did_you_mean(named, known)}"
            )
        return named
    found = [by for by in known if by.lower().replace(" ", "_") in usual]
    if len(found) != 1:
        raise FairauditError(
            f"which attribute holds the {kind} categories? Say --{kind} with one of: {', '.join(known)}."
        )
    return found[0]


def _part(a: Audit, title: str, by: str, exclude_below: float | None) -> Part:
    rows = int(a.data["rows"])
    every = {str(g["group"]): int(g["n"]) for g in a.groups if g["attribute"] == by}
    unknown = [g for g in every if MISSING in _names(by, g)]
    found = []
    for group, n in every.items():
        if group in unknown:
            continue
        e = a.estimate("selection_rate", by, group)
        if e.value is None or e.interval is None or e.numerator is None:
            continue  # a category without applicants has no line
        share = n / rows
        excluded = exclude_below is not None and share < exclude_below / 100
        found.append(Category(", ".join(_names(by, group)), n, int(e.numerator), e.value, e.interval.low,
                              e.interval.high, share, excluded))  # fmt: skip
    if not found:
        raise FairauditError(f"every row has an unknown category of {by}, so there is nothing to compare.")
    compared, lowest = _with_ratios(a, [c for c in found if not c.excluded])
    by_name = {c.name: c for c in compared}
    return Part(
        title, by, tuple(by_name.get(c.name, c) for c in found), sum(every[g] for g in unknown), lowest
    )


def _names(by: str, group: str) -> tuple[str, ...]:
    return split_groups(group) if len(split_by(by)) > 1 else (group,)


def _with_ratios(a: Audit, found: Sequence[Category]) -> tuple[list[Category], tuple[float, float] | None]:
    """The categories with their impact ratios and intervals, and the interval of the lowest one.

    rate_c / max_j rate_j = min_j rate_c / rate_j, so simultaneous intervals of all ordered pairs give
    [min_j l_cj, min_j u_cj], which holds for all categories at once and whichever is truly the most selected. Not
    computed for clustered rows, where an audit does not keep what pairs need.
    """
    top = max((c.rate for c in found), default=0.0)
    if top == 0:
        return list(found), None
    ratios = [replace(c, ratio=c.rate / top) for c in found]
    if a.data["clustered"] or len(found) < 2:
        return ratios, None
    shares = Shares(np.array([c.rate for c in found]), np.array([float(c.n) for c in found]))
    i, j = (x.ravel() for x in np.indices((len(found), len(found))))
    i, j = i[i != j], j[i != j]
    z = simultaneous.pair_critical(shares, a.settings.level, i, j)
    low, high = ratio(shares.take_pairs(i, z), shares.take_pairs(j, z))
    bounds = [
        (min(1.0, float(low[i == k].min())), min(1.0, float(high[i == k].min()))) for k in range(len(found))
    ]
    out = [replace(c, ratio_low=b[0], ratio_high=b[1]) for c, b in zip(ratios, bounds, strict=True)]
    return out, simultaneous.lowest_ratio(shares, a.settings.level)


def content(source: Source, names: Names, asked: Filing) -> dict[str, Any]:
    """The summary as plain values."""
    return {
        "tool": names.model, "audit_date": asked.audit_date, "data_source": asked.data_source,
        "distribution_date": asked.distribution_date, "rows": source.audit.data["rows"],
        "positive": source.audit.positive, "level": source.audit.settings.level,
        "exclude_below": asked.exclude_below, "justification": asked.justification,
        "audit_sha256": source.audit.content_sha256, "tables": [p.to_dict() for p in parts(source, asked)],
    }  # fmt: skip
