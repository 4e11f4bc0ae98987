"""Flags that several commands share are declared once, as the signature of a function, and added to each command."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, get_type_hints

import typer


def with_flags(
    command: Callable[..., Any],
    shared: Callable[..., None],
    options: Callable[[Mapping[str, Any]], dict[str, Any]],
) -> Callable[..., Any]:
    """The command with the flags of `shared` after its own.

    It gets them as the mapping `options`: what the function of that name makes of the flags as given. A command with
    a parameter `stated` also gets the names of the shared flags that stood on the command line, even at their default.
    """
    common = inspect.signature(shared).parameters
    taken = inspect.signature(command).parameters
    own = {k: p for k, p in taken.items() if k not in ("options", "stated")}

    def wrapped(ctx: typer.Context, **given: Any) -> Any:
        sources = {k: ctx.get_parameter_source(k) for k in common}
        stated = frozenset(k for k, s in sources.items() if s is not None and s.name == "COMMANDLINE")
        more = {"stated": stated} if "stated" in taken else {}
        return command(**{k: given[k] for k in own}, options=options({k: given[k] for k in common}), **more)

    keyword = inspect.Parameter.KEYWORD_ONLY
    hints = get_type_hints(shared, include_extras=True) | get_type_hints(command, include_extras=True)
    every = {**own, **common}
    parameters = [p.replace(kind=keyword, annotation=hints[k]) for k, p in every.items()]
    context = inspect.Parameter("ctx", keyword, annotation=typer.Context)
    wrapped.__signature__ = inspect.Signature([context, *parameters])  # type: ignore[attr-defined]
    wrapped.__annotations__ = {"ctx": typer.Context, **{k: hints[k] for k in every}}
    wrapped.__name__, wrapped.__doc__ = command.__name__, command.__doc__
    return wrapped
