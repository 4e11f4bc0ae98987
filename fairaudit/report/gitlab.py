"""A gate's verdict as a GitLab code quality report: a JSON array, one entry for each finding that did not pass.

The keys are those of GitLab's documentation ("Code Quality report format"): `description`, `check_name`,
`fingerprint`, `severity`, `location.path`, `location.lines.begin`. GitLab shows one entry a fingerprint, and takes an
entry for fixed when its fingerprint is gone, so fingerprints are unique in a report and stable across runs.
"""

from __future__ import annotations

import json
from typing import Any

from fairaudit.report.gate_words import Finding, encodable, findings
from fairaudit.verdict import Verdict


def render(verdict: Verdict) -> str:
    """The report as JSON text; `[]` where every check passed and nothing is waived."""
    # GitLab matches paths with those of the repository, which have no `./`
    path = str(verdict.policy.get("name", "")).removeprefix("./") or "fairaudit.toml"
    entries = [_entry(f, path) for f in findings(verdict) if f.outcome.severity]
    return json.dumps(entries, indent=1, ensure_ascii=False) + "\n"


def _entry(f: Finding, path: str) -> dict[str, Any]:
    return {
        "description": f.sentence,
        "check_name": encodable(f.check.id),
        "fingerprint": f.key,
        "severity": f.outcome.severity,
        "location": {"path": encodable(path), "lines": {"begin": max(1, f.check.line)}},
    }
