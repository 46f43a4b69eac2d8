"""Streaming of a row's replies: each delta becomes a chunk for a callback."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from attrs import define, field, frozen

from chainlang.protocol.messages import Sample, TextKind
from chainlang.semantics.seeds import Place


@frozen
class Chunk:
    """The next text of a streamed reply, or of the reasoning before it; `str` returns the text.

    Where a stream has several samples, `str` names the sample whenever another one speaks.

    >>> print(Chunk("4", "E", ("0",), 0), Chunk("2", "E", ("0",), 0), sep="")
    42
    """

    text: str
    stage: str
    """Name of the stage that generates the reply."""
    place: Place
    """Place of the stage in the chain; two stages with one name have two places."""
    sample: int
    """Number of the sample among those of the stage."""
    kind: TextKind = "text"
    """``"reasoning"`` for what a model thinks before its reply."""
    lead: str = ""
    """Name of the sample, where another one spoke before it."""

    def __str__(self) -> str:
        return self.lead + self.text


@frozen
class Listener:
    """A callback for chunks, and the places of the stages that it receives."""

    callback: Callable[[Chunk], None]
    places: frozenset[Place]


@define
class DeltaSink:
    """The stream of one stage of one row. Each character of a sample is emitted once, in order."""

    callback: Callable[[Chunk], None]
    stage: str
    asked: tuple[tuple[Place, int], ...]
    """For each request, its place and the number of its first sample."""
    emitted: dict[tuple[int, int, TextKind], int] = field(factory=dict)
    """Number of emitted characters, by request, sample and kind of text."""

    def emit(self, request: int, sample: int, text: str, kind: TextKind) -> None:
        """Emit the next text of a sample."""
        place, first = self.asked[request]
        key = request, sample, kind
        self.emitted[key] = self.emitted.get(key, 0) + len(text)
        self.callback(Chunk(text, self.stage, place, first + sample, kind))

    def finish(self, request: int, samples: tuple[Sample, ...]) -> None:
        """Emit the text that was not streamed: all of it, if the engine does not stream."""
        for number, sample in enumerate(samples):
            whole: Mapping[TextKind, str] = {"reasoning": sample.reasoning, "text": sample.text}
            for kind, text in whole.items():
                rest = text[self.emitted.get((request, number, kind), 0) :]
                if rest:
                    self.emit(request, number, rest, kind)
