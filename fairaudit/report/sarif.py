"""A gate's verdict as SARIF 2.1.0 (OASIS): results that point at the rule's line in the policy.

**GitHub code scanning** reads a subset of SARIF: it takes no notice of `kind` (a result of kind `pass` becomes an
open alert: microsoft/PSRule issue 955) nor of `suppressions` (a suppressed result becomes an open alert:
github/codeql-action issue 1230). So there are two renderers. `render` is the whole verdict, as the standard means
it, for readers of SARIF and for the archive. `render_code_scanning` is what one uploads there: the same without
passed and waived entries, so that nothing alarms that must not. An alert whose result is gone is closed there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any
from urllib.parse import quote

from fairaudit.report.gate_asides import Remark, remarks
from fairaudit.report.gate_words import Finding, asked, encodable, findings
from fairaudit.report.words import clean
from fairaudit.verdict import Stratum, Verdict

SCHEMA_URI = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json"
#: GitHub cuts descriptions of rules at this length.
_LONGEST = 1024
#: What of a stratum is carried as data; of a hidden one only what names it.
_NAMING = ("group", "class_", "of", "verdict", "waived", "hidden")
_NUMBERS = (
    "value",
    "rate",
    "n",
    "baseline",
    "baseline_n",
    "against",
    "fail_bound",
    "pass_bound",
    "rows_needed",
    "reason",
)


def render(verdict: Verdict) -> str:
    """The verdict as SARIF, whole: passed checks are results of kind `pass`, waived ones are suppressed."""
    return _log(verdict, findings(verdict))


def render_code_scanning(verdict: Verdict) -> str:
    """The verdict as SARIF for an upload to GitHub code scanning: only what should be an alert there.

    Those are the findings with an annotation of level error or warning in `fairaudit.verdict.outcome`.
    """
    alerts = [f for f in findings(verdict) if f.outcome.annotation in ("error", "warning")]
    return _log(verdict, alerts)


def _log(verdict: Verdict, shown: Sequence[Finding]) -> str:
    from fairaudit import __version__

    ids = list(dict.fromkeys(c.id for c in verdict.checks))
    driver = {"name": "fairaudit", "version": __version__, "rules": [_rule(i, verdict) for i in ids]}
    uri = _uri(str(verdict.policy.get("name", "")))
    invocation: dict[str, Any] = {"executionSuccessful": True, "exitCode": verdict.exit_code}
    if told := [_notification(r) for r in remarks(verdict)]:
        invocation["toolExecutionNotifications"] = told
    run = {
        "tool": {"driver": driver},
        # a category of its own for each policy: two of them in one repository do not close each other's alerts
        "automationDetails": {"id": f"fairaudit/{uri}/"},
        "invocations": [invocation],
        "results": [_result(f, ids.index(f.check.id), uri) for f in shown],
        "columnKind": "unicodeCodePoints",
        "properties": {"verdict": verdict.verdict, "exitCode": verdict.exit_code},
    }
    log = {"$schema": SCHEMA_URI, "version": "2.1.0", "runs": [run]}
    return json.dumps(_encodable(log), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _notification(r: Remark) -> dict[str, Any]:
    """A warning of the verdict: about the run, no result, so it opens no alert."""
    level = "warning" if r.level == "warning" else "note"
    return {"descriptor": {"id": clean(r.code)}, "level": level, "message": {"text": r.sentence}}


def _rule(rule: str, verdict: Verdict) -> dict[str, Any]:
    """The rule's descriptor: what it asks, why it stands there. GitHub shows all three texts, so none is empty."""
    check = next(c for c in verdict.checks if c.id == rule)
    asks = f"The rule asks: {asked(check)}."
    because = f" Because: {clean(check.because).rstrip('.')}." if check.because else ""
    confident = " A check fails or passes only where a confidence bound lies beyond or inside the limit."
    level = "error" if check.severity == "error" else "warning"
    return {
        "id": rule, "shortDescription": {"text": _short(asks)}, "fullDescription": {"text": _short(asks + because)},
        "help": {"text": asks + because + confident}, "defaultConfiguration": {"level": level},
    }  # fmt: skip


def _result(f: Finding, index: int, uri: str) -> dict[str, Any]:
    place = {"artifactLocation": {"uri": uri}, "region": {"startLine": max(1, f.check.line)}}
    # GitHub tells alerts apart by primaryLocationLineHash; left to itself it hashes the line, which two checks of
    # one rule share, so they would be one alert (the upload remarks on the difference, and keeps ours)
    prints = {"primaryLocationLineHash": f"{f.key[:16]}:1", "fairauditFinding/v1": f.key}
    out: dict[str, Any] = {
        "ruleId": f.check.id, "ruleIndex": index, "kind": f.outcome.kind, "level": f.outcome.level,
        "message": {"text": f.sentence}, "locations": [{"physicalLocation": place}], "partialFingerprints": prints,
    }  # fmt: skip
    if f.why:
        out["suppressions"] = [{"kind": "external", "justification": f.why}]
    return {**out, "properties": _properties(f)}


def _properties(f: Finding) -> dict[str, Any]:
    check = f.check
    strata = check.strata if f.stratum is None else (f.stratum,)
    return {
        "stops": f.outcome.stops, "outcome": f.outcome.name, "by": check.by, "metric": check.metric,
        "kind": check.kind, "limit": check.limit, "severity": check.severity, "excluded": list(check.excluded),
        "strata": [_stratum(s) for s in strata],
    }  # fmt: skip


def _stratum(s: Stratum) -> dict[str, Any]:
    """A stratum's data, without what is null or not so."""
    names = _NAMING if s.hidden else (*_NAMING, *_NUMBERS)
    data = {name.rstrip("_"): getattr(s, name) for name in names}
    return {
        k: v
        for k, v in data.items()
        if not (v is None or v is False or (isinstance(v, float) and not isfinite(v)))
    }


def _uri(name: str) -> str:
    """A policy's path as a URI reference: a relative one stays relative, an absolute one becomes `file:`.

    >>> _uri("./ci/fair audit.toml"), _uri("/etc/a.toml"), _uri("C:/a.toml"), _uri("a:b")
    ('ci/fair%20audit.toml', 'file:///etc/a.toml', 'file:///C:/a.toml', 'a%3Ab')
    """
    path = re.sub(r"^(\./+)+", "", name)
    drive = re.match(r"([A-Za-z]:)[\\/]+", path)
    if drive:
        return f"file:///{drive[1]}/" + _quoted(path[drive.end() :].replace("\\", "/"))
    if path.startswith("/"):
        return "file:///" + _quoted(path.lstrip("/"))
    # a location without a file is refused by GitHub; a policy made in Python has no file
    return _quoted(path) or "fairaudit.toml"


def _quoted(path: str) -> str:
    return quote(path, safe="/", errors="surrogatepass")


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _encodable(value: Any) -> Any:
    """The same with lone surrogates spelt out: a file is UTF-8, which has none."""
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, Mapping):
        return {k: _encodable(v) for k, v in value.items()}
    return [_encodable(v) for v in value] if isinstance(value, list | tuple) else value
