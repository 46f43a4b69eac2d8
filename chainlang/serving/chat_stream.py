"""Streams: replies as server-sent events, with comments while nothing comes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from typing import Any

from attrs import frozen
from starlette.types import Receive, Scope, Send

from chainlang.serving.refusals import Refused, ending
from chainlang.serving.until_gone import Gone, until_gone

QUIET = 10.0
"""Seconds without an event after which a comment is sent: proxies close a connection on which
nothing comes, some after 30 seconds."""
DONE = b"data: [DONE]\n\n"
_COMMENT = b": the chain is running\n\n"
HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache, no-transform",  # a proxy that compresses keeps events back
    "x-accel-buffering": "no",  # nginx would keep events back
}


@frozen
class EventStream:
    """ASGI response that sends the events of some work, as they come."""

    events: Callable[[], AsyncIterator[Mapping[str, Any]]]
    """Begins the work. A `Refused` that it raises is sent as an event."""
    headers: Mapping[str, str]
    report: Callable[[Exception], Refused]
    """Reports an error of ours, and returns what the client reads of it."""
    quiet: float = QUIET

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Send the response."""
        with suppress(Gone, OSError):
            try:
                await until_gone(receive, self._send(send))
            except asyncio.CancelledError:  # the server has no more time
                body = encoded(ending().body)
                await send({"type": "http.response.body", "body": body})

    async def _send(self, send: Send) -> None:
        pairs = {**HEADERS, **self.headers}.items()
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs]
        await send({"type": "http.response.start", "status": 200, "headers": raw})
        news: asyncio.Queue[bytes | None] = asyncio.Queue()
        task = asyncio.ensure_future(self._produce(news))
        try:
            while True:
                try:
                    event = await asyncio.wait_for(news.get(), self.quiet)
                except TimeoutError:
                    event = _COMMENT
                if event is None:
                    break
                await send({"type": "http.response.body", "body": event, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _produce(self, news: asyncio.Queue[bytes | None]) -> None:
        """Put each event into a queue, and None at the end."""
        try:
            async for event in self.events():
                news.put_nowait(encoded(event))
            news.put_nowait(DONE)
        except Refused as refused:
            news.put_nowait(encoded(refused.body))
        except Exception as error:  # noqa: BLE001  # whatever it is, the client reads an error
            news.put_nowait(encoded(self.report(error).body))
        news.put_nowait(None)


def encoded(event: Mapping[str, Any]) -> bytes:
    """Return an event as bytes."""
    return f"data: {json.dumps(event, ensure_ascii=False)}\n\n".encode("utf-8", "replace")
