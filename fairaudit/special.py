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


def _loaded() -> ModuleType:
    """A module with scipy's functions: the compiled one where it can be had alone, else the package.

    Alone means under an empty package that is taken away again, so that `import scipy.special` later finds nothing
    but the same functions. Only with one thread: another could meet the empty package.
    """
    if _PACKAGE in sys.modules or threading.active_count() > 1:
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


_found: Any = _loaded()
betaincinv, ndtr, stdtr, stdtrit = (getattr(_found, name) for name in _NAMES)
