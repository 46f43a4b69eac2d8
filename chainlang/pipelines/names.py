"""Names that the templates of a file can read, and what a chain calls them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

from attrs import define, field, frozen

Use: TypeAlias = Literal["text", "list"]
OUTPUT = "output"
STATUS = "status"
COMPLETED, SKIPPED, FAILED = "completed", "skipped", "failed"
"""Values of ``steps.NAME.status``."""
ROW = ("inputs", "context", "parameters")
"""Tables by which templates name fields of the row: ``{{ inputs.topic }}`` is ``{{ topic }}``."""


@frozen
class Names:
    """Names in the templates of a step."""

    steps: Mapping[str, str]
    """Labels of the steps by their ids."""
    fields: Mapping[str, str] = field(factory=dict)
    """Fields of the row, and constants, by their names in the file."""
    is_open: bool = True
    """Whether a row may have other fields."""
    local: Mapping[str, str] = field(factory=dict)
    """Expressions of names that only this step has: the item and the index of a `for_each`."""
    own: str | None = None
    """Id of the step itself, if it is repeated and reads its own result."""
    hidden: Mapping[str, str] = field(factory=dict)
    """Steps that can't be read here by their ids, and why."""


@define
class Reads:
    """Steps that templates read, and their fields."""

    steps: dict[str, None] = field(factory=dict)
    """Ids, in the order of the first reading."""
    fields: dict[str, dict[str, Use]] = field(factory=dict)
    """Fields of each step besides `output` and `status`, and how they are read."""
    own: bool = False
    """Whether a step reads its own result, of the round before."""

    def note(self, step: str, name: str | None, use: Use) -> None:
        """Record that a template reads a step, or a field of it."""
        self.steps[step] = None
        if name is not None and name not in (OUTPUT, STATUS):
            known = self.fields.setdefault(step, {})
            if known.get(name) != "list":
                known[name] = use
