"""State of the requests that a port has passed to its inner port."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Generic, TypeVar

from attrs import define, field

from chainlang.protocol.messages import Request
from chainlang.runtime.ports.port import Reply


@define(eq=False)
class Wait:
    """Requests that wait for the same replies of the inner port."""

    waiters: dict[str, Request] = field(factory=dict)
    """Requests by id; the inner port may use other ids."""
    asked: dict[str, int] = field(factory=dict)
    """Ids of the inner port's requests, each with the number of its first sample."""


AnyWait = TypeVar("AnyWait", bound=Wait)


@define(eq=False)
class Relay(Generic[AnyWait]):
    """Waits by the ids of the outer and the inner requests, and replies that are ready.

    A request without a wait is passed on under its own id.
    """

    ready: list[Reply] = field(factory=list)
    """Replies that wait for no reply of the inner port."""
    _above: dict[str, AnyWait] = field(factory=dict)
    _below: dict[str, AnyWait] = field(factory=dict)

    def __bool__(self) -> bool:
        """True while a wait has requests in flight."""
        return bool(self._below)

    def take(self) -> list[Reply]:
        """Return and clear the ready replies."""
        ready, self.ready = self.ready, []
        return ready

    def join(self, wait: AnyWait, request: Request) -> None:
        """Add a request to a wait."""
        wait.waiters[request.id] = request
        self._above[request.id] = wait

    def ask(self, wait: AnyWait, below: str, first: int = 0) -> None:
        """Add a request of the inner port to a wait."""
        wait.asked[below] = first
        self._below[below] = wait

    def wait_of(self, reply: Reply) -> AnyWait | None:
        """Return the wait for a reply of the inner port; None if there is none."""
        return self._below.get(reply.id)

    def answer(self, below: str) -> None:
        """Remove a completed request of the inner port."""
        del self._below.pop(below).asked[below]

    def end(self, wait: AnyWait) -> None:
        """Remove a wait with all its requests."""
        for name in wait.waiters:
            del self._above[name]
        for below in wait.asked:
            del self._below[below]

    def drop(self, ids: Iterable[str]) -> tuple[list[AnyWait], list[str]]:
        """Remove requests; return the waits that end with them, and the inner ids to abort."""
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


def runs(count: int, found: Mapping[int, object]) -> list[tuple[int, int]]:
    """Return the ranges of missing samples: the first number and the count of each.

    >>> runs(5, {1: "", 2: ""})
    [(0, 1), (3, 2)]
    """
    ranges: list[tuple[int, int]] = []
    for number in range(count):
        if number in found:
            continue
        if ranges and sum(ranges[-1]) == number:
            ranges[-1] = (ranges[-1][0], ranges[-1][1] + 1)
        else:
            ranges.append((number, 1))
    return ranges
