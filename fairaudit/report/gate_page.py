"""What a gate says: the verdict, and every check line by line, so that each can be explained."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from fairaudit.report.blocks import Block, Cell, Column, Facts, Heading, Items, Limits, Sentence, Table
from fairaudit.report.gate_asides import waived
from fairaudit.report.gate_numbers import bare, best_off, form, judged, own, rate_name, writer
from fairaudit.report.gate_words import asked, check_sentence, line, place, title, waiver
from fairaudit.report.words import count, listed, several
from fairaudit.verdict import FAIL, INCONCLUSIVE, PASS, WAIVED, Check, Stratum, Verdict

_TONES = {FAIL: "bad", PASS: "good", INCONCLUSIVE: "strong", WAIVED: "dim"}
_WORST_FIRST = (FAIL, INCONCLUSIVE, PASS, WAIVED)
#: What the judged number is; of a change, the side that is limited, so a negative one went the other way.
_JUDGED = {
    "min_ratio": "ratio",
    "max_difference": "difference",
    "max_increase": "increase",
    "max_decrease": "decrease",
    "no_group_worse": "worse by",
}


def page(verdict: Verdict, limits: Limits, source: str = "") -> list[Block]:
    """The blocks of a verdict. A terminal ends with the verdict; a document begins with it."""
    head: list[Block] = [
        Heading(f"fairaudit gate: {verdict.verdict}", 1),
        Facts(tuple(_facts(verdict, source))),
    ]
    ranked = sorted(verdict.checks, key=lambda c: (_WORST_FIRST.index(c.verdict), c.severity != "error"))
    shown = ranked[: limits.gaps]
    left = (
        [Sentence(f"… and {several(len(ranked) - len(shown), 'more check')}, no worse than these.", "dim")]
        if ranked[len(shown) :]
        else []
    )
    checks = [_check(c, verdict, limits) for c in (reversed(shown) if limits.worst_last else shown)]
    body = [b for blocks in checks for b in blocks]
    told = _told(verdict, limits)
    if limits.worst_last:
        return [*head, *left, *body, *told]
    return [*head, *told, *body, *left]


def _facts(verdict: Verdict, source: str) -> Iterator[tuple[str, str]]:
    data, stats = verdict.data, verdict.stats
    yield "policy", f"{verdict.policy['name']} (sha256 {str(verdict.policy['sha256'])[:12]})"
    rows = f"{count(data['rows'])} rows"
    if data["split"] is not None:
        rows += f", {data['split']['column']}={data['split']['value']} ({count(data['left_out'])} others left out)"
    yield "data", f"{source}: {rows}" if source else rows
    columns = data["columns"]
    roles = [f"{role} {name}" for role, name in columns.items() if role != "sensitive"]
    positive = [f"positive class {data['positive']}"] if data["positive"] is not None else []
    cut = [f"positive from a score of {data['threshold']:g}"] if data["threshold"] is not None else []
    yield (
        "columns",
        ", ".join([*roles, *positive, *cut])
        + (f"; found by name: {', '.join(data['detected'])}" if data["detected"] else ""),
    )
    if verdict.baseline is not None:
        b = verdict.baseline
        how = (
            f"paired by id, {count(b['matched'])} rows in both"
            if b["paired"]
            else f"{count(b['rows'])} rows, not paired"
        )
        yield "baseline", f"{b['kind']}, {how}"
    spread = "over all rules" if stats["family"] == "policy" else "per rule"
    yield (
        "errors",
        (
            f"α = {stats['alpha']:g}, one-sided, {spread}; strata under {stats['min_events']} rows decide nothing; "
            + ("inconclusive blocks" if verdict.blocks else "inconclusive does not block")
        ),
    )


def _check(c: Check, verdict: Verdict, limits: Limits) -> list[Block]:
    aside = " (warn: never counts)" if c.severity != "error" else ""
    out: list[Block] = [Heading(f"{title(c)}: {c.verdict}{aside}")]
    said = asked(c) + (f" ({c.because})" if c.because else "")
    out.append(Sentence(f"Asked: {said}."))
    if c.verdict == WAIVED:
        out.append(Sentence(f"The rule is {waiver(c, None, verdict)}."))
    if c.reason:
        out.append(Sentence(f"Not judged: {c.reason}.", "strong"))
    if c.strata:
        out.append(_table(c, limits))
    out += _items([line(c, s) for s in _ranked(c) if _told_why(s)], limits, "undecided")
    if c.verdict != WAIVED or not c.waived:
        who = {place(c, Stratum(s.group, s.verdict)): waiver(c, s, verdict) for s in c.strata if s.waived}
        out += _items([f"{name}: {why}" for name, why in who.items()], limits, "waived")
    if c.excluded:
        out.append(Sentence(f"Left out by the policy: {listed(c.excluded, 8)}.", "dim"))
    return out


def _told_why(s: Stratum) -> bool:
    """Whether a line below the table says why there is no decision, or no comparison."""
    open_ = s.verdict == INCONCLUSIVE or s.value is None
    return bool(s.reason) and open_ and not s.hidden and not best_off(s)


def _items(said: list[str], limits: Limits, what: str) -> list[Block]:
    most = limits.notes
    rest = [f"… and {several(len(said) - most, 'more stratum', 'more strata')} {what}"] if said[most:] else []
    return [Items((*said[:most], *rest))] if said else []


def _ranked(c: Check) -> list[Stratum]:
    """Worst first: by verdict, waived ones after all others, then by value; those that were not judged last."""

    def key(s: Stratum) -> tuple[bool, int, bool, float]:
        value = None if s.hidden or not judged(s) else s.value
        far = 0.0 if value is None else value if c.at_least else -value
        return s.waived is not None, _WORST_FIRST.index(s.verdict), value is None, far

    return sorted(c.strata, key=key)


def _table(c: Check, limits: Limits) -> Table:
    ranked = _ranked(c)
    shown = ranked[: limits.groups]
    own_rate = any(s.rate is not None for s in shown)
    compared = any(s.against is not None and judged(s) for s in shown)
    mixed = len({s.of for s in c.strata}) > 1  # of several rates, each is named
    before = any(s.baseline is not None for s in shown)
    # the verdict stands beside the name, so a table that is folded keeps the two together
    columns = [Column("stratum"), Column("verdict"), Column("rows", True)]
    columns += [Column("before", True)] if before else []
    columns += [Column(_rates(c), True)] if own_rate else []
    columns += [Column(f"{_JUDGED.get(form(c), 'value')} [bounds]", True)]
    columns += [Column("against")] if compared else []
    rows = [tuple(_row(c, s, mixed, own_rate, compared, before)) for s in shown]
    left = (
        f"… and {several(len(ranked) - len(shown), 'more stratum', 'more strata')}, less far out"
        if ranked[len(shown) :]
        else ""
    )
    return Table(tuple(columns), limits.turned(rows), left_out=left)


def _rates(c: Check) -> str:
    """What the rates of a check are called: by their name, where it is not that of the rule."""
    found = {rate_name(c, s) for s in c.strata}
    return next(iter(found)) if len(found) == 1 and found != {c.metric} else "rate"


def _row(c: Check, s: Stratum, mixed: bool, own_rate: bool, compared: bool, before: bool) -> Iterator[Cell]:
    name = place(c, s if mixed else replace(s, of=None))
    yield Cell(name.removeprefix(f"{c.by}="))
    word = s.verdict if s.waived is None else f"waived ({s.verdict})"
    yield Cell(word, _TONES[s.verdict] if s.waived is None else "dim")
    yield Cell("hidden" if s.hidden else "" if s.n is None else count(s.n), "dim")
    if before:
        yield Cell(_rate(c, s, s.baseline))
    if own_rate:
        yield Cell(_rate(c, s, s.rate))
    yield Cell(_value(c, s))
    if compared:
        yield Cell(s.against or "" if judged(s) else "", "dim")


def _rate(c: Check, s: Stratum, value: float | None) -> str:
    return "" if value is None else own(rate_name(c, s), value)


def _value(c: Check, s: Stratum) -> str:
    if best_off(s):
        return "best off"
    if s.value is None or (form(c) not in ("min", "max") and not judged(s)):
        return "–"
    low, high = (s.pass_bound, s.fail_bound) if c.at_least else (s.fail_bound, s.pass_bound)
    write = writer(c, s.value, low, high)
    if low is None and high is None:
        return write(s.value)
    return f"{write(s.value)} [{', '.join('…' if b is None else bare(write(b)) for b in (low, high))}]"


def _told(verdict: Verdict, limits: Limits) -> list[Block]:
    """The verdict in words: every check that is not inside its limit, warnings, and what the bounds mean."""
    out: list[Block] = [Heading(f"Verdict: {verdict.verdict.upper()} (exit code {verdict.exit_code})")]
    counted = [c for c in verdict.checks if c.counts]
    parts = [(FAIL, "failed"), (INCONCLUSIVE, "inconclusive"), (PASS, "passed")]
    told = [f"{sum(c.verdict == v for c in counted)} {word}" for v, word in parts]
    aside = len(verdict.checks) - len(counted)
    rest = f"; {several(aside, 'other does', 'others do')} not count" if aside else ""
    out.append(Sentence(f"{several(len(counted), 'check counts', 'checks count')}: {', '.join(told)}{rest}."))
    bad = [check_sentence(c, verdict) for c in verdict.checks if c.verdict in (FAIL, INCONCLUSIVE)]
    if bad:
        more = [f"… and {len(bad) - limits.flags} more"] if len(bad) > limits.flags else []
        out.append(Items((*bad[: limits.flags], *more), "bad" if verdict.exit_code == 1 else ""))
    if who := waived(verdict):
        out.append(Items(tuple(who)))
    if verdict.warnings:
        out.append(Items(tuple(f"warning: {w['message']}" for w in verdict.warnings)))
    near, far = "simultaneous over the strata of its rule", "its own"
    out.append(
        Sentence(
            f"Bounds are one-sided: a stratum fails when the one nearer to the limit ({near}) is beyond it, and "
            f"passes when the other ({far}) is inside. A pass means that no violation beyond the limit is likely, "
            "not that there is no difference.",
            "dim",
        )
    )
    return out
