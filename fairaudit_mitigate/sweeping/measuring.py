"""How long a piece of work took and how much memory it needed at its peak."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass(slots=True)
class Cost:
    """`seconds` of wall time; `peak_memory` in bytes: of the GPU where one is used, else of the process."""

    seconds: float = 0.0
    peak_memory: int | None = None


@contextmanager
def measured(device: str) -> Iterator[Cost]:
    """Measure the block. The peak is null where the system cannot tell it for a part of a process' life.

    `device`: its type. CUDA counts what tensors took. On Linux the kernel's own high-water mark is reset first
    (`clear_refs`), so it counts everything the process holds in memory during the block, not only what was added.
    """
    import torch

    cost = Cost()
    on_gpu = device == "cuda"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    resettable = not on_gpu and _reset()
    start = time.perf_counter()
    try:
        yield cost
    finally:
        cost.seconds = time.perf_counter() - start
        if on_gpu:
            cost.peak_memory = int(torch.cuda.max_memory_allocated())
        elif resettable:
            cost.peak_memory = _high_water()


def _reset() -> bool:
    """Set the kernel's high-water mark of this process back; whether that worked."""
    with suppress(OSError):
        _RESET.write_text("5", encoding="ascii")
        return True
    return False


def _high_water() -> int | None:
    with suppress(OSError, ValueError, IndexError):
        for line in _STATUS.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1])
    return None
