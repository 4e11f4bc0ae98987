"""A verdict without the numbers of hidden groups; what is hidden is decided in `suppression`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fairaudit.verdict import Check, Stratum, Verdict

#: (by, group) as a verdict writes them.
Hide = frozenset[tuple[str, str]]


def redacted(verdict: Verdict, hide: Hide) -> Verdict:
    """The verdict without the numbers of the hidden groups; no verdict, limit or exit code changes.

    `hide`: (by, group) as the verdict writes them, `("race&sex", "Asian & F")`; `("overall", "")` is all rows,
    `("class", "3")` a class. A hidden stratum keeps its name and verdict. One that is compared with a hidden group
    keeps its own rate and rows, but not the comparison, which would give the other's rate away. Warnings about hidden
    groups are left out, and one that says how many groups are hidden takes their place. What people wrote in the
    policy stands as it is.
    """
    if not hide:
        return verdict
    below = verdict.stats["suppress_below"]
    reason = f"hidden: a count under {below}, or one that would reveal it"
    which = "1 group is" if len(hide) == 1 else f"{len(hide)} groups are"
    message = f"{which} hidden: counts under {below}, and those that would reveal them; no verdict changes"
    names = re.compile("|".join(rf"(?<!\w){re.escape(f'{by}={group}')}(?!\w)" for by, group in sorted(hide)))
    told = [w for w in verdict.warnings if not names.search(w["message"])]
    return replace(
        verdict, checks=tuple(_check(c, hide, names, reason) for c in verdict.checks),
        data=_scrubbed(verdict.data, hide, names), baseline=_scrubbed(verdict.baseline, hide, names),
        warnings=(*told, {"code": "suppressed", "message": message}),
    )  # fmt: skip


def _check(check: Check, hide: Hide, names: re.Pattern[str], reason: str) -> Check:
    """A check whose bounds run over all pairs of groups loses them all: any of them may be a hidden group's."""
    some = any(by == check.by for by, _ in hide)
    pairs = some and check.reference == "highest"
    strata = tuple(_stratum(check.by, s, hide, names, reason, some, pairs) for s in check.strata)
    return replace(check, strata=strata, reason=_told(check.reason, names, reason))


_NO_BOUNDS: Mapping[str, Any] = {"fail_bound": None, "pass_bound": None, "rows_needed": None}
_NOTHING: Mapping[str, Any] = {**_NO_BOUNDS, "value": None, "rate": None, "n": None, "numerator": None,
                               "denominator": None, "baseline": None, "baseline_n": None}  # fmt: skip


def _stratum(
    by: str, s: Stratum, hide: Hide, names: re.Pattern[str], reason: str, some: bool, pairs: bool
) -> Stratum:
    # A stratum of one class and one group has the group's rows; one of a class alone is named by its class; one
    # without either, by an attribute, is a number over all its groups.
    name = s.group if s.group is not None else s.class_ if by == "class" else None
    over_groups = name is None and by not in ("overall", "class") and some
    if (by, name or "") in hide or over_groups:
        return replace(s, **_NOTHING, hidden=True, reason=reason)
    if s.against is not None and (by, s.against.removeprefix(f"{by}=")) in hide:
        return replace(
            s, **_NO_BOUNDS, value=None, reason="compared with a group whose numbers are hidden", against=None
        )
    if pairs:
        return replace(
            s, **_NO_BOUNDS, reason="its bounds are withheld: they run over groups that are hidden"
        )
    return replace(s, reason=_told(s.reason, names, reason))


def _told(text: str | None, names: re.Pattern[str], reason: str) -> str | None:
    """The text, unless it says a number beside the name of a hidden group."""
    if text is None or not names.search(text) or not re.search(r"\d", names.sub("", text)):
        return text
    return reason


def _scrubbed(value: Any, hide: Hide, names: re.Pattern[str], under: str = "") -> Any:
    """A value without what stands under `{"attribute" or "by": …, "group": …}`, `{by: {group: …}}`, `by=group`."""
    if isinstance(value, str):
        return _told(value, names, "hidden")
    if isinstance(value, Mapping):
        if (value.get("attribute", value.get("by")), value.get("group")) in hide:
            kept = ("attribute", "by", "group")
            return {**{k: v if k in kept else None for k, v in value.items()}, "hidden": True}
        return {
            k: None if (under, k) in hide or names.fullmatch(str(k)) else _scrubbed(v, hide, names, str(k))
            for k, v in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_scrubbed(v, hide, names, under) for v in value]
    return value
