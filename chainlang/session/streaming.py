"""One row at a time from a running event loop: awaited, or heard as its replies come."""

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
from chainlang.protocol.messages import Usage
from chainlang.runtime.outcome import Outcome, RowFailure
from chainlang.runtime.service_thread import Job, Service
from chainlang.runtime.stream import Chunk, Listener
from chainlang.semantics.outputs import EVERYTHING
from chainlang.semantics.seeds import Place
from chainlang.session.prepare import prepare
from chainlang.session.result import Result, result_of
from chainlang.session.rows import start_of
from chainlang.settings import RowSettings

Done: TypeAlias = Outcome | BaseException
Returned = TypeVar("Returned", bound=Result | None)

# Registered after the engines' own end, and so run before it: nobody uses an engine that closes.
_SERVICE = Service()
atexit.register(_SERVICE.close)


async def call(program: Program, row: Any, settings: RowSettings) -> Result | None:
    """Return the result of a row; of one that fails, what `on_error` says. Raises `RowError`."""
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
    """The chunks of a row's replies, as they come; afterwards `result` is the result.

    Iterating twice is an error. A stream that is left early stops what it has asked for.
    """

    program: Program
    row: Any
    settings: RowSettings
    stages: Collection[str] | None = None
    _job: _Job | None = None

    @property
    def result(self) -> Returned:
        """The `Result`, once all chunks have come; of a row that failed, what `on_error` says.

        Raises `RowError`.
        """
        if self._job is None or self._job.outcome is None:
            message = "the result of a stream is there when all of it has come"
            hint = "iterate first: async for piece in stream: ..."
            raise error_of("operand", message, hint)
        result: Any = self._job.result()  # as `on_error` has it, which `Returned` says
        return result  # type: ignore[no-any-return]

    async def __aiter__(self) -> AsyncGenerator[Chunk, None]:
        if self._job is not None:
            message = "a stream is iterated once"
            raise error_of("operand", message, "call stream() again")
        self._job = job = _Job(asyncio.get_running_loop(), self.settings.on_error)
        await job.submit(self.program, self.row, self.settings, self._places)
        try:
            async for piece in job.chunks():
                yield piece
        finally:
            job.cancel()
        job.result()

    def _places(self, plan: Plan) -> frozenset[Place]:
        """Return the places to listen to: of the named stages, else of the last ones."""
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
    """A row on its way, as the event loop that asked for it sees it."""

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
        """Begin. Models load in a thread of their own, so that the event loop goes on."""
        plan = planned(program, settings).plan
        self._outputs = plan.outputs
        wanted = places(plan)
        start = start_of(row, program)
        if isinstance(start, RowFailure):
            self._tell(Outcome(0, "", None, start, Usage()))
            return
        prepared = await asyncio.to_thread(prepare, program, settings)
        listener = Listener(self._tell, wanted) if wanted else None
        self._job = Job(prepared, start, self._tell, listener)
        _SERVICE.submit(self._job)

    async def chunks(self) -> AsyncGenerator[Chunk, None]:
        """Yield chunks until the row is done. Raises what broke, if something did."""
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
        """Return the result of a row that is done. Raises `RowError` if it is to."""
        assert self.outcome is not None
        if self.outcome.failure is not None and self._on_error == "raise":
            raise self.outcome.failure.error()
        skipped = self.outcome.failure is not None and self._on_error == "skip"
        return None if skipped else result_of(self.outcome, self._outputs)

    def cancel(self) -> None:
        """Stop what was asked for, if it is not done."""
        if self._job is not None and self.outcome is None:
            _SERVICE.cancel(self._job)

    def _tell(self, news: Chunk | Done) -> None:
        """Take news in the service's thread. Nobody hears it when the event loop has closed."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._news.put_nowait, news)
