"""A transport for servers with an address: streamable HTTP, within bounds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from chainlang.engines.http.endpoint import Endpoint
from chainlang.engines.http.new_client import new_client

if TYPE_CHECKING:
    import httpx2


@asynccontextmanager
async def streams(endpoint: Endpoint, most: int) -> AsyncIterator[tuple[Any, Any]]:
    """Yield the streams of messages of a session; `most` is the size of a response in bytes."""
    from httpx2 import Timeout
    from mcp.client.streamable_http import streamable_http_client

    async def bound(response: httpx2.Response) -> None:
        if not response.headers.get("content-type", "").startswith("text/event-stream"):
            response.stream = _bounded(response.stream, most)

    timeout = Timeout(30.0, read=300.0)
    client = new_client(endpoint, timeout=timeout, event_hooks={"response": [bound]})
    async with (
        client,
        streamable_http_client(endpoint.url, http_client=client, max_sse_event_size=most) as pair,
    ):
        yield pair


def _bounded(stream: Any, most: int) -> httpx2.AsyncByteStream:
    """Return the content of a response, which fails once it is too long."""
    import httpx2

    class Bounded(httpx2.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            size = 0
            async for chunk in stream:
                size += len(chunk)
                if size > most:
                    raise httpx2.ReadError(f"it sent a response of more than {most:,} bytes")
                yield chunk

        async def aclose(self) -> None:
            await stream.aclose()

    return Bounded()
