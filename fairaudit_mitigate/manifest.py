"""The manifest of a mitigation: what went in, with which versions, so that it can be done again."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from fairaudit import __version__
from fairaudit_mitigate.arrays import Block
from fairaudit_mitigate.data import Rows
from fairaudit_mitigate.features import Features
from fairaudit_mitigate.layouts import Cropped

SCHEMA = "fairaudit.mitigation"
_PACKAGES = ("torch", "transformers", "peft", "accelerate", "safetensors", "pillow", "numpy", "pyarrow")


def build_manifest(
    arguments: Mapping[str, object], inputs: Mapping[str, object], results: Mapping[str, object]
) -> dict[str, object]:
    """Arguments, versions, checksums of the inputs, and the results of the run, ready for JSON."""
    return {
        "schema": SCHEMA,
        "schema_version": "1.0",
        "arguments": dict(arguments),
        "inputs": dict(inputs),
        "results": dict(results),
        "versions": versions(),
        "platform": platform.platform(),
    }


def checksums(rows: Rows, model: str) -> dict[str, object]:
    """What went in: the checksums of the data and of the model."""
    return {"data": data_checksums(rows), "model": model_checksums(model)}


def data_checksums(rows: Rows) -> dict[str, object]:
    """SHA-256 of the table, and of the list of image files with their sizes (their content may be large)."""
    found: dict[str, object] = {p.name: sha256(p) for p in rows.files}
    if isinstance(rows.inputs, (Features, Block)):
        return found or {"inputs_sha256": rows.inputs.digest()}
    files = [v.path if isinstance(v, Cropped) else v for v in rows.inputs]
    images = [p for p in files if isinstance(p, Path)]
    if images:
        listing = "\n".join(f"{p.name}\t{p.stat().st_size}" for p in sorted(set(images)))
        found["images"] = {
            "files": len(set(images)),
            "names_and_sizes_sha256": hashlib.sha256(listing.encode()).hexdigest(),
        }
    return found


def model_checksums(model: str) -> dict[str, str]:
    """SHA-256 of the files of a model folder; empty for a hub id, whose name stands in the arguments."""
    folder = Path(model)
    return {p.name: sha256(p) for p in sorted(folder.iterdir()) if p.is_file()} if folder.is_dir() else {}


def paper_checksums(policy: str | None, audit: str | None) -> dict[str, object]:
    """SHA-256 of the policy and of the audit, where there is one: a run is resumed under the same ones only."""
    given = {"policy": policy, "audit": audit}
    return {word: sha256(Path(path)) for word, path in given.items() if path is not None}


def sha256(path: Path) -> str:
    """SHA-256 of a file, read in pieces."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def versions() -> dict[str, str]:
    """The versions of what the numbers depend on."""
    return {"fairaudit": __version__, "python": platform.python_version(), **dict(_known(_PACKAGES))}


def _known(names: Iterable[str]) -> Iterable[tuple[str, str]]:
    for name in names:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            continue
