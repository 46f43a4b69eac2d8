"""A table in a folder of its own, in parts: ``000.jsonl``, ``001.jsonl``, ..."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO

from attrs import define, field

from chainlang.store.files import TEMPORARY, Folder, told
from chainlang.store.tables import Columns, json_line

_HELD = 1 << 16  # bytes that wait before they are written
_SPOOL = ".rows" + TEMPORARY


@define(eq=False)
class Parts:
    """The parts of one table. Rows are added to the part that is open; `roll` completes it.

    Between writes no file stays open, so a run may have any number of tables.
    """

    root: Folder
    folder: str
    """The name of the table's folder in the root; empty for the root itself."""
    ending: str
    convert: Callable[[BinaryIO, BinaryIO, Columns], None] | None = None
    columns: Columns = field(factory=Columns)
    held: list[bytes] = field(factory=list)
    size: int = 0
    begun: str = ""
    """The name of the part that is open, if it has a file yet."""

    def add(self, row: Mapping[str, Any], part: str) -> None:
        """Add a row to the part of that name."""
        line = json_line(row)
        if self.convert is not None:
            self.columns.see(row)
        self.held.append(line)
        self.size += len(line)
        if self.size >= _HELD:
            self.flush(part)

    def flush(self, part: str) -> None:
        """Write what is held to the file of the part, under its temporary name."""
        with self.opened() as folder, told(f"{folder.path}/{part}"):
            new = not self.begun
            with (folder.create if new else folder.append)(part + _SPOOL) as file:
                self.begun = part
                file.writelines(self.held)
        self.held.clear()
        self.size = 0

    def roll(self, part: str, *, empty: bool = False) -> None:
        """Complete a part. Without rows there is none, unless `empty` asks for it."""
        if self.held or (empty and not self.begun):
            self.flush(part)
        if not self.begun:
            return
        name = f"{part}.{self.ending}"
        with self.opened() as folder:
            if self.convert is None:
                folder.commit(part + _SPOOL, name)
            else:
                with (
                    folder.read(part + _SPOOL) as lines,
                    folder.create(name + TEMPORARY) as out,
                    told(f"{folder.path}/{name}"),
                ):
                    self.convert(lines, out, self.columns)
                folder.commit(name + TEMPORARY, name)
                folder.remove(part + _SPOOL)
        self.begun = ""

    @contextmanager
    def opened(self) -> Iterator[Folder]:
        """Open the folder of the table."""
        if not self.folder:
            yield self.root
            return
        with self.root.inside(self.folder) as folder:
            yield folder
