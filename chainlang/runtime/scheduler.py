"""Scheduler of rows: resumes generators when their replies, functions, children or timers are done.

It depends on rows, requests and engines, and neither on the source of rows nor on the output.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, assert_never

from attrs import define, field

from chainlang.engines.protocol import Engine, is_timed
from chainlang.protocol.messages import Completion, Delta, Failure, Request, changed
from chainlang.protocol.usages import Usages, used
from chainlang.runtime.clock import LONGEST_SLEEP, Clock, EngineClock, MachineClock
from chainlang.runtime.coroutines import PendingCalls
from chainlang.runtime.effects import All, Ask, Await, Effect, Pause, RowFailed, Within, Work
from chainlang.runtime.model_swap import Swapper
from chainlang.runtime.outcome import Outcome
from chainlang.runtime.ports.port import Port, Reply
from chainlang.runtime.ports.stack import stacked
from chainlang.runtime.prefix_order import by_prefix
from chainlang.runtime.tasks import Row, Task, children, started_by
from chainlang.runtime.timers import Timers
from chainlang.semantics.combinators import is_caught
from chainlang.semantics.record import Flow, Record, failures_of


@define(eq=False)
class Scheduler:
    """Runs the work of many rows concurrently, in one thread."""

    machine: MachineClock = field(factory=MachineClock)
    open_port: Callable[[Engine], Port] = stacked
    """Opens the port to an engine."""
    by_prefix: bool = False
    """Whether requests that are submitted together are grouped by common prefixes."""
    samples: int = 0
    """Number of samples in flight."""
    tokens: int = 0
    """Number of prompt and output tokens of all replies so far."""
    _asked: dict[str, tuple[Task, int, Port, int]] = field(factory=dict)
    """Requests in flight by id: the waiting task, its slot for the reply, the port, its samples."""
    _busy: dict[Port, int] = field(factory=dict)
    """Number of requests in flight of each port."""
    _outbox: dict[Port, list[Request]] = field(factory=dict)
    """Requests that are ready to be submitted."""
    _ports: dict[tuple[int, Callable[[Engine], Port]], Port] = field(factory=dict)
    """Port of each engine, by the engine's identity and the function that opened it."""
    _calls: PendingCalls[tuple[Task, int]] = field(factory=PendingCalls)
    """Functions in flight: the waiting task, and its slot for the value."""
    _arrived: deque[Reply | tuple[Task, int, Any]] = field(factory=deque)
    """Replies, and values of functions with their tasks and slots, that are not delivered yet."""
    _last_clock: tuple[Mapping[str, Engine], object, Clock] | None = None
    """Engines, opener of ports and clock of the row that was started last."""
    _row_done: bool = False
    """Whether a row is done since `receive` was called."""
    _timers: Timers[Task] = field(factory=Timers)

    @property
    def busy(self) -> bool:
        """Whether anything is in flight."""
        return bool(self._asked or self._calls or self._timers or self._arrived)

    def admit(self, row: Row, work: Work) -> None:
        """Start a row. It may be done before this returns."""
        row.clock = self._clock(row)
        row.began = row.clock.now()
        self._advance(Task(row, work), None)

    def submit(self) -> None:
        """Submit all pending requests to the engines, unless more of them are about to come."""
        if self._arrived:
            return
        outbox, self._outbox = self._outbox, {}
        for port, requests in outbox.items():
            port.submit(by_prefix(requests) if self.by_prefix else requests)

    def call_after(
        self, seconds: float | None, engines: Mapping[str, Engine], call: Callable[[], None]
    ) -> None:
        """Schedule a call after `seconds` on the clock of the engines; no row waits for it."""
        if seconds is None:
            return

        def pause() -> Work:
            yield Pause(seconds)
            return Record({}, "", "")

        self.admit(Row(-1, Record({}, "", ""), engines, lambda _: call()), pause())

    def receive(self) -> bool:
        """Deliver replies to their tasks until a row is done; if there are none, get some.

        So the rows that are done can be handed out before the next one goes on, which may take
        long if it calls a function. Replies after a timeout are dropped. Returns whether there was
        a reply, or a function is still in flight.
        """
        is_new = bool(self._arrived) or self._step()
        self._row_done = False
        while self._arrived and not self._row_done:
            one = self._arrived.popleft()
            match one:
                case Completion() | Failure():
                    self._hand_out(one)
                case Delta():
                    self._hear(one)
                case (task, slot, value):
                    self._deliver(task, slot, value)
        if not self._arrived:
            self._expire(past=False)
        return is_new

    def _step(self) -> bool:
        """Step each engine with requests in flight, and keep what arrives.

        Returns whether there was anything, or a function is still in flight.
        """
        began = time.monotonic()
        busy = {id(port): port for port in self._busy if not port.waits}
        if self._busy and not busy and not self._calls:
            self._swap()
            busy = {id(port): port for port in self._busy}
        replies = [reply for port in busy.values() for reply in port.step(self._until(port))]
        was_called = bool(self._calls)
        returned = self._calls.take(0.0 if busy else self._timers.soonest(LONGEST_SLEEP))
        for clock in self._timers.clocks if self._timers.by_clock else ():
            due = self._timers.next(clock)
            if due is None or any(id(port) in busy for port in clock.ports):
                continue  # stepping its engines has advanced it
            if was_called:
                clock.slept(time.monotonic() - began)
            elif clock.ports or not busy:
                clock.wait(due)
        self._expire(past=True)
        self._arrived += replies
        self._arrived += [(task, slot, value) for (task, slot), value in returned]
        return bool(self._arrived or self._calls)

    def _swap(self) -> None:
        """Load a model, as all requests in flight wait for one."""
        row = next(task.row for task, *_ in self._asked.values())
        swapper = row.swapper or Swapper.loaded(row.engines)
        with self.machine.stopped():  # loading does not count toward deadlines
            swapper.swap([port.engine for port in self._busy])

    def _until(self, port: Port) -> float | None:
        """Return the earliest deadline on the clock of an engine; None if there is none."""
        if not self._timers.by_clock:
            return None
        dues = [self._timers.next(clock) for clock in self._timers.clocks if port in clock.ports]
        return min((due for due in dues if due is not None), default=None)

    def _expire(self, *, past: bool) -> None:
        """End the pauses and the timeouts that have expired; with `past`, before now."""
        for task in self._timers.expired(past=past) if self._timers.by_clock else ():
            task.timer = None
            if isinstance(task.effect, Within):
                self._end(task.children)
                task.failed = task.effect.failure
            self._deliver(task, 0, None)

    def _hand_out(self, reply: Completion | Failure) -> None:
        if reply.id not in self._asked:
            return  # it arrived after a timeout
        task, slot, *_ = self._answered(reply.id)
        effect, usage = task.effect, reply.usage
        if isinstance(effect, Ask) and (isinstance(reply, Completion) or not usage.is_empty):
            task.row.usages += used(effect.stage, effect.requests[slot].model, reply)
            self.tokens += usage.prompt_tokens + usage.output_tokens
        self._deliver(task, slot, reply)

    def _answered(self, name: str) -> tuple[Task, int, Port, int]:
        """Remove a request from those in flight."""
        found = self._asked.pop(name)
        self.samples -= found[3]
        if self._busy[found[2]] == 1:
            del self._busy[found[2]]
        else:
            self._busy[found[2]] -= 1
        return found

    def _hear(self, delta: Delta) -> None:
        task, slot, *_ = self._asked.get(delta.id, (None, 0))
        if task is not None and isinstance(task.effect, Ask) and task.effect.sink is not None:
            task.effect.sink.emit(slot, delta.sample, delta.text, delta.kind)

    def _deliver(self, task: Task, slot: int, value: Any) -> None:
        task.results[slot] = value
        task.waiting -= 1
        if task.waiting == 0:
            self._advance(task, task.results)

    def _advance(self, task: Task, value: Any) -> None:
        """Resume tasks until all of them wait or are done."""
        ready: list[tuple[Task, Any]] = [(task, value)]
        while ready:
            task, value = ready.pop()
            if task.ended:  # a part before it has failed meanwhile
                continue
            task.children = ()  # breaks a reference cycle
            try:
                if task.failed is not None:
                    effect = task.work.throw(task.failed)
                else:
                    effect = task.work.send(value)
            except StopIteration as stop:
                self._finish(task, stop.value, None, ready)
            except RowFailed as failed:
                self._finish(task, None, failed, ready)
            else:
                self._wait(task, effect, ready)

    def _wait(self, task: Task, effect: Effect, ready: list[tuple[Task, Any]]) -> None:
        task.effect, task.failed = effect, None
        match effect:
            case Ask():  # without a pattern for its requests, since a row has many of them
                task.waiting = len(effect.requests)
                self._ask(task, effect.requests)
            case All(works):
                task.waiting = len(works)
                task.children = children(task, works, effect.waits)
                ready += [(child, None) for child in reversed(task.children) if not child.needs]
            case Within(work, seconds):
                task.waiting = 1
                task.children = [Task(task.row, work, task, depth=task.depth)]
                task.timer = self._timers.start(task.row.clock, seconds, task)
                ready.append((task.children[0], None))
            case Pause(seconds):
                task.waiting = 1
                task.timer = self._timers.start(task.row.clock, seconds, task)
            case Await(calls):
                task.waiting = len(calls)
                for slot, call in enumerate(calls):
                    self._calls.start((task, slot), call)
            case _:
                assert_never(effect)
        task.results = [None] * task.waiting
        if not task.waiting:
            ready.append((task, []))

    def _ask(self, task: Task, requests: Iterable[Request]) -> None:
        """Send requests. The further a row has come, the sooner they run, others in their order.

        So a row is completed before others begin, in a later stage as well as in a later round.
        """
        depth, task.depth = task.depth, task.depth + 1
        row, ports = task.row, self._ports
        way = row.open_port or self.open_port
        for slot, request in enumerate(requests):
            engine = row.engines[request.model]
            port = ports.get((id(engine), way)) or self._port(row, engine)
            if depth and engine.capabilities.priorities:
                request = changed(request, priority=-depth)  # noqa: PLW2901  # with its priority
            self._asked[request.id] = (task, slot, port, drawn := request.drawn)
            self.samples += drawn
            self._busy[port] = self._busy.get(port, 0) + 1
            if port in self._outbox:
                self._outbox[port].append(request)
            else:
                self._outbox[port] = [request]

    def _port(self, row: Row, engine: Engine) -> Port:
        way = row.open_port or self.open_port
        key = id(engine), way
        if key not in self._ports:
            self._ports[key] = way(engine)
        return self._ports[key]

    def _clock(self, row: Row) -> Clock:
        """Return the clock of a row: that of its engines, if all of them have simulated time."""
        last = self._last_clock
        if last is not None and last[0] is row.engines and last[1] is row.open_port:
            return last[2]  # as for the other rows of its run
        clock: Clock = self.machine
        engines = {id(engine): engine for engine in row.engines.values()}.values()
        if engines and all(is_timed(engine) for engine in engines):
            clock = EngineClock(tuple(self._port(row, engine) for engine in engines))
        self._last_clock = (row.engines, row.open_port, clock)
        return clock

    def _finish(
        self,
        task: Task,
        flow: Flow | None,
        failed: RowFailed | None,
        ready: list[tuple[Task, Any]],
    ) -> None:
        parent, task.ended = task.parent, True
        if parent is None:
            row = task.row
            first = failed.failure if failed else None
            if flow is not None and not isinstance(flow, Record):
                first = next(iter(failures_of(flow)), None)
            self._row_done = True
            seconds = row.clock.now() - row.began
            usages = Usages.of(row.usages)
            row.done(Outcome(row.index, row.start.id, flow, first, usages, row.start, seconds))
            return
        if failed is not None and isinstance(parent.effect, All):
            self._end_after(task, parent, failed)
        elif failed is not None:
            parent.failed = failed
        elif task.next:
            ready += ((one, None) for one in started_by(task))
        if parent.timer is not None:
            parent.timer.active, parent.timer = False, None
        parent.depth = max(parent.depth, task.depth)
        parent.results[task.slot] = flow if failed is None else failed
        parent.waiting -= 1
        if parent.waiting == 0:
            ready.append((parent, parent.results))

    # ------------------------------------------------------------ cancellation

    def _end_after(self, failed: Task, parent: Task, error: RowFailed) -> None:
        """Abort what the failure of a parallel part makes useless: the parts after it."""
        effect = parent.effect
        if isinstance(effect, All) and not effect.to_end:
            end = effect.ends[failed.slot] if effect.ends and is_caught(error) else None
            later = [one for one in parent.children[failed.slot + 1 : end] if not one.ended]
            self._end(later)
            parent.waiting -= len(later)

    def _end(self, tasks: Iterable[Task]) -> None:
        """Cancel tasks and all that they have started."""
        gone: set[Task] = set()
        pending = list(tasks)
        while pending:
            task = pending.pop()
            gone.add(task)
            task.ended = True
            pending += task.children
            task.work.close()
            if task.timer is not None:
                task.timer.active = False
        self._forget([name for name, (task, *_) in self._asked.items() if task in gone])
        self._calls.forget(lambda who: who[0] in gone)

    def abort(self, row: Row | None = None) -> None:
        """Abort the requests, calls and timers of a row; None for all rows."""

        def is_gone(task: Task) -> bool:
            return row is None or task.row is row

        self._forget([name for name, (task, *_) in self._asked.items() if is_gone(task)])
        self._calls.forget(lambda who: is_gone(who[0]))
        self._timers.cancel(is_gone)
        kept = (one for one in self._arrived if not isinstance(one, tuple) or not is_gone(one[0]))
        self._arrived = deque(kept)

    def close(self) -> None:
        """Abort everything, and end the thread of user functions."""
        if self.busy:
            self.abort()
        self._calls.close()

    def _forget(self, names: Iterable[str]) -> None:
        by_port: dict[Port, set[str]] = {}
        for name in names:
            _, _, port, _ = self._answered(name)
            by_port.setdefault(port, set()).add(name)
        for port, gone in by_port.items():
            waiting = self._outbox.get(port, [])
            waiting[:] = [request for request in waiting if request.id not in gone]
            port.abort(gone)
