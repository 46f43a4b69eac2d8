"""Lines of the candidates of a row, each of which is encoded once for all tables that have it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from attrs import define, field, frozen

from chainlang.protocol.json_encoder import encoder
from chainlang.semantics.record import Candidate
from chainlang.store.flatten import candidate_columns, candidate_row
from chainlang.store.part_files import Parts
from chainlang.store.table_formats import encoded_line

_ENCODE = encoder(ascii_only=False, nan=False)
_TEXT = json.encoder.encode_basestring


@frozen
class Further:
    """Further columns of a line, and their JSON."""

    columns: Mapping[str, object]
    text: str
    """The names and values, without braces; empty for none."""

    @classmethod
    def of(cls, columns: Mapping[str, object]) -> Further:
        """Return columns whose values are JSON."""
        return cls(columns, f", {_ENCODE(columns)[1:-1]}")


NONE = Further({}, "")


@define(eq=False)
class CandidateLines:
    """Writer of the candidates of one row."""

    number: int
    """Number of the row in the tables."""
    row_id: str
    part: str
    """Part of the tables that has the row."""
    _head: str = field(init=False)
    """Beginning of the lines, up to the branch."""
    _texts: dict[int, str] = field(factory=dict)
    """JSON of the candidates so far by their identities, empty for those that JSON can't hold."""

    def __attrs_post_init__(self) -> None:
        self._head = f'{{"row": {self.number}, "id": {_TEXT(self.row_id)}, "branch": '

    def add(
        self,
        table: Parts,
        branch: str,
        candidates: tuple[Candidate, ...],
        further: Sequence[Further] | None = None,
    ) -> None:
        """Append the candidates of a branch, which is empty if the chain has none, to a table.

        `further` has the further columns of each, by position. The bytes are those of `json_line`.
        """
        head = f'{self._head}{_TEXT(branch) if branch else "null"}, "candidate": '
        texts, is_lines = self._texts, table.convert is None
        for position, one in enumerate(candidates):
            more = NONE if further is None else further[position]
            line = None
            if is_lines:
                text = texts.get(id(one))
                if text is None:
                    text = texts[id(one)] = _text(one)
                line = encoded_line(f"{head}{position}, {text}{more.text}}}") if text else None
            if line is not None:
                table.add_line(line, self.part)
            else:
                row = candidate_row(self.number, self.row_id, branch, position, one)
                table.add({**row, **more.columns}, self.part)


def _text(one: Candidate) -> str:
    """Return the JSON of a candidate, without braces; empty if JSON can't hold it."""
    try:
        return _ENCODE(candidate_columns(one))[1:-1]
    except (TypeError, ValueError, RecursionError):  # `json_line` replaces such values
        return ""
