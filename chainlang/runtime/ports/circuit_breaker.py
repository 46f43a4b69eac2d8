"""Circuit breakers, one for each model of an engine; consecutive failures open it.

So an unavailable server is detected once and not by each row. While the breaker is open, it admits
a trial request from time to time; the first completion closes it.
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
"""Consecutive failures that open it; failures that the request itself causes don't count."""
FIRST_TRIAL, LAST_TRIAL = 5.0, 60.0
"""Seconds between two trials: initially, and at most; each failed trial doubles them."""


@define(eq=False)
class Breaker:
    """Circuit breaker of one model of one engine. Times are in seconds of the engine's clock.

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
    """Time at which it opened; None while it is closed."""
    transient: bool = False
    """Whether the last failure was transient, so that waiting may help."""
    last_error: str = ""
    """Message of the last failure."""
    _failed: int = 0
    _trial: str | None = None
    _due: float = 0.0  # when the next trial may begin
    _wait: float = FIRST_TRIAL

    def admits(self, name: str, now: float) -> bool:
        """Return whether a request may be submitted; while the breaker is open, it is a trial."""
        if self.opened is None:
            return True
        if self._trial is not None or now < self._due:
            return False
        self._trial = name
        return True

    def heard(self, reply: Completion | Failure, now: float) -> None:
        """Count the reply to a request: open, close, or wait for the next trial."""
        if isinstance(reply, Completion) or FAILURE_MODES[reply.kind].scope != "model":
            self._failed, self.opened, self._trial = 0, None, None
            return
        self._failed += 1
        self.last_error, self.transient = reply.message, reply.transient
        if self.opened is None and self._failed >= TRIPS:
            self.opened, self._wait = now, FIRST_TRIAL
        elif self.opened is not None and reply.id == self._trial:
            self._wait = min(2 * self._wait, LAST_TRIAL)
        else:
            return
        self._trial, self._due = None, now + self._wait

    def forget(self, names: Collection[str]) -> None:
        """End the trial if it is among the aborted requests."""
        if self._trial in names:
            self._trial = None

    def is_worth_waiting(self, patience: float, now: float) -> bool:
        """Return whether to hold a request with `patience`, counted from the breaker's opening."""
        return self.transient and self.opened is not None and now < self.opened + patience

    def next_trial(self, now: float) -> float | None:
        """Return the time of the next trial; None during a trial."""
        return max(self._due, now) if self._trial is None else None

    def down(self, request: str) -> Failure:
        """Return the failure of a request that is not submitted."""
        what = f"the model {self.model!r} is unavailable after {self._failed} consecutive failures"
        return Failure(request, "down", f"{what}; last error: {self.last_error}")


_OPENING = threading.Lock()
_BREAKERS: WeakKeyDictionary[Engine, dict[str, Breaker]] = WeakKeyDictionary()


def breakers_of(engine: Engine) -> dict[str, Breaker]:
    """Return the breakers of an engine by model; all runs that use the engine share them."""
    with _OPENING:
        return _BREAKERS.setdefault(engine, {})
