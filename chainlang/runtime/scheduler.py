"""The scheduler: generators that wait for replies, and for each other.

It knows rows, requests and engines; not where rows come from nor where outcomes go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import define, evolve, field

from chainlang.engines.base import Engine
from chainlang.ops.records import Flow, Record
from chainlang.runtime.outcomes import Outcome
from chainlang.runtime.ports import Port, new_id
from chainlang.runtime.row import All, Ask, Effect, RowFailed, Work
from chainlang.wire import Completion, Delta, Request, Usage


@define(eq=False)
class Row:
    """A row in flight. `done` is told of its outcome, once."""

    index: int
    start: Record
    engines: Mapping[str, Engine]
    done: Callable[[Outcome], None]
    usage: Usage = field(factory=Usage)


@define(eq=False)
class _Task:
    """A generator that waits: for replies, or for the tasks it has started."""

    row: Row
    work: Work
    parent: _Task | None = None
    slot: int = 0
    """Which of the parent's results this is."""
    effect: Effect | None = None
    """What it waits for."""
    results: list[Any] = field(factory=list)
    waiting: int = 0
    failures: dict[int, RowFailed] = field(factory=dict)


@define(eq=False)
class Scheduler:
    """Takes rows through their plans, all of them at the same time."""

    _asked: dict[str, tuple[_Task, int, Port]] = field(factory=dict)
    """Requests in flight: who waits for the reply, in which slot, and who answers."""
    _outbox: dict[Port, list[Request]] = field(factory=dict)
    """Requests that are ready to be submitted."""
    _ports: dict[int, Port] = field(factory=dict)
    """The way to each engine, by the engine's identity."""

    @property
    def busy(self) -> bool:
        """Whether anything is in flight."""
        return bool(self._asked)

    def admit(self, row: Row, work: Work) -> None:
        """Begin with a row. It may be done before this returns."""
        self._advance(_Task(row, work), None)

    def submit(self) -> None:
        """Give the engines what is ready, all at once."""
        outbox, self._outbox = self._outbox, {}
        for port, requests in outbox.items():
            port.submit(requests)

    def receive(self) -> None:
        """Let each engine that has work take a step, and hand out what came back."""
        busy = {id(port): port for _, _, port in self._asked.values()}
        for port in busy.values():
            for reply in port.step():
                if isinstance(reply, Delta):
                    self._hear(reply)
                    continue
                task, slot, _ = self._asked.pop(reply.id)
                if isinstance(reply, Completion):
                    task.row.usage += reply.usage
                task.results[slot] = reply
                task.waiting -= 1
                if task.waiting == 0:
                    self._advance(task, task.results)

    def _hear(self, delta: Delta) -> None:
        task, slot, _ = self._asked[delta.id]
        assert isinstance(task.effect, Ask)
        if task.effect.hear is not None:
            task.effect.hear(slot, delta.sample, delta.text)

    def _advance(self, task: _Task, value: Any) -> None:
        """Resume tasks until all of them wait or are done."""
        ready: list[tuple[_Task, Any]] = [(task, value)]
        while ready:
            task, value = ready.pop()
            try:
                if task.failures:  # the first in the order of the chain, whichever came first
                    effect = task.work.throw(task.failures[min(task.failures)])
                else:
                    effect = task.work.send(value)
            except StopIteration as stop:
                self._finish(task, stop.value, None, ready)
            except RowFailed as failed:
                self._finish(task, None, failed, ready)
            else:
                self._wait(task, effect, ready)

    def _wait(self, task: _Task, effect: Effect, ready: list[tuple[_Task, Any]]) -> None:
        task.effect = effect
        task.failures = {}
        if isinstance(effect, All):
            task.waiting = len(effect.works)
            task.results = [None] * task.waiting
            children = [_Task(task.row, one, task, slot) for slot, one in enumerate(effect.works)]
            ready += [(child, None) for child in reversed(children)]
        else:
            task.waiting = len(effect.requests)
            task.results = [None] * task.waiting
            self._ask(task, effect)
        if not task.waiting:
            ready.append((task, []))

    def _ask(self, task: _Task, effect: Ask) -> None:
        for slot, request in enumerate(effect.requests):
            port = self._port(task.row.engines[request.model])
            numbered = evolve(request, id=new_id())
            self._asked[numbered.id] = (task, slot, port)
            self._outbox.setdefault(port, []).append(numbered)

    def _port(self, engine: Engine) -> Port:
        found = self._ports.get(id(engine))
        if found is None:
            found = self._ports[id(engine)] = Port(engine)
        return found

    def _finish(
        self,
        task: _Task,
        flow: Flow | None,
        failed: RowFailed | None,
        ready: list[tuple[_Task, Any]],
    ) -> None:
        parent = task.parent
        if parent is None:
            row = task.row
            failure = failed.failure if failed else None
            row.done(Outcome(row.index, row.start.id, flow, failure, row.usage, row.start))
            return
        if failed is not None:
            parent.failures[task.slot] = failed
        parent.results[task.slot] = flow
        parent.waiting -= 1
        if parent.waiting == 0:
            ready.append((parent, parent.results))

    def abort(self, row: Row | None = None) -> None:
        """Forget what a row has in flight; None for everything."""
        by_port: dict[Port, set[str]] = {}
        for name, (task, _, port) in self._asked.items():
            if row is None or task.row is row:
                by_port.setdefault(port, set()).add(name)
        for port, names in by_port.items():
            waiting = self._outbox.get(port, [])
            waiting[:] = [request for request in waiting if request.id not in names]
            port.abort(names)
            for name in names:
                del self._asked[name]
