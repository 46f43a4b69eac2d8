"""Async calls of single rows, and streaming of their replies."""

from __future__ import annotations

import asyncio
import atexit
import queue
from collections.abc import AsyncGenerator, Callable, Collection, Iterator
from contextlib import suppress
from typing import Any, Generic, TypeAlias, TypeVar

from attrs import define

from chainlang.analysis.program import Program
from chainlang.diagnostics.suggest import unknown
from chainlang.engines.per_process import PerProcess
from chainlang.errors import OperandError, error_of
from chainlang.optimizer.compile import planned
from chainlang.plan.steps import Generate, Leaf, Plan
from chainlang.plan.visit import last, leaves
from chainlang.protocol.usages import Usages
from chainlang.runtime.outcome import Outcome
from chainlang.runtime.prepared import Prepared
from chainlang.runtime.service_thread import Job, Service
from chainlang.runtime.stream import Chunk, Listener
from chainlang.semantics.events import Event
from chainlang.semantics.row_failure import RowFailure
from chainlang.semantics.seeds import Place
from chainlang.session.named_models import with_models
from chainlang.session.prepare import prepare
from chainlang.session.result import Result, result_of
from chainlang.session.rows import start_of
from chainlang.session.run_progress import ended, metered
from chainlang.session.sample_names import SampleNames
from chainlang.settings import RowSettings

__all__ = ["Stream"]

Done: TypeAlias = Outcome | BaseException
Returned = TypeVar("Returned", bound=Result | None)

# Registered after the closing of engines, so run before it: no engine is closed while it is used.
_SERVICES: PerProcess[str, Service] = PerProcess()
atexit.register(_SERVICES.close, Service.close)


async def call(program: Program, row: Any, settings: RowSettings) -> Result | None:
    """Return the result of a row; a failed row is handled by `on_error`. Raises `RowError`."""
    inbox = _AsyncInbox()
    job = _Job(inbox.tell, with_models(program, settings), row, settings)
    job.submit(await asyncio.to_thread(job.prepared), frozenset())
    return await _ended(job, inbox)


@define(eq=False)
class Calls:
    """Calls of rows by one chain with equal settings, which are prepared once."""

    program: Program
    settings: RowSettings
    prepared: Prepared

    @staticmethod
    def of(program: Program, settings: RowSettings) -> Calls:
        """Load the models of a chain, and return its calls."""
        program = with_models(program, settings)
        return Calls(program, settings, prepare(program, settings))

    async def result(self, row: Any) -> Result | None:
        """Return the result of a row, as `call` does."""
        inbox = _AsyncInbox()
        job = _Job(inbox.tell, self.program, row, self.settings)
        job.submit(self.prepared, frozenset())
        return await _ended(job, inbox)


async def _ended(job: _Job, inbox: _AsyncInbox) -> Result | None:
    try:
        while not job.is_done(await inbox.get()):
            pass
    finally:
        job.cancel()
    return job.result()


@define(eq=False)
class Stream(Generic[Returned]):
    """Iterator of the chunks of a row's replies, with ``for`` or ``async for``.

    After the last chunk, `result` is available. It can be iterated once. Leaving it early aborts
    the requests of the row.
    """

    program: Program
    row: Any
    settings: RowSettings
    stages: Collection[str] | None = None
    sample: int | None = None
    _job: _Job | None = None

    def __attrs_post_init__(self) -> None:
        self.program = with_models(self.program, self.settings)  # as they are named here and now

    @property
    def result(self) -> Returned:
        """The `Result`, after the last chunk; a failed row is handled by `on_error`.

        Raises `RowError`, and `OperandError` before the last chunk.
        """
        if self._job is None or self._job.outcome is None:
            message = "the result of a stream is available after its last chunk"
            hint = "iterate first: for chunk in stream: ..."
            raise error_of("operand", message, hint)
        result: Any = self._job.result()  # `Returned` depends on `on_error`
        return result  # type: ignore[no-any-return]

    @property
    def usages(self) -> Usages:
        """Usage of each stage and model so far; of a stream that was left, until then."""
        return Usages() if self._job is None else self._job.usages

    @property
    def events(self) -> tuple[Event, ...]:
        """Events of the row, after its end; none of a stream that was left."""
        outcome = None if self._job is None else self._job.outcome
        return () if outcome is None else outcome.events

    def __iter__(self) -> Iterator[Chunk]:
        inbox = queue.SimpleQueue[Chunk | Done]()
        job, names, places = self._begin(inbox.put)
        job.submit(job.prepared(), places)
        try:
            while not job.is_done(news := inbox.get()):
                if isinstance(news, Chunk) and (named := names.named(news)):
                    yield named
        finally:
            job.cancel()
        job.result()

    async def __aiter__(self) -> AsyncGenerator[Chunk, None]:
        inbox = _AsyncInbox()
        job, names, places = self._begin(inbox.tell)
        job.submit(await asyncio.to_thread(job.prepared), places)
        try:
            while not job.is_done(news := await inbox.get()):
                if isinstance(news, Chunk) and (named := names.named(news)):
                    yield named
        finally:
            job.cancel()
        job.result()

    def _begin(
        self, tell: Callable[[Chunk | Done], None]
    ) -> tuple[_Job, SampleNames, frozenset[Place]]:
        """Return the job of the stream, its samples and the places of its stages."""
        if self._job is not None:
            message = "a stream can be iterated only once"
            raise error_of("operand", message, "call stream() again")
        steps = self._steps(planned(self.program, self.settings).plan)
        names = SampleNames.of(steps, self.sample)
        self._job = _Job(tell, self.program, self.row, self.settings)
        return self._job, names, frozenset(step.place for step in steps)

    def _steps(self, plan: Plan) -> list[Leaf]:
        """Return the streamed stages: the named ones, or by default the last ones."""
        if self.stages is None:
            return list(last(plan.root))
        wanted = {self.stages} if isinstance(self.stages, str) else set(self.stages)
        named: dict[str, list[Leaf]] = {}
        for step in leaves(plan.root):
            name = step.stage.name if isinstance(step, Generate) else "M"
            named.setdefault(name, []).append(step)
        for name in sorted(wanted - named.keys()):
            raise OperandError([unknown("stage", name, named, code="operand")])
        return [step for name in sorted(wanted) for step in named[name]]


class _AsyncInbox:
    """A queue of the running event loop, which another thread can put into."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._news: asyncio.Queue[Chunk | Done] = asyncio.Queue()
        self.get = self._news.get

    def tell(self, news: Chunk | Done) -> None:
        """Queue an event; ignored after the event loop has closed."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._news.put_nowait, news)


class _Job:
    """A row in flight; `tell` is called with its events, in the thread of the service."""

    def __init__(
        self,
        tell: Callable[[Chunk | Done], None],
        program: Program,
        row: Any,
        settings: RowSettings,
    ) -> None:
        self.outcome: Outcome | None = None
        self._tell = tell
        self._program = program
        self._settings = settings
        self._outputs = planned(program, settings).plan.outputs
        self._start = start_of(row, program)
        self._job: Job | None = None

    def prepared(self) -> Prepared | None:
        """Return the prepared run, after loading its models; None for an invalid row."""
        if isinstance(self._start, RowFailure):
            return None
        settings, meter = metered(self._settings)
        with ended(meter):
            return prepare(self._program, settings)

    def submit(self, prepared: Prepared | None, places: frozenset[Place]) -> None:
        """Start the row; the stages at the places are streamed."""
        if prepared is None or isinstance(self._start, RowFailure):
            assert isinstance(self._start, RowFailure)
            self._tell(Outcome(0, self._start.id, None, self._start, Usages()))
            return
        listener = Listener(self._tell, places) if places else None
        self._job = Job(prepared, self._start, self._tell, listener)
        _SERVICES.open("", Service).submit(self._job)

    def is_done(self, news: Chunk | Done) -> bool:
        """Return whether an event is the last one. Raises an error of the run, if it is one."""
        if isinstance(news, BaseException):
            raise news
        if isinstance(news, Outcome):
            self.outcome = news
        return isinstance(news, Outcome)

    def result(self) -> Result | None:
        """Return the result of the completed row. Raises `RowError` as `on_error` decides."""
        assert self.outcome is not None
        if self.outcome.failure is not None and self._settings.on_error == "raise":
            raise self.outcome.failure.error()
        skipped = self.outcome.failure is not None and self._settings.on_error == "skip"
        return None if skipped else result_of(self.outcome, self._outputs)

    @property
    def usages(self) -> Usages:
        """Usage of the replies so far."""
        if self.outcome is not None:
            return self.outcome.usages
        row = None if self._job is None else self._job.row
        return Usages() if row is None else Usages.of(tuple(row.usages))

    def cancel(self) -> None:
        """Abort the row if it is not done."""
        if self._job is not None and self.outcome is None:
            _SERVICES.open("", Service).cancel(self._job)
