"""`Source`: a named text; `Span`: a range of it."""

from __future__ import annotations

from attrs import field, frozen


@frozen
class Source:
    """A source text, and its name in messages.

    >>> Source("3:E >>\\n M", "a.chain").position(8)
    (2, 2)
    """

    text: str = field(repr=False)
    name: str = "<chain>"

    def position(self, offset: int) -> tuple[int, int]:
        """Return line and column of an offset, both counted from 1; the column in characters."""
        start = self.text.rfind("\n", 0, offset) + 1
        return self.text.count("\n", 0, offset) + 1, offset - start + 1


@frozen
class Span:
    """The range ``source.text[start:end]``, with named parts inside it.

    A stage is one node with one span; the spans of its count, model and temperature are parts of
    it, so that an error about the temperature can point at the temperature.

    >>> source = Source("E:tiny:9")
    >>> whole = Span(source, 0, 8, parts=(("temperature", Span(source, 7, 8)),))
    >>> whole.part("temperature").text, whole.part("count").text
    ('9', 'E:tiny:9')
    """

    source: Source = field(repr=False)
    start: int
    end: int
    parts: tuple[tuple[str, Span], ...] = field(default=(), repr=False)
    places: tuple[tuple[int, int], ...] = field(default=(), eq=False, repr=False)
    """Offsets of characters of a value that is not written as it stands: pairs of an index in the
    value and an offset in the source, sorted. Empty for the literals of a `.chain` file."""

    @property
    def text(self) -> str:
        """Text of the range."""
        return self.source.text[self.start : self.end]

    def part(self, name: str) -> Span:
        """Return the span of a named part; the whole span if that part was not written."""
        return next((span for key, span in self.parts if key == name), self)


def part_span(span: Span | None, name: str) -> Span | None:
    """Return the named part of a span; None without a span.

    >>> part_span(None, "count") is None
    True
    """
    return None if span is None else span.part(name)


def cover(first: Span | None, last: Span | None) -> Span | None:
    """Return the span from the start of one to the end of another; None if they share no source.

    >>> source = Source("E >> M")
    >>> cover(Span(source, 0, 1), Span(source, 5, 6)).text
    'E >> M'
    """
    if first is None or last is None or first.source is not last.source:
        return None
    return Span(first.source, first.start, last.end)
