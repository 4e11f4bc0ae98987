"""`--search N`: Optuna looks for λ, rank and learning rate on validation; the winner then runs as any other.

One study for each data set, model and run. TPE is seeded anew for each trial, from the seed of the plan and the
number of the trial, and the trials lie in the folder of the sweep: a search that was interrupted goes on as if it
had not been.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairaudit.errors import FairauditError
from fairaudit_mitigate.settings import Settings
from fairaudit_mitigate.sweeping.cells import Record
from fairaudit_mitigate.sweeping.plan import (
    SEED,
    Contest,
    ModelSpec,
    Plan,
    RunSpec,
    combinations,
    settings_of,
)

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import Trial

STORE = "search.log"
FIELDS = ("penalty", "rank", "lr")
#: Where nothing else is said; the learning rate: a tenth to ten times the method's own.
BOUNDS: Mapping[str, tuple[float, float]] = {"penalty": (0.001, 10.0), "rank": (1, 64)}


@dataclass(frozen=True, slots=True)
class Space:
    """What is searched for one run on one data set and model. `base`: the rest of the settings."""

    base: Contest
    bounds: Mapping[str, tuple[float, float]]

    def __str__(self) -> str:
        """The run and the bounds of what is searched."""
        return f"{self.base}: " + ", ".join(
            f"{k} {low:g} to {high:g}" for k, (low, high) in self.bounds.items()
        )

    @property
    def name(self) -> str:
        """The name of its study: the run, and everything that is fixed in it."""
        fixed = repr((self.base.candidates, sorted(self.bounds.items())))
        return f"{self.base} {hashlib.sha256(fixed.encode()).hexdigest()[:8]}"


def spaces(plan: Plan) -> tuple[Space, ...]:
    """What is searched, contest by contest.

    The bounds of a field are those of `[search]`, else the least and greatest of a list, else `BOUNDS`; a field with
    one value in the plan is fixed. λ is searched only for methods with a penalty, rank only for those with LoRA,
    the learning rate only for those that train by steps.
    """
    return tuple(
        space
        for data in plan.data
        for model in plan.models
        for run in plan.runs
        if data.name in run.data and model.name in run.models
        for space in _of_run(run, data.name, model, plan)
    )


def _of_run(run: RunSpec, data: str, model: ModelSpec, plan: Plan) -> Iterator[Space]:
    usual = settings_of({"method": run.lists["method"][0]}, model.path).rate
    bounds = _bounds(run, plan, usual)
    seeds = run.lists.get(SEED, (0,))
    first = plan.tune.seed if plan.tune is not None else seeds[0]
    rest = {k: v for k, v in run.lists.items() if k not in bounds and k != SEED}
    for values in combinations(rest):
        base = settings_of({**values, SEED: first}, model.path)
        yield Space(Contest(run.name, data, model.name, run.dtype, (base,), seeds), bounds)


def _bounds(run: RunSpec, plan: Plan, rate: float) -> dict[str, tuple[float, float]]:
    spec = Settings(method=run.lists["method"][0]).spec
    has = {"penalty": spec.penalises, "rank": spec.adapts, "lr": spec.trains_by_steps}
    found: dict[str, tuple[float, float]] = {}
    for name in FIELDS:
        values = run.lists.get(name, ())
        if not has[name]:
            continue
        if name in plan.search:
            found[name] = plan.search[name]
        elif len(values) > 1 and min(values) > 0:
            found[name] = (min(values), max(values))
        elif not values:
            found[name] = BOUNDS.get(name, (rate / 10, rate * 10))
    return found


@dataclass(frozen=True, slots=True)
class Searcher:
    """The studies of a sweep. `n`: trials of each; `choice`: what scores them, part of a study's name."""

    folder: Path
    n: int
    choice: str

    def contest(self, space: Space) -> Contest:
        """The contest among the trials so far; the base where there is none."""
        found = [self._settings(space, t.params) for t in self.study(space).trials if t.state.is_finished()]
        return replace(space.base, candidates=tuple(dict.fromkeys(found)) or space.base.candidates)

    def left(self, space: Space) -> int:
        """How many trials are missing."""
        return max(0, self.n - sum(t.state.is_finished() for t in self.study(space).trials))

    def search(self, space: Space, run: Callable[[Settings], Record]) -> Contest:
        """Make the missing trials, one after the other, and return the contest among all."""
        from optuna.trial import TrialState

        study = self.study(space)
        for stale in study.get_trials(
            states=(TrialState.RUNNING,)
        ):  # a search was killed in the middle of it
            whole = set(stale.params) == set(space.bounds)
            self._tell(study, stale.number, run(self._settings(space, stale.params)) if whole else None)
        while self.left(space):
            number = len(study.trials)
            study.sampler = _sampler(space.base.candidates[0].seed, number)
            trial = study.ask()
            found = {k: _suggested(trial, k, *space.bounds[k]) for k in space.bounds}
            self._tell(study, trial.number, run(self._settings(space, found)))
        return self.contest(space)

    def study(self, space: Space) -> Study:
        """The study of this space, as it is on disk."""
        optuna = imported()
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        self.folder.mkdir(parents=True, exist_ok=True)
        storage = JournalStorage(JournalFileBackend(str(self.folder / STORE)))
        name = f"{space.name} by {self.choice}"
        found: Study = optuna.create_study(
            storage=storage, study_name=name, direction="maximize", load_if_exists=True
        )
        return found

    def _settings(self, space: Space, values: Mapping[str, Any]) -> Settings:
        return replace(space.base.candidates[0], **values)

    def _tell(self, study: Study, number: int, record: Record | None) -> None:
        from optuna.trial import TrialState

        value = math.nan if record is None or not record.done else objective(record.score)
        if math.isnan(value):
            study.tell(number, state=TrialState.FAIL)
        else:
            study.tell(number, value)


def objective(score: Sequence[float]) -> float:
    """A score as one number, for the search: each further number counts a thousandth of the one before.

    >>> objective((0.5, 0.9))
    0.5009
    """
    return math.fsum(v / 1000**k for k, v in enumerate(score))


def imported() -> Any:
    """Optuna, without its running commentary. Raises FairauditError where it is not installed."""
    try:
        import optuna
    except ImportError as error:
        raise FairauditError(
            "--search needs optuna, which is not installed; install the extra 'search' of fairaudit-toolkit."
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _sampler(seed: int, number: int) -> Any:
    import numpy as np
    from optuna.samplers import TPESampler

    return TPESampler(seed=int(np.random.SeedSequence((seed, number)).generate_state(1)[0]))


def _suggested(trial: Trial, name: str, low: float, high: float) -> float | int:
    if name == "rank":
        return trial.suggest_int(name, int(low), int(high), log=True)
    return trial.suggest_float(name, low, high, log=True)
