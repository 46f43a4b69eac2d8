"""A session with a server: opened, checked against its pins, and closed in one task."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

from attrs import define, field

from chainlang.engines.mcp.pins import Approved, Definition, definition, differences
from chainlang.engines.mcp.visible import visible

if TYPE_CHECKING:
    from mcp import Client

_PAGES = 100  # of a list of tools
_TOOLS = 5_000
_FRESH = 1.0  # seconds for which a list of tools is not read again


class Unreachable(Exception):
    """A server that can't be reached, has ended, or broke the protocol."""


class Refused(Exception):
    """A server whose tools are not those that were approved; the message names the differences."""


@define(eq=False)
class Session:
    """One session at a time with a server, opened when it is first needed, and after it has ended.

    `connect` returns what the SDK's `Client` connects to, and `why` the reason for which the last
    connection ended, as far as it is known.
    """

    server: str
    """Name of the server in the chain."""
    connect: Callable[[], Any]
    why: Callable[[], str]
    seconds: float
    """Timeout of opening it, and of listing its tools."""
    approved: Approved | None = None
    """Its tools as they were approved; None for a server of this program, which is not checked."""
    start: Mapping[str, Any] = field(factory=dict)
    """Its command or address, as the lock file has it."""
    _task: asyncio.Task[None] | None = None
    _tasks: set[asyncio.Task[None]] = field(factory=set)
    """All tasks that have not ended: those of earlier sessions may take a while."""
    _open: asyncio.Future[Client] | None = None
    _stop: asyncio.Event | None = None
    _stale: bool = False
    """Whether the server has said that its tools have changed."""
    _checked: float = 0.0
    _calls: int = 0
    """Number of calls in progress."""

    async def call(
        self, tool: str, arguments: Mapping[str, Any], meta: Mapping[str, Any], seconds: float
    ) -> Any:
        """Return the result of a tool, as the SDK has it.

        Raises `Unreachable`, `Refused` or the SDK's `MCPError`. The SDK's own `call_tool` would
        check the result against the schema of the server, whose patterns may take forever.
        """
        from mcp import types

        client = await self._client()
        await self._check(client, tool)
        params = types.CallToolRequestParams(
            name=tool, arguments=dict(arguments), _meta=cast("Any", dict(meta))
        )
        self._calls += 1
        try:
            async with asyncio.timeout(seconds):
                return await client.session.send_request(
                    types.CallToolRequest(params=params), types.CallToolResult
                )
        except TimeoutError:
            if self.why():  # its process has ended, though its output is open
                raise self._broken(ConnectionError()) from None
            message = f"{self.server} did not answer within {seconds:g} seconds"
            raise Unreachable(message) from None
        except Exception as error:
            raise self._broken(error) from error
        finally:
            self._calls -= 1

    async def tools(self) -> dict[str, Definition]:
        """Return the tools of the server by name, without a look at the pins."""
        return await self._list(await self._client())

    async def close(self) -> None:
        """End the session."""
        if self._stop is not None:
            self._stop.set()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # ------------------------------------------------------------ pins

    async def _check(self, client: Client, tool: str) -> None:
        """Compare the tools with the approved ones: at first, when they change, and when idle."""
        if self.approved is None:
            return
        old = not self._calls and time.monotonic() - self._checked > _FRESH
        if self._stale or old:
            self._stale = False
            now = Approved(self.start, await self._list(client))
            if found := list(differences(self.server, self.approved, now)):
                self._stale = True  # until someone approves
                more = f", and {len(found) - 3} more" if len(found) > 3 else ""
                raise Refused("; ".join(found[:3]) + more)
            self._checked = time.monotonic()
        if tool not in self.approved.tools:
            raise Refused(f"{self.server} has no tool {tool!r} that was approved")

    async def _list(self, client: Client) -> dict[str, Definition]:
        found: dict[str, Definition] = {}
        cursor: str | None = None
        try:
            async with asyncio.timeout(self.seconds):
                for _ in range(_PAGES):
                    page = await client.list_tools(cursor=cursor, cache_mode="bypass")
                    for one in page.tools:
                        if one.name in found:
                            message = f"{self.server} has two tools {visible(one.name)}"
                            raise Refused(message)
                        found[one.name] = definition(one)
                    cursor = page.next_cursor
                    if cursor is None:
                        return found
                    if len(found) > _TOOLS:
                        break
        except Refused:
            raise
        except Exception as error:
            raise self._broken(error) from error
        raise Refused(f"{self.server} lists more than {_TOOLS:,} tools, or {_PAGES} pages")

    # ------------------------------------------------------------ the task

    async def _client(self) -> Client:
        """Return the open client; open one if there is none, or if the last has ended."""
        if self._open is None or (self._task is not None and self._task.done()):
            self._open = asyncio.get_running_loop().create_future()
            self._stop = asyncio.Event()
            self._stale, self._checked = True, 0.0
            self._task = asyncio.create_task(self._own(self._open, self._stop))
            self._tasks.add(self._task)
            self._task.add_done_callback(self._tasks.discard)
        try:
            return await asyncio.shield(self._open)
        except (Unreachable, Refused):
            raise
        except asyncio.CancelledError:
            raise
        except Exception as error:
            raise self._broken(error) from error

    async def _own(self, opened: asyncio.Future[Client], stop: asyncio.Event) -> None:
        """Open the session, keep it open and close it, all in this task, as anyio demands."""
        try:
            async with self._entered() as client:
                opened.set_result(client)
                await stop.wait()
        except BaseException as error:
            if not opened.done():
                opened.set_exception(self._broken(_first(error)))
                opened.exception()  # it is read, though no call may be waiting any more
            if isinstance(error, asyncio.CancelledError | KeyboardInterrupt):
                raise

    @asynccontextmanager
    async def _entered(self) -> AsyncIterator[Client]:
        from mcp import Client

        _quiet()
        target = self.connect()
        made = Client(target, message_handler=self._hear, cache=None)
        async with asyncio.timeout(self.seconds) as deadline, _whole(made) as client:
            deadline.reschedule(None)
            yield client

    async def _hear(self, message: Any) -> None:
        from mcp import types

        if isinstance(message, types.ToolListChangedNotification):
            self._stale = True

    def _broken(self, error: BaseException) -> Exception:
        """Return the error of a call, and end a session that can't go on."""
        from mcp import MCPError
        from mcp.types import CONNECTION_CLOSED
        from pydantic import ValidationError

        if isinstance(error, Unreachable | Refused):
            return error
        if isinstance(error, MCPError) and error.code != CONNECTION_CLOSED:
            return error
        if isinstance(error, ValidationError):
            count = error.error_count()
            return Unreachable(f"{self.server} breaks the protocol: {count} invalid values")
        if self._stop is not None:
            self._stop.set()
            self._open = None
        if isinstance(error, TimeoutError):
            return Unreachable(f"{self.server} did not answer within {self.seconds:g} seconds")
        words = self.why() or visible(str(error) or type(error).__name__)
        return Unreachable(f"{self.server} can't be reached: {words}")


@asynccontextmanager
async def _whole(client: Client) -> AsyncIterator[Client]:
    held: AbstractAsyncContextManager[Client] = client
    async with held as entered:
        yield entered


def _first(error: BaseException) -> BaseException:
    """Return the first error in nested groups, as anyio raises them."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _quiet() -> None:
    """Keep the SDK's log, in which servers can write, off the terminal."""
    logger = logging.getLogger("mcp")
    if logger.level == logging.NOTSET and not logger.handlers:
        logger.setLevel(logging.CRITICAL)
