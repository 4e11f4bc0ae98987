"""The command that would read the same rows in the same way with nothing left to detect."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fairaudit.column_names import PREFIXES
from fairaudit.labels import text_of

_ROLES = ("y_true", "y_pred", "y_score", "weights", "loss", "member", "id", "cluster")
_DEFAULTS = {"threshold": None, "cross": 1, "missing_labels": "error", "max_groups": 1000, "min_n": 30,
             "min_events": 10, "level": 0.95, "seed": 0, "interval": "wilson", "memory_limit": None,
             "threads": None, "engine": None}  # fmt: skip


def pinned(verb: str, files: Sequence[str], options: Mapping[str, Any], data: Mapping[str, Any]) -> str:
    """The command, quoted for a shell. `options`: what was asked; `data`: what the audit found (`Audit.data`)."""
    words = ["fairaudit", verb, *files]
    for flag, value in _flags(options, data):
        words += [f"--{flag}" if len(flag) > 1 else f"-{flag}", str(value)]
    return shlex.join(words)


def _flags(options: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    columns = data["columns"]
    if options["with_file"] is not None:
        yield from (("with", options["with_file"]), ("on", options["on"]))
    for role in _ROLES:
        column = columns.get(role, options[role] if role == "id" else None)
        if column is not None:
            yield role.replace("_", "-"), column
    if data["probabilities"]:
        yield "prob-prefix", options["prob_prefix"] or _prefix(data["probabilities"])
    yield from (("score-classes", c) for c in options["score_classes"])
    if options["positive"] is not None:
        yield "positive", options["positive"]
    yield from (("s", s) for s in columns["sensitive"])
    if data["split"] is not None:
        yield "split", f"{data['split']['column']}={data['split']['value']}"
    elif options["split"] is not None:
        yield "split", options["split"]
    if options["agreement"]:
        yield "agreement", ",".join(f"{c}={g}" for c, g in options["agreement"].items())
    for column, edges in options["bins"].items():
        yield "bins", f"{column}={','.join(str(text_of(float(e))) for e in edges)}"
    yield from (("na", text) for text in options["na"])
    yield from (("metric", name) for name in options.get("metric", ()))
    for name, default in _DEFAULTS.items():
        if options.get(name, default) != default:
            yield name.replace("_", "-"), options[name]


def _prefix(columns: Sequence[str]) -> str:
    """The prefix by which these columns were found: the first known one that all of them begin with.

    Those of a tally may have been named when it was counted; it takes whatever they have in common.
    """
    begins = (columns[0][:size] for size in range(len(columns[0]), -1, -1))
    return next(p for p in (*PREFIXES, *begins) if all(c.startswith(p) for c in columns))
