"""An event loop in a thread, for callers without a loop or inside one, such as a notebook."""

from __future__ import annotations

import asyncio
import os
import queue
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import suppress
from functools import partial
from typing import Any, Generic, TypeAlias, TypeVar

from chainlang.engines.protocol import refuse_fork

T = TypeVar("T")
Work: TypeAlias = Callable[[], Coroutine[Any, Any, T]]


class EventLoopThread(Generic[T]):
    """A thread that runs coroutines in its own event loop and returns each result once.

    Each coroutine has a ticket, a number that its result is returned with. The thread starts with
    the first coroutine. `closing` runs in it at the end, after all coroutines have finished or have
    been cancelled. Only one thread may use the object.

    >>> async def answer() -> int:
    ...     return 42
    >>> thread = EventLoopThread[int]("doctest")
    >>> thread.start([(1, answer)])
    >>> thread.take(wait=60)
    [(1, 42)]
    >>> thread.close()

    A fork has no threads, so in a process that was forked from its own it raises `EngineError`.
    """

    def __init__(self, name: str, closing: Callable[[], Awaitable[object]] | None = None) -> None:
        self.name = name
        self.closed = False
        self._process = os.getpid()
        self._closing = closing
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._tasks: dict[int, asyncio.Task[T]] = {}
        self._done: queue.SimpleQueue[tuple[int, T | BaseException]] = queue.SimpleQueue()

    def start(self, work: Iterable[tuple[int, Work[T]]]) -> None:
        """Run coroutines, each under a unique ticket. Raises `RuntimeError` once closed."""
        if self.closed:
            raise RuntimeError(f"{self.name} is closed")
        self._call(self._spawn, tuple(work))

    def cancel(self, tickets: Iterable[int]) -> None:
        """Cancel coroutines; their result is a `CancelledError`. Unknown tickets are ignored."""
        if self._thread is not None and not self.closed and self._process == os.getpid():
            self._call(self._cancel, tuple(tickets))

    def take(self, wait: float) -> list[tuple[int, T | BaseException]]:
        """Return new results and exceptions, after waiting at most `wait` seconds for the first."""
        self._check_process()
        results: list[tuple[int, T | BaseException]] = []
        with suppress(queue.Empty):
            results.append(self._done.get(timeout=wait))
            while True:
                results.append(self._done.get_nowait())
        return results

    def post(self, ticket: int, partial_result: T) -> None:
        """Add a partial result of a running coroutine; `take` returns it before the result.

        Called in the thread.
        """
        self._done.put((ticket, partial_result))

    def close(self) -> None:
        """Cancel all coroutines and join the thread. Closing twice does no harm."""
        if self._process != os.getpid():
            return  # the thread is in another process
        if self._thread is not None and not self.closed:
            self._call(self._stop.set)
        self.closed = True
        if self._thread is not None:
            self._thread.join()

    def _check_process(self) -> None:
        if self._thread is not None and self._process != os.getpid():
            refuse_fork(f"{self.name} was opened", self._process)

    def _call(self, function: Callable[..., object], *arguments: Any) -> None:
        """Call a function in the thread, in the order of the calls."""
        self._check_process()
        if self._loop is None:
            self._process = os.getpid()
            ready = threading.Event()
            # A daemon, so that a program that does not call `close` can still exit.
            self._thread = threading.Thread(
                target=self._serve, args=(ready,), name=self.name, daemon=True
            )
            self._thread.start()
            ready.wait()
        assert self._loop is not None
        self._loop.call_soon_threadsafe(function, *arguments)

    # ---- in the thread

    def _serve(self, ready: threading.Event) -> None:
        with asyncio.Runner() as runner:
            self._loop = runner.get_loop()
            ready.set()
            runner.run(self._until_stopped())

    async def _until_stopped(self) -> None:
        await self._stop.wait()
        tasks = tuple(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._closing is not None:
            await self._closing()

    def _spawn(self, work: tuple[tuple[int, Work[T]], ...]) -> None:
        assert self._loop is not None
        for ticket, make in work:
            task = self._loop.create_task(make())
            self._tasks[ticket] = task
            task.add_done_callback(partial(self._finished, ticket))

    def _cancel(self, tickets: tuple[int, ...]) -> None:
        for ticket in tickets:
            if ticket in self._tasks:
                self._tasks[ticket].cancel()

    def _finished(self, ticket: int, task: asyncio.Task[T]) -> None:
        del self._tasks[ticket]
        # A cancelled task has a result too, so that no caller waits for it forever.
        failed = asyncio.CancelledError() if task.cancelled() else task.exception()
        self._done.put((ticket, failed or task.result()))
