"""What a gate says: the verdict, and every check line by line, so that each can be explained."""

from __future__ import annotations

from collections.abc import Iterator

from fairaudit.report.blocks import Block, Cell, Column, Facts, Heading, Items, Limits, Sentence, Table
from fairaudit.report.gate_words import amount, asked, check_sentence, line, place, title, waiver
from fairaudit.report.words import count, is_share, listed, number, several
from fairaudit.verdict import FAIL, INCONCLUSIVE, PASS, WAIVED, Check, Stratum, Verdict

_TONES = {FAIL: "bad", PASS: "good", INCONCLUSIVE: "strong", WAIVED: "dim"}
_WORST_FIRST = (FAIL, INCONCLUSIVE, PASS, WAIVED)


def page(verdict: Verdict, limits: Limits, source: str = "") -> list[Block]:
    """The blocks of a verdict. A terminal ends with the verdict; a document begins with it."""
    head: list[Block] = [
        Heading(f"fairaudit gate: {verdict.verdict}", 1),
        Facts(tuple(_facts(verdict, source))),
    ]
    ranked = sorted(verdict.checks, key=lambda c: (_WORST_FIRST.index(c.verdict), c.severity != "error"))
    shown = ranked[: limits.gaps]
    left = (
        [Sentence(f"… and {several(len(ranked) - len(shown), 'more check')}.", "dim")]
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
    yield (
        "columns",
        ", ".join([*roles, *positive])
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
    reasons = [line(c, s) for s in _ranked(c) if s.verdict == INCONCLUSIVE and s.reason and not s.hidden]
    if reasons:
        most = limits.notes
        rest = (
            [f"… and {several(len(reasons) - most, 'more stratum', 'more strata')} undecided"]
            if len(reasons) > most
            else []
        )
        out.append(Items((*reasons[:most], *rest)))
    if c.excluded:
        out.append(Sentence(f"Left out by the policy: {listed(c.excluded, 8)}.", "dim"))
    return out


def _ranked(c: Check) -> list[Stratum]:
    """Worst first: by verdict, waived ones after all others, then by value; without one last."""

    def key(s: Stratum) -> tuple[bool, int, bool, float]:
        value = None if s.hidden else s.value
        far = 0.0 if value is None else value if c.at_least else -value
        return s.waived is not None, _WORST_FIRST.index(s.verdict), value is None, far

    return sorted(c.strata, key=key)


def _table(c: Check, limits: Limits) -> Table:
    ranked = _ranked(c)
    shown = ranked[: limits.groups]
    own = any(s.rate is not None for s in shown)
    compared = any(s.against is not None for s in shown)
    before = any(s.baseline is not None for s in shown)
    columns = [Column("stratum"), Column("rows", True)]
    columns += [Column("before", True)] if before else []
    columns += [Column("rate", True)] if own else []
    columns += [Column("value [bounds]", True)]
    columns += [Column("against")] if compared else []
    columns.append(Column("verdict"))
    rows = [tuple(_row(c, s, own, compared, before)) for s in shown]
    left = (
        f"… and {several(len(ranked) - len(shown), 'more stratum', 'more strata')}"
        if ranked[len(shown) :]
        else ""
    )
    return Table(tuple(columns), limits.turned(rows), left_out=left)


def _row(c: Check, s: Stratum, own: bool, compared: bool, before: bool) -> Iterator[Cell]:
    name = place(c, s).removeprefix(f"{c.by}=")
    yield Cell(name)
    yield Cell("hidden" if s.hidden else "" if s.n is None else count(s.n), "dim")
    if before:
        yield Cell(_rate(s.of or c.metric, s.baseline))
    if own:
        yield Cell(_rate(s.of or c.metric, s.rate))
    yield Cell(_value(c, s))
    if compared:
        yield Cell(s.against or "", "dim")
    word = s.verdict if s.waived is None else f"waived ({s.verdict})"
    yield Cell(word, _TONES[s.verdict] if s.waived is None else "dim")


def _rate(metric: str, value: float | None) -> str:
    return "" if value is None else number(metric, value) + (" %" if is_share(metric) else "")


def _value(c: Check, s: Stratum) -> str:
    if s.value is None:
        return "–"
    if s.fail_bound is None and s.pass_bound is None:
        return amount(c, s.value)
    low, high = (s.pass_bound, s.fail_bound) if c.at_least else (s.fail_bound, s.pass_bound)
    ends = [
        "…" if b is None else amount(c, b).removesuffix(" %").removesuffix(" points") for b in (low, high)
    ]
    return f"{amount(c, s.value)} [{', '.join(ends)}]"


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
