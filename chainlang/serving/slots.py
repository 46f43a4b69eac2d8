"""Slots: how many rows a server runs at once, and how many requests wait for one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from attrs import define, field

from chainlang.serving.refusals import busy


@define(eq=False)
class Slots:
    """Rows in flight and requests that wait, both bounded."""

    window: int
    """Maximum number of rows in flight."""
    queue: int
    """Maximum number of requests that wait."""
    running: int = 0
    waiting: int = 0
    _free: asyncio.Semaphore = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._free = asyncio.Semaphore(self.window)

    def check(self) -> None:
        """Raise `Refused` if the queue is full."""
        if self._free.locked() and self.waiting >= self.queue:
            message = f"{self.running} requests run and {self.waiting} wait; try again later"
            raise busy(message, "server_overloaded")

    @asynccontextmanager
    async def taken(self) -> AsyncIterator[None]:
        """Wait for a slot, and have it in the block."""
        self.waiting += 1
        try:
            await self._free.acquire()
        finally:
            self.waiting -= 1
        self.running += 1
        try:
            yield
        finally:
            self.running -= 1
            self._free.release()
