"""Where LoRA goes: found by walking the module tree, never by a list of model names.

LoRA is put on every linear projection inside the repeated blocks of the network (attention and MLP); a
network without any, a CNN, gets it on the convolutions of its blocks. Never on the head: the head is
trained whole and saved with the adapter.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from fairaudit.errors import FairauditError

_IN_BLOCK = re.compile(r"\.\d+\.")
#: Linear layers of blocks that are no projections: between stages, of the position bias, of a router.
_NOT_PROJECTIONS = ("downsample", "position_bias", "router")


@dataclass(frozen=True, slots=True)
class Adaptation:
    """What is trained: LoRA on `targets` (full module names), the `heads` whole, in numbers of parameters."""

    targets: tuple[str, ...]
    heads: tuple[str, ...]
    trainable: int
    total: int

    def __str__(self) -> str:
        share = f"{self.trainable:,} of {self.total:,} parameters ({self.trainable / self.total:.1%})"
        if not self.targets:
            return f"training {share}"
        named = ", ".join(leaves(self.targets))
        return f"LoRA on {len(self.targets)} modules ({named}), head {', '.join(self.heads)}: {share}"


def head_names(model: Any) -> tuple[str, ...]:
    """The top-level modules that hold parameters, without the backbone (the largest tree of modules)."""
    children = {
        name: child for name, child in model.named_children() if any(True for _ in child.parameters())
    }
    prefix = getattr(model, "base_model_prefix", "")
    backbone = prefix if prefix in children else max(children, key=lambda n: len(list(children[n].modules())))
    heads = tuple(name for name in children if name != backbone)
    if not heads:
        raise FairauditError(f"{type(model).__name__} has no head beside its backbone; choose a classifier.")
    return heads


def lora_targets(model: Any, wanted: Sequence[str] = ()) -> tuple[str, ...]:
    """The full names of the modules that get LoRA; `wanted` (names or their ends) overrides the rule.

    Raises FairauditError where nothing matches, with the names that would.
    """
    heads = head_names(model)
    body = {n: m for n, m in model.named_modules() if n.split(".")[0] not in heads}
    able = {n: m for n, m in body.items() if isinstance(m, (nn.Linear, nn.Conv2d))}
    if wanted:
        found = tuple(n for n in able if any(n == w or n.endswith(f".{w}") for w in wanted))
        unmatched = [w for w in wanted if not any(n == w or n.endswith(f".{w}") for n in able)]
    else:
        blocks = {
            n: m for n, m in able.items() if _IN_BLOCK.search(n) and not any(x in n for x in _NOT_PROJECTIONS)
        }
        linear = tuple(n for n, m in blocks.items() if isinstance(m, nn.Linear))
        found, unmatched = linear or tuple(blocks), []
    if not found or unmatched:
        asked = f"'{unmatched[0]}'" if unmatched else "the blocks"
        raise FairauditError(
            f"no LoRA target matches {asked}; modules that can take it: {', '.join(leaves(able))}."
        )
    return found


def add_adapter(
    model: Any, rank: int, alpha: int, dropout: float, wanted: Sequence[str] = (), fresh: Sequence[str] = ()
) -> tuple[Any, Adaptation]:
    """The model with LoRA on its targets.

    Its head, and modules that are `fresh`, are trained whole and saved with it. Everything else is
    frozen. Raises FairauditError as lora_targets does, and for a rank below 1.
    """
    from peft import LoraConfig, get_peft_model

    if rank < 1:
        raise FairauditError(f"the rank of LoRA is 1 or more, not {rank}.")
    targets, heads = lora_targets(model, wanted), (*head_names(model), *fresh)
    config = LoraConfig(
        r=rank,
        lora_alpha=alpha,
        lora_dropout=dropout,
        target_modules=_shortest(model, targets),
        modules_to_save=list(heads),
    )
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", FutureWarning
        )  # of PEFT calling a transformers name about to be renamed
        wrapped = get_peft_model(model, config)
    return wrapped, Adaptation(targets, heads, *_counts(wrapped))


def train_everything(model: Any) -> Adaptation:
    """Every parameter trained (full fine-tuning)."""
    model.requires_grad_(True)
    return Adaptation((), head_names(model), *_counts(model))


def leaves(names: Sequence[str] | dict[str, Any]) -> list[str]:
    """The distinct last parts of module names, in order of first use."""
    return list(dict.fromkeys(n.split(".")[-1] for n in names))


def _shortest(model: Any, targets: Sequence[str]) -> list[str]:
    """Last parts where they name exactly the targets, else full names: adapters stay readable."""
    ends = {n.split(".")[-1] for n in targets}
    named = [n for n, _ in model.named_modules() if n.split(".")[-1] in ends]
    return sorted(ends) if set(named) == set(targets) else list(targets)


def _counts(model: Any) -> tuple[int, int]:
    """Trainable and all parameters; the frozen original PEFT keeps beside a trained head is not counted."""
    named = model.named_parameters()
    sizes = [(p.numel(), p.requires_grad) for n, p in named if ".original_module." not in n]
    return sum(n for n, train in sizes if train), sum(n for n, _ in sizes)
