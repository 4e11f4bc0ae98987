"""`fairaudit gate`: predictions and a policy in, an exit code out that a release can hang on."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fairaudit.errors import FairauditError
from fairaudit_cli import output
from fairaudit_cli.inputs import FLAGS, Preds, reads_predictions

if TYPE_CHECKING:
    from fairaudit import Verdict

FORMATS = ("json", "md", "text", "junit", "sarif", "code-scanning", "github", "gitlab")
#: What a policy says, and a flag must not.
_OF_POLICY = {
    "level": "its statistics stand in the policy; set alpha under [stats]",
    "min_events": "its statistics stand in the policy; set min_events under [stats]",
    "min_n": "its statistics stand in the policy; set min_events under [stats]",
    "seed": "its statistics stand in the policy; set seed under [stats]",
    "interval": "its bounds of shares are Clopper and Pearson's already; leave the flag out",
    "cross": 'its intersections stand in the policy; write by = ["race&sex"] in a rule',
    "sensitive": "its attributes stand in the rules of the policy; name them there (by)",
}


@reads_predictions
def gate(
    preds: Preds,
    options: dict[str, Any],
    stated: frozenset[str],
    policy: Annotated[
        str, typer.Option(metavar="FILE", help="The policy.", show_default=True)
    ] = "fairaudit.toml",
    baseline: Annotated[
        str | None, typer.Option(metavar="FILE", help="Predictions or an audit (JSON) to compare with.")
    ] = None,
    lint: Annotated[
        bool, typer.Option("--lint", help="Only read policies (the arguments); no data, no verdict.")
    ] = False,
    out: output.Output = None,
    json: output.Json = False,
) -> int:
    """Hold predictions against a policy: exit code 0 pass, 1 fail, 3 inconclusive. A flag overrules the policy."""
    if lint:
        return _lint(preds)
    inputs = [*preds, policy, baseline, options["with_file"]]
    wanted = output.targets(out, FORMATS, inputs)
    _check_flags(stated)
    overruled = {k: v for k, v in options.items() if FLAGS.get(k, k) in stated}
    import fairaudit
    from fairaudit.policy_file import read_policy

    asked = read_policy(policy)
    output.spare([asked.data.get("with_file")], *(path for _, path in wanted))
    verdict = fairaudit.gate(preds, asked, baseline=baseline, **overruled)
    source = preds[0] + (f" and {len(preds) - 1} more" if len(preds) > 1 else "")
    if wanted:
        output.write_all(wanted, _writers(verdict, source))
    if json:
        output.show(verdict.to_json())
    else:
        from fairaudit.report import gate_page
        from fairaudit.report.blocks import TERMINAL
        from fairaudit_cli.terminal import print_page

        print_page(gate_page.page(verdict, TERMINAL, source))
    return verdict.exit_code


def _writers(verdict: Verdict, source: str) -> dict[str, Callable[[], str]]:
    from fairaudit.report import markdown, text
    from fairaudit.report.channels import CHANNELS

    return {
        "json": verdict.to_json,
        "md": lambda: markdown.verdict(verdict, source),
        "text": lambda: text.verdict(verdict, source),
        **{name: partial(render, verdict) for name, render in CHANNELS.items()},
    }


def _check_flags(stated: frozenset[str]) -> None:
    """Raise FairauditError for a flag whose matter stands in the policy alone."""
    for flag in sorted(stated & set(_OF_POLICY)):
        raise FairauditError(f"--{flag.replace('_', '-')} is not for a gate: {_OF_POLICY[flag]}.")


def _lint(policies: list[str]) -> int:
    """Read policies and say what each asks, or where the first breach of each is; 2 where there is any."""
    from fairaudit.policy_file import read_policy
    from fairaudit.report.words import several

    code = 0
    for path in policies:
        try:
            policy = read_policy(path)
        except FairauditError as error:
            sys.stderr.write(f"error: {error}\n")
            code = 2
        else:
            asked = f"{several(len(policy.rules), 'rule')}, {several(len(policy.waivers), 'waiver')}"
            output.show(f"{policy.name}: {asked}\n")
    return code
