"""A pytest fixture that holds predictions against a policy: `def test_release(fairaudit_gate): ...`.

Loaded in every pytest run once fairaudit is installed, so nothing of it is imported before a test asks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from fairaudit.policy import Policy
    from fairaudit.verdict import Verdict


@pytest.fixture(scope="session")
def fairaudit_gate(request: pytest.FixtureRequest) -> Callable[..., Verdict]:
    """`fairaudit_gate(predictions, policy="fairaudit.toml", baseline=None, **inputs)`, the gate as a test.

    `predictions`: a path, several, or a dataframe; `baseline`: the same, or an audit's JSON; `inputs`: what
    `fairaudit.gate` takes. Relative paths start at pytest's rootdir. Returns the verdict of a pass. The test fails
    on fail, on an inconclusive verdict that blocks, and on a policy or data that cannot be read; it is skipped on
    an inconclusive verdict under `on_inconclusive = "warn"`.
    """
    root = request.config.rootpath

    def judge(
        predictions: Any, policy: Any = "fairaudit.toml", *, baseline: Any = None, **inputs: Any
    ) -> Verdict:
        __tracebackhide__ = True
        from fairaudit.errors import FairauditError

        verdict, problem = None, ""
        try:
            verdict = _verdict(root, predictions, policy, baseline, inputs)
        except FairauditError as error:
            problem = str(error)
        if verdict is None:  # outside the except clause: else pytest shows what the error came from, too
            pytest.fail(f"fairaudit gate: error: {problem}", pytrace=False)
        if verdict.exit_code != 0:
            pytest.fail("\n".join(_page(verdict)), pytrace=False)
        if verdict.verdict != "pass":
            pytest.skip("; ".join(_page(verdict, strata=False)))
        return verdict

    return judge


def _verdict(root: Path, predictions: Any, policy: Any, baseline: Any, inputs: Mapping[str, Any]) -> Verdict:
    from dataclasses import replace

    from fairaudit.errors import FairauditError
    from fairaudit.gating import gate
    from fairaudit.policy import Policy
    from fairaudit.policy_file import read_policy

    rules = policy
    if isinstance(policy, str | Path):
        rules = replace(read_policy(root / policy), name=str(policy))
    if not isinstance(rules, Policy):
        raise FairauditError(f"a policy is a path or a Policy, not {type(policy).__name__}.")
    given = {**inputs, **_beside(root, rules, inputs)}
    return gate(_under(root, predictions), rules, baseline=_under(root, baseline), **given)


def _under(root: Path, given: Any) -> Any:
    """Paths below the root; anything else (a dataframe, an audit) as it is."""
    if isinstance(given, str | Path):
        return str(root / given)
    if isinstance(given, list | tuple):
        return [_under(root, g) for g in given]
    return given


def _beside(root: Path, policy: Policy, inputs: Mapping[str, Any]) -> dict[str, str]:
    """The file of labels that lies beside the predictions (`with`), below the root too."""
    found = inputs.get("with_file") or policy.data.get("with_file")
    return {} if found is None else {"with_file": str(root / found)}


def _page(verdict: Verdict, strata: bool = True) -> list[str]:
    """The checks that are not passed; each with its strata, where asked."""
    from fairaudit.report.gate_asides import remarks
    from fairaudit.report.gate_words import findings, lines

    shown = [f for f in findings(verdict) if f.stratum is None and f.check.counts]
    open_ = [f for f in shown if f.check.verdict != "pass"]
    head = (
        f"fairaudit gate: {verdict.verdict} ({verdict.policy['name']}, {len(open_)} of {len(shown)} checks)"
    )
    if not strata:
        return [head, *(f.sentence for f in open_)]
    return [
        head,
        *(line for f in open_ for line in (f"- {f.sentence}", *(f"    {s}" for s in lines(f.check)))),
        *(f"- warning: {r.sentence}" for r in remarks(verdict)),
    ]
