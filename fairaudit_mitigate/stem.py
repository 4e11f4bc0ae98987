"""The stem of a network: the modules that work before its first adapted block, and forwards that skip them.

Found by running two rows and watching: the stem is the chain of modules whose output is the input of the
next, up to the cut (embeddings, a norm, the frozen blocks). To start at the cut, each of them returns the
stored activations instead of working; masks, positions and everything after the cut are computed by the
model's own code. So no model type is known by name, and `checked` proves on real rows that nothing changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from fairaudit.errors import FairauditError
from fairaudit_mitigate.blocks import Cut

#: The key of a batch that carries activations in place of the rows' own inputs.
ACTIVATIONS = "activations"


@dataclass(frozen=True, slots=True, eq=False)
class Stem:
    """`chain`: name → what that module returned for the probe, from the cut backwards. `before`: all that ran."""

    model: Any
    cut: Cut
    chain: Mapping[str, Any]
    before: tuple[str, ...]


class _Reached(Exception):  # noqa: N818
    """Raised at the cut to end a forward there."""


@dataclass(slots=True, eq=False)
class _Watch:
    """What a forward did before the cut: the inputs and outputs of the modules that ended."""

    seen: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    at_cut: Tensor | None = None

    def ended(self, name: str, module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        if self.at_cut is None:
            self.seen[name] = ((args, kwargs), output)

    def reached(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        self.at_cut = _first_tensor((*args, *kwargs.values()))
        raise _Reached


def stem_of(model: Any, cut: Cut, batch: Mapping[str, Any]) -> Stem:
    """The stem for batches like this one. Raises FairauditError where the cut's input is not one tensor."""
    watch = _Watch()
    around = {".".join(cut.block.split(".")[:i]) for i in range(len(cut.block.split(".")) + 1)}
    with ExitStack() as stack:
        for name, module in model.named_modules():
            if name not in around:
                hook = module.register_forward_hook(partial(watch.ended, name), with_kwargs=True)
                stack.callback(hook.remove)
        _run_to(model, cut, batch, watch)
    if watch.at_cut is None:
        raise _cannot(model, cut)
    return Stem(model, cut, _chain(watch), tuple(watch.seen))


def activations(stem: Stem, batch: Mapping[str, Any]) -> Tensor:
    """What enters the first adapted block for these rows, [rows, …]; the model is in evaluation mode after it."""
    watch = _Watch()
    _run_to(stem.model, stem.cut, batch, watch)
    assert watch.at_cut is not None
    return watch.at_cut


def _run_to(model: Any, cut: Cut, batch: Mapping[str, Any], watch: _Watch) -> None:
    hook = model.get_submodule(cut.block).register_forward_pre_hook(watch.reached, with_kwargs=True)
    try:
        with torch.no_grad():
            model.eval()(**batch)
    except _Reached:
        return
    finally:
        hook.remove()


def _chain(watch: _Watch) -> dict[str, Any]:
    """Backwards from the cut: the outermost module that returned the tensor, then the one before it."""
    chain: dict[str, Any] = {}
    wanted = watch.at_cut
    while wanted is not None:
        makers = [n for n, (_, out) in watch.seen.items() if n not in chain and _first_tensor(out) is wanted]
        if not makers:
            break
        name = min(makers, key=lambda n: n.count("."))
        (args, kwargs), chain[name] = watch.seen[name]
        wanted = _first_tensor((*args, *kwargs.values()))
    return chain


def _first_tensor(value: Any) -> Tensor | None:
    """The tensor itself, or the first of a tuple."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, (tuple, list)):
        return next((v for v in value if isinstance(v, Tensor)), None)
    return None


@dataclass(slots=True, eq=False)
class _Given:
    """The activations of the forward under way; None: it is an ordinary one."""

    rows: Tensor | None = None


@contextmanager
def skipping(stem: Stem, blank: Mapping[str, Tensor]) -> Iterator[None]:
    """Within it, a forward with `activations` starts at the cut; any other is the ordinary one.

    `blank`: one row of each input that only the stem reads; such a forward gets zeros of that shape, which take
    no memory. Raises FairauditError where a frozen block is not in the stem's chain.
    """
    if any(not any(b == n or b.startswith(f"{n}.") for n in stem.chain) for b in stem.cut.frozen):
        raise _cannot(stem.model, stem.cut)
    given = _Given()

    def take(_: nn.Module, args: Any, kwargs: dict[str, Any]) -> Any:
        given.rows = kwargs.pop(ACTIVATIONS, None)
        if given.rows is None:
            return args, kwargs
        n = len(given.rows)
        zeros = {k: v.new_zeros(()).to(given.rows.device).expand(n, *v.shape) for k, v in blank.items()}
        return args, {**zeros, **kwargs}

    with ExitStack() as stack:
        stack.callback(stem.model.register_forward_pre_hook(take, with_kwargs=True).remove)
        for name, output in stem.chain.items():
            stack.enter_context(_returns(stem.model.get_submodule(name), given, output))
        yield


@contextmanager
def _returns(module: nn.Module, given: _Given, like: Any) -> Iterator[None]:
    """Within it, the module returns the given activations, in the form of `like`, where there are any."""
    own, worker = module.__dict__.get("forward"), module.forward

    def forward(*args: Any, **kwargs: Any) -> Any:
        return worker(*args, **kwargs) if given.rows is None else _formed(like, given.rows)

    module.forward = forward
    try:
        yield
    finally:
        del module.forward
        if own is not None:
            module.forward = own


def _formed(like: Any, rows: Tensor) -> Any:
    if isinstance(like, (tuple, list)):
        return type(like)(rows if isinstance(v, Tensor) else v for v in like)
    return rows


@contextmanager
def resting(stem: Stem) -> Iterator[None]:
    """Within it, the stem stays in evaluation mode while the model trains: no dropout in what is frozen."""
    modules = [stem.model.get_submodule(name) for name in stem.before]

    def rest(*_: Any) -> None:
        for one in modules:
            one.training = False

    hook = stem.model.register_forward_pre_hook(rest)
    try:
        yield
    finally:
        hook.remove()


def _cannot(model: Any, cut: Cut) -> FairauditError:
    return FairauditError(
        f"the forward of {type(model).__name__} cannot start at '{cut.block}': what enters it is not one tensor "
        "made by the modules before it; give --cache off."
    )
