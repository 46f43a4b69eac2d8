"""`FunctionEngine`: Python functions that models call, behind the interface of engines."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Protocol

from chainlang.engines.event_loop_thread import EventLoopThread
from chainlang.engines.protocol import Metrics
from chainlang.protocol.capabilities import Capabilities
from chainlang.protocol.fingerprints import version_of
from chainlang.protocol.messages import Completion, Failure, Fingerprint, Request, Sample, Usage

_CAPABILITIES = Capabilities(
    name="functions", schemas=False, seeds=False, batch_invariant=True, plain_values=True
)
_WAIT = 0.01


class Callee(Protocol):
    """A function that takes and returns JSON, and raises nothing but Ctrl-C."""

    @property
    def is_async(self) -> bool:
        """Whether it is called with `aanswer`."""
        ...

    @property
    def parameters(self) -> str:
        """JSON schema of its arguments."""
        ...

    def answer(self, arguments: str) -> str:
        """Call the function."""
        ...

    async def aanswer(self, arguments: str) -> str:
        """Call the async function."""
        ...


class FunctionEngine:
    """Calls Python functions by name.

    The prompt of a request has the name as its system text and the arguments as JSON; the reply is
    the result. A function is called in `step`, an async one in an event loop beside it.
    """

    def __init__(self, functions: Mapping[str, Callee]) -> None:
        self.functions = functions
        self.now = 0.0
        """Simulated time, for runs whose other engines have one; async functions take real time."""
        self._submitted = 0
        self._pending: list[Request] = []
        self._ids: dict[int, str] = {}
        self._thread: EventLoopThread[str | KeyboardInterrupt] | None = None

    @property
    def capabilities(self) -> Capabilities:
        """None of a model's."""
        return _CAPABILITIES

    @property
    def fingerprint(self) -> Fingerprint:
        """The names of the functions, and the schemas of their arguments."""
        schemas = {name: one.parameters for name, one in sorted(self.functions.items())}
        whole = hashlib.sha256(json.dumps(schemas).encode()).hexdigest()[:32]
        return {"engine": "functions", "version": version_of("chainlang"), "functions": whole}

    @property
    def metrics(self) -> Metrics:
        """The number of calls; they have no tokens."""
        return Metrics(self._submitted)

    @property
    def reader(self) -> None:
        """None: there are no tokens."""
        return

    def submit(self, requests: Iterable[Request]) -> None:
        """Enqueue calls; those of async functions start."""
        for request in requests:
            self._submitted += 1
            name, arguments = (one.text for one in request.messages)
            function = self.functions[name]
            if not function.is_async:
                self._pending.append(request)
                continue
            if self._thread is None:
                self._thread = EventLoopThread("chainlang tools")
            self._ids[self._submitted] = request.id
            self._thread.start([(self._submitted, partial(_guarded, function, arguments))])

    def step(self, until: float | None = None) -> list[Completion | Failure]:
        """Call one function, or wait for a moment for the results of async ones."""
        if self._pending:
            request = self._pending.pop(0)
            name, arguments = (one.text for one in request.messages)
            return [_completion(request.id, self.functions[name].answer(arguments))]
        if not self._ids or self._thread is None:
            self.now = max(self.now, self.now if until is None else until)
            return []
        began = time.monotonic()
        came = self._thread.take(_WAIT)
        self.now += time.monotonic() - began
        found: list[Completion | Failure] = []
        for ticket, text in came:
            if ticket not in self._ids:
                continue  # it was aborted
            if isinstance(text, BaseException):
                raise text
            found.append(_completion(self._ids.pop(ticket), text))
        return found

    def abort(self, ids: Iterable[str]) -> None:
        """Drop calls; those of async functions are cancelled."""
        gone = set(ids)
        self._pending = [one for one in self._pending if one.id not in gone]
        tickets = [ticket for ticket, name in self._ids.items() if name in gone]
        for ticket in tickets:
            del self._ids[ticket]
        if self._thread is not None and tickets:
            self._thread.cancel(tickets)

    def close(self) -> None:
        """Cancel all calls, and end the event loop."""
        self._pending.clear()
        self._ids.clear()
        if self._thread is not None:
            self._thread.close()
            self._thread = None


async def _guarded(function: Callee, arguments: str) -> str | KeyboardInterrupt:
    """Return the result of a function, or a Ctrl-C, which would end the event loop."""
    try:
        return await function.aanswer(arguments)
    except KeyboardInterrupt as error:
        return error


def _completion(name: str, text: str) -> Completion:
    return Completion(name, (Sample(text, "stop", 0),), Usage())
