"""The tables of docs/performance.md, each a pure function of what its benchmark saved."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from typing import Any

from markdown_page import table
from performance_prose import missed
from performance_targets import Found, seconds, shown, targets
from performance_training import training

#: In the order of the page.
PARTS = ("scan", "wide", "scores", "peers", "engines", "gate", "startup", "training")
TOOLS = {
    "fairlearn": "fairlearn `MetricFrame`", "sklearn": "scikit-learn, a loop over groups", "aif360": "AIF360",
    "aequitas": "aequitas", "pandas": "pandas, groupby by hand", "duckdb": "DuckDB, bare GROUP BY",
    "fairaudit": "**fairaudit**, the same numbers", "fairaudit_panel": "**fairaudit**, whole panel with intervals",
}  # fmt: skip
WHO = {
    "scores": "with scores", "counts": "labels only", "floor_binned": "bare GROUP BY, the score in 10,000 bins",
    "floor": "bare GROUP BY, labels only",
}  # fmt: skip


def _took(one: Found) -> str:
    """Median and range, or one run, said to be one."""
    if one["turns"] == 1:
        return f"{seconds(one['median'])} (one run)"
    return f"{seconds(one['median'])} ({seconds(one['min'])} to {seconds(one['max'])})"


def _memory(one: Found) -> str:
    return shown(one["peak_mib"], "MiB")


def runs_said(turns: int) -> str:
    """How many runs are behind a number."""
    return "one run" if turns == 1 else f"median of {turns} runs"


def caption(turns: Mapping[str, int]) -> str:
    """How many turns a table's numbers come from: the usual number, and what was run less or more often."""
    if not turns:
        return ""
    usual = statistics.mode(turns.values())
    others = [f"{name}: {n if n > 1 else 'one run'}" for name, n in turns.items() if n != usual]
    said = "one run each" if usual == 1 else f"{usual}"
    return f"\n\nTurns: {said}" + (f" ({'; '.join(others)})." if others else ".")


def target_table(found: Mapping[str, Found]) -> str:
    """Every target, met or missed."""
    rows = [
        (t.work, t.asked, "–" if t.value is None else shown(t.value, t.unit), shown(t.limit, t.unit), t.turns or "–",
         t.verdict())
        for t in targets(found)
    ]  # fmt: skip
    said = _engines_said(found["engines"]) if "engines" in found else ("–", "1", "–", "not measured")
    rows.append(("the same audit from every engine", "one checksum", *said))
    return table(("work", "target", "measured", "limit", "turns", ""), rows)


def _engines_said(found: Found) -> tuple[object, ...]:
    read = [name for name, one in found["engines"].items() if "sha256" in one]
    left = [name for name, one in found["engines"].items() if "sha256" not in one]
    sums = {found["engines"][name]["sha256"] for name in read}
    verdict = "met" if len(sums) == 1 and not left else "met by these" if len(sums) == 1 else "**missed**"
    return (
        f"{len(sums)} checksum of {len(read)} engines",
        "1",
        found["repeats"],
        verdict + (f"; left out: {', '.join(left)}" if left else ""),
    )


def scans(found: Found) -> str:
    """Whole processes on more and more rows."""
    rows = [
        (s["name"], f"{s['rows']:,}", _took(s["fairaudit"]), _took(s["floor"]), _took(s["floor_query"]),
         f"{s['ratio']:.2f}", f"{s['more']:+.2f} s",
         _memory(s["fairaudit"]), _memory(s["floor"]), s["fairaudit"]["turns"])
        for s in found["scans"]
    ]  # fmt: skip
    head = (
        "",
        "rows",
        "fairaudit report",
        "bare GROUP BY",
        "its query alone",
        "ratio",
        "more",
        "peak",
        "its peak",
        "turns",
    )
    return table(head, rows)


def wide(found: Found) -> str:
    """Many classes, many groups."""
    rows = []
    for case in found["cases"]:
        if "fairaudit" not in case:
            rows.append((case["words"], f"not measured: {case['reason']}", "–", "–"))
            continue
        floor = case.get("floor")
        rows.append(
            (
                case["words"],
                _took(case["fairaudit"]),
                _memory(case["fairaudit"]),
                _took(floor) if floor else "–",
            )
        )
    turns = {case["words"]: case["fairaudit"]["turns"] for case in found["cases"] if "fairaudit" in case}
    return table((f"{found['rows']:,} rows", "whole process", "peak", "bare GROUP BY"), rows) + caption(turns)


def scores(found: Found) -> str:
    """Scores beside counts."""
    rows = [(WHO[who], _took(found[who]), _memory(found[who])) for who in WHO]
    turns = {WHO[who]: found[who]["turns"] for who in WHO}
    said = f" Scores by labels, median of the turns' ratios: {found['ratio']:.2f}."
    return table((f"{found['rows']:,} rows", "whole process", "peak"), rows) + caption(turns) + said


def labels(found: Found) -> str:
    """The same numbers from every tool, by how the columns are held."""
    forms = found["labels"]
    rows = [
        (TOOLS[tool], *(_cell(tools, tool) for tools in forms.values()), *_peak(forms["strings"], tool))
        for tool in TOOLS
        if tool in forms["strings"]
    ]
    head = ("", *(f"{form} (fairlearn's time by it)" for form in forms), "peak, strings", "without the rows")
    turns = {
        f"{TOOLS[tool]} from {form}": one["turns"]
        for form, tools in forms.items()
        for tool, one in tools.items()
        if tool in TOOLS and "turns" in one
    }
    return table(head, rows) + caption(turns)


def binary(found: Found) -> str:
    """Selection rate, TPR and FPR."""
    tools = found["binary"]
    rows = [(TOOLS[tool], _cell(tools, tool), *_peak(tools, tool)) for tool in TOOLS if tool in tools]
    turns = {TOOLS[tool]: one["turns"] for tool, one in tools.items() if tool in TOOLS and "turns" in one}
    return table(("", "seconds (fairlearn's time by it)", "peak", "without the rows"), rows) + caption(turns)


def _cell(tools: Mapping[str, Found], tool: str) -> str:
    if tool not in tools:
        return "not run"
    one = tools[tool]
    if "reason" in one:
        return f"left out: {one['reason']}"
    return f"{seconds(one['median'])} ({shown(one['times'], '×')})"


def _peak(tools: Mapping[str, Found], tool: str) -> tuple[str, str]:
    if "reason" in tools[tool]:
        return "–", "–"
    peak = tools[tool]["peak_mib"]
    return shown(peak, "MiB"), shown(max(peak - tools["rows"]["peak_mib"], 0.0), "MiB")


def bootstrap(found: Found) -> str:
    """What a replicate costs."""
    b = found["bootstrap"]
    theirs, many = (
        f"fairlearn, {found['rows']:,} rows, n_boot = {b['n_boot']}",
        f"{b['replicates']:,} replicates",
    )
    rows = [
        (theirs, seconds(b["fairlearn_with"]["median"]), seconds(b["fairlearn_without"]["median"]),
         seconds(b["fairlearn_replicate"]["median"])),
        *(
            (f"fairaudit, {b['cells']:,} cells, {many}, {words}", seconds(b[key]["median"]), "–",
             seconds(b[key]["median"] / b["replicates"]))
            for key, words in (("ours", "the same three metrics of each by group"),
                               ("f1", "F1 of each class and group, as the audit does"), ("draws", "drawing alone"))
            if key in b
        ),
    ]  # fmt: skip
    said = (
        f" fairlearn's replicate by ours of the same metrics, median of the turns' ratios: {b['times']:,.0f}."
    )
    return (
        table(("", "seconds", "without bootstrap", "a replicate"), rows)
        + caption({"": b["ours"]["turns"]})
        + said
    )


def engines(found: Found) -> str:
    """One audit, every engine."""
    rows = [
        (
            name,
            one["held"][0].lower() + one["held"][1:],
            seconds(one["first"]),
            _took(one),
            _memory(one),
            f"`{one['sha256'][:12]}`",
        )
        if "sha256" in one
        else (name, f"left out: {one['reason']}", "–", "–", "–", "–")
        for name, one in found["engines"].items()
    ]
    turns = {name: one["turns"] for name, one in found["engines"].items() if "turns" in one}
    head = (f"{found['rows']:,} rows", "held as", "first audit", "later ones", "peak", "checksum")
    return table(head, rows) + caption(turns)


def processes(found: Found) -> str:
    """Whole processes by name."""
    rows = [
        (f"`{name}`", _took(one), seconds(one["cpu"]), _memory(one)) for name, one in found["runs"].items()
    ]
    turns = {name: one["turns"] for name, one in found["runs"].items()}
    return table(("", "whole process", "CPU", "peak"), rows) + caption(turns)


def startup(found: Found) -> str:
    """Whole processes where there is little to do, by the time of the smallest one that imports numpy."""
    rows = [
        (f"`{name}`", _took(one), f"{one['ratio']:.2f} ×", _memory(one))
        for name, one in found["runs"].items()
    ]
    turns = {name: one["turns"] for name, one in found["runs"].items()}
    return table((f"{found['rows']:,} rows", "whole process", "by `import numpy`", "peak"), rows) + caption(
        turns
    )


def machines(found: Mapping[str, Found]) -> str:
    """Where and when each part was measured, and with which versions."""
    rows = []
    for part, one in found.items():
        m = one["machine"]
        place = f"{m['cpu']}, {m['cores']} cores, {m['memory_gib']:.0f} GiB, {m['system']}"
        rows.append(
            (part, one["date"], f"{one['rows']:,}", one["repeats"], place, m["python"], f"{m['load']:.1f}")
        )
    head = ("part", "date", "rows", "turns, at most", "machine", "Python", "load at its start")
    return table(head, rows) + "\n\nVersions: " + ", ".join(_versions(found)) + "."


def _versions(found: Mapping[str, Found]) -> list[str]:
    every: dict[str, dict[str, None]] = {}
    for one in found.values():
        for name, version in one["versions"].items():
            every.setdefault(name, {})[version] = None
    said = [f"{name} {' and '.join(versions)}" for name, versions in every.items()]
    beside = "aequitas {aequitas} (beside numpy {numpy}, pandas {pandas})"
    return said + [
        beside.format(**one["aequitas_python"]) for one in found.values() if "aequitas_python" in one
    ]


def readme(found: Mapping[str, Found]) -> str:
    """What README quotes."""
    lines = []
    if "scan" in found:
        lines += [
            "Whole processes of `fairaudit report` with every interval (40 classes × 6 groups, text columns):",
            "",
        ]
        lines += [_scan_line(s) for s in found["scan"]["scans"]]
    if "peers" in found and "median" in found["peers"]["labels"]["strings"]["fairaudit"]:
        lines.append(_peers_line(found["peers"]))
    if "gate" in found:
        took = found["gate"]["runs"]["gate"]
        lines.append(
            f"- `fairaudit gate` on {found['gate']['rows']:,} rows, three rules, two attributes and their crossing: "
            f"{seconds(took['median'])} (whole process, {runs_said(took['turns'])})."
        )
    return "\n".join(lines)


def _scan_line(s: Found) -> str:
    ours = s["fairaudit"]
    return (
        f"- {s['rows']:,} rows ({s['name']}): {seconds(ours['median'])}, peak {_memory(ours)} "
        f"({runs_said(ours['turns'])}); DuckDB's bare GROUP BY of the same columns takes "
        f"{seconds(s['floor']['median'])}."
    )


def _peers_line(found: Found) -> str:
    tools, times = found["labels"]["strings"], found["bootstrap"]["times"]
    ours, theirs = tools["fairaudit"], tools["fairlearn"]
    return (
        f"- {found['rows']:,} rows in memory, accuracy, macro F1 and macro recall by group: "
        f"{seconds(ours['median'])} ({runs_said(ours['turns'])}); fairlearn's `MetricFrame` "
        f"{seconds(theirs['median'])} ({runs_said(theirs['turns'])}), {ours['times']:,.0f} times as long "
        f"(per bootstrap replicate {times:,.0f} times)."
    )


_TABLES: Mapping[str, tuple[tuple[str, Callable[[Found], str]], ...]] = {
    "scan": (("scans", scans),), "wide": (("wide", wide),), "scores": (("scores", scores),),
    "peers": (("labels", labels), ("binary", binary), ("bootstrap", bootstrap)),
    "engines": (("engines", engines),), "gate": (("gate", processes),), "startup": (("startup", startup),),
    "training": (("training", training),),
}  # fmt: skip


def tables(found: Mapping[str, Any]) -> dict[str, str]:
    """name of the marks -> table, of the parts that were run."""
    if not found:
        return {}
    out = {"targets": target_table(found), "missed": missed(found)}
    for part, shows in _TABLES.items():
        if part in found:
            out |= {name: show(found[part]) for name, show in shows}
    return out | {"machines": machines(found), "readme": readme(found)}
