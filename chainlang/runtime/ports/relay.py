"""The state of a port's requests while the port below works on them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

from attrs import define, field

from chainlang.protocol.messages import Request
from chainlang.runtime.ports.port import Reply


@define(eq=False)
class Wait:
    """Requests that wait for the same replies of the port below."""

    waiters: dict[str, Request] = field(factory=dict)
    """By their ids, which the port below need not know."""
    asked: dict[str, int] = field(factory=dict)
    """The ids that the port below knows, each with the number of its first sample."""


AnyWait = TypeVar("AnyWait", bound=Wait)


@define(eq=False)
class Relay(Generic[AnyWait]):
    """The waits of a port by both kinds of ids, and the replies that it has already.

    A request of which the relay has no wait has the same id above and below.
    """

    ready: list[Reply] = field(factory=list)
    """Replies that need nothing of the port below, or nothing more."""
    _above: dict[str, AnyWait] = field(factory=dict)
    _below: dict[str, AnyWait] = field(factory=dict)

    def __bool__(self) -> bool:
        """True while the port below owes a reply to any wait."""
        return bool(self._below)

    def take(self) -> list[Reply]:
        """Return what is ready, once."""
        ready, self.ready = self.ready, []
        return ready

    def join(self, wait: AnyWait, request: Request) -> None:
        """Have a request wait."""
        wait.waiters[request.id] = request
        self._above[request.id] = wait

    def ask(self, wait: AnyWait, below: str, first: int = 0) -> None:
        """Note that the port below is asked under an id."""
        wait.asked[below] = first
        self._below[below] = wait

    def wait_of(self, reply: Reply) -> AnyWait | None:
        """Return the wait that a reply of the port below is for; None if there is none."""
        return self._below.get(reply.id)

    def answer(self, below: str) -> None:
        """Note that the port below has answered."""
        del self._below.pop(below).asked[below]

    def end(self, wait: AnyWait) -> None:
        """Forget a wait."""
        for name in wait.waiters:
            del self._above[name]
        for below in wait.asked:
            del self._below[below]

    def drop(self, ids: Iterable[str]) -> tuple[list[AnyWait], list[str]]:
        """Forget requests; return the waits that end so, and the ids to abort below."""
        gone = set(ids)
        self.ready = [reply for reply in self.ready if reply.id not in gone]
        ended: list[AnyWait] = []
        below: list[str] = []
        for name in gone:
            wait = self._above.pop(name, None)
            if wait is None:
                below.append(name)
                continue
            del wait.waiters[name]
            if not wait.waiters:
                below += wait.asked
                self.end(wait)
                ended.append(wait)
        return ended, below
