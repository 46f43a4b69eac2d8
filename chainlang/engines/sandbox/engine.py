"""`SandboxEngine`: runs the programs of requests in a sandbox, as many at once as there are cores.

The seed of a program is in the message, so a completion is a function of the request, and journal,
cache and deduplication treat it as that of a model at temperature 0.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Iterable
from contextlib import suppress

from chainlang.engines.protocol import Metrics, refuse, refuse_fork
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
        self._process = os.getpid()
        self._workers: list[threading.Thread] = []
        self._asked: queue.SimpleQueue[tuple[int, Request] | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[tuple[int, Completion | Failure]] = queue.SimpleQueue()
        self._closed = False
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
        if self._closed:
            refuse("the engine is closed", "make a new one")
        if self._process != os.getpid():
            refuse_fork(f"the sandbox '{self._name}' was opened", self._process)
        if not self._workers:
            # Daemons, so that a process that ends waits for no program.
            self._workers = [
                threading.Thread(target=self._work, name=f"chainlang-{self._name}", daemon=True)
                for _ in range(os.cpu_count() or 1)
            ]
            for one in self._workers:
                one.start()
        for request in requests:
            ticket = self._submitted = self._submitted + 1
            self._tickets[request.id], self._ids[ticket] = ticket, request.id
            self._asked.put((ticket, request))

    def step(self) -> list[Completion | Failure]:
        """Return new results, after waiting at most 50 ms for the first."""
        results: list[Completion | Failure] = []
        with suppress(queue.Empty):
            while self._ids:
                ticket, result = (
                    self._done.get_nowait() if results else self._done.get(timeout=_STEP)
                )
                name = self._ids.pop(ticket, None)
                if name is None:  # aborted
                    continue
                del self._tickets[name]
                if isinstance(result, Completion):
                    self._usage += result.usage
                results.append(result)
        return results

    def abort(self, ids: Iterable[str]) -> None:
        """Drop requests. A program that runs already ends within its limit."""
        for name in ids:
            if name in self._tickets:
                del self._ids[self._tickets.pop(name)]

    def close(self) -> None:
        """Drop all requests. The processes of the sandbox stay for other engines."""
        self._tickets.clear()
        self._ids.clear()
        if not self._closed:
            self._closed = True
            for _ in self._workers:
                self._asked.put(None)

    def complete(self, request: Request) -> Completion | Failure:
        """Run the program of one request, and wait for it."""
        program = Program.from_json(request.messages[-1].text)
        try:
            found = self._sandbox.run(program)
        except SandboxError as error:
            return Failure(request.id, "engine", f"the sandbox '{self._name}' failed: {error}")
        samples = (Sample(found.to_json(), "stop", 0),) * request.count
        return Completion(request.id, samples, Usage(1, 0, 0, 0))

    # ---- in a thread of its own

    def _work(self) -> None:
        while (given := self._asked.get()) is not None:
            ticket, request = given
            if ticket not in self._ids:  # aborted
                continue
            try:
                self._done.put((ticket, self.complete(request)))
            except Exception as error:  # noqa: BLE001  # else its row would wait without an end
                what = f"the sandbox itself failed: {type(error).__name__}: {error}"
                self._done.put((ticket, Failure(request.id, "engine", what)))
