"""What a report says about an audit, in which order: the facts, the tables, the worst number, the flags."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fairaudit.auditing import Audit
from fairaudit.catalogue import BY_ID
from fairaudit.estimate import Estimate
from fairaudit.report import audit_tables
from fairaudit.report.blocks import Block, Command, Facts, Heading, Items, Limits, Sentence
from fairaudit.report.flags import Flag, Key, flags, index, told, unseen
from fairaudit.report.words import bounds, count, listed, number, several, signed
from fairaudit.view import NO_INTERVALS

#: More small groups than this are said in one sentence.
MANY_SMALL = 20
_SMALL = {
    "small_group": "small groups",
    "small_stratum": "groups or classes are left out of minima, maxima and gaps in some of their numbers",
}


def page(
    a: Audit, limits: Limits, source: str = "", pinned: str = "", saved: str | None = None
) -> list[Block]:
    """The blocks of a report. A terminal (`worst_last`) ends with the flags; a document begins with them."""
    title = Heading(f"fairaudit report: {source}" if source else "fairaudit report", 1)
    known = index(a)
    attributes = tuple(dict.fromkeys(g["attribute"] for g in a.groups))
    shown, left_out = _shown(a, attributes, limits)
    tables: list[Block] = [
        *audit_tables.all_rows(a, known),
        *audit_tables.by_class(a, known, limits),
        *audit_tables.scores_by_class(a, known, limits),
        *(b for by in shown for b in audit_tables.by_attribute(a, known, by, limits)),
        *left_out,
        *audit_tables.panel(known, shown, limits),
        *audit_tables.gaps(a, known, attributes, limits),
    ]
    findings = [*_worst(known, attributes), *_flags(a, limits, saved)]
    head: list[Block] = [title, Facts(tuple(_head(a, attributes)))]
    detected, warnings = _detected(a, pinned), _warnings(a, known, limits)
    if limits.worst_last:
        return [*head, *detected, *tables, *warnings, *findings]
    return [*head, *findings, *tables, *warnings, *detected]


def _shown(a: Audit, attributes: Sequence[str], limits: Limits) -> tuple[tuple[str, ...], list[Block]]:
    """The attributes with tables of their own, those with the clearest gaps, and a word about the others."""
    if len(attributes) <= limits.views:
        return tuple(attributes), []
    lows = {by: max((f["low"] for f in a.flags if f["by"] == by), default=0.0) for by in attributes}
    clearest = sorted(attributes, key=lambda by: -lows[by])[: limits.views]
    rest = several(
        len(attributes) - limits.views, "other attribute or intersection", "other attributes or intersections"
    )
    note = Sentence(f"… and {rest} with smaller lower bounds of their gaps (--json has all).", "dim")
    return tuple(by for by in attributes if by in clearest), [Heading("Not shown"), note]


def _head(a: Audit, attributes: Sequence[str]) -> Iterable[tuple[str, str]]:
    data = a.data
    yield "rows", _rows(data)
    sizes = {e.class_: e.n for e in a.estimates if e.metric == "recall" and e.by == "class"}
    classes = listed([f"{c} ({count(sizes[c])})" if c in sizes else c for c in a.classes], 8)
    yield (
        "classes",
        f"{classes}; " + ("none is positive" if a.positive is None else f"positive: {a.positive}"),
    )
    if attributes:
        yield "groups", listed([_attribute(a, by) for by in attributes], 6)
    else:
        yield "groups", "no sensitive attribute; name one with -s COLUMN"
    columns = data["columns"]
    roles = [f"{r} {c}" for r, c in columns.items() if r not in ("sensitive", "split", "weights", "cluster")]
    if data["probabilities"]:
        roles.append(f"probabilities {listed(data['probabilities'], 3)}")
    yield "columns", ", ".join(roles)
    if data["threshold"] is not None:
        yield "threshold", f"{a.positive} is predicted at a score of {data['threshold']:g} or more"
    if data["weighted"]:
        yield "weights", f"column {columns['weights']}: every number is weighted, n counts rows"
    if data["clustered"]:
        yield "clusters", f"column {columns['cluster']}: intervals allow for rows that belong together"
    s = a.settings
    intervals = f"[{100 * s.level:g} % interval]; those of minima and gaps hold for all groups at once"
    if s.interval == NO_INTERVALS:
        intervals = "without intervals (--interval none)"
    small = f"* = fewer than {s.min_events} rows, left out of minima, maxima and gaps"
    yield "numbers", f"rates and gaps in percent, {intervals}; {small}"


def _rows(data: Mapping[str, object]) -> str:
    shown = count(int(str(data["rows"])))
    split = data["split"]
    if isinstance(split, Mapping):
        rest = count(int(str(data["left_out"])))
        shown += (
            f" where {split['column']} is {split['value']}; {rest} others left out (--split all uses all)"
        )
    else:
        shown += " (every row)"
    if data["dropped"]:
        shown += f"; {count(int(str(data['dropped'])))} without label or prediction dropped"
    return shown


def _attribute(a: Audit, by: str) -> str:
    sizes = [g["n"] for g in a.groups if g["attribute"] == by]
    small = sum(n < a.settings.min_n for n in sizes)
    return f"{by} ({several(len(sizes), 'group')}{f', {small} small' if small else ''})"


def _detected(a: Audit, pinned: str) -> list[Block]:
    names = [str(d) for d in a.data["detected"]]
    if not names:
        return []
    columns = a.data["columns"]
    found = {**columns, "sensitive": ", ".join(columns["sensitive"]), "probabilities": "by their prefix"}
    found["positive"] = a.positive
    shown = ", ".join(f"{n} = {found[n]}" if n in found else n for n in names)
    said = Sentence(
        f"Found by name, not named by you: {shown}." + (" This command pins them:" if pinned else "")
    )
    return [Heading("Detected"), said, *([Command(pinned)] if pinned else [])]


def _warnings(a: Audit, known: Mapping[Key, Estimate], limits: Limits) -> list[Block]:
    said = [*_one_class(a, known), *_merged(a.warnings)]
    if not said:
        return []
    shown = said[: limits.notes]
    if len(said) > len(shown):
        shown.append(f"… and {several(len(said) - len(shown), 'more warning')} (--json has all)")
    return [Heading("Warnings"), Items(tuple(shown), "dim")]


def _one_class(a: Audit, known: Mapping[Key, Estimate]) -> list[str]:
    """A model that predicts one class only has no gaps in what it finds; say so before anyone is pleased."""
    precision = {c: known.get(("precision", "class", None, c)) for c in a.classes}
    guessed = [c for c, e in precision.items() if e is not None and e.value is not None]
    return (
        [f"every row is predicted as class {guessed[0]}"] if len(guessed) == 1 and len(a.classes) > 1 else []
    )


def _merged(warnings: Iterable[Mapping[str, str]]) -> list[str]:
    """Warnings that say the same of several groups become one, and those about many small groups one sentence."""
    said: dict[tuple[str, str], list[str]] = {}
    for w in warnings:
        who, _, what = w["message"].partition(": ")
        of_strata = w["code"] == "small_stratum"
        said.setdefault((w["code"], what if of_strata else w["message"]), []).append(who if of_strata else "")
    out, many = [], {code: sum(len(v) for (c, _), v in said.items() if c == code) for code in _SMALL}
    for (code, what), strata in said.items():
        if many.get(code, 0) <= MANY_SMALL:
            out.append(f"{listed(strata, 12)}: {what}" if strata[0] else what)
    for code, text in _SMALL.items():
        if many[code] > MANY_SMALL:
            names = [
                name for (c, what), who in said.items() if c == code for name in (who if who[0] else [what])
            ]
            out.append(f"{count(many[code])} {text}: {listed(names, 3)}")
    return out


def _worst(known: Mapping[Key, Estimate], attributes: Sequence[str]) -> list[Block]:
    """The worst number of the audit: the lowest accuracy of a class × group cell, beside that of all rows."""
    cells = [
        e
        for by in attributes
        if (e := known.get(("worst_group_accuracy", by, None, None))) and e.value is not None
    ]
    whole = known.get(("accuracy", "overall", None, None))
    if not cells or whole is None or whole.value is None:
        return []
    e = min(cells, key=lambda e: e.value or 0.0)
    at = e.at or {}
    return [
        Heading("The worst"),
        Sentence(
            f"Rows of class {at.get('class')} in {e.by}={at.get('group')}: {number(e.metric, e.value or 0.0)} % "
            f"{f'right {bounds(e.metric, e.interval)}'.rstrip()}. All rows: {number('accuracy', whole.value)} % right.",
            "strong",
        ),
    ]  # fmt: skip


def _flags(a: Audit, limits: Limits, saved: str | None) -> list[Block]:
    if (why := _not_looked_for(a)) is not None:
        return [Heading("Flags: not looked for"), Sentence(why, "strong")]
    found = flags(a)
    over_groups = [f for f in found if f.by != "class"]
    level = f"simultaneous {100 * a.settings.level:g} % intervals"
    size = f"{several(len(over_groups), 'gap')} between groups" if over_groups else "no gap between groups"
    title = f"{size} above 0 ({level})"
    told_flags, not_seen = _told_flags(found, limits), _not_seen(a, limits)
    said: list[Block] = []
    if not over_groups and not_seen:
        said.append(
            Sentence("That does not say that there is none. What these rows could have shown:", "strong")
        )
    elif not over_groups:
        said.append(Sentence("No attribute was named, so no gap between groups was looked for.", "strong"))
    said += [*not_seen, *_stand_out(a, limits)]
    parts = [*said, *told_flags] if limits.worst_last else [*told_flags, *said]
    return [Heading(f"Flags: {title}"), *parts, *(_next(saved) if over_groups else [])]


def _not_looked_for(a: Audit) -> str | None:
    """Why an audit has no flags, where it was told to compute less."""
    if a.settings.interval == NO_INTERVALS:
        return "Without intervals nothing can be told from chance; leave out --interval none to see what stands out."
    if a.settings.metrics and not any(BY_ID[m].gap for m in a.settings.metrics):
        return "No gap is among the metrics that were asked for."
    return None


def _told_flags(found: Sequence[Flag], limits: Limits) -> list[Block]:
    """The flags, worst where the page is read first."""
    shown = [told(f) for f in found[: limits.flags]]
    if len(found) > len(shown):
        shown.append(f"… and {several(len(found) - len(shown), 'smaller flag')} (--json has all)")
    ordered = tuple(reversed(shown)) if limits.worst_last else tuple(shown)
    order = "largest last" if limits.worst_last else "largest first"
    return [Sentence(f"Gaps above 0, {order}:"), Items(ordered, "bad")] if shown else []


def _stand_out(a: Audit, limits: Limits) -> list[Block]:
    """The groups that differ from all rows beyond what so many looks find by chance, the farthest first."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for s in a.stands_out:
        groups.setdefault(f"{s['by']}={s['group']}", []).append(s)
    ranked = sorted(groups.items(), key=lambda item: -max(abs(s["value"]) for s in item[1]))
    shown = [f"{name}: {', '.join(_stands(s) for s in found)}" for name, found in ranked[: limits.notes]]
    if not shown:
        return []
    if len(ranked) > len(shown):
        shown.append(f"… and {several(len(ranked) - len(shown), 'more group')} (--json has all)")
    level = f"{100 * (1 - a.settings.level):g} %"
    text = (
        f"Groups that stand out, in points from all rows (Holm's rule at {level} over all groups looked at):"
    )
    return [Sentence(text), Items(tuple(shown))]


def _stands(s: Mapping[str, Any]) -> str:
    weaker = "" if s["holm"] else " (by false discoveries only)"
    return f"{s['metric']} {signed(s['metric'], s['value'])}{weaker}"


def _not_seen(a: Audit, limits: Limits) -> list[Block]:
    """What the rows could have shown of attributes without a flag."""
    found = unseen(a)
    shown = found[: limits.notes]
    if len(found) > len(shown):
        shown.append(
            f"… and {several(len(found) - len(shown), 'more attribute')} without a flag (--json has all)"
        )
    return [Items(tuple(shown))] if shown else []


def _next(saved: str | None) -> list[Block]:
    where = saved or "audit.json"
    command = Command(f"fairaudit mitigate MODEL DATA --method fairlora --audit {where} --out repaired")
    if saved is not None:
        return [Heading("Next: repair the model, then audit it again"), command]
    first = Sentence(f"Save this audit by adding -o json:{where} to the command, then:")
    return [Heading("Next: repair the model, then audit it again"), first, command]
