"""The tables of docs/performance.md, each a pure function of what its benchmark saved."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from markdown_page import table
from performance_targets import Found, seconds, shown, targets

#: In the order of the page.
PARTS = ("scan", "wide", "scores", "peers", "engines", "gate", "startup")
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
    """Median, and the range where there is one."""
    if one["min"] == one["max"]:
        return seconds(one["median"])
    return f"{seconds(one['median'])} ({seconds(one['min'])} to {seconds(one['max'])})"


def _memory(one: Found) -> str:
    return shown(one["peak_mib"], "MiB")


def target_table(found: Mapping[str, Found]) -> str:
    """Every target, met or missed."""
    rows = [
        (t.work, t.asked, shown(t.value, t.unit), shown(t.limit, t.unit), t.verdict()) for t in targets(found)
    ]
    if "engines" in found:
        rows.append(("the same audit from every engine", "one checksum", *_engines_said(found["engines"])))
    return table(("work", "target", "measured", "limit", ""), rows)


def _engines_said(found: Found) -> tuple[str, str, str]:
    read = [name for name, one in found["engines"].items() if "sha256" in one]
    left = [name for name, one in found["engines"].items() if "sha256" not in one]
    sums = {found["engines"][name]["sha256"] for name in read}
    verdict = "met" if len(sums) == 1 and not left else "met by these" if len(sums) == 1 else "**missed**"
    return (
        f"{len(sums)} checksum of {len(read)} engines",
        "1",
        verdict + (f"; left out: {', '.join(left)}" if left else ""),
    )


def scans(found: Found) -> str:
    """Whole processes on more and more rows."""
    rows = [
        (s["name"], f"{s['rows']:,}", _took(s["fairaudit"]), _took(s["floor"]), _took(s["floor_query"]),
         f"{s['ratio']:.2f}", f"{s['fairaudit']['median'] - s['floor']['median']:+.2f} s",
         _memory(s["fairaudit"]), _memory(s["floor"]), s["repeats"])
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
        "runs",
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
    return table((f"{found['rows']:,} rows", "whole process", "peak", "bare GROUP BY"), rows)


def scores(found: Found) -> str:
    """Scores beside counts."""
    rows = [(WHO[who], _took(found[who]), _memory(found[who])) for who in WHO]
    return table((f"{found['rows']:,} rows", "whole process", "peak"), rows) + (
        f"\n\nMedian of the ratios of runs in the same turn, scores by labels: {found['ratio']:.2f}."
    )


def labels(found: Found) -> str:
    """The same numbers from every tool, by how the columns are held."""
    forms = found["labels"]
    rows = [
        (TOOLS[tool], *(_cell(tools, tool) for tools in forms.values()), *_peak(forms["strings"], tool))
        for tool in TOOLS
        if tool in forms["strings"]
    ]
    head = ("", *(f"{form} (fairlearn's time by it)" for form in forms), "peak, strings", "without the rows")
    return table(head, rows)


def binary(found: Found) -> str:
    """Selection rate, TPR and FPR."""
    tools = found["binary"]
    rows = [(TOOLS[tool], _cell(tools, tool), *_peak(tools, tool)) for tool in TOOLS if tool in tools]
    return table(("", "seconds (fairlearn's time by it)", "peak", "without the rows"), rows)


def _cell(tools: Mapping[str, Found], tool: str) -> str:
    one = tools[tool]
    if "reason" in one:
        return f"left out: {one['reason']}"
    return f"{seconds(one['median'])} ({shown(tools['fairlearn']['median'] / one['median'], '×')})"


def _peak(tools: Mapping[str, Found], tool: str) -> tuple[str, str]:
    if "reason" in tools[tool]:
        return "–", "–"
    peak = tools[tool]["peak_mib"]
    return shown(peak, "MiB"), shown(max(peak - tools["rows"]["peak_mib"], 0.0), "MiB")


def bootstrap(found: Found) -> str:
    """What a replicate costs."""
    b = found["bootstrap"]
    s, full, part = b["seconds"], f"{b['rows']:,} rows", f"{b['part_rows']:,} rows"
    rows = [
        (f"fairlearn, {full}, n_boot = 2", seconds(s["full_2"]["median"]), seconds(s["full"]["median"]),
         seconds(b["fairlearn_replicate"]["median"])),
        (f"fairlearn, {part}, n_boot = 2", seconds(s["part_2"]["median"]), seconds(s["part"]["median"]),
         seconds(b["fairlearn_replicate_part_2"]["median"])),
        (f"fairlearn, {part}, n_boot = 5", seconds(s["part_5"]["median"]), seconds(s["part"]["median"]),
         seconds(b["fairlearn_replicate_part_5"]["median"])),
        (f"fairaudit, {b['cells']:,} cells, {b['replicates']:,} replicates, the three metrics of each",
         seconds(s["ours"]["median"]), "–", seconds(s["ours"]["median"] / b["replicates"])),
        ("of it, drawing", seconds(b["draws"]["median"]), "–", seconds(b["draws"]["median"] / b["replicates"])),
    ]  # fmt: skip
    return table(("", "seconds", "without bootstrap", "a replicate"), rows)


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
    return table(
        (f"{found['rows']:,} rows", "held as", "first audit", "later ones", "peak", "checksum"), rows
    )


def processes(found: Found) -> str:
    """Whole processes by name."""
    rows = [
        (f"`{name}`", _took(one), seconds(one["cpu"]), _memory(one)) for name, one in found["runs"].items()
    ]
    return table(("", "whole process", "CPU", "peak"), rows)


def startup(found: Found) -> str:
    """Whole processes where there is little to do, by the time of the smallest one that imports numpy."""
    rows = [
        (f"`{name}`", _took(one), f"{one['ratio']:.2f} ×", _memory(one))
        for name, one in found["runs"].items()
    ]
    return table((f"{found['rows']:,} rows", "whole process", "by `import numpy`", "peak"), rows)


def machines(found: Mapping[str, Found]) -> str:
    """Where and when each part was measured, and with which versions."""
    rows = []
    for part, one in found.items():
        m = one["machine"]
        place = f"{m['cpu']}, {m['cores']} cores, {m['memory_gib']:.0f} GiB, {m['system']}"
        rows.append(
            (part, one["date"], f"{one['rows']:,}", one["repeats"], place, m["python"], f"{m['load']:.1f}")
        )
    head = ("part", "date", "rows", "runs", "machine", "Python", "load at its start")
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
        took = found["gate"]["runs"]["gate"]["median"]
        lines.append(
            f"- `fairaudit gate` on {found['gate']['rows']:,} rows, three rules, two attributes and their crossing: "
            f"{seconds(took)} (whole process)."
        )
    return "\n".join(lines)


def _scan_line(s: Found) -> str:
    return (
        f"- {s['rows']:,} rows ({s['name']}): {seconds(s['fairaudit']['median'])}, peak {_memory(s['fairaudit'])}; "
        f"DuckDB's bare GROUP BY of the same columns takes {seconds(s['floor']['median'])}."
    )


def _peers_line(found: Found) -> str:
    tools, boot = found["labels"]["strings"], found["bootstrap"]
    ours, theirs = tools["fairaudit"]["median"], tools["fairlearn"]["median"]
    times = boot["fairlearn_replicate"]["median"] / (boot["seconds"]["ours"]["median"] / boot["replicates"])
    return (
        f"- {found['rows']:,} rows in memory, accuracy, macro F1 and macro recall by group: {seconds(ours)}; "
        f"fairlearn's `MetricFrame` {seconds(theirs)}, {theirs / ours:,.0f} times as long "
        f"(per bootstrap replicate {times:,.0f} times)."
    )


_TABLES: Mapping[str, tuple[tuple[str, Callable[[Found], str]], ...]] = {
    "scan": (("scans", scans),), "wide": (("wide", wide),), "scores": (("scores", scores),),
    "peers": (("labels", labels), ("binary", binary), ("bootstrap", bootstrap)),
    "engines": (("engines", engines),), "gate": (("gate", processes),), "startup": (("startup", startup),),
}  # fmt: skip


def tables(found: Mapping[str, Any]) -> dict[str, str]:
    """name of the marks -> table, of the parts that were run."""
    if not found:
        return {}
    out = {"targets": target_table(found)}
    for part, shows in _TABLES.items():
        if part in found:
            out |= {name: show(found[part]) for name, show in shows}
    return out | {"machines": machines(found), "readme": readme(found)}
