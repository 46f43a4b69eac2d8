"""Shards of a run: each of n processes runs every n-th row of one input."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Self

from attrs import frozen
from pydantic import BeforeValidator, InstanceOf

MOST = 10_000
"""Maximum number of shards of a run."""
_TEXT = re.compile(r"\s*([0-9]+)\s*/\s*([0-9]+)\s*\Z")
NAME = re.compile(r"shard-([0-9]{4,})-of-([0-9]{4,})\Z")
"""Name of the folder of a shard."""


@frozen
class Shard:
    """One shard of a run: its number, from 1, and how many there are.

    >>> shard = Shard(2, 3)
    >>> str(shard), shard.name, [shard.row(index) for index in range(3)]
    ('2/3', 'shard-0002-of-0003', [1, 4, 7])
    """

    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    @property
    def name(self) -> str:
        """Name of its folder."""
        return f"shard-{self.number:04}-of-{self.of:04}"

    @classmethod
    def named(cls, name: str) -> Self | None:
        """Return the shard whose folder has this name; None for another name."""
        found = NAME.match(name)
        return cls(int(found[1]), int(found[2])) if found else None

    @classmethod
    def of_text(cls, text: object) -> Self | None:
        """Return the shard of a text such as ``3/32``; None for anything else."""
        found = _TEXT.match(text) if isinstance(text, str) else None
        return cls(int(found[1]), int(found[2])) if found else None

    def folder(self, out: Path) -> Path:
        """Return its folder in that of the run, which may be named itself."""
        return out if out.name == self.name else out / self.name

    def above(self, out: Path) -> Path:
        """Return the folder of the whole run, of which the folder of the shard may be named."""
        return out.parent if out.name == self.name else out

    def row(self, index: int) -> int:
        """Return the index in the input of a row of the shard; both are counted from 0."""
        return index * self.of + self.number - 1

    def has(self, index: int) -> bool:
        """Return whether a row of the input is one of the shard."""
        return index % self.of == self.number - 1

    def rows(self, total: int) -> int:
        """Return how many of the first rows of an input are in the shard.

        >>> [Shard(number, 3).rows(7) for number in (1, 2, 3)]
        [3, 2, 2]
        """
        return max(0, (total - self.number) // self.of + 1)


WHOLE = Shard(1, 1)
"""The only shard of a run that is not split."""


def _shard(value: object) -> object:
    """Return the shard of a pair of numbers, or of a text such as ``3/32``."""
    if isinstance(value, str) and (found := _TEXT.match(value)):
        value = (int(found[1]), int(found[2]))
    is_pair = isinstance(value, tuple | list) and len(value) == 2
    if is_pair and not fault(value):
        return Shard(*value)  # type: ignore[misc]  # two numbers
    return value


def fault(value: object) -> str:
    """Return what is wrong with the numbers of a shard; empty if nothing is, or there are none."""
    if isinstance(value, str) and (found := _TEXT.match(value)):
        value = (int(found[1]), int(found[2]))
    if not (isinstance(value, tuple | list) and len(value) == 2):
        return ""
    number, of = value
    if type(number) is not int or type(of) is not int:
        return "both are whole numbers"
    if not 1 <= of <= MOST:
        return f"a run has 1 to {MOST:,} shards"
    if not 1 <= number <= of:
        return f"shards are counted from 1 to {of:,}"
    return ""


OneShard = Annotated[InstanceOf[Shard], BeforeValidator(_shard)]
