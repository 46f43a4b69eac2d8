"""Rows in flight, and their tasks: generators, with what each waits for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from attrs import define, field

from chainlang.engines.protocol import Engine
from chainlang.protocol.messages import Usage
from chainlang.runtime.clock import Clock
from chainlang.runtime.effects import Effect, RowFailed, Work
from chainlang.runtime.model_swap import Swapper
from chainlang.runtime.outcome import Outcome
from chainlang.runtime.ports.port import Port
from chainlang.runtime.timers import Timer
from chainlang.semantics.record import Record


@define(eq=False)
class Row:
    """A row in flight. `done` is called once, with its outcome."""

    index: int
    start: Record
    engines: Mapping[str, Engine]
    done: Callable[[Outcome], None]
    usages: list[tuple[tuple[str, str], Usage]] = field(factory=list)
    """Usage of each of its requests, with the names of the stage and of the model."""
    open_port: Callable[[Engine], Port] | None = None
    """Opens ports to its engines; None for the default of the scheduler."""
    swapper: Swapper | None = None
    """Loads its models; None to load all of them on the first request."""
    clock: Clock = field(init=False)
    began: float = field(init=False)
    """Time of its clock when it was admitted."""


@define(eq=False)
class Task:
    """A generator, with the effect that it waits for and the results so far."""

    row: Row
    work: Work
    parent: Task | None = None
    slot: int = 0
    """Index of its value in the parent's results."""
    depth: int = 0
    """Number of requests that it has waited for, one after another, since the row started."""
    effect: Effect | None = None
    """Effect that it waits for."""
    results: list[Any] = field(factory=list)
    waiting: int = 0
    needs: int = 0
    """Number of tasks beside it that it waits for before it starts."""
    next: list[Task] = field(factory=list)
    """Tasks that wait for its end."""
    failed: RowFailed | None = None
    """Failure of its child, or of the child's timeout."""
    children: Sequence[Task] = ()
    ended: bool = False
    """Whether it is done or aborted."""
    timer: Timer[Task] | None = None
    """End of its pause, or timeout of its child."""


def children(task: Task, works: Sequence[Work], waits: Sequence[Sequence[int]]) -> Sequence[Task]:
    """Return the tasks of concurrent generators; `waits` are those that each waits for."""
    found = [Task(task.row, one, task, n, task.depth) for n, one in enumerate(works)]
    for child, numbers in zip(found, waits, strict=False):  # without any, all start now
        child.needs = len(numbers)
        for number in numbers:
            found[number].next.append(child)
    return found


def started_by(task: Task) -> Iterator[Task]:
    """Yield the tasks that have waited for no other than one that has ended, the last first."""
    for one in reversed(task.next):
        one.needs -= 1
        one.depth = max(one.depth, task.depth)
        if not one.needs and not one.ended:
            yield one
