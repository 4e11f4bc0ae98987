"""What a sweep is to compare, as values: data sets, models, runs, and what validation chooses among."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any

from fairaudit.errors import FairauditError, did_you_mean
from fairaudit_mitigate.data import Columns
from fairaudit_mitigate.methods import find_method
from fairaudit_mitigate.methods.method import EVERYTHING, NOTHING
from fairaudit_mitigate.mlp_config import own_rate
from fairaudit_mitigate.settings import SELECT, Settings

KEEP = ("none", "best", "all")
SEED = "seed"


@dataclass(frozen=True, slots=True)
class DataSpec:
    """One data set. `agreement`: from a class to the group it should not betray, for `sensitive_accuracy`."""

    name: str
    path: str
    columns: Columns = field(default_factory=Columns)
    sensitive: tuple[str, ...] = ()
    positive: str | None = None
    agreement: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One model: a folder or a hub id, and how it is loaded."""

    name: str
    path: str
    new_head: bool = False
    image_size: int | None = None


@dataclass(frozen=True, slots=True)
class RunSpec:
    """One method under one name. `lists`: field of Settings -> the values it takes; `data`, `models`: where."""

    name: str
    lists: Mapping[str, tuple[Any, ...]]
    data: tuple[str, ...]
    models: tuple[str, ...]
    dtype: str = "auto"


@dataclass(frozen=True, slots=True)
class Tune:
    """The fields that validation chooses first, with one seed."""

    over: tuple[str, ...]
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole sweep. `select`: a metric or the path of a policy.

    `metrics`: those of the table (none: the panel); `family`: those that are tested (none: all of the table);
    `search`: field -> least and greatest value that `--search` tries.
    """

    name: str
    data: tuple[DataSpec, ...]
    models: tuple[ModelSpec, ...]
    runs: tuple[RunSpec, ...]
    select: str = SELECT
    reference: str = "lora"
    keep: str = "none"
    tune: Tune | None = None
    metrics: tuple[str, ...] = ()
    family: tuple[str, ...] = ()
    search: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    text: str = ""

    @property
    def is_policy(self) -> bool:
        """Whether a policy file chooses."""
        return self.select.endswith(".toml")

    @property
    def choice(self) -> str:
        """What chooses, by content: another policy under the same name chooses anew."""
        if not self.is_policy:
            return self.select
        return f"{self.select} {hashlib.sha256(Path(self.select).read_bytes()).hexdigest()[:16]}"

    def spec(self, data: str) -> DataSpec:
        """The data set of this name."""
        return next(d for d in self.data if d.name == data)

    def model(self, name: str) -> ModelSpec:
        """The model of this name."""
        return next(m for m in self.models if m.name == name)


@dataclass(frozen=True, slots=True)
class Contest:
    """Settings of one run among which validation chooses with one seed; the winner runs over the seeds.

    One candidate: nothing to choose. `candidates` carry the seed of the choice.
    """

    run: str
    data: str
    model: str
    dtype: str
    candidates: tuple[Settings, ...]
    seeds: tuple[int, ...]

    def finals(self, winner: Settings) -> tuple[Settings, ...]:
        """The winner with each seed."""
        return tuple(replace(winner, seed=seed) for seed in self.seeds)

    def __str__(self) -> str:
        return f"{self.data} · {self.model} · {self.run}"


def contests(plan: Plan) -> tuple[Contest, ...]:
    """Every contest of the plan: data set by data set, model by model, run by run."""
    return tuple(
        contest
        for data, model in product(plan.data, plan.models)
        for run in plan.runs
        if data.name in run.data and model.name in run.models
        for contest in _of_run(run, data.name, model, plan.tune)
    )


def _of_run(run: RunSpec, data: str, model: ModelSpec, tune: Tune | None) -> Iterator[Contest]:
    over = {k: v for k, v in run.lists.items() if tune is not None and k in tune.over}
    seeds = run.lists.get(SEED, (0,))
    rest = {k: v for k, v in run.lists.items() if k not in over and k != SEED}
    first = seeds[0] if tune is None or not over else tune.seed
    for fixed in combinations(rest):
        tried = [settings_of({**fixed, **chosen, SEED: first}, model.path) for chosen in combinations(over)]
        yield Contest(run.name, data, model.name, run.dtype, tuple(dict.fromkeys(tried)), seeds)


def settings_of(values: Mapping[str, Any], model: str = "") -> Settings:
    """The settings with the method's own values where none are given, for this model (an MLP has a rate of its own).

    Raises FairauditError as they do, and for a method that trains nothing.
    """
    everything = find_method(values["method"]).trains == EVERYTHING
    found = Settings(**own_rate(model, values, everything))
    if found.spec.trains == NOTHING:
        raise FairauditError(
            f"{found.method} trains nothing, so a sweep cannot run it; leave it out, or use "
            f"`fairaudit mitigate PREDICTIONS --method {found.method}`."
        )
    return found.resolved()


def combinations(lists: Mapping[str, Sequence[Any]]) -> Iterator[dict[str, Any]]:
    """Every combination of one value from each list.

    >>> list(combinations({"a": [1, 2], "b": [3]}))
    [{'a': 1, 'b': 3}, {'a': 2, 'b': 3}]
    """
    for values in product(*lists.values()):
        yield dict(zip(lists, values, strict=True))


def moved(plan: Plan, data: Sequence[str] = (), models: Sequence[str] = ()) -> Plan:
    """The plan with other places for its data sets and models, given as `NAME=PATH`."""
    for given in data:
        name, path = _pair(given, "--data", [d.name for d in plan.data])
        plan = replace(plan, data=tuple(replace(d, path=path) if d.name == name else d for d in plan.data))
    for given in models:
        name, path = _pair(given, "--model", [m.name for m in plan.models])
        plan = replace(
            plan, models=tuple(replace(m, path=path) if m.name == name else m for m in plan.models)
        )
    return plan


def _pair(given: str, flag: str, known: Sequence[str]) -> tuple[str, str]:
    name, equals, path = given.partition("=")
    if not equals and len(known) == 1:
        name, path = known[0], given
    if not path:
        raise FairauditError(
            f'{flag} takes NAME=PATH, as in {flag} "{known[0]}=/where/it/is", not "{given}".'
        )
    if name not in known:
        raise FairauditError(
            f"{flag} names '{name}', which is not in the plan ({', '.join(known)}).{did_you_mean(name, known)}"
        )
    return name, str(Path(path).expanduser())
