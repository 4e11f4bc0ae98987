"""The settings of one training run, checked before anything is loaded."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from fairaudit.errors import FairauditError, did_you_mean
from fairaudit_mitigate.loading import LINEAR, PROMPT, check_bits, check_head, check_names
from fairaudit_mitigate.methods import Method, find_method
from fairaudit_mitigate.methods.method import EVERYTHING, MEMORY, TERMS, Terms

SELECT = "worst_group_accuracy"
#: `adapt`: every block. `cache`: none, the activations before the adapted blocks are computed each time.
ALL, OFF = "all", "off"
CACHE_DTYPES = ("float32", "float16", "bfloat16")
_LAST = "last-"
#: Settings of LoRA, and of whoever trains by steps.
_OF_LORA = ("rank", "alpha", "dropout", "targets")
_OF_STEPS = (
    "lr", "epochs", "max_steps", "accumulate", "weight_decay", "warmup", "adapt", "cache", "cache_dtype",
    "eval_every", "save_every", "patience", "checkpoint_gradients", "report_to",
)  # fmt: skip
#: Terms that only the estimate `memory` of a penalty reads.
_OF_MEMORY = ("adjustment", "decay")
#: Where a training can be watched.
TENSORBOARD, MLFLOW = "tensorboard", "mlflow"
REPORTERS = (TENSORBOARD, MLFLOW)


@dataclass(frozen=True, slots=True)
class Settings:
    """How to train. `groups` None: cell if there is an attribute, else class.

    The terms of the objective (the fields of `Terms`) and `lr`, where None: the method's own.
    `adapt`: `all` blocks or `last-K`. `cache`: the folder of the activations before those (kept, and found again
    by any run on the same model and rows), `off`, or None: a temporary one; `cache_dtype` None: exact.
    `head`, `prompt`: of a CLIP checkpoint, see `zero_shot`. `class_names`: of classes that the data only numbers.
    `quantize`: the frozen weights in 4bit or 8bit. `trust_remote_code`: run code that the checkpoint brings.
    """

    method: str = "fairlora"
    groups: str | None = None
    rank: int = 8
    alpha: int = 16
    dropout: float = 0.0
    penalty: float | None = None
    reduction: str | None = None
    sided: str | None = None
    estimate: str | None = None
    sampling: str | None = None
    adjustment: float | None = None
    decay: float | None = None
    targets: tuple[str, ...] = ()
    lr: float | None = None
    epochs: float = 4.0
    max_steps: int | None = None
    batch_size: int = 64
    accumulate: int = 1
    weight_decay: float = 0.0
    warmup: float = 0.05
    seed: int = 0
    select: str = SELECT
    adapt: str = ALL
    cache: str | None = None
    cache_dtype: str | None = None
    eval_every: int | None = None
    save_every: int | None = None
    patience: int | None = None
    checkpoint_gradients: bool = False
    report_to: tuple[str, ...] = ()
    head: str = LINEAR
    prompt: str = PROMPT
    freeze_head: bool = False
    class_names: tuple[str, ...] = ()
    quantize: str | None = None
    trust_remote_code: bool = False

    def __post_init__(self) -> None:
        find_method(self.method)
        _ = self.terms  # checks itself
        if not 0 <= self.seed < 2**32:
            raise FairauditError(f"the seed is a whole number from 0 to 2^32 - 1, not {self.seed}.")
        if self.rank < 1 or self.alpha < 1:
            raise FairauditError(f"rank and alpha of LoRA are 1 or more, not {self.rank} and {self.alpha}.")
        if self.batch_size < 1 or self.accumulate < 1:
            raise FairauditError(
                f"batch size and --accumulate are 1 or more, not {self.batch_size}, {self.accumulate}."
            )
        if not 0 < self.epochs < float("inf") or (self.max_steps is not None and self.max_steps < 1):
            raise FairauditError(
                f"epochs and steps are more than 0, not {self.epochs:g} and {self.max_steps}."
            )
        self._check_pace()
        if not 0 <= self.dropout < 1:
            raise FairauditError(f"LoRA's dropout lies in [0, 1), not {self.dropout}.")
        _check_cache(self.adapt, self.cache, self.cache_dtype)
        check_head(self.head, self.prompt)
        check_names(self.class_names)
        check_bits(self.quantize, trains_weights=self.spec.trains == EVERYTHING)
        if self.freeze_head and not self.spec.adapts:
            raise FairauditError("--freeze-head leaves LoRA to train: choose a LoRA method.")
        if not 0 < self.rate < float("inf"):
            raise FairauditError(f"the learning rate is a finite number above 0, not {self.rate}.")

    def _check_pace(self) -> None:
        for flag, value, low in (
            ("--eval-every", self.eval_every, 1),
            ("--save-every", self.save_every, 0),
            ("--patience", self.patience, 1),
        ):
            if value is not None and value < low:
                raise FairauditError(f"{flag} is a whole number from {low} up, not {value}.")
        for name in self.report_to:
            if name not in REPORTERS:
                known, hint = " and ".join(REPORTERS), did_you_mean(name, REPORTERS)
                raise FairauditError(f"training reports to {known}, not '{name}'.{hint}")

    @property
    def spec(self) -> Method:
        """The method."""
        return find_method(self.method)

    @property
    def terms(self) -> Terms:
        """The terms of the objective: those given, else the method's own."""
        own = self.spec.terms
        given = {name: getattr(self, name) for name in Terms.__dataclass_fields__}
        return replace(own, **{name: value for name, value in given.items() if value is not None})

    def check_read(self) -> None:
        """Raise FairauditError for a setting that is not the default and that is not read."""
        names = self.unread()
        given = [f for f in fields(self) if f.name in names and getattr(self, f.name) not in (f.default, [])]
        if given:
            flag, method = given[0].name.replace("_", "-"), self.method
            if given[0].name in self.spec.reads:
                method = f"--estimate {self.terms.estimate}"
            raise FairauditError(f"--{flag} means nothing to {method}; leave it out (see mitigate --list).")

    def unread(self) -> frozenset[str]:
        """The settings that mean nothing here: to the method, or to the estimate of group losses."""
        of_memory = self.spec.penalises and self.terms.estimate != MEMORY
        return unread_by(self.spec) | (frozenset(_OF_MEMORY) if of_memory else frozenset())

    def read_only(self) -> Settings:
        """The same with everything unread at its default, or at the method's own value."""
        plain: dict[str, Any] = {f.name: f.default for f in fields(self)} | {"lr": self.spec.learning_rate}
        own = plain | asdict(self.spec.terms)
        return replace(self, **{name: own[name] for name in self.unread()})

    def resolved(self) -> Settings:
        """The same with the method's own values where none were given, as a manifest records them."""
        return replace(self, lr=self.rate, **asdict(self.terms))

    @property
    def rate(self) -> float:
        """The learning rate: the one given, else the method's own."""
        return self.spec.learning_rate if self.lr is None else self.lr


def unread_by(method: Method) -> frozenset[str]:
    """The settings that this method does not read, whatever their values."""
    terms = {name for name in TERMS if name not in method.reads}
    lora, steps = () if method.adapts else _OF_LORA, () if method.trains_by_steps else _OF_STEPS
    return frozenset(terms | {*lora, *steps})


def last_blocks(adapt: str) -> int | None:
    """The K of `last-K`; None for `all`. Raises FairauditError for any other word."""
    number = adapt.removeprefix(_LAST)
    if adapt == ALL:
        return None
    if adapt.startswith(_LAST) and number.isascii() and number.isdigit() and int(number) >= 1:
        return int(number)
    raise FairauditError(f"--adapt is all or last-K with K from 1 up (last-4), not '{adapt}'.")


def _check_cache(adapt: str, cache: str | None, dtype: str | None) -> None:
    if last_blocks(adapt) is None and (cache not in (None, OFF) or dtype is not None):
        raise FairauditError("--cache and --cache-dtype hold what --adapt last-K freezes; give that as well.")
    if dtype is not None and dtype not in CACHE_DTYPES:
        raise FairauditError(
            f"--cache-dtype is {', '.join(CACHE_DTYPES)}, not '{dtype}'.{did_you_mean(dtype, CACHE_DTYPES)}"
        )
