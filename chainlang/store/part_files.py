"""Tables in parts, in a folder of their own: ``000.jsonl``, ``001.jsonl``, ..."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO

from attrs import define, field

from chainlang.store.io_errors import file_errors
from chainlang.store.safe_files import TEMPORARY, Folder
from chainlang.store.table_formats import Columns, line_of

_HELD = 1 << 16  # characters that are buffered before they are written
_SPOOL = ".rows" + TEMPORARY
_BLOCK = 1 << 20


def _digest() -> hashlib.blake2b:
    return hashlib.blake2b(digest_size=16)


@define(eq=False)
class Parts:
    """The parts of one table. Rows are appended to the open part; `roll` completes it.

    Files are closed between writes, so a run may have any number of tables.
    """

    root: Folder
    folder: str
    """Name of the table's folder in the root; empty for the root itself."""
    ending: str
    convert: Callable[[BinaryIO, BinaryIO, Columns], None] | None = None
    columns: Columns = field(factory=Columns)
    held: list[str] = field(factory=list)
    """Lines that are not written yet."""
    size: int = 0
    """Number of their characters."""
    begun: str = ""
    """Name of the open part; empty while it has no file."""
    length: int = 0
    """Length of that file, in bytes."""
    digest: hashlib.blake2b = field(factory=_digest)
    """Hash of that file."""
    is_synced: bool = True
    """Whether that file is synced to the disk."""
    complete: int = 0
    """Number of complete parts."""
    volume: int = 0
    """Total size of those parts, in bytes."""
    noted: str = ""
    """Hash of the open part in the note, until it is reopened."""

    # ---- writing

    def add(self, row: Mapping[str, Any], part: str) -> None:
        """Append a row to a part."""
        if self.convert is not None:
            self.columns.see(row)
        self._hold(line_of(row), part)

    def add_lines(self, lines: str, part: str) -> None:
        """Append rows to a part, as the lines that `line_of` returns for them."""
        if self.convert is not None:
            for line in lines.removesuffix("\n").split("\n"):
                self.columns.see(json.loads(line))
        self._hold(lines, part)

    def _hold(self, line: str, part: str) -> None:
        self.held.append(line)
        self.size += len(line)
        if self.size >= _HELD:
            self.flush(part)

    def flush(self, part: str) -> None:
        """Write the buffered rows to the file of the part, under its temporary name."""
        data = "".join(self.held).encode()
        with self.opened() as folder, file_errors(f"{folder.path}/{part}"):
            new = not self.begun
            with (folder.create if new else folder.append)(part + _SPOOL) as file:
                self.begun = part
                file.write(data)
        self.length += len(data)
        self.digest.update(data)
        self.is_synced = False
        self.held.clear()
        self.size = 0

    def sync(self, part: str) -> None:
        """Sync the appended rows to the disk."""
        if self.held:
            self.flush(part)
        if not self.is_synced:
            with self.opened() as folder:
                folder.sync(self.begun + _SPOOL)
            self.is_synced = True

    def roll(self, part: str, *, empty: bool = False, keep_lines: bool = False) -> None:
        """Complete a part. A part without rows has no file, unless `empty` is set.

        `keep_lines` keeps the JSON lines of a part in another format, so that a resumed run can
        append to them.
        """
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
                    file_errors(
                        f"{folder.path}/{name}"
                    ),  # the last bytes are written by closing it
                    folder.read(part + _SPOOL) as lines,
                    folder.create(name + TEMPORARY) as out,
                ):
                    self.convert(lines, out, self.columns)
                folder.commit(name + TEMPORARY, name)
                if not keep_lines:
                    folder.remove(part + _SPOOL)
            self._completed(folder, name)

    def _completed(self, folder: Folder, name: str) -> None:
        self.complete += 1
        self.volume += folder.size(name)
        self.begun, self.length, self.digest, self.is_synced = "", 0, _digest(), True

    # ---- resuming

    def note(self) -> dict[str, Any]:
        """Return the state for `take`."""
        return {
            "columns": self.columns.kinds,
            "begun": self.begun,
            "length": self.length,
            "digest": self.digest.hexdigest(),
            "complete": self.complete,
            "volume": self.volume,
        }

    def take(self, note: Mapping[str, Any]) -> None:
        """Restore the state of a note."""
        self.columns = Columns(dict(note["columns"]))
        self.begun, self.length, self.noted = note["begun"], note["length"], note["digest"]
        self.complete, self.volume = note["complete"], note["volume"]

    def kept(self, part: str, *, is_full: bool) -> list[str] | None:
        """Return the files, which match the note; None if one of them does not.

        `part` is the part of the next row. With `is_full` the open part has all its rows, and may
        have been completed after the note.
        """
        if self.folder and self.root.kind(self.folder) != "folder":
            return [] if not (self.begun or self.complete) else None
        with self.opened() as folder:
            names = self._parts_before(folder, self.begun or part) if self.folder else []
            if (len(names), sum(map(folder.size, names))) != (self.complete, self.volume):
                return None
            if self.begun:
                spool, name = self.begun + _SPOOL, f"{self.begun}.{self.ending}"
                if folder.kind(spool) == "file":
                    names.append(spool)
                elif folder.kind(name) == "file" and (is_full or self.convert is None):
                    names.append(name)
                else:
                    return None
                is_lines = names[-1] == spool or self.convert is None
                if is_lines and not self._is_noted(folder, names[-1]):
                    return None
        return names

    def _parts_before(self, folder: Folder, part: str) -> list[str]:
        found = (name.partition(".") for name in folder.names())
        return [
            f"{number}.{ending}"
            for number, _, ending in found
            if ending == self.ending and number.isdecimal() and int(number) < int(part)
        ]

    def _is_noted(self, folder: Folder, name: str) -> bool:
        """Return whether a file begins with the noted content; continue its hash."""
        left, self.digest = self.length, _digest()
        with folder.read(name) as file, file_errors(f"{folder.path}/{name}"):
            while left and (block := file.read(min(left, _BLOCK))):
                self.digest.update(block)
                left -= len(block)
        return not left and self.digest.hexdigest() == self.noted

    def reopen(self) -> None:
        """Reopen the part that was open at the time of the note, after `kept` has checked it."""
        if not self.begun:
            return
        spool, name = self.begun + _SPOOL, f"{self.begun}.{self.ending}"
        with self.opened() as folder:
            if folder.kind(spool) != "file":
                if self.convert is not None:  # it is full, and was completed after the note
                    self._completed(folder, name)
                    return
                folder.rename(name, spool)
            folder.truncate(spool, self.length)
            self.is_synced = False

    @contextmanager
    def opened(self) -> Iterator[Folder]:
        """Open the folder of the table."""
        if not self.folder:
            yield self.root
            return
        with self.root.inside(self.folder) as folder:
            yield folder
