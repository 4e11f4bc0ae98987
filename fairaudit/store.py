"""Files are written to a temporary name in the same folder and moved: nothing half-written is ever left."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from fairaudit.errors import FairauditError


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success move it there, on failure remove it.

    Missing folders are created. Raises FairauditError where the place cannot be written (a file stands
    where a folder is needed, no permission, disk full).
    """
    target = Path(path)
    temporary: Path | None = None
    try:
        if target.is_dir():
            raise FairauditError(f"cannot write '{target}': it is a folder; name a file inside it.")
        if target.exists() and not target.is_file():  # a device or a pipe: nothing may be moved over it
            yield target
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # mkstemp makes files private; a result is an ordinary file
        os.replace(temporary, target)
    except OSError as error:
        reason = error.strerror or str(error)
        raise FairauditError(f"cannot write '{target}': {reason}; choose another place.") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write `text` as UTF-8 through `replacing`. Raises FairauditError as that does."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
