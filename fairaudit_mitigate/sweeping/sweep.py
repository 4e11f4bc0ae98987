"""The whole sweep: what is finished is left alone, the rest is run, chosen on validation, judged on test."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from fairaudit.errors import FairauditError
from fairaudit.store import write_text
from fairaudit_mitigate.data import TRAIN
from fairaudit_mitigate.device import AUTO
from fairaudit_mitigate.settings import Settings
from fairaudit_mitigate.sweeping.bench import Bench, benches
from fairaudit_mitigate.sweeping.cells import VALIDATION, Cell, Record, Shelf
from fairaudit_mitigate.sweeping.choosing import better, ranked, scorer
from fairaudit_mitigate.sweeping.plan import Contest, Plan, contests
from fairaudit_mitigate.sweeping.results import Entry, Results, write_results
from fairaudit_mitigate.sweeping.running import Runner
from fairaudit_mitigate.sweeping.search import Searcher, Space, spaces
from fairaudit_mitigate.voice import SILENT, Voice

PLAN, LOCK = "plan.toml", ".lock"
TASK = "sweep"


def sweep(
    plan: Plan, out: str | Path, *, only: str = "", device: str = AUTO, retry: bool = False,
    run: bool = True, search: int = 0, voice: Voice = SILENT,
) -> Results:  # fmt: skip
    """Run what is missing of the plan in the folder `out`, and return all that is there.

    `only`: contests whose description holds this text. `retry`: cells that failed are run again. `run` False:
    nothing is run, what is there is read. `search`: that many trials of Optuna for each run, in place of the lists of
    λ, rank and learning rate; the winner runs over the seeds and is judged on test, the others are not.
    A cell that fails is recorded and the others go on. Two processes on one folder: the second raises
    FairauditError, as every problem of plan, data and models does.
    """
    shelf = Shelf(Path(out))
    if not run and not shelf.root.is_dir():
        raise FairauditError(f"there is no sweep in '{out}'; run it first.")
    searcher = Searcher(shelf.root, search, plan.choice) if search else None
    asked = tuple(s for s in spaces(plan) if only in str(s.base)) if search else ()
    every = tuple(s.base for s in asked) or tuple(c for c in contests(plan) if only in str(c) and not search)
    if not every:
        raise FairauditError(f"no run of '{plan.name}' holds '{only}'; --dry-run lists them.")
    found = benches(plan, voice.say)
    check_groups(every, found)
    if run:
        with locked(shelf.root):
            write_text(shelf.root / PLAN, plan.text)
            work = _Work(plan, shelf, found, device, voice)
            try:
                every = work.search(searcher, asked) if searcher else every
                work.everything(every, retry)
            except KeyboardInterrupt:
                voice.say(
                    f"cells that have ended are kept ({work.done} of them now); the same command goes on."
                )
                raise
            shutil.rmtree(shelf.cache, ignore_errors=True)  # large, and quickly computed again
    elif searcher:
        every = tuple(searcher.contest(s) for s in asked)
    results = Results(plan, shelf, tuple(_entries(plan, shelf, found, every)))
    if run:
        write_results(results)
    return results


def check_groups(every: Iterable[Contest], found: Mapping[tuple[str, str], Bench]) -> None:
    """Raise FairauditError, naming the run, where its train rows have nothing to compare: before any cell runs."""
    from fairaudit_mitigate.fit import training_groups

    seen = set()
    for contest in every:
        for settings in contest.candidates:
            what = (contest.data, settings.method, settings.groups)
            if what not in seen:
                seen.add(what)
                rows = found[contest.data, contest.model].table.rows
                try:
                    training_groups(rows.of_split(TRAIN), settings)
                except FairauditError as error:
                    raise FairauditError(f"{contest}: {error}") from error


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder for this process. Raises FairauditError where another one holds it."""
    from filelock import FileLock, Timeout

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / LOCK, timeout=0):
            yield
    except Timeout as error:
        raise FairauditError(
            f"another process runs a sweep in '{folder}'; wait for it, or choose another --out."
        ) from error
    except (OSError, NotImplementedError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise FairauditError(f"cannot write '{folder}': {reason}; choose another --out.") from error


def listing(plan: Plan, out: str | Path, only: str = "", voice: Voice = SILENT) -> list[tuple[Cell, str]]:
    """Every cell that is known before validation has chosen, with what is there of it: `--dry-run`."""
    shelf, found = Shelf(Path(out)), benches(plan, voice.say)
    cells = [c for contest in contests(plan) if only in str(contest) for c in _planned(contest, found)]
    return [(cell, _state(shelf, cell)) for cell in {c.key: c for c in cells}.values()]


def _state(shelf: Shelf, cell: Cell) -> str:
    record = shelf.record(cell.key)
    if record is None:
        return "to run"
    return "done" if record.done else f"failed: {record.reason}"


def _planned(contest: Contest, found: Mapping[tuple[str, str], Bench]) -> Iterator[Cell]:
    bench = found[contest.data, contest.model]
    settings = contest.candidates if len(contest.candidates) > 1 else contest.finals(contest.candidates[0])
    return (bench.cell(s, contest.dtype) for s in settings)


@dataclass(slots=True)
class _Work:
    """The sweep while it runs. `total`: cells that are missing as far as is known, `spent`: seconds of the done."""

    plan: Plan
    shelf: Shelf
    found: Mapping[tuple[str, str], Bench]
    device: str
    voice: Voice
    total: int = 0
    done: int = 0
    spent: float = 0.0
    again: set[str] = field(default_factory=set)

    def everything(self, every: Sequence[Contest], retry: bool) -> None:
        """Run all contests, one after the other."""
        missing = {key for contest in every for key in self._missing(contest, retry)}
        self.again = {key for key in missing if self.shelf.record(key) is not None}
        self.total = self.done + len(missing) + sum(self._later(c) for c in every)
        runner = self._runner()
        for contest in every:
            self._contest(contest, runner)
        if self.total:
            self.voice.progress(TASK, self.total, self.total)

    def search(self, searcher: Searcher, asked: Sequence[Space]) -> tuple[Contest, ...]:
        """Make the trials that are missing; the contests among all trials, whose winners are yet to be run."""
        self.total = sum(searcher.left(s) + len(s.base.seeds) - 1 for s in asked)
        runner, found = self._runner(), []
        for space in asked:
            base = space.base
            bench = self.found[base.data, base.model]

            def run(settings: Settings, base: Contest = base, bench: Bench = bench) -> Record:
                return self._trained(bench.cell(settings, base.dtype), bench, runner)

            found.append(searcher.search(space, run))
        return tuple(found)

    def _runner(self) -> Runner:
        choice = self.plan.choice
        return Runner(self.shelf, self.device, choice, scorer(self.plan.select), self.voice.progress)

    def _missing(self, contest: Contest, retry: bool) -> Iterator[str]:
        for cell in _planned(contest, self.found):
            record = self.shelf.record(cell.key)
            if record is None or (retry and not record.done):
                yield cell.key

    def _later(self, contest: Contest) -> int:
        """Cells that follow once validation has chosen, or may follow: at most the seeds but the one of the choice."""
        if len(contest.candidates) == 1:
            return 0
        winner = winner_of(contest, self.found[contest.data, contest.model], self.shelf, self.plan.choice)
        if winner is None:
            return len([s for s in contest.seeds if s != contest.candidates[0].seed])
        cells = _finals(contest, winner, self.found)
        return sum(self.shelf.record(c.key) is None for c in cells)

    def _contest(self, contest: Contest, runner: Runner) -> None:
        bench = self.found[contest.data, contest.model]
        candidates = contest.candidates
        winner: Settings | None = candidates[0]
        if len(candidates) > 1:
            for settings in candidates:
                self._trained(bench.cell(settings, contest.dtype), bench, runner)
            winner = winner_of(contest, bench, self.shelf, self.plan.choice)
        finals = () if winner is None else _finals(contest, winner, self.found)
        for cell in finals:
            record = self._trained(cell, bench, runner)
            if record.done and not self.shelf.judged(cell.key):
                if self.shelf.artefact(cell.key) is None:  # chosen later than it was cleared away
                    record = runner.train(cell, bench)
                record = runner.judged(cell, bench, record)
                if not record.done:
                    self.voice.say(f"{cell}: FAILED: {record.reason}")
        self._tidy(contest, finals)

    def _trained(self, cell: Cell, bench: Bench, runner: Runner) -> Record:
        """The record of the cell, which is trained where there is none."""
        record = self.shelf.record(cell.key)
        if record is not None and cell.key not in self.again:
            return self._scored(record, runner)
        self.again.discard(cell.key)
        self.voice.progress(TASK, self.done, max(self.total, self.done + 1))
        start = time.monotonic()
        record = runner.train(cell, bench)
        self.done, self.spent = self.done + 1, self.spent + time.monotonic() - start
        self.total = max(self.total, self.done)
        self.voice.say(f"{self.done}/{self.total} {cell}: {self._told(record)}")
        return record

    def _scored(self, record: Record, runner: Runner) -> Record:
        """The record scored by what chooses now, if it was scored by something else."""
        if not record.score or record.select == runner.select:
            return record
        path = self.shelf.predictions(record.key, VALIDATION)
        record = replace(record, score=runner.score(path, record.roles), select=runner.select)
        self.shelf.keep(record)
        return record

    def _told(self, record: Record) -> str:
        left = (self.total - self.done) * self.spent / max(1, self.done)
        rest = f"; about {_duration(left)} left" if self.total > self.done else ""
        if not record.done:
            return f"FAILED: {record.reason}{rest}"
        score = ", ".join(f"{v:.4g}" for v in record.score)
        return f"validation {score} in {_duration(record.seconds or 0)}{rest}"

    def _tidy(self, contest: Contest, finals: Iterable[Cell]) -> None:
        """Remove the artefacts that `keep` does not ask for."""
        if self.plan.keep == "all":
            return
        bench, kept = self.found[contest.data, contest.model], set()
        if self.plan.keep == "best":
            done = [r for c in finals if (r := self.shelf.record(c.key)) is not None and r.done]
            kept = {max(done, key=lambda r: ranked(r.score)).key} if done else set()
        for cell in (*(bench.cell(s, contest.dtype) for s in contest.candidates), *finals):
            if cell.key not in kept:
                self.shelf.drop_artefact(cell.key)


def winner_of(contest: Contest, bench: Bench, shelf: Shelf, select: str) -> Settings | None:
    """The candidate that validation chooses, the first of equals; None before all are scored, or if all failed."""
    records = [shelf.record(bench.cell(s, contest.dtype).key) for s in contest.candidates]
    best: tuple[Settings, Record] | None = None
    for settings, record in zip(contest.candidates, records, strict=True):
        if record is None or (record.score and record.select != select):
            return None
        if record.score and (best is None or better(record.score, best[1].score)):
            best = settings, record
    return None if best is None else best[0]


def _finals(contest: Contest, winner: Settings, found: Mapping[tuple[str, str], Bench]) -> tuple[Cell, ...]:
    bench = found[contest.data, contest.model]
    return tuple(bench.cell(s, contest.dtype) for s in contest.finals(winner))


def _entries(
    plan: Plan, shelf: Shelf, found: Mapping[tuple[str, str], Bench], every: Iterable[Contest]
) -> Iterator[Entry]:
    """Every cell that is there or should be, as the contests name it."""
    for contest in every:
        bench = found[contest.data, contest.model]
        tuned = len(contest.candidates) > 1
        winner = winner_of(contest, bench, shelf, plan.choice) if tuned else contest.candidates[0]
        finals = () if winner is None else _finals(contest, winner, found)
        keys = {c.key for c in finals}
        for settings in contest.candidates if tuned else ():
            cell = bench.cell(settings, contest.dtype)
            if cell.key not in keys:
                yield Entry(contest, cell, shelf.record(cell.key), final=False)
        for cell in finals:
            yield Entry(contest, cell, shelf.record(cell.key), final=True)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
