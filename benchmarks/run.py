"""Run every benchmarks/bench_*.py, one process each, and say which failed (`make bench`)."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main(argv: list[str] | None = None) -> int:
    """Return 0 when every benchmark ended well, 1 when one failed, 2 when there is none to run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("only", nargs="*", metavar="NAME", help="run bench_NAME.py only")
    only: list[str] = parser.parse_args(argv).only
    known = {path.stem.removeprefix("bench_"): path for path in sorted(HERE.glob("bench_*.py"))}
    unknown = [name for name in only if name not in known]
    if unknown or not known:
        names = ", ".join(known) or "none yet"
        print(f"error: no benchmark to run{' called ' if unknown else ''}{', '.join(unknown)} "
              f"in {HERE.name}/ (there: {names})", file=sys.stderr)  # fmt: skip
        return 2
    failed = [name for name in only or known if not succeeds(name, known[name])]
    if failed:
        print(f"error: {len(failed)} failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def succeeds(name: str, path: Path) -> bool:
    """Run one benchmark with this interpreter, its output straight to ours; seconds go to stderr."""
    print(f"== {name}", file=sys.stderr, flush=True)
    start = time.perf_counter()
    done = subprocess.run([sys.executable, str(path)], check=False)
    print(f"== {name}: {time.perf_counter() - start:.1f} s, exit {done.returncode}", file=sys.stderr)
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
