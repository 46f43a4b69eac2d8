"""Work for a client, which ends when the client goes away."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.types import Receive

Value = TypeVar("Value")


class Gone(Exception):  # nothing is wrong
    """The client has closed its connection."""


async def until_gone(receive: Receive, work: Coroutine[Any, Any, Value]) -> Value:
    """Return the value of some work; cancel it if the client goes away, and raise `Gone`.

    ASGI servers do not cancel a request whose client has gone: it has to be asked for.
    """
    task = asyncio.ensure_future(work)
    left = asyncio.ensure_future(_left(receive))
    try:
        await asyncio.wait({task, left}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise Gone
        return await task
    finally:
        for one in (task, left):
            one.cancel()
        await asyncio.gather(task, left, return_exceptions=True)


async def _left(receive: Receive) -> None:
    """Return once the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
