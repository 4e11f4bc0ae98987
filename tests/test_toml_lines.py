"""The lines of keys, against a writer that knows where it put them."""

from __future__ import annotations

import json
import tomllib

from hypothesis import given, settings
from hypothesis import strategies as st

from fairaudit.toml_lines import line_numbers

NAMES = st.text("ab.\"'#=[] é\\\n", min_size=1, max_size=4)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["pair", "table", "array", "noise"]), NAMES, st.integers(0, 5)), max_size=12
    )
)
def test_lines_are_those_of_the_writer(parts: list[tuple[str, str, int]]) -> None:
    """A document written line by line knows where each of its keys stands."""
    values = [
        "1",
        '"# [x]"',
        "'''\n[[rule]]\nid = 1'''",
        '[\n "a", # ]\n]',
        '{ x = "}", y = [1] }',
        '"""a""\\"\n\\\\"""',
    ]
    text, expected, table, seen, arrays = "", {}, (), set(), {}
    for kind, name, which in parts:
        line, key = text.count("\n") + 1, json.dumps(name)
        if kind == "noise":
            text += f"  # {name!r} = [\n\n"
        elif kind == "pair" and (*table, name) not in seen and (table or not seen):
            text += f"{key} \t= {values[which]} # end\n"
            seen.add((*table, name))
            expected[(*table, name)] = line
        elif kind == "table" and (name,) not in seen:
            text += f"[ {key} ]# table\n"
            table = (name,)
            seen.add(table)
            expected[table] = line
        elif kind == "array" and ((name,) not in seen or name in arrays):
            text += f"[[{key}]]\n"
            arrays[name] = arrays.get(name, -1) + 1
            table = (name, arrays[name])
            seen |= {(name,), table}
            expected[table] = line
    tomllib.loads(text)
    found = line_numbers(text)
    assert {k: found.get(k) for k in expected} == expected
