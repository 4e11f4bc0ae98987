"""A gate's verdict as a GitLab code quality report: a JSON array, an entry for what did not pass and each warning.

The keys are those of GitLab's documentation ("Code Quality report format"): `description`, `check_name`,
`fingerprint`, `severity`, `location.path`, `location.lines.begin`. GitLab shows one entry a fingerprint, and takes an
entry for fixed when its fingerprint is gone, so fingerprints are unique in a report and stable across runs.
"""

from __future__ import annotations

import json
from typing import Any

from fairaudit.report.gate_asides import remarks
from fairaudit.report.gate_words import encodable, findings
from fairaudit.verdict import Verdict


def render(verdict: Verdict) -> str:
    """The report as JSON text; `[]` where every check passed, nothing is waived and there is no warning."""
    # GitLab matches paths with those of the repository, which have no `./`
    path = str(verdict.policy.get("name", "")).removeprefix("./") or "fairaudit.toml"
    entries = [
        _entry(path, f.sentence, f.check.id, f.key, f.outcome.severity, f.check.line)
        for f in findings(verdict)
        if f.outcome.severity
    ]
    entries += [_entry(path, r.sentence, r.rule or r.code, r.key, "info") for r in remarks(verdict)]
    return json.dumps(entries, indent=1, ensure_ascii=False) + "\n"


def _entry(path: str, text: str, name: str, key: str, severity: str, line: int = 1) -> dict[str, Any]:
    return {
        "description": text,
        "check_name": encodable(name),
        "fingerprint": key,
        "severity": severity,
        "location": {"path": encodable(path), "lines": {"begin": max(1, line)}},
    }
