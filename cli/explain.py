"""`fairaudit explain`: what a metric, a rule or a word means, how it is computed, and when it misleads. Offline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from fairaudit.errors import FairauditError
from fairaudit_cli import output

if TYPE_CHECKING:
    from fairaudit.report.blocks import Block

FORMATS = ("json", "md", "text")
SCHEMA, VERSION = "fairaudit.explanation", "1.0"
CHECKED = "fairaudit.consistency"


def explain(
    name: Annotated[
        list[str] | None, typer.Argument(help="A metric, a rule kind, a word; a rule's id with --policy.")
    ] = None,
    policy: Annotated[
        str | None, typer.Option("--policy", metavar="FILE", help="Explain this policy's rules.")
    ] = None,
    check_table: Annotated[
        str | None,
        typer.Option("--check-table", metavar="FILE", help="Does a published table agree with itself? CSV."),
    ] = None,
    tolerance: Annotated[
        float | None, typer.Option(metavar="POINTS", help="With --check-table: points of percent; 0.05.")
    ] = None,
    out: output.Output = None,
    json: output.Json = False,
) -> None:
    """Say what a metric, a rule or a word means, in formula and plain words. Without a name, list all.

    With --check-table: test a published table (dataset, model, method, metric, mean, spread) for numbers that no
    classifier can have. A finding is no error: the exit code stays 0.
    """
    wanted = output.targets(out, FORMATS, [policy, check_table])
    from fairaudit.document import document
    from fairaudit.report import markdown, text

    if check_table is not None or tolerance is not None:
        blocks, content = _checked(check_table, tolerance, name, policy)
    else:
        blocks, content = _found(" ".join(name or ()), policy)
    schema = SCHEMA if check_table is None else CHECKED
    writers = {
        "json": lambda: document(schema, VERSION, content),
        "md": lambda: markdown.page(blocks),
        "text": lambda: text.plain(text.lines(blocks)),
    }
    output.write_all(wanted, writers)
    if json:
        output.show(writers["json"]())
        return
    from fairaudit_cli.terminal import print_page

    print_page(blocks)


def _checked(
    path: str | None, tolerance: float | None, name: list[str] | None, policy: str | None
) -> tuple[list[Block], dict[str, Any]]:
    """The check of a published table."""
    from fairaudit.consistency import TOLERANCE, check_table
    from fairaudit.published import read_published
    from fairaudit.report import consistency_page

    if path is None or name or policy is not None:
        raise FairauditError(
            "--check-table FILE stands alone, or with --tolerance: leave out the name and the policy."
        )
    points = TOLERANCE if tolerance is None else tolerance
    if not 0 <= points <= 100:
        raise FairauditError(f"--tolerance is 0 to 100 points of percent, not {points:g}.")
    table = read_published(path)
    checked = check_table(table, points)
    return consistency_page.page(table, checked, points), consistency_page.content(table, checked, points)


def _found(name: str, policy: str | None) -> tuple[list[Block], dict[str, Any]]:
    """The page, and the same as plain values."""
    from fairaudit import explanations
    from fairaudit.report import explain_page

    if policy is not None:
        return _of_policy(name, policy)
    if name:
        from fairaudit.explanations.rules import of_template

        if (drafted := of_template(name)) is not None:
            template, told = drafted
            of = {"template": template, "rule": name, **dict(told)}
            return explain_page.rule_page(f"the template {template}", name, told), of
        e = explanations.explain(name)
        return explain_page.page(e), e.to_dict()
    every = {topic: [e.to_dict() for e in entries] for topic, entries in explanations.topics()}
    return explain_page.listing(), {"topics": every}


def _of_policy(name: str, path: str) -> tuple[list[Block], dict[str, Any]]:
    from fairaudit.explanations.rules import asks, of_rule
    from fairaudit.policy_file import read_policy
    from fairaudit.report import explain_page

    policy = read_policy(path)
    if name:
        told = of_rule(policy, name)
        return explain_page.rule_page(policy.name, name, told), {
            "policy": policy.name,
            "rule": name,
            **dict(told),
        }
    asked = [(r.id, asks(r)) for r in policy.rules]
    return explain_page.rules_page(policy.name, asked), {"policy": policy.name, "rules": dict(asked)}
