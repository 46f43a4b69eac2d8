"""Ports: the ways to an engine, which several loops may use at a time, from one thread or several.

An engine knows one caller. An `EnginePort` is that caller for one loop: it submits, and receives
what was submitted through it, whichever port took the step in which a reply came. So what several
loops ask is drawn in one batch. Other ports hold an inner one, and each has one duty.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol
from weakref import WeakKeyDictionary

from attrs import define, field

from chainlang.engines.protocol import Engine, Loadable, is_timed
from chainlang.interrupts import check
from chainlang.protocol.messages import Completion, Delta, Failure, Request

Reply = Completion | Failure | Delta

_IDS = itertools.count(1)
_SHARED: WeakKeyDictionary[Engine, _Shared] = WeakKeyDictionary()
_SHARING = threading.Lock()


def new_id() -> str:
    """Return an id that no other request in this process has."""
    return str(next(_IDS))


@define(eq=False)
class _Shared:
    """State that the ports of one engine share."""

    lock: threading.RLock = field(factory=threading.RLock)
    owners: dict[str, EnginePort] = field(factory=dict)
    """The port of each request that has not come back."""

    def hand_out(self, replies: Iterable[Reply]) -> None:
        """Give replies to the ports of their requests."""
        for reply in replies:
            if isinstance(reply, Delta):
                owner = self.owners.get(reply.id)
            else:
                owner = self.owners.pop(reply.id, None)
            if owner is not None:
                owner._arrived.append(reply)


def _shared_of(engine: Engine) -> _Shared:
    with _SHARING:
        found = _SHARED.get(engine)
        if found is None:
            found = _SHARED[engine] = _Shared()
        return found


def lock_of(engine: Engine) -> threading.RLock:
    """Return the lock that is held while an engine works, loads or unloads."""
    return _shared_of(engine).lock


def now_of(engine: Engine) -> float:
    """Return the time of an engine: its own where it has one, else the machine's."""
    return engine.now if is_timed(engine) else time.monotonic()


def unload(engine: Loadable) -> None:
    """Have an engine give its memory back, once every reply that it owes has come.

    Each port finds its replies at its next step.
    """
    shared = _shared_of(engine)
    with shared.lock:
        while shared.owners:
            check()
            shared.hand_out(engine.step())
        engine.unload()


class Port(Protocol):
    """One loop's way to an engine. The ids of its requests come from `new_id`."""

    @property
    def engine(self) -> Engine:
        """The engine at the end of the way."""
        ...

    @property
    def inner(self) -> Port | None:
        """The port that this one asks; None for the one that asks the engine."""
        ...

    @property
    def waits(self) -> bool:
        """Whether nothing can come before the engine's model is loaded."""
        ...

    def submit(self, requests: Iterable[Request]) -> None:
        """Submit requests. Each comes back once, as a completion or a failure."""
        ...

    def step(self, until: float | None = None) -> list[Reply]:
        """Return the replies that have come; if there are none, let the engine work for a moment.

        The time of an engine that has one of its own passes no further than `until`.
        """
        ...

    def abort(self, ids: Iterable[str]) -> None:
        """Forget requests, and replies to them that were not taken yet."""
        ...


def layers(port: Port | None) -> Iterator[Port]:
    """Yield a port, the one that it asks, and so on down to the engine's."""
    while port is not None:
        yield port
        port = port.inner


class EnginePort:
    """The innermost port: it asks the engine."""

    __slots__ = ("_arrived", "_shared", "engine")

    inner = None
    waits = False

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._shared = _shared_of(engine)
        self._arrived: list[Reply] = []

    def submit(self, requests: Iterable[Request]) -> None:
        """Submit requests to the engine."""
        with self._shared.lock:
            requests = list(requests)
            self._shared.owners.update((request.id, self) for request in requests)
            self.engine.submit(requests)

    def step(self, until: float | None = None) -> list[Reply]:
        """Return what has come for this port; if nothing has, let the engine work for a moment."""
        with self._shared.lock:
            if not self._arrived:
                self._shared.hand_out(self._worked(until))
            arrived, self._arrived = self._arrived, []
        return arrived

    def _worked(self, until: float | None) -> Sequence[Reply]:
        if until is not None and is_timed(self.engine):
            return self.engine.step(until)
        return self.engine.step()

    def abort(self, ids: Iterable[str]) -> None:
        """Forget requests, and replies to them that were not taken yet."""
        with self._shared.lock:
            gone = set(ids)
            for name in gone:
                self._shared.owners.pop(name, None)
            self._arrived = [reply for reply in self._arrived if reply.id not in gone]
            self.engine.abort(gone)
