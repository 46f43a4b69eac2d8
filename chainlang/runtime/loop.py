"""The loop: a bounded window of rows in flight, requests as their inputs are there, no barriers.

Rows enter in order and leave in order. Between that, each goes as fast as its own replies come; a
stage is asked as soon as the one before it has answered for that row. Memory is bounded by the
window and not by the data: a row counts until its outcome has been taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from attrs import define, evolve, field

from chainlang.engines.base import Engine
from chainlang.ops.records import Flow, Record
from chainlang.plan.steps import Plan
from chainlang.runtime.outcomes import Outcome, RowFailure
from chainlang.runtime.row import RowContext, RowFailed, Work, work
from chainlang.wire import Completion, Failure, Request, Usage

DEFAULT_WINDOW = 256
Row = Record | RowFailure


def run(
    plan: Plan,
    rows: Iterable[Row],
    engines: Mapping[str, Engine],
    *,
    seed: int = 0,
    window: int = DEFAULT_WINDOW,
    ordered: bool = True,
) -> Iterator[Outcome]:
    """Yield the outcome of each row, in the order of the rows, or as they finish.

    `engines` has the engine of each model of the plan. `window` is how many rows are in flight at
    most. A row that could not be read comes as a `RowFailure` and goes out as one. If the caller
    stops early, or is interrupted, everything in flight is aborted.

    >>> from chainlang import chain
    >>> from chainlang.engines.fake import FakeEngine
    >>> from chainlang.plan.lower import lower
    >>> plan = lower(chain("3:E >> M").body)
    >>> rows = [Record({"query": text}, text, text) for text in ("a", "b")]
    >>> [outcome.row_id for outcome in run(plan, rows, {"tiny": FakeEngine()}, window=1)]
    ['a', 'b']
    """
    loop = _Loop(plan, engines, seed, max(1, window))
    try:
        yield from loop.run(iter(rows), ordered)
    finally:
        loop.abort()


@define(eq=False)
class _Row:
    """A row in flight."""

    index: int
    start: Record
    usage: Usage = field(factory=Usage)


@define(eq=False)
class _Task:
    """A generator that waits: for replies, or for the tasks it has started."""

    row: _Row
    work: Work
    parent: _Task | None = None
    slot: int = 0
    """Which of the parent's results this is."""
    results: list[Any] = field(factory=list)
    waiting: int = 0
    failures: dict[int, RowFailed] = field(factory=dict)


@define(eq=False)
class _Loop:
    plan: Plan
    engines: Mapping[str, Engine]
    seed: int
    window: int
    asked: dict[str, tuple[_Task, int, Engine]] = field(factory=dict)
    """Requests in flight: who waits for the reply, in which slot, and who answers."""
    outbox: dict[int, list[Request]] = field(factory=dict)
    """Requests that are ready, by the identity of their engine."""
    done: dict[int, Outcome] = field(factory=dict)
    numbered: int = 0

    def run(self, rows: Iterator[Row], ordered: bool) -> Iterator[Outcome]:
        admitted = given = 0
        more = True
        while True:
            while more and admitted - given < self.window:
                row = next(rows, None)
                if row is None:
                    more = False
                    break
                self.admit(admitted, row)
                admitted += 1
            self.submit()
            while self.done and (not ordered or given in self.done):
                yield self.done.pop(given if ordered else next(iter(self.done)))
                given += 1
            if not more and given == admitted:
                return
            if admitted - given < self.window and more:
                continue
            self.receive()

    def admit(self, index: int, row: Row) -> None:
        if isinstance(row, RowFailure):
            self.done[index] = Outcome(index, "", None, row, Usage())
            return
        root = work(self.plan.root, row, RowContext(self.seed))
        self.advance(_Task(_Row(index, row), root), None)

    def submit(self) -> None:
        for engine in self.engines.values():
            ready = self.outbox.pop(id(engine), None)
            if ready:
                engine.submit(ready)

    def receive(self) -> None:
        """Let each engine that has work take a step, and hand out what came back."""
        busy = {id(engine): engine for _, _, engine in self.asked.values()}
        for engine in busy.values():
            for reply in engine.step():
                task, slot, _ = self.asked.pop(reply.id)
                if isinstance(reply, Completion):
                    task.row.usage += reply.usage
                self.deliver(task, slot, reply)

    def deliver(self, task: _Task, slot: int, value: Completion | Failure | Flow) -> None:
        task.results[slot] = value
        task.waiting -= 1
        if task.waiting == 0:
            self.advance(task, task.results)

    def advance(self, task: _Task, value: Any) -> None:
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
                self.finish(task, stop.value, None, ready)
            except RowFailed as failed:
                self.finish(task, None, failed, ready)
            else:
                self.wait(task, effect, ready)

    def wait(self, task: _Task, effect: Any, ready: list[tuple[_Task, Any]]) -> None:
        task.waiting = len(effect)
        task.results = [None] * len(effect)
        task.failures = {}
        if isinstance(effect, tuple):
            children = [_Task(task.row, one, task, slot) for slot, one in enumerate(effect)]
            ready += [(child, None) for child in reversed(children)]
            return
        for slot, request in enumerate(effect):
            self.numbered += 1
            engine = self.engines[request.model]
            numbered = evolve(request, id=str(self.numbered))
            self.asked[numbered.id] = (task, slot, engine)
            self.outbox.setdefault(id(engine), []).append(numbered)

    def finish(
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
            self.done[row.index] = Outcome(
                row.index, row.start.id, flow, failure, row.usage, row.start
            )
            return
        if failed is not None:
            parent.failures[task.slot] = failed
        parent.results[task.slot] = flow
        parent.waiting -= 1
        if parent.waiting == 0:
            ready.append((parent, parent.results))

    def abort(self) -> None:
        """Forget everything in flight."""
        by_engine: dict[int, tuple[Engine, list[str]]] = {}
        for name, (_, _, engine) in self.asked.items():
            by_engine.setdefault(id(engine), (engine, []))[1].append(name)
        for engine, names in by_engine.values():
            engine.abort(names)
        self.asked.clear()
