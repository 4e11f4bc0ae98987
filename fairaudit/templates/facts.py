"""What a policy must know of the data: columns by role, classes, attributes and the sizes of their groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from fairaudit.column_names import PREFIXES, SENSITIVE
from fairaudit.columns import Inputs, Roles
from fairaudit.errors import FairauditError
from fairaudit.labels import escape, join
from fairaudit.prepare import Naming, naming, views
from fairaudit.reading.source import Source
from fairaudit.reading.table import attribute_sets, reading, resolved_roles, scan
from fairaudit.tallies.inputs import counted, is_counted
from fairaudit.tallies.tally import Tally
from fairaudit.templates.kinds import Template
from fairaudit.view import Settings

_SEX = ("sex", "gender")
_RACE = ("race", "ethnicity", "race_ethnicity")


@dataclass(frozen=True, slots=True, eq=False)
class Facts:
    """The data as `init` found them.

    `by`: what rules look at, attributes before intersections, as written in a policy. `sizes`: (attribute, its
    (group, rows)). `classes`: (class, rows). `other_id`: a column that is called `id`, not named by the user.
    """

    inputs: Inputs
    tally: Tally
    naming: Naming
    sensitive: tuple[str, ...]
    by: tuple[str, ...]
    sizes: tuple[tuple[str, tuple[tuple[str, int], ...]], ...]
    classes: tuple[tuple[str, int], ...]
    other_id: str | None


def read(data: Any, inputs: Inputs, template: Template) -> Facts:
    """Read the predictions once. Raises FairauditError where the template has no meaning for them."""
    if is_counted(data):
        tally, inputs, other_id = *_counted(data, inputs, template), None
    else:
        with reading(data, inputs) as source:
            roles = resolved_roles(source, inputs)
            if not roles.sensitive:
                raise FairauditError(_no_attribute(source))
            sets = _sets(roles.sensitive, inputs, template)
            tally, _ = scan(source, roles, replace(inputs, sets=sets))
            other_id = _other_id(source, roles, inputs)
    sets, sensitive = tuple(tally.labels), tuple(tally.description["columns"]["sensitive"])
    known = naming(tally)
    if template.positive and known.positive is None:
        raise FairauditError(_no_positive(template, known))
    overall, _, *rest = views(tally, known, Settings())
    alone = [(s, v) for s, v in zip(sets, rest, strict=True) if len(s) == 1]
    sizes = tuple(
        (s[0], tuple((g, int(n)) for g, n in zip(v.groups, v.rows.total(), strict=True))) for s, v in alone
    )
    classes = zip(known.classes, overall.rows.support.sum(axis=0), strict=True)
    return Facts(
        inputs, tally, known, sensitive, tuple(join(s) if len(s) > 1 else escape(s[0]) for s in sets), sizes,
        tuple((c, int(n)) for c, n in classes), other_id,
    )  # fmt: skip


def _counted(data: Any, inputs: Inputs, template: Template) -> tuple[Tally, Inputs]:
    """A tally's tables that the template looks at, and the inputs that would count rows in the same way."""
    about = counted(data, inputs).description
    sensitive = tuple(about["columns"]["sensitive"])
    if not sensitive:
        raise FairauditError("the tally has no sensitive attribute; tabulate the rows again with -s COLUMN.")
    sets = _sets(sensitive, replace(inputs, cross=about["cross"]), template)
    tally = counted(data, replace(inputs, sensitive=sensitive, sets=sets))
    prefix = next(
        (p.removesuffix(c) for c, p in zip(about["prob_classes"], about["probabilities"], strict=True)), None
    )
    bins = {k: tuple(v) for k, v in about["bins"].items()}
    return tally, replace(
        inputs, bins=bins, na=tuple(about["na"]), agreement=about["agreement"],
        missing_labels=about["missing_labels"], prob_prefix=prefix,
    )  # fmt: skip


def _sets(sensitive: tuple[str, ...], inputs: Inputs, template: Template) -> tuple[tuple[str, ...], ...]:
    sets = attribute_sets(sensitive, inputs)
    crossed = _sex_and_race(sensitive) if template.crosses else None
    return sets if crossed is None or crossed in sets else (*sets, crossed)


def _sex_and_race(sensitive: Sequence[str]) -> tuple[str, ...] | None:
    """The attributes that Local Law 144 crosses: by their names, or because there are two."""
    sex = [s for s in sensitive if s.lower() in _SEX]
    race = [s for s in sensitive if s.lower() in _RACE]
    if sex and race:
        return tuple(s for s in sensitive if s in (sex[0], *race))
    return tuple(sensitive) if len(sensitive) == 2 else None


def _no_attribute(source: Source) -> str:
    columns = ", ".join(list(source.columns)[:20])
    return (
        f"no sensitive attribute found in {source.where} (columns: {columns}; known names: "
        f"{', '.join(SENSITIVE[:4])} and others); name one with -s COLUMN."
    )


def _no_positive(template: Template, known: Naming) -> str:
    classes = ", ".join(known.classes[:8]) + (", …" if len(known.classes) > 8 else "")
    said = f"template '{template.name}' is about one class, the positive one"
    if len(known.classes) <= 2:
        return f"{said}, and nothing says which of {classes} it is; name it with --positive CLASS."
    return (
        f"{said}, but these predictions have {len(known.classes)} ({classes}); take --template paper-panel, or "
        "name one class with --positive."
    )


def _other_id(source: Source, roles: Roles, inputs: Inputs) -> str | None:
    taken = {*roles.columns().values(), *roles.sensitive}
    if inputs.id is not None:
        return None
    return next((c for c in source.columns if c.lower() == "id" and c not in taken), None)


def data_keys(facts: Facts) -> dict[str, Any]:
    """The keys of `[data]` that read these rows in this way with nothing left to detect, in the order of a page."""
    about, inputs = facts.tally.description, facts.inputs
    columns = about["columns"]
    roles = ("y_true", "y_pred", "y_score", "weights", "loss", "member")
    keys: dict[str, Any] = {r: columns[r] for r in roles if r in columns}
    if about["threshold"] is not None:
        keys["threshold"] = about["threshold"]
    if about["probabilities"]:
        keys["prob_prefix"] = inputs.prob_prefix or _prefix(about["probabilities"])
    if about["score_classes"]:
        keys["score_classes"] = list(about["score_classes"])
    keys |= {k: v for k, v in (("cluster", columns.get("cluster")), ("id", inputs.id)) if v is not None}
    if facts.naming.positive is not None:
        keys["positive"] = facts.naming.positive
    keys["sensitive"] = list(facts.sensitive)
    if about["split"] is not None:
        keys["split"] = f"{about['split']['column']}={about['split']['value']}"
    elif inputs.split is not None:
        keys["split"] = inputs.split
    bins = {k: [int(e) if float(e).is_integer() else e for e in edges] for k, edges in inputs.bins.items()}
    rest = {"bins": bins, "agreement": dict(inputs.agreement), "with": inputs.with_file, "on": inputs.on,
            "na": list(inputs.na)}  # fmt: skip
    keys |= {k: v for k, v in rest.items() if v}
    if inputs.missing_labels != "error":
        keys["missing_labels"] = inputs.missing_labels
    if inputs.max_groups != Inputs().max_groups:
        keys["max_groups"] = inputs.max_groups
    return keys


def _prefix(columns: Sequence[str]) -> str:
    """The prefix by which these columns were found: the first known one that all of them begin with."""
    return next(p for p in PREFIXES if all(c.startswith(p) for c in columns))
