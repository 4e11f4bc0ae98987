"""A gate's verdict as JUnit XML: one test case a check, so that any CI system shows which rule stopped a release.

Valid by the schema of Jenkins' xunit plugin (junit-10.xsd), which knows no file or line of a test case and no
`skipped` on `testsuites`: neither is written, and the policy's line stands in the text.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from fairaudit.report.gate_asides import Remark, remarks
from fairaudit.report.gate_words import Finding, findings, lines
from fairaudit.report.words import clean
from fairaudit.verdict import Verdict

#: What XML 1.0 does not allow, not even as a character reference.
_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(verdict: Verdict) -> str:
    """The verdict as JUnit XML, ending with one line break.

    `failures` counts the checks that stop a release (`<failure type="fail">` or `type="inconclusive"`); what is
    waived, of severity `warn`, inconclusive without stopping, or a rule that was passed over is `<skipped>`.
    Other warnings stand in the suite's output. `errors` is always 0: an error of the gate itself writes no verdict.
    """
    cases, told = findings(verdict), remarks(verdict)
    skipped = [r for r in told if r.rule]
    kinds = [*(f.outcome.junit for f in cases), *("skipped" for _ in skipped)]
    counts = {"tests": str(len(kinds)), "failures": str(kinds.count("failure")), "errors": "0"}
    root = ET.Element("testsuites", {"name": "fairaudit", **counts})
    suite = ET.SubElement(
        root, "testsuite", {"name": "fairaudit", **counts, "skipped": str(kinds.count("skipped"))}
    )
    facts = ET.SubElement(suite, "properties")
    for name, value in _facts(verdict).items():
        ET.SubElement(facts, "property", {"name": name, "value": _legal(value)})
    for finding in cases:
        _case(suite, finding)
    for remark in skipped:
        _skipped(suite, remark)
    if rest := [f"warning: {r.sentence}" for r in told if not r.rule]:
        ET.SubElement(suite, "system-out").text = _legal("\n".join(rest))
    ET.indent(root, " ")
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _facts(verdict: Verdict) -> dict[str, str]:
    policy = clean(str(verdict.policy.get("name", "")))
    return {"policy": policy, "verdict": verdict.verdict, "exit_code": str(verdict.exit_code)}


def _case(suite: ET.Element, f: Finding) -> None:
    names = {"classname": f"fairaudit.{clean(f.check.id)}", "name": f.title}
    case = ET.SubElement(suite, "testcase", {k: _legal(v) for k, v in names.items()})
    if not f.outcome.junit:
        ET.SubElement(case, "system-out").text = _legal(_body(f))
        return
    message = {"message": _legal(f.why or f.sentence)}
    # `type` is what a reader of failures sorts by: fail or inconclusive
    kind = {"type": f.check.verdict} if f.outcome.junit == "failure" else {}
    found = ET.SubElement(case, f.outcome.junit, {**kind, **message})
    if f.stratum is None:
        found.text = _legal(_body(f))


def _skipped(suite: ET.Element, r: Remark) -> None:
    names = {"classname": f"fairaudit.{clean(r.rule)}", "name": clean(r.rule)}
    case = ET.SubElement(suite, "testcase", {k: _legal(v) for k, v in names.items()})
    ET.SubElement(case, "skipped", {"message": _legal(r.sentence)})


def _body(f: Finding) -> str:
    """The strata line by line, and where the rule stands."""
    where = [f"line {f.check.line} of the policy"] if f.check.line else []
    return "\n".join([f.sentence, *lines(f.check), *where])


def _legal(text: str) -> str:
    """Text without the characters that XML does not allow; `clean` leaves none, whatever it lets through later."""
    return _ILLEGAL.sub("\N{REPLACEMENT CHARACTER}", text)
