"""Label text: how a value of a column becomes the name of a class or a group, in every engine the same.

Values become text once (`text_of`), when the rows are read. Classes are then brought to one form (`canonical`)
when an audit is computed, from *all* labels at once: a shard cannot know whether every label is numeric.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal

MISSING = "(missing)"
#: Predictions made from a score and a threshold carry these until the classes are known. Twelve characters at most:
#: DuckDB compares such texts as fast as numbers, and every score cell has one.
PREDICTED_POSITIVE = "(score>=cut)"
PREDICTED_NEGATIVE = "(score<cut)"

#: The axis of scores that says of which class a score speaks, and its label for the score of the row itself.
SCORE_CLASS, OWN_SCORE = "score_class", ""

#: Long numbers are names, too: no digit of them is lost.
_EXACT = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?")
#: Class pairs whose positive member nobody disputes.
_PAIRS = (("0", "1"), ("-1", "1"), ("false", "true"), ("no", "yes"), ("n", "y"), ("negative", "positive"))


def text_of(value: object) -> str | None:
    """The label of a raw value; None where it is missing (None, NaN, NaT, empty text).

    Booleans become `true`/`false`, integral floats integers, other floats their shortest form; text stays
    verbatim.

    >>> [text_of(v) for v in (True, 1.0, 0.5, " a", "", None, float("nan"))]
    ['true', '1', '0.5', ' a', None, None, None]
    """
    if value is None or value == "" or value != value:  # NaN and NaT differ from themselves
        return None
    kind = type(value).__name__  # numpy's scalars are known by name: they are not Python's
    if kind in ("bool", "bool_"):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if kind.startswith("float") and float(value).is_integer() and abs(float(value)) < 2**63:  # type: ignore[arg-type]
        return str(int(value))  # type: ignore[call-overload]
    if isinstance(value, Decimal):
        return _shortest(str(value))
    return str(value)


def is_number(label: str) -> bool:
    """Whether the text is a finite decimal number (no spaces, no underscores, no `nan`)."""
    return _NUMBER.fullmatch(label) is not None


def _shortest(label: str) -> str:
    number = _EXACT.normalize(Decimal(label))
    return format(number or abs(number), "f")


def canonical(labels: Iterable[str]) -> dict[str, str]:
    """The map from each label text to its class name, by the rule over the whole set (DESIGN §3).

    If every label is numeric, the shortest integer or decimal form; if all are booleans in any case,
    `true`/`false`; else verbatim. The two marks of a thresholded score are left alone.

    >>> canonical(["1.0", "0"])
    {'1.0': '1', '0': '0'}
    >>> canonical(["1.0", "x"])
    {'1.0': '1.0', 'x': 'x'}
    """
    every = list(labels)
    real = [v for v in every if v not in (PREDICTED_POSITIVE, PREDICTED_NEGATIVE)]
    if real and all(is_number(v) for v in real):
        return {v: _shortest(v) if v in real else v for v in every}
    if real and all(v.lower() in ("true", "false") for v in real):
        return {v: v.lower() for v in every}
    return {v: v for v in every}


def ordered(labels: Collection[str]) -> tuple[str, ...]:
    """Labels in label order: by value if all are numbers, else by code point; `(missing)` last."""
    known = [v for v in set(labels) if v != MISSING]
    known.sort()
    if known and all(map(_NUMBER.fullmatch, known)):
        values = list(map(float, known))
        # thousands of score bins are sorted as floats; numbers that are one float, as exact numbers
        if len(set(values)) == len(values):
            known = [v for _, v in sorted(zip(values, known, strict=True))]
        else:
            known.sort(key=Decimal)
    return (*known, MISSING) if MISSING in labels else tuple(known)


def default_positive(classes: Collection[str]) -> str | None:
    """The positive class where a pair of classes leaves no doubt, else None.

    >>> default_positive(["0", "1"]), default_positive(["cat", "dog"]), default_positive(["No", "Yes"])
    ('1', None, 'Yes')
    """
    folded = {c.lower(): c for c in classes}
    if len(folded) > 2 or not folded:
        return None
    for negative, positive in _PAIRS:
        if set(folded) <= {negative, positive} and (len(folded) == 2 or negative == "0"):
            return folded.get(positive, positive)
    return None


def escape(name: str) -> str:
    r"""A name as it stands inside a crossed name: `&` and `\` get a backslash."""
    return name.replace("\\", "\\\\").replace("&", "\\&")


def join(names: Iterable[str]) -> str:
    """Attributes joined as in `race&sex`, names escaped so that no single one can look like a crossing."""
    return "&".join(escape(p) for p in names)


def split_by(by: str) -> tuple[str, ...]:
    r"""The attributes of a joined name: the inverse of `join`.

    >>> split_by(r"race&sex"), split_by(r"a\&b&c\\"), split_by("sex")
    (('race', 'sex'), ('a&b', 'c\\'), ('sex',))
    """
    parts = re.split(r"((?:\\.)+)|&", by, flags=re.DOTALL)
    found = [""]
    for text, escaped in zip(parts[::2], [*parts[1::2], ""], strict=True):
        found[-1] += text
        if escaped is None:
            found.append("")
        else:
            found[-1] += re.sub(r"\\(.)", r"\1", escaped, flags=re.DOTALL)
    return tuple(found)


def join_groups(groups: Iterable[str]) -> str:
    """Groups joined as in `Asian & F`; a single group is left as it is."""
    parts = list(groups)
    return parts[0] if len(parts) == 1 else " & ".join(escape(p) for p in parts)


def split_groups(group: str) -> tuple[str, ...]:
    r"""The groups of a joined name: the inverse of `join_groups` for two groups or more.

    >>> split_groups("Asian & F"), split_groups(r"a\& b & c")
    (('Asian', 'F'), ('a& b', 'c'))
    """
    # inside a name every `&` has a backslash before it, so ` & ` only stands between names
    return tuple(split_by(part)[0] for part in group.split(" & "))
