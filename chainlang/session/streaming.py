"""Async calls and streaming of single rows, from an asyncio event loop."""

from __future__ import annotations

import asyncio
import atexit
from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import suppress
from typing import Any, Generic, TypeAlias, TypeVar

from attrs import define

from chainlang.analysis.program import Program
from chainlang.diagnostics.suggest import unknown
from chainlang.errors import OperandError, error_of
from chainlang.optimizer.compile import planned
from chainlang.plan.steps import Generate, Plan
from chainlang.plan.visit import last, leaves
from chainlang.protocol.usages import Usages
from chainlang.runtime.outcome import Outcome
from chainlang.runtime.service_thread import Job, Service
from chainlang.runtime.stream import Chunk, Listener
from chainlang.semantics.outputs import EVERYTHING
from chainlang.semantics.row_failure import RowFailure
from chainlang.semantics.seeds import Place
from chainlang.session.per_process import PerProcess
from chainlang.session.prepare import prepare
from chainlang.session.result import Result, result_of
from chainlang.session.rows import start_of
from chainlang.settings import RowSettings

__all__ = ["Stream"]

Done: TypeAlias = Outcome | BaseException
Returned = TypeVar("Returned", bound=Result | None)

# Registered after the closing of engines, so run before it: no engine is closed while it is used.
_SERVICES: PerProcess[str, Service] = PerProcess()
atexit.register(_SERVICES.close, Service.close)


async def call(program: Program, row: Any, settings: RowSettings) -> Result | None:
    """Return the result of a row; a failed row is handled by `on_error`. Raises `RowError`."""
    job = _Job(asyncio.get_running_loop(), settings.on_error)
    await job.submit(program, row, settings, lambda _: frozenset())
    try:
        async for _ in job.chunks():
            pass
    finally:
        job.cancel()
    return job.result()


@define(eq=False)
class Stream(Generic[Returned]):
    """Async iterator of the chunks of a row's replies; after the last one, `result` is available.

    It can be iterated once. Leaving it early aborts the requests of the row.
    """

    program: Program
    row: Any
    settings: RowSettings
    stages: Collection[str] | None = None
    _job: _Job | None = None

    @property
    def result(self) -> Returned:
        """The `Result`, after the last chunk; a failed row is handled by `on_error`.

        Raises `RowError`, and `OperandError` before the last chunk.
        """
        if self._job is None or self._job.outcome is None:
            message = "the result of a stream is available after its last chunk"
            hint = "iterate first: async for chunk in stream: ..."
            raise error_of("operand", message, hint)
        result: Any = self._job.result()  # `Returned` depends on `on_error`
        return result  # type: ignore[no-any-return]

    async def __aiter__(self) -> AsyncGenerator[Chunk, None]:
        if self._job is not None:
            message = "a stream can be iterated only once"
            raise error_of("operand", message, "call stream() again")
        self._job = job = _Job(asyncio.get_running_loop(), self.settings.on_error)
        await job.submit(self.program, self.row, self.settings, self._places)
        try:
            async for chunk in job.chunks():
                yield chunk
        finally:
            job.cancel()
        job.result()

    def _places(self, plan: Plan) -> frozenset[Place]:
        """Return the places of the streamed stages: the named ones, or by default the last ones."""
        if self.stages is None:
            return frozenset(step.place for step in last(plan.root))
        wanted = {self.stages} if isinstance(self.stages, str) else set(self.stages)
        named: dict[str, set[Place]] = {}
        for step in leaves(plan.root):
            name = step.stage.name if isinstance(step, Generate) else "M"
            named.setdefault(name, set()).add(step.place)
        for name in sorted(wanted - named.keys()):
            raise OperandError([unknown("stage", name, named, code="operand")])
        return frozenset(place for name in wanted for place in named[name])


class _Job:
    """A row in flight, with a queue of its events in the event loop of the caller."""

    def __init__(self, loop: asyncio.AbstractEventLoop, on_error: str) -> None:
        self.outcome: Outcome | None = None
        self._on_error = on_error
        self._loop = loop
        self._news: asyncio.Queue[Chunk | Done] = asyncio.Queue()
        self._job: Job | None = None
        self._outputs = EVERYTHING

    async def submit(
        self,
        program: Program,
        row: Any,
        settings: RowSettings,
        places: Callable[[Plan], frozenset[Place]],
    ) -> None:
        """Start the row. Models are loaded in another thread, so the event loop is not blocked."""
        plan = planned(program, settings).plan
        self._outputs = plan.outputs
        wanted = places(plan)
        start = start_of(row, program)
        if isinstance(start, RowFailure):
            self._tell(Outcome(0, start.id, None, start, Usages()))
            return
        prepared = await asyncio.to_thread(prepare, program, settings)
        listener = Listener(self._tell, wanted) if wanted else None
        self._job = Job(prepared, start, self._tell, listener)
        _SERVICES.open("", Service).submit(self._job)

    async def chunks(self) -> AsyncGenerator[Chunk, None]:
        """Yield chunks until the row is done. Raises an error of the run, if any."""
        while True:
            news = await self._news.get()
            if isinstance(news, Chunk):
                yield news
            elif isinstance(news, Outcome):
                self.outcome = news
                return
            else:
                raise news

    def result(self) -> Result | None:
        """Return the result of the completed row. Raises `RowError` as `on_error` decides."""
        assert self.outcome is not None
        if self.outcome.failure is not None and self._on_error == "raise":
            raise self.outcome.failure.error()
        skipped = self.outcome.failure is not None and self._on_error == "skip"
        return None if skipped else result_of(self.outcome, self._outputs)

    def cancel(self) -> None:
        """Abort the row if it is not done."""
        if self._job is not None and self.outcome is None:
            _SERVICES.open("", Service).cancel(self._job)

    def _tell(self, news: Chunk | Done) -> None:
        """Queue an event from the service's thread; ignored after the event loop has closed."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._news.put_nowait, news)
