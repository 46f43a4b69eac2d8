"""A port that keeps deadlines, and asks nothing of a model that does not answer."""

from __future__ import annotations

import heapq
import time
from collections.abc import Iterable
from weakref import WeakKeyDictionary

from attrs import define, evolve

from chainlang.engines.protocol import Engine, is_loadable, is_timed
from chainlang.protocol.failures import FAILURE_MODES
from chainlang.protocol.messages import Delta, Failure, Request
from chainlang.runtime.budget import RunBudget
from chainlang.runtime.limits import Terms
from chainlang.runtime.ports.circuit_breaker import Breaker
from chainlang.runtime.ports.port import Port, Reply, new_id
from chainlang.runtime.tracing import Tracing, call_begun, call_ended

_LONGEST_SLEEP = 0.05  # seconds; after that, somebody may want something else
_BREAKERS: WeakKeyDictionary[Engine, dict[str, Breaker]] = WeakKeyDictionary()


@define(eq=False)
class _Flying:
    """A request that the engine has, and when its time is over."""

    request: Request
    due: float | None
    tracing: Tracing


class GuardedPort(Port):
    """A port before which each model has a breaker, for all loops that use the engine.

    A request that finds the breaker open is held, until the model answers again or the request's
    patience, counted from when the breaker opened, is over. One whose call failed meanwhile for the
    same reason is held too, and asked again under another id, so that what may still come of the
    first call is not taken for the second. One whose model is not loaded is held until it is, and
    its deadline counts from then. One that the budget of the run has no room for is kept for good:
    whoever has the budget ends the run.
    """

    __slots__ = (
        "_absent", "_breakers", "_budget", "_dues", "_flying", "_held", "_kept", "_loadable",
        "_names", "_provider", "_told",
    )  # fmt: skip

    def __init__(self, engine: Engine, budget: RunBudget | None = None) -> None:
        super().__init__(engine)
        self._budget = budget or RunBudget(Terms())
        self._provider = engine.capabilities.name
        self._kept: list[Request] = []
        with self._shared.lock:
            self._breakers = _BREAKERS.setdefault(engine, {})
        self._held: list[Request] = []
        self._loadable = engine if is_loadable(engine) else None
        self._absent: list[Request] = []
        self._names: dict[str, str] = {}  # of requests that are asked again, by the asker
        self._told: list[Reply] = []
        self._flying: dict[str, _Flying] = {}
        self._dues: list[tuple[float, str]] = []

    @property
    def waits(self) -> bool:
        """Whether nothing can come before the engine's model is loaded."""
        return (
            bool(self._absent)
            and not (self._told or self._flying)
            and self._loadable is not None
            and not self._loadable.loaded
        )

    def submit(self, requests: Iterable[Request]) -> None:
        """Ask, where the models answer."""
        self._admit(requests, self._now())

    def step(self, until: float | None = None) -> list[Reply]:
        """Return what has come for this port, and what nobody waits for any more."""
        held, self._held, self._absent = [*self._absent, *self._held], [], []
        self._admit(held, self._now())
        if self._told:
            told, self._told = self._told, []
            return told
        moment = self._next()
        if is_timed(self.engine):
            moments = [one for one in (until, moment) if one is not None]
            replies = super().step(min(moments, default=None))
        else:
            replies = super().step()
            if not self._flying and not replies and moment is not None:
                time.sleep(max(0.0, min(moment - self._now(), _LONGEST_SLEEP)))
        now = self._now()
        return [*self._heard(replies, now), *self._overdue(now)]

    def abort(self, ids: Iterable[str]) -> None:
        """Forget requests."""
        gone = set(ids)
        gone |= {again for again, name in self._names.items() if name in gone}
        for name in gone:
            self._names.pop(name, None)
        self._held = [request for request in self._held if request.id not in gone]
        self._kept = [request for request in self._kept if request.id not in gone]
        self._absent = [request for request in self._absent if request.id not in gone]
        self._told = [reply for reply in self._told if reply.id not in gone]
        flying = [self._flying.pop(name) for name in gone & self._flying.keys()]
        self._budget.forget(one.request for one in flying)
        for one in flying:
            call_ended(one.tracing, one.request, self._provider, None)
        for breaker in self._breakers.values():
            breaker.forget(gone)
        super().abort(gone)

    # ---- what may be asked

    def _admit(self, requests: Iterable[Request], now: float) -> None:
        with self._shared.lock:  # nobody unloads it between the look and the asking
            absent = self._loadable is not None and not self._loadable.loaded
            self._sort(requests, now, absent=absent)

    def _sort(self, requests: Iterable[Request], now: float, *, absent: bool) -> None:
        asked: list[Request] = []
        for request in requests:
            breaker = self._breaker(request)
            if not self._budget.has_room(request):
                self._kept.append(request)
            elif absent:
                self._absent.append(request)
            elif breaker is None or breaker.admits(request.id, now):
                self._budget.ask(request)
                asked.append(request)
            elif self._is_patient(request, breaker, now):
                self._held.append(request)
            else:
                self._told.append(breaker.down(self._names.pop(request.id, request.id)))
        if not asked:
            return
        keeps = self.engine.capabilities.deadlines
        for request in asked:
            due = None if keeps or request.deadline is None else now + request.deadline
            tracing = call_begun(request, self._provider)
            self._flying[request.id] = _Flying(request, due, tracing)
            if due is not None:
                heapq.heappush(self._dues, (due, request.id))
        super().submit(asked)

    def _breaker(self, request: Request) -> Breaker | None:
        if request.patience is None:
            return None
        found = self._breakers.get(request.model)
        if found is None:
            found = self._breakers.setdefault(request.model, Breaker(request.model))
        return found

    @staticmethod
    def _is_patient(request: Request, breaker: Breaker, now: float) -> bool:
        return breaker.is_worth_waiting(request.patience or 0.0, now)

    # ---- what has come

    def _heard(self, replies: Iterable[Reply], now: float) -> list[Reply]:
        """Return replies, but for those of requests that are to be asked again."""
        found: list[Reply] = []
        for reply in replies:
            if not isinstance(reply, Delta):
                flying = self._flying.pop(reply.id)
                request = flying.request
                call_ended(flying.tracing, request, self._provider, reply)
                self._budget.hear(request, reply)
                breaker = self._breaker(request)
                if breaker is not None:
                    breaker.heard(reply, now)
                    if isinstance(reply, Failure) and self._is_to_be_asked_again(
                        request, reply, breaker, now
                    ):
                        self._held.append(again := evolve(request, id=new_id()))
                        self._names[again.id] = self._names.pop(request.id, request.id)
                        continue
            name = self._names.pop(reply.id, None)
            found.append(reply if name is None else evolve(reply, id=name))
        return found

    def _is_to_be_asked_again(
        self, request: Request, failure: Failure, breaker: Breaker, now: float
    ) -> bool:
        if not failure.transient or FAILURE_MODES[failure.kind].scope != "model":
            return False
        # What a stream has told can't be taken back.
        return not request.stream and self._is_patient(request, breaker, now)

    def _overdue(self, now: float) -> list[Reply]:
        """Return the failures of requests whose time is over."""
        found: list[Reply] = []
        while self._dues and self._dues[0][0] <= now:
            due, name = heapq.heappop(self._dues)
            flying = self._flying.get(name)
            if flying is None or flying.due != due:
                continue
            super().abort([name])
            what = f"there was no reply within {flying.request.deadline:g} s"
            found += self._heard([Failure(name, "transport", what)], now)
        return found

    # ---- time

    def _now(self) -> float:
        return self.engine.now if is_timed(self.engine) else time.monotonic()

    def _next(self) -> float | None:
        """Return when something is to be done here, whatever the engine does."""
        moments = [due for due, _ in self._dues[:1]]
        for request in self._held:
            breaker = self._breaker(request)
            if breaker is not None and breaker.opened is not None:
                trial = breaker.next_trial(self._now())
                moments += [breaker.opened + (request.patience or 0.0)]
                moments += [] if trial is None else [trial]
        return min(moments, default=None)
