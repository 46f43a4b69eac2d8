"""Input rows of a run, as its folder remembers them, and the shard that they are split into."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from attrs import define

from chainlang.semantics.origin import NOWHERE, Origin
from chainlang.semantics.record import Record
from chainlang.semantics.row_failure import RowFailure
from chainlang.settings import WHOLE, Shard
from chainlang.store.output import read
from chainlang.store.passed import NOTHING, Passed


def read_of(start: Record | RowFailure | None) -> tuple[Origin, Mapping[str, Any]]:
    """Return the position of a row in its source, and its fields, as far as they were read."""
    if isinstance(start, Record):
        return start.origin, {**start.row, **start.extra} if start.extra else start.row
    return (NOWHERE, {}) if start is None else (start.origin or NOWHERE, start.fields)


def hashed(
    starts: Iterable[Record | RowFailure],
    shard: Shard = WHOLE,
    passed: Passed = NOTHING,
) -> str:
    """Return the hash of the first rows of a shard, as the run folder has it of completed ones.

    The rows follow those that were passed.
    """
    found = passed.inputs
    for index, start in enumerate(starts, passed.rows):
        origin, fields = read_of(start)
        found = read(found, origin.number or shard.row(index) + 1, fields)
    return found


@define(eq=False)
class Split:
    """The rows of a shard among those of the whole input, which each shard reads to its end.

    So a row that repeats the id of another one, or its content, is known as in one run, and so is
    the hash of the whole input, by which shards of one input are known.
    """

    shard: Shard = WHOLE
    is_split: bool = False
    """Whether the run is one of a shard; else the rows are not hashed."""
    rows: int = 0
    """Number of rows of the whole input that were read."""
    inputs: str = ""
    """Their hash."""

    def of(self, starts: Iterable[Record | RowFailure]) -> Iterator[Record | RowFailure]:
        """Yield the rows of the shard, and count and hash all rows."""
        for index, start in enumerate(starts):
            origin, fields = read_of(start)
            self.inputs = read(self.inputs, origin.number or index + 1, fields)
            self.rows += 1
            if self.shard.has(index):
                yield start

    def whole(self) -> dict[str, Any]:
        """Return the description of the whole input, once all of it was read."""
        return {"input_rows": self.rows, "input_hash": self.inputs} if self.is_split else {}
