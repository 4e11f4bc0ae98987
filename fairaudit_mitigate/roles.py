"""Which column of a table plays which role: the one the user named, else the only one with a usual name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fairaudit.column_names import SENSITIVE
from fairaudit.errors import FairauditError, missing_column
from fairaudit.labels import canonical, text_of
from fairaudit_mitigate.tables import Column

IMAGE_COLUMNS = (
    "image",
    "img",
    "image_bytes",
    "img_filename",
    "file_name",
    "image_path",
    "img_path",
    "path",
    "filename",
)
TEXT_COLUMNS = ("text", "sentence", "content", "comment_text", "comment", "review", "test_case")
ID_COLUMNS = ("id", "row_id", "image_id", "img_id", "case_id", "index")
SPLIT_COLUMN = "split"

TRAIN, VALIDATION, TEST = "train", "val", "test"
_SPLITS = {
    "0": TRAIN, "train": TRAIN, "training": TRAIN,
    "1": VALIDATION, "val": VALIDATION, "valid": VALIDATION, "validation": VALIDATION, "dev": VALIDATION,
    "2": TEST, "test": TEST, "testing": TEST,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Columns:
    """What the user said of the data; None = found by its usual name.

    `layout`: that of a published folder, else recognised by its files. `features`, `categorical`, `use_sensitive`
    are of numeric tables: the columns a model reads (empty: all without another role), those of them that are
    codes and no amounts, and whether sensitive attributes may be among them.
    """

    y_true: str | None = None
    image: str | None = None
    text: str | None = None
    id: str | None = None
    split: str | None = None
    cluster: str | None = None
    layout: str | None = None
    features: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    use_sensitive: bool = False


def named(table: Mapping[str, Column], name: str, path: Path) -> Column:
    """The column of that name. Raises FairauditError where there is none."""
    if name not in table:
        raise missing_column(name, table, str(path))
    return table[name]


def the_one(
    table: Mapping[str, Column], wanted: str | None, usual: Sequence[str], what: str, flag: str, path: Path
) -> str:
    """The column in a role: the one the user named, else the only one with a usual name."""
    if wanted is not None:
        named(table, wanted, path)
        return wanted
    found = [name for name in usual if name in table]
    if len(found) == 1:
        return found[0]
    shown = ", ".join(found or table)
    fact = "more than one candidate" if found else "no candidate"
    raise FairauditError(f"'{path}' needs {what} and has {fact} ({shown}); name it with {flag}.")


def input_column(table: Mapping[str, Column], columns: Columns, path: Path) -> tuple[str, str]:
    """The kind of the inputs, `image` or `text`, and their column."""
    if columns.image is not None and columns.text is not None:
        raise FairauditError("a model reads images or texts, not both: name one of --image and --text.")
    if columns.text is not None:
        return "text", the_one(table, columns.text, (), "", "--text", path)
    if columns.image is not None:
        return "image", the_one(table, columns.image, (), "", "--image", path)
    pictures = [n for n in IMAGE_COLUMNS if n in table]
    pictures = [n for n in pictures if _is_binary(table[n])] or pictures
    writings = [n for n in TEXT_COLUMNS if n in table]
    if len(pictures) + len(writings) != 1:
        found = ", ".join([*pictures, *writings]) or f"none among {', '.join(table)}"
        raise FairauditError(
            f"'{path}' needs one image or text column ({found}); name it with --image or --text, or give numbers "
            "to a model that reads them: `mlp`."
        )
    return ("image", pictures[0]) if pictures else ("text", writings[0])


def _is_binary(column: Column) -> bool:
    return any(isinstance(v, (bytes, dict)) for v in column[:1])


def texts(column: Column, path: Path) -> tuple[str, ...]:
    """The texts to classify; every row has one."""
    for i, value in enumerate(column):
        if not isinstance(value, str):
            raise FairauditError(f"row {i} of '{path}' has no text ({value!r}); every row needs one.")
    return tuple(str(v) for v in column)


def images(column: Column, root: Path, path: Path) -> tuple[bytes | Path, ...]:
    """The images as bytes or as paths from `root`; every row has one, and every file is there."""
    found: list[bytes | Path] = []
    for i, value in enumerate(column):
        inner = value
        if isinstance(value, dict):
            inner = value.get("bytes") if value.get("bytes") is not None else value.get("path")
        if isinstance(inner, bytes):
            found.append(inner)
        elif isinstance(inner, str) and inner:
            found.append(root / inner)
        else:
            raise FairauditError(f"row {i} of '{path}' has no image ({value!r}); give its bytes or its path.")
    missing = [p for p in found if isinstance(p, Path) and not p.is_file()]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise FairauditError(f"'{path}' names image files that are not there: '{missing[0]}'{more}.")
    return tuple(found)


def ids(
    table: Mapping[str, Column], wanted: str | None, inputs: Column | None, path: Path
) -> tuple[str, ...]:
    """The named or usual id column, else the image paths, else the row numbers; unique."""
    name = wanted or next((n for n in ID_COLUMNS if n in table), None)
    if name is not None:
        values = [text_of(v) for v in named(table, name, path)]
        known = [v for v in values if v is not None]
        if len(set(known)) == len(values):
            return tuple(known)
        if wanted is not None:
            raise FairauditError(
                f"the id column '{wanted}' of '{path}' repeats or lacks values; ids name one row each."
            )
    if (
        inputs is not None
        and all(isinstance(v, str) for v in inputs)
        and len(set(map(str, inputs))) == len(inputs)
    ):
        return tuple(map(str, inputs))
    return tuple(map(str, range(len(next(iter(table.values()))))))


def labels(column: Column, path: Path) -> tuple[str, ...]:
    """The classes, in the one form of DESIGN §3; every row has one."""
    values = [text_of(v) for v in column]
    known = [v for v in values if v is not None]
    if len(known) < len(values):
        raise FairauditError(f"{len(values) - len(known)} rows of '{path}' have no label; remove them first.")
    names = canonical(set(known))
    return tuple(names[v] for v in known)


def groups(column: Column) -> tuple[str | None, ...]:
    """The values of an attribute as text, None where missing."""
    return tuple(text_of(v) for v in column)


def splits(table: Mapping[str, Column], wanted: str | None, path: Path) -> tuple[str | None, ...] | None:
    """`train`, `val`, `test` (or a word of the user's) of each row; None without such a column."""
    if wanted is None and SPLIT_COLUMN not in table:
        return None
    raw = [text_of(v) for v in named(table, wanted or SPLIT_COLUMN, path)]
    return tuple(None if v is None else _SPLITS.get(v.lower(), v) for v in raw)


def usual(table: Mapping[str, Column], taken: set[str]) -> list[str]:
    """The sensitive attributes found by their usual names."""
    return [name for name in SENSITIVE if name in table and name not in taken]
