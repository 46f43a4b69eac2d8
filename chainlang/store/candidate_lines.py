"""Lines of the candidates of a row, each of which is encoded once for all tables that have it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from attrs import define, field, frozen

from chainlang.protocol.json_encoder import encoder
from chainlang.semantics.record import Candidate
from chainlang.store.flatten import candidate_json, candidate_row
from chainlang.store.part_files import Parts
from chainlang.store.table_formats import escaped

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
    _heads: dict[str, str] = field(factory=dict)
    """Beginnings of lines by branch, empty for those that UTF-8 can't encode."""
    _texts: dict[int, str] = field(factory=dict)
    """JSON of the candidates so far by their identities, empty for those that JSON can't hold."""

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
        head = self._head(branch) if table.convert is None else ""
        texts, lines, more = self._texts, "", NONE
        for position, one in enumerate(candidates):
            if further is not None:
                more = further[position]
            text = texts.get(id(one)) if head else ""
            if text is None:
                text = texts[id(one)] = _text(one)
            if text:
                lines += f'{head}, "candidate": {position}, {text}{more.text}}}\n'
                continue
            if lines:
                table.add_lines(lines, self.part)
                lines = ""
            row = candidate_row(self.number, self.row_id, branch, position, one)
            table.add({**row, **more.columns}, self.part)
        if lines:
            table.add_lines(lines, self.part)

    def _head(self, branch: str) -> str:
        """Return the beginning of the lines of a branch."""
        known = self._heads.get(branch)
        if known is None:
            said = _TEXT(branch) if branch else "null"
            text = f'{{"row": {self.number}, "id": {_TEXT(self.row_id)}, "branch": {said}'
            known = self._heads[branch] = _safe(text)
        return known


def _text(one: Candidate) -> str:
    """Return the JSON of a candidate, without braces; empty if JSON or UTF-8 can't hold it."""
    try:
        return _safe(candidate_json(one))
    except (TypeError, ValueError, RecursionError):  # `json_line` replaces such values
        return ""


def _safe(text: str) -> str:
    return text if text.isascii() else escaped(text) or ""
