"""What the work of a row is made of: what it waits for, what it knows, and how it fails.

Work is a generator. It yields an effect, and is sent what came of it. Nothing here knows of other
rows, of engines or of time.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeAlias

from attrs import evolve, field, frozen

from chainlang.diagnostics.source import Span
from chainlang.protocol.messages import Request
from chainlang.runtime.budget import RowBudget
from chainlang.runtime.limits import Terms
from chainlang.runtime.outcome import RowFailure
from chainlang.runtime.stream import Ear, Listener
from chainlang.runtime.tracing import NOTHING, Tracing
from chainlang.semantics.functions import FunctionError
from chainlang.semantics.record import Flow
from chainlang.semantics.seeds import Place
from chainlang.semantics.stage_error import StageError

Work: TypeAlias = "Generator[Effect, Any, Flow]"


@frozen
class Ask:
    """Wait for the replies to requests; they come in the order of the requests."""

    requests: tuple[Request, ...]
    ear: Ear | None = None
    """Is told what comes meanwhile."""


@frozen
class All:
    """Wait for generators that run at the same time; what they return comes in their order."""

    works: tuple[Generator[Effect, Any, Any], ...]


@frozen
class Await:
    """Wait for coroutines that run at the same time; what they return comes in their order.

    Each is made when it begins. They raise nothing.
    """

    calls: tuple[Callable[[], Coroutine[Any, Any, Any]], ...]


@frozen
class Pause:
    """Wait, for some seconds."""

    seconds: float


@frozen
class Within:
    """Wait for a generator, for some seconds at most: then it is ended, and the failure raised."""

    work: Work
    seconds: float
    failure: RowFailed


Effect: TypeAlias = Ask | All | Await | Pause | Within


class RowFailed(Exception):
    """A row has failed; `failure` says why."""

    def __init__(self, failure: RowFailure) -> None:
        self.failure = failure
        self.cause, self.transient, self.reply = failure.cause, failure.transient, failure.text
        super().__init__(failure.message)

    def saying(self, message: str) -> RowFailed:
        """Return the same failure, with another message."""
        return RowFailed(evolve(self.failure, reason=message))


def failed(
    error: StageError,
    stage: str,
    place: Place,
    sample: int | None = None,
    span: Span | None = None,
) -> RowFailed:
    """Return the failure that an error of a stage is, with where it happened."""
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
        )
    )


@frozen
class RowContext:
    """What the steps of one row share: the seed, who listens, and which runs of steps these are."""

    run_seed: int
    runs: tuple[str, ...] = ()
    """For each star in a place, what stands for it; nothing for a first attempt, round or item."""
    listener: Listener | None = None
    tracing: Tracing = NOTHING
    """The row, or the stage of it, as it is traced."""
    redraw: int = 0
    """How often the row was drawn again in later runs."""
    budget: RowBudget = field(factory=RowBudget)

    @property
    def terms(self) -> Terms:
        """What the row may cost, and how long it waits."""
        return self.budget.terms

    def place(self, place: Place) -> Place:
        """Return a place of the plan with its stars filled in."""
        if not self.runs:
            return place
        runs = iter(self.runs)
        filled = (next(runs) if part.endswith("*") else part for part in place)
        return tuple(part for part in filled if part)

    def run(self, part: str) -> RowContext:
        """Return the context inside a step that runs several times."""
        return evolve(self, runs=(*self.runs, part))

    def further(self, mark: str, number: int) -> RowContext:
        """Return the context of an attempt, a round or an item; the first adds nothing."""
        return self.run(f"{mark}{number}" if number else "")
