"""What every benchmark shares: options, one process measured, several side by side, machine, results as JSON.

Only the standard library is imported here and in what drives a benchmark: Linux counts the parent's memory at the time
of `exec` into a child's peak, so a parent that held the rows would be seen in every child.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
#: The command as it was installed beside this interpreter.
FAIRAUDIT = str(Path(sys.executable).parent / "fairaudit")
#: How busy the machine was when the benchmark began (load average of a minute).
_LOAD = round(os.getloadavg()[0], 2)
PACKAGES = ("fairaudit-toolkit", "duckdb", "numpy", "pandas", "pyarrow", "narwhals")


@dataclass(frozen=True, slots=True)
class Run:
    """One finished process: wall and CPU seconds, its own peak memory, exit code, what it wrote."""

    seconds: float
    cpu: float
    peak_mib: float
    code: int
    stdout: str
    stderr: str


def options(doc: str | None, rows: int = 0, repeats: int = 3) -> argparse.Namespace:
    """The options of every benchmark: rows, repeats, data, results, big.

    `rows` 0 stands for the benchmark that has no number of rows to choose.
    """
    parser = parser_of(doc, rows, repeats)
    found: argparse.Namespace = parser.parse_args()
    return found


def parser_of(doc: str | None, rows: int = 0, repeats: int = 3) -> argparse.ArgumentParser:
    """The parser behind `options`, for a benchmark with one more option."""
    parser = argparse.ArgumentParser(description=(doc or "").split("\n")[0])
    parser.add_argument(
        "--rows", type=lambda n: int(float(n)), default=rows, help="rows of data (1e7 is allowed)"
    )
    parser.add_argument("--repeats", type=int, default=repeats, help="runs of each, in turn")
    parser.add_argument("--data", type=Path, help="folder for the generated rows, kept for the next run")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the JSON that is written")
    parser.add_argument("--big", action="store_true", help="also what takes minutes (1e9 rows)")
    return parser


def measured(command: Sequence[str], env: Mapping[str, str] | None = None, limit: float | None = None) -> Run:
    """Run one process to its end, or kill it after `limit` seconds. Its peak is its own `ru_maxrss`, from `wait4`."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        start = time.perf_counter()
        process = subprocess.Popen(list(command), stdout=out, stderr=err, env={**os.environ, **(env or {})})
        timer = threading.Timer(limit or threading.TIMEOUT_MAX, process.kill)
        timer.start()
        _, status, used = os.wait4(process.pid, 0)
        timer.cancel()
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        texts = [_text(file) for file in (out, err)]
    unit = 2**20 if sys.platform == "darwin" else 2**10  # bytes there, KiB on Linux
    cpu = used.ru_utime + used.ru_stime
    return Run(seconds, cpu, used.ru_maxrss / unit, process.returncode, *texts)


def _text(file: Any) -> str:
    file.seek(0)
    return str(file.read().decode(errors="replace"))


def succeeded(
    command: Sequence[str], env: Mapping[str, str] | None = None, answers: Sequence[int] = (0,)
) -> Run:
    """As `measured`; a process that ends with another code than these ends the benchmark with its own last words."""
    run = measured(command, env)
    if run.code not in answers:
        said = run.stderr.strip().splitlines()[-15:]
        raise SystemExit(f"error: {' '.join(command)[:300]} ended with {run.code}:\n" + "\n".join(said))
    return run


def side_by_side(
    commands: Mapping[str, Sequence[str]], repeats: int, answers: Sequence[int] = (0,)
) -> dict[str, list[Run]]:
    """Every command once, then every command again: a busy minute hits all of them alike."""
    runs: dict[str, list[Run]] = {name: [] for name in commands}
    for turn in range(repeats):
        for name, command in commands.items():
            runs[name].append(succeeded(command, answers=answers))
            last = runs[name][-1]
            say(f"{name} [{turn + 1}/{repeats}]: {last.seconds:.2f} s, {last.peak_mib:,.0f} MiB")
    return runs


def reason(run: Run) -> str:
    """The last words of a process that failed, without the name of their exception."""
    said = [line.strip() for line in run.stderr.splitlines() if line.strip()]
    return said[-1].removeprefix("error: ").rpartition("Error: ")[2] if said else f"ended with {run.code}"


def summary(runs: Sequence[Run]) -> dict[str, float]:
    """Seconds (median, lowest, highest), CPU seconds (median) and the highest peak of runs of one command."""
    return {**spread([r.seconds for r in runs]), "cpu": round(statistics.median(r.cpu for r in runs), 3),
            "peak_mib": round(max(r.peak_mib for r in runs), 1)}  # fmt: skip


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """Median, lowest and highest of so many turns."""
    found = (statistics.median(seconds), min(seconds), max(seconds))
    named = {k: round(v, 6) for k, v in zip(("median", "min", "max"), found, strict=True)}
    return {**named, "turns": len(seconds)}


def ratio(over: Sequence[float], under: Sequence[float]) -> float:
    """The median of the ratios of runs taken in the same turn."""
    return round(statistics.median(a / b for a, b in zip(over, under, strict=True)), 3)


@contextmanager
def folder(given: Path | None) -> Iterator[Path]:
    """The given folder, made where it lacks and kept, or a temporary one that is removed."""
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="fairaudit-bench-") as made:
        yield Path(made)


@dataclass(frozen=True, slots=True)
class Machine:
    """Where the numbers come from."""

    cpu: str
    cores: int
    memory_gib: float
    system: str
    python: str
    load: float


def machine() -> Machine:
    """This machine, and how busy it was before the benchmark."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Machine(_cpu(), cores, round(memory, 1), _system(), platform.python_version(), _LOAD)


def _system() -> str:
    kernel = f"{platform.system()} {platform.release().split('-')[0]}"
    try:
        return f"{platform.freedesktop_os_release()['PRETTY_NAME']} ({kernel})"
    except (OSError, KeyError):
        return kernel


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def versions(names: Sequence[str] = ()) -> dict[str, str]:
    """What is installed of the usual packages and these."""
    found = {}
    for name in (*PACKAGES, *names):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def save(
    part: str, settings: argparse.Namespace, found: Mapping[str, Any], packages: Sequence[str] = ()
) -> Path:
    """Write `<part>.json`: what was found, beside when, where and with which versions."""
    result = {
        "part": part, "rows": settings.rows, "repeats": settings.repeats, **found,
        "machine": asdict(machine()), "versions": versions(packages),
        "date": datetime.now(UTC).date().isoformat(),
    }  # fmt: skip
    settings.results.mkdir(parents=True, exist_ok=True)
    path: Path = settings.results / f"{part}.json"
    path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    say(f"wrote {path}")
    return path


def say(text: str) -> None:
    """A line of progress with the time of day, at once."""
    print(time.strftime("%H:%M:%S"), text, file=sys.stderr, flush=True)


def own_peak_mib() -> float:
    """The peak memory of this process so far."""
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
