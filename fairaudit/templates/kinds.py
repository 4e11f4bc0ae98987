"""The templates as values: which rules, with which limits, on whose authority, and what a reader must know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ATTRIBUTES, CLASS_AND_ATTRIBUTES = "attributes", "class and attributes"


@dataclass(frozen=True, slots=True)
class RuleDraft:
    """One `[[rule]]` of a template. `over`: what its `by` holds, `attributes` or `class and attributes`.

    `why`: comment lines above it. `more`: further keys, as they stand in the file.
    """

    id: str
    metric: str
    kind: str
    limit: float
    because: str
    why: tuple[str, ...]
    over: str = ATTRIBUTES
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Template:
    """A kind of policy. `about`: comment lines at its head. `positive`: whether it needs a positive class.

    `crosses`: whether sex and race are also crossed. `leaves_missing_out`: whether rows of unknown group are not
    judged. `watch`: the metric of the rule against a baseline that is suggested.
    """

    name: str
    about: tuple[str, ...]
    rules: tuple[RuleDraft, ...]
    positive: bool = True
    crosses: bool = False
    leaves_missing_out: bool = False
    watch: str = "accuracy"


_HARDT = "Hardt, Price & Srebro 2016, Equality of Opportunity in Supervised Learning, arXiv 1610.02413"
_PANEL = "Sukumaran et al. 2024, FairLoRA, arXiv 2410.17358, section 5"
_LAW = "NYC Local Law 144 of 2021; 6 RCNY § 5-301"

_FOUR_FIFTHS = Template(
    "four-fifths",
    (
        "The four-fifths rule of the US Uniform Guidelines on Employee Selection Procedures, 29 CFR 1607.4(D): a",
        "selection rate under 4/5 of the highest group's is generally regarded as evidence of adverse impact. The",
        "Guidelines let smaller gaps count and larger ones not, by significance and practice: this is a screen,",
        "not a judgement of the law.",
    ),
    (
        RuleDraft(
            "four-fifths", "selection_rate", "min_ratio", 0.8, "29 CFR 1607.4(D)",
            ("Every group's selection rate is at least 4/5 of that of the group selected most often.",),
            more={"reference": "highest"},
        ),
    ),
)  # fmt: skip

_EQUAL_OPPORTUNITY = Template(
    "equal-opportunity",
    (
        "Equal opportunity: of the people who are positive, every group is found equally often (Hardt, Price &",
        "Srebro 2016). The paper asks for equal rates and names no margin: set max_difference to what you can answer",
        "for.",
    ),
    (
        RuleDraft(
            "equal-opportunity", "tpr", "max_difference", 0.1, _HARDT,
            ("No two groups' true-positive rates lie further apart. 0.10 is a placeholder, not the paper's.",),
            more={"reference": "highest"},
        ),
    ),
    watch="tpr",
)  # fmt: skip

_LL144 = Template(
    "ll144",
    (
        "Impact ratios as in the bias audit of New York City's Local Law 144 (6 RCNY § 5-301): the selection rate of",
        "each category over that of the category selected most often, by sex, by race/ethnicity, and crossed.",
        "THE LAW SETS NO THRESHOLD ON THE IMPACT RATIO. So the rule is of severity \"warn\": it is shown everywhere,",
        "it never counts, and with this policy alone the gate always passes. This is no bias audit either: that one",
        "is made by an independent auditor, and for a tool that gives scores it asks for the scoring rate (share above",
        "the median). For the table of an audit: fairaudit card AUDIT.json --format ll144.",
    ),
    (
        RuleDraft(
            "impact-ratio", "selection_rate", "min_ratio", 0.8, _LAW,
            (
                "0.80 is the four-fifths of 29 CFR 1607.4(D), for orientation only: no number of this law.",
                "An auditor may leave categories under 2 % of the data out of the ratios (§ 5-301): list such groups",
                "in exclude_groups, and say why.",
            ),
            more={"reference": "highest", "severity": "warn"},
        ),
    ),
    crosses=True,
    leaves_missing_out=True,
)  # fmt: skip

_PAPER_PANEL = Template(
    "paper-panel",
    (
        "The panel that FairLoRA reports (Sukumaran et al. 2024, arXiv 2410.17358, section 5), each number with a",
        "limit. The paper sets no limits: ALL LIMITS HERE ARE PLACEHOLDERS. Set them to what your release needs,",
        "for instance from the model in production.",
    ),
    (
        RuleDraft("f1-min", "f1_min", "min", 0.5, _PANEL,
                  ("The worst class's F1, and the worst group's F1 (averaged over classes).",), CLASS_AND_ATTRIBUTES),
        RuleDraft("recall-min", "recall_min", "min", 0.5, _PANEL,
                  ("The worst class's recall, and the worst group's (averaged over classes).",), CLASS_AND_ATTRIBUTES),
        RuleDraft("f1-delta", "f1_delta", "max", 0.2, _PANEL,
                  ("Best less worst F1, over classes and over groups.",), CLASS_AND_ATTRIBUTES),
        RuleDraft("eod-max", "eod_max", "max", 0.1, _PANEL,
                  ("How much more or less often a class is found in a group than in the others: the largest gap.",)),
        RuleDraft("worst-group-accuracy", "worst_group_accuracy", "min", 0.5, _PANEL,
                  ("The accuracy of the worst cell (class and group).",)),
    ),
    positive=False,
)  # fmt: skip

TEMPLATES: Mapping[str, Template] = {
    t.name: t for t in (_FOUR_FIFTHS, _EQUAL_OPPORTUNITY, _LL144, _PAPER_PANEL)
}
