"""A port that holds requests back: for a budget, for model loading, and for circuit breakers."""

from __future__ import annotations

import time
from collections.abc import Iterable

from attrs import evolve

from chainlang.engines.protocol import Engine, is_loadable, is_timed
from chainlang.protocol.failures import FAILURE_MODES
from chainlang.protocol.messages import Completion, Delta, Failure, Request
from chainlang.runtime.budget import RunBudget
from chainlang.runtime.limits import RunLimits
from chainlang.runtime.ports.circuit_breaker import Breaker, breakers_of
from chainlang.runtime.ports.port import Port, Reply, lock_of, new_id, now_of
from chainlang.runtime.ports.relay import Relay, Wait

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
        "_breakers", "_budget", "_held", "_loadable", "_lock", "_relay", "engine", "inner",
    )  # fmt: skip

    def __init__(self, inner: Port, budget: RunBudget | None = None) -> None:
        self.inner = inner
        self.engine: Engine = inner.engine
        self._budget = budget or RunBudget(RunLimits())
        self._breakers = breakers_of(self.engine)
        self._loadable = self.engine if is_loadable(self.engine) else None
        self._lock = lock_of(self.engine)
        self._relay: Relay[Wait] = Relay()
        self._held: list[tuple[Wait, Request]] = []

    @property
    def waits(self) -> bool:
        """Whether no reply can arrive before the engine's model is loaded."""
        if not self._held or self._relay or self._relay.ready:
            return False
        return self._loadable is not None and not self._loadable.loaded

    def submit(self, requests: Iterable[Request]) -> None:
        """Submit the requests that are admitted, and hold the others."""
        waiting = [(Wait(), request) for request in requests]
        for wait, request in waiting:
            self._relay.join(wait, request)
        self._admit(waiting)

    def step(self, until: float | None = None) -> list[Reply]:
        """Return the replies that have arrived, and failures of requests without patience left."""
        if self._held:
            held, self._held = self._held, []
            self._admit(held)
        if self._relay.ready:
            return self._relay.take()
        moment = self._next()
        replies = self.inner.step(_earlier(until, moment))
        if moment is not None and not (replies or self._relay or is_timed(self.engine)):
            time.sleep(max(0.0, min(moment - time.monotonic(), _LONGEST_SLEEP)))
        return self._heard(replies)

    def abort(self, ids: Iterable[str]) -> None:
        """Abort requests."""
        ended, below = self._relay.drop(ids)
        self._held = [entry for entry in self._held if entry[0].waiters]
        self._budget.abort(sum(len(wait.asked) for wait in ended))
        for breaker in self._breakers.values():
            breaker.forget(below)
        self.inner.abort(below)

    def _admit(self, waiting: Iterable[tuple[Wait, Request]]) -> None:
        asked: list[Request] = []
        now = now_of(self.engine)
        with self._lock:  # the model can't be unloaded before the requests are submitted
            is_loaded = self._loadable is None or self._loadable.loaded
            for wait, request in waiting:
                breaker = self._breaker(request)
                if not self._budget.has_room(request):
                    continue
                if not is_loaded:
                    self._held.append((wait, request))
                elif breaker is None or breaker.admits(request.id, now):
                    self._budget.charge(request)
                    self._relay.ask(wait, request.id)
                    asked.append(request)
                elif breaker.is_worth_waiting(request.patience or 0.0, now):
                    self._held.append((wait, request))
                else:
                    (name,) = wait.waiters
                    self._relay.end(wait)
                    self._relay.ready.append(breaker.down(name))
            if asked:
                self.inner.submit(asked)

    def _heard(self, replies: Iterable[Reply]) -> list[Reply]:
        """Return the replies, except those of requests to submit again."""
        found: list[Reply] = []
        now = now_of(self.engine)
        for reply in replies:
            wait = None if isinstance(reply, Delta) else self._relay.wait_of(reply)
            if wait is None or isinstance(reply, Delta):
                found.append(reply)
                continue
            ((name, request),) = wait.waiters.items()
            self._budget.settle(request, reply)
            if self._is_asked_again(request, reply, now):
                self._relay.answer(reply.id)
                self._held.append((wait, evolve(request, id=new_id())))
                continue
            self._relay.end(wait)
            found.append(reply if reply.id == name else evolve(reply, id=name))
        return found

    def _is_asked_again(self, request: Request, reply: Completion | Failure, now: float) -> bool:
        breaker = self._breaker(request)
        if breaker is None:
            return False
        breaker.heard(reply, now)
        if isinstance(reply, Completion) or request.stream:  # deltas can't be taken back
            return False
        is_down = reply.transient and FAILURE_MODES[reply.kind].scope == "model"
        return is_down and breaker.is_worth_waiting(request.patience or 0.0, now)

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


def _earlier(one: float | None, other: float | None) -> float | None:
    return min((moment for moment in (one, other) if moment is not None), default=None)
