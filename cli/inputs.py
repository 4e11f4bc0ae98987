"""The flags of every command that reads predictions, declared once: names, help, and what they mean in Python."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any

import typer

from fairaudit.errors import FairauditError
from fairaudit_cli.flags import with_flags

_ROLES, _ROWS, _STATS, _SCAN = "Columns", "Rows and groups", "Statistics", "Reading"

Preds = Annotated[
    list[str],
    typer.Argument(
        help="Predictions: CSV, TSV, JSON Lines, Parquet, or tallies; several files; - for stdin."
    ),
]
Text = str | None
Texts = list[str] | None


def _flag(panel: str, *names: str, text: str, value: str | None = None) -> Any:
    return typer.Option(*names, metavar=value, help=text, rich_help_panel=panel)


def _column(name: str, text: str) -> Any:
    return _flag(_ROLES, name, text=text, value="COL")


_SENSITIVE = _flag(_ROLES, "--sensitive", "-s", text="Sensitive attribute; may be repeated.", value="COL")
_THRESHOLD = _flag(
    _ROLES, "--threshold", text="A score from here up predicts the positive class (default 0.5).", value="P"
)
_PREFIX = _flag(_ROLES, "--prob-prefix", text="How the names of the probability columns begin.", value="TEXT")
_CLASSES = _flag(
    _ROLES, "--score-classes", text="Score this class against the rest; all; may be repeated.", value="CLASS"
)
_POSITIVE = _flag(_ROLES, "--positive", text="The positive class.", value="CLASS")
_SPLIT = _flag(
    _ROWS,
    "--split",
    text="Rows to use: a value of `split`, COL=VALUE, or all (default: test if any).",
    value="VALUE",
)
_AGREEMENT = _flag(
    _ROWS, "--agreement", text="Group each class agrees with, for sensitive_accuracy.", value="CLASS=GROUP,…"
)
_CROSS = _flag(_ROWS, "--cross", text="Also intersections of up to this many attributes.")
_BINS = _flag(
    _ROWS, "--bins", text="Groups from a number, as age=0,25,40,60; may be repeated.", value="COL=EDGE,…"
)
_WITH = _flag(_ROWS, "--with", text="Labels and attributes that lie in another file.", value="FILE")
_ON = _flag(_ROWS, "--on", text="The column that both files share.", value="COL")
_NA = _flag(
    _ROWS, "--na", text="A text that means missing in sensitive columns; may be repeated.", value="TEXT"
)
_MISSING = _flag(
    _ROWS, "--missing-labels", text="Rows without label or prediction: error or drop.", value="WHAT"
)
_MAX_GROUPS = _flag(_ROWS, "--max-groups", text="Refuse attributes with more values.")
_MIN_N = _flag(_STATS, "--min-n", text="Groups with fewer rows are called small.")
_MIN_EVENTS = _flag(_STATS, "--min-events", text="Rows a denominator needs to enter a minimum or a gap.")
_LEVEL = _flag(_STATS, "--level", text="Level of every interval.")
_INTERVAL = _flag(
    _STATS,
    "--interval",
    text="Of single rates: wilson, clopper-pearson (never too narrow), none.",
    value="NAME",
)
_SEED = _flag(_STATS, "--seed", text="Seed of every draw.")
_MEMORY = _flag(
    _SCAN, "--memory-limit", text="Memory of the scan, as 2GB; the rest goes to disk.", value="SIZE"
)
_THREADS = _flag(_SCAN, "--threads", text="Threads of the scan (default: one a core).", value="N")
_ENGINE = _flag(_SCAN, "--engine", text="What counts the rows: duckdb (default) or spark.", value="NAME")


def _flags(
    y_true: Annotated[Text, _column("--y-true", "Labels.")] = None,
    y_pred: Annotated[Text, _column("--y-pred", "Predicted labels.")] = None,
    y_score: Annotated[Text, _column("--y-score", "Probability of the positive class.")] = None,
    threshold: Annotated[float | None, _THRESHOLD] = None,
    prob_prefix: Annotated[Text, _PREFIX] = None,
    score_classes: Annotated[Texts, _CLASSES] = None,
    sensitive: Annotated[Texts, _SENSITIVE] = None,
    positive: Annotated[Text, _POSITIVE] = None,
    weights: Annotated[Text, _column("--weights", "Weight of each row.")] = None,
    loss: Annotated[Text, _column("--loss", "Cross-entropy of each row.")] = None,
    member: Annotated[Text, _column("--member", "Whether a row was trained on (1 or 0).")] = None,
    id_: Annotated[Text, _column("--id", "What names a row; pairs two files.")] = None,
    cluster: Annotated[Text, _column("--cluster", "What rows of one person or image share.")] = None,
    split: Annotated[Text, _SPLIT] = None,
    agreement: Annotated[Texts, _AGREEMENT] = None,
    cross: Annotated[int, _CROSS] = 1,
    bins: Annotated[Texts, _BINS] = None,
    with_: Annotated[Text, _WITH] = None,
    on: Annotated[Text, _ON] = None,
    na: Annotated[Texts, _NA] = None,
    missing_labels: Annotated[str, _MISSING] = "error",
    max_groups: Annotated[int, _MAX_GROUPS] = 1000,
    min_n: Annotated[int, _MIN_N] = 30,
    min_events: Annotated[int, _MIN_EVENTS] = 10,
    level: Annotated[float, _LEVEL] = 0.95,
    seed: Annotated[int, _SEED] = 0,
    interval: Annotated[str, _INTERVAL] = "wilson",
    memory_limit: Annotated[Text, _MEMORY] = None,
    threads: Annotated[int | None, _THREADS] = None,
    engine: Annotated[Text, _ENGINE] = None,
) -> None:
    """Only its signature is used."""


def reads_predictions(command: Callable[..., int | None]) -> Callable[..., int | None]:
    """The command with the shared flags after its own, given to it as the mapping `options`."""
    return with_flags(command, _flags, options)


#: Keywords of `Inputs` whose flag has another name in Python.
FLAGS = {"with_file": "with_", "id": "id_"}


def options(flags: Mapping[str, Any]) -> dict[str, Any]:
    """The flags as keywords of `fairaudit.audit`. Raises FairauditError for a map or bins that do not parse."""
    found = dict(flags)
    for keyword, flag in FLAGS.items():
        found[keyword] = found.pop(flag)
    found["sensitive"], found["na"] = tuple(found["sensitive"] or ()), tuple(found["na"] or ())
    found["score_classes"] = tuple(found["score_classes"] or ())
    found["agreement"] = dict(_pairs(found["agreement"] or ()))
    found["bins"] = dict(_edges(b) for b in found["bins"] or ())
    return found


def _pairs(texts: Iterable[str]) -> Iterable[tuple[str, str]]:
    for part in (p for text in texts for p in text.split(",")):
        class_, sign, group = part.partition("=")
        if not (class_ and sign and group):
            raise FairauditError(
                f"--agreement maps classes to groups as in landbird=land,waterbird=water, not '{part}'."
            )
        yield class_, group


def _edges(text: str) -> tuple[str, tuple[float, ...]]:
    column, _, edges = text.rpartition("=")
    try:
        found = tuple(float(e) for e in edges.split(","))
    except ValueError:
        found = ()
    if not column or not found:
        raise FairauditError(f"--bins names a column and its edges as in age=0,25,40,60, not '{text}'.")
    return column, found
