"""What `mitigate` shows: the comparison, and under a policy a verdict before it and one after it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from fairaudit.errors import FairauditError
from fairaudit.report import comparison_page, gate_page, markdown, text
from fairaudit.report.blocks import DOCUMENT, TERMINAL, Block, Heading, Limits, Sentence
from fairaudit.report.channels import CHANNELS
from fairaudit.verdict import Verdict
from fairaudit_cli.output import Targets

if TYPE_CHECKING:
    from fairaudit_mitigate import Mitigation

COMPARISON = ("json", "md", "text")
#: Those of a verdict show the second one, or the first where nothing was repaired.
FORMATS = (*COMPARISON, *CHANNELS)


def check(wanted: Targets, policy: str | None) -> None:
    """Raise FairauditError for the format of a verdict where no policy gives one."""
    for name, _ in wanted:
        if policy is None and name in CHANNELS:
            raise FairauditError(
                f"-o {name} is the form of a verdict; give --policy FILE, or choose another format."
            )


def writers(done: Mitigation, method: str) -> dict[str, Callable[[], str]]:
    """Format -> its text."""
    plain: dict[str, Callable[[], str]] = {
        "json": lambda: to_json(done),
        "md": lambda: markdown.page(page(done, method, DOCUMENT)),
        "text": lambda: text.plain(text.lines(page(done, method, TERMINAL))),
    }
    verdict = done.verdicts[-1] if done.verdicts else None
    judged = {} if verdict is None else {k: (lambda f=f: f(verdict)) for k, f in CHANNELS.items()}
    return plain | judged


def to_json(done: Mitigation) -> str:
    """The comparison; under a policy one object with both verdicts, null for what a repair would have given."""
    if not done.verdicts:
        return done.comparison.to_json()
    parts = {
        "comparison": done.comparison if done.repaired else None,
        "verdict_before": done.verdicts[0],
        "verdict_after": done.verdicts[1] if done.repaired else None,
    }
    whole = {k: None if v is None else json.loads(v.to_json()) for k, v in parts.items()}
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def page(done: Mitigation, method: str, limits: Limits) -> list[Block]:
    """The verdict before in short, the comparison, the verdict after in full; or the only verdict, in full."""
    if not done.verdicts:
        return comparison_page.page(done.comparison, limits, "before", method)
    if not done.repaired:
        only = gate_page.page(done.verdicts[0], limits, "the model before, test rows")
        return [*only, Sentence("Nothing to repair: the policy passes. --force repairs anyway.", "strong")]
    # on a terminal a page begins without an empty line: others come first here
    gap: list[Block] = [Sentence("")] if limits.worst_last else []
    return [
        *_short(done.verdicts[0], limits),
        *gap,
        *comparison_page.page(done.comparison, limits, "before", method),
        *gap,
        *gate_page.page(done.verdicts[1], limits, f"{method}, test rows"),
    ]


def _short(verdict: Verdict, limits: Limits) -> list[Block]:
    """What a verdict's page tells under its last heading, without the explanation that the second one ends with."""
    blocks = gate_page.page(verdict, limits)
    heads = [i for i, b in enumerate(blocks) if isinstance(b, Heading)]
    first = next(i for i in heads if getattr(blocks[i], "text", "").startswith("Verdict: "))
    told = blocks[first + 1 : next((i for i in heads if i > first), None)]
    kept = [b for b in told if getattr(b, "tone", "") != "dim"]
    return [Heading(f"Verdict before the repair: {verdict.verdict}"), *kept]
