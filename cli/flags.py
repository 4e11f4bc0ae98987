"""Flags that several commands share are declared once, as the signature of a function, and added to each command."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, get_type_hints


def with_flags(
    command: Callable[..., Any],
    shared: Callable[..., None],
    options: Callable[[Mapping[str, Any]], dict[str, Any]],
) -> Callable[..., Any]:
    """The command with the flags of `shared` after its own.

    It gets them as the mapping `options`: what the function of that name makes of the flags as given.
    """
    common = inspect.signature(shared).parameters
    own = {k: p for k, p in inspect.signature(command).parameters.items() if k != "options"}

    def wrapped(**given: Any) -> Any:
        return command(**{k: given[k] for k in own}, options=options({k: given[k] for k in common}))

    keyword = inspect.Parameter.KEYWORD_ONLY
    hints = get_type_hints(shared, include_extras=True) | get_type_hints(command, include_extras=True)
    every = {**own, **common}
    parameters = [p.replace(kind=keyword, annotation=hints[k]) for k, p in every.items()]
    wrapped.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    wrapped.__annotations__ = {k: hints[k] for k in every}
    wrapped.__name__, wrapped.__doc__ = command.__name__, command.__doc__
    return wrapped
