"""Effects that the work of a row yields, its context, and its failure.

The work of a row or a step is a generator: it yields an effect and is sent the result. It depends
neither on other rows, nor on engines, nor on the time.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator, Iterable, Mapping
from contextvars import Context
from typing import Any, TypeAlias, TypeVar

from attrs import evolve, field, frozen

from chainlang.diagnostics.source import Span
from chainlang.protocol.messages import Request
from chainlang.protocol.price import Price
from chainlang.protocol.quick_init import quick_init
from chainlang.runtime.budget import RowBudget
from chainlang.runtime.limits import RunLimits
from chainlang.runtime.stream import DeltaSink, Listener
from chainlang.runtime.tracing import NOTHING, Tracing
from chainlang.semantics.events import Event
from chainlang.semantics.functions import FunctionError
from chainlang.semantics.record import Flow, Record, gathered
from chainlang.semantics.row_failure import RowFailure
from chainlang.semantics.seeds import Place
from chainlang.semantics.stage_error import StageError

T = TypeVar("T")
Work: TypeAlias = "Generator[Effect, Any, Flow]"


@quick_init
@frozen(weakref_slot=False)
class Ask:
    """Wait for the replies to requests; the result has them in the order of the requests."""

    requests: tuple[Request, ...]
    stage: str = ""
    """Name of the stage that sends them."""
    sink: DeltaSink | None = None
    """Receives the deltas while waiting."""


@frozen
class All:
    """Wait for concurrent generators; the result has their values in their order.

    If some fail, the result has the `RowFailed` of the first of them, once all before it have
    ended. Those after it are aborted, so that it does not depend on the order in which they end.
    """

    works: tuple[Generator[Effect, Any, Any], ...]
    to_end: bool = False
    """Whether those after a failed one are not aborted, but run to their end."""
    waits: tuple[tuple[int, ...], ...] = field(default=(), kw_only=True)
    """For each, the numbers of those before it that end before it starts; empty: it starts now."""
    ends: tuple[int, ...] = field(default=(), kw_only=True)
    """For each, the first after it that is not aborted if it fails; empty: all are. A failure that
    nothing may act on aborts all."""


@frozen
class Await:
    """Wait for concurrent coroutines; the result has their values in their order.

    Each coroutine is created when it starts, and must not raise.
    """

    calls: tuple[Callable[[], Coroutine[Any, Any, Any]], ...]


@frozen
class Pause:
    """Wait for some seconds."""

    seconds: float


@frozen
class Within:
    """Wait for a generator; at the timeout it is closed, and `failure` is raised."""

    work: Work
    seconds: float
    failure: RowFailed


Effect: TypeAlias = Ask | All | Await | Pause | Within


class RowFailed(Exception):
    """The failure of a row, or of a part of it."""

    def __init__(self, failure: RowFailure) -> None:
        self.failure = failure
        self.cause, self.transient, self.reply = failure.cause, failure.transient, failure.text
        super().__init__(failure.message)

    def saying(self, message: str) -> RowFailed:
        """Return the same failure, with another message."""
        return RowFailed(evolve(self.failure, reason=message))

    def since(self, record: Record) -> tuple[Event, ...]:
        """Return the events of the failed part, which began with a record."""
        return self.failure.events[len(record.events) :]

    def happened(self, events: tuple[Event, ...]) -> RowFailed:
        """Return the same failure, with other events."""
        return RowFailed(evolve(self.failure, events=events))

    def beside(self, flows: list[Flow], record: Record, begun: Record | None = None) -> RowFailed:
        """Return the same failure, with what happened in the parts before it, after a record.

        `begun` is the record that all of them began with; default: the same.
        """
        begun = record if begun is None else begun
        before, own = gathered(flows, record, begun), self.failure
        events = (*before.events, *self.since(begun))
        trace = (*before.trace, *own.trace[len(begun.trace) :])
        return RowFailed(evolve(own, events=events, trace=trace))


def failed(  # noqa: PLR0917
    error: StageError,
    stage: str,
    place: Place,
    record: Record,
    sample: int | None = None,
    span: Span | None = None,
) -> RowFailed:
    """Return the failure of a stage, with its place, sample and span, and the events before it."""
    raised = error if isinstance(error, FunctionError) else None
    return RowFailed(
        RowFailure(
            str(error),
            stage,
            place,
            sample,
            error.reply,
            cause=error.cause,
            transient=error.transient,
            where=raised.where if raised else None,
            traceback=raised.traceback if raised else None,
            span=span,
            events=record.events,
            trace=record.trace,
        )
    )


@frozen
class RunContext:
    """Context of a run: what the requests of all its rows have in common."""

    seed: int
    date: str | None = None
    """Date of the run; None for today's."""
    mark: str = ""
    """Mark of the run, for calls with effects."""
    prices: Mapping[str, Price] = field(factory=dict)
    """Price of each model for which it is known."""
    common: dict[int, tuple[Any, Request]] = field(factory=dict, eq=False, repr=False)
    """Request with the fields that all those of a step have, by the identity of the step."""


@quick_init
@frozen(weakref_slot=False)
class RowContext:
    """Context of the steps of a row: run, callback, span, budget, and the attempts around them."""

    run: RunContext
    index: int = field(default=0, kw_only=True)
    """Position of the row in its source."""
    runs: tuple[str, ...] = ()
    """Replacements of the stars in places; empty for a first attempt, round or item."""
    listener: Listener | None = None
    tracing: Tracing = NOTHING
    """Span of the row or of the stage."""
    around: Context | None = None
    """Context variables of the caller, for the user's functions; None where they are in force."""
    branch: str = ""
    """Arm of a branch that stays apart, with those around it; empty outside."""
    redraws: Mapping[str, int] = field(factory=dict)
    """Number of runs that resampled an arm after it failed, by its path; empty: the row."""
    budget: RowBudget = field(factory=RowBudget)

    def calling(self, function: Callable[..., T], *given: Any) -> T:
        """Call a function with the context variables of the caller."""
        return function(*given) if self.around is None else self.around.copy().run(function, *given)

    @property
    def limits(self) -> RunLimits:
        """Time, call and token limits."""
        return self.budget.limits

    def all(self, works: Iterable[Work]) -> All:
        """Return the effect of parallel parts.

        What is aborted depends on time. So with a budget of the row nothing is: what is charged to
        it would.
        """
        return All(tuple(works), self.budget.counts)

    def place(self, place: Place) -> Place:
        """Return a place of the plan with its stars replaced."""
        if not self.runs:
            return place
        runs = iter(self.runs)
        filled = (next(runs) if part.endswith("*") else part for part in place)
        return tuple(part for part in filled if part)

    @property
    def redraw(self) -> int:
        """Number of runs that resampled the row or an arm around after it failed."""
        if not self.redraws:
            return 0
        around = f"{self.branch}."
        return sum(
            number
            for path, number in self.redraws.items()
            if not path or around.startswith(f"{path}.")
        )

    def inside(self, part: str) -> RowContext:
        """Return the context inside a repeated step."""
        return evolve(self, runs=(*self.runs, part))

    def further(self, mark: str, number: int) -> RowContext:
        """Return the context of an attempt, a round or an item; that of the first is the same."""
        return self.inside(f"{mark}{number}" if number else "")
