"""The whole loop on *digits on places*: report the shipped model, repair it twice, re-audit, three side by side.

Nothing is known beforehand: the data are drawn from the seed, `lora` and `fairlora` get the same budget, and
the λ of `fairlora` is chosen by the validation split alone.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairaudit.errors import FairauditError
from fairaudit.store import write_text
from fairaudit_mitigate import digits
from fairaudit_mitigate.voice import SILENT, Voice

if TYPE_CHECKING:
    from fairaudit import Audit
    from fairaudit_mitigate.mitigation import Mitigation

SENSITIVE, CLUSTER = "place", "digit"
DATA = "digits_on_places.parquet"
SELECT = "worst_group_accuracy"


@dataclass(frozen=True, slots=True)
class Budget:
    """What each training run gets. `penalties`: the λ that `fairlora` tries, chosen on validation."""

    train_rows: int = digits.TRAIN_ROWS
    epochs: float = 2
    max_steps: int | None = None
    batch_size: int = 128
    lr: float = 3e-3
    rank: int = 8
    penalties: tuple[float, ...] = (0.1, 1.0)

    def training(self) -> dict[str, Any]:
        """The arguments of `mitigate` that every method gets alike."""
        names = ("epochs", "max_steps", "batch_size", "lr", "rank")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, slots=True, eq=False)
class Tried:
    """One λ: the worst cell and the accuracy it reached on validation; the test rows have no say in the choice."""

    penalty: float
    worst: float
    accuracy: float


@dataclass(frozen=True, slots=True, eq=False)
class Demo:
    """What came of it: the two repairs of one model (`lora.before` is `fairlora.before`), and the λ tried."""

    out: Path
    seed: int
    lora: Mitigation
    fairlora: Mitigation
    tried: tuple[Tried, ...]
    penalty: float
    seconds: float

    @property
    def audits(self) -> dict[str, Audit]:
        """The three audits of the test rows by name, in the order in which they are shown."""
        return {"before": self.lora.before, "lora": self.lora.after, "fairlora": self.fairlora.after}


def model_folder() -> Path:
    """The folder of the shipped model: a ViT that has learnt the place instead of the digit."""
    return Path(str(files("fairaudit_mitigate.assets") / "digits_on_places"))


def run(
    out: str | Path,
    seed: int = 0,
    *,
    budget: Budget | None = None,
    voice: Voice = SILENT,
    flagged: Callable[[Audit], None] | None = None,
) -> Demo:
    """Run the demo into the new folder `out`. `flagged` gets the audit of the model before any repair.

    Raises FairauditError where `out` exists or cannot be written; after any failure `out` is not there.
    """
    start = time.monotonic()
    chosen = budget or Budget()
    with _folder(Path(out)) as folder:
        voice.say(f"drawing digits on places with seed {seed}.")
        data = digits.write(folder / DATA, seed, chosen.train_rows)
        audit = _audit_before(data, voice)
        if flagged is not None:
            flagged(audit)
        voice.say("lora:")
        lora = _mitigate(data, folder / "lora", chosen, voice, seed=seed, method="lora")
        tried, fairlora = _choose(data, folder, chosen, voice, seed)
        write_text(folder / "audit_lora.json", lora.after.to_json())
    penalty = float(fairlora.manifest["arguments"]["settings"]["penalty"])
    return Demo(folder, seed, lora, fairlora, tried, penalty, time.monotonic() - start)


@contextmanager
def _folder(out: Path) -> Iterator[Path]:
    """Make the folder; remove it on any failure. Not a temporary one: what is written inside names its place."""
    if out.exists() or out.is_symlink():
        raise FairauditError(f"the output '{out}' exists; choose another --out or remove it.")
    try:
        out.mkdir(parents=True)
    except OSError as error:
        raise FairauditError(f"cannot write '{out}': {error.strerror}; choose another place.") from error
    try:
        yield out
    except BaseException:
        shutil.rmtree(out, ignore_errors=True)
        raise


def _audit_before(data: Path, voice: Voice) -> Audit:
    """The audit of the shipped model on the test rows."""
    import fairaudit
    from fairaudit_mitigate.data import TEST, Columns
    from fairaudit_mitigate.predictions import predict
    from fairaudit_mitigate.reaudit import ROLES

    columns = Columns(cluster=CLUSTER)
    found = predict(model_folder(), data, split=TEST, sensitive=[SENSITIVE], columns=columns, voice=voice)
    roles: dict[str, Any] = {**ROLES, "sensitive": [SENSITIVE], "cluster": CLUSTER}
    return fairaudit.audit(found, positive=digits.POSITIVE, **roles)


def _mitigate(data: Path, out: Path, budget: Budget, voice: Voice, **options: Any) -> Mitigation:
    from fairaudit_mitigate.data import Columns
    from fairaudit_mitigate.mitigation import mitigate

    return mitigate(
        model_folder(), data, out=out, sensitive=[SENSITIVE], columns=Columns(cluster=CLUSTER), groups="cell",
        positive=digits.POSITIVE, select=SELECT, voice=voice, **budget.training(), **options,
    )  # fmt: skip


def _choose(
    data: Path, folder: Path, budget: Budget, voice: Voice, seed: int
) -> tuple[tuple[Tried, ...], Mitigation]:
    """Train with every λ, keep in `folder` the one whose worst cell on validation is best, remove the others."""
    runs: list[tuple[Tried, Mitigation]] = []
    for penalty in budget.penalties:
        place = folder / f"fairlora-{penalty:g}"
        voice.say(f"fairlora with λ = {penalty:g}:")
        done = _mitigate(data, place, budget, voice, seed=seed, method="fairlora", penalty=penalty)
        reached = done.manifest["results"]["validation"]
        runs.append((Tried(penalty, reached[SELECT], reached["accuracy"]), done))
    best, kept = max(runs, key=lambda run: (run[0].worst, run[0].accuracy))
    for _, other in runs:
        if other is kept:
            for part in other.out.iterdir():
                part.rename(folder / part.name)
        shutil.rmtree(other.out)
    voice.say(f"validation chose λ = {best.penalty:g} among {', '.join(f'{t.penalty:g}' for t, _ in runs)}.")
    return tuple(t for t, _ in runs), replace(kept, out=folder)
