r"""How a policy names attributes and groups: `race`, `race & sex`, `race=Asian`, `race&sex=Asian & F`.

Blanks around `&` do not matter, nor does the order of attributes: a group follows the order of its rule's `by`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from fairaudit.column_names import RESERVED
from fairaudit.errors import FairauditError, did_you_mean
from fairaudit.labels import escape, join, join_groups, split_by, split_groups
from fairaudit.toml_lines import Path, Place, cut, shown

OVERALL, CLASS = "overall", "class"
_LOOSE_AND = re.compile(r" ?(?<!\\)((?:\\\\)*)& ?")


@dataclass(frozen=True, slots=True)
class Spot:
    """A table of the policy, and how its errors begin."""

    place: Place
    path: Path
    title: str

    def error(self, key: str | tuple[str, int], sentence: str) -> FairauditError:
        """A sentence about a key (or an entry of its list) of this table."""
        keys = key if isinstance(key, tuple) else (key,)
        return self.place.error((*self.path, *keys), f"{self.title}: {sentence}")


def entry(text: str) -> str:
    r"""An entry of `by` in its one spelling.

    >>> entry("race & sex"), entry("race"), entry(r"a\&b &c")
    ('race&sex', 'race', 'a\\&b&c')
    """
    parts = split_by(text)
    return join(p.strip() for p in parts) if len(parts) > 1 else join(parts)


def read_by(given: str | Sequence[str], declared: Sequence[str], spot: Spot) -> tuple[str, ...]:
    """The entries of a `by`. `declared`: the sensitive attributes of `[data]`, none where it names none."""
    texts = [given] if isinstance(given, str) else list(given)
    seen: dict[frozenset[str], str] = {}
    for text in texts:
        found = entry(text)
        parts = split_by(found)
        _check_parts(text, parts, declared, spot)
        if before := seen.get(frozenset(parts)):
            also = "" if before == found else f", once as {shown(found)}"
            raise spot.error("by", f"by names {shown(before)} twice{also}; keep one of them.")
        seen[frozenset(parts)] = found
    return tuple(seen.values())


def _check_parts(text: str, parts: Sequence[str], declared: Sequence[str], spot: Spot) -> None:
    if text in declared and "&" in text and len(parts) > 1:
        raise spot.error("by", f"{shown(text)} in by crosses {len(parts)} attributes; the column of that name is "
                               f"written '{cut(escape(text))}', in single quotes.")  # fmt: skip
    if "" in parts:
        raise spot.error("by", f"{shown(text)} in by lacks a name beside its '&'; write it as race&sex.")
    if len(set(parts)) < len(parts):
        raise spot.error("by", f"{shown(text)} in by crosses an attribute with itself; name each one once.")
    for name in parts:
        if name in (OVERALL, CLASS) and len(parts) == 1:
            continue
        check_attribute(name, "by", spot)
        if declared and name not in declared:
            near = did_you_mean(name, declared)
            said = f"{shown(name)} in by is not among the sensitive attributes of [data] ({_some(declared)})"
            raise spot.error("by", f"{said}.{near}" if near else f"{said}; add it there or take it out here.")


def check_attribute(name: str, key: str, spot: Spot) -> None:
    """Refuse an attribute whose name fairaudit uses itself."""
    if name in RESERVED:
        instead = " on its own" if name in (OVERALL, CLASS) and key == "by" else ""
        raise spot.error(key, f"{shown(name)} in {key} is a name fairaudit uses itself; rename that column, or write "
                              f"by = [\"{name if instead else CLASS}\"]{instead} for a rule.")  # fmt: skip


def _some(names: Sequence[str]) -> str:
    return cut(", ".join(names))


def read_group(text: str, key: str | tuple[str, int], entries: Sequence[str], spot: Spot) -> str:
    """A group in its one spelling. Its attribute (or crossing) must be among the entries, unless there are none."""
    inside = key if isinstance(key, str) else key[0]
    attribute, group = _apart(text, entries)
    if group is None or not attribute:
        example = f"{entries[0] if entries else 'race'}={cut(text.lstrip('='))}"
        raise spot.error(key, f"{shown(text)} in {inside} names no attribute; write it as {example}.")
    if entries and (attribute not in entries):
        near = did_you_mean(attribute, entries)
        said = f"{shown(attribute)} in {inside} is not looked at here ({_some(entries)})"
        raise spot.error(key, f"{said}.{near}" if near else f"{said}; name a group of one of these.")
    if not group:
        raise spot.error(
            key,
            f"{shown(text)} in {inside} names no group; rows without a value are {cut(attribute)}=(missing).",
        )
    names = split_by(attribute)
    if len(names) > 1 and len(split_groups(group)) != len(names):
        example = f"{cut(attribute)}={' & '.join('ABCDEFGH'[: len(names)])}"
        raise spot.error(
            key, f"{shown(text)} in {inside} must name {len(names)} groups; write it as {example}."
        )
    return f"{attribute}={group}"


def _apart(text: str, entries: Sequence[str]) -> tuple[str, str | None]:
    """(attribute, group); the group is None without `=`. A name that itself holds `=` is known by the entries."""
    for known in sorted(entries, key=len, reverse=True):
        if text.startswith(f"{known}="):
            return known, _group(text[len(known) + 1 :], split_by(known), split_by(known))
    left, sign, group = text.partition("=")
    names = split_by(entry(left.strip()))
    same = next(
        (e for e in entries if set(split_by(e)) == set(names) and len(split_by(e)) == len(names)), None
    )
    wanted = names if same is None else split_by(same)
    return join(wanted), _group(group, names, wanted) if sign else None


def _group(text: str, names: Sequence[str], wanted: Sequence[str]) -> str:
    """The groups of a crossing joined as ` & `, in the wanted order of attributes; a single one as it is."""
    if len(names) == 1:
        return text
    parts = split_groups(_LOOSE_AND.sub(r"\1 & ", text))
    if len(parts) != len(names) or set(names) != set(wanted):
        return text
    found = dict(zip(names, parts, strict=True))
    return join_groups(found[n] for n in wanted)
