"""Ways to an engine: several loops may use one at the same time, from one thread or from several.

An engine knows one caller. A port is that caller for one loop: it submits, and receives what was
submitted through it, whichever port took the step in which a reply came. So what several loops ask
is drawn in one batch.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Sequence
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
    """What the ports of one engine share."""

    lock: threading.RLock = field(factory=threading.RLock)
    owners: dict[str, Port] = field(factory=dict)
    """Who has asked each request that has not come back."""

    def hand_out(self, replies: Iterable[Reply]) -> None:
        """Give replies to those who have asked."""
        for reply in replies:
            if isinstance(reply, Delta):
                owner = self.owners.get(reply.id)
            else:
                owner = self.owners.pop(reply.id, None)
            if owner is not None:
                owner._arrived.append(reply)


def _shared_of(engine: Engine) -> _Shared:
    with _SHARING:
        return _SHARED.setdefault(engine, _Shared())


def unload(engine: Loadable) -> None:
    """Have an engine give its memory back, once all that anybody has asked of it has come.

    Each port finds its replies when it looks for them.
    """
    shared = _shared_of(engine)
    with shared.lock:
        while shared.owners:
            check()
            shared.hand_out(engine.step())
        engine.unload()


class Port:
    """One loop's way to an engine. The ids of its requests come from `new_id`."""

    __slots__ = ("_arrived", "_shared", "engine", "shared")

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._shared = _shared_of(engine)
        self._arrived: list[Reply] = []
        self.shared = 0
        """How many requests were not asked through it, since another one had their reply."""

    @property
    def waits(self) -> bool:
        """Whether nothing can come before the engine's model is loaded."""
        return False

    def submit(self, requests: Iterable[Request]) -> None:
        """Ask."""
        with self._shared.lock:
            requests = list(requests)
            self._shared.owners.update((request.id, self) for request in requests)
            self.engine.submit(requests)

    def step(self, until: float | None = None) -> list[Reply]:
        """Return what has come for this port; if nothing has, let the engine work for a moment.

        The time of an engine that has one of its own passes no further than `until`.
        """
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
        """Forget requests, those too that have come back and were not taken yet."""
        with self._shared.lock:
            gone = set(ids)
            for name in gone:
                self._shared.owners.pop(name, None)
            self._arrived = [reply for reply in self._arrived if reply.id not in gone]
            self.engine.abort(gone)
