"""A look at what a run would find in its journal and caches, without an engine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from attrs import define

from chainlang.engines.protocol import Engine
from chainlang.interrupts import check
from chainlang.protocol.messages import Request
from chainlang.runtime.budget import RowBudget
from chainlang.runtime.effects import RowContext
from chainlang.runtime.outcome import Outcome
from chainlang.runtime.ports.dedup import SharedPort
from chainlang.runtime.ports.port import Port, Reply
from chainlang.runtime.ports.recording import Memory, RecordedPort
from chainlang.runtime.prepared import Prepared
from chainlang.runtime.row_task import row
from chainlang.runtime.scheduler import Scheduler
from chainlang.runtime.tasks import Row
from chainlang.semantics.record import Record
from chainlang.semantics.row_failure import RowFailure


@define(eq=False)
class Found:
    """The number of samples that were found, and of those that were not."""

    found: int = 0
    missing: int = 0
    """Samples that an engine would be asked for first; what depends on them is not known."""


class AbsentPort:
    """A port to an engine that never replies, and counts the samples it is asked for."""

    inner = None
    waits = False

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.asked = 0

    def submit(self, requests: Iterable[Request]) -> None:
        """Count the samples."""
        self.asked += sum(request.drawn for request in requests)

    def step(self, until: float | None = None) -> list[Reply]:  # noqa: ARG002  # of the protocol
        """Return nothing."""
        return []

    def abort(self, ids: Iterable[str]) -> None:
        """Do nothing: no reply comes."""


def look_up(
    prepared: Prepared,
    rows: Iterable[Record | RowFailure],
    memory: Memory,
    redraws: Mapping[str, Mapping[str, int]],
) -> Found:
    """Return how many samples of the rows a memory has.

    Each row goes as far as its samples are there. The plan calls no functions.
    """
    total, seen = Found(), set[str]()
    starts = _once(rows, seen)
    while some := list(islice(starts, max(1, prepared.window))):
        check()
        recorded: list[RecordedPort] = []
        absent: list[AbsentPort] = []

        def opened(
            engine: Engine,
            recorded: list[RecordedPort] = recorded,
            absent: list[AbsentPort] = absent,
        ) -> Port:
            absent.append(AbsentPort(engine))
            recorded.append(RecordedPort(absent[-1], memory, engine.fingerprint))
            return SharedPort(recorded[-1])

        scheduler = Scheduler(open_port=opened)
        try:
            for index, start in enumerate(some):
                context = RowContext(
                    prepared.context,
                    redraws=redraws.get(start.id, {}),
                    budget=RowBudget(prepared.limits),
                )
                begun = Row(index, start, prepared.engines, _ignored)
                scheduler.admit(begun, row(prepared.plan.root, start, context))
            going = True
            while going and scheduler.busy:
                scheduler.submit()
                going = scheduler.receive()
        finally:
            scheduler.close()
        total.found += sum(port.taken for port in recorded)
        total.missing += sum(port.asked for port in absent)
    return total


def _once(rows: Iterable[Record | RowFailure], seen: set[str]) -> Iterator[Record]:
    """Yield the rows that can be run, each once."""
    for start in rows:
        if isinstance(start, Record) and start.id not in seen:
            seen.add(start.id)
            yield start


def _ignored(_: Outcome) -> None:
    """Do nothing with an outcome."""
