"""Run the benchmarks, one process each, and write docs/performance.md anew from what they saved (`make bench`).

    python benchmarks/run.py                          every bench_*.py; about half an hour on two quiet cores
    python benchmarks/run.py training                 steps of training, about twenty minutes of it
    python benchmarks/run.py scan scores --big        some of them; with 10⁹ rows
    python benchmarks/run.py --rows 1e5 --results /tmp/r   small, without touching what is saved
    python benchmarks/run.py --pages-only             tables and figures from benchmarks/results/*.json

Every option but `--pages-only` goes to the benchmarks; `--data DIR` keeps the drawn rows for the next time.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import measuring

#: First what has targets, the longest last: a part is saved as it ends, so a run that is cut short leaves the most.
ORDER = ("startup", "scan", "scores", "wide", "peers", "engines", "gate", "training")


def main(argv: list[str] | None = None) -> int:
    """Return 0 when every benchmark ended well, 1 when one failed, 2 when there is none to run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("only", nargs="*", metavar="NAME", help="run bench_NAME.py only")
    parser.add_argument("--pages-only", action="store_true", help="measure nothing; write the pages anew")
    parser.add_argument(
        "--results", type=Path, help="another folder for the JSON; the pages stay as they are"
    )
    parser.add_argument(
        "--aequitas", metavar="PYTHON", help="an interpreter that has aequitas (needs pandas < 3)"
    )
    for option, words in (
        ("--rows", "rows of data"),
        ("--repeats", "runs of each"),
        ("--data", "folder of the rows"),
    ):
        parser.add_argument(option, metavar=option[2:].upper(), help=words)
    parser.add_argument("--big", action="store_true", help="also what takes minutes (1e9 rows)")
    given = parser.parse_args(argv)
    if given.pages_only:
        return pages(given.results)
    start = time.perf_counter()
    known = {
        path.stem.removeprefix("bench_"): path
        for path in sorted(measuring.HERE.glob("bench_*.py"), key=_turn)
    }
    unknown = [name for name in given.only if name not in known]
    if unknown or not known:
        names = ", ".join(known) or "none yet"
        print(f"error: no benchmark to run{' called ' if unknown else ''}{', '.join(unknown)} "
              f"in {measuring.HERE.name}/ (there: {names})", file=sys.stderr)  # fmt: skip
        return 2
    failed = [name for name in given.only or known if not succeeds(name, known[name], passed_on(name, given))]
    measuring.say(f"== all: {time.perf_counter() - start:.0f} s")
    told = pages(given.results)
    if failed:
        print(f"error: {len(failed)} failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else told


def _turn(path: Path) -> tuple[int, str]:
    name = path.stem.removeprefix("bench_")
    return (ORDER.index(name) if name in ORDER else len(ORDER), name)


def passed_on(name: str, given: argparse.Namespace) -> list[str]:
    """The options of one benchmark."""
    options = ("rows", "repeats", "data", "results", *(("aequitas",) if name == "peers" else ()))
    pairs = [(f"--{o}", str(value)) for o in options if (value := getattr(given, o)) is not None]
    return [text for pair in pairs for text in pair] + (["--big"] if given.big else [])


def succeeds(name: str, path: Path, options: Sequence[str]) -> bool:
    """Run one benchmark with this interpreter, its output straight to ours; seconds go to stderr."""
    measuring.say(f"== {name}")
    start = time.perf_counter()
    done = subprocess.run([sys.executable, str(path), *options], check=False)
    measuring.say(f"== {name}: {time.perf_counter() - start:.1f} s, exit {done.returncode}")
    return done.returncode == 0


def pages(results: Path | None) -> int:
    """Print every table; write page and figures, unless the results stand elsewhere."""
    script = [sys.executable, str(measuring.HERE / "performance.py")]
    return subprocess.run(
        [*script, *(["--results", str(results)] if results else [])], check=False
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
