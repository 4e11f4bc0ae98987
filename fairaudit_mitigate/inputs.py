"""From the inputs of the rows to tensors: image decoding, the model's own preprocessing, batches.

Images are decoded when first asked for and the finished tensors are kept up to a bounded size (1 GiB by
default), first come, first kept. Training visits the rows in a new random order each epoch, so evicting
anything would only trade one row for another: what fits is decoded once, the rest each time, and nothing
has to be encoded before the first step. No augmentation: the same row gives the same tensor every time.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor
from torch.utils.data import Dataset

from fairaudit.errors import FairauditError
from fairaudit_mitigate.bulk import Bulk, BulkPreprocessor
from fairaudit_mitigate.layouts import Cropped
from fairaudit_mitigate.rows import Inputs

CACHE_BYTES = 2**30
LABELS, GROUPS = "labels", "groups"


@dataclass(frozen=True, slots=True, eq=False)
class Preprocessor:
    """The image processor or tokenizer of a model. `extra` is passed to the model with every batch."""

    kind: str
    processor: Any
    max_length: int = 512
    extra: tuple[tuple[str, object], ...] = ()

    def encode(self, value: bytes | Path | Cropped | str, name: str) -> dict[str, Any]:
        """One row: `pixel_values` [channels, height, width], or token ids. Errors call the row `name`."""
        if self.kind == "text":
            found = dict(self.processor(str(value), truncation=True, max_length=self.max_length))
            return found if found["input_ids"] else self._of_nothing()
        image = decode(value, name)
        return {"pixel_values": self.processor(images=image, return_tensors="pt")["pixel_values"][0]}

    def _of_nothing(self) -> dict[str, Any]:
        """An empty text where the tokenizer puts no start or end on texts: a model needs one token at least."""
        token = self.processor.bos_token_id
        return {"input_ids": [self.processor.pad_token_id if token is None else token], "attention_mask": [1]}

    def collate(self, items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """A batch: images stacked, texts padded to the longest; labels and groups as int64 tensors."""
        plain = {k: torch.tensor([item[k] for item in items]) for k in (LABELS, GROUPS) if k in items[0]}
        if self.kind == "text":
            rows = [{k: v for k, v in item.items() if k not in plain} for item in items]
            batch = dict(self.processor.pad(rows, return_tensors="pt"))
        else:
            batch = {"pixel_values": torch.stack([item["pixel_values"] for item in items])}
        return {**batch, **plain, **dict(self.extra)}

    def save(self, folder: Path) -> None:
        """Write the processor's own files, so that the folder predicts as it was trained."""
        self.processor.save_pretrained(folder)


AnyPreprocessor: TypeAlias = Preprocessor | BulkPreprocessor


def one_by_one(preprocessor: AnyPreprocessor) -> Preprocessor:
    """The preprocessor of images or texts. Raises FairauditError for that of a model of numbers."""
    if isinstance(preprocessor, BulkPreprocessor):
        raise FairauditError(
            "--adapt last-K is for models of images and texts; a model of numbers is fast as it is."
        )
    return preprocessor


def decode(value: bytes | Path | Cropped | str, name: str) -> Image.Image:
    """The image as RGB. Raises FairauditError that names the row where it does not decode."""
    if isinstance(value, str):
        raise TypeError("an image is bytes or a path")
    if isinstance(value, Cropped):
        whole = decode(value.path, name)
        return whole.crop((0, 0, whole.width, max(1, whole.height - value.bottom)))
    try:
        with Image.open(io.BytesIO(value) if isinstance(value, bytes) else value) as image:
            return image.convert("RGB")
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        reason = "not an image" if isinstance(error, UnidentifiedImageError) else str(error).rstrip(".")
        raise FairauditError(
            f"the image of row '{name}' does not decode: {reason}; replace it or drop the row."
        ) from error


class Encoded(Dataset[dict[str, Any]]):
    """Rows as model inputs, with labels and group ids; finished tensors are kept while they fit.

    Tables and arrays become tensors at once, and a batch is a slice of them: no work a row.
    """

    def __init__(
        self,
        inputs: Inputs,
        names: Sequence[str],
        preprocessor: AnyPreprocessor,
        labels: Sequence[int],
        groups: Sequence[int] | None = None,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        self._inputs, self._names, self._preprocessor = inputs, names, preprocessor
        self._labels, self._groups = labels, groups
        self._room = cache_bytes
        self._kept: dict[int, dict[str, Any]] = {}
        self._whole: dict[str, Tensor] | None = None
        if isinstance(preprocessor, BulkPreprocessor) and isinstance(inputs, Bulk):
            plain = {LABELS: labels} if groups is None else {LABELS: labels, GROUPS: groups}
            self._whole = preprocessor.whole(inputs)
            self._whole |= {k: torch.tensor(v, dtype=torch.int64) for k, v in plain.items()}

    def __len__(self) -> int:
        return len(self._inputs)

    def __getitems__(self, indices: Sequence[int]) -> Any:
        """Rows as a list of items, or, where they are tensors already, as the batch itself."""
        if self._whole is None:
            return [self[i] for i in indices]
        at = torch.as_tensor(indices, dtype=torch.int64)
        return {k: v[at] for k, v in self._whole.items()}

    def __getitem__(self, index: int) -> dict[str, Any]:
        if self._whole is not None:
            return {k: v[index] for k, v in self._whole.items()}
        item = {**self._encoded(index), LABELS: self._labels[index]}
        return item if self._groups is None else {**item, GROUPS: self._groups[index]}

    def _encoded(self, index: int) -> dict[str, Any]:
        if index in self._kept:
            return self._kept[index]
        if isinstance(self._preprocessor, BulkPreprocessor) or isinstance(self._inputs, Bulk):
            raise TypeError("a model of numbers reads tables or arrays, and nothing else does")
        encoded = self._preprocessor.encode(self._inputs[index], self._names[index])
        size = sum(_size(v) for v in encoded.values())
        if size <= self._room:
            self._kept[index] = encoded
            self._room -= size
        return encoded


def _size(value: object) -> int:
    if isinstance(value, Tensor):
        return value.numel() * value.element_size()
    return 28 * len(value) if isinstance(value, Sequence) else 0
