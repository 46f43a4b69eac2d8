"""Window of a run: the rows that have started and whose outcomes the caller has not taken."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import define, evolve, field

from chainlang.protocol.usages import Usages
from chainlang.runtime.outcome import Outcome
from chainlang.semantics.record import Record, moved
from chainlang.semantics.seeds import is_of_content

FIRST_SAMPLES, MORE_SAMPLES = 16, 256
"""Number of samples in flight with which no further row starts, if the window opens gradually: at
first, and how many each row that is taken adds."""


@define(eq=False)
class Window:
    """Rows in flight, outcomes that wait for their turn, and rows that wait for an equal one."""

    size: int
    """Maximum number of rows."""
    ordered: bool
    """Whether outcomes are taken in the order of the rows, or in the order of completion."""
    first: int
    """Index of the first row."""
    gradual: bool = False
    """Whether it opens as outcomes are taken, so that the first of them need not wait until batches
    with samples of all rows are computed."""
    admitted: int = field(init=False)
    """Index of the next row to start."""
    taken: int = field(init=False)
    """Index of the next row in order; without order, the number of taken outcomes after `first`."""
    _done: dict[int, Outcome] = field(factory=dict)
    _equal: dict[str, list[tuple[int, Record]]] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        self.admitted = self.taken = self.first

    @property
    def in_flight(self) -> int:
        """Number of rows that are in the window."""
        return self.admitted - self.taken

    def is_full(self, samples: int) -> bool:
        """Return whether no further row may start, with so many samples in flight."""
        if self.admitted - self.taken >= self.size:
            return True
        opened = FIRST_SAMPLES + MORE_SAMPLES * (self.taken - self.first)
        return self.gradual and samples >= opened

    def waits(self, start: Record) -> bool:
        """Return whether the next row waits for an equal one, and keep it if so.

        Otherwise later rows that are equal to it wait for it.
        """
        if start.id in self._equal:
            self._equal[start.id].append((self.admitted, start))
            return True
        if is_of_content(start.id):
            self._equal[start.id] = []
        return False

    def keep(self, outcome: Outcome) -> list[Outcome]:
        """Keep an outcome until it is taken; return those of the rows that waited for it."""
        self._done[outcome.index] = outcome
        waiting = None if outcome.start is None else self._equal.pop(outcome.row_id, None)
        if not waiting:
            return []
        equal = [_again(outcome, index, start) for index, start in waiting]
        self._done |= {one.index: one for one in equal}
        return equal

    @property
    def ready(self) -> bool:
        """Whether an outcome can be taken."""
        return self.taken in self._done if self.ordered else bool(self._done)

    def take(self) -> Outcome | None:
        """Remove and return the next outcome; None if it is not ready."""
        index = self.taken if self.ordered else next(iter(self._done), None)
        found = None if index is None else self._done.pop(index, None)
        self.taken += found is not None
        return found

    def rest(self) -> Iterator[Outcome]:
        """Take all outcomes in the order of the rows, also those whose turn has not come."""
        while self._done:
            self.taken += 1
            yield self._done.pop(min(self._done))


def _again(outcome: Outcome, index: int, start: Record) -> Outcome:
    """Return the outcome of a row that is equal to a completed one, with no usage."""
    flow = outcome.flow and moved(outcome.flow, start)
    return evolve(outcome, index=index, start=start, flow=flow, usages=Usages())
