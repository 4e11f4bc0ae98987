"""The shape of a policy, by the schema that ships: keys, types and bounds, each breach as one sentence."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from functools import cache
from typing import Any

from fairaudit.errors import did_you_mean
from fairaudit.schema import schema_text
from fairaudit.toml_lines import Path, Place, shown

#: Breaches that the schema states for other readers; `policy_checks` has better sentences for them.
_LEFT_TO_CHECKS = ("oneOf", "anyOf", "dependentRequired", "dependentSchemas")
_MANY = ("rule", "waiver")
#: Keys that people who know the command line look for.
_INSTEAD = {
    "cross": "crossings stand in a rule, as by = [\"race&sex\"]",
    "with_file": "it is called with",
    "level": "the level of a verdict is 1 - alpha in [stats]",
    "min_n": "rows are judged by min_events in [stats]",
    "baseline": "the file is given on the command line, as --baseline FILE, and a rule says vs = \"baseline\"",
}  # fmt: skip


def check_structure(document: Mapping[str, Any], place: Place) -> None:
    """Raise the first breach: another version of the format, then unknown keys, then whatever stands first."""
    validator = _validator()
    schema = validator.schema
    errors = validator.iter_errors(_plain(document, ()))
    problems = [
        p for e in errors if e.validator not in _LEFT_TO_CHECKS for p in _problems(e, document, schema)
    ]
    if problems:
        _, _, path, sentence = min((rank, place.line(*path), path, text) for rank, path, text in problems)
        raise place.error(path, sentence)


@cache
def _validator() -> Any:
    # as slow to load as a policy is fast to read, so only where one is read, and once
    from jsonschema import Draft202012Validator

    return Draft202012Validator(json.loads(schema_text("policy")))


def title(path: Path, document: Mapping[str, Any]) -> str:
    """How an error calls a table: `[data]`, `rule 'four-fifths'`, `[[waiver]]`."""
    if not path:
        return "the policy"
    if path[0] not in _MANY:
        return f"[{'.'.join(str(p) for p in path)}]"
    id_ = _at(document, (*path[:2], "id")) if path[0] == "rule" else None
    return f"rule {shown(id_)}" if isinstance(id_, str) and id_ else f"[[{path[0]}]]"


def _at(document: Any, path: Path) -> Any:
    """The value at a path, or None."""
    for step in path:
        inside = isinstance(document, Mapping) and step in document
        inside |= isinstance(document, list) and isinstance(step, int) and step < len(document)
        if not inside:
            return None
        document = document[step]
    return document


def _plain(value: Any, path: Path) -> Any:
    """The document as JSON could say it. What JSON has no word for becomes null, which no key may be."""
    if isinstance(value, Mapping):
        return {k: _plain(v, (*path, k)) for k, v in value.items()}
    if isinstance(value, list):
        return [_plain(v, (*path, i)) for i, v in enumerate(value)]
    if path[:1] == ("waiver",) and path[2:] == ("until",):
        return value.isoformat() if isinstance(value, date) and not isinstance(value, datetime) else None
    if isinstance(value, float):
        return value if abs(value) < float("inf") else None  # NaN is below nothing
    if isinstance(value, int):
        return value if abs(value) < 2**63 else None  # TOML's own limit
    return value if isinstance(value, str) else None


def _problems(error: Any, document: Mapping[str, Any], schema: Any) -> Iterator[tuple[int, Path, str]]:
    """(rank, path, sentence) of each breach that one error of the validator stands for."""
    path: Path = tuple(error.absolute_path)
    if error.validator == "additionalProperties":
        for key in error.instance.keys() - error.schema["properties"].keys():
            yield 1, (*path, key), _unknown(key, path, document, schema)
    elif error.validator == "required":
        key = next(k for k in error.validator_value if k not in error.instance)
        # a file of another kind altogether, unless the word is only misspelt or misplaced
        strays = [*document, *(k for t in document.values() if isinstance(t, Mapping) for k in t)]
        foreign = not path and key == "schema" and not did_you_mean(key, strays)
        yield (0 if foreign else 2), path, _missing(key, path, document, schema)
    else:
        yield (0 if path == ("schema",) else 2), path, _wrong(path, document, schema)


def _properties(schema: Any, path: Path) -> Mapping[str, Any]:
    """The keys of the table at a path."""
    table: Any = schema["$defs"].get(path[0]) if path else schema
    return table["properties"]  # type: ignore[no-any-return]


def _unknown(key: str, path: Path, document: Mapping[str, Any], schema: Any) -> str:
    known = _properties(schema, path)
    said = f"unknown key {shown(key)} in {title(path, document)}"
    homes = [name for name, table in schema["$defs"].items() if key in table["properties"]]
    if key in _INSTEAD:
        return f"{said}; {_INSTEAD[key]}."
    if homes:
        return f"{said}; it belongs in {' or '.join(f'[[{h}]]' if h in _MANY else f'[{h}]' for h in homes)}."
    if path and key in schema["properties"]:
        return f"{said}; it belongs at the top, before any table."
    near = did_you_mean(key, known)
    return f"{said}.{near}" if near else f"{said}; it may hold {', '.join(known)}."


def _missing(key: str, path: Path, document: Mapping[str, Any], schema: Any) -> str:
    if key == "rule" and not path:
        return "a policy without a rule would pass anything; add a [[rule]] with id, metric, by and a limit."
    example = _example(key, _properties(schema, path)[key])
    where = "at the top" if not path else "to it"
    return f"{title(path, document)} has no '{key}'; add {example} {where}."


def _wrong(path: Path, document: Mapping[str, Any], schema: Any) -> str:
    """A value that is not what its key takes, in the words of the schema's description."""
    whole = path[: 3 if path[0] in _MANY else 2]
    if path[0] in _MANY and len(path) < 3:
        whole = path[:1]
    key, value = str(whole[-1]), _at(document, path)
    if whole == ("rule",) and value == []:
        return _missing("rule", (), document, schema)
    if whole == ("schema",):
        return f"schema = {shown(value)} is not a format this version reads; write schema = 1."
    spec = _properties(schema, whole[:-1])[key]
    must = spec["description"].partition(": ")[0]
    if len(whole) == 1:
        return f"'{key}' must be {must}, not {shown(value)}; write it so."
    near = _nearest(value, spec)
    remedy = "" if near else f"; write for instance {_example(key, spec)}"
    return f"'{key}' in {title(whole[:-1], document)} must be {must}, not {shown(value)}{remedy}.{near}"


def _nearest(value: object, spec: Mapping[str, Any]) -> str:
    """The word meant, or the share that a percentage means."""
    if isinstance(value, str):
        return did_you_mean(value, spec.get("enum", ()))
    number = isinstance(value, int | float) and not isinstance(value, bool) and 2 <= value <= 100
    share = spec.get("maximum", spec.get("exclusiveMaximum", 100)) <= 1
    return f" Did you mean {value / 100:g}?" if number and share else ""  # type: ignore[operator]


def _example(key: str, spec: Mapping[str, Any]) -> str:
    """A line that would do, as TOML."""
    value = spec["examples"][0]
    if isinstance(value, dict):
        name, inside = next(iter(value.items()))
        return f"{key} = {{ {name} = {json.dumps(inside)} }}"
    return f"{key} = {value if key == 'until' else json.dumps(value)}"
