"""`use`: engine and settings of all calls of Ember's API; and the seeds of these calls.

Ember samples anew at each call, while a chain with the same row and seed gives the same samples. So
each call has a seed of its own, made from its position: how often this operator was called with
these inputs before, and within a `forward` the number of the call. The first one has the seed that
is set. The same program gives the same samples, whether its calls overlap or not.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Self

from attrs import define, field

from chainlang.compat.ember.exceptions import InvalidArgumentError

__all__ = ["use"]

_REMEMBERED = 2**16
"""Number of different calls whose repetitions are counted."""


class use:  # noqa: N801  # called like a function
    """Set the engine, or other settings, of all calls of Ember's API.

    They hold until `close`, or to the end of a ``with`` block, in all threads; the latest ones are
    before earlier ones. The settings are those of calling a chain. Raises `InvalidArgumentError`
    for an unknown one.

    >>> from chainlang.compat import ember
    >>> from chainlang.engines.fake import FakeEngine
    >>> with ember.use(engine=FakeEngine(answers={"17": "42"})):
    ...     ember.LMModule()("What is 17 + 25?")
    '42'
    """

    _active: list[use] = []  # noqa: RUF012  # of the process

    def __init__(self, engine: Any = None, **settings: Any) -> None:
        from chainlang.settings import CallSettings

        unknown = [name for name in settings if name not in CallSettings.names()]
        if unknown:
            known = ", ".join(sorted(CallSettings.names()))
            raise InvalidArgumentError(
                f"'{unknown[0]}' is no setting of a call", recovery_hint=f"there are: {known}"
            )
        self.settings = settings if engine is None else {"engine": engine, **settings}
        self.seen: OrderedDict[int, int] = OrderedDict()
        self._active.append(self)

    def close(self) -> None:
        """Let the earlier settings hold again."""
        if self in self._active:
            self._active.remove(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


_OF_PROCESS: OrderedDict[int, int] = OrderedDict()
_OF_CALL: ContextVar[dict[str, Any] | None] = ContextVar("settings of a call", default=None)
_POSITION: ContextVar[Position | None] = ContextVar("position of a call", default=None)


def settings_in_use(*, repeats: bool) -> dict[str, Any]:
    """Return the settings of a call made now, with its seed.

    A seed that the call itself is given is its seed, and so is the one that is set, if it
    `repeats`; else it is made of that and the position.
    """
    found: dict[str, Any] = {}
    for one in [*use._active]:
        found |= one.settings
    given = _OF_CALL.get() or {}
    seed = found.get("seed", 0)
    return {**found, "seed": seed if repeats else seed_at(_POSITION.get(), seed), **given}


def added(settings: Mapping[str, Any], known: Collection[str]) -> dict[str, Any]:
    """Return settings of a run, with those in use that it knows and is not given."""
    found: dict[str, Any] = {}
    for one in [*use._active]:
        found |= one.settings
    return {**{name: one for name, one in found.items() if name in known}, **settings}


@contextmanager
def settings_of_call(settings: dict[str, Any]) -> Iterator[None]:
    """Add settings for what is called inside the block."""
    token = _OF_CALL.set({**(_OF_CALL.get() or {}), **settings})
    try:
        yield
    finally:
        _OF_CALL.reset(token)


# ---------------------------------------------------------------- seeds


@define
class Position:
    """Position of a call among all calls, and the number of calls made inside it so far."""

    path: tuple[int, ...]
    made: int = field(default=0)


def next_position(call: Callable[[], object]) -> Position:
    """Return the position of a call that is made now.

    `call` returns what is called, with what; it is asked where no other call is around.
    """
    around = _POSITION.get()
    if around is None:
        return Position((_repetitions(hash(call())),))
    around.made += 1
    return Position((*around.path, around.made - 1))


def positions(count: int) -> list[Position]:
    """Return positions of calls that are made at the same time, in order."""
    around = _POSITION.get() or Position((0,))
    start, around.made = around.made, around.made + count
    return [Position((*around.path, number)) for number in range(start, start + count)]


@contextmanager
def at(position: Position) -> Iterator[None]:
    """Make the calls inside the block calls within a position."""
    token = _POSITION.set(position)
    try:
        yield
    finally:
        _POSITION.reset(token)


def seed_at(position: Position | None, seed: int) -> int:
    """Return the seed of a call at a position, where `seed` is set."""
    if position is None or not any(position.path):
        return seed
    digest = hashlib.blake2b(repr((seed, position.path)).encode(), digest_size=6)
    return int.from_bytes(digest.digest())


def _repetitions(call: int) -> int:
    seen = use._active[-1].seen if use._active else _OF_PROCESS
    count = seen.pop(call, -1) + 1
    seen[call] = count
    while len(seen) > _REMEMBERED:
        seen.popitem(last=False)
    return count
