"""`SandboxEngine`: runs the programs of requests in a sandbox, as many at once as there are cores.

The seed of a program is in the message, so a completion is a function of the request, and journal,
cache and deduplication treat it as that of a model at temperature 0.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from chainlang.engines.event_loop_thread import EventLoopThread
from chainlang.engines.protocol import Metrics, refuse
from chainlang.protocol.capabilities import Capabilities
from chainlang.protocol.messages import Completion, Failure, Fingerprint, Request, Sample, Usage
from chainlang.protocol.programs import ProgramReader
from chainlang.sandboxes.available import sandbox
from chainlang.sandboxes.program import Program, Sandbox, SandboxError

_STEP = 0.05  # seconds that a step waits for the first result
_CAPABILITIES = Capabilities(
    name="sandbox",
    schemas=False,
    seeds=True,
    batch_invariant=True,
    plain_values=True,
)


class SandboxEngine:
    """An engine without a model, whose requests are programs.

    `name` is that of a sandbox, which is checked at once. Raises `EngineError` if it can't run
    here.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._sandbox: Sandbox = sandbox(name)
        self._workers = ThreadPoolExecutor(os.cpu_count() or 1, f"chainlang-{name}")
        self._background = EventLoopThread[Completion | Failure](f"chainlang-{name}")
        self._submitted = 0
        self._usage = Usage()
        # Requests in flight. An id may be used again after an abort; a ticket is never.
        self._tickets: dict[str, int] = {}
        self._ids: dict[int, str] = {}

    def __repr__(self) -> str:
        return f"SandboxEngine({self._name!r})"

    @property
    def capabilities(self) -> Capabilities:
        """A result is a function of the program, its seed and the versions of the sandbox."""
        return _CAPABILITIES

    @property
    def fingerprint(self) -> Fingerprint:
        """The sandbox and its versions."""
        return {"engine": "sandbox", "sandbox": self._name, "version": self._sandbox.version}

    @property
    def metrics(self) -> Metrics:
        """Counters of programs, each of which counts as a call without tokens."""
        return Metrics(self._submitted, self._usage)

    @property
    def reader(self) -> ProgramReader:
        """Reader of programs, which have no tokens."""
        return ProgramReader()

    def submit(self, requests: Iterable[Request]) -> None:
        """Enqueue programs. Raises `EngineError` once closed."""
        if self._background.closed:
            refuse("the engine is closed", "make a new one")
        work = []
        for request in requests:
            ticket = self._submitted = self._submitted + 1
            self._tickets[request.id], self._ids[ticket] = ticket, request.id
            work.append((ticket, partial(self._answer, request)))
        self._background.start(work)

    def step(self) -> list[Completion | Failure]:
        """Return new results, after waiting at most 50 ms for the first."""
        results: list[Completion | Failure] = []
        if not self._ids:
            return results
        for ticket, result in self._background.take(_STEP):
            name = self._ids.pop(ticket, None)
            if name is None:  # aborted
                continue
            del self._tickets[name]
            if isinstance(result, BaseException):
                what = f"{type(result).__name__}: {result}"
                results.append(Failure(name, "engine", f"the sandbox itself failed: {what}"))
                continue
            if isinstance(result, Completion):
                self._usage += result.usage
            results.append(result)
        return results

    def abort(self, ids: Iterable[str]) -> None:
        """Drop requests. A program that runs already ends within its limit."""
        tickets = [self._tickets.pop(name) for name in tuple(ids) if name in self._tickets]
        for ticket in tickets:
            del self._ids[ticket]
        self._background.cancel(tickets)

    def close(self) -> None:
        """Drop all requests. The processes of the sandbox stay for other engines."""
        self._tickets.clear()
        self._ids.clear()
        self._background.close()
        self._workers.shutdown(wait=False, cancel_futures=True)

    def complete(self, request: Request) -> Completion | Failure:
        """Run the program of one request, and wait for it."""
        program = Program.from_json(request.messages[-1].text)
        try:
            found = self._sandbox.run(program)
        except SandboxError as error:
            return Failure(request.id, "engine", f"the sandbox '{self._name}' failed: {error}")
        samples = (Sample(found.to_json(), "stop", 0),) * request.count
        return Completion(request.id, samples, Usage(1, 0, 0, 0))

    async def _answer(self, request: Request) -> Completion | Failure:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._workers, self.complete, request)
