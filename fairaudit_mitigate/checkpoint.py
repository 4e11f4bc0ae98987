"""Checkpoints from which a killed run goes on as if nothing had happened.

A folder `checkpoint-STEP` holds what Trainer saves (optimiser, schedule, generators of every rank, its own
state and with it what the objective remembers), what is trained (for LoRA: the adapters and the head, never the
base) and the best step so far. Its marker is written last, after everything else is on the disk: a folder without it
was cut short and counts for nothing, so the one before stays valid. The records of the steps stand in one file
beside them that only grows; the marker says how much of it belongs to the checkpoint.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from fairaudit_mitigate import ranks
from fairaudit_mitigate.keeping import Best, KeepBest, restore, snapshot
from fairaudit_mitigate.meter import Meter
from fairaudit_mitigate.train import FairnessTrainer

MARKER, TRAINED, BEST, RECORDS = "complete.json", "trained.safetensors", "best.safetensors", "history.jsonl"
#: How many complete checkpoints stay.
KEPT = 2


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """One complete checkpoint. `ended`: training was over; `history`: the records of all steps up to it."""

    folder: Path
    step: int
    ended: bool
    seconds: float
    peak_memory: int
    best: Best
    history: list[dict[str, object]]


def newest(folder: Path | None) -> Path | None:
    """The newest complete checkpoint in the folder of a run; None where there is none."""
    complete = [p.parent for p in folder.glob(f"checkpoint-*/{MARKER}")] if folder else []
    return max(complete, key=step_of, default=None)


def step_of(checkpoint: Path) -> int:
    """The step of a checkpoint, from its name."""
    return int(checkpoint.name.rpartition("-")[2])


def read(folder: Path | None) -> Checkpoint | None:
    """The newest complete checkpoint of a run, read; None where there is none."""
    place = newest(folder)
    if place is None:
        return None
    marker = json.loads((place / MARKER).read_text(encoding="utf-8"))
    with (place.parent / RECORDS).open("rb") as handle:
        lines = handle.read(marker["records_bytes"]).decode().splitlines()
    state = dict(load_file(place / BEST)) if (place / BEST).exists() else None
    found = marker["best"]
    best = Best((found["key"][0], found["key"][1]), found["step"], found["metrics"], state)
    return Checkpoint(
        place, marker["step"], marker["ended"], marker["seconds"], marker["peak_memory"], best,
        [json.loads(line) for line in lines],
    )  # fmt: skip


def clean(folder: Path, keep: Checkpoint | None) -> None:
    """Remove what does not belong to the checkpoint that a run goes on from: cut-short ones, later records."""
    for other in folder.glob("checkpoint-*"):
        if keep is None or not (other / MARKER).exists():
            shutil.rmtree(other)
    records = folder / RECORDS
    if keep is None:
        records.unlink(missing_ok=True)
    else:
        whole = json.loads((keep.folder / MARKER).read_text(encoding="utf-8"))
        os.truncate(records, whole["records_bytes"])


class LightTrainer(FairnessTrainer):
    """A FairnessTrainer whose checkpoints hold of the model only what is trained, whatever its architecture."""

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Write what is trained, on the rank that writes."""
        if self.args.should_save:
            place = Path(output_dir or str(self.args.output_dir))
            place.mkdir(parents=True, exist_ok=True)
            save_file(snapshot(self.model), place / TRAINED)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        restore(model or self.model, load_file(Path(resume_from_checkpoint) / TRAINED))


class Complete(TrainerCallback):
    """Adds to each of Trainer's checkpoints what is ours, and the marker, when everything is on the disk."""

    def __init__(self, keeper: KeepBest, meter: Meter, resumed: Checkpoint | None) -> None:
        self._keeper, self._meter = keeper, meter
        self._written = len(keeper.records)  # before anything happens: those of the resumed checkpoint
        self._best = None if resumed is None else resumed.folder / BEST

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Complete the checkpoint of this step."""
        ranks.wait()  # every rank has written its generators
        if not state.is_world_process_zero:
            return
        folder = Path(str(args.output_dir))
        place = folder / f"checkpoint-{state.global_step}"
        self._write_best(place, state.global_step)
        best = self._keeper.best
        marker = {
            "step": state.global_step,
            "ended": bool(control.should_training_stop),
            "seconds": self._meter.seconds(),
            "peak_memory": self._meter.peak(),
            "records_bytes": self._append_records(folder / RECORDS),
            "best": {"key": best.key, "step": best.step, "metrics": best.metrics},
        }
        for path in (*place.iterdir(), place, folder):
            _to_disk(path)
        _write_whole(place / MARKER, marker)

    def _write_best(self, place: Path, step: int) -> None:
        """The best step: a second name for a file that is there already wherever that is possible."""
        best, path = self._keeper.best, place / BEST
        if best.state is None:
            return
        same = place / TRAINED if best.step == step else self._best
        try:
            if same is None:
                raise FileNotFoundError
            os.link(same, path)
        except OSError:
            save_file(best.state, path)
        self._best = path

    def _append_records(self, path: Path) -> int:
        """Append the records that are not written yet; the size of the file then."""
        fresh = self._keeper.records[self._written :]
        with path.open("ab") as handle:
            handle.write("".join(json.dumps(r) + "\n" for r in fresh).encode())
            handle.flush()
            os.fsync(handle.fileno())
            self._written += len(fresh)
            return handle.tell()


def _write_whole(path: Path, content: Mapping[str, object]) -> None:
    """Write JSON under another name, bring it to the disk, rename it: the name is there whole or not at all."""
    temporary = path.with_name(f".{path.name}")
    temporary.write_text(json.dumps(content), encoding="utf-8")
    _to_disk(temporary)
    temporary.replace(path)
    _to_disk(path.parent)


def _to_disk(path: Path) -> None:
    """Have the system write a file or folder out (fsync)."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
