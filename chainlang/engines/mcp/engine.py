"""`McpEngine`: the tools of an MCP server behind the interface of engines."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from importlib.util import find_spec
from typing import Any

from chainlang.engines.event_loop_thread import EventLoopThread
from chainlang.engines.mcp.pins import Approved, Definition
from chainlang.engines.mcp.results import Unusable, text_of
from chainlang.engines.mcp.session import Refused, Session, Unreachable
from chainlang.engines.mcp.visible import one_line, visible
from chainlang.engines.protocol import Metrics, refuse
from chainlang.protocol.capabilities import Capabilities
from chainlang.protocol.failures import FailureKind
from chainlang.protocol.messages import (
    Completion,
    Failure,
    Fingerprint,
    Request,
    Sample,
    Usage,
)

MAX_BYTES = 1 << 20
"""Default of the largest result, in bytes."""
SECONDS = 60.0
"""Default of the timeout of a call, in seconds."""
CONCURRENCY = 8
"""Default of the number of calls at a time: many servers answer one after another."""
KEY = "chainlang.idempotency-key"
"""Name of the key in `_meta` that is equal for each repetition of one call."""
_STEP = 0.05
_CAPABILITIES = Capabilities(
    name="mcp", schemas=False, seeds=False, batch_invariant=False, plain_values=True
)


class McpEngine:
    """Calls the tools of one server, all over one session.

    The prompt of a request has the name of the tool as its system text and the arguments as JSON;
    each sample is a call. The session begins with the first call; a server that has ended is
    started again by the next one. A tool that fails is a failure of cause `function`, a server that
    does not answer one of cause `transport`. No call is repeated by the engine. The server can
    neither sample a model nor ask for input.

    `server`: an `MCPServer` of this program, which is trusted; or a function that returns what the
    SDK connects to. `approved`: its tools as they were approved; None for one of this program.
    `start`: how it is started or reached, for the fingerprint. `seconds`: timeout of a call.
    `max_bytes`: largest result.

    Raises `EngineError` if the SDK is not installed.
    """

    def __init__(
        self,
        server: Any,
        *,
        name: str = "server",
        approved: Approved | None = None,
        start: Mapping[str, Any] | None = None,
        why: Callable[[], str] = str,
        seconds: float = SECONDS,
        max_bytes: int = MAX_BYTES,
        max_concurrency: int = CONCURRENCY,
    ) -> None:
        if find_spec("mcp") is None:
            refuse("servers of tools need the package mcp", "run: pip install 'chainlang[mcp]'")
        is_own = not callable(server)
        self.name = name
        self.seconds = seconds
        self.max_bytes = max_bytes
        self.approved = approved
        self.start = dict(start or ({"server": type(server).__name__} if is_own else {}))
        connect = (lambda: server) if is_own else server
        self._session = Session(name, connect, why, min(seconds, 60.0), approved, self.start)
        self._slots = asyncio.Semaphore(max_concurrency)
        self._background: EventLoopThread[Completion | Failure | dict[str, Definition]]
        self._background = EventLoopThread(f"chainlang-mcp-{name}", closing=self._session.close)
        self._definitions: Mapping[str, Definition] | None = None
        self._submitted = 0
        self._usage = Usage()
        self._tickets: dict[str, int] = {}
        self._ids: dict[int, str] = {}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    @property
    def capabilities(self) -> Capabilities:
        """None of a model's; values are sent as they are."""
        return _CAPABILITIES

    @property
    def fingerprint(self) -> Fingerprint:
        """Command or address of the server, and the pins of its tools."""
        pins = None if self.approved is None else self.approved.pins(self.name)
        whole = json.dumps([self.start, pins], sort_keys=True).encode()
        return {
            "engine": "mcp",
            "server": self.name,
            "sandbox": self.start.get("sandbox", "of this program"),
            "tools": hashlib.sha256(whole).hexdigest()[:32],
        }

    @property
    def metrics(self) -> Metrics:
        """Counters of calls; they have no tokens."""
        return Metrics(self._submitted, self._usage)

    @property
    def reader(self) -> None:
        """None: there are no tokens."""
        return

    def submit(self, requests: Iterable[Request]) -> None:
        """Start calls. Raises `EngineError` once closed."""
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
            if isinstance(result, Completion):
                self._usage += result.usage
                results.append(result)
            elif isinstance(result, Failure):
                results.append(result)
            else:
                what = visible(f"{type(result).__name__}: {result}")
                results.append(Failure(name, "engine", f"the engine itself failed: {what}"))
        return results

    def abort(self, ids: Iterable[str]) -> None:
        """Cancel calls; the server is sent a notification of it."""
        tickets = [self._tickets.pop(name) for name in tuple(ids) if name in self._tickets]
        for ticket in tickets:
            del self._ids[ticket]
        self._background.cancel(tickets)

    def close(self) -> None:
        """Cancel all calls and end the session with the server."""
        self._tickets.clear()
        self._ids.clear()
        self._background.close()

    def tools(self) -> dict[str, Definition]:
        """Return the tools of the server by name, as it says now. No call may be in progress.

        Raises `EngineError` if the server can't be reached.
        """
        ticket = self._submitted = self._submitted + 1
        self._background.start([(ticket, self._session.tools)])
        found: Any = None
        while found is None:
            found = next((one for _, one in self._background.take(_STEP)), None)
        if isinstance(found, BaseException):
            message = f"the tools of {self.name} can't be listed: {one_line(str(found))}"
            refuse(message, "look at its command, its address or its key")
        tools: dict[str, Definition] = found
        return tools

    def definition(self, tool: str) -> tuple[str, str]:
        """Return the description of a tool, and the schema of its arguments as JSON.

        Raises `EngineError` if the server can't be reached, or lacks the tool.
        """
        if self._definitions is None:
            self._definitions = self.tools() if self.approved is None else self.approved.tools
        if tool not in self._definitions:
            known = ", ".join(map(visible, self._definitions))
            refuse(f"the server {self.name!r} has no tool {tool!r}", f"it has: {known}")
        found = self._definitions[tool]
        about, schema = found.get("description") or "", found.get("input") or {"type": "object"}
        return visible(str(about)), json.dumps(schema)

    # ---- in the event loop's thread

    async def _answer(self, request: Request) -> Completion | Failure:
        tool, arguments = _call_of(request)
        if tool is None or arguments is None:
            message = f"{self.name} is a server of tools, and no model"
            return Failure(request.id, "refused", message)
        samples = []
        for number in range(request.drawn):
            async with self._slots:
                made = await self._sample(request, tool, arguments, number)
            if isinstance(made, Failure):
                return made
            samples.append(made)
        copies = request.count // request.drawn
        return Completion(request.id, tuple(samples) * copies, Usage(request.drawn, 0, 0, 0))

    async def _sample(
        self, request: Request, tool: str, arguments: Mapping[str, Any], number: int
    ) -> Sample | Failure:
        from mcp import MCPError

        kind: FailureKind
        meta = {KEY: _key(self.name, request, number)}
        try:
            result = await self._session.call(tool, arguments, meta, self.seconds)
            text = text_of(tool, result, request.schema, self.max_bytes)
        except Unusable as error:
            kind, message, transient = "function", str(error), False
        except Refused as error:
            message = f"{error}; run: chainlang mcp approve FILE"
            kind, transient = "denied", False
        except Unreachable as error:
            kind, message, transient = "transport", str(error), True
        except MCPError as error:
            message = f"{tool} failed: {one_line(error.message)}"
            kind, transient = "function", False
        else:
            return Sample(text, "stop", 0)
        return Failure(request.id, kind, message, transient)


def _call_of(request: Request) -> tuple[str | None, Any]:
    """Return the tool and the arguments of a request; None of one that is no call."""
    match request.messages:
        case (system, user) if (system.role, user.role) == ("system", "user"):
            try:
                arguments = json.loads(user.text)
            except (ValueError, RecursionError):
                return None, None
            return system.text, arguments if isinstance(arguments, dict) else None
    return None, None


def _key(server: str, request: Request, number: int) -> str:
    """Return the idempotency key of a call: the same if it is repeated after a crash."""
    texts = [one.text for one in request.messages]
    parts = [server, *texts, request.run, request.seed + number]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]
