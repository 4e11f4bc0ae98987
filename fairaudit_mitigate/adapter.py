"""Where LoRA goes: found by walking the module tree, never by a list of model names.

LoRA is put on every projection inside the repeated blocks of the network (attention and MLP); a network
without any, a CNN, gets it on the convolutions of its blocks; a network without blocks on all it can take.
Never on the head: the head is trained whole and saved with the adapter. A fused projection (`qkv`) gets one
LoRA for all its parts. Never on a grouped convolution (depthwise is the usual case): PEFT cannot merge one,
and a LoRA of low rank on a depthwise kernel is larger than the kernel. Never on the `out_proj` of
`nn.MultiheadAttention`, whose weight is read past the module; the attention as a whole can take it.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear
from transformers.pytorch_utils import Conv1D

from fairaudit.errors import FairauditError

_IN_BLOCK = re.compile(r"\.\d+\.")
#: Linear layers of blocks that are no projections: between stages, of the position bias, of a router.
_NOT_PROJECTIONS = ("downsample", "position_bias", "router")
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
#: Conv1D is GPT-2's linear layer with its weight transposed.
_PROJECTIONS = (nn.Linear, Conv1D, nn.MultiheadAttention)


@dataclass(frozen=True, slots=True)
class Adaptation:
    """What is trained: LoRA on `targets` (full module names), the `heads` whole, in numbers of parameters.

    `frozen_head`: the heads are saved with it, as they are.
    """

    targets: tuple[str, ...]
    heads: tuple[str, ...]
    trainable: int
    total: int
    frozen_head: bool = False

    def __str__(self) -> str:
        share = f"{self.trainable:,} of {self.total:,} parameters ({self.trainable / self.total:.1%})"
        if not self.targets:
            return f"training {share}"
        named = ", ".join(leaves(self.targets))
        head = f"{'frozen ' if self.frozen_head else ''}head {', '.join(self.heads)}"
        return f"LoRA on {len(self.targets)} modules ({named}), {head}: {share}"


def head_names(model: Any) -> tuple[str, ...]:
    """The modules of the head: those the model names in `head_modules`, else all but the backbone.

    The backbone is the one of `base_model_prefix`, or the largest tree of modules.
    """
    if named := tuple(getattr(model, "head_modules", ())):
        return named
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
    body = {n: m for n, m in model.named_modules() if not _inside(n, heads)}
    able = {n: m for n, m in body.items() if _takes_lora(m)}
    found = _named(able, wanted) if wanted else _of_blocks(able)
    unmatched = [w for w in wanted if not _named(able, (w,))]
    if not found or unmatched:
        asked = f"'{unmatched[0]}'" if unmatched else "the blocks"
        grouped = [n for n in _named(body, unmatched[:1]) if getattr(body[n], "groups", 1) > 1]
        fact = " (a grouped convolution cannot be merged)" if grouped else ""
        raise FairauditError(
            f"no LoRA target matches {asked}{fact}; modules that can take it: "
            f"{', '.join(leaves(able)) or 'none'}."
        )
    return found


def _takes_lora(module: Any) -> bool:
    if isinstance(module, NonDynamicallyQuantizableLinear):
        return False
    return isinstance(module, _PROJECTIONS) or (isinstance(module, _CONVOLUTIONS) and module.groups == 1)


def _of_blocks(able: dict[str, Any]) -> tuple[str, ...]:
    """The projections of the blocks, else their convolutions; all there are where no block is found."""
    blocks = {
        n: m for n, m in able.items() if _IN_BLOCK.search(n) and not any(x in n for x in _NOT_PROJECTIONS)
    }
    return tuple(n for n, m in blocks.items() if isinstance(m, _PROJECTIONS)) or tuple(blocks) or tuple(able)


def _named(modules: Iterable[str], wanted: Sequence[str]) -> tuple[str, ...]:
    return tuple(n for n in modules if any(n == w or n.endswith(f".{w}") for w in wanted))


def _inside(name: str, parents: Sequence[str]) -> bool:
    return any(name == p or name.startswith(f"{p}.") for p in parents)


def add_adapter(
    model: Any,
    rank: int,
    alpha: int,
    dropout: float,
    wanted: Sequence[str] = (),
    fresh: Sequence[str] = (),
    freeze_head: bool = False,
) -> tuple[Any, Adaptation]:
    """The model with LoRA on its targets.

    Its head, and modules that are `fresh`, are saved with it, and trained whole unless `freeze_head`.
    Everything else is frozen. Raises FairauditError as lora_targets does, and for a rank below 1.
    """
    from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training

    if rank < 1:
        raise FairauditError(f"the rank of LoRA is 1 or more, not {rank}.")
    targets, heads = lora_targets(model, wanted), (*head_names(model), *fresh)
    if hasattr(model, "head_modules"):
        _check_heads(model, heads)
    config = LoraConfig(
        r=rank,
        lora_alpha=alpha,
        lora_dropout=dropout,
        target_modules=_shortest(model, targets),
        modules_to_save=list(heads),
        fan_in_fan_out=any(isinstance(model.get_submodule(n), Conv1D) for n in targets),
    )
    take_the_long_way(model)
    if getattr(model, "is_quantized", False):
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
    with warnings.catch_warnings():
        # of PEFT calling a transformers name about to be renamed
        warnings.simplefilter("ignore", FutureWarning)
        # of PEFT finding linear layers beside those of Conv1D: it looks at each by itself
        warnings.filterwarnings("ignore", message="fan_in_fan_out is set")
        wrapped = get_peft_model(model, config)
    if freeze_head:  # it is still saved: the base may not have it
        for name, parameter in wrapped.named_parameters():
            if ".modules_to_save." in name:
                parameter.requires_grad_(False)
    return wrapped, Adaptation(targets, heads, *_counts(wrapped), freeze_head)


def take_the_long_way(model: Any) -> None:
    """Switch off the shortcut of torch's own transformer layers: in eval mode it reads the weights past LoRA."""
    for module in model.modules():
        if isinstance(module, nn.TransformerEncoderLayer):
            module.activation_relu_or_gelu = 0
        elif isinstance(module, nn.TransformerEncoder):
            module.use_nested_tensor = False


def train_everything(model: Any, only: Sequence[str] = ()) -> Adaptation:
    """Every parameter trained (full fine-tuning); where `only` names modules, those and the head."""
    model.requires_grad_(not only)
    for name in (*only, *head_names(model)):
        model.get_submodule(name).requires_grad_(True)
    return Adaptation((), head_names(model), *_counts(model))


def leaves(names: Sequence[str] | dict[str, Any]) -> list[str]:
    """The distinct last parts of module names, in order of first use."""
    return list(dict.fromkeys(n.split(".")[-1] for n in names))


def _check_heads(model: Any, heads: Sequence[str]) -> None:
    """PEFT knows what it trains whole by the end of the name: raise where that is the end of another name too."""
    for head in heads:
        alike = [n for n, _ in model.named_modules() if n.endswith(head) and n not in heads]
        if alike:
            raise FairauditError(
                f"the head '{head}' cannot be told from '{alike[0]}', whose name ends alike; give it a name of its own."
            )


def _shortest(model: Any, targets: Sequence[str]) -> list[str] | str:
    """Last parts where they name exactly the targets, else full names: adapters stay readable.

    A pattern of full names where one of them ends another module's name, which PEFT would take for it.
    """
    ends = {n.split(".")[-1] for n in targets}
    named = [n for n, _ in model.named_modules() if n.split(".")[-1] in ends]
    if set(named) == set(targets):
        return sorted(ends)
    others = [n for n, _ in model.named_modules() if n not in targets]
    if any(other.endswith(f".{target}") for other in others for target in targets):
        return "|".join(map(re.escape, targets))
    return list(targets)


def _counts(model: Any) -> tuple[int, int]:
    """Trainable and all parameters; the frozen original PEFT keeps beside a trained head is not counted."""
    named = model.named_parameters()
    sizes = [(p.numel(), p.requires_grad) for n, p in named if ".original_module." not in n]
    return sum(n for n, train in sizes if train), sum(n for n, _ in sizes)
