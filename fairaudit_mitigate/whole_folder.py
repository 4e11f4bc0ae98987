"""An output folder that is there whole or not at all, for work of seconds that nobody has to resume."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fairaudit.errors import FairauditError


@contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `out`, moved there at the end; removed, with all in it, on any failure.

    Raises FairauditError where `out` exists or cannot be written.
    """
    if out.exists() or out.is_symlink():
        raise FairauditError(f"the output '{out}' exists; choose another --out or remove it.")
    temporary: Path | None = None
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".part", dir=out.parent))
        temporary.chmod(0o755)
        yield temporary
        temporary.rename(out)
    except OSError as error:
        raise FairauditError(
            f"cannot write '{out}': {error.strerror or error}; choose another place."
        ) from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
