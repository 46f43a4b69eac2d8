"""Who waits for a time."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from attrs import define, field

from chainlang.runtime.clock import Clock

Who = TypeVar("Who")


@define(eq=False)
class Alarm(Generic[Who]):
    """A time that somebody waits for; it is off once it has rung, or is not waited for any more."""

    who: Who
    due: float
    off: bool = False


@define(eq=False)
class Alarms(Generic[Who]):
    """Alarms by their clocks."""

    _by_clock: dict[Clock, list[tuple[float, int, Alarm[Who]]]] = field(factory=dict)
    _numbers: Iterator[int] = field(factory=itertools.count)

    def __bool__(self) -> bool:
        return bool(self._by_clock) and any(self.next(clock) is not None for clock in self.clocks)

    @property
    def clocks(self) -> list[Clock]:
        """The clocks that alarms were set by."""
        return list(self._by_clock)

    def set(self, clock: Clock, seconds: float, who: Who) -> Alarm[Who]:
        """Return an alarm that rings after so many seconds."""
        alarm = Alarm(who, clock.now() + seconds)
        heapq.heappush(
            self._by_clock.setdefault(clock, []), (alarm.due, next(self._numbers), alarm)
        )
        return alarm

    def next(self, clock: Clock) -> float | None:
        """Return when the next alarm of a clock rings."""
        waiting = self._by_clock.get(clock, [])
        while waiting and waiting[0][2].off:
            heapq.heappop(waiting)
        if not waiting:
            self._by_clock.pop(clock, None)
            return None
        return waiting[0][0]

    def soonest(self, most: float) -> float:
        """Return the seconds up to the next alarm of any clock, or the most that were asked for."""
        dues = [(clock, self.next(clock)) for clock in self.clocks]
        return min([most, *(max(0.0, due - clock.now()) for clock, due in dues if due is not None)])

    def forget(self, gone: Callable[[Who], bool]) -> None:
        """Set off the alarms that some wait for."""
        for waiting in self._by_clock.values():
            for _, _, alarm in waiting:
                alarm.off = alarm.off or gone(alarm.who)

    def ring(self, *, past: bool) -> Iterator[Who]:
        """Yield who waits for what is now; with `past`, for what was before now."""
        for clock in self.clocks:
            now = clock.now()
            while (due := self.next(clock)) is not None and (
                due < now or (due == now and not past)
            ):
                _, _, alarm = heapq.heappop(self._by_clock[clock])
                alarm.off = True
                yield alarm.who
