"""Circuit breakers: one for each model of an engine, which opens when its calls only fail.

So a server that is gone is found out once, and not by every row. While the breaker is open, a call
now and then is let through as a trial; the first answer closes it.
"""

from __future__ import annotations

import threading
from collections.abc import Collection
from weakref import WeakKeyDictionary

from attrs import define

from chainlang.engines.protocol import Engine
from chainlang.protocol.failures import FAILURE_MODES
from chainlang.protocol.messages import Completion, Failure

TRIPS = 5
"""Calls of a model that fail one after another, for no fault of their rows, until it opens."""
FIRST_TRIAL, LAST_TRIAL = 5.0, 60.0
"""Seconds between two trials: at first, and at most; each that fails doubles them."""


@define(eq=False)
class Breaker:
    """That of one model of one engine. Times are those of the engine's clock, in seconds.

    >>> from chainlang.protocol.messages import Usage
    >>> breaker = Breaker("m")
    >>> for number in range(TRIPS):
    ...     breaker.heard(Failure(str(number), "transport", "no route"), now=2.0)
    >>> breaker.opened, breaker.admits("a", now=6.0), breaker.admits("b", now=7.0)
    (2.0, False, True)
    >>> breaker.heard(Completion("b", (), Usage()), now=8.0)
    >>> breaker.admits("a", now=8.0)
    True
    """

    model: str
    opened: float | None = None
    """The moment at which it opened; None while it is closed."""
    passes: bool = False
    """Whether the last failure may pass by itself, so that waiting helps."""
    said: str = ""
    """The message of the last call that failed."""
    _failed: int = 0
    _trial: str | None = None
    _due: float = 0.0  # when the next trial may begin
    _wait: float = FIRST_TRIAL

    def admits(self, name: str, now: float) -> bool:
        """Return whether a request may be submitted; one that may while it is open is a trial."""
        if self.opened is None:
            return True
        if self._trial is not None or now < self._due:
            return False
        self._trial = name
        return True

    def heard(self, reply: Completion | Failure, now: float) -> None:
        """Take note of what came of a call."""
        if isinstance(reply, Completion) or FAILURE_MODES[reply.kind].scope != "model":
            self._failed, self.opened, self._trial = 0, None, None
            return
        self._failed += 1
        self.said, self.passes = reply.message, reply.transient
        if self.opened is None and self._failed >= TRIPS:
            self.opened, self._wait = now, FIRST_TRIAL
        elif self.opened is not None and reply.id == self._trial:
            self._wait = min(2 * self._wait, LAST_TRIAL)
        else:
            return
        self._trial, self._due = None, now + self._wait

    def forget(self, names: Collection[str]) -> None:
        """Note that some requests were aborted; a trial among them is over."""
        if self._trial in names:
            self._trial = None

    def is_worth_waiting(self, patience: float, now: float) -> bool:
        """Return whether a request is held that has so much patience, since the breaker opened."""
        return self.passes and self.opened is not None and now < self.opened + patience

    def next_trial(self, now: float) -> float | None:
        """Return when another call may be let through; None while one is."""
        return max(self._due, now) if self._trial is None else None

    def down(self, request: str) -> Failure:
        """Return the failure of a request that was not asked."""
        what = f"the model {self.model!r} is down: {self._failed} calls one after another failed"
        return Failure(request, "down", f"{what}, the last so: {self.said}")


_OPENING = threading.Lock()
_BREAKERS: WeakKeyDictionary[Engine, dict[str, Breaker]] = WeakKeyDictionary()


def breakers_of(engine: Engine) -> dict[str, Breaker]:
    """Return the breakers of an engine by model, the same for all loops that use the engine."""
    with _OPENING:
        return _BREAKERS.setdefault(engine, {})
