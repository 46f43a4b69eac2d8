"""`AsyncResults`: the results of `amap`, for ``async for`` and ``await``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

from chainlang.session.result import Result
from chainlang.session.result_list import ResultList
from chainlang.session.results import Results

__all__ = ["AsyncResults"]


class AsyncResults:
    """The results of `amap`: one by one with ``async for``, or all of them with ``await``.

    The rows run in a thread of their own, as they are asked for, so the event loop goes on
    meanwhile. Leaving the loop aborts what is in flight.
    """

    def __init__(self, begin: Callable[[], Results]) -> None:
        self._begin = begin

    async def __aiter__(self) -> AsyncGenerator[Result, None]:
        loop, context = asyncio.get_running_loop(), copy_context()
        thread = ThreadPoolExecutor(1, "chainlang map")
        begun: list[Results] = []

        def following() -> Result | None:
            if not begun:
                begun.append(self._begin())
            return next(begun[0], None)

        try:
            while (
                result := await loop.run_in_executor(thread, context.run, following)
            ) is not None:
                yield result
        finally:
            for results in begun:
                thread.submit(results.close)
            thread.shutdown(wait=False)

    def __await__(self) -> Generator[Any, Any, ResultList]:
        return self._every().__await__()

    async def _every(self) -> ResultList:
        return ResultList([result async for result in self])
