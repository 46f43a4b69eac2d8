"""A transport for servers that are commands: their standard input and output, within bounds."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any, TypeAlias

from attrs import define, field

from chainlang.engines.mcp.visible import visible

if TYPE_CHECKING:
    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
    from mcp.shared.message import SessionMessage

Confined: TypeAlias = "AbstractContextManager[tuple[Sequence[str], tuple[int, ...]]]"
_GRACE = 2.0  # seconds that a server has to end by itself
_LOOK = 0.01  # seconds between two looks at it
_NOISE = 200  # lines that are no message, before the server counts as broken
_KEPT = 2_000  # characters of what a server writes to its standard error


@define(eq=False)
class Command:
    """The command of a server, and what is known of its process."""

    argv: Sequence[str]
    environment: Mapping[str, str]
    most: int
    """Maximum number of bytes of a message."""
    confined: Callable[[], Confined] | None = None
    """Returns the command line inside a sandbox, and the descriptors that it inherits."""
    pid: int | None = None
    """Process that runs it, which leads a group of its own."""
    _process: asyncio.subprocess.Process | None = None
    _fault: str = ""
    _said: deque[str] = field(factory=lambda: deque(maxlen=_KEPT))

    @property
    def fault(self) -> str:
        """Reason for which the transport has ended; empty while it works."""
        if self._fault or self._process is None or self._process.returncode is None:
            return self._fault
        return f"its process ended with status {self._process.returncode}"

    @property
    def said(self) -> str:
        """End of what the server wrote to its standard error, safe to print."""
        return visible("".join(self._said).strip()[-300:])

    @asynccontextmanager
    async def streams(self) -> AsyncIterator[tuple[Any, Any]]:
        """Start the server, yield the streams of its messages, and end it with all it started."""
        import anyio

        confined = self.confined or (lambda: nullcontext((list(self.argv), ())))
        with confined() as (argv, descriptors):
            process = await self._started(argv, descriptors)
        self._process, self.pid = process, process.pid
        incoming, read = anyio.create_memory_object_stream[Any](0)
        write, outgoing = anyio.create_memory_object_stream[Any](0)
        tasks = [
            asyncio.create_task(self._read(process, incoming)),
            asyncio.create_task(self._write(process, outgoing, incoming)),
            asyncio.create_task(self._listen(process)),
        ]
        try:
            yield read, write
        finally:
            for one in tasks:
                one.cancel()
            ending = asyncio.ensure_future(_end(process))
            with suppress(asyncio.CancelledError):
                await asyncio.shield(ending)
            await asyncio.gather(*tasks, return_exceptions=True)
            for stream in (incoming, read, write, outgoing):
                stream.close()

    async def _started(
        self, argv: Sequence[str], descriptors: tuple[int, ...]
    ) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=dict(self.environment),
            limit=self.most,
            start_new_session=True,
            pass_fds=descriptors,
        )

    async def _read(
        self, process: asyncio.subprocess.Process, incoming: MemoryObjectSendStream[Any]
    ) -> None:
        from mcp.shared.message import SessionMessage as Message
        from mcp.types import jsonrpc_message_adapter

        assert process.stdout is not None
        noise = 0
        with suppress(*_closed()):
            while not self._fault:
                try:
                    line = await process.stdout.readuntil(b"\n")
                except asyncio.IncompleteReadError:
                    self._fault = await _ended(process)
                    break
                except asyncio.LimitOverrunError:
                    self._fault = f"it sent a message of more than {self.most:,} bytes"
                    break
                try:
                    message = jsonrpc_message_adapter.validate_json(line, by_name=False)
                except (ValueError, RecursionError):
                    noise += bool(line.strip())
                    if noise > _NOISE:
                        self._fault = f"it wrote {_NOISE} lines that are no messages"
                    continue
                await incoming.send(Message(message))
        incoming.close()
        if self._fault:
            _kill(process)

    async def _write(
        self,
        process: asyncio.subprocess.Process,
        outgoing: MemoryObjectReceiveStream[SessionMessage],
        incoming: MemoryObjectSendStream[Any],
    ) -> None:
        assert process.stdin is not None
        with suppress(*_closed(), OSError):
            async for one in outgoing:
                line = one.message.model_dump_json(by_alias=True, exclude_unset=True)
                process.stdin.write(line.encode() + b"\n")
                await process.stdin.drain()
            return
        incoming.close()

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        while chunk := await process.stderr.read(4096):
            self._said.extend(chunk.decode("utf-8", "replace"))


def _closed() -> tuple[type[Exception], ...]:
    import anyio

    return anyio.BrokenResourceError, anyio.ClosedResourceError


async def _ended(process: asyncio.subprocess.Process) -> str:
    """Return the fault of a process that has closed its output."""
    has_ended = await _has_ended(process)
    return f"its process ended with status {process.returncode}" if has_ended else "it hung up"


async def _end(process: asyncio.subprocess.Process) -> None:
    """Close the input of a server; end it and all it has started if it does not end by itself."""
    if process.stdin is not None:
        process.stdin.close()
    for sign in (signal.SIGTERM, signal.SIGKILL):
        if await _has_ended(process):
            break
        _kill(process, sign)
    _kill(process)  # what it has left behind in its session
    await _has_ended(process)
    process._transport.close()  # type: ignore[attr-defined]  # what holds its pipes can't keep us


async def _has_ended(process: asyncio.subprocess.Process) -> bool:
    """Return whether a process ends within the grace, even if its pipes stay open."""
    for _ in range(int(_GRACE / _LOOK)):
        if process.returncode is not None:
            return True
        await asyncio.sleep(_LOOK)
    return process.returncode is not None


def _kill(process: asyncio.subprocess.Process, sign: signal.Signals = signal.SIGKILL) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, sign)
