"""Difference of two texts, in a few lines that show where they differ."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import SequenceMatcher
from itertools import zip_longest

_WIDTH = 96  # characters of a line that are shown
_BEFORE = 30  # of them, before the first that differs
_MOST = 24  # lines that are shown


def difference(before: str, now: str) -> tuple[str, ...]:
    """Return the lines that differ, as ``- before`` and ``+ now``, each with a line around it.

    >>> for line in difference("a\\nmain = 3:E\\nb\\nc", "a\\nmain = 5:E\\nb\\nc"):
    ...     print(line)
      a
    - main = 3:E
    + main = 5:E
      b
    """
    lines = list(_lines(before.splitlines(), now.splitlines()))
    more = len(lines) - _MOST
    return (*lines[:_MOST], f"... {more} more lines differ") if more > 0 else tuple(lines)


def _lines(old: list[str], new: list[str]) -> Iterator[str]:
    groups = SequenceMatcher(None, old, new, autojunk=False).get_grouped_opcodes(1)
    for number, group in enumerate(groups):
        if number:
            yield "..."
        for tag, start, end, new_start, new_end in group:
            removed, added = old[start:end], new[new_start:new_end]
            if tag == "equal":
                yield from (f"  {_cut(line, 0)}" for line in removed)
                continue
            at = [_common(*pair) for pair in zip_longest(removed, added, fillvalue="")]
            yield from (f"- {_cut(line, first)}" for line, first in zip(removed, at, strict=False))
            yield from (f"+ {_cut(line, first)}" for line, first in zip(added, at, strict=False))


def _common(one: str, other: str) -> int:
    """Return the length of the beginning that two lines share.

    >>> _common("3:E >> M", "3:E >> J")
    7
    """
    pairs = zip(one, other, strict=False)
    differs = (index for index, (a, b) in enumerate(pairs) if a != b)
    return next(differs, min(len(one), len(other)))


def _cut(line: str, first: int) -> str:
    """Return a line, shortened around the first character that differs."""
    if len(line) <= _WIDTH:
        return line
    start = max(0, first - _BEFORE)
    end = start + _WIDTH
    return f"{'…' * (start > 0)}{line[start:end]}{'…' * (end < len(line))}"
