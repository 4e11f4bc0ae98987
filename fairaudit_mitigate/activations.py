"""Activations of many rows in one file: written once in chunks, read a batch at a time through a memory map.

A store is a folder named by the checksum of everything its numbers depend on. It appears whole (written under
another name, synced, renamed), so that a run that was killed leaves nothing that another would believe; and
one process writes it while the others who want the same wait at a lock.

Layout: `rows.bin`, the rows one after another; `store.json`, their shape and type; `ends.npy`, only where rows
differ in length: the end of each, in vectors of the last axis.
"""

from __future__ import annotations

import json
import mmap
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fairaudit.errors import FairauditError

_ROWS, _ENDS, _META = "rows.bin", "ends.npy", "store.json"
#: After so many bytes read, their pages leave the process (not the page cache): memory stays flat.
_RELEASE = 2**26


@dataclass(frozen=True, slots=True)
class Wanted:
    """So many rows, to be kept in `dtype` (None: as computed); `ragged`: they differ in length."""

    rows: int
    dtype: str | None = None
    ragged: bool = False


@dataclass(frozen=True, slots=True)
class Form:
    """`computed`: the type the model gave and gets back; `stored`: the one on disk; `shape` of a row or vector."""

    rows: int
    shape: tuple[int, ...]
    computed: str
    stored: str
    ragged: bool


@dataclass(slots=True, eq=False)
class Store:
    """An opened store."""

    form: Form
    data: npt.NDArray[Any]
    ends: npt.NDArray[np.int64] | None
    _read: int = field(default=0, repr=False)

    def rows(self, index: Sequence[int]) -> Tensor:
        """Rows of one shape, [len(index), *shape], in the order asked; read from disk in the order of the file."""
        wanted = np.asarray(index, dtype=np.int64)
        order = np.argsort(wanted, kind="stable")
        found = np.empty((len(wanted), *self.form.shape), self.data.dtype)
        found[order] = self.data[wanted[order]]
        return self._given(found)

    def vectors(self, index: Sequence[int]) -> Tensor:
        """The vectors of ragged rows one after another, [Σ length, width], in the order asked."""
        assert self.ends is not None
        spans = [(int(self.ends[i - 1]) if i else 0, int(self.ends[i])) for i in index]
        return self._given(np.concatenate([self.data[start:end] for start, end in spans]))

    def _given(self, found: npt.NDArray[Any]) -> Tensor:
        self._read += found.nbytes
        if self._read > _RELEASE:
            self._read = 0
            _release(self.data)
        tensor = torch.from_numpy(found).view(getattr(torch, self.form.stored))
        return tensor.to(getattr(torch, self.form.computed))

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return int(self.data.nbytes)


def opened(folder: Path) -> Store | None:
    """The store in that folder; None where there is none, or none that is whole."""
    try:
        form = Form(**json.loads((folder / _META).read_text(encoding="utf-8")))
        form = Form(form.rows, tuple(form.shape), form.computed, form.stored, form.ragged)
        ends = np.load(folder / _ENDS) if form.ragged else None
        count = form.rows if ends is None else int(ends[-1])
        kind = _numpy_type(form.stored)
        if (folder / _ROWS).stat().st_size != count * int(np.prod(form.shape)) * kind.itemsize:
            return None
        data = np.memmap(folder / _ROWS, kind, "r", shape=(count, *form.shape))
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return Store(form, data, ends)


def obtained(
    folder: Path, key: str, wanted: Wanted, chunks: Callable[[], Iterable[Sequence[Tensor]]]
) -> tuple[Store, bool]:
    """The store of that key in `folder`, and whether it was there; else it is written from `chunks`.

    `chunks()` yields lists of rows, `wanted.rows` in all. Raises FairauditError where the disk is full, the
    folder cannot be written, or a number does not fit the type.
    """
    from filelock import FileLock

    place = folder / key
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{key}.lock"):
            found = opened(place)
            if found is not None:
                return found, True
            with _written_whole(place) as part:
                _write(part, wanted, chunks())
    except OSError as error:
        reason = error.strerror or str(error)
        raise FairauditError(f"cannot write activations to '{folder}': {reason}; choose --cache.") from error
    found = opened(place)
    if found is None:
        raise FairauditError(f"the activations in '{place}' cannot be read back; choose another --cache.")
    return found, False


@contextmanager
def _written_whole(place: Path) -> Iterator[Path]:
    """A fresh folder that becomes `place` at the end; what an earlier process left of either is removed."""
    part = place.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    try:
        yield part
        shutil.rmtree(place, ignore_errors=True)
        part.rename(place)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _write(folder: Path, wanted: Wanted, chunks: Iterable[Sequence[Tensor]]) -> None:
    """The files of a store; `store.json` last."""
    lengths: list[int] = []
    with (folder / _ROWS).open("wb") as handle:
        for chunk in chunks:
            first = chunk[0]
            stored = wanted.dtype or _name(first.dtype)
            if not lengths:
                _check_room(folder, wanted.rows * first.numel() * getattr(torch, stored).itemsize)
            _append(handle, torch.cat([row.flatten() for row in chunk]), stored)
            lengths += [len(row) for row in chunk]
        _sync(handle)
    if wanted.ragged:
        with (folder / _ENDS).open("wb") as handle:
            np.save(handle, np.cumsum(np.array(lengths, dtype=np.int64)))
            _sync(handle)
    shape = tuple(first.shape[1:] if wanted.ragged else first.shape)
    form = Form(len(lengths), shape, _name(first.dtype), stored, wanted.ragged)
    with (folder / _META).open("wb") as handle:
        handle.write(json.dumps(asdict(form)).encode())
        _sync(handle)


def _append(handle: BinaryIO, numbers: Tensor, stored: str) -> None:
    kept = numbers.to(getattr(torch, stored))
    if bool((torch.isfinite(numbers) & ~torch.isfinite(kept)).any()):
        raise FairauditError(f"the activations exceed the range of {stored}; give --cache-dtype bfloat16.")
    handle.write(kept.contiguous().view(torch.uint8).numpy().data)


def _check_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise FairauditError(
            f"the activations need {needed / 1e9:.1f} GB and '{folder.parent}' has {free / 1e9:.1f} GB free; "
            "choose another --cache, --cache-dtype float16, or --cache off."
        )


def _sync(handle: BinaryIO) -> None:
    handle.flush()
    os.fsync(handle.fileno())


def _release(data: npt.NDArray[Any]) -> None:
    """Let the pages go that were read; they stay in the system's page cache."""
    held = getattr(data, "_mmap", None)
    if held is not None and hasattr(mmap, "MADV_DONTNEED"):
        held.madvise(mmap.MADV_DONTNEED)


def _numpy_type(stored: str) -> np.dtype[Any]:
    """NumPy has no bfloat16: its bits are read as 16-bit integers and viewed by torch."""
    return np.dtype("int16" if stored == "bfloat16" else stored)


def _name(kind: torch.dtype) -> str:
    return str(kind).removeprefix("torch.")
