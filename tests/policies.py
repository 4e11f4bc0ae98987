"""Good policies, broken ones, and what tests do with them."""

from __future__ import annotations

import json
import random
import tomllib
from datetime import date
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from fairaudit.errors import FairauditError
from fairaudit.policy import Policy
from fairaudit.policy_file import parse_policy
from fairaudit.schema import schema_text

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


def follows(text: str) -> bool:
    plain = json.loads(json.dumps(tomllib.loads(text), default=str))
    return bool(Draft202012Validator(SCHEMA).is_valid(plain))


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
