"""The reader of policy files: every broken policy is one sentence with file and line, every good one a value."""

from __future__ import annotations

import hashlib
import random
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from policies import BROKEN, DESIGN, FULL, SCHEMA, TODAY, follows, mutated, parse, refused

from fairaudit.columns import Inputs
from fairaudit.errors import FairauditError
from fairaudit.policy import KINDS, Policy, Rule
from fairaudit.policy_file import parse_policy, read_policy


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


@pytest.mark.parametrize("name", ["rule_two_limits", "rule_no_limit", "rule_no_metric", "rule_no_vs", "data_with_alone",
                                  "rule_vs_with_min", "rule_reference_with_min", "rule_missing_baseline"])  # fmt: skip
def test_the_schema_alone_refuses_what_does_not_go_together(name: str) -> None:
    path = next(p for p in BROKEN if p.stem == name)
    assert not follows(path.read_text(encoding="utf-8"))


#: Fields of `Inputs` that a policy does not have: rules say what is crossed, and a machine is no matter of policy.
NOT_DATA = {"cross", "sets", "engine", "memory_limit", "threads"}


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
    assert tables["data"] == flags - NOT_DATA | {"exclude_groups", "suppress_below"}
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
