"""The machine forms of a verdict by name; all say the same, by the one mapping of `fairaudit.verdict.outcome`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fairaudit.report import github, gitlab, junit, sarif
from fairaudit.verdict import Verdict

CHANNELS: Mapping[str, Callable[[Verdict], str]] = {
    "junit": junit.render,
    "sarif": sarif.render,
    "code-scanning": sarif.render_code_scanning,
    "github": github.render,
    "gitlab": gitlab.render,
}
