"""Timers: a heap of deadlines for each clock."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from attrs import define, field

from chainlang.runtime.clock import Clock

Waiter = TypeVar("Waiter")


@define(eq=False)
class Timer(Generic[Waiter]):
    """A deadline and its waiter; inactive once it has expired or is cancelled."""

    waiter: Waiter
    due: float
    active: bool = True


@define(eq=False)
class Timers(Generic[Waiter]):
    """Timers by clock."""

    by_clock: dict[Clock, list[tuple[float, int, Timer[Waiter]]]] = field(factory=dict)
    """Heaps of timers; empty if none was started since the last one ended."""
    _numbers: Iterator[int] = field(factory=itertools.count)

    def __bool__(self) -> bool:
        return bool(self.by_clock) and any(self.next(clock) is not None for clock in self.clocks)

    @property
    def clocks(self) -> list[Clock]:
        """Clocks that have timers."""
        return list(self.by_clock)

    def start(self, clock: Clock, seconds: float, waiter: Waiter) -> Timer[Waiter]:
        """Return a timer that expires after `seconds`."""
        timer = Timer(waiter, clock.now() + seconds)
        heapq.heappush(self.by_clock.setdefault(clock, []), (timer.due, next(self._numbers), timer))
        return timer

    def next(self, clock: Clock) -> float | None:
        """Return the earliest deadline of a clock; None if it has no timer."""
        waiting = self.by_clock.get(clock, [])
        while waiting and not waiting[0][2].active:
            heapq.heappop(waiting)
        if not waiting:
            self.by_clock.pop(clock, None)
            return None
        return waiting[0][0]

    def soonest(self, most: float) -> float:
        """Return the seconds until the next timer of any clock expires, at most `most`."""
        dues = [(clock, self.next(clock)) for clock in self.clocks]
        return min([most, *(max(0.0, due - clock.now()) for clock, due in dues if due is not None)])

    def cancel(self, matches: Callable[[Waiter], bool]) -> None:
        """Cancel the timers whose waiter matches."""
        for waiting in self.by_clock.values():
            for _, _, timer in waiting:
                timer.active = timer.active and not matches(timer.waiter)

    def expired(self, *, past: bool) -> Iterator[Waiter]:
        """Yield the waiters of expired timers; with `past`, only of deadlines before now."""
        for clock in self.clocks:
            now = clock.now()
            while (due := self.next(clock)) is not None and (
                due < now or (due == now and not past)
            ):
                _, _, timer = heapq.heappop(self.by_clock[clock])
                timer.active = False
                yield timer.waiter
