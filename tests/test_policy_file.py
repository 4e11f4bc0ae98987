"""The reader of policy files: every broken policy is one sentence with file and line, every good one a value."""

from __future__ import annotations

import hashlib
import json
import random
import tomllib
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from fairaudit.catalogue import BY_ID
from fairaudit.columns import Inputs
from fairaudit.errors import FairauditError
from fairaudit.policy import KINDS, Policy, Rule
from fairaudit.policy_checks import ELSEWHERE, over_groups
from fairaudit.policy_file import parse_policy, read_policy
from fairaudit.schema import schema_text
from fairaudit.toml_lines import line_numbers

BROKEN = sorted((Path(__file__).parent / "broken_policies").glob("*.toml"))
TODAY = date(2026, 6, 1)
SCHEMA = json.loads(schema_text("policy"))

#: The policy of the design, word for word.
DESIGN = """\
schema = 1
[data]                        # same names as the input flags
y_true = "label"
y_score = "proba"
threshold = 0.5
positive = "1"
sensitive = ["sex", "race"]
[stats]
alpha = 0.05
min_events = 10
on_inconclusive = "block"     # block: exit 3 · warn: verdict stays inconclusive, exit 0
[[rule]]
id = "four-fifths"
metric = "selection_rate"
by = ["sex", "race"]          # each entry is one check; "race&sex" is an intersection; "overall" is allowed
reference = "highest"
min_ratio = 0.80              # one of: min, max, max_difference, min_ratio, max_increase, max_decrease
severity = "error"
because = "29 CFR 1607.4(D)"
[[rule]]
id = "no-regression"
metric = "fnr"
by = ["race"]
vs = "baseline"
max_increase = 0.01
missing_baseline = "inconclusive"
[[waiver]]
rule = "four-fifths"
group = "race=Native American"
owner = "risk@example.org"
reason = "17 rows; collection plan 112"
until = 2027-03-31
"""

#: Every key at least once, and every place where a line could get lost.
FULL = '''\
schema = 1
stats.alpha = 0.025
stats.family = "policy"

[data]
y_true = "label"
y_pred = "pred"
positive = 1
sensitive = [
  "race", # ] not the end
  'sex', "age",
]
weights = "w"
id = "row"
cluster = "person"
split = "all"
with = "labels.csv"
on = "row"
na = "unknown"
missing_labels = "drop"
max_groups = 50
exclude_groups = ["race=(missing)", "sex&race=F & Other"]
suppress_below = 10
[data.bins]
age = [25, 40.5]
[data.agreement]
1 = "White"

[[rule]]
id = "overall"
metric = "f1_macro"
by = "overall"
min = 0.7
because = """
[[rule]] # is only text
id = "nothing"
"""
[[rule]]
id = "gaps" # ids may be anything
metric = "tpr"
by = ["race & sex", "sex"]
max_difference = 0
class = 1
groups = ["race=A", "sex & race=F&B"]
severity = "warn"
[[ rule ]]
"id" = "levelling"
by = ["overall", "race"]
no_group_worse = 0.01
vs = "baseline"
exclude_groups = "race=Other"
[[rule]]
id = 'against one'
metric = "fpr"
by = "race&sex"
max_difference = 0.1
reference = "sex&race=M & White"
[[waiver]]
rule = "gaps"
group = "sex&race=F & Asian"
owner = "o"
reason = "r"
until = 2026-06-01
'''


def parse(text: str) -> Policy:
    return parse_policy(text, "p.toml", today=TODAY)


def refused(text: str) -> str:
    with pytest.raises(FairauditError) as caught:
        parse(text)
    return str(caught.value)


def test_there_are_enough_broken_policies() -> None:
    assert len(BROKEN) >= 100


@pytest.mark.parametrize("path", BROKEN, ids=lambda p: p.stem)
def test_a_broken_policy_is_one_sentence(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    first = path.read_text(encoding="utf-8").split("\n", 1)[0]
    line, _, words = first.removeprefix("# expect: ").partition(": ")
    with pytest.raises(FairauditError) as caught:
        read_policy(path.name)
    said = str(caught.value)
    assert said.startswith(f"{path.name}:{line}: ")
    assert words in said
    assert said.isprintable()  # so it is one line
    assert said.endswith((".", "?"))
    assert len(said) < 300


def test_the_policy_of_the_design() -> None:
    policy = parse(DESIGN)
    first, second = policy.rules
    assert (first.id, first.kind, first.limit, first.by) == ("four-fifths", "min_ratio", 0.8, ("sex", "race"))
    assert (first.line, first.lines["min_ratio"], first.because) == (12, 17, "29 CFR 1607.4(D)")
    assert (second.kind, second.limit, second.versus_baseline, second.line) == (
        "max_increase",
        0.01,
        True,
        20,
    )
    (waiver,) = policy.waivers
    assert (waiver.group, waiver.until, waiver.line) == ("race=Native American", date(2027, 3, 31), 27)
    assert policy.data == {
        "y_true": "label", "y_score": "proba", "threshold": 0.5, "positive": "1", "sensitive": ("sex", "race"),
    }  # fmt: skip
    assert (policy.alpha, policy.min_events, policy.seed, policy.family) == (0.05, 10, 0, "rule")
    assert (policy.lines["data.sensitive"], policy.lines["stats.alpha"]) == (7, 9)
    assert policy.sha256 == hashlib.sha256(DESIGN.encode()).hexdigest()


def test_every_key() -> None:
    policy = parse(FULL)
    Inputs(**policy.data)  # the names are those of the flags
    assert (policy.alpha, policy.family, policy.suppress_below) == (0.025, "policy", 10)
    assert policy.exclude_groups == ("race=(missing)", "sex&race=F & Other")
    assert policy.data == {
        "y_true": "label", "y_pred": "pred", "positive": "1", "sensitive": ("race", "sex", "age"), "weights": "w",
        "id": "row", "cluster": "person", "split": "all", "with_file": "labels.csv", "on": "row", "na": ("unknown",),
        "missing_labels": "drop", "max_groups": 50, "bins": {"age": (25.0, 40.5)}, "agreement": {"1": "White"},
    }  # fmt: skip
    whole, gaps, levelling, one = policy.rules
    assert (whole.by, whole.kind, whole.class_, whole.severity) == (("overall",), "min", None, "error")
    assert (gaps.by, gaps.limit, gaps.class_, gaps.severity) == (("race&sex", "sex"), 0.0, "1", "warn")
    assert gaps.groups == ("race=A", "race&sex=B & F")  # in the order of the rule's own crossing
    assert (levelling.metric, levelling.by) == ("accuracy", ("overall", "race"))
    assert levelling.exclude_groups == ("race=Other",)
    assert one.reference == "race&sex=White & M"
    assert policy.waivers[0].group == "race&sex=Asian & F"


def test_lines_of_every_key() -> None:
    """Against the plainest oracle there is: the line that begins with the key, in its table."""
    policy, lines = parse(FULL), FULL.split("\n")
    assert [lines[r.line - 1].replace(" ", "") for r in policy.rules] == ["[[rule]]"] * 4
    for rule in policy.rules:
        for key, line in rule.lines.items():
            assert lines[line - 1].split("=")[0].strip().strip('"') == key
        assert rule.line < min(rule.lines.values())
    assert [lines[policy.lines[k] - 1] for k in ("stats.alpha", "data.bins", "data.bins.age", "data.agreement")] == [
        "stats.alpha = 0.025", "[data.bins]", "age = [25, 40.5]", "[data.agreement]",
    ]  # fmt: skip
    assert lines[policy.waivers[0].line - 1] == "[[waiver]]"


def test_a_waiver_counts_on_its_last_day() -> None:
    assert parse_policy(FULL, "p", today=date(2026, 6, 1)).waivers
    with pytest.raises(FairauditError, match="ended on 2026-06-01"):
        parse_policy(FULL, "p", today=date(2026, 6, 2))


@pytest.mark.parametrize("text", [DESIGN, FULL], ids=["design", "full"])
def test_the_schema_accepts_good_policies(text: str) -> None:
    assert follows(text)


def follows(text: str) -> bool:
    plain = json.loads(json.dumps(tomllib.loads(text), default=str))
    return bool(Draft202012Validator(SCHEMA).is_valid(plain))


@pytest.mark.parametrize("name", ["rule_two_limits", "rule_no_limit", "rule_no_metric", "rule_no_vs", "data_with_alone",
                                  "rule_vs_with_min", "rule_reference_with_min", "rule_missing_baseline"])  # fmt: skip
def test_the_schema_alone_refuses_what_does_not_go_together(name: str) -> None:
    path = next(p for p in BROKEN if p.stem == name)
    assert not follows(path.read_text(encoding="utf-8"))


def test_the_schema_and_the_values_agree_about_keys() -> None:
    tables = {name: set(table["properties"]) for name, table in SCHEMA["$defs"].items()}
    fields = set(Rule.__dataclass_fields__)
    assert tables["rule"] - {*KINDS, "vs"} == {f.rstrip("_") for f in fields} - {
        "kind",
        "limit",
        "line",
        "lines",
    }
    assert set(KINDS) <= tables["rule"]
    flags = {"with" if f == "with_file" else f for f in Inputs.__dataclass_fields__}
    assert tables["data"] == flags - {"cross", "sets"} | {"exclude_groups", "suppress_below"}
    assert tables["stats"] < set(Policy.__dataclass_fields__)
    for table in (SCHEMA, *SCHEMA["$defs"].values()):
        for spec in table["properties"].values():
            assert spec["description"]  # errors are made of it


@pytest.mark.parametrize("key", [k for t in SCHEMA["$defs"].values() for k in t["properties"]])
def test_no_key_takes_a_time(key: str) -> None:
    """A time of day is nothing that any key takes, so each one is known to the reader by its own name."""
    home = next(name for name, t in SCHEMA["$defs"].items() if key in t["properties"])
    header = f"[[{home}]]" if home in ("rule", "waiver") else f"[{home}]"
    assert refused(f"schema = 1\n{header}\n{key} = 07:30:00\n").startswith("p.toml:")


def test_metrics_over_groups() -> None:
    """By hand, against the catalogue: what has no number for a single group."""
    families = [f"{p}_{s}" for p in ("demographic_parity", "equalized_odds", "equal_opportunity", "predictive_parity")
                for s in ("difference", "ratio")]  # fmt: skip
    assert {m for m in BY_ID if over_groups(m)} == {
        *families, "f1_min", "f1_median", "recall_min", "f1_delta", "eod_max", "eod_macro", "worst_group_accuracy",
        "loss_variance", "sensitive_accuracy", "sensitive_leakage",
    }  # fmt: skip
    assert set(ELSEWHERE.values()) <= set(BY_ID)


RULE = 'schema = 1\n[[rule]]\nid = "r"\nmetric = "{}"\nby = {}\n{} = {}\n'


@pytest.mark.parametrize("metric", BY_ID)
def test_each_metric_can_be_asked_for(metric: str) -> None:
    """In one of its places and with a limit on its own side; the other side of a gap or minimum is refused."""
    own = BY_ID[metric]
    by = {"overall": '"overall"', "class": '"class"', "attribute": '"race"'}[own.where[0]]
    side, other = ("max", "min") if own.better == "lower" else ("min", "max")
    rule = parse(RULE.format(metric, by, side, 0.5)).rules[0]
    assert (rule.metric, rule.kind, rule.limit) == (metric, side, 0.5)
    text = RULE.format(metric, by, other, 0.5)
    if (over_groups(metric) or metric == "eod") and own.better:
        assert f"write {side} = 0.5" in refused(text)
    else:
        assert parse(text).rules[0].kind == other


@pytest.mark.parametrize(
    ("by", "found"),
    [
        ('"race"', ("race",)),
        ('["a & b", "b"]', ("a&b", "b")),
        (r"'a\&b & c'", (r"a\&b&c",)),
        (r"'a\&b'", (r"a\&b",)),
        ('["b&a&c"]', ("b&a&c",)),
        ('" odd name"', (" odd name",)),
    ],
)
def test_by(by: str, found: tuple[str, ...]) -> None:
    assert parse(RULE.format("accuracy", by, "min", 0.5)).rules[0].by == found


@pytest.mark.parametrize(
    ("by", "group", "found"),
    [
        ('"race"', "race = A", "race= A"),  # a group may begin with a blank
        ('"race"', "race=a=b & c", "race=a=b & c"),
        ('"race&sex"', "sex&race=F&A", "race&sex=A & F"),
        ('"race & sex"', "race & sex=A & F", "race&sex=A & F"),
        ('"race&sex"', r"race&sex=a\&b & F", r"race&sex=a\&b & F"),
        ('"x=y"', "x=y=A", "x=y=A"),
    ],
)  # fmt: skip
def test_the_group_of_a_waiver(by: str, group: str, found: str) -> None:
    waiver = f"[[waiver]]\nrule = 'r'\ngroup = '{group}'\nowner = 'o'\nreason = 'x'\nuntil = 2030-01-01\n"
    assert parse(RULE.format("accuracy", by, "min", 0.5) + waiver).waivers[0].group == found


@pytest.mark.parametrize(("value", "label"), [("1", "1"), ("true", "true"), ("'yes'", "yes"), ("-1", "-1")])
def test_classes_become_text(value: str, label: str) -> None:
    text = (
        f"schema = 1\ndata.positive = {value}\n[[rule]]\nid = 'r'\nmetric = 'recall'\nby = 'class'\nmin = 0\n"
    )
    policy = parse(f"{text}class = {value}\n")
    assert (policy.data["positive"], policy.rules[0].class_) == (label, label)


def test_windows_files(tmp_path: Path) -> None:
    raw = b"\xef\xbb\xbf" + FULL.replace("\n", "\r\n").encode()
    (tmp_path / "p.toml").write_bytes(raw)
    policy, plain = read_policy(tmp_path / "p.toml", today=TODAY), parse(FULL)
    assert policy.sha256 == hashlib.sha256(raw).hexdigest()
    assert (policy.lines, policy.data, policy.waivers) == (plain.lines, plain.data, plain.waivers)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", ":1: the policy is empty"),
        (b"\xef\xbb\xbf \r\n\n", ":1: the policy is empty"),
        (b"schema = 1\n# caf\xe9\n", ":2: a policy is UTF-8 text"),
        ("schema = 1\n".encode("utf-16"), ":1: a policy is UTF-8 text"),
        (b"# only a comment\n", ":1: the policy has no 'schema'"),
        (b"schema = 1\nx = " + b"[" * 10_000, "nested too deeply"),
        (b"schema = " + b"1" * 10_000, ":1: not TOML"),
        (b"schema = 1\x00\n", ":1: not TOML"),
        (b"schema = 1\n\n\n[[rule]]\nid = '''x\n\n\n\n", ":5: not TOML: expected \"'''\"; close the quote"),
    ],
)
def test_files_that_are_no_policy(tmp_path: Path, raw: bytes, said: str) -> None:
    (tmp_path / "p.toml").write_bytes(raw)
    with pytest.raises(FairauditError) as caught:
        read_policy(tmp_path / "p.toml")
    assert said in str(caught.value)
    assert str(caught.value).isprintable()


def test_places_that_are_no_file(tmp_path: Path) -> None:
    (tmp_path / "fairaudit.toml").write_text(DESIGN)
    with pytest.raises(
        FairauditError, match=r"fairaudt.toml: there is no such file\. Did you mean 'fairaudit.toml'\?"
    ):
        read_policy(tmp_path / "fairaudt.toml")
    with pytest.raises(FairauditError, match=r"there is no such file\. Name the policy"):
        read_policy(tmp_path / "fairaudit.toml" / "x")
    with pytest.raises(FairauditError, match="this is a folder"):
        read_policy(tmp_path)
    with pytest.raises(FairauditError, match="cannot be read"):
        read_policy("a\x00b")


ODD = ["nan", "-inf", "[]", "{}", '""', "''", "true", "07:30:00", "2020-01-01", "2020-01-01T00:00:00Z", "1e400", "[[]]",
       "99999999999999999999999", "-1", '["race", "race"]', '"&"', '"\\\\"', '"="', '"race="', '"\\u0000"', "{x = 1}",
       '"=&=&"', '["race&sex"]', "[{}]", '"overall"', "80", '"class"']  # fmt: skip


HEADERS = ["[data]", "[[rule]]", "[rule]", "[data.bins]", "[[data]]", "[stats.x]", "[[waiver]]"]


def mutated(text: str, draw: random.Random) -> str:
    lines = text.split("\n")
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(lines))
        what = draw.randrange(7)
        if what == 0:
            del lines[at]
        elif what == 1:
            lines.insert(at, draw.choice(lines))
        elif what == 2 and "=" in lines[at]:
            lines[at] = f"{lines[at].split('=')[0]}= {draw.choice(ODD)}"
        elif what == 3 and lines[at]:
            spot = draw.randrange(len(lines[at]))
            lines[at] = lines[at][:spot] + draw.choice("\"'[]{}=#.,&\\ x1\t\x07é") + lines[at][spot + 1 :]
        elif what == 4:
            other = draw.randrange(len(lines))
            lines[at], lines[other] = lines[other], lines[at]
        elif what == 5 and "=" in lines[at]:
            keys = [k for t in SCHEMA["$defs"].values() for k in t["properties"]]
            lines[at] = f"{draw.choice(keys)} ={lines[at].split('=', 1)[1]}"
        else:
            lines[at] = draw.choice(
                ("[data]", "[[rule]]", "[rule]", "[data.bins]", "[[data]]", "[stats.x]", "[[waiver]]")
            )
        lines = lines or [""]
    return "\n".join(lines)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32))
def test_a_damaged_policy_is_refused_or_read(seed: int) -> None:
    """Never another exception; and what the reader takes, the schema takes too."""
    draw = random.Random(seed)
    for text in (mutated(t, draw) for t in (DESIGN, FULL) for _ in range(8)):
        try:
            parse(text)
        except FairauditError as error:
            said = str(error)
            head, line = said.split(":")[:2]
            assert head == "p.toml"
            assert 1 <= int(line) <= text.count("\n") + 1
            assert said.isprintable()
            assert said.endswith((".", "?"))
        else:
            assert follows(text)


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
