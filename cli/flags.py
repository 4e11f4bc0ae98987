"""Flags that several commands share are declared once, as the signature of a function, and added to each command."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, get_args, get_type_hints

import typer


def with_flags(
    command: Callable[..., Any],
    shared: Callable[..., None],
    options: Callable[[Mapping[str, Any]], dict[str, Any]],
    name: str = "options",
) -> Callable[..., Any]:
    """The command with the flags of `shared` after its own.

    It gets them as the mapping `name`: what `options` makes of the flags as given. A command with a parameter
    `stated` also gets the names of the shared flags that stood on the command line, even at their default. A command
    may be wrapped more than once, each time under another name.
    """
    common = inspect.signature(shared).parameters
    taken = inspect.signature(command).parameters
    own = {k: p for k, p in taken.items() if k not in (name, "stated", "ctx")}

    def wrapped(ctx: typer.Context, **given: Any) -> Any:
        sources = {k: ctx.get_parameter_source(k) for k in common}
        stated = frozenset(k for k, s in sources.items() if s is not None and s.name == "COMMANDLINE")
        more = {"stated": stated, "ctx": ctx, name: options({k: given[k] for k in common})}
        return command(**{k: given[k] for k in own}, **{k: v for k, v in more.items() if k in taken})

    keyword = inspect.Parameter.KEYWORD_ONLY
    hints = get_type_hints(shared, include_extras=True) | get_type_hints(command, include_extras=True)
    every = {**own, **common}
    parameters = [p.replace(kind=keyword, annotation=hints[k]) for k, p in every.items()]
    context = inspect.Parameter("ctx", keyword, annotation=typer.Context)
    wrapped.__signature__ = inspect.Signature([context, *parameters])  # type: ignore[attr-defined]
    wrapped.__annotations__ = {"ctx": typer.Context, **{k: hints[k] for k in every}}
    wrapped.__name__, wrapped.__doc__ = command.__name__, command.__doc__
    return wrapped


def without_conversion(command: Any, function: Callable[..., Any]) -> Any:
    """The command of this function, taking what is of its kind already as it is: a text for a text, a default.

    typer gives every value to pydantic, whose import takes as long as half a gate; a number as text still goes there.
    """
    hints = get_type_hints(function)
    for parameter in command.get_params(typer.Context(command)):  # with --help, which `params` lacks
        kind = _kind(hints.get(parameter.name))
        parameter.process_value = partial(_processed, parameter, kind, parameter.process_value)
    return command


def _kind(hint: Any) -> Any:
    """`str` of `str | None`, `list[str]` and `list[str] | None`."""
    inner = [a for a in get_args(hint) if a is not type(None)]
    return _kind(inner[0]) if inner else hint


def _processed(parameter: Any, kind: Any, process: Callable[[Any, Any], Any], ctx: Any, value: Any) -> Any:
    many = parameter.multiple or parameter.nargs == -1
    values = () if value is None else value if many else (value,)
    if any(type(v) is not kind for v in values) or (parameter.required and not values):
        return process(ctx, value)
    kept = values if many else value
    return kept if parameter.callback is None else parameter.callback(ctx, parameter, kept)
