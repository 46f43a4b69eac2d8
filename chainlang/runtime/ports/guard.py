"""A port that holds requests back: for a budget, for model loading, and for circuit breakers."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from attrs import evolve

from chainlang.engines.protocol import Engine, is_loadable, is_timed
from chainlang.protocol.failures import FAILURE_MODES
from chainlang.protocol.messages import Completion, Delta, Failure, Request, changed
from chainlang.runtime.budget import RunBudget
from chainlang.runtime.ports.circuit_breaker import Breaker, breakers_of
from chainlang.runtime.ports.port import Port, Reply, lock_of, new_id, now_of

_LONGEST_SLEEP = 0.05  # seconds, so that the loop notices other events in time


class GuardedPort:
    """A port that holds requests back, and checks them again at each step.

    * A request that exceeds the budget of the run gets no reply: the run is about to end.
    * A request whose model is not loaded is held until it is.
    * A request whose model is unavailable by its breaker, which all runs that use the engine share,
      is held until the model replies again or the request's patience, counted from the breaker's
      opening, is used up. If its call has failed for the same reason, it is held too, and submitted
      again under another id, so that late replies to the first call are not taken for the second.

    It is one port since it is one decision: a held request is charged only when it is submitted, so
    the budget is checked first and charged last.
    """

    __slots__ = (
        "_again", "_breakers", "_budget", "_flying", "_held", "_loadable", "_lock", "_ready",
        "engine", "inner",
    )  # fmt: skip

    def __init__(self, inner: Port, budget: RunBudget | None = None) -> None:
        self.inner = inner
        self.engine: Engine = inner.engine
        self._budget = budget
        self._breakers = breakers_of(self.engine)
        self._loadable = self.engine if is_loadable(self.engine) else None
        self._lock = lock_of(self.engine)
        self._flying: dict[str, tuple[str, Request]] = {}
        """Requests that were submitted, and the ids that they came with, by the ids they have."""
        self._again: dict[str, str] = {}
        """Ids of requests that were submitted again, by the ids that they came with."""
        self._held: list[tuple[str, Request]] = []
        """Requests that are held, with the ids that they came with."""
        self._ready: list[Reply] = []

    @property
    def waits(self) -> bool:
        """Whether no reply can arrive before the engine's model is loaded."""
        if not self._held or self._flying or self._ready:
            return False
        return self._loadable is not None and not self._loadable.loaded

    def submit(self, requests: Iterable[Request]) -> None:
        """Submit the requests that are admitted, and hold the others."""
        self._admit([(request.id, request) for request in requests])

    def step(self, until: float | None = None) -> list[Reply]:
        """Return the replies that have arrived, and failures of requests without patience left."""
        if self._held:
            held, self._held = self._held, []
            self._admit(held)
        if self._ready:
            ready, self._ready = self._ready, []
            return ready
        if not self._held:
            return self._heard(self.inner.step(until))
        moment = self._next()
        replies = self.inner.step(_earlier(until, moment))
        if moment is not None and not (replies or self._flying or is_timed(self.engine)):
            time.sleep(max(0.0, min(moment - time.monotonic(), _LONGEST_SLEEP)))
        return self._heard(replies)

    def abort(self, ids: Iterable[str]) -> None:
        """Abort requests."""
        gone = set(ids)
        self._ready = [reply for reply in self._ready if reply.id not in gone]
        self._held = [entry for entry in self._held if entry[0] not in gone]
        below = [self._again.pop(name, name) for name in gone]
        flown = [name for name in below if self._flying.pop(name, None) is not None]
        if self._budget is not None:
            self._budget.abort(len(flown))
        for breaker in self._breakers.values():
            breaker.forget(below)
        self.inner.abort(below)

    def _admit(self, waiting: Sequence[tuple[str, Request]]) -> None:
        asked: list[Request] = []
        now = now_of(self.engine)
        with self._lock:  # the model can't be unloaded before the requests are submitted
            is_loaded = self._loadable is None or self._loadable.loaded
            for name, request in waiting:
                breaker = self._breaker(request)
                if self._budget is not None and not self._budget.has_room(request):
                    continue
                if not is_loaded:
                    self._held.append((name, request))
                elif breaker is None or breaker.admits(request.id, now):
                    if self._budget is not None:
                        self._budget.charge(request)
                    self._flying[request.id] = (name, request)
                    asked.append(request)
                elif breaker.is_worth_waiting(request.patience or 0.0, now):
                    self._held.append((name, request))
                else:
                    self._again.pop(name, None)
                    self._ready.append(breaker.down(name))
            if asked:
                self.inner.submit(asked)

    def _heard(self, replies: Iterable[Reply]) -> list[Reply]:
        """Return the replies, except those of requests to submit again."""
        found: list[Reply] = []
        now = now_of(self.engine)
        for reply in replies:
            known = None if isinstance(reply, Delta) else self._flying.pop(reply.id, None)
            if known is None or isinstance(reply, Delta):
                found.append(reply)
                continue
            name, request = known
            if self._budget is not None:
                self._budget.settle(request, reply)
            breaker = self._breaker(request)
            if breaker is not None and _is_asked_again(breaker, request, reply, now):
                again = self._again[name] = new_id()
                self._held.append((name, changed(request, id=again)))
                continue
            self._again.pop(name, None)
            found.append(reply if reply.id == name else evolve(reply, id=name))
        return found

    def _breaker(self, request: Request) -> Breaker | None:
        if request.patience is None:
            return None
        found = self._breakers.get(request.model)
        if found is None:
            found = self._breakers.setdefault(request.model, Breaker(request.model))
        return found

    def _next(self) -> float | None:
        """Return the next time at which a held request is admitted or runs out of patience."""
        moments: list[float] = []
        for _, request in self._held:
            breaker = self._breaker(request)
            if breaker is not None and breaker.opened is not None:
                trial = breaker.next_trial(now_of(self.engine))
                moments += [breaker.opened + (request.patience or 0.0)]
                moments += [] if trial is None else [trial]
        return min(moments, default=None)


def _is_asked_again(
    breaker: Breaker, request: Request, reply: Completion | Failure, now: float
) -> bool:
    """Tell the breaker of a reply; return whether its request is submitted again."""
    breaker.heard(reply, now)
    if isinstance(reply, Completion) or request.stream:  # deltas can't be taken back
        return False
    is_down = reply.transient and FAILURE_MODES[reply.kind].scope == "model"
    return is_down and breaker.is_worth_waiting(request.patience or 0.0, now)


def _earlier(one: float | None, other: float | None) -> float | None:
    return min((moment for moment in (one, other) if moment is not None), default=None)
