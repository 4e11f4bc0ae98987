"""Predictions: from a classifier and rows to the table that `fairaudit report` reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from fairaudit.errors import FairauditError
from fairaudit.labels import ordered
from fairaudit.store import replacing
from fairaudit_mitigate.classifier import Classifier, Request, load
from fairaudit_mitigate.data import Columns, Rows, read_rows
from fairaudit_mitigate.device import AUTO, mixed, pick_device, pick_dtype
from fairaudit_mitigate.inputs import LABELS, AnyPreprocessor, Encoded
from fairaudit_mitigate.loading import LINEAR, PROMPT, ZERO_SHOT, check_head
from fairaudit_mitigate.outputs import logits_in
from fairaudit_mitigate.voice import SILENT, Say, Voice, silent

if TYPE_CHECKING:
    import pandas
    import pyarrow

ALL = "all"


@dataclass(frozen=True, slots=True)
class Hardware:
    """Where and how the forward passes run."""

    batch_size: int = 64
    device: str = AUTO
    dtype: str = AUTO

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise FairauditError(f"the batch size is 1 or more, not {self.batch_size}.")


def predict(
    model: Any,
    data: Any,
    *,
    out: str | Path | None = None,
    split: str = ALL,
    sensitive: Iterable[str] = (),
    columns: Columns | None = None,
    hardware: Hardware | None = None,
    image_size: int | None = None,
    base: str | None = None,
    head_module: str | None = None,
    classes: Sequence[str] = (),
    head: str = LINEAR,
    prompt: str = PROMPT,
    trust_remote_code: bool = False,
    voice: Voice = SILENT,
) -> pandas.DataFrame:
    """Predict every row of `data`, or of one split; the table is also written to `out` (Parquet) if given.

    `model`: transformers folder, hub id or PEFT adapter folder, or a torch module (`head_module`, `classes`: see
    `mitigate`). `head`, `prompt`, `classes`: of a CLIP checkpoint that is to classify by its text tower, see
    `zero_shot`. Columns: see `table_of`. Raises
    FairauditError as `read_rows` and `load` do, and where the labels of the data are not those of the
    model.
    """
    if out is not None:
        _check_ending(out)
    rows = read_rows(data, columns, sensitive, voice.say, model)
    chosen = rows if split == ALL else rows.of_split(split)
    check_head(head, prompt)
    if isinstance(model, torch.nn.Module):
        from fairaudit_mitigate.modules import classifier_of

        classifier = classifier_of(model, rows, head_module, classes, say=voice.say)
    else:
        new = tuple(classes) or ordered(set(rows.y_true)) if head == ZERO_SHOT else ()
        request = Request(
            rows.kind, new, False, image_size, base, head, prompt, trust_remote_code=trust_remote_code
        )
        classifier = load(model, request, voice.say)
    names = output_names(rows.y_true, classifier.labels, str(rows.source), voice.say)
    rows = renamed(chosen, names)
    table = predictions_of(classifier, rows, hardware or Hardware(), voice)
    if out is not None:
        write_predictions(table, out)
    frame: pandas.DataFrame = table.to_pandas()
    return frame


def predictions_of(
    classifier: Classifier, rows: Rows, hardware: Hardware, voice: Voice = SILENT
) -> pyarrow.Table:
    """The predictions table of these rows."""
    check_names(rows, classifier.labels)
    targets = target_ids(rows.y_true, classifier.labels, str(rows.source))
    data = Encoded(rows.inputs, rows.ids, classifier.preprocessor, targets, cache_bytes=0)
    logits = logits_of(classifier.model, data, classifier.preprocessor, hardware, voice)
    return table_of(rows, classifier.labels, targets, logits)


def output_names(
    y_true: Sequence[str], labels: Sequence[str], source: str, say: Say = silent
) -> dict[str, str]:
    """The model's name of each label of the data set: the same, or by number where the labels are 0 … K - 1.

    `y_true` are the labels of *all* rows, so that every split is read alike. Numbers count as positions only
    where there are as many classes as outputs, and that is said. Raises FairauditError otherwise.
    """
    found = set(y_true)
    if found <= set(labels):
        return {v: v for v in found}
    if found == {str(k) for k in range(len(labels))}:
        shown = ", ".join(f"{k} is {label}" for k, label in enumerate(labels[:3]))
        say(f"the labels of '{source}' are read as positions of the model's outputs: {shown}.")
        return {str(k): label for k, label in enumerate(labels)}
    strange = ", ".join(sorted(found - set(labels))[:5])
    raise FairauditError(
        f"'{source}' has labels the model does not know ({strange}); it knows {_some(labels)}. "
        "Choose another label column, or give `mitigate` --new-head."
    )


def renamed(rows: Rows, names: Mapping[str, str]) -> Rows:
    """The rows with the model's names as labels."""
    return replace(rows, y_true=tuple(names[v] for v in rows.y_true))


def target_ids(y_true: Sequence[str], labels: Sequence[str], source: str) -> list[int]:
    """The output index of each label, by name. Raises FairauditError for a label the model does not know."""
    index = {label: k for k, label in enumerate(labels)}
    strange = sorted(set(y_true) - set(index))
    if strange:
        raise FairauditError(
            f"'{source}' has labels the model does not know ({', '.join(strange[:5])}); "
            f"it knows {_some(labels)}."
        )
    return [index[v] for v in y_true]


def logits_of(
    model: Any,
    data: Encoded,
    preprocessor: AnyPreprocessor,
    hardware: Hardware,
    voice: Voice = SILENT,
    task: str = "predict",
) -> Tensor:
    """The outputs for every row, [rows, classes], float32 on the CPU; leaves the model in eval mode."""
    device = pick_device(hardware.device)
    dtype = pick_dtype(hardware.dtype, device)
    model.to(device).eval()
    parts = []
    loader = DataLoader(data, batch_size=hardware.batch_size, collate_fn=preprocessor.collate)
    with torch.inference_mode(), mixed(device, dtype):
        for done, batch in enumerate(loader, start=1):
            batch.pop(LABELS)
            on_device = {k: v.to(device) if isinstance(v, Tensor) else v for k, v in batch.items()}
            parts.append(logits_in(model(**on_device)).float().cpu())
            voice.progress(task, done, len(loader))
    return torch.cat(parts)


def table_of(rows: Rows, labels: Sequence[str], targets: Sequence[int], logits: Tensor) -> pyarrow.Table:
    """The predictions as a table, in the columns that a report detects.

    `id`, `split`, `y_true`, `y_pred`, `prob_<label>`, `loss` (natural log), sensitive columns, cluster.
    Probabilities and losses are computed in float64 from the logits. Raises FairauditError as `check_names`.
    """
    import pyarrow

    check_names(rows, labels)
    scores = logits.double().log_softmax(dim=1)
    wanted = torch.tensor(targets, dtype=torch.int64)
    text = pyarrow.string()
    columns: dict[str, Any] = {"id": pyarrow.array(rows.ids, text)}
    if rows.splits is not None:
        columns["split"] = pyarrow.array(rows.splits, text)
    columns["y_true"] = pyarrow.array([labels[k] for k in targets], text)
    columns["y_pred"] = pyarrow.array([labels[k] for k in scores.argmax(dim=1).tolist()], text)
    for k, label in enumerate(labels):
        columns[f"prob_{label}"] = pyarrow.array(scores[:, k].exp().numpy())
    columns["loss"] = pyarrow.array((-scores.gather(1, wanted[:, None])[:, 0]).numpy())
    extra = dict(rows.sensitive)
    if rows.cluster is not None:
        extra[rows.cluster[0]] = rows.cluster[1]
    for name, values in extra.items():
        columns.setdefault(name, pyarrow.array(values, text))
    return pyarrow.table(columns)


def check_names(rows: Rows, labels: Sequence[str]) -> None:
    """Raise FairauditError where a sensitive or the cluster column has the name of a column of predictions.

    `id` and `split` may be named where they are the very ids and splits of the rows.
    """
    taken = {"y_true", "y_pred", "loss", *(f"prob_{label}" for label in labels)}
    extra = dict(rows.sensitive) | ({} if rows.cluster is None else {rows.cluster[0]: rows.cluster[1]})
    for name, values in extra.items():
        differs = name == "id" and tuple(values) != rows.ids
        if name in taken or differs or (name == "split" and rows.splits is None):
            raise FairauditError(
                f"the column '{name}' has the name of another column of the predictions; rename it in the data."
            )


def write_predictions(table: pyarrow.Table, path: str | Path) -> None:
    """Write the table as Parquet (zstd), whole or not at all. Raises FairauditError for another ending."""
    import pyarrow.parquet

    _check_ending(path)
    with replacing(path) as temporary:
        pyarrow.parquet.write_table(table, temporary, compression="zstd")


def _check_ending(path: str | Path) -> None:
    if Path(path).suffix not in (".parquet", ".pq"):
        raise FairauditError(
            f"predictions are written as Parquet: end the name with .parquet, not '{Path(path).name}'."
        )


def _some(labels: Sequence[str]) -> str:
    return ", ".join(labels[:10]) + (f", … {len(labels) - 10} more" if len(labels) > 10 else "")
