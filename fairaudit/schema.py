"""The JSON Schemas (2020-12) of what fairaudit writes, and the check of a document against them."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from fairaudit.errors import FairauditError, did_you_mean


def schema_names() -> tuple[str, ...]:
    """The names that `schema_text` knows."""
    found = (p.name for p in files("fairaudit.schemas").iterdir())
    return tuple(sorted(n.removesuffix(".schema.json") for n in found if n.endswith(".schema.json")))


def schema_text(name: str) -> str:
    """The schema of `audit` or `comparison` as JSON text. Raises FairauditError for another name."""
    known = schema_names()
    if name not in known:
        raise FairauditError(
            f"there is no schema '{name}' (schemas: {', '.join(known)}).{did_you_mean(name, known)}"
        )
    return files("fairaudit.schemas").joinpath(f"{name}.schema.json").read_text(encoding="utf-8")


def check(document: Any, name: str) -> None:
    """Raise FairauditError, with the place, where a document does not follow its schema.

    >>> check({"schema": "fairaudit.audit"}, "audit")
    Traceback (most recent call last):
    fairaudit.errors.FairauditError: not a fairaudit.audit file: 'schema_version' is a required property (at the top).
    """
    from jsonschema import Draft202012Validator

    error = next(Draft202012Validator(json.loads(schema_text(name))).iter_errors(document), None)
    if error is not None:
        place = "/".join(str(p) for p in error.absolute_path)
        said = error.message if len(error.message) < 120 else f"{error.message[:117]}…"
        raise FairauditError(f"not a fairaudit.{name} file: {said} (at {place or 'the top'}).")
