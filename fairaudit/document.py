"""Result files: the content, its checksum, and how both are written as JSON. Large audits are why this is not plain."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from fairaudit.errors import FairauditError

#: Without indent, so that the encoder written in C is used.
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False)
_SORTED = json.JSONEncoder(ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
#: Records of a long list that are encoded together.
_PART = 5_000


def sha256_of(content: Mapping[str, Any]) -> str:
    """The checksum of a content object: SHA-256 of its JSON with sorted keys and no spaces."""
    found = hashlib.sha256(b"{")
    for k, key in enumerate(sorted(content)):
        found.update(f"{',' if k else ''}{_SORTED.encode(key)}:".encode())
        for part in _pieces(content[key]):
            found.update(part.encode())
    found.update(b"}")
    return found.hexdigest()


def _pieces(value: Any) -> Iterator[str]:
    """The sorted JSON of a value, a long list in parts: a text of all would double the memory of a wide audit."""
    if not isinstance(value, list | tuple) or len(value) <= _PART:
        yield _SORTED.encode(value)
        return
    for start in range(0, len(value), _PART):
        yield ("," if start else "[") + _SORTED.encode(value[start : start + _PART])[1:-1]
    yield "]"


def document(
    schema: str, version: str, content: Mapping[str, Any], indent: int | None = 1, **more: Any
) -> str:
    """A result file: the content, its checksum, and beside them what differs from run to run."""
    from fairaudit import __version__

    run = {"version": __version__, "time": datetime.now(UTC).isoformat(timespec="seconds")}
    whole = {"schema": schema, "schema_version": version, "content": content, **more,
             "content_sha256": sha256_of(content), "run": run}  # fmt: skip
    return (_ENCODER.encode(whole) if indent is None else "".join(_lines(whole, indent))) + "\n"


def _lines(value: Any, indent: int, depth: int = 0) -> Iterator[str]:
    """JSON with a line for each record of a list, and for each key of what holds such lists or stands outside them."""
    if not _opens(value, depth):
        yield _ENCODER.encode(value)
        return
    space, records = "\n" + " " * indent * (depth + 1), not isinstance(value, Mapping)
    yield "[" if records else "{"
    if records and not any(
        _opens(v, depth + 1) for v in value[0].values()
    ):  # a hundred thousand estimates, say
        for start in range(0, len(value), _PART):
            part = value[start : start + _PART]
            yield ("," if start else "") + space + f",{space}".join(map(_ENCODER.encode, part))
    else:
        comma = ""
        for key, item in (("", v) for v in value) if records else value.items():
            yield f"{comma}{space}" + ("" if records else f"{_ENCODER.encode(key)}: ")
            yield from _lines(item, indent, depth + 1)
            comma = ","
    yield "\n" + " " * indent * depth + ("]" if records else "}")


def _opens(value: Any, depth: int) -> bool:
    """Whether a part of a document takes several lines."""
    if isinstance(value, Mapping):
        return depth < 2 and any(isinstance(v, Mapping) or _opens(v, 2) for v in value.values())
    return isinstance(value, list | tuple) and bool(value) and isinstance(value[0], Mapping)


def read_document(text: str, schema: str, version: str) -> dict[str, Any]:
    """The content of a result file. Raises FairauditError for other text, another schema or a newer version."""
    try:
        whole = json.loads(text)
    except ValueError as error:
        raise FairauditError(f"not a {schema} file: it is not JSON ({error}).") from error
    if (
        not isinstance(whole, dict)
        or whole.get("schema") != schema
        or not isinstance(whole.get("content"), dict)
    ):
        raise FairauditError(f'not a {schema} file: it does not say "schema": "{schema}".')
    if str(whole.get("schema_version", "")).split(".")[0] != version.split(".", maxsplit=1)[0]:
        raise FairauditError(
            f"this file has schema version {whole.get('schema_version')}, but this version reads {version}; update."
        )
    return dict(whole["content"])
