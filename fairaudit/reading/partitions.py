"""Dask: every partition becomes a tally where it is, and only tallies travel."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import reduce
from typing import Any

from fairaudit.columns import Inputs, Roles, resolve, to_look_at
from fairaudit.errors import FairauditError
from fairaudit.reading.cells import unlabelled
from fairaudit.reading.counting import counted_columns, plus
from fairaudit.reading.engine import duck
from fairaudit.reading.frames import WHERE, held_columns, open_frame
from fairaudit.reading.query import build
from fairaudit.reading.streams import failing
from fairaudit.reading.table import attribute_sets, check_rows, check_widths, counted_by, fits, glance, look
from fairaudit.reading.texts import check_names
from fairaudit.tallies.tally import Tally

#: So many results are put together by one task.
_BRANCHES = 8
#: What a task gives back: an error's sentence is a value, for exceptions do not travel well.
_Told = tuple[str | None, Any]


def counted_by_dask(data: Any, inputs: Inputs) -> Tally:
    """The tally of a Dask dataframe, computed by its scheduler. Roles are settled once, for all partitions.

    Raises FairauditError, one sentence, also for what only a worker sees.
    """
    own = {str(c): c for c in data.columns}
    check_names([str(c) for c in data.columns], WHERE)
    seen = to_look_at(inputs, list(own))
    found = (
        fits(seen, _computed(data[[own[c] for c in seen]], _looked, _both, (seen, inputs))) if seen else {}
    )
    roles = resolve(inputs, list(own), found, WHERE)
    needed = data[[own[c] for c in dict.fromkeys(roles.read)]]
    tally: Tally = _computed(needed, _counted, plus, (roles, inputs))
    if inputs.missing_labels == "error" and (lost := tally.left_out["dropped"]):
        raise unlabelled(lost, roles)
    if not tally.rows:
        with duck(inputs) as engine:
            check_rows(tally, open_frame(needed, engine, "preds", inputs), roles)
    check_widths(tally, inputs, WHERE)
    return tally


def _computed(data: Any, task: Callable[..., _Told], join: Callable[..., Any], given: tuple[Any, ...]) -> Any:
    """What a task tells of every partition, joined on the way. Raises the first error that was told."""
    dask: Any = importlib.import_module("dask")  # without types

    parts = data.to_delayed()
    results = [dask.delayed(task, pure=False)(part, *given) for part in parts]
    merge = dask.delayed(_joined, pure=False)
    while len(results) > 1:
        results = [merge(join, results[i : i + _BRANCHES]) for i in range(0, len(results), _BRANCHES)]
    with failing(WHERE):
        ((error, value),) = dask.compute(*results)
    if error is not None:
        raise FairauditError(error)
    return value


def _joined(join: Callable[..., Any], told: Sequence[_Told]) -> _Told:
    error = next((sentence for sentence, _ in told if sentence is not None), None)
    return error, None if error else reduce(join, (value for _, value in told))


def _looked(part: Any, names: Sequence[str], inputs: Inputs) -> _Told:
    try:
        with duck(_alone(inputs)) as engine:
            source = open_frame(part, engine, "preds", inputs)
            with source.speaking():
                return None, look(source, names)
    except FairauditError as error:
        return str(error), None


def _both(one: Sequence[bool | None], other: Sequence[bool | None]) -> tuple[bool | None, ...]:
    """SQL's bool_and of what two partitions tell: None where neither has a value."""
    return tuple(b if a is None else a if b is None else a and b for a, b in zip(one, other, strict=True))


def _counted(part: Any, roles: Roles, inputs: Inputs) -> _Told:
    """The tally of one partition. That it has no row, or rows without a label, is for the sum to judge."""
    lenient = replace(_alone(inputs), missing_labels="drop")
    try:
        tally = counted_columns(held_columns(part) or {}, roles, lenient)
        if tally is None:
            with duck(lenient) as engine:
                source = open_frame(part, engine, "preds", inputs)
                with source.speaking():
                    glance(source, roles, inputs, whole=False)
                    query = build(source, roles, inputs, attribute_sets(roles.sensitive, inputs))
                    tally = counted_by(query, source, roles, lenient)
    except FairauditError as error:
        return str(error), None
    return None, replace(
        tally, description=dict(tally.description) | {"missing_labels": inputs.missing_labels}
    )


def _alone(inputs: Inputs) -> Inputs:
    """A partition is one thread's work; the others have theirs."""
    return replace(inputs, threads=inputs.threads or 1)
