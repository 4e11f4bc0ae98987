"""The registry of methods: one file and one line each."""

from __future__ import annotations

from fairaudit.errors import FairauditError, did_you_mean
from fairaudit_mitigate.methods import fair_fft, fairlora, fft, lora
from fairaudit_mitigate.methods.method import Method as Method

METHODS = {
    m.name: m
    for m in (
        lora.METHOD,
        fairlora.METHOD,
        fft.METHOD,
        fair_fft.METHOD,
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
    """The registry as text, one method a line."""
    return "\n".join(f"{m.name:<10}{m.about}; learning rate {m.learning_rate:g}" for m in METHODS.values())
