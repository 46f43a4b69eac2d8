"""Lower bound of the prompt tokens that an engine with a prefix cache computes, in any order.

A prefix cache stores blocks of B tokens, and the last token of a prompt is computed in any case. So
for a prompt of L tokens the cache saves at most B*h, where h is the number of leading full blocks
that were computed before, and at most floor((L-1)/B). The bound is the sum of L - B*h over all
prompts in the best order: shorter ones first.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import repeat

_EMPTY = 0
_MASK = (1 << 64) - 1


class Seen:
    """Compact set of 64-bit hashes, at 16 to 32 bytes each, for the blocks of millions of rows.

    >>> seen = Seen()
    >>> [seen.add(hash(one)) for one in ("a", "b", "a")]
    [True, True, False]
    """

    def __init__(self) -> None:
        self._slots = array("Q", repeat(_EMPTY, 64))
        self._count = 0

    def __contains__(self, number: int) -> bool:
        return self._slots[self._find(number)] != _EMPTY

    def add(self, number: int) -> bool:
        """Add a hash; return whether it is new."""
        slot = self._find(number)
        if self._slots[slot] != _EMPTY:
            return False
        self._slots[slot] = _key(number)
        self._count += 1
        if 2 * self._count > len(self._slots):
            before, self._slots = self._slots, array("Q", repeat(_EMPTY, 2 * len(self._slots)))
            for one in before:
                if one != _EMPTY:
                    self._slots[self._find(one)] = one
        return True

    def _find(self, number: int) -> int:
        """Return the slot of a hash, or the empty slot to put it in."""
        key, slots = _key(number), self._slots
        last = len(slots) - 1
        slot = (key ^ key >> 32) & last
        while slots[slot] not in (_EMPTY, key):
            slot = (slot + 1) & last
        return slot


def _key(number: int) -> int:
    return number & _MASK or 1


class Prefixes:
    """Incremental computation of the bound: hashes of the full blocks of all prompts so far.

    `block` is the number of tokens in a block; None for an engine without a prefix cache.

    >>> prefixes = Prefixes(block=4)
    >>> prefixes.add(range(10)), prefixes.add([*range(8), 20, 21, 22]), prefixes.add(range(10))
    (10, 3, 2)
    """

    def __init__(self, block: int | None) -> None:
        self.block = block
        self._inner = Seen()
        self._last = Seen()  # last blocks of prompts, which are computed in any case

    def most(self, prompt: Sequence[int]) -> int:
        """Return the maximum number of a prompt's tokens that the cache can save."""
        return 0 if self.block is None else max(0, len(prompt) - 1) // self.block * self.block

    def add(self, prompt: Sequence[int], times: int = 1) -> int:
        """Add a prompt `times` times; return the increase of the bound in tokens."""
        block = self.block
        if block is None or not prompt or not times:
            return len(prompt) * times
        most = self.most(prompt)
        raised, way = (len(prompt) - most) * times, 0
        for end in range(block, most + 1, block):
            way = hash((way, *prompt[end - block : end]))
            if self._inner.add(way) and way not in self._last:
                raised += block
        if len(prompt) % block == 0:
            way = hash((way, *prompt[-block:]))
            if self._last.add(way) and way in self._inner:
                raised -= block
        return raised


def bound(prompts: Sequence[Sequence[int]], block: int) -> int:
    """Return the bound of prompts; a prompt with n samples is listed n times.

    >>> bound([range(10), [*range(8), 20, 21, 22], range(10)], block=4)
    15
    """
    prefixes = Prefixes(block)
    return sum(map(prefixes.add, prompts))
