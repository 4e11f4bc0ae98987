"""Other people's readers of a gate's channels: parsers, official schemas, and what their consumers demand."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema
import pytest
import xmlschema

OFFICIAL = Path(__file__).parent / "official_schemas"

# GitLab's documentation, "Code Quality report format": these keys, these severities
GITLAB = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["description", "check_name", "fingerprint", "severity", "location"],
        "properties": {
            "description": {"type": "string", "minLength": 1},
            "check_name": {"type": "string", "minLength": 1},
            "fingerprint": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
            "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]},
            "location": {
                "type": "object",
                "required": ["path", "lines"],
                "properties": {
                    "path": {"type": "string", "minLength": 1},
                    "lines": {
                        "type": "object",
                        "required": ["begin"],
                        "properties": {"begin": {"type": "integer", "minimum": 1}},
                    },
                },
            },
        },
    },
}


@cache
def junit_schema() -> xmlschema.XMLSchema:
    return xmlschema.XMLSchema(str(OFFICIAL / "junit-10.xsd"))


@cache
def sarif_schema() -> jsonschema.Draft4Validator:
    return jsonschema.Draft4Validator(json.loads((OFFICIAL / "sarif-2.1.0-rtm.5.json").read_text("utf-8")))


def read_junit(text: str) -> ET.Element:
    text.encode("utf-8")
    root = ET.fromstring(text)
    junit_schema().validate(text)
    (suite,) = root
    cases = suite.findall("testcase")
    counts = {k: sum(c.find(k) is not None for c in cases) for k in ("failure", "skipped", "error")}
    for level in (root, suite):
        assert (level.get("tests"), level.get("failures")) == (str(len(cases)), str(counts["failure"]))
        assert level.get("errors") == "0" == str(counts["error"])
    assert suite.get("skipped") == str(counts["skipped"])
    assert all(len([e for e in c if e.tag != "system-out"]) <= 1 for c in cases)
    return root


def read_sarif(text: str) -> dict[str, Any]:
    text.encode("utf-8")
    log: dict[str, Any] = json.loads(text, parse_constant=pytest.fail)
    sarif_schema().validate(log)
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert len({r["id"] for r in rules}) == len(rules)
    for r in rules:  # GitHub demands all of them
        assert all(r[k]["text"].strip() for k in ("shortDescription", "fullDescription", "help"))
        assert max(len(r[k]["text"]) for k in ("shortDescription", "fullDescription")) <= 1024
    for result in run["results"]:
        assert result["message"]["text"].strip()
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["kind"] == "fail" or result["level"] == "none"  # SARIF 2.1.0, 3.27.10
        (place,) = result["locations"]
        assert place["physicalLocation"]["region"]["startLine"] >= 1
        uri = place["physicalLocation"]["artifactLocation"]["uri"]
        assert uri
        assert re.fullmatch(r"(file:///)?([A-Za-z]:/)?([A-Za-z0-9._~/-]|%[0-9A-F]{2})*", uri), uri  # RFC 3986
    prints = [r["partialFingerprints"]["primaryLocationLineHash"] for r in run["results"]]
    assert len(set(prints)) == len(prints)
    return log


def read_github(text: str) -> list[tuple[str, dict[str, str], str]]:
    """As the runner reads it (`ActionCommand.TryParseV2`): up to the second `::`, a space, `,` and `=`."""
    text.encode("utf-8")
    assert text == "" or text.endswith("\n")
    rows = text.splitlines()
    assert rows == re.split(r"\r\n|\r|\n", text)[:-1]
    assert len(rows) <= 10
    return [_command(row) for row in rows]


def _command(row: str) -> tuple[str, dict[str, str], str]:
    assert row.startswith("::")
    end = row.index("::", 2)
    level, _, told = row[2:end].partition(" ")
    pairs = [pair.split("=", 1) for pair in told.split(",")]
    properties = {k: _unescaped(v, {"%3A": ":", "%2C": ","}) for k, v in pairs}
    assert set(properties) <= {"file", "line", "title"}
    assert len(pairs) == len(properties)
    return level, properties, _unescaped(row[end + 2 :], {})


def _unescaped(value: str, more: dict[str, str]) -> str:
    for code, char in {"%0D": "\r", "%0A": "\n", **more, "%25": "%"}.items():
        value = value.replace(code, char)
    return value


def read_gitlab(text: str) -> list[dict[str, Any]]:
    text.encode("utf-8")
    entries: list[dict[str, Any]] = json.loads(text)
    jsonschema.Draft202012Validator(GITLAB).validate(entries)
    assert len({e["fingerprint"] for e in entries}) == len(entries)
    return entries
