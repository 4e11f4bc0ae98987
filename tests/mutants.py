"""Flip every comparison of the verdict code, one at a time, and see whether a test notices.

    python tests/mutants.py [MODULE …]

Each mutant is a copy of the package with one comparison turned over (`<` to `<=` and to `>=`, `==` to `!=`, `in` to
`not in`, `is` to `is not`), or one `and`/`or` or `min`/`max` exchanged, put before the installed one on the path of a
fresh pytest. Survivors are printed, and make the exit code 1.
"""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

HOME = Path(__file__).parent.parent
#: Module -> the tests that must notice.
SUBJECTS = {
    "judging": ("test_gating.py", "test_verdict.py"),
    "verdict": ("test_verdict.py", "test_gating.py"),
    "contrasts": ("test_gating.py",),
    "gating": ("test_gating.py",),
    "checks": ("test_gating.py",),
    "baseline": ("test_gating.py",),
}
FLIPS = {
    ast.Lt: (ast.LtE, ast.GtE), ast.LtE: (ast.Lt, ast.Gt), ast.Gt: (ast.GtE, ast.LtE), ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.In: (ast.NotIn,), ast.NotIn: (ast.In,), ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}  # fmt: skip


def mutants(source: str) -> Iterator[tuple[str, str]]:
    """(where and what, the mutated source)."""
    for k, node in enumerate(ast.walk(ast.parse(source))):
        if isinstance(node, ast.Compare):
            for at, operator in enumerate(node.ops):
                for flip in FLIPS[type(operator)]:
                    yield _mutated(source, k, lambda n, at=at, flip=flip: n.ops.__setitem__(at, flip()))
        elif isinstance(node, ast.BoolOp):
            other = ast.Or if isinstance(node.op, ast.And) else ast.And
            yield _mutated(source, k, lambda n, other=other: setattr(n, "op", other()))
        elif isinstance(node, ast.Attribute) and node.attr in ("min", "max"):
            other_name = "max" if node.attr == "min" else "min"
            yield _mutated(source, k, lambda n, name=other_name: setattr(n, "attr", name))


def _mutated(source: str, k: int, change) -> tuple[str, str]:
    tree = ast.parse(source)
    node = list(ast.walk(tree))[k]
    before = ast.unparse(node)
    change(node)
    return f"line {node.lineno}: {before}  ->  {ast.unparse(node)}", ast.unparse(tree)


def noticed(package: Path, tests: tuple[str, ...]) -> bool:
    """Whether the tests fail with this package first on the path."""
    env = {**os.environ, "PYTHONPATH": str(package.parent), "OMP_NUM_THREADS": "1", "HYPOTHESIS_SEED": "0"}
    paths = [str(HOME / "tests" / t) for t in tests if (HOME / "tests" / t).exists()]
    command = [sys.executable, "-P", "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *paths]
    return subprocess.run(command, cwd=HOME, env=env, capture_output=True, check=False).returncode != 0


def main(names: list[str]) -> int:
    survivors, killed = [], 0
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / "fairaudit"
        shutil.copytree(HOME / "fairaudit", package)
        if noticed(package, SUBJECTS["judging"]):
            print("the tests fail without any mutation")
            return 2
        for name in names or SUBJECTS:
            file = package / f"{name}.py"
            source = file.read_text(encoding="utf-8")
            for what, mutated in mutants(source):
                file.write_text(mutated, encoding="utf-8")
                if noticed(package, SUBJECTS[name]):
                    killed += 1
                else:
                    survivors.append(f"{name} {what}")
                    print("SURVIVED", survivors[-1], flush=True)
            file.write_text(source, encoding="utf-8")
            print(f"{name}: done; {killed} killed so far", flush=True)
    print(f"{killed} killed, {len(survivors)} survived")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
