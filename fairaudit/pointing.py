"""Which line of a policy an error about the data is about: that of the key whose value the error quotes first."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from fairaudit.errors import FairauditError
from fairaudit.labels import split_by
from fairaudit.policy import Policy, Rule
from fairaudit.toml_lines import at_line

_QUOTED = re.compile(r"'([^']*)'")


def located_data(error: FairauditError, policy: Policy, given: Collection[str] = ()) -> FairauditError:
    """The error behind the line of the policy where a value of the policy is what failed, else as it is.

    `given`: inputs that were given otherwise, and so are not the policy's.
    """
    said = str(error)
    key = _key(said, {k: v for k, v in policy.data.items() if k not in given})
    line = policy.lines.get(f"data.{'with' if key == 'with_file' else key}")
    if line is not None:
        return at_line(policy.name, line, f"[data]: {said}")
    found = (r for r in policy.rules if _key(said, {"by": tuple(a for b in r.by for a in split_by(b))}))
    rule = None if key is not None else next(found, None)
    return error if rule is None or "by" not in rule.lines else _at(policy.name, rule, "by", said)


def located(error: FairauditError, name: str, rule: Rule) -> FairauditError:
    """The error with the line of the rule's key that it is about, or of the rule."""
    said = str(error)
    if said.startswith(f"{rule.metric} "):
        return _at(name, rule, "metric", said)
    asked = {"class": rule.class_, "reference": rule.reference, "groups": rule.groups,
             "exclude_groups": rule.exclude_groups}  # fmt: skip
    return _at(name, rule, _key(said, asked) or "", said)


def _at(name: str, rule: Rule, key: str, said: str) -> FairauditError:
    return FairauditError(f"{name}:{rule.lines.get(key, rule.line)}: rule '{rule.id}': {said}")


def _key(said: str, values: Mapping[str, Any]) -> str | None:
    """The key whose value, or an entry of whose list, is quoted first."""
    if said[:1].isdigit():
        return None  # so many rows are wrong: that is about the data
    for text in _QUOTED.findall(said.partition(" Did you mean")[0]):
        for key, value in values.items():
            parts = value if isinstance(value, tuple | Mapping) else (str(value),)
            if text in parts or (key == "split" and text in str(value).split("=")):
                return key
    return next((k for k in ("with_file",) if k in values and str(values[k]) in said), None)
