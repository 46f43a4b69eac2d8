"""Workers: a process for each shard of a run, started again if it dies, and ended in order."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO, Any

from attrs import define, field, frozen

from chainlang.interrupts import interrupts_deferred
from chainlang.scale.devices import VISIBLE, cores, gpus, shares

RESTARTS = 3
"""Number of times that a worker is started again which died without having written rows."""
_ENDS = (0, 1, 2, 3, 130)
"""Exit statuses of a worker that has ended by itself."""
_TURN = 0.5
_BLOCK = 1 << 16


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Start processes that take SIGINT only once the command line is ready to handle it.

    While Python starts or ends, it would print a traceback.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@frozen
class Note:
    """A line of the log of a worker: an event with its fields; `text` for what is no event."""

    worker: int
    event: str
    fields: Mapping[str, Any] = field(factory=dict)
    text: str = ""


@define(eq=False)
class Worker:
    """A process that runs one shard."""

    number: int
    process: subprocess.Popen[bytes]
    has_begun: bool = False
    """Whether it, or one before it, has reported progress: its folder is of this run."""
    rows: int = 0
    """Number of rows that it has written."""
    at_start: int = 0
    """Number of rows when its process started."""
    deaths: int = 0
    """Number of times that it died since it last wrote rows."""
    status: int | None = None
    """Exit status, once it is not started again."""
    rest: bytes = b""

    @property
    def log(self) -> IO[bytes]:
        """The log that the process writes."""
        assert self.process.stderr is not None
        return self.process.stderr


@define(eq=False)
class Workers:
    """The processes of a run."""

    count: int
    command: Callable[[int, bool], Sequence[str]]
    """Returns the command of a worker, from its number and whether it resumes this run."""
    hear: Callable[[Note], object]
    """Called with each note of a worker."""
    mark: str
    """Mark of the notes, among the other lines that a worker writes."""
    workers: dict[int, Worker] = field(factory=dict)
    is_ending: bool = False
    _selector: selectors.BaseSelector = field(factory=selectors.DefaultSelector)

    def run(self) -> dict[int, int]:
        """Run all workers to their ends; return their exit statuses.

        After a Ctrl-C the workers end in order, as a run does, and after a second one at once. A
        worker that finds its input invalid ends the others.
        """
        try:
            for number in range(1, self.count + 1):
                with interrupts_deferred():  # each process that is started is known
                    self.workers[number] = self._started(number)
            while self._left():
                try:
                    self._turn()
                except KeyboardInterrupt:
                    self.end()
        finally:
            for one in self._left():
                one.process.kill()
                one.process.wait()
            self._selector.close()
        return {number: one.status or 0 for number, one in self.workers.items()}

    def end(self) -> None:
        """Interrupt all workers: they end in order, and are not started again."""
        self.is_ending = True
        for one in self._left():
            one.process.send_signal(signal.SIGINT)

    def _left(self) -> list[Worker]:
        return [one for one in self.workers.values() if one.status is None]

    def _started(self, number: int, *, has_begun: bool = False) -> Worker:
        environment, mine = {**os.environ}, shares(gpus(os.environ), self.count)[number - 1]
        if mine:
            environment[VISIBLE] = ",".join(mine)
        of_cores = [] if mine else shares(cores(), self.count)[number - 1]
        if of_cores:
            environment.setdefault("OMP_NUM_THREADS", str(len(of_cores)))
        with _interrupts_blocked():
            process = subprocess.Popen(  # noqa: S603  # this very command
                self.command(number, has_begun),
                stdin=subprocess.PIPE,  # its end tells the worker that this process is gone
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=environment,
                process_group=0,  # so that Ctrl-C reaches this process alone
            )
        if of_cores:
            os.sched_setaffinity(process.pid, of_cores)
        worker = Worker(number, process, has_begun)
        os.set_blocking(worker.log.fileno(), False)
        self._selector.register(worker.log, selectors.EVENT_READ, number)
        return worker

    def _turn(self) -> None:
        """Read what the workers have written, and take up those that ended."""
        ready = self._selector.select(_TURN)
        with interrupts_deferred():
            for key, _ in ready:
                worker = self.workers[key.data]
                if self._read(worker) == b"":
                    self._ended(worker)
            for worker in self._left():  # a process that it has started may hold its log open
                if worker.process.poll() is not None:
                    self._read(worker)
                    self._ended(worker)

    def _read(self, worker: Worker) -> bytes | None:
        """Read from the log of a worker: empty at its end, None if there is nothing new."""
        block = worker.log.read(2 * _BLOCK)  # more than a pipe holds
        *lines, worker.rest = (worker.rest + (block or b"")).split(b"\n")
        for line in lines:
            self._heard(worker, line)
        return block

    def _heard(self, worker: Worker, line: bytes) -> None:
        text = line.decode("utf-8", "replace")
        try:
            found = json.loads(text) if text.startswith("{") else None
        except ValueError:
            found = None
        if not isinstance(found, dict) or found.pop("mark", None) != self.mark:
            self.hear(Note(worker.number, "", text=text))
            return
        rows = found.get("rows")
        if isinstance(rows, int):
            worker.rows, worker.has_begun = rows, True
            if worker.at_start < rows and worker.deaths:
                worker.deaths = 0
        self.hear(Note(worker.number, found.pop("event"), found))

    def _ended(self, worker: Worker) -> None:
        """Take the status of a worker that has ended; start it again if it died."""
        self._selector.unregister(worker.log)
        if worker.rest:
            self._heard(worker, worker.rest)
        status = worker.process.wait()
        why = signal.Signals(-status).name if status < 0 else f"exit status {status}"
        for stream in (worker.process.stdin, worker.process.stderr):
            if stream is not None:
                stream.close()
        if status in _ENDS or self.is_ending or worker.deaths >= RESTARTS:
            worker.status = status
            if status not in _ENDS and not self.is_ending:
                attempts = worker.deaths + 1
                self.hear(Note(worker.number, "gone", {"why": why, "attempts": attempts}))
            if status == 2 and not self.is_ending:
                self.end()
            return
        again = self._started(worker.number, has_begun=worker.has_begun)
        again.rows = again.at_start = worker.rows
        again.deaths = worker.deaths + 1
        self.workers[worker.number] = again
        self.hear(Note(worker.number, "died", {"why": why}))
