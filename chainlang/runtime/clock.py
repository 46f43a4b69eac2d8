"""Clocks of deadlines and pauses: the machine's, or that of engines with simulated time."""

from __future__ import annotations

import time
from typing import Protocol

from attrs import Factory, define, field, frozen

from chainlang.engines.protocol import Timed, is_timed
from chainlang.runtime.ports.port import Port

LONGEST_SLEEP = 0.05
"""Maximum seconds of one sleep, so that other events are noticed in time."""


class Clock(Protocol):
    """A source of time, in seconds since an arbitrary moment."""

    @property
    def ports(self) -> tuple[Port, ...]:
        """Ports to the engines whose simulated time it returns; empty for the machine's clock."""
        ...

    def now(self) -> float:
        """Return the current time."""
        ...

    def wait(self, until: float) -> None:
        """Let time pass, at most up to `until`."""
        ...

    def slept(self, seconds: float) -> None:
        """Advance simulated time by the seconds that passed on the machine."""
        ...


@define(eq=False)
class MachineClock:
    """The machine's time, without the time in which the run was suspended."""

    lost: float = 0.0
    ports: tuple[Port, ...] = ()

    def now(self) -> float:
        """Return the current time."""
        return time.monotonic() - self.lost

    def stopped(self) -> _Stopped:
        """Stop the clock during the ``with`` block."""
        return _Stopped(self)

    def wait(self, until: float) -> None:
        """Sleep until `until`, at most for `LONGEST_SLEEP`."""
        time.sleep(max(0.0, min(until - self.now(), LONGEST_SLEEP)))

    def slept(self, seconds: float) -> None:
        """Do nothing: the machine's time has passed already."""


@define(eq=False)
class _Stopped:
    """Context in which a clock stands still; a class, as a generator would cost each row more."""

    clock: MachineClock
    began: float = 0.0

    def __enter__(self) -> None:
        self.began = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self.clock.lost += time.monotonic() - self.began


def _timed(ports: tuple[Port, ...]) -> tuple[Timed, ...]:
    return tuple(port.engine for port in ports if is_timed(port.engine))


@frozen
class EngineClock:
    """The simulated time of engines, so that tests don't have to wait."""

    ports: tuple[Port, ...]
    _engines: tuple[Timed, ...] = field(
        default=Factory(lambda self: _timed(self.ports), takes_self=True), init=False, eq=False
    )

    def now(self) -> float:
        """Return the latest time of any of the engines."""
        found = self._engines[0].now
        for engine in self._engines[1:]:
            found = max(found, engine.now)
        return found

    def wait(self, until: float) -> None:
        """Advance all engines to a time."""
        for port in self.ports:
            port.step(until)

    def slept(self, seconds: float) -> None:
        """Advance all engines by the seconds that passed on the machine."""
        self.wait(self.now() + seconds)
