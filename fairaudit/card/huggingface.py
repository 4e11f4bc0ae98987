"""The fairness section of a Hugging Face model card: `model-index` metadata, and a Markdown section below it.

Metadata: https://github.com/huggingface/hub-docs/blob/main/modelcard.md (read by `huggingface_hub.ModelCard`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from fairaudit.card.facts import Names, Source, gaps, left_out, meaning, rows
from fairaudit.card.front_matter import front_matter
from fairaudit.estimate import Estimate
from fairaudit.report import audit_tables, markdown
from fairaudit.report.blocks import DOCUMENT, Block, Command, Facts, Heading, Items, Sentence
from fairaudit.report.flags import flags, index, told
from fairaudit.report.words import hidden

#: Numbers over all rows that stand in the metadata, where the audit has them.
OVERALL = ("accuracy", "f1_macro", "recall_macro", "roc_auc", "ece", "brier")


def card(source: Source, names: Names) -> str:
    """The metadata and the section, as text that may stand at the top of a README.md."""
    return front_matter(metadata(source, names)) + "\n" + markdown.page(section(source, names))


def metadata(source: Source, names: Names) -> dict[str, Any]:
    """The `model-index`: one result (task, data) with the numbers over all rows and those over groups."""
    split = source.audit.data["split"]
    dataset = {"name": names.dataset, "type": names.dataset} | (
        {"split": str(split["value"])} if split else {}
    )
    result = {
        "task": {"type": names.task},
        "dataset": dataset,
        "metrics": [_metric(e) for e in _told(source)],
    }
    return {"model-index": [{"name": names.model, "results": [result]}]}


def _told(source: Source) -> Iterator[Estimate]:
    for e in source.audit.estimates:
        over_rows = e.by == "overall" and e.metric in OVERALL
        over_groups = e.by in source.attributes and e.group is None and e.class_ is None
        if e.value is not None and (over_rows or over_groups):
            yield e


def _metric(e: Estimate) -> dict[str, Any]:
    """One entry of `metrics`: the interval stands in the name, which people read, and in `args`, for programs."""
    where = "all rows" if e.by == "overall" else f"by {e.by}"
    args: dict[str, Any] = {"by": e.by, "n": e.n}
    name = f"{e.metric}, {where}"
    if e.interval is not None:
        i = e.interval
        name += f" ({100 * i.level:g} % interval {i.low:.3f} to {i.high:.3f})"
        args |= {"low": float(i.low), "high": float(i.high), "level": float(i.level), "method": i.method}
    return {"type": e.metric, "value": float(e.value or 0.0), "name": name, "args": args}


def section(source: Source, names: Names) -> list[Block]:
    """The blocks of the section: the data, what is shown, the tables, who was left out, how to do it again."""
    a, known = source.audit, index(source.audit)
    tables: list[Block] = [
        *audit_tables.all_rows(a, known),
        *(b for by in source.attributes for b in audit_tables.by_attribute(a, known, by, DOCUMENT)),
        *audit_tables.panel(known, source.attributes, DOCUMENT),
        *audit_tables.gaps(a, known, source.attributes, DOCUMENT),
    ]
    return [
        Heading("Fairness", 2), Facts(tuple(_head(source, names))),
        *_findings(source), *(_lower(b) for b in tables), *_limits(source), *_again(names),
    ]  # fmt: skip


def _lower(block: Block) -> Block:
    return replace(block, level=block.level + 1) if isinstance(block, Heading) else block


def _head(source: Source, names: Names) -> Iterator[tuple[str, str]]:
    a = source.audit
    yield "model", names.model
    yield "data", f"{names.dataset}, {rows(a)}"
    positive = "none is positive" if a.positive is None else f"positive: {a.positive}"
    yield "classes", f"{len(a.classes)} ({positive})"
    yield "groups of", ", ".join(source.attributes)
    yield (
        "audited",
        f"{source.day} with fairaudit-toolkit {source.version} (content sha256 {a.content_sha256})",
    )
    if a.data["weighted"]:
        yield "weights", "every number is weighted; n counts rows"
    if a.data["clustered"]:
        yield "clusters", "intervals allow for rows that belong together"
    s = a.settings
    yield (
        "numbers",
        (
            f"rates and gaps in percent, [{100 * s.level:g} % interval]; * = fewer than {s.min_events} rows, "
            f"left out of minima, maxima and gaps; small = a group of fewer than {s.min_n}"
        ),
    )


def _findings(source: Source) -> list[Block]:
    found = gaps(source.audit)
    shown = tuple(told(f) for f in flags(source.audit) if f.by != "class")
    unseen = tuple(g.sentence for g in found if not g.shown)
    blocks: list[Block] = [Heading("Gaps between groups", 3), Sentence(meaning(source.audit))]
    if shown:
        blocks += [Sentence("Shown:", "strong"), Items(shown)]
    if unseen:
        blocks += [Sentence("Not shown:", "strong"), Items(unseen)]
    return blocks


def _limits(source: Source) -> list[Block]:
    small = left_out(source.audit)
    said: list[Block] = [Heading("Left out of the comparisons", 3)]
    said.append(Items(small) if small else Sentence("No group: each has enough rows in every denominator."))
    concealed = (Sentence(text) for text in hidden(source.audit.warnings))
    return [*said, Heading("What these numbers do not say", 3), *concealed, Sentence(
        "They describe this model on these rows. They do not speak of other data, of labels that are wrong, of "
        "attributes that were not recorded, or of what the predictions are used for.")]  # fmt: skip


def _again(names: Names) -> list[Block]:
    if not names.command:
        return []
    return [Heading("How to reproduce", 3), Command("pip install fairaudit-toolkit"), Command(names.command)]
