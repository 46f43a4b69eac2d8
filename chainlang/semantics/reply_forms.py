"""The forms of a stage's replies: one for all rows, or one for each thing that a row decides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from chainlang.datatypes.check_types import Declared
from chainlang.datatypes.classes import NO_CLASSES, Classes
from chainlang.datatypes.parse_reply import Form
from chainlang.datatypes.row_types import Decided, NoChoice, row_choices, values_of
from chainlang.diagnostics.suggest import closest
from chainlang.ir import declarations
from chainlang.semantics.stage_error import StageError

_MOST = 256
"""Maximum number of forms to keep, since each row may have its own."""


@frozen
class ReplyForms:
    """The type of replies, with the forms that were made of it."""

    type: declarations.Type
    types: Mapping[str, Declared] = field(factory=dict, hash=False)
    choose: str | None = None
    """Field with the number of the chosen candidate."""
    classes: Classes = field(default=NO_CLASSES, eq=False, repr=False)
    lists: tuple[str, ...] = ()
    """Names of the lists of a row that replies have values of."""
    _made: dict[Decided | None, Form] = field(factory=dict, init=False, eq=False, repr=False)
    """Forms by what a row decides; None if it decides nothing."""

    @classmethod
    def of(
        cls,
        returns: declarations.Type | None,
        types: Mapping[str, Declared],
        choose: str | None,
        classes: Classes,
    ) -> ReplyForms | None:
        """Return the forms of what an op returns; None for free text."""
        if returns is None:
            return None
        lists = dict.fromkeys(one.name for one in row_choices(returns, types))
        return cls(returns, types, choose, classes, tuple(lists))

    def form(self, candidates: int, row: Mapping[str, Any]) -> Form:
        """Return the form of a reply to `candidates` candidates of a row.

        Raises `StageError` if a list of the row can't be chosen from.
        """
        decided = None
        if self.choose is not None or self.lists:
            lists = tuple((name, _values(name, row)) for name in self.lists)
            decided = Decided(candidates if self.choose is not None else 0, lists)
        found = self._made.get(decided)
        if found is None:
            if len(self._made) >= _MOST:
                self._made.clear()
            wanted, types = (decided or Decided()).type(self.type, self.types, self.choose)
            found = self._made[decided] = Form(wanted, types, self.classes)
        return found


def _values(name: str, row: Mapping[str, Any]) -> str:
    if name not in row:
        # Without all names that are there: passes drop those of parts that nothing reads.
        near = closest(name, row)
        what = f"unknown name '{name}'" + (f"; did you mean '{near}'?" if near else "")
        raise StageError(f'one("{name}") has no list: {what}', "prompt")
    try:
        return values_of(name, row[name])
    except NoChoice as error:
        raise StageError(f'one("{name}") has nothing to choose from: {error}', "prompt") from error
