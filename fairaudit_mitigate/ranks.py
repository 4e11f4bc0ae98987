"""Several processes train one model (torchrun): who leads, and what the others are told.

Rank 0 leads: it reads, predicts, audits, writes and speaks. The others only train with it. Between the steps
of training they wait for a word of the lead; where the lead fails, they are told to leave.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from fairaudit.errors import FairauditError

#: How long the others wait while the lead predicts and audits.
PATIENCE = timedelta(days=7)
_FAILED, _TOGETHER = "the lead has failed", "while all processes train"
#: What torch says where the other end of a collective is gone.
_GONE = re.compile(r"closed by peer|connection reset|broken pipe|gloo|nccl", re.IGNORECASE)
ERROR = 2


def world() -> int:
    """How many processes train together; 1 without a launcher."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "LOCAL_RANK" in os.environ else 1


def leads() -> bool:
    """Whether this process is the one that writes and speaks."""
    return world() == 1 or os.environ.get("RANK", "0") == "0"


def join(cpu: bool) -> None:
    """Meet the other processes, where there are any: gloo on the CPU, else the accelerator's own way."""
    if world() > 1:
        from accelerate import PartialState

        PartialState(cpu=cpu, backend="gloo" if cpu else None, timeout=PATIENCE)


def wait() -> None:
    """Until every process is here."""
    if world() > 1:
        from torch import distributed

        distributed.barrier()


def tell(word: object) -> None:
    """Give the others a word (the lead's part of `hear`)."""
    if world() > 1:
        from torch import distributed

        distributed.broadcast_object_list([word], src=0)


def hear() -> Any:
    """The lead's word. Leaves, silently, where the lead has failed: it has said why."""
    from torch import distributed

    words: list[Any] = [None]
    distributed.broadcast_object_list(words, src=0)
    if words[0] == _FAILED:
        raise SystemExit(ERROR)
    return words[0]


@contextmanager
def warning_others() -> Iterator[None]:
    """While the others wait to hear something: where this fails they are told to leave."""
    try:
        yield
    except BaseException as error:
        if _TOGETHER not in getattr(error, "__notes__", ()):  # in training they do not listen
            tell(_FAILED)
        raise


@contextmanager
def together() -> Iterator[None]:
    """While all ranks train. Raises FairauditError where another one has gone."""
    try:
        yield
    except BaseException as error:
        if world() == 1:
            raise
        error.add_note(_TOGETHER)
        if isinstance(error, RuntimeError) and _GONE.search(str(error)):
            gone = FairauditError("another process of this training has failed; its own message says why.")
            gone.add_note(_TOGETHER)
            raise gone from error
        raise


@contextmanager
def silent_unless_leading() -> Iterator[None]:
    """For a command line: what every rank finds wrong is said by the lead; what one finds in training, by that one."""
    try:
        yield
    except FairauditError as error:
        if not leads() and _TOGETHER not in getattr(error, "__notes__", ()):
            raise SystemExit(ERROR) from error
        raise
