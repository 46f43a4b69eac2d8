"""Output of a named part, as a value of functions."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from chainlang.diagnostics.suggest import suggest
from chainlang.semantics.record import Candidate

# Names of values in earlier notations, with their names here.
_ALIASES = {"synthesized_response": "final_answer"}


@frozen
class Part:
    """Output of a named part: answer and fields of its first candidate, and all candidates."""

    candidates: tuple[Candidate, ...]

    @property
    def answer(self) -> Any:
        """Answer of the first candidate; None without candidates."""
        return self.candidates[0].answer if self.candidates else None

    def __getitem__(self, name: str) -> Any:
        return field_of(self.candidates, name)


def field_of(candidates: tuple[Candidate, ...], name: str) -> Any:
    """Return a field of the first candidate. Raises `KeyError` with the known fields."""
    fields = candidates[0].fields if candidates else {}
    key = name if name in fields else _ALIASES.get(name, name)
    if key not in fields:
        raise KeyError(f"unknown field {name!r}; {suggest(name, ['answer', 'responses', *fields])}")
    return fields[key]
