"""fairaudit: is this model fair enough, how sure are we, can it be repaired, and did the repair work?

`audit`, `compare` and `gate` are the doors; `tabulate` and `merge` the same in two steps, with `write_tally` and
`read_tally` between. Nothing heavy is loaded before it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fairaudit.auditing import Audit, audit, audit_tally
    from fairaudit.columns import Inputs
    from fairaudit.comparing import Comparison, compare
    from fairaudit.errors import FairauditError
    from fairaudit.estimate import Estimate
    from fairaudit.gating import gate
    from fairaudit.reading.table import tabulate
    from fairaudit.tallies.file import write_tally
    from fairaudit.tallies.hiding import suppressed
    from fairaudit.tallies.reading import read_tally
    from fairaudit.tallies.tally import Tally, merge
    from fairaudit.verdict import Verdict
    from fairaudit.view import Settings

__version__ = "0.1.0"

#: Where each name lives; imported when it is asked for.
_HOME = {
    "Audit": "auditing", "audit": "auditing", "audit_tally": "auditing", "Comparison": "comparing",
    "compare": "comparing", "Estimate": "estimate", "FairauditError": "errors", "Inputs": "columns",
    "Settings": "view", "Tally": "tallies.tally", "Verdict": "verdict", "gate": "gating",
    "merge": "tallies.tally", "read_tally": "tallies.reading", "suppressed": "tallies.hiding",
    "tabulate": "reading.table", "write_tally": "tallies.file",
}  # fmt: skip
__all__ = [
    "Audit", "Comparison", "Estimate", "FairauditError", "Inputs", "Settings", "Tally", "Verdict", "audit",
    "audit_tally", "compare", "gate", "merge", "read_tally", "suppressed", "tabulate", "write_tally",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'fairaudit' has no attribute '{name}'")
    return getattr(import_module(f"fairaudit.{_HOME[name]}"), name)
