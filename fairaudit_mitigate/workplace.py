"""Where the work of one output folder is done until it is whole.

The work of `DIR/out` stands in `DIR/.out.part`, a fixed name, so that a later process finds it. A lock that
dies with its process keeps others away. Inside: `result/`, which is renamed to `out` when everything is in it;
`training/`, the checkpoints; `arguments.json` and `inputs.json`, what the run was asked for and on which files.

A failure, an interruption or a kill leaves the folder where it holds a complete checkpoint, and nothing where
it does not. `out` itself is never there half-written.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from safetensors import SafetensorError

from fairaudit.errors import FairauditError
from fairaudit.store import write_text
from fairaudit_mitigate.checkpoint import newest, step_of
from fairaudit_mitigate.evidence import BEFORE, LOGS
from fairaudit_mitigate.voice import Voice

#: What of the result of an interrupted run is still good: written whole, or only ever appended to.
_STILL_GOOD = (BEFORE, LOGS)
_SHOWN = 3
_CHECKSUM = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Workplace:
    """The places of one run. `resumes`: it goes on from what an earlier process left here."""

    out: Path
    resumes: bool = False

    @property
    def folder(self) -> Path:
        """The folder of the work in progress, beside the output."""
        return self.out.parent / f".{self.out.name}.part"

    @property
    def result(self) -> Path:
        """What becomes the output."""
        return self.folder / "result"

    @property
    def training(self) -> Path:
        """Checkpoints and caches."""
        return self.folder / "training"

    def agree(self, name: str, facts: Mapping[str, Any]) -> None:
        """Record what this run is about; of a resumed run raise FairauditError where it is about something else."""
        path, facts = self.folder / f"{name}.json", _plain(facts)
        if not self.resumes or not path.exists():
            write_text(path, json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
            return
        before = json.loads(path.read_text(encoding="utf-8"))
        differences = _differences(before, facts)
        if differences:
            more = f" and {len(differences) - _SHOWN} more" if len(differences) > _SHOWN else ""
            raise FairauditError(
                f"--resume goes on with the same {name} only: {'; '.join(differences[:_SHOWN])}{more}. "
                f"Give the same, or remove '{self.folder}' to start anew."
            )


@contextmanager
def workplace(out: Path, resume: bool, voice: Voice) -> Iterator[Workplace]:
    """The workplace of `out`, locked; at the end its result is moved to `out` and the rest removed.

    Raises FairauditError where `out` exists or cannot be written, where another process is at work, and where
    an earlier run is unfinished and `resume` is not asked for.
    """
    place = Workplace(out)
    _refuse_existing(out)
    try:
        place.folder.mkdir(parents=True, exist_ok=True)
        with _held(place):
            if out.exists() and newest(place.training) is None:  # another process has finished it just now
                shutil.rmtree(place.folder, ignore_errors=True)
            _refuse_existing(out)
            place = _begin(place, resume, voice)
            try:
                yield place
            except BaseException:
                _leave(place, voice)
                raise
            place.result.rename(out)
            shutil.rmtree(place.folder, ignore_errors=True)
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise FairauditError(f"cannot write '{out}': {reason}; choose another place.") from error


def _refuse_existing(out: Path) -> None:
    if out.exists() or out.is_symlink():
        raise FairauditError(f"the output '{out}' exists; choose another --out or remove it.")


@contextmanager
def _held(place: Workplace) -> Iterator[None]:
    lock = FileLock(place.folder / "lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise FairauditError(
            f"another process is writing '{place.out}'; wait for it or choose another --out."
        ) from error
    try:
        yield
    finally:
        lock.release()


def _begin(place: Workplace, resume: bool, voice: Voice) -> Workplace:
    """The workplace made ready. Raises FairauditError for an unfinished run that nobody asked to resume."""
    found = newest(place.training)
    if found is not None and not resume:
        raise FairauditError(
            f"an unfinished run of '{place.out}' stands at step {step_of(found)}; --resume goes on from there, "
            f"removing '{place.folder}' starts anew."
        )
    if found is None:
        if resume:
            voice.say(f"nothing to resume for '{place.out}': the run starts at the beginning.")
        _empty(place.folder, ("lock",))
    else:
        voice.say(f"resuming '{place.out}' after step {step_of(found)}.")
        _empty(place.result, _STILL_GOOD)
    place.result.mkdir(exist_ok=True)
    return replace(place, resumes=found is not None)


def _leave(place: Workplace, voice: Voice) -> None:
    """Keep what can be resumed and say so; else leave nothing."""
    found = newest(place.training)
    if found is None:
        shutil.rmtree(place.folder, ignore_errors=True)
    else:
        voice.say(
            f"the checkpoint of step {step_of(found)} is kept in '{found}': --resume goes on from there, "
            f"removing '{place.folder}' starts anew."
        )


def _empty(folder: Path, keep: tuple[str, ...]) -> None:
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.name in keep:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _plain(facts: Mapping[str, Any]) -> Any:
    """The facts as they come back from a file."""
    return json.loads(json.dumps(facts, default=str))


def _differences(before: Any, now: Any, name: str = "") -> list[str]:
    """One phrase for each leaf that is not the same, by its dotted name."""
    if isinstance(before, dict) and isinstance(now, dict):
        keys = dict.fromkeys((*before, *now))
        dotted = {k: f"{name}.{k}" if name else str(k) for k in keys}
        return [d for k in keys for d in _differences(before.get(k), now.get(k), dotted[k])]
    if json.dumps(before) == json.dumps(now):
        return []
    if all(isinstance(v, str) and _CHECKSUM.fullmatch(v) for v in (before, now)):
        return [f"{name} has other contents"]
    return [f"{name} was {_short(before)} and is {_short(now)}"]


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:36]} …{text[-1]}"
