"""The verdict: what the gate found, as one value that every channel shows alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fairaudit.document import document, sha256_of

SCHEMA, SCHEMA_VERSION = "fairaudit.verdict", "1.0"
PASS, FAIL, INCONCLUSIVE, WAIVED = "pass", "fail", "inconclusive", "waived"
EXIT_CODES: Mapping[str, int] = {PASS: 0, FAIL: 1, INCONCLUSIVE: 3}
#: Worst first: a check is as bad as its worst stratum, a verdict as its worst check.
_ORDER = (FAIL, INCONCLUSIVE, PASS)


@dataclass(frozen=True, slots=True)
class Stratum:
    """One line of a check: one group (or class, or cell) held against the limit.

    `group`: its name (`Asian`, `Asian & F`), None over all rows; `class_`: the class it is about, if any.
    `value`: the number the limit is about. `rate`: the group's own rate where `value` compares it with `against`.
    `of`: the rate it is about, where that is not the check's metric (`tpr` or `fpr` of equalized odds).
    `n`: rows in the denominator (`baseline_n` in the baseline's). `fail_bound`: simultaneous one-sided bound, a
    fail where it lies beyond the limit; `pass_bound`: own one-sided bound, a pass where it lies inside.
    `rows_needed`: about how many more rows of the group would decide. `waived`: the day until which it does not
    count. `hidden`: its numbers are withheld (`suppress_below`).
    """

    group: str | None
    verdict: str
    class_: str | None = None
    value: float | None = None
    rate: float | None = None
    n: int | None = None
    numerator: float | None = None
    denominator: float | None = None
    baseline: float | None = None
    baseline_n: int | None = None
    against: str | None = None
    of: str | None = None
    fail_bound: float | None = None
    pass_bound: float | None = None
    reason: str | None = None
    rows_needed: int | None = None
    waived: str | None = None
    hidden: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The stratum as it stands in the verdict file."""
        out = {k: getattr(self, k) for k in Stratum.__dataclass_fields__ if k != "class_"}
        return {"group": out.pop("group"), "class": self.class_, **out}


@dataclass(frozen=True, slots=True)
class Check:
    """One rule over one attribute (or intersection, `class`, `overall`).

    `verdict`: `pass`, `fail`, `inconclusive`, or `waived` when nothing is left to judge. `at_least`: whether the
    limit is a floor (else a ceiling). `line`: of the rule in the policy. `because`: why the rule stands there.
    `reason`: why the whole check could not be judged. `excluded`: groups the policy leaves out. `form`: the kind of
    number that the strata hold, which is not `kind` where one number over groups is taken apart: a
    `demographic_parity_difference` of at most L is every pair of groups at most L apart (`max_difference`).
    """

    id: str
    by: str
    metric: str
    kind: str
    limit: float
    at_least: bool
    reference: str | None
    verdict: str
    strata: tuple[Stratum, ...]
    severity: str = "error"
    because: str = ""
    line: int = 0
    reason: str | None = None
    excluded: tuple[str, ...] = ()
    waived: str | None = None
    form: str = ""

    @property
    def counts(self) -> bool:
        """Whether it enters the verdict: of severity `error` and not waived."""
        return self.severity == "error" and self.verdict != WAIVED

    def to_dict(self) -> dict[str, Any]:
        """The check as it stands in the verdict file."""
        plain = {k: getattr(self, k) for k in Check.__dataclass_fields__ if k not in ("strata", "excluded")}
        return {**plain, "excluded": list(self.excluded), "strata": [s.to_dict() for s in self.strata]}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate found. `policy`: `name`, `sha256`. `data`, `baseline`: how the rows were read (or None).

    `stats`: alpha, family, min_events, on_inconclusive, seed, suppress_below. `waivers`: those that stand.
    """

    verdict: str
    checks: tuple[Check, ...]
    policy: Mapping[str, Any]
    data: Mapping[str, Any]
    baseline: Mapping[str, Any] | None
    stats: Mapping[str, Any]
    waivers: tuple[Mapping[str, Any], ...] = ()
    warnings: tuple[Mapping[str, str], ...] = ()

    @property
    def blocks(self) -> bool:
        """Whether an inconclusive verdict stops a release (`on_inconclusive = "block"`)."""
        return bool(self.stats["on_inconclusive"] == "block")

    @property
    def exit_code(self) -> int:
        """0 pass, 1 fail, 3 inconclusive; an inconclusive verdict under `on_inconclusive = "warn"` is 0."""
        return 0 if self.verdict == INCONCLUSIVE and not self.blocks else EXIT_CODES[self.verdict]

    def content(self) -> dict[str, Any]:
        """The part of the verdict file that depends on nothing but rows, policy and options."""
        return {
            "verdict": self.verdict, "policy": dict(self.policy), "data": dict(self.data),
            "baseline": None if self.baseline is None else dict(self.baseline), "stats": dict(self.stats),
            "rules": [c.to_dict() for c in self.checks], "waivers": [dict(w) for w in self.waivers],
            "warnings": [dict(w) for w in self.warnings],
        }  # fmt: skip

    @property
    def content_sha256(self) -> str:
        """The checksum of `content`."""
        return sha256_of(self.content())

    def to_json(self, indent: int | None = 1) -> str:
        """The verdict as JSON text, by the schema that `fairaudit schema verdict` prints."""
        return document(SCHEMA, SCHEMA_VERSION, self.content(), indent=indent, exit_code=self.exit_code)


def worst(verdicts: Sequence[str]) -> str:
    """fail > inconclusive > pass; nothing at all is inconclusive: a check that did not run is not a pass."""
    return next((v for v in _ORDER if v in verdicts), INCONCLUSIVE)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The one mapping of DESIGN §6. `name`: `passed`, `failed`, `blocked`, `open`, `waived` or `noted`.

    `stops`: whether it alone makes the exit code other than 0. `junit`: `` (passed), `failure`, `skipped`.
    `kind`, `level`: SARIF's. `annotation`: GitHub's (`` for none). `severity`: GitLab's (`` for none).
    """

    name: str
    stops: bool
    junit: str
    kind: str
    level: str
    annotation: str
    severity: str


_PASSED = Outcome("passed", False, "", "pass", "none", "", "")
_FAILED = Outcome("failed", True, "failure", "fail", "error", "error", "critical")
_BLOCKED = Outcome("blocked", True, "failure", "open", "none", "error", "major")
_OPEN = Outcome("open", False, "skipped", "open", "none", "warning", "info")
_WAIVED = Outcome("waived", False, "skipped", "fail", "none", "notice", "info")
_NOTED_FAIL = Outcome("noted", False, "skipped", "fail", "warning", "warning", "minor")
_NOTED_OPEN = Outcome("noted", False, "skipped", "open", "none", "warning", "info")


def outcome(check: Check, verdict: Verdict) -> Outcome:
    """How one check is shown in every channel; the exit code is not 0 exactly where some check `stops`."""
    if check.verdict == WAIVED:
        return _WAIVED
    if check.verdict == PASS:
        return _PASSED
    if check.severity != "error":
        return _NOTED_FAIL if check.verdict == FAIL else _NOTED_OPEN
    if check.verdict == FAIL:
        return _FAILED
    return _BLOCKED if verdict.blocks else _OPEN
