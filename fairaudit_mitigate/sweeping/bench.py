"""A data set and a model as the cells of a sweep share them: rows read once, checksums taken once."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from fairaudit.errors import FairauditError
from fairaudit_mitigate import policy_loop
from fairaudit_mitigate.data import TEST, Columns, Rows, read_rows, with_validation
from fairaudit_mitigate.manifest import data_checksums, model_checksums
from fairaudit_mitigate.methods import find_method
from fairaudit_mitigate.mlp_config import NAME, Fresh, mlp_of
from fairaudit_mitigate.settings import Settings
from fairaudit_mitigate.sweeping.cells import Cell
from fairaudit_mitigate.sweeping.plan import DataSpec, ModelSpec, Plan, RunSpec, contests

if TYPE_CHECKING:
    from fairaudit.policy import Policy
    from fairaudit_mitigate.voice import Say


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A data set as it was read. `checksums` name its content."""

    spec: DataSpec
    rows: Rows
    checksums: dict[str, object]
    policy: Policy | None


@dataclass(frozen=True, slots=True, eq=False)
class Bench:
    """A data set and a model. `checksums`: the model's, or its name where it is on the hub."""

    table: Table
    model: ModelSpec
    checksums: dict[str, Any]

    def cell(self, settings: Settings, dtype: str) -> Cell:
        """The cell of these settings."""
        spec, model = self.table.spec, self.model
        plain = asdict(Columns())
        inputs = {
            "data": self.table.checksums,
            "columns": {k: v for k, v in asdict(spec.columns).items() if v != plain[k]},
            "sensitive": list(self.table.rows.sensitive),
            "positive": spec.positive,
            "model": self.checksums,
            "new_head": model.new_head,
            "image_size": model.image_size,
        }
        return Cell(spec.name, model.name, settings, dtype, inputs)


def benches(plan: Plan, say: Say) -> dict[tuple[str, str], Bench]:
    """Every data set with every model that a run of the plan puts together, by their names."""
    policy = _policy(plan)
    tables: dict[tuple[str, str | None], Table] = {}
    found = {}
    for data, name in dict.fromkeys((c.data, c.model) for c in contests(plan)):
        model, reader = plan.model(name), reader_of(plan.model(name).path)
        if (data, reader) not in tables:
            tables[data, reader] = _table(plan, plan.spec(data), policy, say, reader)
        checksums = model_checksums(model.path) or {"hub": model.path}
        found[data, name] = Bench(tables[data, reader], model, dict(checksums))
    return found


def reader_of(model: str) -> str | None:
    """What a table is read for: images or texts (None), numbers (any fresh MLP), the columns of an MLP's folder."""
    mlp = mlp_of(model)
    return None if mlp is None else NAME if isinstance(mlp, Fresh) else model


def _fits_validation(run: RunSpec) -> bool:
    return any(find_method(name).fits_validation for name in run.lists["method"])


def _policy(plan: Plan) -> Policy | None:
    from fairaudit_mitigate.reaudit import policy_of

    if not plan.is_policy:
        return None
    policy = policy_of(plan.select)
    policy_loop.check_usable(policy, force=True)
    return policy


def _table(plan: Plan, spec: DataSpec, policy: Policy | None, say: Say, reader: str | None) -> Table:
    """The data set with its splits, as numbers where `reader` is an MLP.

    Where a policy chooses: with what it says of the columns.
    """
    if policy is not None:
        roles = policy_loop.supplied(policy, spec.sensitive, spec.positive, spec.columns)
        spec = replace(spec, sensitive=roles[0], positive=roles[1], columns=roles[2])
    rows, carved = with_validation(read_rows(spec.path, spec.columns, spec.sensitive, say, reader))
    checksums: dict[str, object] = dict(data_checksums(rows))
    if carved:
        fitting = [r.name for r in plan.runs if spec.name in r.data and _fits_validation(r)]
        if fitting:
            raise FairauditError(
                f"{fitting[0]} fits on val rows and {spec.name} has none; add a val split, or leave that run out."
            )
        say(
            f"{spec.name} has no val split: 15 % of its train rows, by hash of their id, are set aside as one."
        )
    if not spec.sensitive and rows.sensitive:
        say(f"{spec.name}: sensitive columns found by name: {', '.join(rows.sensitive)}.")
    rows.of_split(TEST)
    if policy is not None:
        rows = policy_loop.grouped(rows, policy)
        checksums["grouped"] = {k: policy.data[k] for k in ("bins", "na") if k in policy.data}
    if spec.columns.cluster in rows.sensitive:
        raise FairauditError(
            f"{spec.name}: '{spec.columns.cluster}' is both cluster and sensitive; drop one."
        )
    return Table(spec, rows, checksums, policy)
