"""What time it is, for deadlines and pauses."""

from __future__ import annotations

import time
from typing import Protocol

from attrs import define, frozen

from chainlang.engines.protocol import is_timed
from chainlang.runtime.ports.port import Port

LONGEST_SLEEP = 0.05
"""Seconds; after that, somebody may want something else."""


class Clock(Protocol):
    """Tells the seconds, from some moment on."""

    @property
    def ports(self) -> tuple[Port, ...]:
        """The ways to the engines whose time it tells."""
        ...

    def now(self) -> float:
        """Return what time it is."""
        ...

    def wait(self, until: float) -> None:
        """Let time pass, up to a moment at most."""
        ...

    def slept(self, seconds: float) -> None:
        """Let pass what has passed on the machine, while nothing was asked of an engine."""
        ...


@define(eq=False)
class MachineClock:
    """The machine's own time, but for what somebody else did with the thread."""

    lost: float = 0.0
    ports: tuple[Port, ...] = ()

    def now(self) -> float:
        """Return what time it is."""
        return time.monotonic() - self.lost

    def stopped(self) -> _Stopped:
        """Count no time that passes in the ``with`` block."""
        return _Stopped(self)

    def wait(self, until: float) -> None:
        """Sleep for a moment."""
        time.sleep(max(0.0, min(until - self.now(), LONGEST_SLEEP)))

    def slept(self, seconds: float) -> None:
        """Do nothing: it has passed."""


@define(eq=False)
class _Stopped:
    """A block whose time a clock does not count; each row passes through one, so it is a class."""

    clock: MachineClock
    began: float = 0.0

    def __enter__(self) -> None:
        self.began = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self.clock.lost += time.monotonic() - self.began


@frozen
class EngineClock:
    """The time of engines that have one of their own, so that a test waits for nothing."""

    ports: tuple[Port, ...]

    def now(self) -> float:
        """Return the time of the engine that is ahead."""
        return max(port.engine.now for port in self.ports if is_timed(port.engine))

    def wait(self, until: float) -> None:
        """Let time pass for all of the engines, at once."""
        for port in self.ports:
            port.step(until)

    def slept(self, seconds: float) -> None:
        """Let as much time pass for the engines."""
        self.wait(self.now() + seconds)
