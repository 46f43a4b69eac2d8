"""Background thread that runs rows for coroutines.

All rows share one scheduler, so concurrent calls are in flight together, even of different chains.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from contextvars import Context, copy_context

from attrs import define, field

from chainlang.runtime.budget import RowBudget
from chainlang.runtime.effects import RowContext
from chainlang.runtime.outcome import Outcome
from chainlang.runtime.prepared import OnePlan, Prepared
from chainlang.runtime.row_task import row
from chainlang.runtime.scheduler import Scheduler
from chainlang.runtime.stream import Listener
from chainlang.runtime.tasks import Row
from chainlang.runtime.tracing import ABORTED, Tracing, begin, row_done
from chainlang.semantics.record import Record


@define(eq=False)
class Job:
    """A row and its plan. `done` is called in the thread, with the outcome or an error."""

    prepared: Prepared
    start: Record
    done: Callable[[Outcome | BaseException], None]
    listener: Listener | None = None
    row: Row | None = None
    tracing: Tracing = field(factory=lambda: begin("row"))
    """Span inside the current span of the caller."""
    around: Context = field(factory=copy_context)
    """Context variables of the caller."""


class Service:
    """Runs jobs in a thread, which starts with the first one and ends with `close`."""

    def __init__(self) -> None:
        self._inbox: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._scheduler = Scheduler()
        self._jobs: dict[Job, None] = {}

    def submit(self, job: Job) -> None:
        """Start a job; callable from any thread."""
        with self._starting:
            if self._thread is None:
                # A daemon, so that a program that forgets to close can still end.
                self._thread = threading.Thread(target=self._serve, name="chainlang", daemon=True)
                self._thread.start()
        self._inbox.put(lambda: self._start(job))

    def cancel(self, job: Job) -> None:
        """Cancel a job; its `done` is not called any more. A completed one is ignored."""
        self._inbox.put(lambda: self._forget(job))

    def close(self) -> None:
        """Cancel all jobs and join the thread. A later job starts another thread."""
        with self._starting:
            if self._thread is not None:
                self._inbox.put(None)
                self._thread.join()
                self._thread = None

    # ---- in the thread

    def _serve(self) -> None:
        while True:
            while not self._inbox.empty() or not self._scheduler.busy:
                task = self._inbox.get()
                if task is None:
                    self._scheduler.close()
                    self._jobs.clear()
                    return
                task()
            try:
                self._scheduler.submit()
                self._scheduler.receive()
            except Exception as error:  # noqa: BLE001  # of an engine, for all jobs
                self._fail(error)

    def _start(self, job: Job) -> None:
        prepared = job.prepared

        chooser = prepared.chooser or OnePlan(prepared.plan)
        plan = chooser.plan(0, job.start)

        def done(outcome: Outcome) -> None:
            chooser.learn(outcome)
            self._jobs.pop(job, None)
            row_done(job.tracing, outcome)
            job.done(outcome.showing(prepared.plan.outputs))

        self._jobs[job] = None
        self._scheduler.by_prefix |= prepared.plan.by_prefix
        context = RowContext(
            prepared.context,
            listener=job.listener,
            tracing=job.tracing,
            around=job.around,
            budget=RowBudget(prepared.limits),
        )
        job.row = Row(
            0,
            job.start,
            prepared.engines,
            done,
            open_port=prepared.opening,
            swapper=prepared.swapper,
        )
        try:
            self._scheduler.admit(job.row, row(plan.root, job.start, context))
        except Exception as error:  # noqa: BLE001  # as above
            self._forget(job)
            job.done(error)

    def _forget(self, job: Job) -> None:
        if job in self._jobs and job.row is not None:
            del self._jobs[job]
            self._scheduler.abort(job.row)
            job.tracing.end(ABORTED)

    def _fail(self, error: Exception) -> None:
        self._scheduler.abort()
        jobs, self._jobs = list(self._jobs), {}
        for job in jobs:
            job.tracing.end(type(error).__name__)
            job.done(error)
