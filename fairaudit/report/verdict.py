"""What came of a repair, in sentences: the gaps, the accuracy, the groups that paid. Never the word fair."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fairaudit.comparing import Change, Comparison
from fairaudit.report.words import bounds, listed, number, signed


@dataclass(frozen=True, slots=True)
class Verdict:
    """`worse`: every group made worse, by name. `lower`: those that fell within noise.

    `sentences`: gaps, worst cells and accuracy. `levelling_down`: a warning, empty where the gaps did not shrink
    at everybody's cost.
    """

    worse: tuple[str, ...]
    lower: tuple[str, ...]
    sentences: tuple[str, ...]
    levelling_down: str


def verdict(c: Comparison) -> Verdict:
    """The verdict of a comparison: a pure function of its changes."""
    worse = tuple(_by_group(c.worse))
    named = {(x.by, x.group) for x in c.worse}
    lower = tuple(dict.fromkeys(f"{x.by}={x.group}" for x in c.lower if (x.by, x.group) not in named))
    attributes = tuple(dict.fromkeys(g["attribute"] for g in c.before.groups))
    gaps = [x for by in attributes if (x := _find(c, "eod_max", by)) is not None]
    accuracy = _find(c, "accuracy", "overall")
    cells = [x for by in attributes if (x := _find(c, "worst_group_accuracy", by)) is not None]
    sentences = [_moved(x) for x in (*gaps, *cells, *([accuracy] if accuracy is not None else []))]
    return Verdict(worse, lower, tuple(sentences), _levelling_down(c, gaps, accuracy))


def _find(c: Comparison, metric: str, by: str) -> Change | None:
    return next(
        (x for x in c.changes if (x.metric, x.by, x.group, x.class_) == (metric, by, None, None)), None
    )


def _by_group(changes: Sequence[Change]) -> Iterator[str]:
    """One sentence a group: each of its numbers that fell."""
    groups: dict[tuple[str, str | None], list[Change]] = {}
    for x in changes:
        groups.setdefault((x.by, x.group), []).append(x)
    steepest = sorted(groups.items(), key=lambda item: min(-abs(x.change or 0.0) for x in item[1]))
    for (by, group), found in steepest:
        more = f"; and {len(found) - 4} more" if len(found) > 4 else ""
        yield f"{by}={group}: " + "; ".join(_fall(x) for x in found[:4]) + more


def _fall(x: Change) -> str:
    name = x.metric if x.class_ is None else f"{x.metric} of class {x.class_}"
    return (
        f"{name} {_from_to(x)}, {signed(x.metric, x.change or 0.0)} {bounds(x.metric, x.interval, sign=True)}"
    )


def _from_to(x: Change) -> str:
    return f"{number(x.metric, x.before.value or 0.0)} → {number(x.metric, x.after.value or 0.0)}"


def _moved(x: Change) -> str:
    where = "Accuracy over rows" if x.metric == "accuracy" else f"{x.metric} by {x.by}"
    if x.change is None:
        return f"{where}: {x.reason}."
    size = f"{_from_to(x)} ({signed(x.metric, x.change)} {bounds(x.metric, x.interval, sign=True)})"
    if x.worse or x.better:
        verb = "fell" if x.change < 0 else "rose"
        return f"{where} {verb}: {size}."
    return f"{where}: {size}, a change within noise."


def _levelling_down(c: Comparison, gaps: Sequence[Change], accuracy: Change | None) -> str:
    """Gaps that shrink because people are served worse.

    Accuracy and mean recall fall over all rows beyond noise, accuracy falls in most groups and rises beyond noise
    in none. Mean recall is asked too, because a shift of the threshold trades the errors of one class for those
    of another: then accuracy may fall everywhere although many are found who were missed before.
    """
    shrunk = [x for x in gaps if x.change is not None and x.change < 0]
    groups = [x for x in c.changes if x.metric == "accuracy" and x.group is not None and x.change is not None]
    recall = _find(c, "recall_macro", "overall")
    if not shrunk or not groups or not all(x is not None and x.worse for x in (accuracy, recall)):
        return ""
    fell = [x for x in groups if (x.change or 0.0) < 0]
    if any(x.better for x in groups) or len(fell) * 2 <= len(groups):
        return ""
    who = "every group" if len(fell) == len(groups) else f"{len(fell)} of {len(groups)} groups"
    return (
        f"LEVELLING DOWN: the gap by {listed([x.by for x in shrunk], 3)} shrank, but accuracy fell for {who} and "
        "rose beyond noise for none. The gap closed by serving people worse, not better."
    )
