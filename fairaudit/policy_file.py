"""The reader of policy files (`fairaudit.toml`): text in, a `Policy` out, or one sentence with file and line.

TOML is parsed by the standard library, the shape is checked against the schema that ships, and what a schema
cannot say is checked here and in `policy_checks`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any

from fairaudit.errors import FairauditError, did_you_mean
from fairaudit.labels import escape, join, split_by, text_of
from fairaudit.policy import Policy, Rule, Waiver
from fairaudit.policy_checks import read_rule
from fairaudit.policy_groups import CLASS, OVERALL, Spot, check_attribute, entry, read_group
from fairaudit.policy_structure import check_structure, title
from fairaudit.toml_lines import Place, at_line, line_numbers, shown, syntax_error

_COLUMNS = ("y_true", "y_pred", "y_score", "weights", "loss", "member")


def read_policy(path: str | Path, *, today: date | None = None) -> Policy:
    """The policy in a file. `today`: the day waivers are held against (default: this one).

    Raises FairauditError, as `FILE:LINE: sentence`, for a file that is not there or not a policy.
    """
    name = str(path)
    try:
        raw = Path(path).read_bytes()
    except IsADirectoryError as error:
        raise FairauditError(f"{name}: this is a folder; name the policy file in it.") from error
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FairauditError(f"{name}: there is no such file.{_neighbour(Path(path))}") from error
    except (OSError, ValueError) as error:
        said = getattr(error, "strerror", None) or error
        raise FairauditError(
            f"{name}: the policy cannot be read ({said}); check its path and rights."
        ) from error
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise at_line(name, line, "a policy is UTF-8 text, which this is not; save it as UTF-8.") from error
    return parse_policy(text, name, today=today)


def parse_policy(text: str, name: str, *, today: date | None = None) -> Policy:
    """The policy in a text. `name`: what errors and outputs call it. Raises FairauditError as `read_policy` does."""
    document, place = _parsed(text, name)
    check_structure(document, place)
    data = _data(document.get("data", {}), Spot(place, ("data",), "[data]"))
    declared = data.get("sensitive", ())
    rules = _rules(document, place, declared)
    waivers = _waivers(document, place, rules, today or date.today())
    excluded, suppressed = data.pop("exclude_groups", ()), data.pop("suppress_below", 0)
    return Policy(
        name=name, rules=rules, waivers=waivers, data=data, exclude_groups=excluded, suppress_below=suppressed,
        sha256=sha256(text.encode("utf-8", "surrogatepass")).hexdigest(),
        lines={".".join(str(p) for p in path): line for path, line in place.lines.items()},
        **_stats(document.get("stats", {})),
    )  # fmt: skip


def _neighbour(path: Path) -> str:
    """A TOML file of the same folder with a name much like it."""
    try:
        found = [p.name for p in path.parent.glob("*.toml")]
    except (OSError, ValueError):
        found = []
    near = did_you_mean(path.name, found)
    return near or " Name the policy with --policy FILE."


def _parsed(text: str, name: str) -> tuple[dict[str, Any], Place]:
    """The document, and where its keys stand."""
    body = text.removeprefix("\ufeff")
    if not body.strip():
        raise at_line(name, 1, "the policy is empty; it needs schema = 1 and a [[rule]].")
    try:
        document = tomllib.loads(body)
    except (ValueError, RecursionError) as error:
        raise syntax_error(name, body, error) from error
    return document, Place(name, line_numbers(body))


def _stats(table: Mapping[str, Any]) -> dict[str, Any]:
    whole = {k: int(table[k]) for k in ("min_events", "seed") if k in table}
    return {**table, **whole, **({"alpha": float(table["alpha"])} if "alpha" in table else {})}


def _data(table: Mapping[str, Any], spot: Spot) -> dict[str, Any]:
    """The input flags under the names that `Inputs` gives them, and the two keys that are none."""
    found = {k: v for k, v in table.items() if k not in ("with", "bins")}
    for key in ("sensitive", "na", "exclude_groups", "score_classes"):
        if key in found:
            found[key] = (found[key],) if isinstance(found[key], str) else tuple(found[key])
    for key, convert in (
        ("threshold", float),
        ("max_groups", int),
        ("suppress_below", int),
        ("positive", text_of),
    ):
        if key in found:
            found[key] = convert(found[key])
    if "agreement" in found:
        found["agreement"] = {c: text_of(g) for c, g in found["agreement"].items()}
    if ("with" in table) != ("on" in table):
        there, lacks = ("with", "on") if "with" in table else ("on", "with")
        raise spot.error(
            there, f"'{there}' goes with '{lacks}': a file, and the column both share; add {lacks}."
        )
    if "with" in table:
        found["with_file"] = table["with"]
    sensitive = found.get("sensitive", ())
    _check_columns(found, sensitive, spot)
    if "bins" in table:
        found["bins"] = _bins(table["bins"], sensitive, spot)
    if "exclude_groups" in found:
        texts = found["exclude_groups"]
        found["exclude_groups"] = tuple(_excluded(t, n, sensitive, spot) for n, t in enumerate(texts))
    return found


def _check_columns(found: Mapping[str, Any], sensitive: Sequence[str], spot: Spot) -> None:
    """One role for each column, and no attribute under a name that is taken."""
    seen: dict[str, str] = {}
    roles = [(found[k], k) for k in _COLUMNS if k in found]
    for column, key in [*roles, *((s, "sensitive") for s in sensitive)]:
        if column in seen:
            if seen[column] == key:
                raise spot.error(key, f"{key} names {shown(column)} twice; keep one of them.")
            both = f"{seen[column]} and {key}"
            raise spot.error(
                key, f"column {shown(column)} is named as {both}; each role needs its own column."
            )
        seen[column] = key
    for name in sensitive:
        check_attribute(name, "sensitive", spot)


def _bins(table: Mapping[str, Any], sensitive: Sequence[str], spot: Spot) -> dict[str, tuple[float, ...]]:
    inner = Spot(spot.place, (*spot.path, "bins"), "[data.bins]")
    for name, edges in table.items():
        if sensitive and name not in sensitive:
            near = did_you_mean(name, sensitive) or f" Add it to sensitive = {shown(list(sensitive))}."
            raise inner.error(name, f"{shown(name)} is not among the sensitive attributes of [data].{near}")
        if edges != sorted(set(edges)):
            raise inner.error(name, f"the edges of {shown(name)} must increase, as in {name} = [25, 40].")
    return {name: tuple(float(e) for e in edges) for name, edges in table.items()}


def _excluded(text: str, n: int, sensitive: Sequence[str], spot: Spot) -> str:
    """A group that no rule judges: of an attribute, or of a crossing of declared ones in any order."""
    key, names = ("exclude_groups", n), split_by(entry(text.partition("=")[0].strip()))
    crossing = len(names) > 1 and set(names) <= set(sensitive)
    entries = [join(names)] if crossing else [escape(s) for s in sensitive]
    return read_group(text, key, entries, spot)


def _rules(document: Mapping[str, Any], place: Place, declared: Sequence[str]) -> tuple[Rule, ...]:
    rules: list[Rule] = []
    for n, table in enumerate(document["rule"]):
        spot = Spot(place, ("rule", n), title(("rule", n), document))
        before = next((r.line for r in rules if r.id == table["id"]), None)
        if before is not None:
            both = f"at lines {before} and {place.line('rule', n)}"
            raise spot.error("id", f"the id stands twice, {both}; give each rule its own.")
        lines = {str(p[2]): line for p, line in place.lines.items() if p[:2] == ("rule", n) and len(p) == 3}
        rules.append(read_rule(table, spot, declared, lines))
    return tuple(rules)


def _waivers(
    document: Mapping[str, Any], place: Place, rules: Sequence[Rule], today: date
) -> tuple[Waiver, ...]:
    found: list[Waiver] = []
    by_id = {r.id: r for r in rules}
    for n, table in enumerate(document.get("waiver", [])):
        spot = Spot(place, ("waiver", n), "[[waiver]]")
        waiver = _waiver(table, by_id, spot)
        if waiver.until < today:
            raise spot.error("until", f"the waiver of rule {shown(waiver.rule)} ended on {waiver.until}; take it out "
                                      "or renew it.")  # fmt: skip
        same = next((w for w in found if (w.rule, w.group) == (waiver.rule, waiver.group)), None)
        if same is not None:
            both = f"at lines {same.line} and {waiver.line}"
            raise spot.error("rule", f"the same is waived twice, {both}; keep one of them.")
        found.append(waiver)
    return tuple(found)


def _waiver(table: Mapping[str, Any], rules: Mapping[str, Rule], spot: Spot) -> Waiver:
    rule = rules.get(table["rule"])
    if rule is None:
        near = did_you_mean(table["rule"], rules)
        said = f"there is no rule {shown(table['rule'])} to waive"
        raise spot.error("rule", f"{said}.{near}" if near else f"{said}; the rules are {shown(list(rules))}.")
    group = table.get("group")
    if group is not None:
        entries = [b for b in rule.by if b not in (OVERALL, CLASS)]
        if not entries:
            said = f"rule {shown(rule.id)} looks at no attribute, so no group can be waived"
            raise spot.error("group", f"{said}; take group out to waive the whole rule.")
        group = read_group(group, "group", entries, spot)
    return Waiver(
        table["rule"], group, table["owner"], table["reason"], table["until"], spot.place.line(*spot.path)
    )
