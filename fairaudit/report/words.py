"""How numbers and places are written in a report: percent for rates, three decimals for the rest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from fairaudit.estimate import Estimate
from fairaudit.intervals import Interval

#: Numbers that are not shares, so percent would mislead.
_DECIMAL = ("loss", "loss_variance", "roc_auc", "roc_auc_macro", "ece", "ece_mass", "brier")


def is_share(metric: str) -> bool:
    """Whether a metric is written in percent (rates, F1 and their gaps) rather than as a decimal."""
    return metric not in _DECIMAL and not metric.endswith("_ratio")


def number(metric: str, value: float) -> str:
    """A value of a metric.

    >>> number("tpr", 0.7346), number("eod_max", 1.0), number("roc_auc", 0.5)
    ('73.5', '100', '0.500')
    """
    if not is_share(metric):
        return f"{value:.3f}".replace("-", "−")
    if value in (0.0, 1.0):
        return f"{100 * value:.0f}"  # exactly; a rounded 0 stays `0.0`, seen to be above 0
    return f"{100 * value:.1f}".replace("-", "−")


def signed(metric: str, value: float) -> str:
    """A change of a metric, always with its sign.

    >>> signed("tpr", 0.021), signed("tpr", -0.3), signed("tpr", 0.0)
    ('+2.1', '−30.0', '0')
    """
    return number(metric, value) if value <= 0 else f"+{number(metric, value)}"


def bounds(metric: str, interval: Interval | None, sign: bool = False) -> str:
    """`[low, high]`, or nothing where there is no interval."""
    if interval is None:
        return ""
    write = signed if sign else number
    return f"[{write(metric, interval.low)}, {write(metric, interval.high)}]"


def with_interval(e: Estimate) -> str:
    """A value with its interval; `*` marks a stratum too small to be compared, `undefined` a missing one."""
    if e.value is None:
        return "undefined"
    mark = "*" if e.status == "small" else ""
    return f"{number(e.metric, e.value)} {bounds(e.metric, e.interval)}".rstrip() + mark


def unit(metric: str) -> str:
    """What a difference of this metric is counted in: ` points` (of percent), or nothing."""
    return " points" if is_share(metric) else ""


def count(n: float) -> str:
    """A number of rows, with thousands marked.

    >>> count(332900)
    '332,900'
    """
    return f"{int(n):,}"


def several(n: int, one: str, many: str = "") -> str:
    """A number of things.

    >>> several(1, "group"), several(2, "class", "classes")
    ('1 group', '2 classes')
    """
    return f"{count(n)} {one if n == 1 else many or one + 's'}"


def listed(names: Iterable[str], most: int, kind: str = "") -> str:
    """Names with commas, the rest as a count.

    >>> listed("abcd", 2)
    'a, b … and 2 more'
    """
    every = list(names)
    rest = f" … and {len(every) - most} more{f' {kind}' if kind else ''}" if len(every) > most else ""
    return ", ".join(every[:most]) + rest


def where_attained(e: Estimate) -> str:
    """What attains a minimum or a gap: `3 → 5 (tpr)` from lowest to highest, or `3 (class 1)`."""
    at: Mapping[str, str] = e.at or {}
    rate = f" ({at['rate']})" if "rate" in at else ""
    if "lowest" in at:
        return (
            f"{at['lowest']} → {at['highest']}{rate}" if at["lowest"] != at["highest"] else f"all alike{rate}"
        )
    if "group" not in at:
        return f"class {at['class']}" if "class" in at else ""
    return at["group"] + (f" (class {at['class']})" if "class" in at else "")


def stands_by(by: str) -> str:
    """A view's name in a sentence: the classes, or the attribute."""
    return "classes" if by == "class" else by


def hidden(warnings: Iterable[Mapping[str, str]]) -> tuple[str, ...]:
    """What the warnings of an audit (or of a tally) say about small counts that were hidden, as sentences."""
    return tuple(
        f"{w['message'][:1].upper()}{w['message'][1:].rstrip('.')}."
        for w in warnings
        if w["code"] == "hidden_cells"
    )


def clean(text: str) -> str:
    r"""Text without control characters: a group's name must not move the cursor or recolour the terminal.

    >>> clean("a\x1b[31m")
    'a\\x1b[31m'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
