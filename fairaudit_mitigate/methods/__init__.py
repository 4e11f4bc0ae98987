"""The registry of methods: one file and one line each."""

from __future__ import annotations

from fairaudit.errors import FairauditError, did_you_mean
from fairaudit_mitigate.methods import (
    balanced_lora,
    dfr,
    fair_fft,
    fairlora,
    fairlora_up,
    fft,
    groupdro_lora,
    lora,
    threshold,
)
from fairaudit_mitigate.methods.method import SHUFFLED
from fairaudit_mitigate.methods.method import Method as Method

METHODS = {
    m.name: m
    for m in (
        lora.METHOD,
        fairlora.METHOD,
        fairlora_up.METHOD,
        fft.METHOD,
        fair_fft.METHOD,
        balanced_lora.METHOD,
        groupdro_lora.METHOD,
        dfr.METHOD,
        threshold.METHOD,
    )
}


def find_method(name: str) -> Method:
    """The method of that name. Raises FairauditError with the known names for any other."""
    if name not in METHODS:
        raise FairauditError(
            f"no method '{name}' (methods: {', '.join(METHODS)}).{did_you_mean(name, METHODS)}"
        )
    return METHODS[name]


def list_methods() -> str:
    """The registry as text: a paragraph a method, for `fairaudit mitigate --list`."""
    return "\n\n".join(_paragraph(m) for m in METHODS.values())


def _paragraph(m: Method) -> str:
    lines = [f"{m.about}{_defaults(m)}", f"needs: {m.needs}"]
    lines += [f"{word}: {text}" for word, text in (("choose it", m.choose), ("paper", m.paper)) if text]
    return "\n".join([m.name, *(f"    {line}" for line in lines)])


def _defaults(m: Method) -> str:
    """The settings of its own that a user may want to change."""
    if not m.trains_by_steps:
        return ""
    own = [f"--lr {m.learning_rate:g}"]
    own += [f"--penalty {m.terms.penalty:g}"] if m.penalises else []
    own += [f"--adjustment {m.terms.adjustment:g}"] if m.terms.adjustment else []
    own += [f"--sampling {m.terms.sampling}"] if m.terms.sampling != SHUFFLED else []
    return f" (default: {', '.join(own)})"
