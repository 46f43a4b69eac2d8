"""`Reading`: the options of reading a source, which a file does not say itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

from attrs import evolve, field, frozen

from chainlang.data.refusal import refuse
from chainlang.data.row import DEEPEST, LARGEST_LINE, BadRow, Row
from chainlang.diagnostics.render import shown
from chainlang.diagnostics.suggest import closest
from chainlang.semantics.header_faults import renaming

Header: TypeAlias = Callable[[str, Sequence[str]], None]
"""Function that is called with the name of a table and those of its columns."""


@frozen
class Reading:
    """Options of reading a source."""

    line_bytes: int = LARGEST_LINE
    """Maximum size of a line or record in bytes."""
    depth: int = DEEPEST
    """Maximum nesting of lists and objects in a row."""
    encoding: str | None = None
    """Encoding of text files; None for UTF-8."""
    delimiter: str | None = None
    """Character between the cells of CSV; None for that of the file's suffix."""
    rename: Mapping[str, str] = field(factory=dict, hash=False)
    """New names of columns, by their names in the source."""
    header: Header | None = None
    """Called before the first row of a table, with its columns as they are renamed."""

    def check(self, table: str, columns: Sequence[str]) -> None:
        """Raise `SourceError` for columns that can't be told apart, or not renamed."""
        names = [self.rename.get(name, name) for name in columns]
        for old in self.rename:
            if old not in columns:
                near = closest(old, columns)
                hint = f"did you mean {shown(near)}?" if near else f"there are {_listed(columns)}"
                if self.rename[old] in columns:
                    hint = f"the old name comes first: {renaming(self.rename[old], old)}"
                refuse(table, f"no column {shown(old)} to rename", hint)
        seen: dict[str, str] = {}
        for name, old in zip(names, columns, strict=True):
            if name in seen:
                renamed = next((one for one in (old, seen[name]) if one != name), None)
                how = "" if renamed is None else f" after {shown(renamed)} is renamed"
                what = f"two columns have the name {shown(name)}{how}"
                refuse(table, what, "rename one of them")
            seen[name] = old
        if self.header is not None:
            self.header(table, names)

    def renamed(self, rows: Iterable[Row | BadRow]) -> Iterator[Row | BadRow]:
        """Yield rows with their new names; a row that has a new name already is a `BadRow`."""
        for row in rows:
            twice = [new for old, new in self.rename.items() if {old, new} <= row.fields.keys()]
            if twice and isinstance(row, Row):
                what = f"the row has {shown(twice[0])} already, so no field can be renamed to it"
                yield BadRow(row.number, what, row.fields, file=row.file)
                continue
            fields = {self.rename.get(name, name): value for name, value in row.fields.items()}
            yield row if twice else evolve(row, fields=fields)


def _listed(columns: Sequence[str], most: int = 20) -> str:
    more = f", and {len(columns) - most:,} more" if len(columns) > most else ""
    return ", ".join(shown(name) for name in columns[:most]) + more
