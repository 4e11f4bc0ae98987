"""`fairaudit explain`: what a metric, a rule or a word means, how it is computed, and when it misleads. Offline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from fairaudit_cli import output

if TYPE_CHECKING:
    from fairaudit.report.blocks import Block

FORMATS = ("json", "md", "text")
SCHEMA, VERSION = "fairaudit.explanation", "1.0"


def explain(
    name: Annotated[
        list[str] | None, typer.Argument(help="A metric, a rule kind, a word; a rule's id with --policy.")
    ] = None,
    policy: Annotated[
        str | None, typer.Option("--policy", metavar="FILE", help="Explain this policy's rules.")
    ] = None,
    out: output.Output = None,
    json: output.Json = False,
) -> None:
    """Say what a metric, a rule or a word means, in formula and plain words. Without a name, list all."""
    wanted = output.targets(out, FORMATS, [policy])
    from fairaudit.document import document
    from fairaudit.report import markdown, text

    blocks, content = _found(" ".join(name or ()), policy)
    writers = {
        "json": lambda: document(SCHEMA, VERSION, content),
        "md": lambda: markdown.page(blocks),
        "text": lambda: text.plain(text.lines(blocks)),
    }
    output.write_all(wanted, writers)
    if json:
        output.show(writers["json"]())
        return
    from fairaudit_cli.terminal import print_page

    print_page(blocks)


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
