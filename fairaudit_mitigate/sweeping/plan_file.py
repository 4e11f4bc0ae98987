"""The reader of sweep plans (TOML): text in, a `Plan` out, or one sentence with file and line."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields
from functools import cache
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

from fairaudit.errors import FairauditError, did_you_mean
from fairaudit.toml_lines import Place, line_numbers, shown, syntax_error
from fairaudit_mitigate.data import Columns
from fairaudit_mitigate.methods import METHODS
from fairaudit_mitigate.settings import SELECT, Settings, unread_by
from fairaudit_mitigate.sweeping.plan import (
    KEEP,
    DataSpec,
    ModelSpec,
    Plan,
    RunSpec,
    Tune,
    combinations,
    settings_of,
)
from fairaudit_mitigate.sweeping.plan_table import Table

DTYPES = ("auto", "float32", "bfloat16")
_TOP = ("schema", "select", "reference", "keep", "data", "model", "common", "run", "tune", "table", "search")
_WORDS = {int: "a whole number", float: "a number", str: "a text", bool: "true or false", tuple: "a list"}


def read_plan(path: str | Path) -> Plan:
    """The plan in a file; the paths in it start from its folder.

    Raises FairauditError, as `FILE:LINE: sentence`, for a file that is not there or not a plan.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        said = getattr(error, "strerror", None) or "it is not UTF-8 text"
        near = did_you_mean(Path(path).name, [p.name for p in Path(path).parent.glob("*.toml")])
        raise FairauditError(f"cannot read the plan '{path}': {said}; name a TOML file.{near}") from error
    return parse_plan(text, str(path), Path(path).parent)


def parse_plan(text: str, name: str, folder: Path) -> Plan:
    """The plan in a text. `folder`: where its relative paths start. Raises FairauditError as `read_plan` does."""
    body = text.removeprefix("\ufeff")
    try:
        document = tomllib.loads(body)
    except (ValueError, RecursionError) as error:
        raise syntax_error(name, body, error) from error
    top = Table(document, Place(name, line_numbers(body)), (), "the plan")
    top.check_keys(_TOP)
    if document.get("schema", 1) != 1:
        raise top.error("schema", "this release reads schema = 1 of plans.")
    select = _select(top, folder)
    data = tuple(_data(t, folder) for t in top.tables("data"))
    models = tuple(_model(t, folder) for t in top.tables("model"))
    for tables, values in (("data", data), ("model", models)):
        _once(top.tables(tables), [v.name for v in values], "name")
    runs = _runs(top, [d.name for d in data], [m.name for m in models], select)
    return Plan(
        name, data, models, runs, select, _reference(top, runs), top.one_of("keep", KEEP, "none"), _tune(top),
        _metrics(top, "metrics"), _metrics(top, "family"), _search(top), text,
    )  # fmt: skip


def _select(top: Table, folder: Path) -> str:
    """The metric, or the path of the policy, that chooses."""
    from fairaudit_mitigate.reaudit import better_direction, policy_of

    found = top.text("select", SELECT)
    if found.endswith(".toml"):
        found = _located(folder, found)
        _pointed(top, "select", lambda: policy_of(found))
    else:
        _pointed(top, "select", lambda: better_direction(found))
    return found


def _data(table: Table, folder: Path) -> DataSpec:
    roles = [f.name for f in fields(Columns)]
    table.check_keys(("name", "path", "sensitive", "positive", "agreement", *roles))
    path = table.text("path")
    agreement = table.values.get("agreement", {})
    if not isinstance(agreement, Mapping):
        raise table.error("agreement", 'agreement is a map as { landbird = "land", waterbird = "water" }.')
    hints = get_type_hints(Columns)
    given = {r: _typed(table, r, table.values[r], hints[r]) for r in roles if r in table.values}
    return DataSpec(
        table.text("name", Path(path).stem),
        _located(folder, path),
        Columns(**given),
        table.texts("sensitive"),
        str(table.values["positive"]) if "positive" in table.values else None,
        {str(c): str(g) for c, g in agreement.items()},
    )


def _model(table: Table, folder: Path) -> ModelSpec:
    table.check_keys(("name", "path", "new_head", "image_size"))
    path = table.text("path")
    head = _typed(table, "new_head", table.values.get("new_head", False), bool)
    size = _typed(table, "image_size", table.values.get("image_size"), int | None)
    return ModelSpec(table.text("name", Path(path).name), _located(folder, path), head, size)


def _located(folder: Path, path: str) -> str:
    """A path as seen from the plan's folder; a name that is not there stays as it is (a hub id)."""
    beside = folder / Path(path).expanduser()
    return str(beside) if beside.exists() or path.startswith(("./", "../", "~")) else path


def _once(tables: Sequence[Table], names: Sequence[str], key: str) -> None:
    for n, (table, name) in enumerate(zip(tables, names, strict=True)):
        if name in names[:n]:
            raise table.error(key, f"the name {shown(name)} stands twice; give each its own name.")


def _runs(top: Table, data: Sequence[str], models: Sequence[str], select: str) -> tuple[RunSpec, ...]:
    common = top.table("common")
    hints = _hints()
    common.check_keys((*hints, "dtype"))
    tables = top.tables("run")
    shared = {k: _values(common, k) for k in common.values if k in hints}
    if not select.endswith(".toml"):
        shared = {"select": (select,)} | shared
    runs, owners = [], []
    for table in tables:
        table.check_keys(("name", "data", "model", *hints, "dtype"))
        found = _of_methods(table, shared, common, data, models)
        runs.extend(found)
        owners.extend([table] * len(found))
    _once(owners, [r.name for r in runs], "method")
    return tuple(runs)


def _of_methods(
    table: Table, shared: Mapping[str, Any], common: Table, data: Sequence[str], models: Sequence[str]
) -> list[RunSpec]:
    """A run for each method of the table."""
    own = {k: _values(table, k) for k in table.values if k in _hints()}
    methods = table.texts("method") if "method" in table.values else shared.get("method", ())
    if not methods:
        raise table.error(None, f"it needs a method ({', '.join(METHODS)}).")
    name = table.text("name") if "name" in table.values else None
    if name is not None and len(methods) > 1:
        raise table.error("name", "one name for several methods; give each its own [[run]].")
    dtype = table.one_of("dtype", DTYPES, common.one_of("dtype", DTYPES, "auto"))
    where = _known(table, "data", data), _known(table, "model", models)
    found = []
    for method in methods:
        if len(methods) == 1:
            _refuse_unread(table, own, method)
        lists = _read_by(method, {**shared, **own}) | {"method": (method,)}
        _check(lists, table, common)
        found.append(RunSpec(name or method, lists, where[0], where[1], dtype))
    return found


def _check(lists: Mapping[str, tuple[Any, ...]], table: Table, common: Table) -> None:
    """Raise what any combination says against itself: at the key that alone says it, else at the run."""
    for values in combinations(lists):
        try:
            settings_of(values)
        except FairauditError as error:
            key = next((k for k in ("method", *values) if _alone(values, k) == str(error)), None)
            owner = common if key in common.values and key not in table.values else table
            raise owner.error(key if key in owner.values else None, str(error)) from error


def _alone(values: Mapping[str, Any], key: str) -> str:
    """What settings with this value alone say against themselves."""
    try:
        settings_of({k: values[k] for k in dict.fromkeys(("method", key))})
    except FairauditError as error:
        return str(error)
    return ""


def _read_by(method: str, shared: Mapping[str, Any]) -> dict[str, Any]:
    """What several runs share, less what the method does not read: it is not run once per λ."""
    unread = unread_by(METHODS[method]) if method in METHODS else ()
    return {k: v for k, v in shared.items() if k not in unread}


def _refuse_unread(table: Table, own: Mapping[str, Any], method: str) -> None:
    """Raise what the table says that its method does not read, unless it is the default."""
    unread = unread_by(METHODS[method]) if method in METHODS and method != "threshold" else ()
    plain = asdict(Settings())
    name = next((k for k, values in own.items() if k in unread and values != (plain[k],)), None)
    if name is not None:
        raise table.error(name, f"{name} means nothing to {method}; take it out.")


def _known(table: Table, key: str, every: Sequence[str]) -> tuple[str, ...]:
    found = table.texts(key, every)
    for name in found:
        if name not in every:
            raise table.error(
                key, f"there is no {key} {shown(name)} ({', '.join(every)}).{did_you_mean(name, every)}"
            )
    return found


@cache
def _hints() -> dict[str, Any]:
    return get_type_hints(Settings)


def _values(table: Table, key: str) -> tuple[Any, ...]:
    """The values a field of Settings takes: the list given, or the one value. `targets` is itself a list."""
    hint, given = _hints()[key], table.values[key]
    nested = get_origin(hint) is tuple
    several = isinstance(given, list) and (not nested or any(isinstance(v, list) for v in given))
    values = given if several else [given]
    if not values:
        raise table.error(key, f"{key} is an empty list; give it a value or take it out.")
    return tuple(_typed(table, key, v, hint) for v in values)


def _typed(table: Table, key: str, value: Any, hint: Any) -> Any:
    """The value as the type a field has; a whole number is a number too."""
    several = () if get_origin(hint) is tuple else get_args(hint)
    kinds = [get_origin(k) or k for k in several or (hint,)]
    if value is None and NoneType in kinds:
        return None
    if tuple in kinds and isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if tuple in kinds and isinstance(value, list):
        return tuple(value)
    if float in kinds and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if any(type(value) is k for k in kinds):
        return value
    wanted = " or ".join(_WORDS.get(k, str(k)) for k in kinds if k is not NoneType)
    raise table.error(key, f"{key} is {wanted}, not {shown(value)}.")


def _pointed(table: Table, key: str, build: Callable[[], object]) -> None:
    """Build a value; what it says against itself is said at the line of the key."""
    try:
        build()
    except FairauditError as error:
        raise table.error(key, str(error)) from error


def _reference(top: Table, runs: Sequence[RunSpec]) -> str:
    names = [r.name for r in runs]
    found = top.text("reference", "lora" if "lora" in names else names[0])
    if found not in names:
        raise top.error(
            "reference", f"there is no run {shown(found)} ({', '.join(names)}).{did_you_mean(found, names)}"
        )
    return found


def _tune(top: Table) -> Tune | None:
    if "tune" not in top.values:
        return None
    table = top.table("tune")
    table.check_keys(("over", "seed"))
    over = table.texts("over", ("penalty", "lr"))
    for name in over:
        if name not in _hints() or name in ("seed", "method"):
            near = did_you_mean(name, _hints())
            raise table.error("over", f"{shown(name)} is nothing that can be tuned.{near}")
    return Tune(over, _typed(table, "seed", table.values.get("seed", 0), int))


def _search(top: Table) -> dict[str, tuple[float, float]]:
    """`[search]`: the bounds of λ, rank and learning rate."""
    table = top.table("search")
    table.check_keys(("penalty", "rank", "lr"))
    found: dict[str, tuple[float, float]] = {}
    for key, given in table.values.items():
        numbers = [v for v in given if type(v) in (int, float)] if isinstance(given, list) else []
        if len(numbers) != 2 or len(given) != 2 or not 0 < numbers[0] < numbers[1] < float("inf"):
            raise table.error(key, f"{key} is the least and the greatest value above 0, as in [0.01, 10].")
        ends = [_typed(table, key, v, _hints()[key]) for v in numbers]
        _pointed(table, key, lambda name=key, ends=ends: [Settings(**{name: v}) for v in ends])  # type: ignore[misc]
        found[key] = (numbers[0], numbers[1])
    return found


def _metrics(top: Table, key: str) -> tuple[str, ...]:
    from fairaudit.catalogue import BY_ID
    from fairaudit_mitigate.sweeping.summary import COSTS

    table = top.table("table")
    table.check_keys(("metrics", "family"))
    found = table.texts(key)
    for name in found:
        if name not in (*BY_ID, *COSTS):
            raise table.error(key, f"there is no metric {shown(name)}.{did_you_mean(name, BY_ID)}")
    return found
