"""Ports: connections of runs to an engine, which several runs and threads may share.

An engine supports one caller. Each run has its own `EnginePort`, which returns the replies to its
own requests, whichever port made the step in which they arrived. So the requests of several runs
are batched together. Other ports wrap an inner port, and each has one responsibility.
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
    """Return a request id that is unique in this process."""
    return str(next(_IDS))


@define(eq=False)
class _Shared:
    """State that the ports of one engine share."""

    lock: threading.RLock = field(factory=threading.RLock)
    owners: dict[str, EnginePort] = field(factory=dict)
    """Port of each request in flight."""

    def hand_out(self, replies: Iterable[Reply]) -> None:
        """Deliver replies to the ports of their requests."""
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
    """Return the current time of an engine: its simulated time, or that of the machine."""
    return engine.now if is_timed(engine) else time.monotonic()


def unload(engine: Loadable) -> None:
    """Unload the model of an engine, once all its requests in flight are done.

    Their ports return the replies at the next step.
    """
    shared = _shared_of(engine)
    with shared.lock:
        while shared.owners:
            check()
            shared.hand_out(engine.step())
        engine.unload()


class Port(Protocol):
    """Connection of a run to an engine. The ids of requests are made by `new_id`."""

    @property
    def engine(self) -> Engine:
        """The engine."""
        ...

    @property
    def inner(self) -> Port | None:
        """The wrapped port; None for the innermost."""
        ...

    @property
    def waits(self) -> bool:
        """Whether no reply can arrive before the engine's model is loaded."""
        ...

    def submit(self, requests: Iterable[Request]) -> None:
        """Submit requests. Each gets one reply, a completion or a failure."""
        ...

    def step(self, until: float | None = None) -> list[Reply]:
        """Return the replies that have arrived; if there are none, step the engine.

        Simulated time advances at most to `until`.
        """
        ...

    def abort(self, ids: Iterable[str]) -> None:
        """Abort requests, and drop their replies that were not returned yet."""
        ...


def layers(port: Port | None) -> Iterator[Port]:
    """Yield a port and its inner ports, down to the engine's."""
    while port is not None:
        yield port
        port = port.inner


class EnginePort:
    """The innermost port, which submits to the engine."""

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
        """Return the replies for this port; if there are none, step the engine."""
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
        """Abort requests, and drop their replies that were not returned yet."""
        with self._shared.lock:
            gone = set(ids)
            for name in gone:
                self._shared.owners.pop(name, None)
            self._arrived = [reply for reply in self._arrived if reply.id not in gone]
            self.engine.abort(gone)
