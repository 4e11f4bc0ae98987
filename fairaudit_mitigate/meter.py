"""What training costs: seconds by the wall clock, and the most memory it held."""

from __future__ import annotations

import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch


@dataclass(frozen=True, slots=True)
class Meter:
    """Runs from its making. `before`, `most`: what earlier parts of a resumed run came to."""

    device: torch.device
    started: float
    before: float = 0.0
    most: int = 0

    def seconds(self) -> float:
        """Seconds so far, all parts together."""
        return self.before + time.monotonic() - self.started

    def peak(self) -> int:
        """The most bytes so far: of the accelerator where there is one, else of the process (resident)."""
        if self.device.type == "cuda":
            return max(self.most, torch.cuda.max_memory_allocated(self.device))
        return max(self.most, _resident_peak())


def start(device: torch.device, before: float = 0.0, most: int = 0) -> Meter:
    """A meter whose peak begins now, where the system can forget the old one (Linux, CUDA)."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    else:
        _forget_peak()
    return Meter(device, time.monotonic(), before, most)


def _forget_peak() -> None:
    """Have Linux count the resident peak anew from now; elsewhere the peak is that of the process's life."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return


def _resident_peak() -> int:
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
