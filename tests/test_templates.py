"""Templates of policies: whatever columns and groups are called, the policy is TOML and means them."""

from __future__ import annotations

import re
import tomllib
from datetime import date
from typing import Any

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

import fairaudit
from fairaudit.policy_file import parse_policy
from fairaudit.templates import TEMPLATES, draft
from fairaudit.templates.toml import key, toml

DAY = date(2026, 11, 23)


def uncommented(text: str) -> str:
    """The policy with its commented-out rules and waivers counting."""
    out, inside = [], False
    for line in text.split("\n"):
        inside = line.startswith("# [[") or (inside and re.match(r"# [a-z_]+ = ", line) is not None)
        out.append(line[2:] if inside else line)
    return "\n".join(out)


nasty = st.one_of(
    st.sampled_from(['a"b', "a\\b", "a\nb", "a\r\tb", "\x00\x7f\x1b", "é😀\u2028\x85", "#", "'''", '"""', "a=b",
                     "{x}", "a & b", "a&b", "\\&", "[[rule]]", "# [[waiver]]", "(missing)", "-", "0.5"]),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6),
)  # fmt: skip


@given(nasty)
def test_values_and_keys_are_valid_toml_on_one_line(text: str) -> None:
    for line in (f"k = {toml(text)}", f"k = {toml([text, text])}", f"k = {toml({text: [text]})}"):
        assert line.isprintable()
        tomllib.loads(f"# {line}\n")
    assert tomllib.loads(f"k = {toml(text)}") == {"k": text}
    assert tomllib.loads(f"{key(text)} = {toml([text])}") == {text: [text]}
    assert tomllib.loads(f"k = {toml({text: text})}") == {"k": {text: text}}


@settings(max_examples=20, deadline=None)
@given(
    st.lists(nasty.filter(lambda c: "\0" not in c), min_size=3, max_size=3, unique_by=str.lower),
    st.lists(nasty, min_size=2, max_size=3, unique=True),
    st.sampled_from(list(TEMPLATES)),
)
def test_names_may_hold_anything(names: list[str], groups: list[str], template: str) -> None:
    """Columns and groups are read back as they are, and suggestions count once their `#` is taken away."""
    y_true, y_pred, attribute = names
    rows = 16 * len(groups)
    frame = pd.DataFrame({y_true: [0, 1] * (rows // 2), y_pred: [0, 1, 1, 1] * (rows // 4),
                          attribute: [groups[i // 4 % len(groups)] for i in range(rows)]})  # fmt: skip
    roles: dict[str, Any] = {"y_true": y_true, "y_pred": y_pred, "sensitive": (attribute,)}
    made = draft(frame, template, source=attribute, today=DAY, **roles)
    for text in (made.text, uncommented(made.text)):
        policy = parse_policy(text, "p.toml", today=DAY)
        found = {k: policy.data[k] for k in roles}
        assert found == roles
        verdict = fairaudit.gate(frame, policy)
        assert verdict.data["detected"] == []
    if "=" in attribute:  # what a waiver then names is ambiguous, and the gate takes the first `=`
        return
    waived = {s.group for c in verdict.checks for s in c.strata if s.waived}
    assert len(waived) == len({w.group for w in policy.waivers})
    assert waived <= set(groups)
