"""Special functions: scipy's own, without the import of all of `scipy.special`.

That package's start-up takes twice as long as numpy's (it edits a hundred docstrings and loads numpy's test and Fortran
tools), a quarter of a report on a small file. The functions themselves stand in a compiled module inside it.
"""

from __future__ import annotations

import sys
import threading
from contextlib import suppress
from importlib import import_module
from types import ModuleType
from typing import Any

_PACKAGE, _NAMES = "scipy.special", ("betaincinv", "ndtr", "stdtr", "stdtrit")
_alone = False


def load_alone() -> None:
    """From now on take the compiled module without its package, where scipy's layout allows it.

    For a process of our own, as the command line's: in somebody else's, a later `import scipy.special` should find that
    nobody was there before.
    """
    global _alone  # noqa: PLW0603 -- how a module is imported is a matter of the whole process
    _alone = True


def __getattr__(name: str) -> Any:
    """A function, from scipy once one is asked for."""
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = _loaded()
    globals().update({n: getattr(found, n) for n in _NAMES})
    return globals()[name]


def _loaded() -> ModuleType:
    """A module with scipy's functions: the package, or the compiled one alone where that is allowed.

    Alone means under an empty package that is taken away again. Only with one thread: another could meet it.
    """
    if not _alone or _PACKAGE in sys.modules or threading.active_count() > 1:
        return import_module(_PACKAGE)
    import scipy

    empty = ModuleType(_PACKAGE)
    empty.__path__ = [f"{path}/special" for path in scipy.__path__]
    sys.modules[_PACKAGE] = empty
    try:
        with suppress(ImportError):  # a scipy that is laid out otherwise
            alone = import_module(f"{_PACKAGE}._ufuncs")
            if all(hasattr(alone, name) for name in _NAMES):
                return alone
    finally:
        del sys.modules[_PACKAGE]
    return import_module(_PACKAGE)
