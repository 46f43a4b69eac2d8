"""Replies as they come, for whoever listens to a row."""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field, frozen

from chainlang.protocol.messages import Sample
from chainlang.semantics.seeds import Place


@frozen
class Piece:
    """More of a reply: the text that was added, and whose it is. As a string, it is its text.

    >>> print(Piece("4", "E", ("0",), 0), Piece("2", "E", ("0",), 0), sep="")
    42
    """

    text: str
    stage: str
    """The name of the stage that is being answered."""
    place: Place
    """Where in the chain that is: two stages of one name have two places."""
    sample: int
    """The number of the sample, of those that the stage draws."""

    def __str__(self) -> str:
        return self.text


@frozen
class Listener:
    """Who is told of pieces, and of which steps of the plan."""

    tell: Callable[[Piece], None]
    places: frozenset[Place]


@define
class Ear:
    """Follows the samples of one stage of one row. Every character is told once, and in order."""

    tell: Callable[[Piece], None]
    stage: str
    asked: tuple[tuple[Place, int], ...]
    """For each request, where it is asked and the number of its first sample."""
    told: dict[tuple[int, int], int] = field(factory=dict)

    def hear(self, request: int, sample: int, text: str) -> None:
        """Tell more of a sample."""
        place, first = self.asked[request]
        self.told[request, sample] = self.told.get((request, sample), 0) + len(text)
        self.tell(Piece(text, self.stage, place, first + sample))

    def finish(self, request: int, samples: tuple[Sample, ...]) -> None:
        """Tell what an engine kept to itself: all of it, if it does not stream."""
        for number, sample in enumerate(samples):
            rest = sample.text[self.told.get((request, number), 0) :]
            if rest:
                self.hear(request, number, rest)
