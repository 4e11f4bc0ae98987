"""The command that makes an audit again, told from the audit alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fairaudit.auditing import Audit
from fairaudit.column_names import PREFIXES
from fairaudit_cli.pinning import pinned


def reproducing(audit: Audit) -> str:
    """`fairaudit report PREDS …` with every option that shaped this audit; PREDS is for the reader to fill in."""
    data, s = audit.data, audit.settings
    options: dict[str, Any] = {
        "with_file": None, "on": None, "id": None, "max_groups": 1000, "split": None,
        "prob_prefix": _prefix(data["probabilities"], audit.classes), "positive": audit.positive,
        "score_classes": data.get("score_classes", ()),
        "agreement": data["agreement"], "bins": data["bins"], "na": data["na"], "cross": data["cross"],
        "threshold": data["threshold"], "missing_labels": data["missing_labels"],
        "min_n": s.min_n, "min_events": s.min_events, "level": s.level, "seed": s.seed, "interval": s.interval,
    }  # fmt: skip
    return pinned("report", ["PREDS"], options, data)


def _prefix(columns: Sequence[str], classes: Sequence[str]) -> str | None:
    """How the names of the probability columns begin, None without such columns."""
    if not columns:
        return None
    own = [columns[0].removesuffix(c) for c in classes if columns[0].endswith(c)]
    return next((p for p in (*PREFIXES, *own) if all(c.startswith(p) for c in columns)), PREFIXES[0])
