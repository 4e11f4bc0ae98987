"""What the demo says at the end: the model before, after `lora` and after `fairlora`, worst group first."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from fairaudit.report.blocks import Block, Cell, Column, Command, Facts, Heading, Items, Sentence, Table
from fairaudit.report.verdict import verdict
from fairaudit.report.words import count, number, with_interval
from fairaudit_mitigate import digits
from fairaudit_mitigate.demo import CLUSTER, DATA, SENSITIVE, Demo, model_folder

if TYPE_CHECKING:
    from fairaudit import Audit, Estimate

SCHEMA, SCHEMA_VERSION = "fairaudit.demo", "1.0"
#: Name in the table; metric and view.
_PANEL = (
    ("worst cell", "worst_group_accuracy", SENSITIVE),
    ("EOD_max", "eod_max", SENSITIVE),
    ("accuracy", "accuracy", "overall"),
)


def page(demo: Demo) -> list[Block]:
    """The blocks of the end of the demo: facts, the three audits side by side, who paid, what to run next."""
    audits = demo.audits
    columns = (Column("found / metric"), *(Column(name, True) for name in audits))
    cells = sorted(_cells(audits), key=lambda row: row[1][0].value or 0.0)
    panel = [(name, _side_by_side(audits, m, by)) for name, m, by in _PANEL]
    return [
        Heading("fairaudit demo: one model, two repairs, the same budget", 1),
        Facts(tuple(_facts(demo))),
        Heading("Share of a class found, by place, worst cell first"),
        Table(columns, tuple(_row(name, found) for name, found in cells)),
        Heading("Over all cells"),
        Table(columns, tuple(_row(name, found) for name, found in panel)),
        *_told(demo),
        Heading("Next, on what this wrote"),
        *(Command(line) for line in commands(demo)),
    ]


def commands(demo: Demo) -> list[str]:
    """Commands that the user can run on the folder of the demo."""
    roles = ["-s", SENSITIVE, "--positive", digits.POSITIVE, "--cluster", CLUSTER]
    data, after = str(demo.out / DATA), str(demo.out / "predictions_after.parquet")
    lora = str(demo.out / "lora" / "predictions_after.parquet")
    s = demo.fairlora.manifest["arguments"]["settings"]
    length = (
        ["--epochs", f"{s['epochs']:g}"] if s["max_steps"] is None else ["--max-steps", str(s["max_steps"])]
    )
    again = [
        "--audit", str(demo.out / "audit_before.json"), "--cluster", CLUSTER, "--penalty", "0.5",
        "--lr", f"{s['lr']:g}", "--batch-size", str(s["batch_size"]), *length, "--out", str(demo.out / "again"),
    ]  # fmt: skip
    return [
        shlex.join(["fairaudit", "report", after, *roles]),
        shlex.join(["fairaudit", "compare", lora, after, "--id", "id", *roles]),
        shlex.join(["fairaudit", "mitigate", str(model_folder()), data, "--method", "fairlora", *again]),
    ]


def to_json(demo: Demo) -> str:
    """The three audits' numbers of the page as one JSON object, with the λ tried and the seconds it took."""
    rows = [*_cells(demo.audits), *((n, _side_by_side(demo.audits, m, by)) for n, m, by in _PANEL)]
    content = {
        "seed": demo.seed,
        "out": str(demo.out),
        "penalty": demo.penalty,
        "tried": [
            {"penalty": t.penalty, "worst_group_accuracy": t.worst, "accuracy": t.accuracy}
            for t in demo.tried
        ],
        "numbers": [
            {"name": name, **{k: _numbers(e) for k, e in zip(demo.audits, found, strict=True)}}
            for name, found in rows
        ],
    }
    whole = {"schema": SCHEMA, "schema_version": SCHEMA_VERSION, "content": content,
             "run": {"seconds": round(demo.seconds, 1)}}  # fmt: skip
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def _facts(demo: Demo) -> Iterator[tuple[str, str]]:
    rows = demo.lora.before.data["rows"]
    yield "data", f"digits on places, seed {demo.seed}; {count(rows)} test rows, clustered by {CLUSTER}"
    settings = demo.fairlora.manifest["arguments"]["settings"]
    steps = settings["max_steps"]
    length = f"{settings['epochs']:g} epochs" if steps is None else f"{steps} steps"
    yield "budget", f"each: LoRA of rank {settings['rank']}, {length}, batches of {settings['batch_size']}"
    tried = ", ".join(f"λ = {t.penalty:g}: {number('accuracy', t.worst)}" for t in demo.tried)
    yield "penalty", f"λ = {demo.penalty:g}, chosen by the worst cell of the validation rows ({tried})"
    yield "numbers", "percent with 95 % intervals; those of the worst cell and EOD_max are simultaneous"
    yield "time", f"{demo.seconds:.0f} seconds"


def _side_by_side(audits: dict[str, Audit], metric: str, by: str, group: str | None = None) -> list[Estimate]:
    return [a.estimate(metric, by=by, group=group) for a in audits.values()]


def _cells(audits: dict[str, Audit]) -> list[tuple[str, list[Estimate]]]:
    """Each class on each place: the share found of the positive class is `tpr`, that of the other `tnr`."""
    other = next(c for c in digits.CLASSES if c != digits.POSITIVE)
    return [
        (f"{label} on {place}", _side_by_side(audits, metric, SENSITIVE, place))
        for label, metric in ((digits.POSITIVE, "tpr"), (other, "tnr"))
        for place in digits.PLACES
    ]


def _row(name: str, found: list[Estimate]) -> tuple[Cell, ...]:
    return (Cell(name), *(Cell(with_interval(e)) for e in found))


def _numbers(e: Estimate) -> dict[str, Any]:
    i = e.interval
    return {"value": e.value, "low": i.low if i else None, "high": i.high if i else None, "n": e.n}


def _told(demo: Demo) -> Iterator[Block]:
    """Both verdicts: what moved, and every group that got worse."""
    for name, repair in (("lora", demo.lora), ("fairlora", demo.fairlora)):
        found = verdict(repair.comparison)
        yield Heading(f"What came of {name}")
        for sentence in found.sentences:
            yield Sentence(sentence)
        if found.worse:
            yield Sentence("Made worse:", "bad")
            yield Items(found.worse, "bad")
        else:
            yield Sentence("No group is shown to be worse off.")
        if found.levelling_down:
            yield Sentence(found.levelling_down, "bad")
