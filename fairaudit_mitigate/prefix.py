"""`--adapt last-K`: training that starts at the first adapted block, from activations computed once.

What comes before that block is frozen, so its output for a row is the same in every epoch: it is computed once,
in evaluation mode (no dropout in what is frozen, cached or not), and read from a memory map afterwards. The
artefact is an ordinary one; before and after training the model runs as a whole.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from fairaudit.errors import FairauditError
from fairaudit_mitigate.activations import Store, Wanted, obtained
from fairaudit_mitigate.blocks import Cut
from fairaudit_mitigate.data import TRAIN, VALIDATION, Rows
from fairaudit_mitigate.device import mixed, pick_device, pick_dtype
from fairaudit_mitigate.groups import Groups
from fairaudit_mitigate.inputs import CACHE_BYTES, GROUPS, LABELS, Encoded, Preprocessor, one_by_one
from fairaudit_mitigate.predictions import target_ids
from fairaudit_mitigate.stem import ACTIVATIONS, Stem, activations, resting, skipping, stem_of
from fairaudit_mitigate.task import Task

FOLDER = ".activations"
_MASK = "attention_mask"
#: Rows encoded twice to see whether the preprocessing is random, and whose encodings name the store.
_SAMPLE = 16
#: What a configuration says of names and files, which no activation depends on.
_NAMES = ("id2label", "label2id", "architectures", "_name_or_path", "transformers_version", "problem_type")


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """The rows of a split: `data` gives their items, `targets` are the labels and groups of all."""

    data: Encoded
    rows: Rows
    preprocessor: Preprocessor
    targets: Mapping[str, Tensor]

    def batch(self, index: Sequence[int]) -> dict[str, Any]:
        """The inputs of these rows as a batch, without labels and groups: what the model takes."""
        fetch = getattr(self.data, "__getitems__", None)
        items = fetch(list(index)) if fetch else [self.data[i] for i in index]
        return {k: v for k, v in self.preprocessor.collate(items).items() if k not in (LABELS, GROUPS)}


class Cached(Dataset[dict[str, Any]]):
    """Rows whose heavy inputs are replaced by their activations; makes whole batches, not items.

    Where the model needs token ids and masks after the stem too, those come from the source, padded as ever.
    """

    def __init__(self, source: Source, store: Store, probe: Mapping[str, Any]) -> None:
        self._source, self._store, self._heavy = source, store, _heavy(probe)
        light = [k for k, v in probe.items() if isinstance(v, Tensor) and k not in self._heavy]
        self._constant = {k: v for k, v in probe.items() if not isinstance(v, Tensor)}
        self._needs_source = bool(light)

    def __len__(self) -> int:
        return self._store.form.rows

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.__getitems__([index])

    def __getitems__(self, index: Sequence[int]) -> dict[str, Any]:
        """The batch of these rows."""
        picked = torch.as_tensor(index)
        batch = dict(self._constant) | {k: v[picked] for k, v in self._source.targets.items()}
        if self._needs_source:
            batch |= {k: v for k, v in self._source.batch(index).items() if k not in self._heavy}
        return {**batch, ACTIVATIONS: self._activations(index, batch)}

    def _activations(self, index: Sequence[int], batch: Mapping[str, Any]) -> Tensor:
        if not self._store.form.ragged:
            return self._store.rows(index)
        mask = batch[_MASK].bool()
        vectors = self._store.vectors(index)
        rows = vectors.new_zeros((*mask.shape, *self._store.form.shape))
        rows[mask] = vectors
        return rows


@contextmanager
def started_at(task: Task, cut: Cut, groups: Groups) -> Iterator[tuple[Any, Any, Any]]:
    """Train data, val data and their collate, for training from the cut on; afterwards the model is as it was.

    Raises FairauditError where the preprocessing is random, the model's forward cannot start at the cut, or
    the activations cannot be written.
    """
    model, device = task.classifier.model, pick_device(task.hardware.device)
    model.to(device)
    train = _source(task, TRAIN, groups)
    probe = _on(train.batch(range(min(2, len(train.data)))), device)
    stem = stem_of(model, cut, probe)
    with _folder_of(task) as folder, skipping(stem, {k: probe[k][0] for k in _heavy(probe)}):
        _prove(stem, probe)
        train_data, val_data = (
            Cached(s, _store(task, stem, s, folder, device), probe)
            for s in (train, _source(task, VALIDATION))
        )
        yield train_data, val_data, _as_it_is


@contextmanager
def frozen_until(task: Task, cut: Cut) -> Iterator[None]:
    """The same training without a cache (`--cache off`): what is frozen works each time, in evaluation mode."""
    model, device = task.classifier.model, pick_device(task.hardware.device)
    probe = _on(_source(task, TRAIN).batch([0]), device)
    with resting(stem_of(model.to(device), cut, probe)):
        yield


def _source(task: Task, split: str, groups: Groups | None = None) -> Source:
    """The rows of a split. Images are read once, so none is kept; texts are needed in every batch."""
    rows, classifier = task.rows.of_split(split), task.classifier
    labels = target_ids(rows.y_true, classifier.labels, str(rows.source))
    kept = CACHE_BYTES if rows.kind == "text" else 0
    data = Encoded(rows.inputs, rows.ids, classifier.preprocessor, labels, cache_bytes=kept)
    targets = {LABELS: torch.tensor(labels)}
    if groups is not None:
        targets[GROUPS] = torch.from_numpy(groups.ids)
    return Source(data, rows, one_by_one(classifier.preprocessor), targets)


def _heavy(batch: Mapping[str, Any]) -> tuple[str, ...]:
    """The inputs that only the stem reads: floating-point ones. Token ids and masks are read later as well."""
    return tuple(k for k, v in batch.items() if isinstance(v, Tensor) and v.is_floating_point())


def _as_it_is(batch: dict[str, Any]) -> dict[str, Any]:
    """The collate of data sets that make whole batches."""
    return batch


@contextmanager
def _folder_of(task: Task) -> Iterator[Path]:
    """The user's cache; else one in the task's folder, removed when training has ended well; else a temporary one."""
    if task.settings.cache is not None:
        yield Path(task.settings.cache)
    elif task.folder is None:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)
    else:
        yield task.folder / FOLDER
        shutil.rmtree(task.folder / FOLDER, ignore_errors=True)


def _prove(stem: Stem, probe: Mapping[str, Any]) -> None:
    """Run the probe both ways. Raises FairauditError where starting at the cut gives other logits."""
    light = {k: v for k, v in probe.items() if k not in _heavy(probe)}
    rows = activations(stem, probe)
    with torch.no_grad():
        whole, started = stem.model(**probe).logits, stem.model(**light, **{ACTIVATIONS: rows}).logits
    if not torch.allclose(whole, started, rtol=1e-5, atol=1e-6 * float(whole.abs().max())):
        raise FairauditError(
            f"the forward of {type(stem.model).__name__} gives other numbers when started at "
            f"'{stem.cut.block}'; give --cache off."
        )


def _store(task: Task, stem: Stem, source: Source, folder: Path, device: torch.device) -> Store:
    """The activations of all rows of a source, from the folder or computed now."""
    n, size = len(source.data), task.hardware.batch_size
    dtype = pick_dtype(task.hardware.dtype, device)
    ragged = _MASK in source.batch([0])
    wanted = Wanted(n, task.settings.cache_dtype, ragged)

    def chunks() -> Iterator[Sequence[Tensor]]:
        for start in range(0, n, size):
            index = range(start, min(start + size, n))
            batch = _on(source.batch(index), device)
            with mixed(device, dtype):
                rows = activations(stem, batch).cpu()
            masks = batch[_MASK].bool().cpu() if ragged else None
            yield list(rows) if masks is None else [r[m] for r, m in zip(rows, masks, strict=True)]
            task.voice.progress("compute activations", index.stop, n)

    key = _key(stem, source, [str(wanted), str(dtype), device.type, torch.__version__])
    store, found = obtained(folder, key, wanted, chunks)
    task.voice.say(
        f"activations of {n:,} rows before block {stem.cut.first + 1} of {stem.cut.count}: "
        f"{store.size / 1e6:,.0f} MB, {'found' if found else 'written'} in {folder}."
    )
    return store


def _key(stem: Stem, source: Source, more: Sequence[str]) -> str:
    """A checksum of all that the activations depend on: weights and form of the stem, rows, their encoding."""
    digest = hashlib.sha256("|".join([*more, str(stem.cut.block), *stem.chain]).encode())
    config = stem.model.config.to_dict() if hasattr(stem.model, "config") else {}
    plain = {k: v for k, v in config.items() if k not in _NAMES}
    digest.update(json.dumps(plain, sort_keys=True, default=str).encode())
    for name in sorted(stem.chain):
        for key, tensor in stem.model.get_submodule(name).state_dict().items():
            digest.update(f"{name}.{key}".encode())
            _add(digest, tensor)
    for value in source.rows.single:
        _add(digest, value)
    _add(digest, _state(source.preprocessor))
    for one in _sample(source):
        for value in one.values():
            _add(digest, value)
    return digest.hexdigest()[:32]


def _state(preprocessor: Any) -> str:
    """What encodes the rows, as text: a sample of rows does not show a tokenizer that differs in a rare word."""
    processor: Any = getattr(preprocessor, "processor", None)  # arrays have none
    fast = getattr(processor, "backend_tokenizer", None)
    if fast is not None:
        return f"{fast.to_str()} {preprocessor.max_length}"
    if hasattr(processor, "get_vocab"):
        return f"{sorted(processor.get_vocab().items())} {preprocessor.max_length}"
    return (
        str(processor.to_json_string())
        if hasattr(processor, "to_json_string")
        else type(preprocessor).__name__
    )


def _sample(source: Source) -> list[dict[str, Any]]:
    """A few encoded rows. Raises FairauditError where encoding one again gives something else."""
    n = len(source.data)
    found = []
    for i in sorted({round(k * (n - 1) / (_SAMPLE - 1)) for k in range(_SAMPLE)}):
        row = source.rows.single[i], source.rows.ids[i]
        one, again = source.preprocessor.encode(*row), source.preprocessor.encode(*row)
        if any(_checksum(v) != _checksum(again[k]) for k, v in one.items()):
            raise FairauditError(
                f"the preprocessing is random (row '{row[1]}' came out different twice), so activations cannot be "
                "kept; switch augmentation off, or give --cache off."
            )
        found.append(one)
    return found


def _checksum(value: Any) -> bytes:
    digest = hashlib.sha256()
    _add(digest, value)
    return digest.digest()


def _add(digest: Any, value: Any) -> None:
    """One value: bytes, text, an array; of a file (cropped or not) its name, size and time."""
    path = getattr(value, "path", value)
    if isinstance(path, Path):
        stat = path.stat()
        value = f"{value}|{stat.st_size}|{stat.st_mtime_ns}"
    if isinstance(value, Tensor):
        value = value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy()
    if not isinstance(value, bytes):
        value = value.tobytes() if hasattr(value, "tobytes") else str(value).encode()
    digest.update(len(value).to_bytes(8, "little"))
    digest.update(value)


def _on(batch: Mapping[str, Any], device: torch.device) -> dict[str, Any]:
    return {k: v.to(device) if isinstance(v, Tensor) else v for k, v in batch.items()}
