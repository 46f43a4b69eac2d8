"""One exchange with a server before the first request, to see whether it is there."""

from __future__ import annotations

import asyncio
import json
import os
import re
from functools import partial
from typing import Any

from attrs import field, frozen

from chainlang.engines.event_loop_thread import EventLoopThread
from chainlang.engines.http.endpoint import Endpoint
from chainlang.engines.http.errors import error_message, excerpt
from chainlang.engines.http.new_client import new_client
from chainlang.engines.protocol import refuse

_PATIENCE = 10.0  # seconds; a server that takes longer may be loading its model
_STEP = 0.05  # seconds between two looks at an interrupt
_ENOUGH = 100_000  # bytes of a response


@frozen
class Answer:
    """The response of a server, as far as it is read."""

    status: int
    received: bytes = field(repr=False)  # it may repeat the key
    location: str | None = field(default=None, repr=False)
    """Target of a redirect."""

    @property
    def document(self) -> Any:
        """Its content as JSON; None if it is not JSON."""
        try:
            return json.loads(self.received)
        except (ValueError, RecursionError):
            return None

    @property
    def said(self) -> str:
        """Text of an error: the target of a redirect, or the message of the server."""
        text = self.received.decode("utf-8", "replace")
        return self.location or error_message(self.document, text)

    def told(self, endpoint: Endpoint) -> str:
        """Return its status and message, for a message of ours, without the key."""
        message = endpoint.hide(self.said)
        return f"answered {self.status}" + (f': "{excerpt(message)}"' if message else "")


def reach(
    endpoint: Endpoint, url: str, content: object, *, connect: float, met: bool = False
) -> Answer | None:
    """Return the response to a request with JSON, or to a GET if that is None.

    `connect` is the timeout for a connection in seconds; the exchange as a whole takes ten seconds
    more at most. None if the server is busy or fails, or, with `met`, refuses the connection: it
    has answered before. Raises `EngineError` if no server answers.
    """
    import httpx2

    answer, reason = None, ""
    try:
        answer = exchanged(endpoint, url, content, connect)
    except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
        reason = excerpt(_reason(error))
    except (httpx2.RequestError, TimeoutError):
        return None
    if answer is None and not met:  # not within the `except`: frames of it hold the headers
        hint = "start the server, or set base_url to the address of a running one"
        refuse(f"no server answers at {endpoint.url}: {reason}", hint, setting="base_url")
    return answer


def exchanged(endpoint: Endpoint, url: str, content: object, connect: float) -> Answer:
    """Return the response to a request, or raise what the HTTP client does.

    It is sent in an event loop, where a deadline ends whatever the server keeps busy: headers that
    trickle, informational responses without an end.
    """
    thread = EventLoopThread[Answer]("chainlang-health-check")
    try:
        thread.start([(0, partial(_exchange, endpoint, url, content, connect))])
        while not (found := thread.take(_STEP)):
            pass
    finally:
        thread.close()
    (_, answer) = found[0]
    if isinstance(answer, BaseException):
        raise answer
    return answer


async def _exchange(endpoint: Endpoint, url: str, content: object, connect: float) -> Answer:
    import httpx2

    timeout = httpx2.Timeout(_PATIENCE, connect=connect)
    method, body = ("GET", None) if content is None else ("POST", json.dumps(content).encode())
    async with (
        asyncio.timeout(connect + _PATIENCE),
        new_client(endpoint, timeout=timeout) as client,
        client.stream(method, url, content=body) as answer,
    ):
        received = bytearray()
        async for part in answer.aiter_bytes():
            received += part
            if len(received) > _ENOUGH:
                break
        moved = answer.headers["location"] if answer.has_redirect_location else None
        return Answer(answer.status_code, bytes(received), moved)


def _reason(error: BaseException) -> str:
    """Return what the system says of a connection that failed."""
    name = type(error).__name__
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause.exceptions[0] if isinstance(cause, BaseExceptionGroup) else cause
    if (type(error) is OSError or isinstance(error, ConnectionError)) and error.errno:
        return os.strerror(error.errno)  # the event loop has words of its own
    return re.sub(r"^\[Errno -?\d+\] ", "", str(error)) or name
