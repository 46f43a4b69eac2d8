"""Tables of shards, read line by line and put together in the order of the rows.

Row r of the input is in shard (r - 1) % n + 1, and the tables of a shard have its rows in order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attrs import define

from chainlang.errors import error_of
from chainlang.store.safe_files import Folder

_BEGIN = b'{"row": '
_LONGEST = 32  # bytes of a number
_END = float("inf")


@define(eq=False)
class Table:
    """The lines of a table of one shard, in their order."""

    path: str
    lines: Iterator[bytes]
    line: bytes = b""
    """The line that was read last; empty at the end."""
    row: float = 0
    """Number of its row; infinite at the end."""

    def step(self) -> None:
        """Read the next line. Raises `SourceError` for one that was cut."""
        self.line = next(self.lines, b"")
        if self.line and not self.line.endswith(b"\n"):
            raise error_of("file", f"{self.path}: the last line has no end")

    def step_to_row(self) -> None:
        """Read the next line, and the number of its row. Raises `SourceError` if it has none."""
        self.step()
        if not self.line:
            self.row = _END
            return
        end = self.line.find(b",", len(_BEGIN), _LONGEST)
        digits = self.line[len(_BEGIN) : max(end, 0)]
        if not self.line.startswith(_BEGIN) or not digits.isdigit():
            raise error_of("file", f"{self.path}: a line has no number of its row")
        self.row = int(digits)

    def first_row(self) -> float:
        """Return the number of the row of the first line; infinite if there is none."""
        self.step_to_row()
        return self.row


def of_root(root: Folder, name: str) -> Table:
    """Return the lines of a file of a shard; none if it is missing."""
    return Table(f"{root.path}/{name}", _of_root(root, name))


def _of_root(root: Folder, name: str) -> Iterator[bytes]:
    if root.kind(name) == "file":
        with root.read(name) as file:
            yield from file


def of_folder(root: Folder, name: str) -> Table:
    """Return the lines of a table in parts; none if it is missing."""
    return Table(f"{root.path}/{name}", _of_folder(root, name))


def _of_folder(root: Folder, name: str) -> Iterator[bytes]:
    if not name or root.kind(name) != "folder":
        return
    with root.inside(name) as folder:
        for part in sorted(folder.names(), key=lambda one: int(one.partition(".")[0])):
            with folder.read(part) as file:
                yield from file


def by_row(tables: Sequence[Table], rows: int) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of the tables of all shards with the numbers of their rows, in order.

    Raises `SourceError` for a line that is out of order.
    """
    for one in tables:
        one.step_to_row()
    of = len(tables)
    for row in range(1, rows + 1):
        one = tables[(row - 1) % of]
        while one.row == row:
            yield row, one.line
            one.step_to_row()
    for one in tables:
        if one.line:
            what = f"{one.path}: row {one.row:.0f} is not one of its shard, or not in order"
            raise error_of("file", what)


def by_turns(
    tables: Sequence[Table], rows: int, left_out: Iterator[tuple[int, bytes]]
) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of the tables of all shards, one for each row but those that are left out.

    Raises `SourceError` if a table has too few lines, or too many.
    """
    without = next(left_out, None)
    of = len(tables)
    for row in range(1, rows + 1):
        if without is not None and without[0] == row:
            while without is not None and without[0] == row:
                without = next(left_out, None)
            continue
        one = tables[(row - 1) % of]
        one.step()
        if not one.line:
            raise error_of("file", f"{one.path}: row {row:,} is missing")
        yield row, one.line
    for one in tables:
        one.step()
        if one.line:
            raise error_of("file", f"{one.path}: there are more lines than rows")
