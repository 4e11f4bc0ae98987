"""One way of training, a step at a time: what bench_training.py starts once for each way and lets run in turn.

    python benchmarks/training_steps.py write FOLDER MODEL IMAGES '{"rows": 800, "batch_size": 32}'
    python benchmarks/training_steps.py run   FOLDER MODEL NAME   '{"settings": …}'

After each optimiser step `run` writes a line of JSON (seconds since it was let go, CPU seconds, peak memory) and
waits for a line. So a step is all that lies between the ends of two steps: fetching the batch, both passes, the
optimiser, callbacks. `ours` goes through the very `fit` of `fairaudit mitigate`; `plain` is the script that the
documentations of PEFT and of Trainer show, on the same rows, with the same settings.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
import warnings
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import measuring

SIZE, CLASSES, SEED = 56, tuple(str(k) for k in range(10)), 0
VALIDATION = 64


class Baton:
    """Told the end of each step; hands the turn back and waits until it is given again."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)  # what libraries print is no line of ours
        self._start, self._cpu, self._began = time.perf_counter(), time.process_time(), time.perf_counter()

    def pass_on(self, step: int, **more: Any) -> None:
        """Write what the step took and wait; an end of the input ends the process."""
        took, cpu = time.perf_counter() - self._start, time.process_time() - self._cpu
        line = {"step": step, "seconds": took, "cpu": cpu, "peak_mib": measuring.own_peak_mib(), **more}
        self._out.write(json.dumps(line) + "\n")
        self._out.flush()
        if not sys.stdin.readline():
            os._exit(0)
        self._start, self._cpu = time.perf_counter(), time.process_time()


def write(folder: Path, images: Path, rows: int) -> None:
    """`rows` training images and a few to validate on, each with a group drawn by coin."""
    import pyarrow.parquet as pq

    table = pq.read_table(images).slice(0, rows + VALIDATION)
    dice = random.Random(SEED)
    n = len(table)
    for name, values in (
        ("id", [f"i{k}" for k in range(n)]),
        ("colour", [dice.choice(("colour", "grey")) for _ in range(n)]),
        ("split", ["train"] * rows + ["val"] * (n - rows)),
    ):
        table = table.append_column(name, [values])
    pq.write_table(table, folder / "rows.parquet")


def prepared(folder: Path, model: str) -> tuple[Any, Any]:
    """The rows and the classifier with a fresh head."""
    from transformers import set_seed

    from fairaudit_mitigate.classifier import Request, load
    from fairaudit_mitigate.data import Columns, read_rows

    rows = read_rows(folder / "rows.parquet", Columns(image="image", y_true="label"), ("colour",))
    set_seed(SEED)
    return rows, load(model, Request(rows.kind, CLASSES, image_size=SIZE))


def ours(baton: Baton, folder: Path, model: str, settings: dict[str, Any]) -> None:
    """The fit of `fairaudit mitigate`, listened to by its own voice."""
    from fairaudit_mitigate.fit import fit
    from fairaudit_mitigate.predictions import Hardware
    from fairaudit_mitigate.settings import Settings
    from fairaudit_mitigate.task import Task
    from fairaudit_mitigate.voice import Voice

    rows, classifier = prepared(folder, model)
    chosen = Settings(**{**settings, "seed": SEED})
    chunks: list[float] = [time.perf_counter()]

    def progress(task: str, done: int, total: int) -> None:  # noqa: ARG001
        if task.startswith("train "):
            baton.pass_on(done, build=_chunk(chunks))
        else:
            chunks.append(time.perf_counter())

    task = Task(
        classifier, rows, chosen, Hardware(chosen.batch_size, "cpu", "float32"), Voice(progress=progress)
    )
    fit(task)


def _chunk(ends: list[float]) -> float | None:
    """Median seconds of a batch of the cache that was built, where one was."""
    took = sorted(b - a for a, b in pairwise(ends[1:]))
    return took[len(took) // 2] if took else None


def plain(baton: Baton, folder: Path, model: str, settings: dict[str, Any]) -> None:
    """Trainer and PEFT as their documentations have it; the images are read by the same class as ours."""
    from peft import LoraConfig, get_peft_model
    from transformers import Trainer, TrainerCallback, TrainingArguments

    from fairaudit_mitigate.adapter import head_names, lora_targets
    from fairaudit_mitigate.data import TRAIN
    from fairaudit_mitigate.inputs import Encoded

    rows, classifier = prepared(folder, model)
    train, network = rows.of_split(TRAIN), classifier.model
    targets = sorted({name.split(".")[-1] for name in lora_targets(network)})
    config = LoraConfig(r=8, lora_alpha=16, target_modules=targets, modules_to_save=list(head_names(network)))

    class Step(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            baton.pass_on(state.global_step, build=None)

    arguments = TrainingArguments(
        output_dir=str(folder / "plain"), num_train_epochs=settings["epochs"], seed=SEED, use_cpu=True,
        per_device_train_batch_size=settings["batch_size"], learning_rate=1e-3, report_to="none",
        save_strategy="no", remove_unused_columns=False, disable_tqdm=True, dataloader_pin_memory=False,
        logging_strategy="no",
    )  # fmt: skip
    data = Encoded(train.inputs, train.ids, classifier.preprocessor, [int(y) for y in train.y_true])
    trainer = Trainer(get_peft_model(network, config), arguments, train_dataset=data, callbacks=[Step()])
    trainer.train()


def main() -> int:
    """Write the rows, or train."""
    verb, folder, model, name, given = sys.argv[1:]
    settings = json.loads(given)
    if verb == "write":
        write(Path(folder), Path(name), settings["rows"])
        return 0
    ways: dict[str, Callable[..., None]] = {"ours": ours, "plain": plain}
    warnings.simplefilter("ignore")
    ways[name](Baton(), Path(folder), model, settings)
    return 0


if __name__ == "__main__":
    sys.exit(main())
