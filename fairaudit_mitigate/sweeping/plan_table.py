"""A table of a sweep plan that knows its place: what is asked of it is there, or a sentence has file and line."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fairaudit.errors import FairauditError, did_you_mean
from fairaudit.toml_lines import Place, shown


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the plan with the way to it, so that what is wrong in it can be pointed at."""

    values: Mapping[str, Any]
    place: Place
    path: tuple[str | int, ...]
    title: str

    def error(self, key: str | None, sentence: str) -> FairauditError:
        """The error to raise: what is wrong, at the line of the key, or of the table."""
        path = self.path if key is None else (*self.path, key)
        return self.place.error(path, f"{self.title}: {sentence}")

    def check_keys(self, known: Collection[str]) -> None:
        """Raise for the first key that is none of these, with the nearest that is."""
        for key in self.values:
            if key not in known:
                near = did_you_mean(key, known) or f" Known: {', '.join(known)}."
                raise self.error(key, f"there is no key '{key}'.{near}")

    def tables(self, key: str) -> list[Table]:
        """The tables of a `[[key]]`. Raises where there is none, or `[key]` stands there."""
        found = self.values.get(key)
        if not isinstance(found, list) or not found or not all(isinstance(t, Mapping) for t in found):
            raise self.error(
                key if key in self.values else None, f"it needs [[{key}]], in double brackets, at least once."
            )
        return [Table(t, self.place, (*self.path, key, n), f"[[{key}]]") for n, t in enumerate(found)]

    def table(self, key: str) -> Table:
        """The table `[key]`, empty where it is not there."""
        found = self.values.get(key, {})
        if not isinstance(found, Mapping):
            raise self.error(key, f"[{key}] is one table, in single brackets.")
        return Table(found, self.place, (*self.path, key), f"[{key}]")

    def text(self, key: str, otherwise: str | None = None) -> str:
        """A text. Raises where it is something else, or missing with nothing instead."""
        found = self.values.get(key, otherwise)
        if not isinstance(found, str) or not found:
            fact = f"not {shown(found)}" if key in self.values else "which is missing"
            raise self.error(key if key in self.values else None, f"{key} is a text, {fact}.")
        return found

    def texts(self, key: str, otherwise: Sequence[str] = ()) -> tuple[str, ...]:
        """A text or a list of texts."""
        found = self.values.get(key, list(otherwise))
        found = [found] if isinstance(found, str) else found
        if not isinstance(found, list) or not all(isinstance(v, str) for v in found):
            raise self.error(key, f"{key} is a text or a list of texts, not {shown(found)}.")
        return tuple(found)

    def one_of(self, key: str, known: Sequence[str], otherwise: str) -> str:
        """A text out of these."""
        found = self.text(key, otherwise)
        if found not in known:
            raise self.error(
                key, f"{key} is {', '.join(known)}, not {shown(found)}.{did_you_mean(found, known)}"
            )
        return found
