"""A mitigation in a process that is killed (SIGKILL) at a chosen moment. Run as: python killing.py POINT N JSON."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: Point -> what is called there. It is killed in the N-th call, before it does anything …
POINTS = {
    "step": "fairaudit_mitigate.train.FairnessTrainer.training_step",
    "optimiser": "transformers.Trainer._save_optimizer_and_scheduler",
    "generators": "transformers.Trainer._save_rng_state",
    "marker": "fairaudit_mitigate.checkpoint._write_whole",
    "rotation": "transformers.trainer.rotate_checkpoints",
    "records": "fairaudit_mitigate.checkpoint.Complete._append_records",
    "evaluation": "transformers.Trainer.evaluate",
    "artefact": "fairaudit_mitigate.mitigation.save",
    "reading": "fairaudit_mitigate.mitigation._check",
    "audit": "fairaudit_mitigate.mitigation.prove",
    "manifest": "fairaudit_mitigate.evidence.write_manifest",
    "publishing": "shutil.rmtree",
}
#: … or after it has done everything, where only the effect is interesting.
AFTERWARDS = ("records", "marker")


def killed(point: str, n: int, arguments: dict[str, Any]) -> int:
    """Run `mitigate(**arguments)` in a process that kills itself there; its return code."""
    given = json.dumps(arguments, default=str)
    done = subprocess.run(
        [sys.executable, __file__, point, str(n), given], capture_output=True, text=True, check=False
    )
    if done.returncode != -signal.SIGKILL:
        raise AssertionError(f"it was not killed at {point}: {done.returncode}\n{done.stderr}")
    return done.returncode


def _armed(inner: Callable[..., Any], n: int, after: bool) -> Callable[..., Any]:
    calls = []

    def call(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        if len(calls) == n and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        found = inner(*args, **kwargs)
        if len(calls) == n:
            os.kill(os.getpid(), signal.SIGKILL)
        return found

    return call


def _main() -> None:
    point, n, arguments = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
    import importlib

    import torch

    from fairaudit_mitigate import mitigate

    torch.set_num_threads(1)
    parts = POINTS[point].split(".")
    holder: Any = None
    for k in range(len(parts) - 1, 0, -1):
        try:
            holder = importlib.import_module(".".join(parts[:k]))
        except ModuleNotFoundError:
            continue
        for name in parts[k:-1]:
            holder = getattr(holder, name)
        break
    setattr(holder, parts[-1], _armed(getattr(holder, parts[-1]), n, point in AFTERWARDS))
    arguments["out"] = Path(arguments["out"])
    mitigate(**arguments)


if __name__ == "__main__":
    _main()
